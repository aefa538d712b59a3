"""The folder of what is downloaded or computed once and used again."""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path

from plausible.errors import PlausibleError

__all__ = ["cache_folder", "cache_limit", "trim_cache"]

_GIGABYTES, _DAY = 10.0, 86_400.0


def cache_folder() -> Path:
    """`$PLAUSIBLE_CACHE`, or the operating system's cache folder for this user; it need not exist."""
    import pooch

    return Path(os.environ.get("PLAUSIBLE_CACHE") or pooch.os_cache("plausible"))


def cache_limit() -> int:
    """The most bytes of decoded pictures that are kept: `$PLAUSIBLE_CACHE_GB` gigabytes, 10 by default.

    Raises:
        PlausibleError: the variable is no number of gigabytes.
    """
    text = os.environ.get("PLAUSIBLE_CACHE_GB", "").strip()
    try:
        size = float(text or _GIGABYTES)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise PlausibleError(
            f"PLAUSIBLE_CACHE_GB={text}: write a number of gigabytes, such as 20; 0 keeps nothing"
        )
    return int(size * 1e9)


def trim_cache(folder: Path, limit: int, keep: Path) -> None:
    """Delete the files of a folder that were used longest ago, until the others have at most `limit` bytes.

    What a killed process left half-written a day ago or earlier goes, too.

    Args:
        folder: it holds files only.
        limit: in bytes.
        keep: a file that stays.
    """
    for path in folder.glob(".plausible-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _DAY:
                path.unlink()
    found = []
    for path in folder.glob("*.npy"):
        with contextlib.suppress(OSError):  # another process may have deleted it
            found.append((path.stat().st_mtime_ns, path, path.stat().st_size))
    room = limit - sum(size for _, path, size in found if path == keep)
    for _, path, size in sorted(found, reverse=True):
        if path == keep:
            continue
        room -= size
        if room < 0:
            with contextlib.suppress(OSError):
                path.unlink()
