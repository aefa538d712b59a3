"""Information of torch's distributions, and quadrature: closed forms, every printed digit of the oracle table."""

import math

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    Cauchy,
    Exponential,
    HalfNormal,
    Independent,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Poisson,
    Uniform,
)

from plausible.errors import PlausibleError
from plausible.probability import cross_entropy, entropy, jsd, kl, landmarks, log_density, quadrature
from plausible.probability.continuous import _in_float64

STANDARD = Normal(0.0, 1.0)


def mixture(weights, means, sigmas):
    as_double = [torch.tensor(numbers, dtype=torch.float64) for numbers in (weights, means, sigmas)]
    return MixtureSameFamily(Categorical(as_double[0]), Normal(as_double[1], as_double[2]))


@pytest.mark.parametrize(
    ("mean", "sigma", "divergence", "cost", "forward", "reverse"),
    [
        (1.0, 1.0, 0.111421482, -1.163451397, 0.5, 0.5),
        (2.0, 1.0, 0.336830820, -0.712632720, 2, 2),
        (3.0, 1.0, 0.526777307, -0.332739748, 4.5, 4.5),
        (0.0, 2.0, 0.092733382, -1.200827598, 0.318147, 0.806853),
        (1.0, 2.0, 0.128174973, -1.129944415, 0.443147, 1.306853),
    ],
)
def test_gaussian_oracles(mean, sigma, divergence, cost, forward, reverse):
    other = Normal(mean, sigma)
    found = jsd(STANDARD, other)
    assert found.method == "quadrature"
    assert found.bound < 1e-10
    assert found.value == pytest.approx(divergence, abs=5.1e-10)
    assert -math.log(4) + 2 * found.value == pytest.approx(cost, abs=5.1e-10)
    assert kl(STANDARD, other).value == pytest.approx(forward, abs=5.1e-7)
    assert kl(other, STANDARD).value == pytest.approx(reverse, abs=5.1e-7)
    closed = math.log(sigma) + (1 + mean**2) / (2 * sigma**2) - 0.5
    assert kl(STANDARD, other).value == pytest.approx(closed, abs=1e-12)
    assert kl(STANDARD, other).method == "closed form"
    one = mixture([1.0], [mean], [sigma])  # the same density, of which torch has no formula
    measured = kl(mixture([0.4, 0.6], [0.0, 0.0], [1.0, 1.0]), one)
    assert measured.method == "quadrature"
    assert measured.value == pytest.approx(closed, abs=1e-8)


def test_iq():
    iq = Normal(100.0, 24.0)
    assert entropy(iq).value == pytest.approx(4.596992, abs=5e-7)
    assert entropy(iq).value == pytest.approx(math.log(24 * math.sqrt(2 * math.pi * math.e)), abs=1e-12)
    tail = quadrature(lambda x: log_density(iq, x).exp(), 148, math.inf)
    assert tail.value == pytest.approx(0.5 * math.erfc(math.sqrt(2)), abs=1e-12)
    assert tail.value == pytest.approx(0.022750, abs=5e-7)
    below = quadrature(lambda x: log_density(iq, x).exp(), -math.inf, 148)
    assert below.value + tail.value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("a", [0.0, 0.125, 0.25, 0.5, 1.0])
def test_shifted_uniforms(a):
    """JSD = a·log 2; KL is 0 or ∞, never a number between."""
    p, q = Uniform(0.0, 1.0), Uniform(a, 1 + a)
    assert jsd(p, q).value == pytest.approx(a * math.log(2), abs=1e-8)
    assert kl(p, q).value == (0 if a == 0 else math.inf)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (Laplace(0.0, 1.0), HalfNormal(1.0)),
        (mixture([0.5, 0.5], [-3.0, 3.0], [1.0, 1.0]), Uniform(-30.0, 30.0)),
        (mixture([1.0], [0.0], [1.0]), Uniform(-60.0, 60.0)),  # by quadrature, where the density underflows
        (STANDARD, Uniform(-40.0, 40.0)),  # P(|x| > 40) = 7e-350 underflows
        (Normal(-1.0, 1.0), Exponential(1.0)),
        (Poisson(3.0), Binomial(10, torch.tensor(0.3))),
        (Binomial(3, torch.tensor(0.5)), Binomial(3, torch.tensor(1.0))),
        (Categorical(torch.tensor([0.5, 0.5, 0.0])), Categorical(torch.tensor([0.5, 0.0, 0.5]))),
        (Categorical(torch.ones(6)), Categorical(torch.ones(5))),
        (Bernoulli(0.5), Bernoulli(0.0)),
        (
            MultivariateNormal(torch.zeros(2), torch.eye(2)),
            Independent(Exponential(torch.ones(2)), 1),
        ),
    ],
)
def test_missing_support_is_infinite(p, q):
    assert kl(p, q).value == math.inf
    assert cross_entropy(p, q).value == math.inf
    assert 0 < jsd(p, q).value < math.log(2)


