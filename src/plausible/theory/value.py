"""The value function V(D, G), the optimal discriminator D*, and the generator's criterion C(G).

    V(D, G) = E_{x~p_data}[log D(x)] + E_{x~p_g}[log(1 − D(x))]     D maximises, G minimises it  (eq. 1)
    D*(x)   = p_data(x) / (p_data(x) + p_g(x))                      argmax over D                (Proposition 1)
    C(G)    = max_D V(D, G) = V(D*, G) = −log 4 + 2·JSD(p_data, p_g)                             (Theorem 1)

Units: nats. p_data and p_g are both tables, both arrays of masses (one shape), or both torch distributions.
D is an array of D(x) over the outcomes (of two tables: over those of `aligned(p_data, p_g)`), or, for distributions,
a function of float64 tensors (n, *event) → (n,). Its logit is log D − log(1 − D), so D = sigmoid(logit).

Source: Goodfellow et al., Generative Adversarial Nets (2014), sections 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias, overload

import numpy as np
import torch
from scipy.special import xlog1py, xlogy
from torch import Tensor
from torch.distributions import Distribution

from plausible.errors import PlausibleError
from plausible.probability import Estimate, continuous, information, log_density
from plausible.probability.checks import as_float64
from plausible.probability.information import SAMPLES, Discrete

__all__ = [
    "GLOBAL_OPTIMUM",
    "as_unit_interval",
    "criterion",
    "criterion_from_jsd",
    "maximiser",
    "on_outcomes",
    "optimal_discriminator",
    "optimal_logit",
    "pointwise_value",
    "value",
]

_Function: TypeAlias = Callable[[Tensor], Tensor]  # float64 (n, *event) → (n,)
_Costs: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]  # D → (−log D, −log(1 − D)), each in [0, ∞]

GLOBAL_OPTIMUM = -math.log(4)  # C(G) where p_g = p_data, and nowhere lower


@overload
def optimal_discriminator(p_data: Distribution, p_g: Distribution) -> _Function: ...
@overload
def optimal_discriminator(p_data: Discrete, p_g: Discrete) -> np.ndarray: ...
def optimal_discriminator(
    p_data: Discrete | Distribution, p_g: Discrete | Distribution
) -> np.ndarray | _Function:
    """D*(x) = p_data(x) / (p_data(x) + p_g(x)): the probability that x is data when half of all x are.

    Tables, arrays: D* over their outcomes, an array in [0, 1]. Distributions: a function (n, *event) → (n,).
    ½ where both are 0, where any value is optimal. In float64 a D closer to 1 than 1e-16 is 1, and V is then −∞ if
    p_g > 0 there: pass the logit to `value` if the densities are far apart. Source: Proposition 1.
    """
    if isinstance(p_data, Distribution) or isinstance(p_g, Distribution):
        logit = optimal_logit(*information.distributions_of(p_data, p_g))
        return lambda x: torch.sigmoid(logit(x))
    p, q = information.masses_of(p_data, p_g)
    return np.divide(p, p + q, out=np.full_like(p, 0.5), where=p + q > 0)


@overload
def optimal_logit(p_data: Distribution, p_g: Distribution) -> _Function: ...
@overload
def optimal_logit(p_data: Discrete, p_g: Discrete) -> np.ndarray: ...
def optimal_logit(p_data: Discrete | Distribution, p_g: Discrete | Distribution) -> np.ndarray | _Function:
    """logit D*(x) = log p_data(x) − log p_g(x), whose sigmoid is D*: what a discriminator's last layer learns.

    The log of the density ratio: +∞ where p_g = 0 < p_data, −∞ where p_data = 0 < p_g, 0 (D* = ½) where both are 0.
    N(0, 1) against N(m, 1) is linear in x: m²/2 − m·x. Shapes as in `optimal_discriminator`.
    """
    if isinstance(p_data, Distribution) or isinstance(p_g, Distribution):
        first, second = information.distributions_of(p_data, p_g)
        continuous.check_comparable(first, second)  # raise errors now, not at the first x

        def logit(x: Tensor) -> Tensor:
            above, below = log_density(first, x), log_density(second, x)
            return torch.where((above == -math.inf) & (below == -math.inf), 0.0, above - below)

        return logit
    p, q = information.masses_of(p_data, p_g)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((p == 0) & (q == 0), 0.0, np.log(p) - np.log(q))


@overload
def value(
    p_data: Distribution,
    p_g: Distribution,
    discriminator: _Function | None = ...,
    *,
    logit: _Function | None = ...,
    samples: int = ...,
    seed: int = ...,
) -> Estimate: ...
@overload
def value(
    p_data: Discrete,
    p_g: Discrete,
    discriminator: object = ...,
    *,
    logit: object = ...,
    samples: int = ...,
    seed: int = ...,
) -> float: ...
def value(
    p_data: Discrete | Distribution,
    p_g: Discrete | Distribution,
    discriminator: object = None,
    *,
    logit: object = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> float | Estimate:
    """V(D, G) = E_{x~p_data}[log D(x)] + E_{x~p_g}[log(1 − D(x))] ≤ 0, in nats, of any D.

    Give D as probabilities in [0, 1] (`discriminator`) or as logits, ±∞ allowed (`logit`); the logits keep their
    digits where D is near 0 or 1: log D = −log(1 + e^−l), log(1 − D) = −log(1 + e^l). A network's sigmoid is exactly 1
    from logit 17 on in float32, and V then −∞ wherever p_g is above 0: give its logit instead.
    Tables, arrays: the exact sum, a float; −∞ where D is 0 on data or 1 on a generated outcome, 0·(−∞) = 0.
    Distributions: an `Estimate`, a sum over finitely many outcomes, quadrature for one real variable, else Monte
    Carlo with `samples` samples of each. For categoricals D is evaluated at 0, 1, …, for one-hot ones at the unit
    vectors.

    Raises unless exactly one of the two is given, and for a D of another shape, outside [0, 1] or NaN.
    Source: equation 1.
    """
    if (discriminator is None) == (logit is None):
        raise PlausibleError(
            "value: give D either as probabilities (discriminator=…) or as logits (logit=…), one of the two"
        )
    given = logit if discriminator is None else discriminator
    costs: _Costs = _costs_of_logits if discriminator is None else _costs
    if isinstance(p_data, Distribution) or isinstance(p_g, Distribution):
        if not callable(given):
            raise PlausibleError("value: of distributions D is a function of x, tensor (n, *event) → (n,)")
        return _value_of(*information.distributions_of(p_data, p_g), given, costs, samples, seed)
    if callable(given):
        raise PlausibleError("value: of tables and arrays D is an array, one D(x) for each outcome")
    masses = information.masses_of(p_data, p_g)
    d = on_outcomes(given, masses[0].shape, "value")
    return _summed(masses, costs(torch.from_numpy(d)))


@overload
def criterion(p_data: Distribution, p_g: Distribution, samples: int = ..., seed: int = ...) -> Estimate: ...
@overload
def criterion(p_data: Discrete, p_g: Discrete, samples: int = ..., seed: int = ...) -> float: ...
def criterion(
    p_data: Discrete | Distribution, p_g: Discrete | Distribution, samples: int = SAMPLES, seed: int = 0
) -> float | Estimate:
    """C(G) = max_D V(D, G) = V(D*, G), in nats: what G minimises against an optimal D.

    −log 4 = −1.386294 exactly where p_g = p_data; 0 exactly where no x occurs under both. A float of tables and
    arrays, an `Estimate` of distributions (as in `value`). Source: equation 4.
    """
    if isinstance(p_data, Distribution) or isinstance(p_g, Distribution):
        p, q = information.distributions_of(p_data, p_g)
        return value(p, q, logit=optimal_logit(p, q), samples=samples, seed=seed)
    return value(p_data, p_g, logit=optimal_logit(p_data, p_g))


def criterion_from_jsd(jsd: float) -> float:
    """C(G) = −log 4 + 2·JSD(p_data, p_g), in nats, of a JSD in nats, in [0, log 2]. Source: Theorem 1, equation 6."""
    if not 0 <= jsd <= math.log(2) + 1e-12:
        raise PlausibleError(
            f"criterion_from_jsd: jsd = {jsd}; in nats it lies between 0 and log 2 = 0.693147"
        )
    return GLOBAL_OPTIMUM + 2 * float(jsd)


def pointwise_value(y: object, a: object, b: object) -> np.ndarray:
    """a·log y + b·log(1 − y), the term of one x in V: y = D(x) in [0, 1], a = p_data(x) ≥ 0, b = p_g(x) ≥ 0.

    Arrays of any shapes that broadcast. 0·log 0 = 0; −∞ for y = 0 < a and for y = 1, b > 0.
    Source: the proof of Proposition 1.
    """
    d = as_unit_interval(y, "pointwise_value, y")
    first, second = _weights(a, b, "pointwise_value")
    return xlogy(first, d) + xlog1py(second, -d)


def maximiser(a: object, b: object) -> np.ndarray:
    """y* = a/(a + b), where a·log y + b·log(1 − y) is highest on [0, 1]; a, b ≥ 0, not both 0; they broadcast.

    The slope a/y − b/(1 − y) is 0 there alone, and the second derivative is negative. Source: the proof of
    Proposition 1.
    """
    first, second = _weights(a, b, "maximiser")
    if (first + second == 0).any():
        raise PlausibleError(
            "maximiser: a and b both 0, so every y is as good as any; leave those points out"
        )
    return first / (first + second)


def as_unit_interval(numbers: object, what: str) -> np.ndarray:
    """`numbers` as float64, each in [0, 1]; anything else is an error that names `what`."""
    array = as_float64(numbers, what)
    if not ((array >= 0) & (array <= 1)).all():
        raise PlausibleError(f"{what}: give probabilities, numbers between 0 and 1")
    return array


def on_outcomes(discriminator: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    """D (or its logits) as float64, one for each outcome; another shape is an error that names `what`."""
    d = as_float64(discriminator, f"{what}, the discriminator")
    if d.shape != shape:
        raise PlausibleError(
            f"{what}: a discriminator of shape {d.shape} for outcomes of shape {shape}; give one D(x) for each "
            "outcome (of two tables: for those of aligned(p_data, p_g))"
        )
    return d


def _weights(a: object, b: object, what: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = as_float64(a, f"{what}, a"), as_float64(b, f"{what}, b")
    for name, array in (("a", first), ("b", second)):
        if not (np.isfinite(array) & (array >= 0)).all():
            raise PlausibleError(f"{what}: {name} is a density or a mass: finite, and never negative")
    return first, second


def _costs(d: Tensor) -> tuple[Tensor, Tensor]:
    """(−log D, −log(1 − D)) of probabilities."""
    d = torch.from_numpy(as_unit_interval(d, "value, the discriminator's probabilities"))
    return -torch.log(d), -torch.log1p(-d)


def _costs_of_logits(logit: Tensor) -> tuple[Tensor, Tensor]:
    """(−log D, −log(1 − D)) of logits; logaddexp, since torch's softplus drops what is below 2e-9."""
    logit = logit.detach().double()
    if bool(logit.isnan().any()):
        raise PlausibleError("value: NaN among the discriminator's logits; ±∞ are allowed, NaN is no answer")
    zero = torch.zeros((), dtype=torch.float64)
    return torch.logaddexp(zero, -logit), torch.logaddexp(zero, logit)


