"""V(D, G), D* and C(G): every printed digit of the oracle table, and Proposition 1 and Theorem 1 over random tables."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from random_tables import laws, pairs, probabilities
from scipy import integrate, stats
from torch.distributions import (
    Bernoulli,
    Binomial,
    Categorical,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    Uniform,
)

from plausible.errors import PlausibleError
from plausible.probability import Table, aligned, jsd
from plausible.theory import (
    GLOBAL_OPTIMUM,
    criterion,
    criterion_from_jsd,
    maximiser,
    optimal_discriminator,
    optimal_logit,
    pointwise_value,
    value,
)

FAIR = np.full(6, 1 / 6)
LOADED = np.array([0.1] * 5 + [0.5])
SIX = np.array([0.0] * 5 + [1])
STANDARD = Normal(torch.tensor(0.0, dtype=torch.float64), 1.0)
PLANE = MultivariateNormal(torch.zeros(2), torch.eye(2))
SHIFTED = MultivariateNormal(torch.tensor([1.0, 0.0]), torch.eye(2))
ONE_APART = -1.163451397  # C of N(0, 1) against N(1, 1), in any number of dimensions

certain = st.sampled_from([0.0, 1.0])
discriminators = st.one_of(st.floats(0, 1), certain)


density = st.one_of(st.floats(1e-3, 1e3), st.just(0.0))


def sigmoid(logit):
    return 1 / (1 + np.exp(-np.asarray(logit)))


# --- the oracles --------------------------------------------------------------------------------


def test_dice():
    np.testing.assert_allclose(optimal_discriminator(FAIR, LOADED), [0.625] * 5 + [0.25], atol=1e-15)
    assert criterion(FAIR, LOADED) == pytest.approx(-math.log(4) + 2 * 0.0646599736, abs=1e-10)
    assert criterion(FAIR, SIX) == pytest.approx(-math.log(4) + 2 * 0.4539126616, abs=1e-10)
    by_hand = math.log(0.625) * 5 / 6 + math.log(0.25) / 6 + 0.5 * math.log(0.375) + 0.5 * math.log(0.75)
    assert criterion(FAIR, LOADED) == pytest.approx(by_hand, abs=1e-12)


def test_equal_distributions_leave_a_coin_toss():
    np.testing.assert_array_equal(optimal_discriminator(LOADED, LOADED), [0.5] * 6)
    assert criterion(LOADED, LOADED) == pytest.approx(-1.3862943611, abs=5e-11)
    assert pytest.approx(-1.3862943611, abs=5e-11) == GLOBAL_OPTIMUM
    found = criterion(STANDARD, Normal(0.0, 1.0))
    assert found.value == pytest.approx(-math.log(4), abs=1e-8)
    x = torch.linspace(-5, 5, 11).double()
    assert optimal_discriminator(STANDARD, STANDARD)(x).tolist() == [0.5] * 11


@pytest.mark.parametrize(
    ("mean", "sigma", "divergence", "cost"),
    [
        (1.0, 1.0, 0.111421482, -1.163451397),
        (2.0, 1.0, 0.336830820, -0.712632720),
        (3.0, 1.0, 0.526777307, -0.332739748),
        (0.0, 2.0, 0.092733382, -1.200827598),
        (1.0, 2.0, 0.128174973, -1.129944415),
    ],
)
def test_gaussian_oracles(mean, sigma, divergence, cost):
    other = Normal(mean, sigma)
    found = criterion(STANDARD, other)
    assert found.method == "quadrature"
    assert found.bound < 1e-10
    assert found.value == pytest.approx(cost, abs=5.1e-10)
    assert found.value == pytest.approx(criterion_from_jsd(divergence), abs=2e-9)
    assert found.value == pytest.approx(criterion_from_jsd(float(jsd(STANDARD, other))), abs=1e-8)


@pytest.mark.parametrize("mean", [-2.0, 0.5, 3.0])
def test_the_logit_between_two_equal_gaussians_is_linear(mean):
    other = Normal(torch.tensor(mean, dtype=torch.float64), 1.0)
    x = torch.linspace(-30, 30, 121).double()
    logit = optimal_logit(STANDARD, other)(x)
    torch.testing.assert_close(logit, mean**2 / 2 - mean * x, rtol=0, atol=1e-12)
    torch.testing.assert_close(optimal_discriminator(STANDARD, other)(x), torch.sigmoid(logit))


@pytest.mark.parametrize("a", [0.125, 0.5, 1.0, 4.0])
def test_shifted_uniforms(a):
    p, q = Uniform(0.0, 1.0), Uniform(a, 1 + a)
    expected = criterion_from_jsd(min(a, 1) * math.log(2))
    assert criterion(p, q).value == pytest.approx(expected, abs=1e-8)
    x = torch.tensor([-1.0, min(a, 1) / 2, 1 + a - min(a, 1) / 2]).double()
    assert optimal_logit(p, q)(x).tolist() == [0, math.inf, -math.inf]
    assert optimal_discriminator(p, q)(x).tolist() == [0.5, 1, 0]


def test_disjoint_supports_leave_nothing_to_gain():
    p, q = np.array([0.3, 0.7, 0, 0]), np.array([0, 0, 0.9, 0.1])
    assert criterion(p, q) == 0
    assert math.copysign(1, criterion(p, q)) == 1  # 0, not −0
    np.testing.assert_array_equal(optimal_logit(p, q), [math.inf, math.inf, -math.inf, -math.inf])


# --- laws over random tables -------------------------------------------------------------------


@laws
@given(pairs(), st.data())
def test_no_discriminator_beats_the_optimal_one(pair, data):
    p, q = pair
    best = criterion(p, q)
    size = p.probabilities.size
    d = np.array(data.draw(st.lists(discriminators, min_size=size, max_size=size))).reshape(p.shape)
    assert value(p, q, d) <= best + 1e-12
    with np.errstate(divide="ignore"):
        assert value(p, q, logit=np.log(d) - np.log(1 - d)) <= best + 1e-12
    assert value(p, q, logit=optimal_logit(p, q)) == best
    optimal = optimal_discriminator(p, q)
    assume(not ((optimal == 1) & (q.probabilities > 0)).any())  # there float64 cannot hold D*
    assert value(p, q, optimal) == pytest.approx(best, abs=1e-12)


@laws
@given(pairs())
def test_theorem_1(pair):
    p, q = pair
    found = criterion(p, q)
    assert found == pytest.approx(-math.log(4) + 2 * jsd(p, q), abs=1e-12)
    assert found == pytest.approx(criterion_from_jsd(jsd(p, q)), abs=1e-12)
    assert -math.log(4) - 1e-12 <= found <= 0
    assert found == pytest.approx(criterion(q, p), abs=1e-12)
    if np.abs(p.probabilities - q.probabilities).max() > 1e-5:
        assert found > GLOBAL_OPTIMUM + 1e-12
    else:
        assert found == pytest.approx(GLOBAL_OPTIMUM, abs=1e-9)


@laws
@given(pairs())
def test_the_optimal_discriminator_is_the_sigmoid_of_the_log_ratio(pair):
    p, q = pair
    d, logit = optimal_discriminator(p, q), optimal_logit(p, q)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(d, sigmoid(logit), rtol=1e-12, atol=1e-300)
    both_zero = (p.probabilities == 0) & (q.probabilities == 0)
    assert (d[both_zero] == 0.5).all()
    masses = p.probabilities + q.probabilities
    np.testing.assert_allclose(d[~both_zero] * masses[~both_zero], p.probabilities[~both_zero], rtol=1e-14)


@laws
@given(st.data())
def test_value_is_the_sum_that_it_says(data):
    p, q = data.draw(probabilities(4)), data.draw(probabilities(4))
    d = data.draw(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4))
    expected = sum(a * math.log(y) + b * math.log(1 - y) for a, b, y in zip(p, q, d, strict=True))
    assert value(p, q, d) == pytest.approx(expected, abs=1e-12)
    assert value(p, q, logit=[math.log(y / (1 - y)) for y in d]) == pytest.approx(expected, abs=1e-12)
    assert pointwise_value(d, p, q).sum() == pytest.approx(expected, abs=1e-12)


def test_value_at_the_ends():
    p, q = [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]
    assert value(p, q, [1, 0.5, 0]) == pytest.approx(-math.log(2), abs=1e-15)  # 0·(−∞) = 0
    assert value(p, q, [1, 1, 0]) == -math.inf
    assert value(p, q, [0, 0.5, 0]) == -math.inf
    assert value(p, q, logit=[math.inf, 0, -math.inf]) == pytest.approx(-math.log(2), abs=1e-15)
    assert value(p, q, logit=[-math.inf, 0, 0]) == -math.inf


def test_logits_keep_their_digits():
    """log D = −e^−l to first order: −1.4e-11 at l = 25, below what softplus's threshold (20) leaves."""
    assert value([1.0], [1.0], logit=[25.0]) + 25 == pytest.approx(-2 * math.exp(-25), abs=4e-15)
    assert value([1.0, 0.0], [0.0, 1.0], logit=[40.0, -40.0]) == pytest.approx(-2 * math.exp(-40), rel=1e-12)


