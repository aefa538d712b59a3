"""log p(x) of a model with a code, p(x) = ∫ p(x|z) p(z) dz: two lower bounds, and the integral where it can be done.

    importance_bound   E log (1/k) Σ p(x, z_i)/q(z_i|x),  z_i ~ q(z|x)                ≤ log p(x)
    ais                E log (1/k) Σ w_i,  w_i from annealed importance sampling      ≤ log p(x), without q
    exact_log_prob     log ∫ p(x, z) dz by quadrature, for codes of 1 or 2 dimensions

All figures are in nats per example. Both bounds are stochastic: they hold in expectation, not for each draw.
Sources: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders*, 2016; Neal, *Annealed Importance Sampling*,
2001; Wu, Burda, Salakhutdinov & Grosse, *On the Quantitative Analysis of Decoder-Based Generative Models*, 2017.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from plausible.errors import PlausibleError

ROWS = 100
"""Examples that share one seed."""
BLOCK = 4096
"""Codes decoded at a time: what bounds the memory of `ais` and of the quadrature."""
ACCEPTANCE = 0.65
"""Share of accepted moves that the step size of `ais` is steered to."""
_RATE = 0.1  # of that steering: log step grows by _RATE·(share accepted − ACCEPTANCE) a temperature
_FIRST_STEP = 0.1
_STEEPNESS = 4.0  # δ of Wu et al.'s schedule
_DEPTHS = (
    40.0,
    *[20.0] * 6,
)  # the quadrature looks where the joint is within e⁻²⁰ of its maximum, at first e⁻⁴⁰
_TOLERANCE = 1e-3
_HALVINGS = 2
_POINTS = {1: 1025, 2: 129}


@runtime_checkable
class Bounded(Protocol):
    """A model that bounds its log-probability."""

    def log_prob_bound(self, x: Tensor, samples: int = 50) -> Tensor:
        """A lower bound of log p(x) in expectation, from that many draws, (B,), nats."""
        ...


@runtime_checkable
class Dense(Protocol):
    """A model with an exact density."""

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (B, *shape) → (B,), nats."""
        ...


@runtime_checkable
class Coded(Protocol):
    """A model p(x|z) p(z) whose two factors can be evaluated, and whose prior can be drawn from."""

    latent: int

    def sample_prior(self, n: int) -> Tensor:
        """z ~ p(z), (n, latent)."""
        ...

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), (B,), nats, differentiable in z."""
        ...

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), (B,), nats, differentiable in z."""
        ...


