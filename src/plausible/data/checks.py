"""What arrays of rows may look like: known from a header, before any value is read."""

from __future__ import annotations

import numpy as np

from plausible.errors import PlausibleError

LAYOUTS = "(rows, columns), (rows, height, width), or with 1 or 3 channels before or after height and width"
SPLITS = ("train", "valid", "test")


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