def test_tables_are_compared_by_outcome():
    p, q = Table.of("x", {"a": 0.2, "b": 0.8}), Table.of("x", {"b": 0.5, "c": 0.5})
    np.testing.assert_allclose(optimal_discriminator(p, q), [1, 0.8 / 1.3, 0], atol=1e-15)
    assert criterion(p, q) == pytest.approx(criterion(*aligned(p, q)), abs=1e-15)
    assert value(p, q, [0.5, 0.5, 0.5]) == pytest.approx(GLOBAL_OPTIMUM, abs=1e-15)


@laws
@given(density, density)
def test_the_maximiser_beats_a_grid(a, b):
    assume(a + b > 0)
    best, grid = maximiser(a, b), np.linspace(0, 1, 1001)
    assert 0 <= best <= 1
    values = pointwise_value(grid, a, b)
    assert (values <= pointwise_value(best, a, b) + 1e-12 * (a + b)).all()
    assert abs(grid[values.argmax()] - best) <= 1e-3 + 1e-12


def test_pointwise_ends():
    np.testing.assert_array_equal(
        pointwise_value([0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1]), [0, 0, -math.inf, -math.inf]
    )
    np.testing.assert_allclose(maximiser([1, 0, 3], [1, 2, 1]), [0.5, 0, 0.75], atol=1e-15)


