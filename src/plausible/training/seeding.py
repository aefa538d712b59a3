"""Nothing random is state: every draw follows from (seed, what it is for, where in the run it happens)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator

import numpy as np
import torch

__all__ = ["Minibatches", "hash32", "own_randomness", "permutation", "seed_torch"]


def hash32(*parts: int | str) -> int:
    """A 32-bit hash of its arguments: all that torch's CPU generator keeps of a seed."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed the generators that a loss on `device` draws from."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would visit every backend, 80 µs a call
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Generator[None]:
    """Leave torch's global random state afterwards as it was before."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


class Minibatches:
    """Which rows the minibatch of a tick holds: each epoch is one permutation of (seed, epoch), cut into batches.

    Args:
        seed: of the permutations.
        n: rows; what is left over of an epoch is dropped.
        batch: rows a tick, at most n.

    Attributes:
        epoch_ticks: ticks of an epoch.
    """

    def __init__(self, seed: int, n: int, batch: int) -> None:
        self.epoch_ticks = n // batch
        self._seed, self._n, self._batch = seed, n, batch
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def rows(self, tick: int, shard: int, shards: int) -> np.ndarray:
        """Places of the rows of one shard of a tick, counted from 1, int64."""
        epoch, position = divmod(tick - 1, self.epoch_ticks)
        if self._order[0] != epoch:
            self._order = (epoch, permutation(self._seed, epoch, self._n))
        whole = self._order[1][position * self._batch : (position + 1) * self._batch]
        return np.array_split(whole, shards)[shard]


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of the n rows in one epoch, (n,) int64."""
    return np.random.default_rng([seed, epoch]).permutation(n)
