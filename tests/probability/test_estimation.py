"""Monte Carlo intervals, maximum likelihood and MAP, the likelihood surface, underflow, the central limit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_tables import laws
from scipy import optimize, stats
from torch.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Cauchy,
    Dirichlet,
    Exponential,
    InverseGamma,
    MultivariateNormal,
    Normal,
    Uniform,
)

from plausible.errors import PlausibleError
from plausible.probability import (
    Estimate,
    NormalInverseGamma,
    Table,
    central_limit,
    estimate_mean,
    fit_bernoulli,
    fit_categorical,
    fit_gaussian,
    jsd,
    log_likelihood,
    log_likelihood_surface,
    monte_carlo,
    underflow,
)

die = Table.uniform(die=range(1, 7))
P = MultivariateNormal(torch.zeros(2), torch.eye(2))
Q = MultivariateNormal(torch.tensor([1.0, 0.0]), torch.eye(2))

# (an estimate from a seed, the truth)
ESTIMATES = {
    "die": (lambda seed: monte_carlo("die", die, n=200, seed=seed), 3.5),
    "second moment": (lambda seed: monte_carlo(lambda x: x**2, Normal(1.0, 2.0), n=1_000, seed=seed), 5.0),
    "few draws": (lambda seed: monte_carlo(lambda x: x, Normal(1.0, 2.0), n=4, seed=seed), 1.0),
    "jsd": (lambda seed: jsd(P, Q, samples=500, seed=seed), 0.1114214822),
}


def covered(name, seeds):
    estimate, truth = ESTIMATES[name]
    intervals = [estimate(10_000 + seed).interval() for seed in range(seeds)]
    return sum(low <= truth <= high for low, high in intervals)


@pytest.mark.parametrize("name", ESTIMATES)
def test_intervals_cover(name):
    """500 seeds: 445 to 496 covered; a true 95 % falls outside with p < 1e-6."""
    seeds = 500
    low, high = stats.binom.ppf([5e-7, 1 - 5e-7], seeds, 0.95)
    assert high < seeds
    assert low <= covered(name, seeds) <= high


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATES)
def test_intervals_cover_two_thousand_seeds(name):
    assert 0.935 <= covered(name, 2_000) / 2_000 <= 0.965


def test_estimate():
    e = estimate_mean([1.0, 2.0, 3.0, 6.0])
    assert e.value == 3
    assert e.n == 4
    assert e.method == "Monte Carlo"
    assert e.standard_error == pytest.approx(math.sqrt(14 / 3) / 2, abs=1e-15)
    low, high = e.interval(0.9)
    assert (high - low) / 2 == pytest.approx(2.3533634348 * e.standard_error, rel=1e-9)  # t₀.₉₅(3)
    assert (high + low) / 2 == pytest.approx(3, abs=1e-12)
    assert Estimate(2.0, 0.0, 0, "closed form").interval() == (2, 2)
    assert Estimate(2.0, 0.0, 16, "quadrature", 0.5).interval() == (1.5, 2.5)
    assert float(e) == 3
    assert "± 1.1" in str(e)
    assert "closed form" in str(Estimate(2.0, 0.0, 0, "closed form"))
    assert estimate_mean([1.0, math.inf]).value == math.inf


def test_monte_carlo_agrees_with_the_exact_expectation():
    table = Table({"x": (0, 1, 2), "y": (0, 1)}, [[0.1, 0.2], [0.3, 0.1], [0.1, 0.2]])
    found = monte_carlo(lambda x, y: x**2 + y, table, n=50_000, seed=2)
    assert abs(found.value - table.expectation(lambda x, y: x**2 + y)) < 5.5 * found.standard_error
    spread = math.sqrt(table.variance(lambda x, y: x**2 + y) / 50_000)
    assert found.standard_error == pytest.approx(spread, rel=0.03)
    assert found == monte_carlo(lambda x, y: x**2 + y, table, n=50_000, seed=2)
    assert found != monte_carlo(lambda x, y: x**2 + y, table, n=50_000, seed=3)


rng = np.random.default_rng(7)
REAL = rng.normal(2, 3, size=40)


@laws
@given(st.lists(st.integers(0, 1), min_size=1, max_size=30), st.floats(1, 5), st.floats(1.1, 5))
def test_bernoulli_in_closed_form(x, a, b):
    k, n = sum(x), len(x)
    assert float(fit_bernoulli(x).probs) == pytest.approx(k / n, abs=1e-12)
    found = float(fit_bernoulli(x, Beta(*torch.tensor([a, b], dtype=torch.float64))).probs)
    assert found == pytest.approx((k + a - 1) / (n + a + b - 2), abs=1e-12)
    assert float(fit_bernoulli(x, Beta(1.0, 1.0)).probs) == pytest.approx(k / n, abs=1e-12)


@laws
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30), st.lists(st.floats(1.1, 5), min_size=4, max_size=4)
)
def test_categorical_in_closed_form(x, alpha):
    counts = np.array([x.count(j) for j in range(4)])
    np.testing.assert_allclose(fit_categorical(x, 4).probs, counts / len(x), atol=1e-12)
    exact = torch.tensor(alpha, dtype=torch.float64)
    found = fit_categorical(x, 4, Dirichlet(exact))
    np.testing.assert_allclose(found.probs, (counts + alpha - 1) / (len(x) + sum(alpha) - 4), atol=1e-12)


def test_gaussian_in_closed_form():
    found = fit_gaussian(REAL)
    assert float(found.loc) == pytest.approx(REAL.mean(), abs=1e-12)
    assert float(found.scale) == pytest.approx(REAL.std(), abs=1e-12)


def test_maximum_of_the_surface_is_the_maximum_likelihood():
    means, sigmas = np.linspace(0, 4, 161), np.linspace(1, 5, 201)
    surface = log_likelihood_surface(Normal, REAL, loc=means, scale=sigmas)
    assert surface.shape == (161, 201)
    best = fit_gaussian(REAL)
    i, j = np.unravel_index(surface.argmax(), surface.shape)
    assert abs(means[i] - float(best.loc)) <= 0.025 / 2 + 1e-9
    assert abs(sigmas[j] - float(best.scale)) <= 0.02
    assert log_likelihood(best, REAL) >= surface.max()
    assert surface[3, 7] == pytest.approx(stats.norm.logpdf(REAL, means[3], sigmas[7]).sum(), abs=1e-9)
    flips = [1, 0, 1, 1]
    curve = log_likelihood_surface(Bernoulli, flips, probs=[0.5, 0.75, 1.0])
    assert curve == pytest.approx(
        [4 * math.log(0.5), 3 * math.log(0.75) + math.log(0.25), -math.inf], abs=1e-12
    )


def test_map_is_the_maximum_of_the_log_posterior():
    """By a numeric optimiser on log-likelihood + log-prior, with the prior's density from torch."""
    prior = NormalInverseGamma(mean=-1.0, strength=4.0, shape=3.0, scale=2.0)

    def minus_log_posterior(point):
        mean, variance = point[0], math.exp(point[1])
        sigma2 = torch.tensor(variance, dtype=torch.float64)
        log_prior = InverseGamma(torch.tensor(3.0).double(), torch.tensor(2.0).double()).log_prob(sigma2)
        log_prior = log_prior + stats.norm.logpdf(mean, -1, math.sqrt(variance / 4))
        return -float(log_prior) - stats.norm.logpdf(REAL, mean, math.sqrt(variance)).sum()

    best = optimize.minimize(
        minus_log_posterior, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    found = fit_gaussian(REAL, prior)
    assert float(found.loc) == pytest.approx(best.x[0], abs=1e-5)
    assert float(found.scale) ** 2 == pytest.approx(math.exp(best.x[1]), rel=1e-5)
    one_by_one = prior
    for value in REAL:
        one_by_one = one_by_one.posterior([value])
    at_once = prior.posterior(REAL)
    for name in ("mean", "strength", "shape", "scale"):
        assert getattr(one_by_one, name) == pytest.approx(getattr(at_once, name), rel=1e-10)
    assert float(fit_gaussian([2.0], prior).scale) > 0


def test_the_product_underflows_and_the_sum_does_not():
    x = [1.0] * 2_000
    shown = underflow(Bernoulli(0.5), x)
    assert shown.products[9] == 2.0**-10
    assert shown.vanishes_at == 1_075
    assert shown.products[1_073] > 0 == shown.products[1_074]
    assert shown.products[-1] == 0
    assert shown.sums[-1] == pytest.approx(-2_000 * math.log(2), abs=1e-9)
    assert log_likelihood(Bernoulli(0.5), x) == pytest.approx(-2_000 * math.log(2), abs=1e-9)
    # the better model is the better one by the log only
    worse = underflow(Bernoulli(0.4), x)
    assert worse.products[-1] == shown.products[-1]
    assert worse.sums[-1] < shown.sums[-1] - 400
    assert "from observation 1,075 on" in str(shown)
    assert underflow(Bernoulli(0.5), [1.0] * 10).vanishes_at is None
    impossible = underflow(Bernoulli(0.0), [1.0, 1.0])
    assert impossible.vanishes_at is None
    assert impossible.sums[-1] == -math.inf
    assert log_likelihood(Uniform(0.0, 1.0), [0.5, 3.0]) == -math.inf
    assert log_likelihood(P, np.zeros((3, 2))) == pytest.approx(-3 * math.log(2 * math.pi), abs=1e-12)


def test_central_limit_of_dice_exactly():
    sizes = (1, 2, 8, 32)
    found = [central_limit(die, n) for n in sizes]
    two = Table.uniform(a=range(1, 7), b=range(1, 7)).function("s", lambda a, b: a + b)
    np.testing.assert_allclose(found[1].probabilities, two.probabilities, atol=1e-15)
    np.testing.assert_allclose(found[1].z, (np.arange(2, 13) - 7) / math.sqrt(35 / 6), atol=1e-12)
    # by hand: one die; the largest gap to Φ is at z(3) = −0.2928 or just before z(4)
    at = stats.norm.cdf((np.arange(1, 7) - 3.5) / math.sqrt(35 / 12))
    by_hand = max(np.abs(np.arange(1, 7) / 6 - at).max(), np.abs(np.arange(6) / 6 - at).max())
    assert found[0].distance == pytest.approx(by_hand, abs=1e-12)
    # skewed: the largest gap is just before the jump at z(1) = 1/3, .1 against Φ(1/3)
    skewed = central_limit(Table.of("x", {0: 0.1, 1: 0.9}), 1)
    assert skewed.distance == pytest.approx(stats.norm.cdf(1 / 3) - 0.1, abs=1e-12)
    for n, limit in zip(sizes, found, strict=True):
        assert len(limit.z) == 5 * n + 1
        assert limit.cdf[-1] == pytest.approx(1, abs=1e-12)
        assert limit.distance <= limit.bound
        assert limit.error == 0
        assert (limit.probabilities * limit.z).sum() == pytest.approx(0, abs=1e-12)
        assert (limit.probabilities * limit.z**2).sum() == pytest.approx(1, abs=1e-12)
    distances = [limit.distance for limit in found]
    assert distances == sorted(distances, reverse=True)
    assert distances[3] == pytest.approx(distances[2] / 2, rel=0.05)  # like 1/√n


def test_central_limit_of_a_density_by_drawing():
    n = 10
    found = central_limit(Exponential(1.0), n, samples=50_000, seed=1)
    z = np.linspace(-3, 5, 20_001)  # the sum of n exponentials is Gamma(n)
    truth = np.abs(stats.gamma.cdf(n + z * math.sqrt(n), n) - stats.norm.cdf(z)).max()
    assert abs(found.distance - truth) < 2 * found.error
    assert found.error == pytest.approx(0.00607, abs=1e-5)
    assert found.bound is None
    assert central_limit(Exponential(1.0), 1, samples=50_000).distance > 2 * found.distance


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: estimate_mean([1.0]), "at least 2"),
        (lambda: estimate_mean([1.0, math.nan]), "NaN"),
        (lambda: monte_carlo("die", die, n=1), "n = 1"),
        (lambda: monte_carlo("die", Normal(0.0, 1.0)), "not a Table"),
        (lambda: monte_carlo(lambda x: x, P, n=5), r"shape \(5, 2\) for 5 samples"),
        (lambda: estimate_mean([1.0, 2.0]).interval(95), "between 0 and 1"),
        (lambda: fit_bernoulli([0, 2]), "2 in the data"),
        (lambda: fit_bernoulli([]), r"shape \(0,\)"),
        (lambda: fit_bernoulli([1, 1], Beta(0.5, 0.5)), "no single mode"),
        (lambda: fit_categorical([0, 3], 3), "0 to m − 1 = 2"),
        (lambda: fit_categorical([0, 1], 2, Dirichlet(torch.ones(3))), r"a prior over \(3,\)"),
        (lambda: fit_gaussian([1.0, 1.0]), "all 2 values are 1"),
        (lambda: fit_gaussian([1.0, math.inf]), "finite"),
        (lambda: NormalInverseGamma(0, 0, 1, 1), "above 0"),
        (lambda: log_likelihood_surface(Normal, REAL), "name a parameter"),
        (lambda: log_likelihood_surface(Normal, REAL, loc=[0], scale=[-1]), "do not fit the family"),
        (lambda: log_likelihood(P, [1.0, 2.0]), r"give \(n, 2\)"),
        (lambda: log_likelihood(Normal(torch.zeros(2), 1.0), [1.0]), "a batch"),
        (lambda: central_limit(Cauchy(0.0, 1.0), 5), "variance nan"),
        (lambda: central_limit(Table.of("x", {3: 1.0}), 5), "variance 0"),
        (lambda: central_limit(die, 0), "n = 0"),
        (lambda: central_limit(Table.uniform(x=[math.sqrt(k) for k in range(60)]), 9), "different sums"),
        (lambda: central_limit(Table.uniform(x=(0, 1), y=(0, 1)), 2), "over x, y"),
        (lambda: central_limit(P, 2), "not over one variable"),
    ],
)
def test_errors(make, says):
    with pytest.raises(PlausibleError, match=says):
        make()


def test_categorical_fit_can_be_used_as_a_distribution():
    fitted = fit_categorical([0, 0, 1], 2)
    assert isinstance(fitted, Categorical)
    assert log_likelihood(fitted, [0, 0, 1]) == pytest.approx(
        2 * math.log(2 / 3) + math.log(1 / 3), abs=1e-12
    )
