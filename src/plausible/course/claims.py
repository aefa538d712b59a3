"""Claims of the notes and of the GAN paper: for each, the number by its formula and the same number measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.distributions import Distribution, Normal, Uniform

from plausible.course.snapshot import Snapshot
from plausible.probability import (
    Estimate,
    Table,
    cross_entropy,
    entropy,
    estimate_mean,
    fit_gaussian,
    jsd,
    kl,
    log_density,
    monte_carlo,
)
from plausible.theory import (
    GLOBAL_OPTIMUM,
    best_for_generator,
    criterion_from_jsd,
    descend,
    maximiser,
    mode_dropping,
    optimal_discriminator,
    pointwise_value,
    uniform_shift_jsd,
    value,
)

__all__ = ["Claim", "probability_claims", "theory_claims", "training_claims"]

_SAMPLES = 200_000


@dataclass(frozen=True)
class Claim:
    """One line of the table.

    Attributes:
        about: the topic.
        quantity: what is measured.
        expected: the value by the formula.
        formula: the formula.
        measured: the value measured.
        method: how it was measured.
        error: error of the measurement: half the 95 % interval if it is random, otherwise the error of the method.
        tolerance: how far measured may be from expected. A 95 % interval fails one time in twenty, so for random
            measurements it is two and a half times half the interval.
    """

    about: str
    quantity: str
    expected: float
    formula: str
    measured: float
    method: str
    error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the formula."""
        return self.measured == self.expected or abs(self.measured - self.expected) <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """The record for theory.json; numbers that are not finite become strings."""
        record = asdict(self) | {"holds": self.holds}
        return {
            key: v if not isinstance(v, float) or math.isfinite(v) else str(v) for key, v in record.items()
        }


def probability_claims(seed: int = 0) -> list[Claim]:
    """Probability and information: the die, IQ, entropy, KL, JSD. Formulas against samples with a random seed."""
    rng = np.random.default_rng(seed)
    die, loaded = _dice()
    rolls = die.sample(_SAMPLES, seed=seed)["x"].astype(float)
    twice = rng.integers(1, 7, (_SAMPLES, 2)).sum(1)
    iq = _normal(100, 24)
    scores = monte_carlo(lambda x: (x > 148).double(), iq, n=_SAMPLES, seed=seed)
    surprise = monte_carlo(lambda x: -log_density(iq, x), iq, n=_SAMPLES, seed=seed)
    sample = rng.normal(100, 24, _SAMPLES)
    fitted = float(fit_gaussian(sample).loc)
    standard, shifted = _normal(0, 1), _normal(1, 1)
    by_value = (value(die, loaded, optimal_discriminator(die, loaded)) + math.log(4)) / 2
    own, cross = entropy(standard), cross_entropy(standard, shifted)
    divergence = monte_carlo(
        lambda x: log_density(standard, x) - log_density(shifted, x), standard, n=_SAMPLES, seed=seed
    )
    spread = (rolls - 3.5) ** 2
    return [
        _sampled("die", "mean of a throw", die.expectation("x"), "E[X] = Σ x P(x)", estimate_mean(rolls)),
        _sampled(
            "die", "variance of a throw", die.variance("x"), "E[(X − E X)²] = 35/12", estimate_mean(spread)
        ),
        _sampled(
            "die", "mean of two throws", 7.0, "E[X + Y] = E[X] + E[Y]", estimate_mean(twice.astype(float))
        ),
        _sampled("IQ", "share above 148", float(1 - iq.cdf(iq.loc + 2 * iq.scale)), "P(X > μ + 2σ)", scores),
        _sampled("IQ", "differential entropy", entropy(iq).value, "½ log(2πe σ²)", surprise),
        _sampled(
            "IQ",
            "mean fitted to samples",
            100.0,
            "argmax_μ Σ log p(x)",
            Estimate(fitted, 24 / math.sqrt(_SAMPLES), _SAMPLES, "maximum likelihood"),
        ),
        _sampled("KL", "KL(N(0,1) ‖ N(1,1))", 0.5, "E_p[log p − log q] = m²/2", divergence),
        _exact(
            "KL",
            "H(p, q) − H(p) for the same",
            0.5,
            "H(p, q) = H(p) + KL(p ‖ q)",
            cross.value - own.value,
            "closed forms of H",
            1e-12,
        ),
        _exact(
            "KL",
            "fair die against one without 6",
            math.inf,
            "p > 0 = q somewhere: ∞",
            kl(die, Table.of("x", dict.fromkeys(range(1, 6), 0.2))),
            "sum",
            0.0,
        ),
        _sampled(
            "JSD",
            "JSD(N(0,1), N(1,1))",
            jsd(standard, shifted).value,
            "½KL(p‖m) + ½KL(q‖m)",
            _jsd_by_sampling(standard, shifted, seed),
        ),
        _exact(
            "JSD",
            "U[0,1] against U[¼,1¼]",
            uniform_shift_jsd(0.25),
            "a·log 2",
            jsd(_uniform(0, 1), _uniform(0.25, 1.25)).value,
            "quadrature",
            1e-8,
        ),
        _exact(
            "JSD", "fair against loaded die", jsd(die, loaded), "½(V(D*, G) + log 4)", by_value, "sum", 1e-12
        ),
    ]


