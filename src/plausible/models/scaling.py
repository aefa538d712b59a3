"""Between the data's own scale and the networks'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from plausible.game import Domain
from plausible.models.statistics import moments

__all__ = ["Scaling"]

LEAST = 1e-6
"""The standard deviation of a feature that varies less, such as a constant one."""


class Scaling(nn.Module):
    """Real-valued data are standardised by the training rows; binary and unit-interval data stay as they are.

    Args:
        shape: Shape of one example.
        domain: Domain of its values.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int], domain: Domain) -> None:
        super().__init__()
        self.shape, self.domain = tuple(shape), domain
        size = torch.Size(self.shape).numel()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, data: Any) -> Tensor:
        """Learn the scale; returns the mean of the scaled training rows, (features,)."""
        mean, deviation = moments(data)
        if self.domain != "real":
            return mean
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(LEAST))
        return torch.zeros_like(mean)

    def inward(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, features) as the networks see it."""
        return (x.flatten(1) - self.mean) / self.deviation

    def outward(self, x: Tensor) -> Tensor:
        """(B, features) → (B, *shape) in the data's domain."""
        x = (x * self.deviation + self.mean).unflatten(1, self.shape)
        return x if self.domain == "real" else x.clamp(0, 1)

    @property
    def unit(self) -> Tensor:
        """The training rows' standard deviations, (features,); 1 for a constant feature, and for data not real."""
        return torch.where(self.deviation > LEAST, self.deviation, torch.ones_like(self.deviation))

    def log_volume(self) -> Tensor:
        """log |∂inward/∂x| = −Σ log deviation, (): what a density gains on the way in."""
        return -self.deviation.log().sum()
