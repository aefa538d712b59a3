"""Labels of any kind become numbers 0 … K-1 and the names they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plausible.errors import PlausibleError

FIX = "one label a row: whole numbers, bools or text"


def numbered(name: str, y: Any, rows: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as they came → (0 … K-1, (N,), int64; the K names, in order of number or alphabet).

    Args:
        name: what errors call the data.
        y: an array, list, tensor or Series of whole numbers, bools or text, (N,) or (N, 1).
        rows: how many there must be.

    Raises:
        PlausibleError: another shape, another number of rows, a missing label, a number that is not whole.
    """
    values = plain(name, y)
    if len(values) != rows:
        raise PlausibleError(f"{name}: x has {rows} rows and y {len(values)} labels: give one label a row")
    kinds, numbers = np.unique(values, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64), tuple(str(kind) for kind in kinds)


def plain(name: str, y: Any) -> np.ndarray:
    """Labels as (N,) int64 or text.

    Raises:
        PlausibleError: as `numbered`.
    """
    if hasattr(y, "detach"):  # a tensor, wherever it is
        y = y.detach().cpu()
    try:
        values = np.asarray(y)
    except (TypeError, ValueError, RuntimeError) as error:
        raise PlausibleError(f"{name}: y cannot be read ({error}): give {FIX}") from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise PlausibleError(f"{name}: y has shape {values.shape}: give {FIX}")
    if values.dtype.kind == "O":
        values = _of_objects(name, list(values))
    if values.dtype.kind == "f":
        return _whole(name, values)
    if values.dtype.kind in "bui":
        return values if values.dtype == np.uint64 else values.astype(np.int64)
    if values.dtype.kind in "UT" and isinstance(y, (list, tuple)):
        values = _of_objects(name, list(y))  # NumPy turns numbers among words into text
    if values.dtype.kind in "UT":
        return values.astype(str)
    raise PlausibleError(f"{name}: y holds {values.dtype}: give {FIX}")


def _of_objects(name: str, values: list[Any]) -> np.ndarray:
    missing = [i for i, value in enumerate(values) if value is None or value != value or str(value) == "<NA>"]
    if missing:
        raise PlausibleError(
            f"{name}: the label of row {missing[0]} (counted from 0) is missing: drop the row"
        )
    words = sum(isinstance(value, str) for value in values)
    if words == len(values):
        return np.array(values, dtype=str)
    if words:
        raise PlausibleError(f"{name}: y holds numbers and text: give {FIX}")
    try:
        return np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        raise PlausibleError(f"{name}: y holds {kinds}: give {FIX}") from error


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~(np.abs(values) < 2**53) | (values != np.rint(values)))
    if len(bad):
        value = values[bad[0]]
        what = "missing: drop the row" if np.isnan(value) else f"{value}: give {FIX}"
        raise PlausibleError(f"{name}: the label of row {bad[0]} (counted from 0) is {what}")
    return values.astype(np.int64)


def of_text(cells: Sequence[str]) -> np.ndarray:
    """A column of text: whole numbers where every cell is one, else the text itself, stripped; (N,)."""
    texts = [cell.strip() for cell in cells]
    try:
        if not any("_" in text for text in texts):
            numbers = np.array([float(text) for text in texts])
            if (np.abs(numbers) < 2**53).all() and (numbers == np.rint(numbers)).all():
                return numbers.astype(np.int64)
    except ValueError:
        pass  # some cell is a word: all stay text
    return np.array(texts, dtype=str)
