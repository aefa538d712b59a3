"""Decide the domain of data once, by a fixed rule, and record it in the schema.

Pictures are unit, with bytes divided by 255. They are binary if every value is 0 or 1 (bytes, bools or floats), and
real if floats lie outside [0, 1]. A table is typed by column: a column of only 0 and 1 is binary, any other is real,
and the table is binary if every column is. That all values of a table lie in [0, 1] proves nothing about the next row.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from plausible.data.raw import Raw
from plausible.data.rows import FLOAT32_MAX, StoredRows, take_rows
from plausible.data.scan import Summary
from plausible.data.spec import Spec
from plausible.errors import PlausibleError
from plausible.schema import Column, Domain, Schema

__all__ = [
    "BYTE_SCALE",
    "REAL_MODELS",
    "Decision",
    "build_schema",
    "column_decimals",
    "column_offsets",
    "decide_domain",
    "decimals_of",
    "offsets_of",
    "some_of",
    "warn_merged",
]

BYTE_SCALE = 255.0
_DECIMALS, _FEW = 6, 64
_SAMPLE = 4096
_LOST = 0.01
"""The share of distinct values that float32 may merge before a column is centred."""
REAL_MODELS = "a model of real values, such as rnade, vae or gan"


@dataclass(frozen=True)
class Decision:
    """How models see the values.

    Attributes:
        domain: the domain of values / scale.
        rule: the reason, in words.
        scale: stored values are divided by this.
    """

    domain: Domain
    rule: str
    scale: float = 1.0


def decide_domain(raw: Raw, found: Summary, spec: Spec) -> Decision:
    """The domain by the rule above, or the one a view asks for.

    Raises:
        PlausibleError: values that are not in the domain asked for, that cannot be binarized, or beyond float32.
    """
    decision = _asked(raw, found, spec) if spec.domain else _found(raw, found)
    if max(-found.low.min(), found.high.max()) > FLOAT32_MAX:
        where, value = _first(raw, lambda block: np.abs(block) > FLOAT32_MAX)
        raise PlausibleError(f"{where} is {value}: too large for float32: rescale it")
    if spec.binarization:
        decision = _check_probabilities(raw, found, spec, decision)
    return decision


def _found(raw: Raw, found: Summary) -> Decision:
    if raw.domain is not None:
        return Decision(raw.domain, f"{raw.name}: {raw.domain} by definition", raw.scale)
    binary = int(found.binary.sum())
    if not raw.picture:
        width = len(found.binary)
        if binary == width:
            return Decision("binary", "binary: every column holds only 0 and 1")
        return Decision("real", f"real: {width - binary} of {width} columns hold more than 0 and 1")
    if binary:
        return Decision("binary", "binary: every pixel is 0 or 1")
    if raw.values_dtype == np.uint8:
        return Decision("unit", "unit: pictures of bytes, divided by 255", BYTE_SCALE)
    if raw.values_dtype.kind == "f" and _in_unit(found):
        return Decision("unit", "unit: pictures with every value in [0, 1]")
    return Decision("real", f"real: pictures with values from {found.low[0]:g} to {found.high[0]:g}")


def _in_unit(found: Summary, scale: float = 1.0) -> bool:
    return bool(found.low.min() >= 0 and found.high.max() <= scale)


def _asked(raw: Raw, found: Summary, spec: Spec) -> Decision:
    """The domain that the view `:domain=` asks for."""
    domain, scale = spec.domain, raw.scale
    assert domain is not None  # noqa: S101 - by the caller
    bytes_ = raw.values_dtype == np.uint8
    if raw.domain is None and bytes_ and (domain == "unit" or (raw.picture and domain == "real")):
        scale = BYTE_SCALE
    if domain == "binary" and not found.binary.all():
        where, value = _first(raw, lambda block: (block != 0) & (block != 1))
        raise PlausibleError(
            f"data {spec}: {where} is {value}, and binary values are 0 and 1: drop :domain=binary"
        )
    if domain == "unit" and not _in_unit(found, scale):
        where, value = _first(raw, lambda block: (block < 0) | (block > scale))
        raise PlausibleError(
            f"data {spec}: {where} is {value}, and unit values lie in [0, 1]: drop :domain=unit, or rescale them"
        )
    return Decision(
        domain, f"{domain}: as the view :domain={domain} says", 1.0 if domain == "binary" else scale
    )


def _check_probabilities(raw: Raw, found: Summary, spec: Spec, decision: Decision) -> Decision:
    """The decision for binarized values, after a check that they can serve as probabilities.

    Raises:
        PlausibleError: they are outside [0, 1], or binary already.
    """
    view, name = spec.binarization, raw.name
    if decision.domain == "binary":
        raise PlausibleError(f"data {spec}: {name} is binary already: drop :{view}")
    if not _in_unit(found, decision.scale):
        grey = raw.values_dtype == np.uint8
        way = f"write :domain=unit:{view} if they are grey levels of 0 to 255, or " if grey else ""
        raise PlausibleError(
            f"data {spec}: :{view} samples 0 or 1 with the value as probability, and {name} has values from "
            f"{found.low.min() / decision.scale:g} to {found.high.max() / decision.scale:g}: "
            f"{way}drop :{view} and train {REAL_MODELS}"
        )
    return Decision(
        "unit", f"binary: 0 or 1 sampled with the value as probability, as :{view} says", decision.scale
    )


def _first(raw: Raw, wrong) -> tuple[str, object]:
    found = raw.first(wrong)
    if found is None:
        raise PlausibleError(f"{raw.name}: the values changed while they were read: read them again")
    return found


def column_offsets(raw: Raw, train: np.ndarray, decision: Decision) -> np.ndarray | None:
    """What to subtract from each column, (d,), float64, where float32 would merge distinct values; None: nothing.

    Based on up to 2 × 4,096 training rows: the last ones, and evenly spaced ones. If centring does not help, a warning
    names the column.

    Args:
        raw: the rows.
        train: mask of the training rows, (N,), bool.
        decision: the domain; only real tables are centred.
    """
    kind = raw.values_dtype
    exact = kind == np.float32 or kind.itemsize < 4 or kind.kind == "b"
    if raw.picture or decision.domain != "real" or decision.scale != 1 or exact:
        return None
    offsets, hopeless = offsets_of(_sampled(raw, train).astype(np.float64))
    warn_merged(raw.name, [raw.feature_names[i] for i in np.flatnonzero(hopeless)])
    return offsets if offsets.any() else None


def offsets_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from each column, (n, d), so that float32 tells its values apart, (d,): 0 where nothing need be.

    And whether float32 merges some of them all the same, (d,), bool.
    """
    before = _merged(x, np.zeros(x.shape[1]))
    lost = before > _LOST
    if not lost.any():
        return np.zeros(x.shape[1]), lost
    centre = np.where(lost, np.median(x, axis=0), 0.0)
    centre = np.where((x == np.rint(x)).all(axis=0), np.rint(centre), centre)
    after = _merged(x, centre)
    return np.where(after < before, centre, 0.0), lost & (after > _LOST)


