"""A mixture of logistic kernels and an even share over a column's scale, which a network gives for each cell.

    f(u) = w_0 + Σ_k w_k·f_k(u),   f_k the density of a logistic distribution with a place and a width

Mixtures are tensors (…, 3K + 1): the weights w_0 … w_K, the K places and the K widths.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["KERNELS", "draw_between", "kernel_density", "kernel_mass", "kernels_from", "mean_densities"]

KERNELS = 4
"""K, of a column."""
_EVEN = 1e-3
"""The least share w_0 that is the same everywhere."""
_NARROWEST = 3e-4
"""The least width of a kernel, as a share of the scale."""


def kernels_from(outputs: Tensor) -> Tensor:
    """The mixture from a network's outputs, (…, 3K + 1); zeros give kernels side by side."""
    weight, place, width = outputs.split([KERNELS + 1, KERNELS, KERNELS], -1)
    weight = (1 - _EVEN) * weight.softmax(-1)
    first = (torch.arange(KERNELS, device=outputs.device) + 0.5) / KERNELS
    even = weight[..., :1] + _EVEN
    return torch.cat([even, weight[..., 1:], first.to(place) + place, _NARROWEST + softplus(width - 1.0)], -1)


def kernel_density(kernels: Tensor, u: Tensor) -> Tensor:
    """f(u), (…, 3K + 1) and (…) → (…)."""
    even, weight, _, width = _parts(kernels)
    at = _distribution(kernels, u)
    return (weight * at * (1 - at) / width).sum(-1) + even


def kernel_mass(kernels: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """∫ f from a to b, (…, 3K + 1), (…) and (…) → (…)."""
    even, weight, _, _ = _parts(kernels)
    return (weight * (_distribution(kernels, b) - _distribution(kernels, a))).sum(-1) + even * (b - a)


def mean_densities(kernels: Tensor, edges: Tensor) -> Tensor:
    """The mean of f between each two neighbouring edges of a column, (B, n, 3K + 1) and (n, S + 1) → (B, n, S)."""
    even, weight, place, width = (part.transpose(0, 1) for part in _parts(kernels))
    under: Tensor = _Distribution.apply(weight, place, width, edges)
    return (under.diff(dim=2) / edges.diff(dim=1)[:, None] + even[..., None]).transpose(0, 1)


def draw_between(kernels: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A sample of f between a and b, (B, 3K + 1), (B,) and (B,) → (B,)."""
    even, weight, place, width = _parts(kernels)
    low, high = _distribution(kernels, a), _distribution(kernels, b)
    masses = torch.cat([(even * (b - a))[:, None], weight * (high - low)], 1)
    part = torch.multinomial(masses.clamp_min(1e-30), 1)
    share, k = torch.rand_like(a), (part - 1).clamp_min(0)
    low, high, place, width = (each.gather(1, k)[:, 0] for each in (low, high, place, width))
    inside = place + width * torch.lerp(low, high, share).clamp(1e-7, 1 - 1e-7).logit()
    return torch.where(part[:, 0] == 0, torch.lerp(a, b, share), inside).clamp(a, b)


class _Distribution(torch.autograd.Function):
    """Σ_k w_k·F_k at the edges, (n, B, K) each and (n, E) → (n, B, E).

    By hand, because autograd would keep and pass through five tensors of (n, B, K, E) each way.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, place: Tensor, width: Tensor, edges: Tensor) -> Tensor:
        rate = 1 / width
        at = torch.addcmul((-place * rate)[..., None], rate[..., None], edges[:, None, None]).sigmoid_()
        ctx.save_for_backward(weight, place, rate, edges, at)
        return torch.matmul(weight[:, :, None], at)[:, :, 0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, place, rate, edges, at = ctx.saved_tensors
        (grad,) = grads
        of_weight = torch.matmul(at, grad[..., None])[..., 0]
        slopes = torch.addcmul(at, at, at, value=-1).mul_(grad[:, :, None])
        sums = torch.matmul(slopes, torch.stack([torch.ones_like(edges), edges], 2)[:, None])
        even, tilted = sums[..., 0] * weight, sums[..., 1] * weight
        return of_weight, -even * rate, (place * even - tilted) * rate.square(), None


def _parts(kernels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    weight, place, width = kernels.split([KERNELS + 1, KERNELS, KERNELS], -1)
    return weight[..., 0], weight[..., 1:], place, width


def _distribution(kernels: Tensor, u: Tensor) -> Tensor:
    """F_k(u), (…, K)."""
    _, _, place, width = _parts(kernels)
    return torch.sigmoid((u[..., None] - place) / width)
