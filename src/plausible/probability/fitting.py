"""Maximum likelihood and maximum a posteriori, the log-likelihood surface, and underflow of products.

    likelihood   L(θ) = Π p(xᵢ | θ)         maximum likelihood   θ̂ = argmax Σ log p(xᵢ | θ)
    posterior    p(θ | x) ∝ p(x | θ) p(θ)   MAP                  θ̂ = argmax [Σ log p(xᵢ | θ) + log p(θ)]

A conjugate prior makes the posterior one of its own family, so MAP has a closed form: its mode. Fitted
distributions are torch's, in float64. Source: Murphy, Machine Learning (2012), §3.3, §3.4 and §4.6.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.distributions import Bernoulli, Beta, Categorical, Dirichlet, Distribution, Normal

from plausible.errors import PlausibleError
from plausible.probability.checks import as_float64
from plausible.probability.continuous import log_density

__all__ = [
    "NormalInverseGamma",
    "Underflow",
    "fit_bernoulli",
    "fit_categorical",
    "fit_gaussian",
    "log_likelihood",
    "log_likelihood_surface",
    "underflow",
]


def fit_bernoulli(x: object, prior: Beta | None = None) -> Bernoulli:
    """p̂ = k/n for k ones among n zeros and ones; with a Beta(a, b) prior (k + a − 1)/(n + a + b − 2).

    Beta(a, b) counts as a − 1 ones and b − 1 zeros seen before; Beta(1, 1) gives maximum likelihood. Raises for
    data that are not 0 and 1, for none, and for a posterior without one mode (a + k < 1, b + n − k < 1, or both 1).
    """
    data = _data(x, "fit_bernoulli")
    if not np.isin(data, (0, 1)).all():
        raise PlausibleError(
            f"fit_bernoulli: {data[~np.isin(data, (0, 1))][0]:g} in the data; give zeros and ones"
        )
    strength = (
        np.ones(2) if prior is None else np.array([float(prior.concentration0), float(prior.concentration1)])
    )
    return Bernoulli(probs=torch.tensor(_mode(np.bincount(data.astype(int), minlength=2) + strength)[1]))


def fit_categorical(x: object, m: int, prior: Dirichlet | None = None) -> Categorical:
    """p̂_j = n_j/n for data in 0 … m−1; with a Dirichlet(α) prior (n_j + α_j − 1)/(n + Σα − m).

    Raises for data outside 0 … m−1, a prior of another size, and a posterior without one mode (n_j + α_j < 1).
    """
    data = _data(x, "fit_categorical")
    if m < 1 or not (np.isin(data, np.arange(m))).all():
        raise PlausibleError(f"fit_categorical: data must be whole numbers from 0 to m − 1 = {m - 1}")
    strength = np.ones(m) if prior is None else prior.concentration.detach().double().numpy()
    if strength.shape != (m,):
        raise PlausibleError(f"fit_categorical: a prior over {strength.shape} outcomes for m = {m}")
    return Categorical(probs=torch.from_numpy(_mode(np.bincount(data.astype(int), minlength=m) + strength)))


@dataclass(frozen=True)
class NormalInverseGamma:
    """The conjugate prior of a Gaussian's unknown mean and variance, which torch does not have.

        σ² ~ InverseGamma(shape, scale),   μ | σ² ~ N(mean, σ²/strength)

    strength: how many observations the guess `mean` is worth; shape, scale > 0: σ² is guessed near
    scale/(shape + 1), the more firmly the larger the shape.
    """

    mean: float
    strength: float
    shape: float
    scale: float

    def __post_init__(self) -> None:
        if not (self.strength > 0 and self.shape > 0 and self.scale > 0):
            raise PlausibleError(f"{self}: strength, shape and scale must be above 0")

    def posterior(self, x: object) -> NormalInverseGamma:
        """After n observations of mean x̄ and S = Σ (x − x̄)²:

        mean (κ m + n x̄)/(κ + n), strength κ + n, shape a + n/2, scale b + S/2 + κ n (x̄ − m)²/(2 (κ + n)).
        """
        data = _data(x, "NormalInverseGamma.posterior")
        n, average = len(data), float(data.mean())
        strength = self.strength + n
        gap = self.strength * n * (average - self.mean) ** 2 / (2 * strength)
        return NormalInverseGamma(
            (self.strength * self.mean + n * average) / strength,
            strength,
            self.shape + n / 2,
            self.scale + float(((data - average) ** 2).sum()) / 2 + gap,
        )

    @property
    def mode(self) -> tuple[float, float]:
        """(μ, σ²) of the highest joint density: (mean, scale/(shape + 3/2))."""
        return self.mean, self.scale / (self.shape + 1.5)


def fit_gaussian(x: object, prior: NormalInverseGamma | None = None) -> Normal:
    """μ̂ = x̄, σ̂² = 1/n Σ (xᵢ − x̄)²; with a prior, the mode of (μ, σ²) under the posterior. x: (n,).

    Maximum likelihood divides by n, not n − 1: on average it takes σ² too small by the factor (n − 1)/n. Raises for
    data that are all equal (σ̂ = 0 is no density) unless there is a prior.
    """
    data = _data(x, "fit_gaussian")
    mean, variance = (float(data.mean()), float(data.var())) if prior is None else prior.posterior(data).mode
    if not variance > 0:
        raise PlausibleError(
            f"fit_gaussian: all {len(data)} values are {data[0]:g}, so σ̂ = 0; give more data or a prior"
        )
    return Normal(
        torch.tensor(mean, dtype=torch.float64), torch.tensor(math.sqrt(variance), dtype=torch.float64)
    )


def log_likelihood(p: Distribution, x: object) -> float:
    """Σ log p(xᵢ) over n independent observations (n, *event), nats; −∞ if one of them is impossible."""
    return float(_log_terms(p, x).sum())


def log_likelihood_surface(family: Callable[..., Distribution], x: object, **grids: object) -> np.ndarray:
    """ℓ(θ) = Σᵢ log p(xᵢ | θ) for every θ on a grid, nats: (len(first grid), len(second grid), …).

    `log_likelihood_surface(Normal, x, loc=means, scale=sigmas)`: family is a torch distribution (or any function
    that makes one), each keyword one of its parameters with its values (m,); x (n,). Its highest cell lies next
    to the maximum-likelihood estimate. Memory: cells × n numbers.
    """
    if not grids:
        raise PlausibleError("log_likelihood_surface: name a parameter and its values, such as loc=[0, 1, 2]")
    data = torch.from_numpy(_data(x, "log_likelihood_surface"))
    axes = [torch.from_numpy(as_float64(axis, name).ravel()) for name, axis in grids.items()]
    cells = [cell.unsqueeze(-1) for cell in torch.meshgrid(*axes, indexing="ij")]
    try:
        p = family(**dict(zip(grids, cells, strict=True)))
    except (TypeError, ValueError) as error:
        raise PlausibleError(
            f"log_likelihood_surface: these parameters do not fit the family: {error}"
        ) from error
    return log_density(p, data).sum(-1).numpy()


@dataclass(frozen=True, eq=False)
class Underflow:
    """The product of n probabilities (or densities) and the sum of their logs.

    products (n,): Π of the first i; sums (n,): Σ log of the first i. vanishes_at: the number of observations after
    which the float64 product reads exactly 0 though no factor is 0 (None: it does not). All likelihoods beyond
    that read 0 and cannot be compared; the sums can. Factors above ½ stick at 4.9e-324 instead of reaching 0, which
    compares no better, and densities above 1 overflow to ∞ likewise.
    """

    products: np.ndarray
    sums: np.ndarray
    vanishes_at: int | None

    def __str__(self) -> str:
        gone = "" if self.vanishes_at is None else f" (0 from observation {self.vanishes_at:,} on)"
        last = f"product {self.products[-1]:.6g}{gone}, sum of logs {self.sums[-1]:.6f}"
        return f"{len(self.sums):,} observations: {last}"


def underflow(p: Distribution, x: object) -> Underflow:
    """The running product of likelihoods and the running sum of their logs, by observation; x (n, *event).

    0.5 multiplied 1,075 times is 0 in float64, whose smallest number is 4.9e-324; 1,075 log ½ = −745.13 is harmless.
    """
    terms = _log_terms(p, x).numpy()
    with np.errstate(under="ignore", over="ignore"):
        products = np.cumprod(np.exp(terms))
    gone = np.flatnonzero((products == 0) & np.isfinite(np.cumsum(terms)))
    return Underflow(products, np.cumsum(terms), int(gone[0]) + 1 if len(gone) else None)


def _log_terms(p: Distribution, x: object) -> torch.Tensor:
    if tuple(p.batch_shape):
        raise PlausibleError(f"{p}: a batch of distributions; give one")
    data = torch.from_numpy(as_float64(x, "observations"))
    rank = len(p.event_shape)
    if data.ndim != rank + 1 or tuple(data.shape[1:]) != tuple(p.event_shape) or not len(data):
        wanted = ", ".join(["n", *map(str, p.event_shape)])
        raise PlausibleError(f"observations of shape {tuple(data.shape)}; give ({wanted}), n at least 1")
    return log_density(p, data)


def _data(x: object, what: str) -> np.ndarray:
    data = as_float64(x, what)
    if data.ndim != 1 or not len(data) or not np.isfinite(data).all():
        raise PlausibleError(
            f"{what}: data of shape {data.shape}; give one or more finite numbers, shape (n,)"
        )
    return data


def _mode(concentration: np.ndarray) -> np.ndarray:
    """The mode of Dirichlet(α): (α_j − 1)/(Σα − m), for α_j ≥ 1, not all 1."""
    weights = concentration - 1
    if weights.min() < 0 or weights.sum() <= 0:
        shown = ", ".join(f"{a:g}" for a in concentration[:8])
        raise PlausibleError(
            f"the posterior ({shown}) has no single mode; give a prior of at least 1, or more data"
        )
    return weights / weights.sum()