# --- distributions -----------------------------------------------------------------------------


def test_quadrature_of_any_discriminator():
    unit = Uniform(0.0, 1.0)
    found = value(unit, unit, lambda x: x.clamp(0, 1))  # ∫ log x + ∫ log(1 − x) = −2
    assert found.method == "quadrature"
    assert found.value == pytest.approx(-2, abs=1e-8)
    step = value(unit, unit, lambda x: torch.where(x < 0.3, 0.25, 0.75))
    assert step.value == pytest.approx(math.log(0.25) + math.log(0.75), abs=1e-8)
    other = Normal(1.0, 2.0)
    logit = value(STANDARD, other, logit=lambda x: 0.3 - 2 * x)

    def integrand(x):
        real, fake = np.log1p(np.exp(2 * x - 0.3)), np.log1p(np.exp(0.3 - 2 * x))
        return -stats.norm.pdf(x) * real - stats.norm.pdf(x, 1, 2) * fake

    expected = integrate.quad(integrand, -40, 40, points=[0, 1], epsabs=1e-12, limit=200)[0]
    assert logit.value == pytest.approx(expected, abs=1e-8)
    assert logit.value < criterion(STANDARD, other).value
    assert value(unit, unit, lambda x: torch.zeros_like(x)).value == -math.inf


