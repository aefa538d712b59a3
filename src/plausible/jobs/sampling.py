"""Sample a model with a seed, in blocks, without touching torch's random state."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import GenerativeModel, device_of
from plausible.training.seeding import hash32, own_randomness, seed_torch

__all__ = ["BLOCK", "sample_blocks", "sample_model"]

BLOCK = 1000


def sample_blocks(
    model: GenerativeModel, n: int, *, seed: int = 0, y: Tensor | None = None, first: int = 0
) -> Iterator[Tensor]:
    """n samples in blocks of at most BLOCK, (B, *shape), on the processor; torch's random state is kept.

    Args:
        model: that is sampled.
        n: how many.
        seed: random seed; the samples of a block follow from it and from where the block begins.
        y: the samples' classes, (n,), int64; without, a conditional model samples them too.
        first: leave out the blocks before this one.

    Raises:
        PlausibleError: n < 1, a y that is not n classes, or one of a model that is not conditional.
    """
    if n < 1:
        raise PlausibleError(f"n must be at least 1, not {n}")
    if y is not None and tuple(y.shape) != (n,):
        raise PlausibleError(f"y must be {n} classes, one for each sample, not of shape {tuple(y.shape)}")
    device = device_of(model)
    for start in range(first * BLOCK, n, BLOCK):
        labels = None if y is None else y[start : start + BLOCK]
        with own_randomness(device):
            seed_torch(hash32(seed, "sample", start), device)
            block = model.sample(min(BLOCK, n - start), y=labels).cpu()
        yield block


def sample_model(model: GenerativeModel, n: int, *, seed: int = 0, y: Tensor | None = None) -> Tensor:
    """`sample_blocks` in one tensor, (n, *shape)."""
    return torch.cat(list(sample_blocks(model, n, seed=seed, y=y)))
