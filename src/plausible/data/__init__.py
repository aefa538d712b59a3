"""Where rows come from and how they become batches: a SPEC, a path, an array, a table … in, NumPy out.

Importing this package, parsing a SPEC and listing the data sets cost milliseconds and no NumPy; the arrays
arrive with `load`. Nothing in here knows torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from plausible.data.sources import SOURCES, Source, register
from plausible.data.spec import Spec, cut, datasets, parse

if TYPE_CHECKING:
    from plausible.data.loading import Data, load, load_rows
    from plausible.data.raw import Raw
    from plausible.data.restoring import restore
    from plausible.data.rows import Rows

__all__ = [
    "SOURCES",
    "Data",
    "Raw",
    "Rows",
    "Source",
    "Spec",
    "cut",
    "datasets",
    "load",
    "load_rows",
    "parse",
    "register",
    "restore",
]

LAZY = {
    "Data": "loading",
    "load": "loading",
    "load_rows": "loading",
    "Raw": "raw",
    "restore": "restoring",
    "Rows": "rows",
}
"""What needs NumPy, and where it is."""


def __getattr__(name: str) -> Any:
    """Import what needs NumPy when it is first asked for."""
    if name in LAZY:
        return getattr(importlib.import_module(f"{__name__}.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
