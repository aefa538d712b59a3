"""The central limit theorem: the distribution of a standardised mean, and its distance to the normal distribution.

Of n independent x with mean μ and variance σ² < ∞, the standardised mean z = (x̄ − μ) √n / σ tends to N(0, 1).
The number is Kolmogorov's distance sup_z |F_n(z) − Φ(z)|, and Berry and Esseen bound it:

    distance ≤ 0.4748 · E|x − μ|³ / (σ³ √n)

Sources: Shevtsova, arXiv:1111.6554 (the constant); Massart, Ann. Prob. 18 (1990) (the error of a sampled F).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from torch.distributions import Distribution

from plausible.errors import PlausibleError
from plausible.probability.checks import as_whole_number
from plausible.probability.estimation import sample
from plausible.probability.tables import Table

__all__ = ["CentralLimit", "central_limit"]

_BERRY_ESSEEN = 0.4748
_OUTCOMES = 1_000_000  # the largest number of different sums that are counted exactly
_LOOK, _COST = 64, 3e8  # after so many terms the whole is estimated; sums sorted at most


@dataclass(frozen=True, eq=False)
class CentralLimit:
    """The distribution of z, the standardised mean of n samples, compared with N(0, 1).

    z (m,) ascending, its probabilities (m,) and F_n(z) in cdf (m,): plot `step(z, cdf)` over Φ. distance:
    sup |F_n − Φ|, in [0, 1]. error: 0 when exact; when sampled, half the width of a 95 % band of F_n (Massart).
    bound: Berry–Esseen's, None when sampled.
    """

    n: int
    z: np.ndarray
    probabilities: np.ndarray
    cdf: np.ndarray
    distance: float
    error: float
    bound: float | None


def central_limit(p: Table | Distribution, n: int, samples: int = 100_000, seed: int = 0) -> CentralLimit:
    """How close the mean of n independent samples of p is to a normal distribution.

    p: a table of one numeric variable, counted exactly (a die: 5n + 1 sums), or a torch distribution of one
    variable, of which `samples` means are sampled. Raises when p has no finite, positive variance (Cauchy: the theorem
    does not hold), when an exact count exceeds a million sums or would take minutes (its time grows as n²: of a die's
    1,000 means a second, 3,000 means fifteen), and for n < 1.
    """
    n, samples = (
        as_whole_number(n, "central_limit: n", 1),
        as_whole_number(samples, "central_limit: samples", 1),
    )
    return _exact(p, n) if isinstance(p, Table) else _sampled(p, n, samples, seed)


def _exact(p: Table, n: int) -> CentralLimit:
    if len(p.names) != 1:
        raise PlausibleError(
            f"central_limit: a table over {', '.join(p.names)}; take the marginal of one variable"
        )
    name = p.names[0]
    mean, variance = p.expectation(name), p.variance(name)
    _check(variance, f"the variable {name!r}")
    numeric = p.function(name, lambda **row: float(row[name]))
    values = np.array(numeric.values[name], dtype=float)
    sums, masses = np.zeros(1), np.ones(1)
    for done in range(n):
        if done == _LOOK and n**2 * len(sums) / _LOOK * len(values) > _COST:
            raise PlausibleError(
                f"central_limit: n = {n}; counting every sum takes time as n², too much of it here: give a smaller n"
            )
        if len(sums) * len(values) > 16 * _OUTCOMES:
            raise PlausibleError(
                f"central_limit: more than {_OUTCOMES:,} different sums; give a smaller n or rounder values"
            )
        sums, place = np.unique((sums[:, None] + values).ravel(), return_inverse=True)
        masses = np.bincount(place.ravel(), weights=np.multiply.outer(masses, numeric.probabilities).ravel())
    third = p.expectation(lambda **row: abs(float(row[name]) - mean) ** 3)
    bound = _BERRY_ESSEEN * third / (variance**1.5 * math.sqrt(n))
    return _against_normal(n, (sums - n * mean) / math.sqrt(n * variance), masses, 0.0, bound)


def _sampled(p: Distribution, n: int, samples: int, seed: int) -> CentralLimit:
    if tuple(p.batch_shape) or tuple(p.event_shape):
        raise PlausibleError(f"central_limit: {p} is not over one variable")
    mean, variance = float(p.mean), float(p.variance)
    _check(variance if math.isfinite(mean) else math.nan, str(p))
    total = sample(p, n * samples, seed).reshape(n, samples).sum(0).numpy()
    z = np.sort((total - n * mean) / math.sqrt(n * variance))
    error = math.sqrt(math.log(2 / 0.05) / (2 * samples))
    return _against_normal(n, z, np.full(samples, 1 / samples), error, None)


def _check(variance: float, what: str) -> None:
    if not 0 < variance < math.inf:
        raise PlausibleError(
            f"central_limit: {what} has variance {variance:g}; the theorem needs a positive, finite one"
        )


def _against_normal(
    n: int, z: np.ndarray, masses: np.ndarray, error: float, bound: float | None
) -> CentralLimit:
    """F_n jumps at z: the largest distance is just before or at a jump."""
    cdf = np.cumsum(masses)
    normal = stats.norm.cdf(z)
    distance = max(np.abs(cdf - normal).max(), np.abs(cdf - masses - normal).max())
    return CentralLimit(n, z, masses, cdf, float(distance), error, bound)
