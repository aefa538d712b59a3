"""Standard errors by leaving one row out, and 95 % confidence intervals of figures and of shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

__all__ = ["Estimate", "interval_of", "jackknife_error", "share_interval"]

_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Estimate:
    """A figure and its standard error over rows."""

    value: float
    standard_error: float

    @property
    def interval(self) -> tuple[float, float]:
        """A 95 % confidence interval, value ± 1.96 standard errors."""
        return interval_of(self.value, self.standard_error)


def jackknife_error(*left_out: np.ndarray) -> float:
    """√(Σ over sets of (n − 1)/n Σᵢ (Tᵢ − mean T)²): the delete-one jackknife of a figure of one or several sets.

    Tᵢ is the figure without row i of a set. On average not below the true standard error (Efron & Stein, *The jackknife
    estimate of variance*, 1981).

    Args:
        left_out: for each set the Tᵢ, (n,).
    """
    return math.sqrt(sum((len(t) - 1) * float(t.var()) for t in left_out))


def interval_of(value: float, error: float, low: float = -math.inf) -> tuple[float, float]:
    """value ± 1.96·error, cut off at `low`."""
    return max(low, value - _Z * error), value + _Z * error


def share_interval(share: float, error: float, n: int) -> tuple[float, float]:
    """Wilson's score interval for a share with a given standard error.

    With N = share·(1 − share)/error² in place of the number of rows, at most n; n where the share is 0 or 1 or the
    error is 0. For error = √(share·(1 − share)/n) it is Wilson's interval of n rows (*JASA* 22, 1927).
    """
    effective = min(n, share * (1 - share) / error**2) if error > 0 and 0 < share < 1 else n
    squared = _Z**2 / effective
    centre = (share + squared / 2) / (1 + squared)
    half = _Z / (1 + squared) * math.sqrt(share * (1 - share) / effective + squared / (4 * effective))
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
