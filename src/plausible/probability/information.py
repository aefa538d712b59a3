"""Information: surprisal, entropy, cross-entropy, KL and JSD, of tables, arrays and torch's distributions.

    surprisal       I(x)     = −log P(x)                  entropy   H(P) = E_P[I(x)] = −Σ P log P
    cross-entropy   H(P, Q)  = −Σ P log Q = H(P) + KL(P‖Q)
    KL divergence   KL(P‖Q)  = Σ P log(P/Q) ≥ 0           not symmetric; +∞ where Q = 0 < P
    JSD             JSD(P,Q) = ½ KL(P‖M) + ½ KL(Q‖M), M = ½(P + Q); 0 ≤ JSD ≤ log 2; √JSD is a metric

Units: nats, the natural logarithm's; `base=2` gives bits. 0·log 0 = 0. For densities the sums are integrals.
P and Q are both tables, both arrays of probabilities (any shape, the same), or both torch distributions; an exact
answer is a float, a distribution's an `Estimate` (see `continuous` for the methods).

Source: Cover & Thomas, Elements of Information Theory (2006), chapters 2 and 8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias, overload

import numpy as np
from torch import Tensor
from torch.distributions import Distribution

from plausible.errors import PlausibleError
from plausible.probability import continuous
from plausible.probability.checks import as_float64, as_names, as_probabilities
from plausible.probability.estimation import Estimate, scaled
from plausible.probability.tables import Table

__all__ = [
    "SAMPLES",
    "Discrete",
    "aligned",
    "conditional_entropy",
    "cross_entropy",
    "distributions_of",
    "entropy",
    "jsd",
    "kl",
    "masses_of",
    "mutual_information",
    "surprisal",
]

Discrete: TypeAlias = Table | np.ndarray | Tensor | Sequence[float]

SAMPLES = 100_000  # samples, if Monte Carlo is needed


def surprisal(probability: object, base: float = math.e) -> np.ndarray:
    """I = −log P of every entry, the input's shape: ∞ for an impossible event, 0 for a certain one.

    probability: anything array-like in [0, 1]; the entries need not sum to 1.
    """
    p = as_float64(probability, "surprisal")
    if not ((p >= 0) & (p <= 1)).all():
        raise PlausibleError("surprisal: probabilities lie between 0 and 1 (a density has no surprisal)")
    with np.errstate(divide="ignore"):
        return np.abs(np.log(p)) / _unit(base)  # |log p| = −log p on [0, 1], and 0 rather than −0 at 1


@overload
def entropy(p: Distribution, base: float = ..., samples: int = ..., seed: int = ...) -> Estimate: ...
@overload
def entropy(p: Discrete, base: float = ..., samples: int = ..., seed: int = ...) -> float: ...
def entropy(
    p: Discrete | Distribution, base: float = math.e, samples: int = SAMPLES, seed: int = 0
) -> float | Estimate:
    """H(P) = −Σ P log P, of a table the joint entropy of all its variables; 0 ≤ H ≤ log(number of outcomes).

    Of a density −∫ p log p, which may be negative: IQ ~ N(100, 24²) has log(24 √(2πe)) = 4.596992 nats.
    `samples` and `seed` are used by Monte Carlo only.
    """
    if isinstance(p, Distribution):
        return scaled(continuous.entropy_of(p, samples, seed), 1 / _unit(base))
    (masses,) = masses_of(p)
    inner = masses[masses > 0]
    return abs(float((inner * np.log(inner)).sum())) / _unit(base)


@overload
def cross_entropy(
    p: Distribution, q: Distribution, base: float = ..., samples: int = ..., seed: int = ...
) -> Estimate: ...
@overload
def cross_entropy(
    p: Discrete, q: Discrete, base: float = ..., samples: int = ..., seed: int = ...
) -> float: ...
def cross_entropy(
    p: Discrete | Distribution,
    q: Discrete | Distribution,
    base: float = math.e,
    samples: int = SAMPLES,
    seed: int = 0,
) -> float | Estimate:
    """H(P, Q) = −Σ P log Q = H(P) + KL(P‖Q): the mean surprisal under Q of outcomes from P; ∞ where Q = 0 < P."""
    if isinstance(p, Distribution) or isinstance(q, Distribution):
        return scaled(continuous.cross_entropy_of(*distributions_of(p, q), samples, seed), 1 / _unit(base))
    first, second = masses_of(p, q)
    used = first > 0
    with np.errstate(divide="ignore"):
        return abs(float((first[used] * np.log(second[used])).sum())) / _unit(base)


@overload
def kl(
    p: Distribution, q: Distribution, base: float = ..., samples: int = ..., seed: int = ...
) -> Estimate: ...
@overload
def kl(p: Discrete, q: Discrete, base: float = ..., samples: int = ..., seed: int = ...) -> float: ...
def kl(
    p: Discrete | Distribution,
    q: Discrete | Distribution,
    base: float = math.e,
    samples: int = SAMPLES,
    seed: int = 0,
) -> float | Estimate:
    """KL(P‖Q) = Σ P log(P/Q): ≥ 0, 0 only for P = Q, +∞ where Q is 0 and P is not; KL(Q‖P) is another number.

    Exact for tables and arrays, also where the two nearly agree. By Monte Carlo, E_P[log P − log Q] may fall
    below 0 within its error, and support that Q misses is found only if a sample falls there.
    """
    if isinstance(p, Distribution) or isinstance(q, Distribution):
        return scaled(continuous.kl_of(*distributions_of(p, q), samples, seed), 1 / _unit(base))
    return continuous.kl_of_masses(*masses_of(p, q)) / _unit(base)


@overload
def jsd(
    p: Distribution, q: Distribution, base: float = ..., samples: int = ..., seed: int = ...
) -> Estimate: ...
@overload
def jsd(p: Discrete, q: Discrete, base: float = ..., samples: int = ..., seed: int = ...) -> float: ...
def jsd(
    p: Discrete | Distribution,
    q: Discrete | Distribution,
    base: float = math.e,
    samples: int = SAMPLES,
    seed: int = 0,
) -> float | Estimate:
    """JSD(P, Q) = ½ KL(P‖M) + ½ KL(Q‖M), M = ½(P + Q): symmetric, 0 only for P = Q, log 2 only when disjoint.

    Always finite. Its square root is a metric, it is not. Source: Lin, IEEE Trans. Information Theory 37 (1991).
    """
    if isinstance(p, Distribution) or isinstance(q, Distribution):
        return scaled(continuous.jsd_of(*distributions_of(p, q), samples, seed), 1 / _unit(base))
    return continuous.jsd_of_masses(*masses_of(p, q)) / _unit(base)


def conditional_entropy(
    table: Table, of: str | Sequence[str], given: str | Sequence[str], base: float = math.e
) -> float:
    """H(X | Y) = Σ_y P(y) H(X | Y = y): the entropy of `of` that remains once `given` is known; ≤ H(X).

    Chain rule: H(X, Y) = H(Y) + H(X | Y).
    """
    x = as_names(of, table.names, "conditional_entropy")
    y = as_names(given, table.names, "conditional_entropy, given")
    weights = table.marginal(*y).probabilities.ravel()
    rows = table.conditional(*x, given=y).probabilities.reshape(len(weights), -1)
    return float(sum(w * entropy(row) for w, row in zip(weights, rows, strict=True) if w > 0)) / _unit(base)


def mutual_information(
    table: Table,
    x: str | Sequence[str],
    y: str | Sequence[str],
    given: str | Sequence[str] = (),
    base: float = math.e,
) -> float:
    """I(X; Y | Z) = KL(P(x, y, z) ‖ P(x | z) P(y | z) P(z)) = H(X | Z) − H(X | Y, Z) ≥ 0; Z may be left out.

    0 exactly when X ⊥ Y | Z. It measures how much knowing one tells about the other.
    """
    groups = [as_names(names, table.names, "mutual_information") for names in (x, y, given)]
    joint = table.marginal(
        *as_names([n for group in groups for n in group], table.names, "mutual_information")
    )
    cube = joint.probabilities.reshape([math.prod(len(table.values[n]) for n in group) for group in groups])
    z = cube.sum(axis=(0, 1))
    x_given_z = np.divide(cube.sum(axis=1), z, out=np.zeros_like(cube[:, 0]), where=z > 0)
    product = x_given_z[:, None] * cube.sum(axis=0, keepdims=True)
    # positive wherever cube is, but may underflow, which would give ∞
    product = np.maximum(product, np.where(cube > 0, np.finfo(np.float64).tiny, 0.0))
    return continuous.kl_of_masses(cube, product) / _unit(base)


def aligned(p: Table, q: Table) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of two tables over the same variables on one grid: (P, Q) of equal shape.

    Axes follow p; an outcome that one table lacks has probability 0 there, so a die without a 6 and a die can be
    compared. Raises when the variables differ.
    """
    if set(p.names) != set(q.names):
        raise PlausibleError(
            f"tables over unlike variables, {', '.join(p.names)} and {', '.join(q.names)}: take marginals first"
        )
    q = q.marginal(*p.names)
    grids = {name: tuple(dict.fromkeys((*p.values[name], *q.values[name]))) for name in p.names}
    spread = []
    for table in (p, q):
        array = np.zeros([len(outcomes) for outcomes in grids.values()])
        array[np.ix_(*([grids[n].index(v) for v in table.values[n]] for n in p.names))] = table.probabilities
        spread.append(array)
    return spread[0], spread[1]


