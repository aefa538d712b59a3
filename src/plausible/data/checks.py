"""From raw arrays to a table: what they may look like, and whether every value is one a model can eat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from plausible.data.rows import BLOCK_BYTES, Table
from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from plausible.game import Domain

LAYOUTS = "(rows, columns), (rows, height, width), or with 1 or 3 channels before or after height and width"
SPLITS = ("train", "valid", "test")


def table_of(name: str, arrays: Mapping[str, np.ndarray], *, y: np.ndarray | None = None) -> Table:
    """Check arrays and make one table of them.

    Args:
        name: the file, for errors.
        arrays: what errors call each → (n, *stored). Three arrays are train, valid and test.
        y: labels, (N,), of any integers.

    Raises:
        PlausibleError: an array that is no rows of numbers, arrays that do not fit together, NaN, infinity.
    """
    parts = list(arrays.values())
    for what, part in arrays.items():
        check_form(what, part.shape, part.dtype)
    first_name, first = next(iter(arrays.items()))
    for what, part in arrays.items():
        if (part.shape[1:], part.dtype) != (first.shape[1:], first.dtype):
            raise PlausibleError(
                f"{first_name} holds rows of {first.shape[1:]} {first.dtype} and {what} rows of "
                f"{part.shape[1:]} {part.dtype}: save the splits with one shape and one dtype"
            )
    shape, channels_last = layout(first_name, first.shape)
    domain = _domain(arrays)
    labels = None
    if y is not None:
        y, labels = _labels(name, y, sum(len(part) for part in parts))
    return Table(
        name,
        tuple(parts),
        shape,
        domain,
        255.0 if first.dtype == np.uint8 and domain == "unit" else 1.0,
        channels_last,
        y=y,
        labels=labels,
        ends=_ends(parts) if len(parts) == len(SPLITS) else None,
    )


def check_form(what: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Numbers, in rows, and some of them: known from a header, before any value is read."""
    if dtype.hasobject:
        raise PlausibleError(
            f"{what} holds pickled Python objects, which are never loaded: save numbers, array.astype(np.float32)"
        )
    if dtype.kind not in "buif":
        raise PlausibleError(
            f"{what} holds {dtype}: only real numbers will do: convert it, for instance to float32"
        )
    layout(what, shape)
    if not shape[0]:
        raise PlausibleError(f"{what} has no rows (its shape is {shape}): check how it was saved")
    if 0 in shape:
        raise PlausibleError(f"{what} has rows with nothing in them (its shape is {shape})")


def layout(what: str, stored: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Stored shape → (shape of an example, channels are last); channels first where both would do."""
    if len(stored) == 2:
        return (stored[1],), False
    if len(stored) == 3:
        return (1, *stored[1:]), False
    if len(stored) == 4 and stored[1] in (1, 3):
        return stored[1:], False
    if len(stored) == 4 and stored[3] in (1, 3):
        return (stored[3], stored[1], stored[2]), True
    fix = "reshape it"
    if len(stored) == 1:
        fix = "reshape it, .reshape(-1, 1) if each number is an example"
    raise PlausibleError(f"{what} has shape {stored}, which is none of {LAYOUTS}: {fix}")


def _ends(parts: list[np.ndarray]) -> tuple[int, int, int]:
    train, valid, test = (len(part) for part in parts)
    return train, train + valid, train + valid + test


def _labels(name: str, y: np.ndarray, rows: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Any integers → (0 … K-1, (N,), int64; the K integers as text, in order)."""
    if y.ndim != 1 or y.dtype.kind not in "bui":
        raise PlausibleError(
            f"{name}: y must be one integer a row and is {y.dtype} of shape {y.shape}: convert it"
        )
    if len(y) != rows:
        raise PlausibleError(f"{name}: x has {rows} rows and y {len(y)} labels: save one label a row")
    kinds, numbers = np.unique(y.astype(np.int64), return_inverse=True)
    return numbers.astype(np.int64), tuple(str(kind) for kind in kinds)


def _domain(arrays: Mapping[str, np.ndarray]) -> Domain:
    """Look at every value once, a few megabytes at a time."""
    binary, unit = True, True
    for what, array in arrays.items():
        for start, block in _blocks(array):
            x = _finite(what, start, block)
            binary = binary and bool(((x == 0) | (x == 1)).all())
            unit = unit and (array.dtype == np.uint8 or bool((x >= 0).all() and (x <= 1).all()))
            if array.dtype.kind in "bui" and not unit:
                break  # whole numbers are finite, and nothing else is left to find out
    return "binary" if binary else "unit" if unit else "real"


def _blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    size = max(1, BLOCK_BYTES // (4 * int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), size):
        yield start, array[start : start + size]


def _finite(what: str, start: int, block: np.ndarray) -> np.ndarray:
    """The block, in float32 unless it is bytes; an error where that is NaN or infinite."""
    if block.dtype.kind in "bui":
        return block
    with np.errstate(over="ignore", invalid="ignore"):
        x = block.astype(np.float32)
    if np.isfinite(x).all():
        return x
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
    where = f"column {place[1]}" if block.ndim == 2 else f"pixel {place[1:]}"
    value = block[place]
    fix = "drop the row or fill the value in"
    if np.isfinite(value):
        fix = "too large for float32: rescale it"
    raise PlausibleError(f"{what}: row {start + place[0]}, {where} (counted from 0) is {value}: {fix}")