def theory_claims(seed: int = 0) -> list[Claim]:
    """V, D*, C and Proposition 2 without networks: formulas against search, quadrature, sampling and descent."""
    die, loaded = _dice()
    found = minimize_scalar(
        lambda y: -float(pointwise_value(y, 0.3, 0.1)),
        bounds=(1e-9, 1 - 1e-9),
        method="bounded",
        options={"xatol": 1e-10},
    )
    standard, far = _normal(0, 1), _normal(2, 1)
    by_draws = _value_by_sampling(standard, far, seed)
    dropped = mode_dropping(8, 1)
    eight, one = np.full(8, 1 / 8), np.eye(8)[0]
    path = descend(die, loaded, steps=20)
    fooled = best_for_generator(die, np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1.0]))
    at_half = value(die, die, np.full(6, 0.5))
    certain = value(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    return [
        _exact(
            "D*",
            "argmax of .3 log y + .1 log(1−y)",
            float(maximiser(0.3, 0.1)),
            "a/(a + b)",
            float(found.x),
            "search",
            1e-6,
        ),
        _exact(
            "D*",
            "D*(6), loaded die as p_g",
            0.25,
            "p_data/(p_data + p_g)",
            float(optimal_discriminator(die, loaded)[-1]),
            "table",
            1e-12,
        ),
        _sampled(
            "C(G)",
            "C, N(0,1) against N(2,1)",
            criterion_from_jsd(jsd(standard, far).value),
            "−log 4 + 2·JSD",
            by_draws,
        ),
        _exact("C(G)", "V at p_g = p_data, D = ½", GLOBAL_OPTIMUM, "−log 4", at_half, "sum", 1e-12),
        _exact("V", "best for D: disjoint supports", 0.0, "sup V = 0", certain, "sum", 0.0),
        _exact("V", "best for G: D certain of some x", -math.inf, "inf V = −∞", fooled.value, "sum", 0.0),
        _exact(
            "Prop. 2",
            "C after 20 steps on p_g",
            GLOBAL_OPTIMUM,
            "→ −log 4",
            float(path.criterion[-1]),
            "descent",
            1e-9,
        ),
        _exact("Prop. 2", "JSD after 20 steps", 0.0, "→ 0", float(path.jsd[-1]), "descent", 1e-9),
        _exact(
            "modes",
            "C, 7 of 8 modes dropped",
            dropped.criterion,
            "closed form, r = ⅛",
            criterion_from_jsd(jsd(eight, one)),
            "sum",
            1e-12,
        ),
    ]


def training_claims(frozen: Sequence[tuple[str, Snapshot]], end: Snapshot) -> list[Claim]:
    """What trained networks reached: D at its optimum for frozen generators, and both players at the end of a run.

    Args:
        frozen: (name, snapshot) with D trained while G was frozen.
        end: the snapshot at the end of the run.
    """
    lines: list[Claim] = []
    for name, snapshot in frozen:
        where = f"{name}, JSD {snapshot.jsd:.3f}"
        lines += [
            _exact(
                "trained D",
                f"E|D − D*|, {where}",
                0.0,
                "D → D* under ½(p_data + p_g)",
                snapshot.distance,
                f"tick {snapshot.tick}",
                0.03,
            ),
            _exact(
                "trained D",
                f"V(D, G), {where}",
                criterion_from_jsd(snapshot.jsd),
                "−log 4 + 2·JSD",
                snapshot.value,
                f"tick {snapshot.tick}",
                0.02,
            ),
        ]
    doubt = float((end.mixture * np.abs(end.d - 0.5)).sum())  # E D would not do: it is ½ for D* of any G
    return [
        *lines,
        Claim(
            "trained G",
            "JSD at the end",
            0.0,
            "p_g → p_data",
            end.jsd,
            f"tick {end.tick}",
            abs(end.grid_error),
            0.01,
        ),
        _exact("trained G", "E|D − ½| at the end", 0.0, "D → ½", doubt, f"tick {end.tick}", 0.03),
    ]


# ---------------------------------------------------------------------- measurements
def _sampled(about: str, quantity: str, expected: float, formula: str, found: Estimate) -> Claim:
    half = 1.96 * found.standard_error
    return Claim(about, quantity, expected, formula, found.value, f"{found.n:,} samples", half, 2.5 * half)


def _exact(
    about: str, quantity: str, expected: float, formula: str, measured: float, method: str, tolerance: float
) -> Claim:
    error = 0.0 if measured == expected else abs(measured - expected)
    return Claim(about, quantity, expected, formula, measured, method, error, tolerance)


def _dice() -> tuple[Table, Table]:
    return Table.uniform(x=range(1, 7)), Table.of("x", {**dict.fromkeys(range(1, 6), 0.1), 6: 0.5})


def _normal(mean: float, deviation: float) -> Normal:
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(deviation, dtype=torch.float64))


