"""Where arrays come from and how they become batches: a SPEC in, NumPy out.

Importing this package, parsing a SPEC and listing the data sets cost milliseconds and no NumPy; the arrays
arrive with `load`. Nothing in here knows torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plausible.data.spec import Spec, datasets, parse

if TYPE_CHECKING:
    from plausible.data.loading import Data, load, load_rows
    from plausible.data.rows import Rows

__all__ = ["Data", "Rows", "Spec", "datasets", "load", "load_rows", "parse"]


def __getattr__(name: str) -> Any:
    """Import the loaders, `Data` and `Rows`, which need NumPy, when they are first asked for."""
    if name in ("Data", "load", "load_rows"):
        from plausible.data import loading

        return getattr(loading, name)
    if name == "Rows":
        from plausible.data.rows import Rows

        return Rows
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