@pytest.mark.parametrize(
    ("p", "closed"),
    [
        (Normal(3.0, 0.5), 0.5 * math.log(2 * math.pi * math.e * 0.25)),
        (Exponential(2.0), 1 - math.log(2)),
        (Laplace(0.0, 3.0), 1 + math.log(6)),
        (Uniform(-2.0, 6.0), math.log(8)),
        (Cauchy(0.0, 1.0), math.log(4 * math.pi)),
        (LogNormal(1.0, 1.0), 1 + 0.5 * math.log(2 * math.pi * math.e)),
    ],
)
def test_quadrature_finds_closed_entropies(p, closed):
    assert entropy(p).method == "closed form"
    assert entropy(p).value == pytest.approx(closed, abs=1e-12)
    q = _in_float64(p)
    shapes = {name: getattr(q, name).reshape(1) for name in p.arg_constraints}
    same = MixtureSameFamily(Categorical(torch.ones(1)), type(p)(**shapes, validate_args=False))
    found = entropy(same)  # torch has no entropy of a mixture
    assert found.method == "quadrature"
    assert found.value == pytest.approx(closed, abs=1e-8)
    assert cross_entropy(same, p).value == pytest.approx(closed, abs=1e-8)


def test_narrow_far_apart_mixture_is_found():
    p = mixture([0.3, 0.7], [-50.0, 3.0], [0.001, 1.0])
    parts = -0.3 * math.log(0.3) - 0.7 * math.log(0.7)
    closed = parts + 0.3 * math.log(0.001) + 0.5 * math.log(2 * math.pi * math.e)
    assert entropy(p).value == pytest.approx(closed, abs=1e-8)
    assert entropy(p).method == "quadrature"


def test_a_peak_that_quadrature_would_miss_goes_to_monte_carlo():
    """1e-4 of the mass in a spike that the 4,096 scouts hardly see: the method says what was done."""
    p = mixture([1 - 1e-4, 1e-4], [0.0, 1.2345], [1.0, 1e-9])
    found = entropy(p)
    closed = 0.5 * math.log(2 * math.pi * math.e)  # to 3e-3
    assert found.method == "Monte Carlo"
    assert found.standard_error > 0
    assert found.value == pytest.approx(closed, abs=0.03)


def test_singular_densities():
    p = Beta(0.5, 0.5)
    found = jsd(p, Uniform(0.0, 1.0))
    # ½ KL(p‖m) + ½ KL(u‖m) with x = sin²(πt/2), whose density under p is 1: no singularity left
    half = math.pi / 2

    def first(t):
        density = 1 / (math.pi * torch.sin(half * t) * torch.cos(half * t))
        return torch.log(2 * density / (density + 1))

    def second(t):
        density = 1 / (math.pi * torch.sin(half * t) * torch.cos(half * t))
        return torch.log(2 / (density + 1)) / density

    exact = (quadrature(first, 0, 1).value + quadrature(second, 0, 1).value) / 2
    assert found.value == pytest.approx(exact, abs=1e-7)


def test_several_variables_by_monte_carlo_with_an_honest_error():
    p = MultivariateNormal(torch.zeros(2), torch.eye(2))
    q = MultivariateNormal(torch.tensor([1.0, 0.0]), torch.eye(2))
    found = jsd(p, q, samples=50_000)  # the second variable adds nothing: the 1-D value
    assert found.method == "Monte Carlo"
    assert found.n == 50_000
    assert abs(found.value - 0.111421482) < 5.5 * found.standard_error
    assert 1e-4 < found.standard_error < 5e-3
    assert found == jsd(p, q, samples=50_000)
    assert found != jsd(p, q, samples=50_000, seed=1)
    assert kl(p, q).value == pytest.approx(0.5, abs=1e-12)
    assert entropy(p, base=2).value == pytest.approx(math.log2(2 * math.pi * math.e), abs=1e-12)
    mixed = cross_entropy(p, MixtureSameFamily(Categorical(torch.ones(1)), q.expand((1,))), samples=20_000)
    assert abs(mixed.value - (math.log(2 * math.pi * math.e) + 0.5)) < 5.5 * mixed.standard_error


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    jsd(STANDARD, Laplace(0.0, 1.0))
    jsd(Poisson(3.0), Poisson(4.0))
    assert torch.equal(torch.rand(3), expected)


def test_cross_entropy_is_entropy_plus_kl():
    pairs = [
        (STANDARD, Laplace(1.0, 2.0)),
        (Beta(2.0, 3.0), Beta(3.0, 2.0)),
        (Bernoulli(0.2), Bernoulli(0.7)),
    ]
    for p, q in pairs:
        assert cross_entropy(p, q).value == pytest.approx(entropy(p).value + kl(p, q).value, abs=1e-9)


