"""Probability: tables over named variables, information, estimation, Gaussians, noise. Float64 throughout.

Exact results are returned as a float or an array; results about `torch.distributions` as an `Estimate`, which names its
method ("closed form", "sum", "quadrature" or "Monte Carlo") and its error. Information is in nats; `base=2` gives bits.
This package imports nothing else of plausible but the error class.

Tables (`tables`, `moments`, `independence`)
    Table({"die": range(1, 7), "coin": "HT"}, probabilities)     joint table, axis i = variable i
    Table.uniform(die=range(1, 7), coin="HT") · Table.of("x", {1: .5, 2: .5}) · Table.frequencies({"x": data})
    .names .values .shape .probabilities · a * b (independent) · str(table), HTML in a notebook
    .probability(die=6) -> float         .marginal("die") -> Table        .condition(coin="H") -> Table
    .conditional("die", given="coin") -> Conditional                      .function("total", f) -> Table
    .expectation(f) .variance(f) .covariance(f, g) -> float  f: a variable's name, or a function of variables
    .independence("x", "y", given="z") -> Independence(independent, violation, where)
    .sample(n, seed=0) -> {name: (n,) array}
    Conditional: .at(coin="H") -> Table · .joint(prior) -> Table (the chain rule) · bayes(prior, likelihood)

Information (`information`, `continuous`, `quadrature`)        p, q: Table | array | torch Distribution
    surprisal(probability, base=e) -> array
    entropy(p, base=e, samples=100_000, seed=0)                 -> float, of a Distribution: Estimate
    cross_entropy(p, q, …) · kl(p, q, …) · jsd(p, q, …)         -> float, of Distributions: Estimate
    conditional_entropy(table, of, given, base=e) · mutual_information(table, x, y, given=(), base=e) -> float
    aligned(p, q) -> (array, array)       the two tables on one grid of outcomes, 0 where one lacks an outcome
    quadrature(f, low, high, points=()) -> Quadrature(value, error, evaluations)  f: (m,) Tensor -> (m,) Tensor
    log_density(p, x) -> Tensor           float64 log p(x), −inf outside the support instead of torch's error
    landmarks(p, q, …) -> list[float]     the edges of one-dimensional densities, and where their mass lies

Estimation (`estimation`, `fitting`, `limit`)
    Estimate(value, standard_error, n, method, bound=0.0)  float(e) · e.interval(level=.95) -> (low, high)
    estimate_mean(values) -> Estimate · monte_carlo(f, p, n=10_000, seed=0) -> Estimate
    sample(p, n, seed) -> Tensor          n samples of a torch Distribution, (n, *event), float64
    fit_bernoulli(x, prior=None) · fit_categorical(x, m, prior=None) · fit_gaussian(x, prior=None)
                                          maximum likelihood, or MAP with a Beta / Dirichlet / NormalInverseGamma
    log_likelihood(p, x) -> float · log_likelihood_surface(family, x, **grids) -> array
    underflow(p, x) -> Underflow          the product of probabilities, which becomes 0, and the sum of logs
    central_limit(p, n, samples=100_000, seed=0) -> CentralLimit(n, z, probabilities, cdf, distance, error, bound)

Gaussians and noise (`gaussian`, `noise`) · counts (`counts`)
    gaussian_marginal(p, indices) · gaussian_conditional(p, {index: value}) -> MultivariateNormal
    density_grid(p, first, second) -> array (len(second), len(first))
    gaussian_noise(images, std, seed=0, clip=None) -> same type, shape and dtype
    bernoulli_parameters() · categorical_parameters(m) · rgb_pixel_parameters() · dependent_parameters(n)
    chain_rule_parameters(n) · independent_parameters(n) · markov_parameters(n) -> int (chain rule: a tuple)
"""

from plausible.probability.continuous import landmarks, log_density
from plausible.probability.counts import (
    bernoulli_parameters,
    categorical_parameters,
    chain_rule_parameters,
    dependent_parameters,
    independent_parameters,
    markov_parameters,
    rgb_pixel_parameters,
)
from plausible.probability.estimation import Estimate, estimate_mean, monte_carlo, sample
from plausible.probability.fitting import (
    NormalInverseGamma,
    Underflow,
    fit_bernoulli,
    fit_categorical,
    fit_gaussian,
    log_likelihood,
    log_likelihood_surface,
    underflow,
)
from plausible.probability.gaussian import density_grid, gaussian_conditional, gaussian_marginal
from plausible.probability.independence import Independence
from plausible.probability.information import (
    aligned,
    conditional_entropy,
    cross_entropy,
    entropy,
    jsd,
    kl,
    mutual_information,
    surprisal,
)
from plausible.probability.limit import CentralLimit, central_limit
from plausible.probability.noise import gaussian_noise
from plausible.probability.quadrature import Quadrature, quadrature
from plausible.probability.tables import Conditional, Table, bayes

__all__ = [
    "CentralLimit",
    "Conditional",
    "Estimate",
    "Independence",
    "NormalInverseGamma",
    "Quadrature",
    "Table",
    "Underflow",
    "aligned",
    "bayes",
    "bernoulli_parameters",
    "categorical_parameters",
    "central_limit",
    "chain_rule_parameters",
    "conditional_entropy",
    "cross_entropy",
    "density_grid",
    "dependent_parameters",
    "entropy",
    "estimate_mean",
    "fit_bernoulli",
    "fit_categorical",
    "fit_gaussian",
    "gaussian_conditional",
    "gaussian_marginal",
    "gaussian_noise",
    "independent_parameters",
    "jsd",
    "kl",
    "landmarks",
    "log_density",
    "log_likelihood",
    "log_likelihood_surface",
    "markov_parameters",
    "monte_carlo",
    "mutual_information",
    "quadrature",
    "rgb_pixel_parameters",
    "sample",
    "surprisal",
    "underflow",
]
