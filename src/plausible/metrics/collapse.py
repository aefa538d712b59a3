"""Is a generator collapsing? Distinctness and coverage of a few samples against as many real rows, in milliseconds.

    distinctness = median distance of a sample to its nearest other sample / the same of real rows
    coverage     = share of real r with a sample in B(r, r_5(r))           (Naeem et al. 2020)

r_5(r) is the distance of r to its fifth nearest other real row. As many real rows as samples are compared, so that
other real rows in place of the samples have distinctness near 1, and coverage near .97. Copies have distinctness 0;
samples of one mode cover that mode's share of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix

__all__ = ["Collapse", "collapse"]

K = 5
FEWEST = 32
LEAST_DISTINCT, LEAST_COVERED, REALISTIC = 0.3, 0.6, 0.5


@dataclass(frozen=True)
class Collapse:
    """Distinctness ≥ 0 and coverage in [0, 1] of some samples; both are near 1 where they vary as real rows do.

    Attributes:
        distinctness: 0 where most samples have a copy among the others.
        coverage: share of the real rows with a sample close by.
        alarm: what is wrong, in words; None where nothing is.
    """

    distinctness: float
    coverage: float
    alarm: str | None


def collapse(samples: Tensor | np.ndarray, real: Tensor | np.ndarray) -> Collapse:
    """Measure how much samples vary, and warn where a generator has collapsed.

    There is an alarm where distinctness is below 0.3 (copies), or where coverage is below 0.6 while at least half of
    the samples lie in some ball B(r, r_5(r)): realistic samples of a part of the data. Samples far from all real rows
    cover little too, and that is not called collapse. Take 256 samples where there are as many real rows: of 64 a
    dropped mode is often missed.

    Where most real rows have an equal one, distinctness compares numbers of distinct rows instead of distances.

    Args:
        samples: (n, *shape), n ≥ 32, of independent noise.
        real: (m, *shape), m ≥ 32, in random order; the first min(n, m) of both are compared.

    Raises:
        PlausibleError: arrays that do not fit together or hold NaN, or too few rows.
    """
    x = as_matrix("real", real)
    s = as_matrix("samples", samples, width=x.shape[1])
    n = min(len(s), len(x))
    if n < FEWEST:
        raise PlausibleError(
            f"collapse: {len(s)} samples and {len(x)} real rows: give at least {FEWEST} samples and real rows"
        )
    s, x = s[:n].double(), x[:n].double()
    if real.ndim == 2:  # a table: each column by its own standard deviation
        scale = x.std(0)
        s, x = (rows / torch.where(scale > 0, scale, 1.0) for rows in (s, x))
    among = torch.cdist(x, x).fill_diagonal_(torch.inf)
    radii = among.kthvalue(K, dim=1).values
    inside = torch.cdist(x, s) <= radii[:, None]
    coverage = float(inside.any(1).double().mean())
    realistic = float(inside.any(0).double().mean())
    distinctness = _distinctness(s, x, among)
    return Collapse(distinctness, coverage, _alarm(n, distinctness, coverage, realistic))


def _distinctness(s: Tensor, x: Tensor, among: Tensor) -> float:
    typical = float(among.min(1).values.median())
    rounding = 1e-6 * float(x.abs().max())
    if typical <= rounding:
        return len(s.unique(dim=0)) / len(x.unique(dim=0))
    return float(torch.cdist(s, s).fill_diagonal_(torch.inf).min(1).values.median()) / typical


def _alarm(n: int, distinctness: float, coverage: float, realistic: float) -> str | None:
    if distinctness < LEAST_DISTINCT:
        return (
            f"the generator is collapsing: half of {n} samples are {distinctness:.0%} as far from their nearest other "
            "sample as real rows are from theirs, or closer: copies"
        )
    if coverage < LEAST_COVERED and realistic >= REALISTIC:
        return (
            f"the generator is losing modes: {n} samples come close to {coverage:.0%} of as many real rows (other real "
            "rows to about 97%)"
        )
    return None
