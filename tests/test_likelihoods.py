"""Observation models against torch.distributions, sums over all values, and their own samples."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal

from plausible.errors import PlausibleError
from plausible.likelihoods import Gaussian, Logistic, likelihood

NAMES = [
    ("bernoulli", "binary"),
    ("bernoulli", "unit"),
    ("gaussian", "unit"),
    ("gaussian", "real"),
    ("logistic", "unit"),
]


def test_bernoulli_is_torchs():
    raw, x = torch.randn(50, 4) * 5, (torch.rand(50, 4) < 0.5).float()
    found = likelihood("bernoulli", "binary").log_prob(raw, x)
    torch.testing.assert_close(found, Bernoulli(logits=raw).log_prob(x))


def test_gaussian_is_torchs_and_never_narrower_than_its_least():
    observed = Gaussian(0.25)
    raw, x = torch.randn(50, 4), torch.randn(50, 4)
    torch.testing.assert_close(observed.log_prob(raw, x), Normal(raw, 0.25).log_prob(x), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        observed.log_deviation.fill_(-50)
    torch.testing.assert_close(observed.log_prob(raw, raw), torch.full((50, 4), -math.log(1e-3) - 0.9189385))


@given(mean=st.floats(-1.5, 2.5), log_scale=st.floats(-7, 3), levels=st.sampled_from([2, 3, 17, 256]))
def test_the_discretised_logistic_sums_to_one_over_its_levels(mean, log_scale, levels):
    x = torch.arange(levels, dtype=torch.float64) / (levels - 1)
    raw = torch.tensor([[mean, log_scale]], dtype=torch.float64).expand(levels, 2)
    log_p = Logistic(levels).log_prob(raw, x.unsqueeze(1))
    assert torch.isfinite(log_p).all()
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-9)


def test_the_discretised_logistic_is_the_difference_of_its_cdf():
    raw, x = (
        torch.tensor([[0.4, -2.0]], dtype=torch.float64),
        torch.tensor([[100 / 255]], dtype=torch.float64),
    )
    cdf = [float(torch.sigmoid(((x + side / 510) - 0.4) * math.exp(2.0))) for side in (1, -1)]
    assert float(Logistic(256).log_prob(raw, x).exp()) == pytest.approx(cdf[0] - cdf[1], rel=1e-10)


@pytest.mark.parametrize(("name", "domain"), NAMES)
def test_samples_have_the_mean_and_gradients_are_finite_far_away(name, domain):
    torch.manual_seed(0)
    observed = likelihood(name, domain)
    raw = torch.cat([torch.full((1, 1), 0.3), torch.full((1, observed.outputs - 1), -3.0)], 1)
    drawn = observed.sample(raw.expand(40_000, -1)).detach()
    assert float(drawn.mean()) == pytest.approx(
        float(observed.mean(raw)), abs=6 * float(drawn.std()) / 200 + 1e-3
    )
    far = (torch.tensor([[60.0], [-60.0]]) * torch.ones(1, observed.outputs)).requires_grad_()
    observed.log_prob(far, torch.tensor([[0.0], [1.0]])).sum().backward()
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize(("name", "domain"), NAMES)
def test_a_bias_gives_the_mean_it_was_made_for(name, domain):
    observed, mean = likelihood(name, domain), torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(observed.mean(observed.bias(mean)), mean)


def test_density_or_not_and_what_fits():
    assert [likelihood(name, domain).is_density for name, domain in NAMES] == [True, False, True, True, True]
    assert isinstance(likelihood("auto", "real"), Gaussian)
    for name, domain in (
        ("bernoulli", "real"),
        ("gaussian", "binary"),
        ("logistic", "binary"),
        ("logistic", "real"),
    ):
        with pytest.raises(PlausibleError, match=rf"{name}.*{domain}.*:binary"):
            likelihood(name, domain)
    with pytest.raises(PlausibleError, match="levels must be 2 or more"):
        likelihood("logistic", "unit", levels=1)
