"""Check the shape and dtype of arrays of rows, before any value is read."""

from __future__ import annotations

import numpy as np

from plausible.errors import PlausibleError

__all__ = ["SPLITS", "check_form", "layout"]

_LAYOUTS = "(rows, columns), (rows, height, width), or with 1 or 3 channels before or after height and width"
SPLITS = ("train", "valid", "test")


def check_form(what: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Check that an array of this shape and dtype can hold rows.

    Raises:
        PlausibleError: no numbers, a shape that `layout` refuses, or no rows.
    """
    if dtype.hasobject:
        raise PlausibleError(
            f"{what} holds pickled Python objects, which are never loaded: save numbers, array.astype(np.float32)"
        )
    if dtype.kind not in "buif":
        raise PlausibleError(f"{what} holds {dtype}, not real numbers: convert it, for instance to float32")
    layout(what, shape)
    if not shape[0]:
        raise PlausibleError(f"{what} has no rows (its shape is {shape}): check how it was saved")
    if 0 in shape:
        raise PlausibleError(f"{what} has empty rows (its shape is {shape}): check how it was saved")


def layout(what: str, stored: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Stored shape → (shape of an example, whether channels are last); channels first if both are possible.

    Raises:
        PlausibleError: the shape is none of those that rows may have.
    """
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
    raise PlausibleError(f"{what} has shape {stored}, which is none of {_LAYOUTS}: {fix}")