def test_finite_distributions_agree_with_their_arrays():
    p, q = torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.3, 0.3, 0.4])
    assert jsd(Categorical(p), Categorical(q)).value == pytest.approx(jsd(p, q), abs=1e-12)
    assert kl(Categorical(p), Categorical(q)).value == pytest.approx(kl(p, q), abs=1e-12)
    assert kl(Bernoulli(0.25), Bernoulli(0.5)).value == pytest.approx(kl([0.75, 0.25], [0.5, 0.5]), abs=1e-15)
    assert str(entropy(Bernoulli(0.0))) == str(cross_entropy(Bernoulli(0.0), Bernoulli(0.0))) == "0 (sum)"


def test_log_density_outside_the_support():
    x = torch.tensor([-1.0, 0.5, 2.0])
    assert log_density(Uniform(0.0, 1.0), x).tolist() == [-math.inf, 0, -math.inf]
    assert log_density(Exponential(1.0), x).tolist() == [-math.inf, -0.5, -2]
    assert log_density(Categorical(torch.tensor([1.0, 0.0])), torch.tensor([0, 1, 2])).tolist() == [
        0,
        -math.inf,
        -math.inf,
    ]
    both = Independent(Uniform(torch.zeros(2), torch.ones(2)), 1)
    assert log_density(both, torch.tensor([[0.5, 0.5], [0.5, 2.0]])).tolist() == [0, -math.inf]
    mixed = MixtureSameFamily(Categorical(torch.ones(2)), Exponential(torch.tensor([1.0, 2.0])))
    assert log_density(mixed, x)[0] == -math.inf
    assert log_density(mixed, x)[1].item() == pytest.approx(math.log(0.5 * math.exp(-0.5) + math.exp(-1)))


def test_landmarks_hold_the_edges_and_the_middle():
    found = landmarks(Uniform(-1.0, 4.0), Exponential(1.0))
    assert {-1.0, 0.0, 4.0} <= set(found)
    assert found == sorted(found)
    assert any(1.0 < x < 2.0 for x in found)


@pytest.mark.parametrize(
    ("f", "low", "high", "points", "value"),
    [
        (torch.cos, 0.0, math.pi / 2, (), 1.0),
        (lambda x: torch.exp(-(x**2)), -math.inf, math.inf, (), math.sqrt(math.pi)),
        (lambda x: 1 / (1 + x**2), -math.inf, math.inf, (), math.pi),
        (lambda x: torch.exp(-x), 2.0, math.inf, (), math.exp(-2)),
        (lambda x: torch.exp(x), -math.inf, 1.0, (), math.e),
        (torch.log, 0.0, 1.0, (), -1.0),
        (lambda x: 1 / torch.sqrt(x), 0.0, 1.0, (), 2.0),
        (lambda x: (x > 0.3).double(), 0.0, 1.0, (), 0.7),
        (
            lambda x: torch.exp(-((x - 700) ** 2)),
            -math.inf,
            math.inf,
            (690.0, 700.5, 710.0),
            math.sqrt(math.pi),
        ),
        (lambda x: torch.zeros_like(x), 0.0, 1.0, (), 0.0),
        (lambda x: torch.where(x > 0.9, math.inf, 0.0), 0.0, 1.0, (), math.inf),
        (lambda x: torch.where(x > 0.9, -math.inf, 0.0), 0.0, 1.0, (), -math.inf),
    ],
)
def test_integrals_in_closed_form(f, low, high, points, value):
    found = quadrature(f, low, high, points)
    assert found.value == pytest.approx(value, abs=1e-8)
    assert found.error <= 1e-7
    assert found.evaluations >= 32


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: quadrature(torch.cos, 1, 0), "lower limit"),
        (lambda: quadrature(lambda x: x / 0 * 0, 0, 1), "NaN at x"),
        (lambda: quadrature(lambda x: 1 / x, 0, 1), "does not converge"),
        (lambda: quadrature(lambda x: torch.ones(3), 0, 1), r"shape \(3,\)"),
        (lambda: quadrature(lambda x: (x - 0.5) * math.inf, 0, 1), "no integral"),
        (lambda: kl(Cauchy(0.0, 1.0), STANDARD), "does not converge.*infinite"),
        (lambda: kl(Normal(torch.zeros(3), torch.ones(3)), STANDARD), "batch.*Independent"),
        (lambda: kl(STANDARD, Poisson(1.0)), "discrete and a continuous"),
        (lambda: kl(STANDARD, MultivariateNormal(torch.zeros(2), torch.eye(2))), "unlike shapes"),
        (lambda: kl(STANDARD, [0.5, 0.5]), "Normal and list"),
    ],
)
def test_errors(make, says):
    with pytest.raises(PlausibleError, match=says):
        make()


@pytest.mark.parametrize(
    "p", [Normal(0.0, 1.0), Normal(3.0, 0.01), Uniform(0.0, 2.0), Exponential(0.3), Cauchy(1.0, 2.0)]
)
def test_a_density_is_at_no_distance_from_itself(p):
    for found in (kl(p, p), jsd(p, p)):
        assert abs(found.value) <= 1e-13, found
