"""Flow matching: a velocity field that carries noise to data, learned along straight paths.

Sources: Lipman et al., *Flow Matching for Generative Modeling*, 2023; Liu, Gong & Liu, *Flow Straight and Fast*, 2023;
Esser et al., *Scaling Rectified Flow Transformers*, 2024 (times); Karras et al., *Analyzing and Improving the Training
Dynamics of Diffusion Models*, 2024 (learning rate); Ho & Salimans, *Classifier-Free Diffusion Guidance*, 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, GenerativeModel, Loss, Turn, takes_examples
from plausible.likelihoods import HALF_LOG_TWO_PI
from plausible.models.condition import Classes
from plausible.models.registry import Preset
from plausible.models.scaling import Scaling
from plausible.nn.ode import EVALUATIONS, Solver, divergence, solve, times_of
from plausible.nn.velocity import Residual, UNet, usual_patch
from plausible.recipe import Recipe, Share

__all__ = ["EXACT", "FlowMatching", "FlowRecipe"]

EXACT = 64
"""Values of an example up to which the divergence is exact: one backward pass for each of them."""
DENSITY_STEPS = 50
"""Runge-Kutta steps of a density: on `ring` 300 changed no row's log p by more than 2e-4 nats."""
BEND = 1.5
"""Of the times of rows: at equal distances the same 50 steps were off by up to .014 nats, on peaks of width .01."""
JUDGED_TIMES = 2
"""Times at which the held-out loss of each row is taken."""

Times = Literal["auto", "uniform", "logit-normal"]


class FlowRecipe(Recipe):
    """How a flow is trained.

    Args:
        rise: Ticks over which the learning rate rises from 0.
        steady: Ticks after which it falls as √(steady/tick).
    """

    rise: NonNegativeInt = 100
    steady: PositiveInt = 2000

    def lr_at(self, tick: int) -> float:
        return super().lr_at(tick) * min(1.0, tick / max(1, self.rise), math.sqrt(self.steady / tick))


