"""A scale for a column of numbers, on which it is spread evenly: piecewise linear between a few of its quantiles."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["KNOTS", "find_on_scale", "fit_knots", "from_scale"]

KNOTS = 17
"""Quantiles of a column between which its scale is linear, the least and the greatest value among them."""
_LEAST_GAP = 1e-7
"""The least distance of two knots, as a share of the column's range."""


def fit_knots(values: np.ndarray) -> np.ndarray:
    """The knots of a column's scale, (KNOTS,), float64, strictly ascending.

    They are quantiles, but that a value counts for at most one (KNOTS − 1)-th of the rows, however often it repeats:
    else a column of few values would have knots in one place.

    Args:
        values: (n,), finite; n = 0 gives knots from 0 to 1.
    """
    if not len(values):
        return np.linspace(0, 1, KNOTS)
    points, counts = np.unique(values.astype(np.float64), return_counts=True)
    weights = np.minimum(counts, max(1.0, len(values) / (KNOTS - 1)))
    below = np.cumsum(weights) - weights / 2
    share = (below - below[0]) / max(below[-1] - below[0], 1e-30)
    knots = np.interp(np.linspace(0, 1, KNOTS), share, points)
    gap = max(_LEAST_GAP * (points[-1] - points[0]), 4 * float(np.spacing(np.float32(np.abs(points).max()))))
    steps = gap * np.arange(KNOTS)
    return np.maximum.accumulate(knots - steps) + steps


def find_on_scale(x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
    """Where values are on their columns' scales, and the scales' slopes there.

    The first knot is at 0, the last one at 1; beyond them a scale goes on as straight as it was.

    Args:
        x: (B, n), without NaN.
        knots: (n, KNOTS).
    """
    x, last = x.t().contiguous(), knots.shape[1] - 1
    piece = (torch.searchsorted(knots, x, right=True) - 1).clamp(0, last - 1)
    low, high = knots.gather(1, piece), knots.gather(1, piece + 1)
    slope = 1 / (last * (high - low))
    return (piece / last + (x - low) * slope).t(), slope.t()


def from_scale(u: Tensor, knots: Tensor) -> Tensor:
    """The values of one column at places on its scale, (B,) and (KNOTS,) → (B,)."""
    last = len(knots) - 1
    piece = (u * last).floor().clamp(0, last - 1).long()
    return knots[piece] + (u * last - piece) * knots.diff()[piece]
