"""Damage to rows, of several kinds and degrees: what the network of `feature_network` learns to see.

Each kind takes clean rows x, (B, *shape), others of the same data, and a degree in (0, 1] for each row:

    noise     x + N(0, (degree·s)²), s the standard deviation of all values (of the column, in a table)
    replace   each value, with probability `degree`, is uniform between the column's extremes
    swap      each value, with probability `degree`, is that of another row: at 1 the columns are independent
    overlay   (1 − degree/2)·x + degree/2·another row
    average   (1 − degree)·x + degree·the mean of the row's 8 nearest among the others
    blur      Gaussian, of standard deviation 0.3 + degree·min(height, width)/12 pixels               pictures only
    patch     a rectangle of the picture, its sides √degree·0.7 of the picture's, is that of another   pictures only

Values are kept in the data's domain: unit values are clipped to [0, 1], binary ones are drawn with the damaged value as
probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from plausible.game import Domain

__all__ = ["PICTURE_KINDS", "TABLE_KINDS", "Range", "damage"]


_AVERAGED = 8


@dataclass(frozen=True, eq=False)
class Range:
    """The training rows' standard deviation and extremes, broadcastable against a row, and their domain."""

    scale: Tensor
    low: Tensor
    high: Tensor
    domain: Domain


def _noise(x: Tensor, _other: Tensor, degree: Tensor, span: Range) -> Tensor:
    return x + degree * span.scale * torch.randn_like(x)


def _replace(x: Tensor, _other: Tensor, degree: Tensor, span: Range) -> Tensor:
    uniform = span.low + (span.high - span.low) * torch.rand_like(x)
    return torch.where(torch.rand_like(x) < degree, uniform, x)


def _swap(x: Tensor, other: Tensor, degree: Tensor, _span: Range) -> Tensor:
    rows = torch.randint(len(other), x.shape)
    mixed = other.gather(0, rows)
    return torch.where(torch.rand_like(x) < degree, mixed, x)


def _overlay(x: Tensor, other: Tensor, degree: Tensor, _span: Range) -> Tensor:
    return torch.lerp(x, other[torch.randint(len(other), (len(x),))], 0.5 * degree)


def _average(x: Tensor, other: Tensor, degree: Tensor, span: Range) -> Tensor:
    far = torch.cdist((x / span.scale).flatten(1), (other / span.scale).flatten(1))
    nearest = far.topk(min(_AVERAGED + 1, len(other)), largest=False).indices[
        :, 1:
    ]  # x itself may be the first
    return torch.lerp(x, other[nearest].mean(1) if nearest.shape[1] else x, degree)


def _blur(x: Tensor, _other: Tensor, degree: Tensor, _span: Range) -> Tensor:
    sigma = 0.3 + degree * min(x.shape[2:]) / 12
    down, across = (_gaussian(size, sigma) for size in x.shape[2:])
    return down @ x @ across.transpose(2, 3)


def _gaussian(size: int, sigma: Tensor) -> Tensor:
    """Matrices that blur along an axis of so many pixels, (B, 1, size, size); rows sum to one."""
    at = torch.arange(size, dtype=sigma.dtype)
    return (-((at[:, None] - at) / sigma).square() / 2).softmax(-1)


def _patch(x: Tensor, other: Tensor, degree: Tensor, _span: Range) -> Tensor:
    inside = torch.ones_like(x[:, :1], dtype=torch.bool)
    for axis in (2, 3):
        size = x.shape[axis]
        length = (0.7 * degree.sqrt() * size).clamp_min(1)
        start = torch.rand_like(degree) * (size - length)
        at = torch.arange(size).view(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        inside &= (at >= start) & (at < start + length)
    return torch.where(inside, other[torch.randint(len(other), (len(x),))], x)


Kind = Callable[[Tensor, Tensor, Tensor, Range], Tensor]

TABLE_KINDS: dict[str, Kind] = {
    "noise": _noise,
    "replace": _replace,
    "swap": _swap,
    "overlay": _overlay,
    "average": _average,
}
PICTURE_KINDS: dict[str, Kind] = {**TABLE_KINDS, "blur": _blur, "patch": _patch}
"""Name → (x, other, degree, range) → damaged rows."""


def damage(x: Tensor, other: Tensor, kind: Tensor, degree: Tensor, span: Range) -> Tensor:
    """Damaged copies of rows, (B, *shape).

    Args:
        x: clean rows, (B, *shape).
        other: rows that values, patches and overlays are taken from, (m, *shape).
        kind: of each row, (B,): a place in PICTURE_KINDS, or for tables in TABLE_KINDS.
        degree: of each row, (B,), in (0, 1].
        span: of the data.
    """
    kinds = PICTURE_KINDS if x.ndim == 4 else TABLE_KINDS
    degree = degree.view(-1, *[1] * (x.ndim - 1))
    out = x.clone()
    for place, apply in enumerate(kinds.values()):
        here = kind == place
        if here.any():
            out[here] = apply(x[here], other, degree[here], span)
    if span.domain == "unit":
        out = out.clamp(0, 1)
    if span.domain == "binary":
        out = (torch.rand_like(out) < out).to(out.dtype)
    return out
