"""DataFrames and arrays alike: parts of them, and frames whose missing cells are filled in."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from plausible.data.frames import is_frame

__all__ = ["filled_in", "library_of", "numbers_in", "take"]


def take(X: Any, places: np.ndarray) -> Any:
    """Rows of an array or a frame, by their places."""
    if not is_frame(X):
        return X[places]
    return nw.from_native(X, eager_only=True)[places.tolist()].to_native()


def library_of(X: Any) -> str:
    """The library of a frame, one of `LIBRARIES`."""
    return str(nw.get_native_namespace(X).__name__)


def numbers_in(X: Any, values: np.ndarray) -> Any:
    """A frame with the columns of X and such values, (n, d), float64."""
    frame = nw.from_native(X, eager_only=True)
    names = frame.columns
    made = [
        nw.new_series(name, column, backend=frame.implementation)
        for name, column in zip(names, values.T, strict=True)
    ]
    return filled_in(X, nw.concat([each.to_frame() for each in made], how="horizontal").to_native())


def filled_in(X: Any, found: Any) -> Any:
    """The frame X, with its missing cells taken from another of the same rows; all else is left as it is.

    Args:
        X: a frame.
        found: a frame of the same library, with some of its columns.
    """
    frame, others = nw.from_native(X, eager_only=True), nw.from_native(found, eager_only=True)
    columns = [
        _filled(frame[name], others[str(name)]) for name in frame.columns if str(name) in others.columns
    ]
    return frame.with_columns(*columns).to_native()


def _filled(series: Any, other: Any) -> Any:
    """A column with its gaps filled; of whole numbers that fit no whole numbers, float64."""
    gaps = series.is_null()
    if series.dtype.is_float():
        gaps = gaps | series.is_nan().fill_null(True)
    if not gaps.any():
        return series
    other = other.alias(series.name)
    if series.dtype in (nw.Categorical, nw.Enum):
        return series.cast(nw.String).zip_with(~gaps, other.cast(nw.String)).cast(series.dtype)
    if series.dtype == nw.Object:
        known = {str(value): value for value in series.filter(~gaps).unique().to_list()}
        as_known = [known.get(str(value), value) for value in other.to_list()]
        other = nw.new_series(series.name, as_known, nw.Object, backend=series.implementation)
        return series.zip_with(~gaps, other)
    if series.dtype == other.dtype:
        return series.zip_with(~gaps, other)
    return series.zip_with(~gaps, other.cast(series.dtype))
