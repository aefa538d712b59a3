"""Information of `torch.distributions`: by a sum, in closed form, by quadrature, or by Monte Carlo, in that order.

| p, q | method |
|---|---|
| Bernoulli, categorical, one-hot, binomial | "sum" over the outcomes, exact, where a probability may be 0 |
| torch has the formula | "closed form" |
| one real variable (mixtures too) | "quadrature" |
| several variables, infinitely many outcomes, and densities whose mass quadrature fails to find | "Monte Carlo" |

Parameters are converted to float64 as they are: `Normal(0.1, 1)` in float32 has the mean 0.10000000149.
Distributions with a batch shape are refused: wrap them in `Independent`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    OneHotCategorical,
)
from torch.distributions.constraints import Constraint
from torch.distributions.kl import kl_divergence

from plausible.errors import PlausibleError
from plausible.probability.estimation import Estimate, estimate_mean, sample
from plausible.probability.quadrature import quadrature

__all__ = [
    "check_comparable",
    "cross_entropy_of",
    "entropy_of",
    "jsd_of",
    "jsd_of_masses",
    "kl_of",
    "kl_of_masses",
    "landmarks",
    "log_density",
    "mean_under",
    "paired_masses",
]

_QUANTILES = (0.0, 0.001, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.999, 1.0)
_SCOUTS = 4_096  # samples that show quadrature where the mass is
_FLOOR = 1e-14  # nats: smaller information is rounding error
_MASS = 1e-7  # how far quadrature's ∫p may be from 1


def _in_float64(p: Distribution) -> Distribution:
    """A copy of p with float64 parameters, in its components too, that does not validate arguments."""
    twin = copy.copy(p)
    for name, value in vars(p).items():
        if isinstance(value, Tensor) and value.is_floating_point():
            setattr(twin, name, value.detach().double())
        elif isinstance(value, Distribution):
            setattr(twin, name, _in_float64(value))
    twin._validate_args = False
    return twin


def log_density(p: Distribution, x: Tensor) -> Tensor:
    """log p(x) in nats, float64 (x's shape without the event): −∞ outside the support, where torch raises.

    For discrete p, log of the probability.
    """
    return _log_density(_in_float64(p), x.double())


def _log_density(p: Distribution, x: Tensor) -> Tensor:
    if isinstance(p, MixtureSameFamily):
        parts = _log_density(p.component_distribution, x.unsqueeze(-1 - len(p.event_shape)))
        return torch.logsumexp(_probs(p.mixture_distribution).log() + parts, dim=-1)
    if isinstance(p, Independent):
        terms = _log_density(p.base_dist, x)
        return terms.flatten(terms.ndim - p.reinterpreted_batch_ndims).sum(-1)
    inside = _support(p).check(x)
    if isinstance(p, Bernoulli | Categorical):  # torch clips their probabilities away from 0
        ones = _probs(p)
        masses = torch.stack([1 - ones, ones], -1) if isinstance(p, Bernoulli) else ones
        place = torch.where(inside, x, 0).long().unsqueeze(-1)
        shape = torch.broadcast_shapes(place.shape[:-1], masses.shape[:-1])
        found = masses.expand(*shape, -1).gather(-1, place.expand(*shape, 1)).squeeze(-1)
        return torch.where(inside, found.log(), -math.inf)
    return torch.where(inside, p.log_prob(x), -math.inf)


def landmarks(*distributions: Distribution, seed: int = 0) -> list[float]:
    """Where integrands of these one-dimensional distributions have edges and mass, as `points` for `quadrature`.

    The finite ends of each support, and quantiles of 4,096 samples of each.
    """
    found: set[float] = set()
    for p in map(_in_float64, distributions):
        found |= {edge for edge in _edges(p) if math.isfinite(edge)}
        found |= set(np.quantile(sample(p, _SCOUTS, seed).numpy(), _QUANTILES).tolist())
    return sorted(found)


def entropy_of(p: Distribution, samples: int, seed: int) -> Estimate:
    """H(p) = −E_p[log p(x)] in nats; of a density, the differential entropy, which may be negative."""
    (p,) = check_comparable(p)
    masses = _outcome_masses(p)
    if masses is not None:
        inner = masses[masses > 0]
        return Estimate(0.0 - float((inner * np.log(inner)).sum()), 0.0, len(masses), "sum")
    closed = _closed(lambda: p.entropy())
    if closed is not None:
        return closed
    return mean_under(p, lambda x: -_log_density(p, x), (p,), samples, seed)


def cross_entropy_of(p: Distribution, q: Distribution, samples: int, seed: int) -> Estimate:
    """H(p, q) = −E_p[log q(x)] in nats; +∞ where q misses some of p."""
    p, q = check_comparable(p, q)
    pair = paired_masses(p, q)
    if pair is not None:
        used = pair[0] > 0
        with np.errstate(divide="ignore"):
            total = float((pair[0][used] * np.log(pair[1][used])).sum())
        return Estimate(0.0 - total, 0.0, len(used), "sum")  # 0 rather than −0
    own, divergence = _closed(lambda: p.entropy()), _closed(lambda: kl_divergence(p, q))
    if own is not None and divergence is not None:
        return Estimate(own.value + divergence.value, 0.0, 0, "closed form")
    return mean_under(p, lambda x: -_log_density(q, x), (p, q), samples, seed)


def kl_of(p: Distribution, q: Distribution, samples: int, seed: int) -> Estimate:
    """KL(p‖q) = E_p[log p(x) − log q(x)] in nats; +∞ where q misses some of p."""
    p, q = check_comparable(p, q)
    pair = paired_masses(p, q)
    if pair is not None:
        return Estimate(kl_of_masses(*pair), 0.0, pair[0].size, "sum")
    closed = _closed(lambda: kl_divergence(p, q))
    if closed is not None:
        return closed
    return mean_under(p, lambda x: _log_density(p, x) - _log_density(q, x), (p, q), samples, seed)


def jsd_of(p: Distribution, q: Distribution, samples: int, seed: int) -> Estimate:
    """JSD(p, q) = ½ KL(p‖m) + ½ KL(q‖m), m = ½(p + q), in nats; torch has no formula for any pair.

    The value by quadrature is clipped to [0, log 2]. Monte Carlo takes `samples` samples of each; its value is not
    clipped, and so unbiased.
    """
    p, q = check_comparable(p, q)
    pair = paired_masses(p, q)
    if pair is not None:
        return Estimate(jsd_of_masses(*pair), 0.0, pair[0].size, "sum")

    def toward(one: Distribution, x: Tensor) -> Tensor:
        middle = torch.logaddexp(_log_density(p, x), _log_density(q, x)) - math.log(2)
        return _log_density(one, x) - middle

    if _is_real(p) and _is_real(q):
        half = [_by_quadrature(one, lambda x, one=one: toward(one, x), (p, q), seed) for one in (p, q)]
        if half[0] is not None and half[1] is not None:
            value = min(max((half[0].value + half[1].value) / 2, 0.0), math.log(2))
            bound = (half[0].bound + half[1].bound) / 2
            return Estimate(value, 0.0, half[0].n + half[1].n, "quadrature", bound)
    first, second = (
        estimate_mean(toward(one, sample(one, samples, seed + i))) for i, one in enumerate((p, q))
    )
    error = math.hypot(first.standard_error, second.standard_error) / 2
    return Estimate((first.value + second.value) / 2, error, samples, "Monte Carlo")


def kl_of_masses(p: np.ndarray, q: np.ndarray) -> float:
    """Σ [p log(p/q) − p + q], equal to Σ p log(p/q) for sums of 1; each term is ≥ 0 and 0 only where p = q.

    Near p = q, p log(p/q) − p + q = p (u − log(1 + u)) with u = (q − p)/p, which keeps its digits.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (q - p) / p
        far = (q - p) + np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)
        near = p * (u - np.log1p(u))
    return float(np.where((p > 0) & (np.abs(u) < 0.5), near, far).sum())


