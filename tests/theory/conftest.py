"""The strategies for tables lie with the tests of probability (`random_tables.py`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "probability"))
