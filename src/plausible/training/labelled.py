"""The few labelled rows of a semi-supervised game: which they are, and their own stream of minibatches."""

from __future__ import annotations

from typing import Any

import numpy as np

from plausible.errors import PlausibleError
from plausible.training.seeding import Minibatches, hash32

__all__ = ["LabelledRows", "chosen"]


class LabelledRows:
    """n training rows whose labels the game may see, as many of each class as of any other.

    Which ones follows from the seed alone. They come in minibatches of their own, in the order of one permutation of
    (seed, pass over them), so that a resumed training sees the same.

    Args:
        rows: the training rows.
        n: how many have their label shown; where the classes do not divide it, some have one more.
        batch: rows of a minibatch, at most.
        shards: pieces that each minibatch is cut into.
        seed: of the choice and of the order.

    Raises:
        PlausibleError: the rows have no labels, too few of a class, or there are fewer labels than shards.
    """

    def __init__(self, rows: Any, n: int, batch: int, shards: int, seed: int) -> None:
        if n < shards:
            raise PlausibleError(
                f"--labels {n} leaves nothing for some of --shards {shards}: give fewer shards"
            )
        self.ids, self._rows, self._seed, self._shards = chosen(rows.y, n, seed), rows, seed, shards
        self._minibatches = Minibatches(hash32(seed, "labelled"), n, min(batch, n))

    def take(self, tick: int, shard: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """One shard of the minibatch of a tick, counted from 1: x, (rows, *shape), float32, and y, (rows,), int64."""
        rows = self.ids[self._minibatches.rows(tick, shard, self._shards)]
        x, y = self._rows.take(rows, seed=hash32(self._seed, tick, "labelled"))
        return x, y


def chosen(y: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """Places of n rows, balanced over the classes, sorted, (n,), int64.

    Raises:
        PlausibleError: there are no labels, fewer than one a class asked for, or too few of a class.
    """
    if y is None:
        raise PlausibleError(
            f"--labels {n} needs labels and the data have none: take data with labels (an .npz with y), or --labels 0"
        )
    rng = np.random.default_rng(hash32(seed, "labels"))
    classes = rng.permutation(np.unique(y))
    if n < len(classes):
        raise PlausibleError(
            f"--labels {n} is less than one of each of the {len(classes)} classes: give more, or 0"
        )
    share, rest = divmod(n, len(classes))
    found = []
    for place, label in enumerate(classes):
        wanted = share + (place < rest)
        has = np.flatnonzero(y == label)
        if len(has) < wanted:
            raise PlausibleError(
                f"--labels {n} needs {wanted} rows of class {label}, and the training rows have {len(has)}: give fewer"
            )
        found.append(rng.permutation(has)[:wanted])
    return np.sort(np.concatenate(found))
