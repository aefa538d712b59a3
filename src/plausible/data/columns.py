"""Find the type of each column of a mixed table, once, on the training rows.

| type | a column of |
|---|---|
| constant | one value, with or without missing cells |
| binary | two values, whatever they are |
| date | dates or times as ISO 8601 writes them, or of a library's own type |
| category | words, each in two training rows on average, and at most 1,000 different ones |
| ordinal | words with an order: an ordered categorical of pandas or polars, or if asked for |
| integer | whole numbers, also written 3750.0 |
| real | other numbers |

Other words are an id or free text: the column is dropped with a warning. So is one of numbers that has a name and
counts the rows from 0 or 1, and one without any value. The user's word on a column stands before the rule: `--column
NAME=TYPE`, and `--column NAME=ordinal:LOW<…<HIGH` for words in an order; numbers that are asked to be ordinal are in
their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from plausible.data.cells import Cells, name_number, parse_times, to_number
from plausible.data.domains import decimals_of, offsets_of, some_of, warn_merged
from plausible.data.raw import Raw
from plausible.errors import PlausibleError
from plausible.schema import Column, Kind

__all__ = ["TYPES", "UNITS", "Asked", "find_columns", "parse_types"]

TYPES = tuple(kind for kind in get_args(Kind) if kind != "constant")
"""What a user may ask a column to be."""
UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
"""Unit of a date → seconds."""
LEVELS = 1000
"""The most levels of a category that nobody asked for."""
_REPEATS = 2
"""How many training rows each of them must have, on average."""
_EXACT = 2**24
"""Whole numbers below are exact in float32."""
_NUMBERS = 0.9
"""Of a column with more numbers than this, in which there are words as well, the words are mistakes."""


@dataclass(frozen=True)
class Asked:
    """The type that a user asks a column to be, with the levels of an ordinal one in their order."""

    kind: str
    levels: tuple[str, ...] | None = None


def parse_types(columns: Mapping[str, str]) -> dict[str, Asked]:
    """column → "integer", "ordinal:Fair<Good<Ideal", … as the types asked for.

    Raises:
        PlausibleError: there is no such type, or the levels are not at least two different ones.
    """
    found = {}
    for name, text in columns.items():
        kind, colon, rest = text.partition(":")
        if kind not in TYPES:
            raise PlausibleError(
                f"column {name!r}: there is no type {text!r}: choose from {', '.join(TYPES)}, or ordinal:LOW<…<HIGH"
            )
        levels = tuple(level.strip() for level in rest.split("<")) if colon else None
        if levels is not None and (kind != "ordinal" or len({*levels} - {""}) < max(2, len(levels))):
            raise PlausibleError(
                f"column {name!r}: {text!r}: levels are written in their order, for ordinal: ordinal:LOW<…<HIGH"
            )
        found[name] = Asked(kind, levels)
    return found


def find_columns(
    raw: Raw, train: np.ndarray, asked: Mapping[str, Asked]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The columns of a mixed table with their types, and the names of those that are dropped.

    Args:
        raw: the rows as they came, with `cells` or all numbers.
        train: mask of the training rows, (N,), bool.
        asked: column → the type that the user asks for.

    Raises:
        PlausibleError: a type that a column cannot have, words among numbers, no column left: all in one message.
    """
    names = raw.feature_names
    if unknown := [name for name in asked if name not in names]:
        raise PlausibleError(
            f"{raw.name} has no column {unknown[0]!r} for --column: there is {', '.join(names)}"
        )
    cells = raw.cells or (Cells(),) * len(names)
    dtypes = raw.dtypes or (raw.dtype or str(raw.values_dtype),) * len(names)
    found: list[Column] = []
    dropped: dict[str, str] = {}
    problems: list[str] = []
    for i, name in enumerate(names):
        values = np.concatenate([part[:, i] for part in raw.parts.values()]).astype(np.float64, copy=False)
        one = _One(raw, name, dtypes[i], cells[i], values, train)
        try:
            column = one.typed(asked.get(name))
        except PlausibleError as error:
            problems.append(str(error))
            continue
        if isinstance(column, str):
            dropped[name] = column
        else:
            found.append(column)
    if problems:
        raise PlausibleError(f"{raw.name}: {'; '.join(problems)}")
    if not found:
        why = "; ".join(f"{name!r}: {reason}" for name, reason in dropped.items())
        raise PlausibleError(f"{raw.name} has no column to learn from ({why}): --column NAME=TYPE keeps one")
    if dropped:
        why = "; ".join(f"{name!r}, {reason}" for name, reason in dropped.items())
        warnings.warn(
            f"{raw.name}: left out {why} (--column NAME=TYPE keeps a column, --drop NAME leaves it out silently)",
            stacklevel=3,
        )
    return tuple(found), tuple(dropped)


