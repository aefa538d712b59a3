"""NADE: an autoregressive network whose conditionals share their weights and their hidden layer's sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from plausible.game import Domain
from plausible.models.explicit import Learned, log_bernoulli, marginal_logits
from plausible.models.ordering import Ordering
from plausible.models.registry import Preset
from plausible.nn import nade
from plausible.nn.nade import Activation
from plausible.recipe import Recipe


class NADE(Learned):
    """NADE (Larochelle & Murray, 2011): p(x_i = 1 | x_<i) = sigmoid(b_i + V_i·act(c + Σ_{j<i} x_j W_j)).

    One hidden layer for all n conditionals: 2nH + n + H parameters, and O(nH) work an example, where n separate
    networks would take O(n²H). On a CPU it runs as compiled code where numba is
    installed (`plausible.nn.nade`).

    Args:
        hidden: Number H of hidden units.
        activation: Activation act: relu, or the paper's sigmoid.
        ordering: Order of the variables.
        ordering_seed: Seed of the random ordering.
        l2: λ of a penalty λ·Σ w², nats, over W and V.
    """

    recipe = Recipe(lr=3e-3, lr_decay=1.0002)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "500 ReLU units, Adam 3e-3, averaged weights", training={"batch": 128, "ema": 0.999}
        ),
        "larochelle2011": Preset(
            "500 sigmoid units, one random order, SGD .005 an example: the paper's for binarized MNIST",
            model={"activation": "sigmoid", "ordering": "random"},
            recipe={"optimizer": "sgd", "lr": 0.005, "lr_decay": 1.0000005},
            training={"batch": 1, "epochs": 50},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        hidden: PositiveInt = 500,
        activation: Activation = "relu",
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
        l2: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed, l2)
        self.activation: Activation = activation
        radius = 1 / math.sqrt(hidden)
        self.W = nn.Parameter(torch.empty(self.size, hidden).uniform_(-radius, radius))
        self.V = nn.Parameter(torch.empty(self.size, hidden).uniform_(-radius, radius))
        self.b = nn.Parameter(torch.zeros(self.size))
        self.c = nn.Parameter(torch.zeros(hidden))

    @property
    def kernel_in_use(self) -> str:
        return nade.kernel(self.W)

    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Start the outputs' biases at the independent pixels."""
        self.b.copy_(marginal_logits(data, self.order, 1.0))

    def terms(self, x: Tensor) -> Tensor:
        return log_bernoulli(nade.outputs(x, self.W, self.V, self.b, self.c, self.activation), x)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        return nade.sample_rest(x, known, self.W, self.V, self.b, self.c, self.activation)

    @property
    def formula(self) -> str:
        return f"2nH + n + H = {self.free_parameters} (n = {self.size}, H = {len(self.c)})"
