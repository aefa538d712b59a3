"""Statements of the notes and of the GAN paper, each as a number twice: by its formula, and measured another way."""

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

from plausible.course.line import Scene
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

DRAWS = 200_000


@dataclass(frozen=True)
class Claim:
    """One line of the table.

    Attributes:
        about: what it belongs to.
        quantity: what is measured.
        expected: by the formula.
        formula: which one.
        measured: by the method.
        method: how it was measured.
        error: of the measurement: half the 95 % interval where it is random, else what the method leaves open.
        tolerance: how far measured may lie from expected; the 95 % interval would fail one time in twenty, so
            random measurements are given two and a half times that.
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
        """For theory.json: a number that is not finite as a string."""
        record = asdict(self) | {"holds": self.holds}
        return {
            key: v if not isinstance(v, float) or math.isfinite(v) else str(v) for key, v in record.items()
        }


def claims_of_the_ground(seed: int = 0) -> list[Claim]:
    """Probability and information: the die, IQ, entropy, KL, JSD; formulas against seeded draws."""
    rng = np.random.default_rng(seed)
    die, loaded = _dice()
    rolls = die.sample(DRAWS, seed=seed)["x"].astype(float)
    twice = rng.integers(1, 7, (DRAWS, 2)).sum(1)
    iq = _normal(100, 24)
    scores = monte_carlo(lambda x: (x > 148).double(), iq, n=DRAWS, seed=seed)
    surprise = monte_carlo(lambda x: -log_density(iq, x), iq, n=DRAWS, seed=seed)
    sample = rng.normal(100, 24, DRAWS)
    fitted = float(fit_gaussian(sample).loc)
    standard, shifted = _normal(0, 1), _normal(1, 1)
    by_value = (value(die, loaded, optimal_discriminator(die, loaded)) + math.log(4)) / 2
    own, cross = entropy(standard), cross_entropy(standard, shifted)
    divergence = monte_carlo(
        lambda x: log_density(standard, x) - log_density(shifted, x), standard, n=DRAWS, seed=seed
    )
    spread = (rolls - 3.5) ** 2
    return [
        _drawn("die", "mean of a throw", die.expectation("x"), "E[X] = Σ x P(x)", estimate_mean(rolls)),
        _drawn(
            "die", "variance of a throw", die.variance("x"), "E[(X − E X)²] = 35/12", estimate_mean(spread)
        ),
        _drawn(
            "die", "mean of two throws", 7.0, "E[X + Y] = E[X] + E[Y]", estimate_mean(twice.astype(float))
        ),
        _drawn("IQ", "share above 148", float(1 - iq.cdf(iq.loc + 2 * iq.scale)), "P(X > μ + 2σ)", scores),
        _drawn("IQ", "differential entropy", entropy(iq).value, "½ log(2πe σ²)", surprise),
        _drawn(
            "IQ",
            "mean fitted to draws",
            100.0,
            "argmax_μ Σ log p(x)",
            Estimate(fitted, 24 / math.sqrt(DRAWS), DRAWS, "maximum likelihood"),
        ),
        _drawn("KL", "KL(N(0,1) ‖ N(1,1))", 0.5, "E_p[log p − log q] = m²/2", divergence),
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
        _drawn(
            "JSD",
            "JSD(N(0,1), N(1,1))",
            jsd(standard, shifted).value,
            "½KL(p‖m) + ½KL(q‖m)",
            _jsd_by_draws(standard, shifted, seed),
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


def claims_of_the_game(seed: int = 0) -> list[Claim]:
    """V, D*, C and Proposition 2 without any network: formulas against search, quadrature, draws and descent."""
    die, loaded = _dice()
    found = minimize_scalar(
        lambda y: -float(pointwise_value(y, 0.3, 0.1)),
        bounds=(1e-9, 1 - 1e-9),
        method="bounded",
        options={"xatol": 1e-10},
    )
    standard, far = _normal(0, 1), _normal(2, 1)
    by_draws = _value_by_draws(standard, far, seed)
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
        _drawn(
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


def claims_of_the_trained(frozen: Sequence[tuple[str, Scene]], end: Scene) -> list[Claim]:
    """What networks of this project reached: D trained to its optimum at frozen generators, and the end of a run.

    Args:
        frozen: (name, scene) with D trained while G held still.
        end: the players as the run left them.
    """
    lines: list[Claim] = []
    for name, scene in frozen:
        where = f"{name}, JSD {scene.jsd:.3f}"
        lines += [
            _exact(
                "trained D",
                f"E|D − D*|, {where}",
                0.0,
                "D → D* under ½(p_data + p_g)",
                scene.distance,
                f"tick {scene.tick}",
                0.03,
            ),
            _exact(
                "trained D",
                f"V(D, G), {where}",
                criterion_from_jsd(scene.jsd),
                "−log 4 + 2·JSD",
                scene.value,
                f"tick {scene.tick}",
                0.02,
            ),
        ]
    doubt = float((end.middle * np.abs(end.d - 0.5)).sum())  # E D says nothing: it is ½ for D* of any G
    return [
        *lines,
        Claim(
            "trained G",
            "JSD at the end",
            0.0,
            "p_g → p_data",
            end.jsd,
            f"tick {end.tick}",
            abs(end.grain),
            0.01,
        ),
        _exact("trained G", "E|D − ½| at the end", 0.0, "D → ½", doubt, f"tick {end.tick}", 0.03),
    ]


# ---------------------------------------------------------------------- how things are measured
def _drawn(about: str, quantity: str, expected: float, formula: str, found: Estimate) -> Claim:
    half = 1.96 * found.standard_error
    return Claim(about, quantity, expected, formula, found.value, f"{found.n:,} draws", half, 2.5 * half)


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
    """E_p and E_q of `under(p, x)` and `under(q, x)`, from draws of each."""
    first = monte_carlo(lambda x: under(p, x), p, n=DRAWS // 2, seed=seed)
    second = monte_carlo(lambda x: under(q, x), q, n=DRAWS // 2, seed=seed + 1)
    return first, second


def _jsd_by_draws(p: Distribution, q: Distribution, seed: int) -> Estimate:
    def above_the_mean(one: Distribution, x: Tensor) -> Tensor:
        middle = torch.logaddexp(log_density(p, x), log_density(q, x)) - math.log(2)
        return log_density(one, x) - middle

    first, second = _halves(p, q, above_the_mean, seed)
    return _sum(first, second, 0.5)


def _value_by_draws(p: Distribution, q: Distribution, seed: int) -> Estimate:
    """V(D*, G) = E_p[log D*] + E_q[log(1 − D*)], as Algorithm 1 estimates it: from samples of both."""

    def cost(one: Distribution, x: Tensor) -> Tensor:
        return log_density(one, x) - torch.logaddexp(log_density(p, x), log_density(q, x))

    return _sum(*_halves(p, q, cost, seed), 1.0)


def _sum(first: Estimate, second: Estimate, factor: float) -> Estimate:
    error = factor * math.hypot(first.standard_error, second.standard_error)
    return Estimate(factor * (first.value + second.value), error, first.n + second.n, "Monte Carlo")
