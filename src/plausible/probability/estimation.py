"""Monte Carlo: an expectation from samples, with its standard error and confidence interval.

    E[f(x)] ≈ f̄ = 1/n Σ f(xᵢ)        standard error = s/√n,  s² = 1/(n−1) Σ (f(xᵢ) − f̄)²
    95 % interval: f̄ ± t₀.₉₇₅(n−1) · s/√n, Student's t: 1.96 for large n

Source: Owen, Monte Carlo theory, methods and examples (2013), chapter 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Distribution

from plausible.errors import PlausibleError
from plausible.probability import moments
from plausible.probability.checks import as_float64, as_seed, as_whole_number
from plausible.probability.tables import Table

__all__ = ["Estimate", "estimate_mean", "monte_carlo", "sample", "scaled"]


@dataclass(frozen=True)
class Estimate:
    """A number, how it was computed, and its error.

    value. standard_error: of a Monte Carlo mean, else 0. n: samples (Monte Carlo), evaluations (quadrature), terms
    (sum), or 0 (closed form). method: "closed form", "sum", "quadrature" or "Monte Carlo". bound: quadrature's
    estimated absolute error, else 0. `float(estimate)` is the value.
    """

    value: float
    standard_error: float
    n: int
    method: str
    bound: float = 0.0

    def __float__(self) -> float:
        return self.value

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """(low, high) that covers the true value with probability `level`; a point when the value is exact.

        value ± (t·standard_error + bound), t the quantile of Student's t with n − 1 degrees of freedom. It relies
        on the central limit theorem: for few samples of a skewed f its coverage is below `level`.
        """
        if not 0 < level < 1:
            raise PlausibleError(f"level = {level}: a confidence level lies between 0 and 1, such as 0.95")
        spread = self.bound
        if self.standard_error > 0:
            spread += float(stats.t.ppf((1 + level) / 2, self.n - 1)) * self.standard_error
        return self.value - spread, self.value + spread

    def __str__(self) -> str:
        if self.standard_error > 0:
            return f"{self.value:.6g} ± {self.standard_error:.2g} (standard error, n = {self.n:,}, {self.method})"
        return f"{self.value:.10g} ({self.method})"


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """The estimate of factor·value, to change from nats to another base."""
    return replace(
        estimate,
        value=estimate.value * factor,
        standard_error=estimate.standard_error * abs(factor),
        bound=estimate.bound * abs(factor),
    )


def estimate_mean(values: object) -> Estimate:
    """The mean of n ≥ 2 independent samples (n,) with its standard error s/√n.

    If one of them is +∞ (or −∞), so is the mean, with standard error 0; NaN and too few values are errors.
    """
    array = as_float64(values, "estimate_mean").ravel()
    if len(array) < 2:
        raise PlausibleError(f"estimate_mean: {len(array)} values; a standard error needs at least 2")
    if np.isnan(array).any() or (np.isposinf(array).any() and np.isneginf(array).any()):
        raise PlausibleError("estimate_mean: NaN, or both +∞ and −∞, among the values: they have no mean")
    if np.isinf(array).any():
        return Estimate(float(array[np.isinf(array)][0]), 0.0, len(array), "Monte Carlo")
    error = float(array.std(ddof=1)) / math.sqrt(len(array))
    return Estimate(float(array.mean()), error, len(array), "Monte Carlo")


def monte_carlo(
    f: str | Callable[..., object], p: Table | Distribution, n: int = 10_000, seed: int = 0
) -> Estimate:
    """E[f(x)], x ~ p, from n samples with a random seed.

    p a Table: f is a variable's name or a function of variables, as in `Table.expectation`, which gives it exactly.
    p a torch Distribution: f maps samples (n, *event), float64, to (n,). The caller's random state is not changed.
    """
    n, seed = as_whole_number(n, "monte_carlo: n", 2), as_seed(seed)  # a standard error needs 2 samples
    if isinstance(p, Table):
        outcomes = moments.evaluate(p.values, p.probabilities, f, float).ravel()
        places = np.random.default_rng(seed).choice(p.probabilities.size, size=n, p=p.probabilities.ravel())
        return estimate_mean(outcomes[places])
    if isinstance(f, str):
        raise PlausibleError(
            f"f = {f!r} is a variable's name, but p is not a Table; give a function of the samples"
        )
    values = f(sample(p, n, seed))
    shape = as_float64(values, "monte_carlo").shape
    if shape != (n,):
        raise PlausibleError(
            f"monte_carlo: f gave shape {shape} for {n} samples; it must give one number per sample, ({n},)"
        )
    return estimate_mean(values)


def sample(p: Distribution, n: int, seed: int) -> Tensor:
    """n samples of p, (n, *batch, *event), floats in float64, without changing torch's global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(as_seed(seed))
        x = p.sample(torch.Size((n,)))
    return x.double()
