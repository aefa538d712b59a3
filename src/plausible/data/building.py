"""Build tables of pandas, polars and pyarrow from columns, with the types that the data came in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plausible.data.dtypes import as_dtype, numpy_dtype
from plausible.data.frames import LIBRARIES
from plausible.errors import PlausibleError

__all__ = ["FrameColumn", "to_frame"]


@dataclass(frozen=True, eq=False)
class FrameColumn:
    """A column of a table to build.

    Attributes:
        name: its name; None for pandas' default numbering.
        dtype: as named by the library that the column came from.
        values: (n,): float64, NaN where a cell is missing; words, objects, None where one is; or datetime64.
        levels: the words that there may be, of a categorical column.
        ordered: whether they are in an order.
    """

    name: Any
    dtype: str
    values: np.ndarray
    levels: tuple[str, ...] | None = None
    ordered: bool = False


def to_frame(library: str, columns: Sequence[FrameColumn]) -> Any:
    """Build a table of a library.

    Args:
        library: one of `LIBRARIES`.
        columns: in order.

    Raises:
        PlausibleError: the library is not installed.
    """
    try:
        return {"pandas": _pandas, "polars": _polars, "pyarrow": _pyarrow}[library](columns)
    except ImportError as error:
        others = ", ".join(f'as_="{name}"' for name in ("numpy", *LIBRARIES) if name != library)
        raise PlausibleError(
            f"{library} is not installed, and a table with named columns is returned as a {library} table: install "
            f"{library}, or ask for {others}"
        ) from error


# ---------------------------------------------------------------------- pandas
def _pandas(columns: Sequence[FrameColumn]) -> Any:
    import pandas

    table = pandas.DataFrame({i: _as_pandas(pandas, column) for i, column in enumerate(columns)})
    if columns[0].name is not None:
        table.columns = pandas.Index([column.name for column in columns])
    return table


def _as_pandas(pandas: Any, column: FrameColumn) -> Any:
    x, dtype = column.values, column.dtype
    if x.dtype.kind == "O":
        if dtype == "category":
            kind = pandas.CategoricalDtype(_categories(column.levels), ordered=column.ordered)
            return pandas.Series(_as_categories(x, column.levels), dtype=kind)
        return _pandas_as(pandas.Series(x), dtype if dtype in ("object", "string") else "str")
    if x.dtype.kind == "M":
        zone = _zone(dtype)
        series = pandas.Series(x)
        if zone:
            series = series.dt.tz_localize("UTC").dt.tz_convert(zone)
        return _pandas_as(
            series, dtype if dtype.startswith(("datetime64", "timestamp[")) else str(series.dtype)
        )
    gaps = np.isnan(x)
    if not gaps.any() or numpy_dtype(dtype).kind == "f":
        return _pandas_as(pandas.Series(as_dtype(x, numpy_dtype(dtype))), dtype)
    whole = as_dtype(np.where(gaps, 0, x), numpy_dtype(dtype))  # NumPy's whole numbers have no missing ones
    series = pandas.Series(whole).astype(_NULLABLE.get(whole.dtype.name, "Int64"))
    return (_pandas_as(series, dtype) if "[" in dtype else series).mask(gaps)


def _pandas_as(series: Any, dtype: str) -> Any:
    try:
        return series.astype(dtype)
    except (TypeError, ValueError):
        return series  # another library's dtype: the values have the matching NumPy dtype already


def _categories(levels: tuple[str, ...] | None) -> list[Any]:
    """The categories: numbers, if all levels are written as numbers that pandas had."""
    found = levels or ()
    return [int(level) for level in found] if all(map(_WHOLE.fullmatch, found)) else list(found)


def _as_categories(x: np.ndarray, levels: tuple[str, ...] | None) -> list[Any]:
    names = dict(zip(levels or (), _categories(levels), strict=True))
    return [None if word is None else names[word] for word in x]


_NULLABLE = {"bool": "boolean"} | {
    f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_WHOLE = re.compile("-?(0|[1-9][0-9]*)")
_ZONE = re.compile(r"(?:tz=|time_zone='|, )([A-Za-z_]+(?:/[A-Za-z_+-]+)*)")


def _zone(dtype: str) -> str | None:
    """ "datetime64[us, Europe/Berlin]", "Datetime(time_unit='us', time_zone='UTC')" → the time zone."""
    found = _ZONE.search(dtype.replace("time_zone=None", ""))
    return None if found is None or found[1] == "time_zone" else found[1]


# ---------------------------------------------------------------------- polars
def _polars(columns: Sequence[FrameColumn]) -> Any:
    import polars

    return polars.DataFrame({str(column.name): _as_polars(polars, column) for column in columns})


def _as_polars(polars: Any, column: FrameColumn) -> Any:
    x, dtype = column.values, column.dtype
    if x.dtype.kind == "O":
        series = polars.Series(x.tolist(), dtype=polars.String)
        if dtype.startswith("Enum"):
            return series.cast(polars.Enum(list(column.levels or ())))
        return series.cast(polars.Categorical) if dtype == "Categorical" else series
    if x.dtype.kind == "M":
        series = polars.Series(x)
        if dtype in ("Date", "date32[day]"):
            return series.cast(polars.Date)
        zone = _zone(dtype)
        return series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else series
    gaps = np.isnan(x)
    whole = numpy_dtype(dtype)
    values = as_dtype(x if whole.kind == "f" else np.where(gaps, 0, x), whole)
    kind = getattr(polars, dtype, None)
    same = isinstance(kind, type) and whole == values.dtype
    series = polars.Series(values, dtype=kind) if same else polars.Series(values)
    if not gaps.any():
        return series
    there = polars.Series(~gaps)
    return polars.select(polars.when(there).then(series)).to_series()


# ---------------------------------------------------------------------- pyarrow
def _pyarrow(columns: Sequence[FrameColumn]) -> Any:
    import pyarrow

    return pyarrow.table({str(column.name): _as_arrow(pyarrow, column) for column in columns})


def _as_arrow(pyarrow: Any, column: FrameColumn) -> Any:
    x, dtype = column.values, column.dtype
    if x.dtype.kind == "O":
        array = pyarrow.array(x.tolist(), pyarrow.string())
        return array.dictionary_encode() if dtype.startswith("dictionary") else array
    if x.dtype.kind == "M":
        array = pyarrow.array(x)
        if dtype.startswith(("date32", "Date")) and not dtype.startswith("Datetime"):
            return array.cast(pyarrow.date32())
        zone = _zone(dtype)
        return array.cast(pyarrow.timestamp("us", zone)) if zone else array
    gaps = np.isnan(x)
    whole = numpy_dtype(dtype)
    values = as_dtype(x if whole.kind == "f" else np.where(gaps, 0, x), whole)
    mask = gaps if gaps.any() else None
    try:
        return pyarrow.array(values, type=pyarrow.type_for_alias(dtype), mask=mask)
    except (ValueError, pyarrow.ArrowInvalid):
        return pyarrow.array(values, mask=mask)
