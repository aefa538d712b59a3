"""Read one column of a pandas, polars or pyarrow table: numbers, words or times, and which cells are missing."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from plausible.data.cells import BOOLS, Cells, Words
from plausible.errors import PlausibleError

__all__ = ["read_column"]


def read_column(series: Any) -> tuple[np.ndarray, Cells]:
    """A narwhals Series as values, (n,), float64 (float32 of float32), and what they stand for.

    Raises:
        PlausibleError: neither numbers nor words nor dates; the message says what it is.
    """
    import narwhals as nw

    dtype = series.dtype
    gaps = np.asarray(series.is_null().to_numpy(), bool)
    if dtype.is_float() and not gaps.any():
        kind = np.float32 if dtype == nw.Float32 else np.float64
        return np.asarray(series.to_numpy(), kind), Cells()
    if dtype.is_numeric() or dtype == nw.Boolean:
        filled = series.fill_null(False if dtype == nw.Boolean else 0) if gaps.any() else series
        values = np.array(filled.cast(nw.Float64).to_numpy(), np.float64)
        values[gaps] = np.nan
        return values, Cells(BOOLS) if dtype == nw.Boolean else Cells()
    if dtype == nw.Datetime or dtype == nw.Date:
        stamps = (series.cast(nw.Datetime("us")) if dtype == nw.Date else series).dt.timestamp("us")
        seconds = np.array(stamps.fill_null(0).cast(nw.Float64).to_numpy(), np.float64) / 1e6
        seconds[gaps] = np.nan
        return seconds, Cells(time=True)
    cells = series.to_list()
    if dtype == nw.Enum:
        order = [str(category) for category in dtype.categories]
        return _codes(cells, gaps, order), Cells(tuple(order), ordered=True)
    if dtype in (nw.String, nw.Categorical):
        return _as_words(cells, gaps)
    if dtype == nw.Object:
        return _objects(cells, gaps)
    raise PlausibleError(str(dtype))


def _as_words(cells: Sequence[Any], gaps: np.ndarray) -> tuple[np.ndarray, Cells]:
    words = Words(missing=(), blanks=True)
    there = np.flatnonzero(~gaps)
    values = np.full(len(cells), np.nan)
    values[there] = words.encode([str(cells[i]) for i in there])
    return values, Cells(tuple(words.words))


def _codes(cells: Sequence[Any], gaps: np.ndarray, order: Sequence[str]) -> np.ndarray:
    codes = {word: code for code, word in enumerate(order)}
    return np.array([np.nan if gap else codes[str(cell)] for cell, gap in zip(cells, gaps, strict=True)])


def _objects(cells: Sequence[Any], gaps: np.ndarray) -> tuple[np.ndarray, Cells]:
    """A column of Python objects, if they are all of one kind."""
    there = [cell for cell, gap in zip(cells, gaps, strict=True) if not gap]
    if all(isinstance(cell, str) for cell in there):
        return _as_words(cells, gaps)
    values = np.full(len(cells), np.nan)
    if all(isinstance(cell, bool | np.bool_) for cell in there):
        values[~gaps] = there
        return values, Cells(BOOLS)
    if all(isinstance(cell, numbers.Real | Decimal) for cell in there):
        values[~gaps] = [float(cell) for cell in there]
        return values, Cells()
    if all(isinstance(cell, datetime.date) and getattr(cell, "tzinfo", None) is None for cell in there):
        values[~gaps] = np.array(there, "datetime64[us]").astype(np.int64) / 1e6
        return values, Cells(time=True)
    kinds = sorted({type(cell).__name__ for cell in there})
    raise PlausibleError(f"Python objects: {', '.join(kinds[:5])}")