def warn_merged(name: str, columns: Sequence[str]) -> None:
    """Warn of columns whose values float32 merges even after centring."""
    if columns:
        warnings.warn(
            f"{name}: float32 cannot tell all values of {_listed(columns)} apart, even after "
            "subtracting their median: subtract a constant or rescale",
            stacklevel=3,
        )


def column_decimals(raw: Raw, train: np.ndarray, decision: Decision) -> tuple[int | None, ...]:
    """Digits after the decimal point of each column, 0 to _DECIMALS; None where there are more. () of other data.

    Based on the training rows that `column_offsets` looks at. Values that float32 gave count as what they were written
    as: 0.1 has one digit.

    Args:
        raw: the rows.
        train: mask of the training rows, (N,), bool.
        decision: the domain; only columns of real tables have digits.
    """
    if raw.picture or decision.domain != "real":
        return ()
    return decimals_of(_sampled(raw, train))


def decimals_of(x: np.ndarray) -> tuple[int | None, ...]:
    """Digits after the decimal point of each column, (n, d), 0 to _DECIMALS; None where there are more."""
    precision = np.finfo(x.dtype).eps if x.dtype.kind == "f" else 0.0

    def whole(x: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray]:
        """Whether values times 10^digits are whole, and how far they may be from it by rounding, for each column."""
        scaled = x.astype(np.float64) * 10.0**digits
        rounding = 4 * precision * np.abs(scaled).max(axis=0)
        return np.abs(scaled - np.rint(scaled)).max(axis=0) <= rounding, rounding

    found = np.full(x.shape[1], -1)
    few = np.flatnonzero(whole(x[:_FEW], _DECIMALS)[0])  # a few rows rule out most columns that have more
    for digits in reversed(range(_DECIMALS + 1)):
        holds, rounding = whole(x[:, few], digits)
        found[few[holds & (rounding < 0.01)]] = digits
    return tuple(None if digits < 0 else int(digits) for digits in found)


