"""Fully visible sigmoid belief network: each variable a logistic regression on those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn
from torch.nn.functional import linear

from plausible.game import Domain
from plausible.models.explicit import Learned, log_bernoulli, marginal_logits
from plausible.models.ordering import Ordering
from plausible.models.registry import Preset
from plausible.recipe import Recipe

__all__ = ["FVSBN"]


class FVSBN(Learned):
    """Logistic autoregression: p(x_i = 1 | x_<i) = sigmoid(b_i + Σ_{j<i} W_ij x_j), n(n + 1)/2 parameters.

    −log p is convex in W and b. It starts at the independent pixels. Sources: Frey, *Graphical Models for Machine
    Learning and Digital Communication*, 1998; as the baseline of Larochelle & Murray, 2011.

    Args:
        ordering: Order of the variables.
        ordering_seed: Seed of the random ordering.
        l2: λ of a penalty λ·Σ W², nats.
    """

    recipe = Recipe(lr=1e-2, lr_decay=1.0005)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset("Adam from 1e-2, falling slowly", training={"batch": 100}),
        "uci": Preset(
            "for a thousand rows or two: a penalty as chosen on the valid rows of UCI's dna",
            model={"l2": 1e-3},
            recipe={"lr_decay": 1.001},
            training={"batch": 100, "epochs": 300},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
        l2: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed, l2)
        self.weight = nn.Parameter(torch.zeros(self.size, self.size))
        self.bias = nn.Parameter(torch.zeros(self.size))

    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Start at the independent pixels."""
        self.bias.copy_(marginal_logits(data, self.order, 1.0))

    def terms(self, x: Tensor) -> Tensor:
        return log_bernoulli(linear(x, self.weight.tril(-1), self.bias), x)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        x = x.clone()
        for i in range(known, self.size):
            x[:, i] = torch.bernoulli((self.bias[i] + x[:, :i] @ self.weight[i, :i]).sigmoid())
        return x

    @property
    def free_parameters(self) -> int:
        return int(torch.ones_like(self.weight).tril(-1).sum()) + len(self.bias)

    @property
    def formula(self) -> str:
        return f"n(n + 1)/2 = {self.free_parameters} (n = {self.size})"