def _summed(masses: tuple[np.ndarray, ...], costs: tuple[Tensor, Tensor]) -> float:
    """−Σ p_data·(−log D) − Σ p_g·(−log(1 − D)), 0·∞ = 0."""
    total = sum(float((m[m > 0] * c.numpy()[m > 0]).sum()) for m, c in zip(masses, costs, strict=True))
    return 0.0 - total


def _value_of(
    p_data: Distribution,
    p_g: Distribution,
    discriminator: Callable[..., object],
    costs: _Costs,
    samples: int,
    seed: int,
) -> Estimate:
    p, q = continuous.check_comparable(p_data, p_g)

    def cost(x: Tensor, side: int) -> Tensor:
        found = costs(torch.as_tensor(discriminator(x)))[side]
        wanted = x.shape[: x.ndim - len(p.event_shape)]
        if found.shape != wanted:
            raise PlausibleError(
                f"value: the discriminator gave shape {tuple(found.shape)} for x of shape {tuple(x.shape)}; "
                f"it must give one number for each x, {tuple(wanted)}"
            )
        return found

    pair = continuous.paired_masses(p, q)
    if pair is not None:
        n = pair[0].size
        outcomes = torch.eye(n).double() if tuple(p.event_shape) else torch.arange(n).double()
        return Estimate(_summed(pair, (cost(outcomes, 0), cost(outcomes, 1))), 0.0, n, "sum")
    real = continuous.mean_under(p, lambda x: cost(x, 0), (p, q), samples, seed)
    fake = continuous.mean_under(q, lambda x: cost(x, 1), (p, q), samples, seed + 1)
    error, bound = math.hypot(real.standard_error, fake.standard_error), real.bound + fake.bound
    exact = real.method == fake.method == "quadrature"
    n = real.n + fake.n if exact else samples
    return Estimate(
        0.0 - (real.value + fake.value), error, n, "quadrature" if exact else "Monte Carlo", bound
    )
