"""Between the data's own scale and the networks'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from plausible.game import Domain
from plausible.models.statistics import moments

__all__ = ["Scaling", "unit_of"]

ROUNDING = 1e-7
"""Of float32: a feature whose standard deviation is at most this share of its mean is constant."""


class Scaling(nn.Module):
    """Real-valued data are standardised by the training rows; binary and unit-interval data stay as they are.

    A feature that is constant in the training rows is only centred: divided by next to nothing, one other value in a
    later row would outweigh all other features.

    Args:
        shape: Shape of one example.
        domain: Domain of its values.

    Attributes:
        seen: shape of an example as networks see it.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int], domain: Domain) -> None:
        super().__init__()
        self.shape, self.domain = tuple(shape), domain
        self.seen = self.shape
        size = torch.Size(self.shape).numel()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, data: Any) -> Tensor:
        """Learn the scale; returns the mean of the scaled training rows, (features,)."""
        mean, deviation = moments(data)
        if self.domain != "real":
            return mean
        self.mean.copy_(mean)
        self.deviation.copy_(unit_of(mean, deviation))
        return torch.zeros_like(mean)

    def inward(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, features) as the networks see it."""
        return (x.flatten(1) - self.mean) / self.deviation

    def outward(self, x: Tensor) -> Tensor:
        """(B, features) → (B, *shape) in the data's domain."""
        x = (x * self.deviation + self.mean).unflatten(1, self.shape)
        return x if self.domain == "real" else x.clamp(0, 1)

    def log_volume(self) -> Tensor:
        """log |∂inward/∂x| = −Σ log deviation, (): what a density gains on the way in."""
        return -self.deviation.log().sum()


def unit_of(mean: Tensor, deviation: Tensor) -> Tensor:
    """What features are divided by: their standard deviation, 1 where they are constant up to rounding."""
    return torch.where(deviation <= ROUNDING * mean.abs(), 1.0, deviation.clamp_min(1e-6))
