"""All variables independent: the notes' n parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor

from plausible.game import Domain
from plausible.models.explicit import Explicit, log_bernoulli, marginal_logits
from plausible.models.ordering import Ordering
from plausible.models.tabulated import ColumnTables

__all__ = ["Independent"]


class Independent(Explicit):
    """Independent pixels: p(x) = Π_i p_i^x_i (1 − p_i)^(1 − x_i), fitted in closed form.

    p_i = (ones_i + a)/(N + 2a), the largest likelihood at a = 0. There is nothing to train: counting is all.

    The columns of a mixed table are independent too, each with its own levels, missing cells and density of numbers:
    see `plausible.models.tabulated.ColumnTables`.

    Args:
        smoothing: a > 0, the pseudo-count of each value of each variable; 1 is Laplace's rule.
        ordering: Order of the terms; the density does not depend on it.
        ordering_seed: Seed of the random ordering.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "mixed")
    logits: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        column_levels: Sequence[int] | None = None,
        smoothing: PositiveFloat = 1.0,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        self.smoothing = smoothing
        self.tables = ColumnTables(column_levels or (0,) * self.size) if domain == "mixed" else None
        if self.tables is None:
            self.register_buffer("logits", torch.zeros(self.size))

    def prepare(self, data: Any) -> None:
        """Count."""
        if self.tables is not None:
            self.tables.fit(data, self.smoothing)
        else:
            self.logits.copy_(marginal_logits(data, self.order, self.smoothing))

    def terms(self, x: Tensor) -> Tensor:
        if self.tables is not None:
            return self.tables.log_prob(self.unordered(x).flatten(1))[:, self.order]
        return log_bernoulli(self.logits, x)

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        return torch.where(given, x, self.sample_rest(x, 0))

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        if self.tables is not None:
            drawn = self.tables.sample(len(x))[:, self.order]
        else:
            drawn = torch.bernoulli(self.logits.sigmoid().expand_as(x))
        return torch.cat([x[:, :known], drawn[:, known:]], 1)

    def kinks(self, i: int) -> Tensor:
        """Values of the i-th variable of the order where its density may jump, ascending; none of 0 and 1."""
        return torch.empty(0) if self.tables is None else self.tables.kinks(int(self.order[i]))

    @property
    def free_parameters(self) -> int:
        return self.logits.numel() if self.tables is None else self.tables.free_parameters

    @property
    def formula(self) -> str:
        if self.tables is None:
            return f"n = {self.size}"
        return f"levels, missing cells and knots of {self.size} columns = {self.tables.free_parameters}"
