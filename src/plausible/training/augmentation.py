"""Change the pictures of a minibatch at random: more pictures than there are, where a set is small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plausible.errors import PlausibleError

__all__ = ["AUGMENTATIONS", "augmented", "parse_augmentations"]

AUGMENTATIONS = ("flip", "shift")
"""flip: left and right change places, in half of the rows. shift: by up to an eighth of the sides, each way."""
REACH = 8
"""A shift is at most a side divided by this."""


def parse_augmentations(given: str | Sequence[str]) -> tuple[str, ...]:
    """ "flip,shift" or ["flip", "shift"] → the names, in the order of `AUGMENTATIONS`.

    Raises:
        PlausibleError: there is no such augmentation.
    """
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise PlausibleError(
            f"--augment {unknown[0]}: choose among {', '.join(AUGMENTATIONS)}, joined by commas"
        )
    return tuple(name for name in AUGMENTATIONS if name in names)


def augmented(x: np.ndarray, names: Sequence[str], seed: int) -> np.ndarray:
    """Pictures, (B, channels, height, width), each changed at random; the pixels at an edge are repeated beyond it.

    Args:
        x: the pictures; returned as they are without names.
        names: of `AUGMENTATIONS`.
        seed: what is done follows from it, the names and the number of pictures alone.
    """
    if not names:
        return x
    draw = np.random.default_rng(seed)
    n, channels, height, width = x.shape
    down, across = (np.arange(side)[None].repeat(n, 0) for side in (height, width))
    if "flip" in names:
        turned = draw.random(n) < 0.5
        across[turned] = across[turned, ::-1]
    if "shift" in names:
        down, across = (_shifted(places, side, draw) for places, side in ((down, height), (across, width)))
    rows, layers = np.arange(n)[:, None, None, None], np.arange(channels)[None, :, None, None]
    return np.ascontiguousarray(x[rows, layers, down[:, None, :, None], across[:, None, None, :]])


def _shifted(places: np.ndarray, side: int, draw: np.random.Generator) -> np.ndarray:
    """Where each pixel comes from along one side, (n, side), moved by a whole number of pixels for each picture."""
    most = side // REACH
    moves = draw.integers(-most, most, len(places), endpoint=True)
    return np.clip(places + moves[:, None], 0, side - 1)