def _uniform(low: float, high: float) -> Uniform:
    return Uniform(torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64))


def _halves(
    p: Distribution, q: Distribution, under: Callable[[Distribution, Tensor], Tensor], seed: int
) -> tuple[Estimate, Estimate]:
    """E_p and E_q of `under(p, x)` and `under(q, x)`, from samples of each."""
    first = monte_carlo(lambda x: under(p, x), p, n=_SAMPLES // 2, seed=seed)
    second = monte_carlo(lambda x: under(q, x), q, n=_SAMPLES // 2, seed=seed + 1)
    return first, second


def _jsd_by_sampling(p: Distribution, q: Distribution, seed: int) -> Estimate:
    def above_the_mean(one: Distribution, x: Tensor) -> Tensor:
        middle = torch.logaddexp(log_density(p, x), log_density(q, x)) - math.log(2)
        return log_density(one, x) - middle

    first, second = _halves(p, q, above_the_mean, seed)
    return _sum(first, second, 0.5)


def _value_by_sampling(p: Distribution, q: Distribution, seed: int) -> Estimate:
    """V(D*, G) = E_p[log D*] + E_q[log(1 − D*)], as Algorithm 1 estimates it: from samples of both."""

    def cost(one: Distribution, x: Tensor) -> Tensor:
        return log_density(one, x) - torch.logaddexp(log_density(p, x), log_density(q, x))

    return _sum(*_halves(p, q, cost, seed), 1.0)


def _sum(first: Estimate, second: Estimate, factor: float) -> Estimate:
    error = factor * math.hypot(first.standard_error, second.standard_error)
    return Estimate(factor * (first.value + second.value), error, first.n + second.n, "Monte Carlo")
