"""Annealed importance sampling: a lower bound of log p(x) that does not use the encoder.

    E log (1/k) Σ w_i,  w_i from annealed importance sampling    ≤ log p(x)

In nats per example. The bound holds in expectation. Sources: Neal, *Annealed Importance Sampling*, 2001; Wu, Burda,
Salakhutdinov & Grosse, *On the Quantitative Analysis of Decoder-Based Generative Models*, 2017.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from plausible.capabilities import JointDensity
from plausible.errors import PlausibleError
from plausible.metrics.importance import ROWS, LowerBound, seeded_blocks

__all__ = ["ais", "sigmoid_schedule"]

BLOCK = 4096
"""Codes decoded at a time, which bounds the memory."""
ACCEPTANCE = 0.65
"""Share of accepted moves that the step size is adapted to."""
_RATE = 0.1  # of that adaptation: log step grows by _RATE·(share accepted − ACCEPTANCE) a temperature
_FIRST_STEP = 0.1
_STEEPNESS = 4.0  # δ of Wu et al.'s schedule


def ais(
    model: JointDensity,
    x: Tensor,
    chains: int = 16,
    temperatures: int = 1000,
    seed: int = 0,
    steps: int = 10,
) -> LowerBound:
    """Annealed importance sampling from p(z) to p(x, z) along p(z) p(x|z)^β.

        log w = Σ_t (β_t − β_{t−1}) log p(x|z_{t−1}),   z_0 ~ p(z),   z_t from a move that leaves π_t invariant
        log p̂(x) = log mean over chains of w

    E p̂(x) = p(x), so E log p̂(x) ≤ log p(x), with a gap of about half the variance of log p̂(x). β follows Wu et al.'s
    sigmoid; a move is `steps` leapfrog steps of Hamiltonian Monte Carlo, their size jittered by a fifth, and the
    correction of Metropolis. The size is adapted at each temperature, for each example by the acceptance of its
    chains, towards ACCEPTANCE. That makes a move depend a little on the past, which the proof of E p̂(x) = p(x) does not
    allow; Wu et al. do the same, and tests/laws/test_6_bounds.py finds no harm in it against quadrature.

    Args:
        model: float32; its parameters are frozen meanwhile.
        x: (n, *shape).
        chains: for each example.
        temperatures: steps of β from 0 to 1.
        seed: random seed.
        steps: leapfrog steps a move. Cost: n·chains·temperatures·steps gradients of the decoder.

    Raises:
        PlausibleError: fewer than one chain, temperature or step.
    """
    for name, value in {"chains": chains, "temperatures": temperatures, "steps": steps}.items():
        if value < 1:
            raise PlausibleError(f"{name} must be at least 1, not {value}")
    schedule = sigmoid_schedule(temperatures)
    rows = max(1, min(ROWS, BLOCK // chains))
    with torch.random.fork_rng(), _frozen_parameters(model):
        blocks = [_annealed(model, block, schedule, chains, steps) for block in seeded_blocks(x, rows, seed)]
    return LowerBound(torch.cat(blocks), chains)


def sigmoid_schedule(temperatures: int) -> list[float]:
    """β_t = (s(t) − s(0))/(s(T) − s(0)), s(t) = sigmoid(4·(2t/T − 1)), t = 0 … T: T + 1 values (Wu et al., 2017)."""
    s = torch.linspace(-_STEEPNESS, _STEEPNESS, temperatures + 1, dtype=torch.float64).sigmoid()
    return ((s - s[0]) / (s[-1] - s[0])).tolist()


def _annealed(model: JointDensity, x: Tensor, schedule: list[float], chains: int, steps: int) -> Tensor:
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


def _look(model: JointDensity, x: Tensor, z: Tensor) -> _Look:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        prior, joint = model.log_prior(z), model.log_joint(x, z)
        (prior_slope,) = torch.autograd.grad(prior.sum(), z)
        (joint_slope,) = torch.autograd.grad(joint.sum(), z)
    return _Look(z.detach(), prior.detach(), joint.detach(), prior_slope, joint_slope)


def _move(
    model: JointDensity, x: Tensor, here: _Look, beta: float, size: Tensor, steps: int
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


@contextlib.contextmanager
def _frozen_parameters(model: object) -> Generator[None]:
    """No gradient is computed for the model's parameters meanwhile."""
    moving = [p for p in model.parameters() if p.requires_grad] if isinstance(model, nn.Module) else []
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)