@dataclass(frozen=True, eq=False)
class Scores:
    """A figure for each example: values, (n,), float64, nats."""

    values: Tensor

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, over examples: std/√n, divisor n − 1; NaN for one example."""
        return float(self.values.std(correction=1)) / math.sqrt(self.n) if self.n > 1 else math.nan

    def bits_per_dimension(self, dimensions: int) -> float:
        """−mean/(d·log 2): of a lower bound of log p(x) an upper bound of the code length."""
        return -self.mean / (dimensions * math.log(2))


@dataclass(frozen=True, eq=False)
class Bound(Scores):
    """A stochastic lower bound of log p(x) from `samples` draws (importance samples, or chains) for each example."""

    samples: int


@dataclass(frozen=True, eq=False)
class Exact(Scores):
    """log p(x) by quadrature; errors, (n,): what halving the step changed, nats."""

    errors: Tensor


# ---------------------------------------------------------------------- importance sampling
def importance_bound(model: Bounded, x: Tensor, samples: int = 50, seed: int = 0) -> Bound:
    """The model's own bound of x, (n, *shape), for each example, the same for the same seed.

    The first rows' figures do not depend on how many follow, in steps of ROWS.

    Raises:
        PlausibleError: from the model: samples < 1, or it gives no log-probability of such data.
    """
    with torch.no_grad(), torch.random.fork_rng():
        blocks = [model.log_prob_bound(block, samples).double() for block in _seeded(x, ROWS, seed)]
    return Bound(torch.cat(blocks), samples)


# ---------------------------------------------------------------------- annealed importance sampling
def ais(
    model: Coded,
    x: Tensor,
    chains: int = 16,
    temperatures: int = 1000,
    seed: int = 0,
    steps: int = 10,
) -> Bound:
    """Annealed importance sampling from p(z) to p(x, z) along p(z) p(x|z)^β.

        log w = Σ_t (β_t − β_{t−1}) log p(x|z_{t−1}),   z_0 ~ p(z),   z_t from a move that leaves π_t invariant
        log p̂(x) = log mean over chains of w

    E p̂(x) = p(x), so E log p̂(x) ≤ log p(x), with a gap of about half the variance of log p̂(x). β follows Wu et al.'s
    sigmoid; a move is `steps` leapfrog steps of Hamiltonian Monte Carlo, their size jittered by a fifth, and the
    correction of Metropolis. The size is adapted at each temperature, for each example by the acceptance of its
    chains, towards ACCEPTANCE. That makes a move depend a little on the past, which the proof of E p̂(x) = p(x) does not
    allow; Wu et al. do the same, and law 6 finds no harm in it against quadrature.

    Args:
        model: float32; its parameters hold still meanwhile.
        x: (n, *shape).
        chains: of each example.
        temperatures: steps of β from 0 to 1.
        seed: of all draws.
        steps: leapfrog steps a move. Cost: n·chains·temperatures·steps gradients of the decoder.

    Raises:
        PlausibleError: fewer than one chain, temperature or step.
    """
    for name, value in {"chains": chains, "temperatures": temperatures, "steps": steps}.items():
        if value < 1:
            raise PlausibleError(f"{name} must be at least 1, not {value}")
    schedule = sigmoid_schedule(temperatures)
    rows = max(1, min(ROWS, BLOCK // chains))
    with torch.random.fork_rng(), _holding_still(model):
        blocks = [_annealed(model, block, schedule, chains, steps) for block in _seeded(x, rows, seed)]
    return Bound(torch.cat(blocks), chains)


def sigmoid_schedule(temperatures: int) -> list[float]:
    """β_t = (s(t) − s(0))/(s(T) − s(0)), s(t) = sigmoid(4·(2t/T − 1)), t = 0 … T: T + 1 values (Wu et al., 2017)."""
    s = torch.linspace(-_STEEPNESS, _STEEPNESS, temperatures + 1, dtype=torch.float64).sigmoid()
    return ((s - s[0]) / (s[-1] - s[0])).tolist()


def _annealed(model: Coded, x: Tensor, schedule: list[float], chains: int, steps: int) -> Tensor:
    """log mean over chains of w for each row of x, (B,), float64; all chains of all rows are one batch."""
    wide = x.repeat_interleave(chains, 0)
    here = _look(model, wide, model.sample_prior(len(wide)))
    log_weight = torch.zeros(len(wide), dtype=torch.float64, device=x.device)
    size = torch.full((len(x), 1), _FIRST_STEP, device=x.device)
    for before, beta in pairwise(schedule):
        log_weight += (beta - before) * (here.joint - here.prior).double()
        if beta < 1:  # a move at β = 1 would no longer change the weight
            here, accepted = _move(model, wide, here, beta, size.repeat_interleave(chains, 0), steps)
            share = accepted.unflatten(0, (len(x), chains)).mean(1, keepdim=True)
            size = size * (_RATE * (share - ACCEPTANCE)).exp()
    return log_weight.unflatten(0, (len(x), chains)).logsumexp(1) - math.log(chains)


@dataclass(frozen=True, eq=False)
class _Look:
    """Codes z, (B, latent), log p(z) and log p(x, z), (B,), and their slopes in z, (B, latent)."""

    z: Tensor
    prior: Tensor
    joint: Tensor
    prior_slope: Tensor
    joint_slope: Tensor

    def log_density(self, beta: float) -> Tensor:
        """log p(z) p(x|z)^β, (B,)."""
        return torch.lerp(self.prior, self.joint, beta)

    def slope(self, beta: float) -> Tensor:
        return torch.lerp(self.prior_slope, self.joint_slope, beta)

    def where(self, chosen: Tensor, other: _Look) -> _Look:
        """The rows that are chosen, (B,), from here, the rest from the other."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return _Look(*(torch.where(chosen.view(-1, *[1] * (a.dim() - 1)), a, b) for a, b in pairs))


def _look(model: Coded, x: Tensor, z: Tensor) -> _Look:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        prior, joint = model.log_prior(z), model.log_joint(x, z)
        (prior_slope,) = torch.autograd.grad(prior.sum(), z)
        (joint_slope,) = torch.autograd.grad(joint.sum(), z)
    return _Look(z.detach(), prior.detach(), joint.detach(), prior_slope, joint_slope)


def _move(
    model: Coded, x: Tensor, here: _Look, beta: float, size: Tensor, steps: int
) -> tuple[_Look, Tensor]:
    """One move of Hamiltonian Monte Carlo at β with steps of `size`, (B, 1); and the chance of each, (B,)."""
    size = size * (0.8 + 0.4 * torch.rand_like(size))  # against trajectories that return to where they began
    momentum = torch.randn_like(here.z)
    before = here.log_density(beta) - 0.5 * momentum.square().sum(1)
    there, momentum = here, momentum + 0.5 * size * here.slope(beta)
    for step in range(1, steps + 1):
        there = _look(model, x, there.z + size * momentum)
        momentum = momentum + (1.0 if step < steps else 0.5) * size * there.slope(beta)
    after = there.log_density(beta) - 0.5 * momentum.square().sum(1)
    chance = (
        (after - before).nan_to_num(-math.inf).clamp_max(0).exp()
    )  # a trajectory that overflows is refused
    return there.where(torch.rand_like(chance) < chance, here), chance


