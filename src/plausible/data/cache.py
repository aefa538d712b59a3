"""The folder of what is downloaded or computed once and used again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """`$PLAUSIBLE_CACHE`, or the operating system's cache folder for this user; it need not exist."""
    import pooch

    return Path(os.environ.get("PLAUSIBLE_CACHE") or pooch.os_cache("plausible"))