class FlowMatching(GenerativeModel):
    """Flow matching along straight paths (Lipman et al., 2023; Liu et al., 2023).

    With z ~ N(0, I), x from the data and a time t, the network v regresses the velocity of the straight path from
    z to x:

        x_t = (1 − t)·z + t·x,    loss = E ‖v(x_t, t) − (x − z)‖² / D

    Its minimum is E[x − z | x_t], and dx/dt = v(x, t) carries N(0, I) at t = 0 to the data's distribution at t = 1:
    `sample` and `decode` solve it forward, `encode` backward. Along a solution d log p/dt = −div v, so

        log p(x) = log N(z; 0, I) − ∫_0^1 div v(x_t, t) dt,    z the solution at t = 0

    is a density: `log_prob` for real rows of at most 64 values, with the exact divergence. For others
    `log_density_estimate` estimates the integral with one vector of random signs: no probability of pictures, which are
    discrete, and no bound.

    With classes v is told y, which is left out for a share of the training rows: v(x, t, ∅) is the field of all
    classes together, that `encode` follows, and `decode` where it is given no y. v(x, t, ∅) + g·(v(x, t, y) −
    v(x, t, ∅)) with g > 1 makes samples more typical of their class, and less diverse (Ho & Salimans, 2022).

    Args:
        channels: Channels of each level of a picture's U-Net, the finest first; each level halves both sides.
        patch: Side of the squares whose pixels become channels before the first level; None: 2 from 16 × 16 pixels on,
            else 1.
        hidden: Units of each layer of a vector's residual perceptron.
        layers: Its residual layers.
        times: Distribution of t: uniform, or logit-normal, t = sigmoid(N(0, 1)), which has more times in the middle;
            auto: logit-normal for pictures.
        steps: Steps of the solver; None: 12 for pictures, 32 for vectors.
        solver: euler (one evaluation of v a step), heun (two) or rk4 (four); auto: heun for pictures, rk4 for vectors.
        clean: Whether the last step of a sample is Euler's, which ends at E[x | x_t] of the point before: less noise is
            left. None: of pictures, not of vectors, whose samples then follow the density.
        classes: Number of classes of the labels that v is told; 0: unconditional.
        unlabelled: Share of the training rows whose class it is not told.
        guidance: g; 1 for none.

    Raises:
        PlausibleError: channels is empty, or the domain is neither unit nor real.

    Attributes:
        latent: D, the number of values of an example, and of its noise.
        density_tolerance: how far from 1 the integral of the density may be because of the solver's steps.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("unit", "real")
    density_tolerance: ClassVar[float] = 1e-3
    recipe = FlowRecipe(lr=1.5e-3, beta2=0.99, clip=1.0)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "a U-Net of 48, 96 and 128 channels for pictures, averaged weights",
            training={"batch": 64, "ema": 0.999},
        ),
        "vectors": Preset(
            "for rows of values, and then chosen by itself: larger batches",
            training={"batch": 256, "ema": 0.999},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "real",
        *,
        channels: tuple[PositiveInt, ...] = (48, 96, 128),
        patch: PositiveInt | None = None,
        hidden: PositiveInt = 128,
        layers: PositiveInt = 3,
        times: Times = "auto",
        steps: PositiveInt | None = None,
        solver: Solver | Literal["auto"] = "auto",
        clean: bool | None = None,
        classes: NonNegativeInt = 0,
        unlabelled: Share = 0.1,
        guidance: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__(shape, domain)
        self.latent = math.prod(self.shape)
        picture = len(self.shape) == 3
        if not channels:
            raise PlausibleError(
                "channels is empty: give a number for each level of the U-Net, such as 48 96 128"
            )
        self.times = times if times != "auto" else "logit-normal" if picture else "uniform"
        self.steps = steps or (12 if picture else 32)
        self.solver: Solver = solver if solver != "auto" else "heun" if picture else "rk4"
        self.bend = 1.0 if picture else BEND
        self.clean = picture if clean is None else clean
        self.block = 64 if picture else 4096
        self.unlabelled, self.guidance = unlabelled, guidance
        self.scaling, self.classes = Scaling(self.shape, domain), Classes(classes)
        if picture:
            self.network = UNet(self.shape, channels, patch or usual_patch(self.shape), classes)
        else:
            self.network = Residual(self.latent, hidden, layers, classes)

    @classmethod
    def preset_for(cls, shape: Sequence[int], domain: Domain) -> str:
        return "vectors" if len(shape) == 1 else "default"

    @classmethod
    def gains_from_bfloat16(cls, shape: Sequence[int], domain: Domain) -> bool:
        """Pictures do. Rows would too, but lose: x_t would have 8 bits, too few for narrow peaks."""
        return len(shape) == 3

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` is exact but for the solver's steps: for real rows of at most EXACT values."""
        return self.domain == "real" and self.latent <= EXACT

    @property
    def passes(self) -> int:
        """How often a sample goes through all weights: evaluations of v, times the places of the coarsest level."""
        places = self.network.places(self.shape) if isinstance(self.network, UNet) else 1
        return self.steps * EVALUATIONS[self.solver] * places

    # ------------------------------------------------------------------ the data's scale and the network's
    def prepare(self, data: Any) -> None:
        """Count the classes; standardise real-valued data."""
        self.classes.prepare(data)
        self.scaling.fit(data)

    def _inward(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, D): real values standardised, those of the unit interval from −1 to 1."""
        x = self.scaling.inward(x)
        return 2 * x - 1 if self.domain == "unit" else x

    def _outward(self, x: Tensor) -> Tensor:
        return self.scaling.outward((x + 1) / 2 if self.domain == "unit" else x)

    def _log_volume(self) -> Tensor:
        """log |∂inward/∂x|, ()."""
        more = self.latent * math.log(2) if self.domain == "unit" else 0.0
        return self.scaling.log_volume() + more

    # ------------------------------------------------------------------ the regression
    def turns(self) -> Sequence[Turn]:
        return (Turn("flow", self.loss, [self.network]),)

    def loss(self, batch: Batch) -> Loss:
        """‖v(x_t, t, y) − (x − z)‖² / D of each example, (B,); the times of a batch are spread evenly."""
        x, n = self._inward(batch.x), len(batch.x)
        y = self.classes.one_hot(batch.y, n)
        if len(self.classes) and self.unlabelled:
            y = y * (torch.rand(n, 1, device=x.device) >= self.unlabelled)
        t = self._spread((torch.randperm(n, device=x.device) + torch.rand(n, device=x.device)) / n)
        return Loss({"matching": self._error(x, torch.randn_like(x), t.to(x), y)})

    def _spread(self, u: Tensor) -> Tensor:
        """Times of the chosen distribution from its quantiles in (0, 1)."""
        return u if self.times == "uniform" else torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)).sigmoid()

    def _error(self, x: Tensor, z: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """(B,), of x and z, (B, D), and t, (B,)."""
        mixed = torch.lerp(z, x, t[:, None])
        return (self._told(mixed, t, y) - (x - z)).square().mean(1)

    def _told(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """The network's v(x, t, y), (B, D), (B,) and (B, classes) → (B, D)."""
        if len(self.shape) == 1:
            return self.network(x, t, y)
        return self.network(x.unflatten(1, self.shape), t, y).flatten(1)

    @takes_examples
    @torch.no_grad()
    def held_out_loss(self, x: Tensor) -> Tensor:
        """The loss at 2 times and noises that are the same at each call, without labels, (B, *shape) → (B,).

        Each place in x has times and a noise of its own, so that a mean over rows is one over times too.
        """
        x, source = self._inward(x), torch.Generator().manual_seed(0)
        none, found = x.new_zeros(len(x), len(self.classes)), x.new_zeros(len(x))
        for k in range(JUDGED_TIMES):
            u = (torch.rand(len(x), generator=source) + k) / JUDGED_TIMES
            z = torch.randn(x.shape, generator=source).to(x)
            found += self._error(x, z, self._spread(u).to(x), none) / JUDGED_TIMES
        return found

    # ------------------------------------------------------------------ the equation
    def velocity(self, x: Tensor, t: float, y: Tensor) -> Tensor:
        """v with guidance in the network's scale, (B, D), t and (B, classes) → (B, D); rows of zeros are no class."""
        when = x.new_full((len(x),), t)
        if self.guidance == 1 or not len(self.classes):
            return self._told(x, when, y)
        both = torch.cat([y, torch.zeros_like(y)])
        told, free = self._told(x.repeat(2, 1), when.repeat(2), both).chunk(2)
        return torch.lerp(free, told, self.guidance)

    def _field(self, y: Tensor) -> Callable[[Tensor, float], Tensor]:
        return lambda x, t: self.velocity(x, t, y)

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, steps: int | None = None, solver: Solver | None = None
    ) -> Tensor:
        """Sample n examples, (n, *shape), of the classes y, (n,), or of y ~ p(y).

        Args:
            n: how many.
            y: (n,), classes.
            steps: of the solver; None: the model's own.
            solver: euler, heun or rk4; None: the model's own.
        """
        if steps is not None and steps < 1:
            raise PlausibleError(f"steps must be at least 1, not {steps}")
        field, times = self._field(self.classes.sampled(y, n)), times_of(steps or self.steps, self.bend)
        last = len(times) - 2 if self.clean else len(times) - 1
        x = solve(field, self.sample_prior(n), times[: last + 1], solver or self.solver)
        return self._outward(solve(field, x, times[last:], "euler"))

    def sample_prior(self, n: int) -> Tensor:
        """z ~ N(0, I), (n, D), from torch's global random state."""
        return torch.randn(n, self.latent, device=self.scaling.mean.device).to(self.scaling.mean)

    @takes_examples
    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The noise that the equation carries to x, (B, *shape) → (B, D): a solution back in time, without labels."""
        x = self._inward(x)
        none = x.new_zeros(len(x), len(self.classes))
        return solve(self._field(none), x, times_of(self.steps, self.bend)[::-1], self.solver)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """What the equation carries noise to, (B, D) → (B, *shape), differentiable in z.

        Args:
            z: (B, D).
            y: (B,), classes; without, by the field of all classes together.

        Raises:
            PlausibleError: y of a model that is not conditional, or labels that are no class.
        """
        none = z.new_zeros(len(z), len(self.classes))
        field = self._field(none if y is None else self.classes.sampled(y, len(z)))
        return self._outward(solve(field, z, times_of(self.steps, self.bend), self.solver))

    # ------------------------------------------------------------------ the density
    @takes_examples
    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (B, *shape) → (B,), nats; with classes log Σ_y p(y) p(x|y).

        By 50 Runge-Kutta steps and the exact divergence.

        Raises:
            PlausibleError: the data are not real rows of at most 64 values: see `has_density`.
        """
        if not self.has_density:
            raise PlausibleError(
                f"flow-matching has a log p(x) of real rows of at most {EXACT} values, and these are "
                f"{self.domain} values of the shape {self.shape}: take log_density_estimate (score --by flow)"
            )
        probes = torch.eye(self.latent).to(self.scaling.mean)[:, None]
        return torch.cat(
            [self._log_density(block, probes, DENSITY_STEPS, "rk4") for block in x.split(self.block)]
        )

    @takes_examples
    @torch.no_grad()
    def log_density_estimate(self, x: Tensor, probes: int = 1, steps: int | None = None) -> Tensor:
        """An unbiased estimate of that integral with random signs, (B, *shape) → (B,), nats.

        The signs are the same at each call and for each row. The steps of the solver, by default as many as for
        samples, add an error of their own. No probability of pictures: they have levels, and this is the density of a
        continuum.

        Args:
            x: (B, *shape).
            probes: vectors of random signs, each a backward pass.
            steps: of the solver.
        """
        source = torch.Generator().manual_seed(0)
        signs = torch.randint(2, (probes, 1, self.latent), generator=source).to(self.scaling.mean) * 2 - 1
        weighted = signs / math.sqrt(probes)
        how = weighted, steps or self.steps, self.solver
        return torch.cat([self._log_density(block, *how) for block in x.split(self.block)])

    def _log_density(self, x: Tensor, probes: Tensor, steps: int, solver: Solver) -> Tensor:
        x = self._inward(x)

        def of_class(y: Tensor) -> Tensor:
            def both(state: Tensor, t: float) -> Tensor:
                v, change = divergence(lambda x: self.velocity(x, t, y), state[:, :-1], probes)
                return torch.cat([v, change[:, None]], 1)

            start = torch.cat([x, x.new_zeros(len(x), 1)], 1)
            end = solve(both, start, times_of(steps, self.bend)[::-1], solver)
            z, change = end[:, :-1], end[:, -1]
            return (-0.5 * z.square() - HALF_LOG_TWO_PI).sum(1) + change

        return self.classes.marginalize(of_class, len(x)) + self._log_volume()