def jsd_of_masses(p: np.ndarray, q: np.ndarray) -> float:
    """½ KL(p‖m) + ½ KL(q‖m), clipped to log 2, which rounding may exceed."""
    middle = (p + q) / 2
    return min((kl_of_masses(p, middle) + kl_of_masses(q, middle)) / 2, math.log(2))


def check_comparable(*distributions: Distribution) -> list[Distribution]:
    """Float64 copies, after a check that they are single distributions over the same kind of outcome."""
    for p in distributions:
        if tuple(p.batch_shape):
            raise PlausibleError(
                f"{p}: a batch of distributions, shape {tuple(p.batch_shape)}; index one of them, or wrap them in "
                "torch.distributions.Independent to make one distribution over vectors"
            )
    if len({tuple(p.event_shape) for p in distributions}) > 1:
        shapes = " and ".join(str(tuple(p.event_shape)) for p in distributions)
        one_hot = [p for p in distributions if isinstance(p, OneHotCategorical)]
        hint = "; one-hot categoricals need the same number of classes" if len(one_hot) > 1 else ""
        raise PlausibleError(
            f"distributions over outcomes of unlike shapes, {shapes}: nothing to compare{hint}"
        )
    ready = [_in_float64(p) for p in distributions]
    if len({_is_discrete(p) for p in ready}) > 1:
        raise PlausibleError(
            "a discrete and a continuous distribution share no density: compare two of one kind"
        )
    return ready


