"""RNADE: NADE for real values, each conditional a mixture of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from plausible.data.steps import find_step
from plausible.game import Domain
from plausible.likelihoods import HALF_LOG_TWO_PI, log_between
from plausible.models.explicit import Learned
from plausible.models.ordering import Ordering
from plausible.models.registry import Preset
from plausible.models.scaling import Scaling
from plausible.nn import nade
from plausible.nn.nade import Activation
from plausible.recipe import Recipe

__all__ = ["RNADE"]


class RNADE(Learned):
    """RNADE (Uria, Murray & Larochelle, 2013): p(x_i | x_<i) = Σ_k π_ik N(x_i; μ_ik, σ_ik²), K components.

    π, μ and log σ of all n conditionals are linear in h_i = act(c + Σ_{j<i} z_j W_j), z the standardised data: NADE's
    shared hidden layer. A density of the data, in nats.

    **Columns with a step.** Where the values of a column in the training rows are s apart, as whole numbers are
    (s = 1), a density would rise without bound at them. Such a column has the mixture's mass around each value k:

        p(k | x_<i) = Σ_k π_ik (Φ((k + s/2 − μ_ik)/σ_ik) − Φ((k − s/2 − μ_ik)/σ_ik))

    That is a probability; as a density it is p(k)/s on (k − s/2, k + s/2): of the value plus uniform noise, which
    samples have too. Later columns see the value without the noise. A step below `floor` counts as none. A value that
    repeats in a column without a step still has a density that `floor` alone bounds.

    Two things of the paper's are left out: its factors ρ_i on the hidden sums, which with ReLU
    change nothing that V could not, and μ's gradients scaled by σ, which Adam scales anyway.

    Args:
        hidden: Number H of hidden units.
        components: K, of each mixture.
        activation: Activation act: relu or sigmoid.
        floor: Minimum σ, in standard deviations of the variable over the training rows.
        ordering: Order of the variables.
        ordering_seed: Seed of the random ordering.
        l2: λ of a penalty λ·Σ w², nats, over W and V.

    Attributes:
        start, step: (D,): the values of a column with a step are start + k·step; step 0 of others.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("real",)
    start: Tensor
    step: Tensor
    recipe = Recipe(lr=1e-3, lr_decay=1.00002)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset("50 ReLU units, 10 components, Adam 1e-3", training={"batch": 100}),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "real",
        *,
        hidden: PositiveInt = 50,
        components: PositiveInt = 10,
        activation: Activation = "relu",
        floor: PositiveFloat = 1e-3,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
        l2: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed, l2)
        self.components, self.activation, self.floor = components, activation, floor
        self.scaling = Scaling(self.shape, self.domain)
        self.register_buffer("start", torch.zeros(self.size))
        self.register_buffer("step", torch.zeros(self.size))
        self.register_load_state_dict_pre_hook(_without_steps)
        radius = 1 / math.sqrt(hidden)
        self.W = nn.Parameter(torch.empty(self.size, hidden).uniform_(-radius, radius))
        self.V = nn.Parameter(torch.empty(3 * components * self.size, hidden).uniform_(-radius, radius))
        self.b = nn.Parameter(torch.zeros(3 * components * self.size))
        self.c = nn.Parameter(torch.zeros(hidden))

    @property
    def kernel_in_use(self) -> str:
        return nade.kernel(self.W)

    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Learn the scale and the steps; start every mixture near N(0, 1).

        Its components stand at the quantiles, as wide as the gaps there.
        """
        self.scaling.fit(data)
        self._find_steps(np.concatenate([block.reshape(len(block), -1) for block in data.blocks()]))
        share = (torch.arange(self.components, dtype=torch.float64) + 0.5) / self.components
        centre = torch.special.ndtri(share)
        spread = 0.5 * centre.square() + HALF_LOG_TWO_PI - math.log(self.components)
        self.b.copy_(torch.cat([torch.zeros_like(centre), centre, spread]).repeat(self.size))

    def _find_steps(self, rows: np.ndarray) -> None:
        """The step of each column that has one of at least `floor` standard deviations."""
        found = torch.from_numpy(np.array([find_step(column) for column in rows.T]))
        coarse = found[:, 1] >= self.floor * self.scaling.deviation.to(found)
        self.start.copy_(torch.where(coarse, found[:, 0], 0.0))
        self.step.copy_(torch.where(coarse, found[:, 1], 0.0))

    # ------------------------------------------------------------------ the density
    def _steps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Start and step of each variable in the model's order, and whether it has a step, (D,) each."""
        start, step = self.start[self.order], self.step[self.order]
        return start, torch.where(step > 0, step, 1.0), step > 0

    def _stepped(self, x: Tensor) -> Tensor:
        """Values, (B, D), in the model's order, at the nearest step of their column."""
        start, step, has_step = self._steps()
        return torch.where(has_step, start + ((x - start) / step).round() * step, x)

    def terms(self, x: Tensor) -> Tensor:
        (mean, deviation), (_, step, has_step) = self._scale(), self._steps()
        z = (self._stepped(x) - mean) / deviation
        found = nade.outputs(z, self.W, self.V, self.b, self.c, self.activation)
        weight, centre, spread = self._mixture(found.unflatten(1, (self.size, -1)))
        away = (z[:, :, None] - centre) / spread.exp()
        each = -0.5 * away.square() - spread - HALF_LOG_TWO_PI
        if bool(has_step.any()):
            half = (step / deviation / 2)[has_step, None] / spread[:, has_step].exp()
            mass = log_between(away[:, has_step] - half, away[:, has_step] + half)
            each = each.masked_scatter(has_step[:, None], mass - (step / deviation).log()[has_step, None])
        return (weight + each).logsumexp(2) - deviation.log()

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        (mean, deviation), (_, step, has_step) = self._scale(), self._steps()
        z, act = (self._stepped(x) - mean) / deviation, getattr(torch, self.activation)
        V, b = self.V.unflatten(0, (self.size, -1)), self.b.unflatten(0, (self.size, -1))
        a = self.c.expand(len(x), -1)
        for i in range(self.size):
            if i >= known:
                weight, centre, spread = self._mixture(act(a) @ V[i].t() + b[i])
                part = torch.multinomial(weight.exp(), 1)
                centre, spread = (of.gather(1, part).squeeze(1) for of in (centre, spread))
                z[:, i] = centre + spread.exp() * torch.randn_like(centre)
                z = (self._stepped(z * deviation + mean) - mean) / deviation if has_step[i] else z
            a = torch.addcmul(a, z[:, i, None], self.W[i])
        drawn = z * deviation + mean
        if bool(has_step.any()):
            drawn = torch.where(has_step, drawn + (torch.rand_like(drawn) - 0.5) * step, drawn)
        return torch.cat([x[:, :known], drawn[:, known:]], 1)

    def _mixture(self, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log π, μ, log σ, (…, K) each, from (…, 3K) outputs."""
        weight, centre, spread = found.chunk(3, -1)
        return weight.log_softmax(-1), centre, spread.clamp_min(math.log(self.floor))

    def _scale(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each variable in the model's order, (D,) each."""
        return self.scaling.mean[self.order], self.scaling.deviation[self.order]

    # ------------------------------------------------------------------ how large it is
    @property
    def formula(self) -> str:
        return (
            f"nH + 3nK(H + 1) + H = {self.free_parameters} (n = {self.size}, H = {len(self.c)}, "
            f"K = {self.components})"
        )


def _without_steps(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights of an earlier version know no steps: their columns have none."""
    for name in ("start", "step"):
        state.setdefault(prefix + name, torch.zeros_like(getattr(model, name)))
