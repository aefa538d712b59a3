"""What a model may want to know of its training data before tick 0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["correlation", "moments"]


def moments(data: Any) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the training rows, (features,) each, in one pass.

    Args:
        data: has `blocks()`, an iterator of (rows, *shape) arrays.
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for block in data.blocks():
        x = torch.from_numpy(block).flatten(1).double()
        count, before = count + len(x), count
        shift = x.mean(0) - mean
        squares = squares + (x - x.mean(0)).square().sum(0) + shift.square() * before * len(x) / count
        mean = mean + shift * len(x) / count
    return mean.float(), (squares / count).sqrt().float()


def correlation(z: Tensor, least: float) -> Tensor:
    """Correlations of scores, shrunk towards I: R = (1 − λ)·C off the diagonal (Schäfer and Strimmer, 2005).

    λ = Σ_{i≠j} var(C_ij) / Σ_{i≠j} C_ij², within [least, 1]; var(C_ij) is the variance of the mean of z_i·z_j over the
    rows that have both. A column whose scores are constant is uncorrelated with the others.

    Args:
        z: (n, D), float64; NaN where a row has no score.
        least: the least λ.
    """
    there = (~z.isnan()).to(z)
    n = (there.t() @ there).clamp_min(1)
    z = (z - z.nanmean(0)).nan_to_num()
    z = z / (z.square().sum(0) / n.diagonal()).sqrt().clamp_min(1e-6)
    C = (z.t() @ z / n).fill_diagonal_(0)
    noise = ((z.square().t() @ z.square() / n - C.square()) / n).fill_diagonal_(0).sum()
    apart = C.square().sum()
    share = float((noise / apart).clamp(least, 1)) if apart > 0 else 1.0
    return ((1 - share) * C).fill_diagonal_(1)
