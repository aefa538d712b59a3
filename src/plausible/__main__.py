"""`python -m plausible`, and what `torchrun -m plausible` starts."""

import os
import sys

# `python -m` puts the current folder on the path: nothing of ours is imported from there
sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd())]  # noqa: PTH109

from plausible.cli import main  # noqa: E402

if __name__ == "__main__":
    try:
        status = main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            raise
        status = stop.code or 0
    if os.environ.get("WORLD_SIZE", "1") != "1":
        from plausible.training.distributed import leave

        leave(status)
    sys.exit(status)
