"""Law 6: log p(x) by quadrature lies above every bound, bounds rise with k, and annealing agrees with quadrature.

The decoder's weights are scaled up, so that the posterior is far from the prior, and from q, which was never trained.
All tolerances come from the spread of the figures themselves, over REPEATS independent ones a row.
"""

from functools import cache
from itertools import pairwise

import pytest
import torch
from support import CONDITIONAL, DOMAINS, EVERY_PRESET, rows, tiny

from plausible.metrics.annealing import ais
from plausible.metrics.importance import importance_bound
from plausible.metrics.quadrature import exact_log_prob
from plausible.models.registry import model_class

BOUNDED = [(name, preset) for name, preset in EVERY_PRESET if hasattr(model_class(name), "log_prob_bound")]
CASES = [
    (name, preset, domain, latent)
    for name, preset in BOUNDED
    for domain in ("binary", "points")
    for latent in (1, 2)
    if preset != CONDITIONAL
    or (domain, latent) == ("binary", 1)  # ten decoders to anneal, one after the other
]
ROWS, REPEATS = 4, 40
LARGER = {CONDITIONAL: 4.0}  # a posterior of z that does not know y is blunter


def cases(slow=()):
    """Parameters of a test; the presets in `slow` are left to `make test-all`."""
    return pytest.mark.parametrize(
        ("name", "preset", "domain", "latent"),
        [pytest.param(*case, marks=pytest.mark.slow if case[1] in slow else ()) for case in CASES],
    )


@cache
def case(name, preset, domain, latent):
    """A model with a small code and a decoder of large weights, its rows, and log p(x), (ROWS,)."""
    model = tiny(name, preset, *DOMAINS[domain], latent=latent)
    model.prepare(rows(domain))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.startswith("decoder") and parameter.dim() > 1:
                parameter.mul_(LARGER.get(preset, 3.0))
    x = torch.from_numpy(rows(domain).array()[:ROWS])
    exact = exact_log_prob(model.eval(), x)
    assert exact.errors.max() < 0.01
    return model, x, exact.values


def repeated(figure, model, x):
    """REPEATS independent figures of each row, (ROWS, REPEATS)."""
    return figure(model, x.repeat_interleave(REPEATS, 0)).values.unflatten(0, (len(x), REPEATS))


@cases()
def test_the_posterior_is_not_the_prior(name, preset, domain, latent):
    model, x, exact = case(name, preset, domain, latent)
    torch.manual_seed(0)
    z = model.sample_prior(2000)
    with torch.no_grad():
        likelihoods = torch.stack([model.log_joint(row.expand(2000, *row.shape), z) for row in x])
    log_weights = (likelihoods - model.log_prior(z)).detach().double()
    information = exact - log_weights.mean(1)  # KL(prior ‖ posterior)
    assert information.mean() > 0.3


@cases()
def test_bounds_lie_below_and_rise(name, preset, domain, latent):
    model, x, exact = case(name, preset, domain, latent)
    bounds = [
        repeated(lambda model, x, k=k: importance_bound(model, x, k, seed=k), model, x) for k in (1, 10, 100)
    ]
    for bound in bounds:
        error = bound.std(1) / REPEATS**0.5
        assert (bound.mean(1) < exact + 6 * error + 5e-3).all()
    for fewer, more in pairwise(bounds):
        error = (fewer.mean(0).var() + more.mean(0).var()).sqrt() / REPEATS**0.5
        assert fewer.mean() < more.mean() + 3 * error
    assert bounds[0].mean() < bounds[2].mean() - 0.1


@cases(slow=(CONDITIONAL, "normal", "iwae2016"))
def test_annealing_agrees_with_quadrature(name, preset, domain, latent):
    model, x, exact = case(name, preset, domain, latent)
    found = repeated(lambda model, x: ais(model, x, chains=16, temperatures=60, steps=5), model, x)
    spread = found.std(1)
    gap = found.mean(1) - exact
    # in expectation annealing is low by half the variance of its logarithm, to second order (Jensen)
    assert (gap < 6 * spread / REPEATS**0.5 + 1e-2).all()
    assert (gap > -6 * spread / REPEATS**0.5 - spread.square() - 1e-2).all()
    assert spread.max() < 1
