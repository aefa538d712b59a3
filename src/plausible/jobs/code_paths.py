"""Paths through code space: linear, spherical, and along one dimension at a time.

Each function returns the codes along the path; `jobs.interpolate` decodes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear", "slerp", "traversal"]

PARALLEL = 1e-6
"""Below this sine of their angle two codes count as collinear with the origin: no unique arc joins them."""


def linear(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """(1 − t)·a + t·b for t = 0 … 1, (steps, features); starts at a and ends at b exactly."""
    t = torch.linspace(0, 1, steps, dtype=torch.float64)[:, None]
    return ((1 - t) * a.double() + t * b.double()).to(a.dtype)


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """sin((1 − t)ω)/sin ω · a + sin(tω)/sin ω · b for t = 0 … 1, ω the angle between a and b, (steps, features).

    Codes of equal norm are joined along the sphere, where a Gaussian has its mass (Shoemake, 1985; White, *Sampling
    Generative Networks*, 2016). The path starts at a and ends at b exactly. Codes that are collinear with the origin
    are joined linearly.
    """
    u, v = a.double(), b.double()
    lengths = u.norm(), v.norm()
    if min(lengths) == 0:
        return linear(a, b, steps)
    u, v = u / lengths[0], v / lengths[1]
    angle = 2 * torch.atan2((u - v).norm(), (u + v).norm())
    if angle.sin() < PARALLEL:
        return linear(a, b, steps)
    t = torch.linspace(0, 1, steps, dtype=torch.float64)[:, None]
    left, right = ((1 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin()
    return (left * a.double() + right * b.double()).to(a.dtype)


def traversal(codes: Tensor, steps: int, *, dimensions: int = 10, reach: float = 3.0) -> Tensor:
    """The mean code with one dimension at a time moved from −reach to reach standard deviations.

    Args:
        codes: (n, features), n ≥ 2.
        steps: number of codes along each dimension.
        dimensions: the maximum number of dimensions: those with the largest standard deviation, largest first.
        reach: how far to go, in standard deviations of that dimension.

    Returns:
        (min(dimensions, features), steps, features)
    """
    mean, deviation = codes.mean(0), codes.std(0)
    chosen = deviation.argsort(descending=True, stable=True)[:dimensions]
    moved = mean.repeat(len(chosen), steps, 1)
    along = torch.linspace(-reach, reach, steps, dtype=codes.dtype)
    for row, dimension in enumerate(chosen):
        moved[row, :, dimension] += along * deviation[dimension]
    return moved
