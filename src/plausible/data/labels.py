"""Convert labels of any kind to class numbers 0 … K-1 and class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plausible.errors import PlausibleError

__all__ = ["encode_labels", "label_array", "parse_labels"]

_FIX = "one label per row: whole numbers, bools or text"


def encode_labels(name: str, y: Any, rows: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of any kind → (class numbers 0 … K-1, (N,), int64; the K names, in numerical or alphabetical order).

    Args:
        name: how errors refer to the data.
        y: an array, list, tensor or Series of whole numbers, bools or text, (N,) or (N, 1).
        rows: the number of labels there must be.

    Raises:
        PlausibleError: another shape, another number of rows, a missing label, a number that is not whole.
    """
    values = label_array(name, y)
    if len(values) != rows:
        raise PlausibleError(f"{name}: x has {rows} rows and y {len(values)} labels: give one label per row")
    kinds, numbers = np.unique(values, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64), tuple(str(kind) for kind in kinds)


def label_array(name: str, y: Any) -> np.ndarray:
    """Labels as an array, (N,), of int64 or text.

    Raises:
        PlausibleError: as in `encode_labels`.
    """
    if hasattr(y, "detach"):  # a tensor, wherever it is
        y = y.detach().cpu()
    try:
        values = np.asarray(y)
    except (TypeError, ValueError, RuntimeError) as error:
        raise PlausibleError(f"{name}: y cannot be read ({error}): give {_FIX}") from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise PlausibleError(f"{name}: y has shape {values.shape}: give {_FIX}")
    if values.dtype.kind == "O":
        values = _of_objects(name, list(values))
    if values.dtype.kind == "f":
        return _whole(name, values)
    if values.dtype.kind in "bui":
        return values if values.dtype == np.uint64 else values.astype(np.int64)
    if values.dtype.kind in "UT" and isinstance(y, (list, tuple)):
        values = _of_objects(name, list(y))  # NumPy converts numbers to text if some are text
    if values.dtype.kind in "UT":
        return values.astype(str)
    raise PlausibleError(f"{name}: y holds {values.dtype}: give {_FIX}")


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
        raise PlausibleError(f"{name}: y holds numbers and text: give {_FIX}")
    try:
        return np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        raise PlausibleError(f"{name}: y holds {kinds}: give {_FIX}") from error


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~(np.abs(values) < 2**53) | (values != np.rint(values)))
    if len(bad):
        value = values[bad[0]]
        what = "missing: drop the row" if np.isnan(value) else f"{value}: give {_FIX}"
        raise PlausibleError(f"{name}: the label of row {bad[0]} (counted from 0) is {what}")
    return values.astype(np.int64)


def parse_labels(cells: Sequence[str]) -> np.ndarray:
    """Labels from cells of text, (N,): whole numbers if every cell is one, otherwise the stripped text."""
    texts = [cell.strip() for cell in cells]
    try:
        if not any("_" in text for text in texts):
            numbers = np.array([float(text) for text in texts])
            if (np.abs(numbers) < 2**53).all() and (numbers == np.rint(numbers)).all():
                return numbers.astype(np.int64)
    except ValueError:
        pass  # some cell is not a number: all are text
    return np.array(texts, dtype=str)
