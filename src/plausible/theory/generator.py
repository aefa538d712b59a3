"""The generator's side: C(G) is convex in p_g, so descent on it converges to p_data; against a fixed D it collapses.

    C(p_g) = sup_D V(D, p_g): for each D linear in p_g, so convex;   ∂C/∂p_g(x) = log(1 − D*(x))   (Proposition 2)

Proposition 2 is about p_g itself, one number for each outcome, and a D that is optimal after every step. Neither is
guaranteed for a network's weights. Here p_data and p_g are both tables or both arrays of masses. Units: nats.

Source: Goodfellow et al., Generative Adversarial Nets (2014), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability import Table, information, jsd
from plausible.probability.checks import as_whole_number
from plausible.probability.information import Discrete
from plausible.theory.value import criterion, on_outcomes, optimal_discriminator, optimal_logit, value

__all__ = [
    "BestResponse",
    "Descent",
    "best_for_discriminator",
    "best_for_generator",
    "convexity_gap",
    "criterion_gradient",
    "descend",
]

_Masses = TypeVar("_Masses", Table, np.ndarray)


def best_for_discriminator(p_data: Discrete, p_g: Discrete) -> float:
    """sup_D V(D, G) with G held fixed: C(G) in [−log 4, 0], reached by `optimal_discriminator`; nats.

    0 exactly when no outcome occurs under both. It is `criterion`, under the name of the counterpart of
    `best_for_generator`: the order of the two players matters, and the paper's game is min over G of this.
    """
    return criterion(p_data, p_g)


@dataclass(frozen=True, eq=False)
class BestResponse:
    """inf over p_g of V, with D held fixed. value in nats; p_g: masses of p_data's shape that reach it."""

    value: float
    p_g: np.ndarray


def best_for_generator(p_data: Discrete, discriminator: object) -> BestResponse:
    """inf_{p_g} V(D, p_g) = E_{p_data}[log D] + log(1 − max D), all mass on the x that D rates highest.

    V is linear in p_g, so its minimum over all p_g is at a corner: against a fixed D the best generator produces a
    single x, which is mode collapse (the first one if D is highest at several).
    discriminator: D(x) in [0, 1], of p_data's shape. value is −∞ as soon as D is 1 (or, on data, 0) somewhere.
    Source: sections 3 and 6 of the paper (G must not be trained too much without updating D).
    """
    (masses,) = information.masses_of(p_data)
    d = on_outcomes(discriminator, masses.shape, "best_for_generator")
    point = np.zeros_like(masses)
    point.flat[d.argmax()] = 1
    return BestResponse(value(masses, point, d), point)


def criterion_gradient(p_data: Discrete, p_g: Discrete) -> np.ndarray:
    """∂C/∂p_g(x) = log(1 − D*(x)) ≤ 0 in nats, an array over the outcomes.

    By the envelope theorem: V does not change to first order in D at D*, so only its derivative in p_g remains. −∞
    where p_g = 0 < p_data (adding a missing outcome lowers C fastest), 0 where p_data = 0. On the simplex only
    differences between entries count, and all are equal (−log 2) where p_g = p_data > 0.
    Source: the proof of Proposition 2.
    """
    p, q = information.masses_of(p_data, p_g)
    return np.where(p == 0, 0.0, -np.logaddexp(0.0, optimal_logit(p, q)))


def convexity_gap(p_data: _Masses, p_g: _Masses, other: _Masses, t: float) -> float:
    """(1 − t)·C(p_g) + t·C(other) − C((1 − t)·p_g + t·other) ≥ 0 in nats, for t in [0, 1]; 0 at t = 0 and 1.

    Above −1e-12 in float64. Positive for 0 < t < 1 if p_g and other differ where p_data > 0: C has no local minimum but
    the global one. Source: the proof of Proposition 2 (a supremum of convex functions).
    """
    if not 0 <= t <= 1:
        raise PlausibleError(f"convexity_gap: t = {t}; give a number between 0 and 1")
    first, second = information.masses_of(p_g, other)
    mixed: Table | np.ndarray = (1 - t) * first + t * second
    if isinstance(p_g, Table) and isinstance(other, Table):
        outcomes = {name: dict.fromkeys((*p_g.values[name], *other.values[name])) for name in p_g.names}
        mixed = Table(outcomes, mixed)
    chord = (1 - t) * criterion(p_data, p_g) + t * criterion(p_data, other)
    return chord - criterion(p_data, mixed)


@dataclass(frozen=True, eq=False)
class Descent:
    """Steps of descent on C: row 0 is the start, row k the state after k steps; m outcomes (several variables: axes).

    p_g (steps + 1, m) masses. criterion, jsd (steps + 1,) nats: C and JSD(p_data, p_g). discriminator (steps + 1, m):
    D* against each p_g.
    """

    p_g: np.ndarray
    criterion: np.ndarray
    jsd: np.ndarray
    discriminator: np.ndarray


def descend(p_data: Discrete, p_g: Discrete, *, steps: int = 30, rate: float = 1.0) -> Descent:
    """Mirror (exponentiated-gradient) descent on C over p_g, with D at its optimum before each step.

        p_g ← p_g·exp(−rate·log(1 − D*)) / Z = p_g^(1−rate) · (p_data + p_g)^rate / Z

    rate = 1 is exactly p_g ← ½(p_data + p_g): the gap p_data − p_g halves with each step. Any rate in (0, 1] never
    raises C, and where p_g > 0 on all data, C after k steps is at most −log 4 + KL(p_data ‖ p_g⁰)/(rate·k).
    For rate < 1 a mode with p_g = 0 never comes back, since 0 times any factor is 0; only rate = 1 restores it.
    Raises for rate outside (0, 1] and steps < 0.
    Sources: Proposition 2; Beck & Teboulle, Mirror descent (2003); the bound: Lu, Freund & Nesterov, Relatively
    smooth convex optimization (2018), Theorem 3.1, with C 1-smooth relative to the negative entropy.
    """
    if not 0 < rate <= 1:
        raise PlausibleError(f"descend: rate = {rate}; give a number above 0 and at most 1")
    steps = as_whole_number(steps, "descend: steps", 0)
    p, q = information.masses_of(p_data, p_g)
    path = [q]
    for _ in range(steps):
        raised = q ** (1 - rate) * (p + q) ** rate
        q = raised / raised.sum()
        path.append(q)
    return Descent(
        np.stack(path),
        np.array([criterion(p, q) for q in path]),
        np.array([jsd(p, q) for q in path]),
        np.stack([optimal_discriminator(p, q) for q in path]),
    )