def _support(p: Distribution) -> Constraint:
    support = _support(p.component_distribution) if isinstance(p, MixtureSameFamily) else p.support
    if support is None:
        raise PlausibleError(f"{p} does not say where its density is above 0: give its class a `support`")
    return support


def _probs(p: Bernoulli | Categorical | OneHotCategorical | Binomial) -> Tensor:
    return torch.as_tensor(p.probs)


def _is_discrete(p: Distribution) -> bool:
    return bool(_support(p).is_discrete)


def _is_real(p: Distribution) -> bool:
    """Whether p is over one real variable, so that quadrature applies."""
    return not tuple(p.event_shape) and not _is_discrete(p)


def _edges(p: Distribution) -> list[float]:
    """The ends of the support, of every component for a mixture; ±∞ if unbounded."""
    support = _support(p)
    low, high = getattr(support, "lower_bound", -math.inf), getattr(support, "upper_bound", math.inf)
    return [*torch.as_tensor(low).flatten().tolist(), *torch.as_tensor(high).flatten().tolist()]


def _outcome_masses(p: Distribution) -> np.ndarray | None:
    """Probabilities of the outcomes 0, 1, …, normalised in float64, if there are finitely many; else None.

    They are computed from the parameters, since torch's log_prob replaces a probability of 0 by 2e-16.
    """
    if isinstance(p, Bernoulli):
        one = float(_probs(p))
        return np.array([1 - one, one])
    if isinstance(p, Categorical | OneHotCategorical):
        weights = _probs(p).numpy()
        return weights / weights.sum()
    if isinstance(p, Binomial):
        count = int(p.total_count)
        return np.asarray(stats.binom.pmf(np.arange(count + 1), count, float(_probs(p))))
    return None


def paired_masses(p: Distribution, q: Distribution) -> tuple[np.ndarray, np.ndarray] | None:
    """Probabilities of the outcomes 0, 1, … of both, if there are finitely many; else None."""
    first, second = _outcome_masses(p), _outcome_masses(q)
    if first is None or second is None:
        return None
    size = max(len(first), len(second))
    return np.pad(first, (0, size - len(first))), np.pad(second, (0, size - len(second)))


def _closed(formula: Callable[[], Tensor]) -> Estimate | None:
    try:
        return Estimate(float(formula()), 0.0, 0, "closed form")
    except NotImplementedError:
        return None


def mean_under(
    p: Distribution, f: Callable[[Tensor], Tensor], of: tuple[Distribution, ...], samples: int, seed: int
) -> Estimate:
    """E_p[f(x)] by quadrature if p is over one real variable, else by Monte Carlo."""
    found = _by_quadrature(p, f, of, seed) if _is_real(p) else None
    return found if found is not None else estimate_mean(f(sample(p, samples, seed)))


def _by_quadrature(
    p: Distribution, f: Callable[[Tensor], Tensor], of: tuple[Distribution, ...], seed: int
) -> Estimate | None:
    """∫ p f; None if ∫p for any of `of` differs from 1 by more than 1e-7, since some mass was not found."""
    points = landmarks(*of, seed=seed)
    low, high = min(e for q in of for e in _edges(q)), max(e for q in of for e in _edges(q))
    for q in of:
        if abs(quadrature(lambda x, q=q: _log_density(q, x).exp(), low, high, points).value - 1) > _MASS:
            return None

    def integrand(x: Tensor) -> Tensor:
        log_p = _log_density(p, x)
        value, density = f(x), log_p.exp()
        product = torch.where(density > 0, density * value, 0.0)
        return torch.where((log_p > -math.inf) & (value == math.inf), math.inf, product)

    found = quadrature(integrand, low, high, points, floor=_FLOOR)
    return Estimate(found.value, 0.0, found.evaluations, "quadrature", found.error)