class _One:
    """One column of a table on its way to a type.

    Attributes:
        values: (N,), float64, as `cells` says; NaN where a cell is missing.
        train: mask of the training rows, (N,), bool.
        known: those of the training rows that are not missing.
    """

    def __init__(
        self, raw: Raw, name: str, dtype: str, cells: Cells, values: np.ndarray, train: np.ndarray
    ) -> None:
        self.raw, self.name, self.dtype, self.cells, self.values = raw, name, dtype, cells, values
        self.train = train
        of_train = values[train]
        self.known = of_train[~np.isnan(of_train)]
        self.missing = float(np.isnan(of_train).mean())

    def typed(self, asked: Asked | None) -> Column | str:
        """The column with its type, or the reason to drop it.

        Raises:
            PlausibleError: it cannot be of the type asked for.
        """
        if not len(self.known):
            return "without a value in the training rows"
        if np.isinf(self.values).any():
            row = int(np.flatnonzero(np.isinf(self.values))[0])
            raise self.error(f"is {self.values[row]} in {self.raw.where_row(row)}: drop the row or the value")
        if asked is not None:
            return self._as_asked(asked)
        if self.cells.time:
            return self._dates(self.values)
        return self._numbers() if self.cells.words is None else self._words(self.cells.words)

    def error(self, text: str) -> PlausibleError:
        return PlausibleError(f"column {self.name!r} {text}")

    # ------------------------------------------------------------------ by the rule
    def _numbers(self) -> Column | str:
        low, high = self.known.min(), self.known.max()
        if low < high and ((self.known == low) | (self.known == high)).all():
            return self._levels("binary", [low, high])
        named = self.raw.columns is not None
        if named and not self.missing and self.values[0] in (0, 1) and (np.diff(self.values) == 1).all():
            return "which counts the rows"
        return self._plain("constant" if low == high else "integer" if _whole(self.known) else "real")

    def _words(self, words: Sequence[str]) -> Column | str:
        times = parse_times(words)
        if times is not None:
            return self._dates(_taken(times, self.values))
        used = np.unique(self.known).astype(np.int64)
        self._check_not_numbers(words)
        if len(used) <= 2:
            return self._levels("constant" if len(used) == 1 else "binary", used)
        if self.cells.ordered:
            return self._levels("ordinal", used)
        if len(used) > LEVELS or len(used) * _REPEATS > len(self.known):
            return f"{len(used):,} different words in {len(self.known):,} rows: an id or free text"
        return self._levels("category", used)

    def _check_not_numbers(self, words: Sequence[str]) -> None:
        """Refuse words among numbers."""
        counts = np.bincount(self.values[~np.isnan(self.values)].astype(np.int64), minlength=len(words))
        odd = [k for k, word in enumerate(words) if counts[k] and to_number(word) is None]
        total, wrong = int(counts.sum()), int(counts[odd].sum())
        if not wrong or wrong > (1 - _NUMBERS) * total:
            return
        some = [
            f"{words[k]!r} in {self.raw.where_row(int(np.flatnonzero(self.values == k)[0]))}" for k in odd[:5]
        ]
        raise self.error(
            f"holds {total - wrong:,} numbers and {wrong:,} other {'cell' if wrong == 1 else 'cells'} "
            f"({', '.join(some)}{', …' if len(odd) > 5 else ''}): correct what is no number, leave it empty, or take "
            f"all cells for words with --column {self.name}=category"
        )

    # ------------------------------------------------------------------ as the user says
    def _as_asked(self, asked: Asked) -> Column:
        kind = asked.kind
        if kind == "date":
            return self._asked_dates()
        if kind in ("real", "integer"):
            return self._asked_number(kind)
        if asked.levels is not None:
            return self._in_order(asked.levels)
        used: Any = np.unique(self.known)
        if kind == "ordinal" and self.cells.words is not None and not self.cells.ordered:
            numbers = [number for k in used if (number := to_number(self.cells.words[int(k)])) is not None]
            if len(numbers) < len(used):
                some = "<".join(self.cells.words[int(k)] for k in used[:4])
                raise self.error(f"holds words: say their order, --column {self.name}=ordinal:{some}")
            used = used[np.argsort(numbers)]
        if kind == "binary" and len(used) != 2:
            raise self.error(f"has {len(used):,} different values, and a binary one has 2")
        if self.cells.time:
            raise self.error("holds dates, which have no levels")
        return self._levels(kind, used)

    def _asked_number(self, kind: str) -> Column:
        if self.cells.words is not None:
            odd = next((word for word in self.cells.words if to_number(word) is None), self.cells.words[0])
            raise self.error(f"cannot be {kind}: {odd!r} is no number")
        if kind == "integer" and not _whole(self.known):
            odd = self.known[self.known != np.rint(self.known)][0]
            raise self.error(f"cannot be integer: {odd:g} is not a whole number")
        return self._plain(kind)

    def _asked_dates(self) -> Column:
        if self.cells.time:
            return self._dates(self.values)
        words = self.cells.words or [name_number(value) for value in self.known[:1]]
        times = parse_times(words)
        if times is None:
            odd = next(word for word in words if parse_times([word]) is None)
            raise self.error(f"cannot be a date: {odd!r} is none: write 2024-05-31 or 2024-05-31 18:30:00")
        return self._dates(_taken(times, self.values))

    def _in_order(self, levels: tuple[str, ...]) -> Column:
        """An ordinal column with levels in the order given."""
        words = self.cells.words or [name_number(value) for value in np.unique(self.known)]
        if others := [word for word in words if word not in levels]:
            raise self.error(f"has levels that are not in the order given: {', '.join(others[:10])}")
        return self._column("ordinal", 0, len(levels) - 1, levels=levels)

    # ------------------------------------------------------------------ the columns
    def _column(self, kind: Any, low: float, high: float, **more: Any) -> Column:
        return Column(
            name=self.name,
            kind=kind,
            dtype=self.dtype,
            low=float(low),
            high=float(high),
            missing=self.missing,
            **more,
        )

    def _levels(self, kind: str, used: Any) -> Column:
        """A column with levels: words in alphabetical order, unless they have one of their own; numbers in theirs."""
        words = self.cells.words
        levels = [name_number(value) if words is None else words[int(value)] for value in used]
        if words is not None and kind != "ordinal":
            levels.sort()
        return self._column(kind, 0, len(levels) - 1, levels=tuple(levels))

    def _plain(self, kind: str) -> Column:
        some = some_of(self.known)[:, None]
        offsets, hopeless = offsets_of(some)
        warn_merged(self.raw.name, [self.name] if hopeless[0] else [])
        return self._column(
            kind,
            self.known.min(),
            self.known.max(),
            decimals=decimals_of(some)[0],
            offset=float(offsets[0]),
        )

    def _dates(self, seconds: np.ndarray) -> Column:
        """Times in the coarsest unit in which all of them are whole, less an offset if float32 would round them."""
        there = seconds[~np.isnan(seconds)]
        unit = next((unit for unit, length in UNITS.items() if (there % length == 0).all()), "second")
        known = seconds[self.train] / UNITS[unit]
        known = known[~np.isnan(known)]
        low, high = known.min(), known.max()
        whole = _whole(known)
        offset = 0.0 if whole and high < _EXACT else float(np.rint((low + high) / 2))
        if high - low > 2 * _EXACT or not whole:
            warn_merged(self.raw.name, [self.name])
        return self._column(
            "constant" if low == high else "date",
            low,
            high,
            decimals=0 if whole else None,
            offset=offset,
            unit=unit,
        )


def _whole(x: np.ndarray) -> bool:
    return bool((x == np.rint(x)).all() and (np.abs(x) < 2**53).all())


def _taken(times: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The times that codes stand for; NaN where there is none."""
    found = np.full(len(codes), np.nan)
    there = ~np.isnan(codes)
    found[there] = times[codes[there].astype(np.int64)]
    return found
