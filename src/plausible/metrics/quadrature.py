"""log p(x) = log ∫ p(x|z) p(z) dz of a model with a code of 1 or 2 dimensions, by quadrature; in nats per example."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from plausible.capabilities import JointDensity
from plausible.errors import PlausibleError
from plausible.metrics.importance import Scores

__all__ = ["Exact", "exact_log_prob"]

BLOCK = 4096
"""Codes decoded at a time, which bounds the memory."""
_DEPTHS = (40.0, *[20.0] * 6)  # the grid covers where the joint is within e⁻²⁰ of its maximum, at first e⁻⁴⁰
_TOLERANCE = 1e-3
_HALVINGS = 2
_POINTS = {1: 1025, 2: 129}


@dataclass(frozen=True, eq=False)
class Exact(Scores):
    """log p(x) by quadrature; errors, (n,): what halving the step changed, nats."""

    errors: Tensor


def exact_log_prob(model: JointDensity, x: Tensor, limit: float = 8.0, points: int | None = None) -> Exact:
    """log ∫ p(x, z) dz for each row of x, (n, *shape), on a grid of equal steps.

    The grid first covers the prior's mean ± limit deviations (estimated from samples) and, where the model has one, the
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


def _around(model: JointDensity, x: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Corners, (n, latent) each, of boxes that hold the prior and each row's approximate posterior."""
    codes = model.sample_prior(1000)
    low = (codes.mean(0) - limit * codes.std(0)).expand(len(x), -1)
    high = (codes.mean(0) + limit * codes.std(0)).expand(len(x), -1)
    posterior = getattr(model, "posterior", None)
    if posterior is None:
        return low, high
    mean, deviation = posterior(x)
    return torch.minimum(low, mean - limit * deviation), torch.maximum(high, mean + limit * deviation)


def _integral(
    model: JointDensity, row: Tensor, low: Tensor, high: Tensor, points: int
) -> tuple[float, float]:
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


def _on_grid(model: JointDensity, row: Tensor, axes: list[Tensor]) -> Tensor:
    """log p(row, z) at the crossings of the axes, (points,) · dimensions, float64."""
    codes = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2).to(row.device)
    parts = [model.log_joint(row.expand(len(z), *row.shape), z).double() for z in codes.split(BLOCK)]
    return torch.cat(parts).cpu().unflatten(0, [len(axis) for axis in axes])
