"""`python -m plausible`, and what `torchrun -m plausible` starts."""

import sys

from plausible.cli import main

if __name__ == "__main__":
    sys.exit(main())
