"""One pass over all values: check that they are finite, find their range, whether they are binary, and their hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from plausible.data.raw import Raw
from plausible.errors import PlausibleError

__all__ = ["Summary", "scan_values"]

_WIDE = 512
_MIXED = '; NaN is a missing cell with view="domain=mixed", of a file with :domain=mixed'


@dataclass
class Summary:
    """Statistics of the values, for each column of a table, (d,), or for all pixels together, (1,).

    Attributes:
        low, high: the smallest and the largest value of all rows.
        train_low, train_high: the same of the training rows.
        binary: whether every value is 0 or 1.
    """

    low: np.ndarray
    high: np.ndarray
    train_low: np.ndarray
    train_high: np.ndarray
    binary: np.ndarray


def scan_values(raw: Raw, train: np.ndarray | None = None, digest: Any = None) -> Summary:
    """Read every value once, a megabyte at a time.

    Args:
        raw: the rows.
        train: mask of the training rows, (N,), bool; None: all.
        digest: a hashlib object that is updated with all values in order.

    Raises:
        PlausibleError: NaN or infinity, with row and column.
    """
    width = 1 if raw.picture else raw.shape[0]
    found = Summary(
        *(np.full(width, start) for start in (np.inf, -np.inf, np.inf, -np.inf)), np.ones(width, bool)
    )
    row = 0
    for what, start, block in raw.blocks():
        if digest is not None:
            digest.update(block.reshape(-1).view(np.uint8).data)
        rows = block.reshape(-1, 1) if raw.picture else block
        chosen = None if train is None else train[row : row + len(block)]
        low, high = _add(found, rows if not raw.picture else block.reshape(len(block), -1), chosen)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise _not_finite(raw, what, start, block)
        _still_binary(found.binary, rows, low, high)
        row += len(block)
    return found


def _add(found: Summary, rows: np.ndarray, train: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Widen the ranges by a block, (b, d), and return its own smallest and largest values."""
    pieces = [(rows, True)] if train is None or train.all() else [(rows[train], True), (rows[~train], False)]
    lows, highs = [], []
    for piece, is_train in pieces:
        if not len(piece):
            continue
        low, high = _extent(piece, len(found.low))
        if is_train:
            np.minimum(found.train_low, low, out=found.train_low)
            np.maximum(found.train_high, high, out=found.train_high)
        lows.append(low)
        highs.append(high)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    np.minimum(found.low, low, out=found.low)
    np.maximum(found.high, high, out=found.high)
    return low, high


def _extent(rows: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each column, or of all values where width is 1; float64."""
    if rows.dtype == np.float16:
        rows = rows.astype(np.float32)
    if width == 1:
        return np.array([rows.min()], np.float64), np.array([rows.max()], np.float64)
    fold = max(
        1, _WIDE // width
    )  # narrow tables: reduce many rows side by side, since NumPy loops over each row
    full = len(rows) // fold * fold
    ends = []
    for reduce in (np.minimum.reduce, np.maximum.reduce):
        parts = [reduce(rows[full:], axis=0)] if full < len(rows) else []
        if full:
            wide = reduce(rows[:full].reshape(-1, fold * width), axis=0)
            parts.append(reduce(wide.reshape(fold, width), axis=0))
        ends.append(reduce(np.stack(parts), axis=0).astype(np.float64))
    return ends[0], ends[1]


def _still_binary(binary: np.ndarray, rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Set to False, in place, the columns that contain anything but 0 and 1."""
    binary &= (low >= 0) & (high <= 1)
    if rows.dtype.kind in "bui" or not binary.any():
        return
    here = rows if binary.all() else rows[:, binary]
    binary[binary] = ((here == 0) | (here == 1)).all(axis=0)


def _not_finite(raw: Raw, what: str, start: int, block: np.ndarray) -> PlausibleError:
    """The error that names the first NaN or infinity of a block."""
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(block))[0])
    where = raw.where(place[1:])
    return PlausibleError(
        f"{what}: row {start + place[0]}, {where} is {block[place]}: drop the row or fill the value in"
        f"{_MIXED if np.isnan(block[place]) and not raw.picture else ''}"
    )