def _sampled(raw: Raw, train: np.ndarray) -> np.ndarray:
    """Up to 2 × _SAMPLE training rows, in order."""
    return take_rows(tuple(raw.parts.values()), some_of(np.flatnonzero(train)))


def some_of(rows: np.ndarray) -> np.ndarray:
    """Up to 2 × _SAMPLE rows, (n, …), in order: the last ones, and evenly spaced ones."""
    places = np.arange(len(rows))
    return rows[np.unique(np.concatenate([places[-_SAMPLE:], places[:: max(1, len(rows) // _SAMPLE)]]))]


def _merged(x: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The share of each column's distinct values, (n, d), that (x − centre) in float32 no longer tells apart."""
    distinct = _distinct(x)
    with np.errstate(over="ignore"):
        return 1 - _distinct((x - centre).astype(np.float32)) / distinct


def _distinct(x: np.ndarray) -> np.ndarray:
    return 1 + (np.diff(np.sort(x, axis=0), axis=0) != 0).sum(axis=0)


def _listed(names: Sequence[str]) -> str:
    return ("columns " if len(names) > 1 else "column ") + ", ".join(repr(name) for name in names)


def build_schema(
    raw: Raw,
    found: Summary,
    decision: Decision,
    table: StoredRows,
    binarization: str | None,
    decimals: Sequence[int | None] = (),
    dropped: tuple[str, ...] = (),
) -> Schema:
    """The schema that a run stores with its data.

    Args:
        raw, found, decision: the rows as they came, the summary of their values, and how models see them.
        table: the same rows as stored.
        binarization: the view that binarizes, if any.
        decimals: digits after the decimal point of each column; empty: not known.
        dropped: columns that were left out.
    """
    low, high = found.train_low, found.train_high
    seen = np.zeros(1) if table.offset is None else table.offset
    ends = ((low - seen) / decision.scale, (high - seen) / decision.scale)
    return Schema(
        shape=table.shape,
        domain="binary" if binarization else table.domain,
        rule=decision.rule,
        container=raw.container,
        dtype=raw.dtype or str(raw.values_dtype),
        layout=raw.stored,
        scale=decision.scale,
        columns=None if raw.picture else _columns(raw, found, decision, table, decimals),
        named=raw.columns is not None,
        numbered=raw.numbered,
        mode=_mode(table.shape) if raw.picture else None,
        fit=raw.fit,
        low=0.0 if binarization else float(ends[0].min()),
        high=1.0 if binarization else float(ends[1].max()),
        labels=table.labels,
        target=raw.target,
        dropped=dropped,
    )


def _mode(shape: tuple[int, ...]) -> Literal["L", "RGB"]:
    return "RGB" if shape[0] == 3 else "L"


def _columns(
    raw: Raw, found: Summary, decision: Decision, table: StoredRows, decimals: Sequence[int | None]
) -> tuple[Column, ...]:
    width = table.shape[0]
    names = raw.columns or tuple(f"x{i}" for i in range(width))
    dtypes = raw.dtypes or (raw.dtype or str(raw.values_dtype),) * width
    return tuple(
        Column(
            name=names[i],
            kind="binary"
            if found.binary[i] and decision.domain != "unit"
            else "integer"
            if decimals and decimals[i] == 0
            else "real",
            dtype=dtypes[i],
            low=float(found.train_low[i]),
            high=float(found.train_high[i]),
            decimals=decimals[i] if decimals else None,
            offset=0.0 if table.offset is None else float(table.offset[i]),
        )
        for i in range(width)
    )