def masses_of(*ps: Discrete | Distribution) -> tuple[np.ndarray, ...]:
    """Tables or arrays as probability arrays of one shape."""
    tables = [p for p in ps if isinstance(p, Table)]
    if len(tables) == len(ps):
        return aligned(tables[0], tables[1]) if len(ps) == 2 else (tables[0].probabilities,)
    if tables:
        raise PlausibleError("a table and an array: compare two tables, or table.probabilities and the array")
    arrays = tuple(as_probabilities(p, "probabilities") for p in ps)
    if len({array.shape for array in arrays}) > 1:
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise PlausibleError(f"arrays of shapes {shapes}: give one probability for each of the same outcomes")
    return arrays


def distributions_of(p: object, q: object) -> tuple[Distribution, Distribution]:
    """The two, if both are torch distributions."""
    if not (isinstance(p, Distribution) and isinstance(q, Distribution)):
        kinds = f"{type(p).__name__} and {type(q).__name__}"
        raise PlausibleError(f"{kinds}: compare two torch distributions, two tables or two arrays")
    return p, q


def _unit(base: float) -> float:
    """log(base): divide nats by it."""
    if not base > 1 or math.isinf(base):
        raise PlausibleError(f"base = {base}: give a number above 1 (2 for bits), or leave it out for nats")
    return math.log(base)
