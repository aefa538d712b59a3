"""What this room's tests share lies in `random_tables.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
