"""Convert the rows of a mixed table to what models see: float32, numbers less their offset, codes of levels, NaN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plausible.data.cells import Cells, name_number, parse_times, to_number
from plausible.data.columns import UNITS
from plausible.data.dtypes import holds_numbers, numpy_dtype
from plausible.data.raw import Raw
from plausible.data.rows import FLOAT32_MAX
from plausible.errors import PlausibleError
from plausible.schema import Column

__all__ = ["recode"]

_SHOWN = 5


def recode(raw: Raw, columns: Sequence[Column], *, known_to: str) -> Raw:
    """The rows with these columns, (N, len(columns)), float32.

    A level that a column does not have counts as a missing cell, with a warning. A number beyond float32's range is
    clipped to it, with a warning.

    Args:
        raw: the rows as they came; columns are matched by name, or by position where they have no names.
        columns: those to give, in this order.
        known_to: who knows the levels, for the warning: "the run", "the training rows".

    Raises:
        PlausibleError: words or dates in a column of numbers, numbers in one of dates, infinite numbers: all columns in
            one message.
    """
    places = _places(raw, columns)
    cells = raw.cells or (Cells(),) * len(raw.feature_names)
    x = np.empty((len(raw), len(columns)), np.float32)
    problems, unknown, beyond = [], [], []
    for i, (place, column) in enumerate(zip(places, columns, strict=True)):
        values = np.concatenate([part[:, place] for part in raw.parts.values()]).astype(
            np.float64, copy=False
        )
        try:
            if column.levels is not None:
                values, others = _codes(values, cells[place], column)
                if others:
                    some = ", ".join(map(repr, others[:_SHOWN])) + (", …" if len(others) > _SHOWN else "")
                    unknown.append(f"{some} of {column.name!r}")
            else:
                values = _numbers(raw, values, cells[place], column)
        except PlausibleError as error:
            problems.append(str(error))
            continue
        if (np.abs(values) > FLOAT32_MAX).any():
            beyond.append(column.name)
        x[:, i] = np.clip(values, -FLOAT32_MAX, FLOAT32_MAX)
    if problems:
        raise PlausibleError(f"{raw.name}: {'; '.join(problems)}")
    x[np.isnan(x)] = np.nan  # one of the many NaNs, so that equal tables have equal hashes
    if unknown:
        warnings.warn(
            f"{raw.name}: not known to {known_to}, and counted as missing: {'; '.join(unknown)}", stacklevel=4
        )
    if beyond:
        warnings.warn(
            f"{raw.name}: values of {', '.join(beyond)} lie beyond float32's range and are clipped to its limits, "
            "±3.4e38",
            stacklevel=4,
        )
    names = tuple(column.name for column in columns) if raw.columns is not None else None
    return replace(
        raw,
        parts={raw.name: x},
        columns=names,
        dtypes=tuple(column.dtype for column in columns),
        dtype="",
        cells=None,
        last=None,
    )


def _places(raw: Raw, columns: Sequence[Column]) -> list[int]:
    """Where each column stands in the rows."""
    names = raw.feature_names
    if raw.columns is None and len(names) == len(columns):
        return list(range(len(columns)))
    return [names.index(column.name) for column in columns]


def _codes(values: np.ndarray, cells: Cells, column: Column) -> tuple[np.ndarray, list[str]]:
    """The codes of a column's levels, (N,), and the levels that the column does not have."""
    there = ~np.isnan(values)
    kinds, inverse = np.unique(values[there], return_inverse=True)
    names = _names(kinds, cells, column)
    codes = {level: code for code, level in enumerate(column.levels or ())}
    found = np.array([codes.get(name, np.nan) for name in names], np.float64)
    result = np.full(len(values), np.nan)
    result[there] = found[inverse] if len(found) else np.nan
    return result, [name for name in names if name not in codes]


def _names(kinds: np.ndarray, cells: Cells, column: Column) -> list[str]:
    """What the values of a column are called among its levels."""
    dtype = column.dtype
    if cells.words is not None:
        words = [cells.words[int(kind)] for kind in kinds]
        numbers = [to_number(word) for word in words] if holds_numbers(dtype) else []
        if numbers and None not in numbers:
            return [name_number(float(number or 0)) for number in numbers]
        return words
    if numpy_dtype(dtype).kind == "b" and set(kinds) <= {0, 1}:
        return [str(bool(kind)) for kind in kinds]
    return [name_number(kind) if np.isfinite(kind) else str(kind) for kind in kinds]


def _numbers(raw: Raw, values: np.ndarray, cells: Cells, column: Column) -> np.ndarray:
    """The numbers of a column less its offset, (N,); of dates, in its unit."""

    def wrong(what: str, place: Any) -> PlausibleError:
        kind = f"dates, in {column.unit}s" if column.unit else f"numbers ({column.kind})"
        return PlausibleError(
            f"column {column.name!r} holds {what} in {raw.where_row(int(place))}, and the run was trained on {kind}: "
            "correct it, or leave it empty"
        )

    there = np.flatnonzero(~np.isnan(values))
    if column.unit is not None:
        if cells.words is not None:
            times = parse_times(cells.words) if cells.words else np.empty(0)
            if times is None:
                k = next(k for k, word in enumerate(cells.words) if parse_times([word]) is None)
                raise wrong(repr(cells.words[k]), np.flatnonzero(values == k)[0])
            seconds = np.full(len(values), np.nan)
            seconds[there] = times[values[there].astype(np.int64)]
            values = seconds
        elif not cells.time and len(there):
            raise wrong(f"the number {values[there[0]]:g}", there[0])
        values = values / UNITS[column.unit]
    elif cells.words is not None and len(there):
        raise wrong(repr(cells.words[int(values[there[0]])]), there[0])
    elif cells.time and len(there):
        raise wrong("a date", there[0])
    if len(odd := np.flatnonzero(np.isinf(values))):
        raise wrong(str(values[odd[0]]), odd[0])
    return values - column.offset