# ---------------------------------------------------------------------- quadrature
def exact_log_prob(model: Coded, x: Tensor, limit: float = 8.0, points: int | None = None) -> Exact:
    """log ∫ p(x, z) dz for each row of x, (n, *shape), on a grid of equal steps.

    The grid first covers the prior's mean ± limit deviations (found from draws) and, where the model has one, the
    approximate posterior's; then, as often as that shrinks it, the box where p(x, z) is within e⁻²⁰ of its maximum;
    then its step is halved until that changes the figure by less than 1e-3, or twice. A sum over equal steps is
    the trapezoidal rule, as the integrand vanishes at the borders: its error falls faster than any power of the step
    for smooth decoders, with its square for ReLU. `errors` is what the last halving changed, more than the error.
    A mode far narrower than the first step (1/64 and 1/8 of the prior's deviation in 1 and 2 dimensions) beside a
    wider one can be missed.

    Args:
        model: with a code of 1 or 2 dimensions.
        x: (n, *shape).
        limit: half the first grid's width, in deviations.
        points: of the first grid in each dimension, odd; default 1025 for one dimension, 129 for two.

    Raises:
        PlausibleError: the code has more dimensions, or points is even or below 9.
    """
    if model.latent not in _POINTS:
        raise PlausibleError(
            f"log p(x) can only be integrated over 1 or 2 code dimensions, not {model.latent}: take the bounds"
        )
    points = points or _POINTS[model.latent]
    if points < 9 or points % 2 == 0:
        raise PlausibleError(f"points must be odd and at least 9, not {points}")
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        low, high = _around(model, x, limit)
        pairs = [_integral(model, *each, points) for each in zip(x, low, high, strict=True)]
    values, errors = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2).T
    return Exact(values, errors)


def _around(model: Coded, x: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Corners, (n, latent) each, of boxes that hold the prior and each row's approximate posterior."""
    codes = model.sample_prior(1000)
    low = (codes.mean(0) - limit * codes.std(0)).expand(len(x), -1)
    high = (codes.mean(0) + limit * codes.std(0)).expand(len(x), -1)
    posterior = getattr(model, "posterior", None)
    if posterior is None:
        return low, high
    mean, deviation = posterior(x)
    return torch.minimum(low, mean - limit * deviation), torch.maximum(high, mean + limit * deviation)


def _integral(model: Coded, row: Tensor, low: Tensor, high: Tensor, points: int) -> tuple[float, float]:
    """log ∫ p(row, z) dz, and what halving the step changed."""
    heights = _on_grid(model, row, _axes(low, high, points))
    for depth in _DEPTHS:
        inside = (heights > heights.max() - depth).nonzero().to(low.device)
        step = (high - low) / (points - 1)
        tight = low + (inside.amin(0) - 1) * step, low + (inside.amax(0) + 1) * step
        if (tight[1] - tight[0]).prod() < 0.7 * (high - low).prod():
            low, high = tight
            heights = _on_grid(model, row, _axes(low, high, points))
    for _ in range(_HALVINGS):
        if _sum(heights, (high - low) / (points - 1))[1] < _TOLERANCE:
            break
        points = 2 * points - 1
        heights = _on_grid(model, row, _axes(low, high, points))
    return _sum(heights, (high - low) / (points - 1))


def _sum(heights: Tensor, step: Tensor) -> tuple[float, float]:
    """log Σ e^height · Π step, and its distance to the same sum over every other point."""
    cell, dimensions = float(step.double().log().sum()), heights.dim()
    every_other = heights[(slice(None, None, 2),) * dimensions]
    fine = float(heights.flatten().logsumexp(0)) + cell
    return fine, abs(fine - float(every_other.flatten().logsumexp(0)) - cell - dimensions * math.log(2))


def _axes(low: Tensor, high: Tensor, points: int) -> list[Tensor]:
    return [torch.linspace(float(a), float(b), points) for a, b in zip(low, high, strict=True)]


def _on_grid(model: Coded, row: Tensor, axes: list[Tensor]) -> Tensor:
    """log p(row, z) at the crossings of the axes, (points,) · dimensions, float64."""
    codes = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2).to(row.device)
    parts = [model.log_joint(row.expand(len(z), *row.shape), z).double() for z in codes.split(BLOCK)]
    return torch.cat(parts).cpu().unflatten(0, [len(axis) for axis in axes])


# ---------------------------------------------------------------------- seeds, and a model that holds still
def _seeded(x: Tensor, rows: int, seed: int) -> Iterator[Tensor]:
    """Blocks of rows, torch's generators seeded by (seed, place) before each."""
    for place, block in enumerate(x.split(rows)):
        torch.manual_seed(int(np.random.SeedSequence([seed, place]).generate_state(1)[0]))
        yield block


@contextlib.contextmanager
def _holding_still(model: object) -> Generator[None]:
    """No gradient is computed for the model's parameters meanwhile."""
    moving = [p for p in model.parameters() if p.requires_grad] if isinstance(model, nn.Module) else []
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)