def test_finitely_many_outcomes_are_summed():
    p, q = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.0, 0.4]], dtype=torch.float64)
    exact = criterion(p, q)
    for kind in (Categorical, OneHotCategorical):
        found = criterion(kind(p), kind(q))
        assert found.method == "sum"
        assert found.value == pytest.approx(exact, abs=1e-12)
    assert criterion(Bernoulli(0.5), Bernoulli(0.0)).value == pytest.approx(
        criterion([0.5, 0.5], [1, 0]), abs=1e-12
    )
    two, three = Binomial(2, torch.tensor(0.5)), Binomial(3, torch.tensor(0.5))
    counts = [1 / 4, 2 / 4, 1 / 4, 0], [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    assert criterion(two, three).value == pytest.approx(criterion(*counts), abs=1e-12)
    d = np.array([0.1, 0.2, 0.3, 0.4])
    assert value(two, three, lambda x: (x + 1) / 10).value == pytest.approx(value(*counts, d), abs=1e-12)


def test_monte_carlo_in_the_plane():
    """Only the first coordinate differs, so C is the one of N(0, 1) against N(1, 1)."""
    found = criterion(PLANE, SHIFTED, samples=40_000, seed=3)
    assert found.method == "Monte Carlo"
    assert found.n == 40_000
    assert abs(found.value - ONE_APART) < 5 * found.standard_error
    assert found == criterion(PLANE, SHIFTED, samples=40_000, seed=3)
    assert found == value(PLANE, SHIFTED, logit=optimal_logit(PLANE, SHIFTED), samples=40_000, seed=3)

    def second_moment(x):  # var log D under N(0, 1); by symmetry that of log(1 − D) under N(1, 1)
        return stats.norm.pdf(x) * np.log1p(np.exp(x - 0.5)) ** 2

    variance = integrate.quad(second_moment, -30, 30)[0] - (ONE_APART / 2) ** 2
    assert found.standard_error == pytest.approx(math.sqrt(2 * variance / 40_000), rel=0.03)
    constant = value(PLANE, SHIFTED, lambda x: torch.full(x.shape[:1], 0.3, dtype=torch.float64), samples=10)
    assert constant.value == pytest.approx(math.log(0.3) + math.log(0.7), abs=1e-12)


def test_monte_carlo_intervals_cover():
    """300 seeds: a true 95 % falls outside these counts with p < 1e-6."""
    logit = optimal_logit(PLANE, SHIFTED)
    intervals = [value(PLANE, SHIFTED, logit=logit, samples=400, seed=10 * s).interval() for s in range(300)]
    low, high = stats.binom.ppf([5e-7, 1 - 5e-7], 300, 0.95)
    assert low <= sum(a <= ONE_APART <= b for a, b in intervals) <= high < 300


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: value(FAIR, SIX), "one of the two"),
        (lambda: value(FAIR, SIX, FAIR, logit=FAIR), "one of the two"),
        (lambda: value(FAIR, SIX, [0.5] * 5), r"shape \(5,\) for outcomes of shape \(6,\)"),
        (lambda: value(FAIR, SIX, [1.5] * 6), "between 0 and 1"),
        (lambda: value(FAIR, SIX, [math.nan] * 6), "between 0 and 1"),
        (lambda: value(FAIR, SIX, logit=[math.nan] * 6), "NaN"),
        (lambda: value(FAIR, SIX, lambda x: x), "is an array"),
        (lambda: value(STANDARD, STANDARD, [0.5]), "is a function"),
        (lambda: value(STANDARD, STANDARD, lambda x: x), "between 0 and 1"),
        (lambda: value(PLANE, SHIFTED, logit=lambda x: x), "one number for each x"),
        (lambda: optimal_logit(STANDARD, PLANE), "unlike shapes"),
        (lambda: criterion(STANDARD, FAIR), "two torch distributions"),
        (lambda: criterion(FAIR, FAIR[:5] * 1.2), "one probability for each"),
        (lambda: criterion_from_jsd(1.0), "log 2"),
        (lambda: pointwise_value(-0.1, 1, 1), "pointwise_value, y"),
        (lambda: pointwise_value(0.5, 1, -1), "b is a density"),
        (lambda: maximiser(-1, 1), "a is a density"),
        (lambda: maximiser([1, 0], [1, 0]), "both 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(PlausibleError, match=message):
        call()
