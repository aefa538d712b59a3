"""The dtypes of pandas, polars and pyarrow as NumPy's."""

from __future__ import annotations

import numpy as np

from plausible.errors import PlausibleError

__all__ = ["as_dtype", "check_finite", "holds_numbers", "numpy_dtype"]


def numpy_dtype(word: str) -> np.dtype:
    """ "Int64", "int64[pyarrow]", "Boolean", "double" → a NumPy dtype; float64 if the name is unknown."""
    return _numeric_dtype(word) or np.dtype(np.float64)


def holds_numbers(word: str) -> bool:
    """Whether a dtype, as its library names it, is one of numbers; bools are not."""
    found = _numeric_dtype(word)
    return found is not None and found.kind != "b"


def _numeric_dtype(word: str) -> np.dtype | None:
    plain = word.split("[")[0].lower()
    plain = {
        "boolean": "bool",
        "double": "float64",
        "float": "float32",
        "halffloat": "float16",
        "bfloat16": "float32",
    }.get(plain, plain)
    try:
        found = np.dtype(plain)
    except (TypeError, ValueError):
        return None
    return found if found.kind in "buif" else None


def as_dtype(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values as a dtype: bools are True from ½ on, integers are rounded and clipped to the dtype's range.

    Raises:
        PlausibleError: a value that is not finite, and an integer or bool dtype.
    """
    if dtype.kind == "f":
        return x.astype(dtype, copy=False)
    check_finite(x, dtype)
    if dtype.kind == "b":
        return x >= 0.5
    ends = np.iinfo(dtype)
    low, high = float(ends.min), float(ends.max)
    whole = np.rint(x)
    inside = np.clip(whole, low, np.nextafter(high, 0) if dtype.itemsize == 8 else high).astype(dtype)
    return np.where(whole >= high, dtype.type(ends.max), inside)


def check_finite(x: np.ndarray, dtype: np.dtype) -> None:
    """Check that values can be of a dtype: bools and integers are finite.

    Raises:
        PlausibleError: a value is not.
    """
    if dtype.kind != "f" and not np.isfinite(x).all():
        raise PlausibleError(
            f'a value is not finite and cannot be {dtype}: ask for as_="numpy" of a float column'
        )
