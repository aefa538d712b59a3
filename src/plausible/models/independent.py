"""All variables independent: the notes' n parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor

from plausible.game import Domain
from plausible.models.explicit import Explicit, log_bernoulli, marginal_logits
from plausible.models.ordering import Ordering

__all__ = ["Independent"]


class Independent(Explicit):
    """Independent pixels: p(x) = Π_i p_i^x_i (1 − p_i)^(1 − x_i), fitted in closed form.

    p_i = (ones_i + a)/(N + 2a), the largest likelihood at a = 0. There is nothing to train: counting is all.

    Args:
        smoothing: a > 0, the pseudo-count of each value of each variable; 1 is Laplace's rule.
        ordering: Order of the terms; the density does not depend on it.
        ordering_seed: Seed of the random ordering.
    """

    logits: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        smoothing: PositiveFloat = 1.0,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        self.smoothing = smoothing
        self.register_buffer("logits", torch.zeros(self.size))

    def prepare(self, data: Any) -> None:
        """Count."""
        self.logits.copy_(marginal_logits(data, self.order, self.smoothing))

    def terms(self, x: Tensor) -> Tensor:
        return log_bernoulli(self.logits, x)

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        return torch.where(given, x, self.sample_rest(x, 0))

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        drawn = torch.bernoulli(self.logits.sigmoid().expand_as(x))
        return torch.cat([x[:, :known], drawn[:, known:]], 1)

    @property
    def free_parameters(self) -> int:
        return self.logits.numel()

    @property
    def formula(self) -> str:
        return f"n = {self.size}"
