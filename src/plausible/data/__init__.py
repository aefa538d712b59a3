"""Data loading: a SPEC, a path, an array or a table becomes rows in NumPy.

`sources` is the table of everything that can be read, with the function that reads it. Importing this package, parsing
a SPEC and listing the data sets take milliseconds and do not import NumPy. Nothing here imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from plausible.data.sources import SOURCES, Source, register
from plausible.data.spec import Spec, datasets, parse_spec, split_spec

if TYPE_CHECKING:
    from plausible.data.builtin import MIXTURES
    from plausible.data.loading import Data, load, load_rows
    from plausible.data.raw import Raw
    from plausible.data.restoring import restore
    from plausible.data.rows import Rows, StoredRows

__all__ = [
    "MIXTURES",
    "SOURCES",
    "Data",
    "Raw",
    "Rows",
    "Source",
    "Spec",
    "StoredRows",
    "datasets",
    "load",
    "load_rows",
    "parse_spec",
    "register",
    "restore",
    "split_spec",
]

_LAZY = {
    "Data": "loading",
    "load": "loading",
    "load_rows": "loading",
    "Raw": "raw",
    "restore": "restoring",
    "Rows": "rows",
    "StoredRows": "rows",
    "MIXTURES": "builtin",
}
"""Names whose modules import NumPy."""


def __getattr__(name: str) -> Any:
    """Import names that need NumPy on first use."""
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
