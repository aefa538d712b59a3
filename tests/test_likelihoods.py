"""Observation models against torch.distributions, sums over all values, and their own samples."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal

from plausible.errors import PlausibleError
from plausible.likelihoods import Categorical, Gaussian, Logistic, LogisticMixture, likelihood

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


# ---------------------------------------------------------------------- many numbers a value
def at_levels(levels):
    """Every level, as the values of one row, (1, levels)."""
    return torch.arange(levels, dtype=torch.float64)[None] / (levels - 1)


def everywhere(raw, levels):
    """The raw outputs of one value, (outputs,), given to each level: (1, outputs·levels)."""
    return raw[:, None].expand(-1, levels).reshape(1, -1)


@pytest.mark.parametrize("levels", [2, 5, 17])
@pytest.mark.parametrize("make", [Categorical, lambda levels: LogisticMixture(levels, 3)])
def test_levels_sum_to_one_and_samples_follow(make, levels):
    torch.manual_seed(0)
    observed = make(levels)
    raw = 2 * torch.randn(observed.outputs, dtype=torch.float64)
    p = observed.log_prob(everywhere(raw, levels), at_levels(levels)).exp()[0]
    assert float(p.sum()) == pytest.approx(1, abs=1e-9)
    drawn = observed.sample(raw[None].expand(20_000, -1))
    found = torch.bincount((drawn * (levels - 1)).round().long().flatten(), minlength=levels) / 20_000
    assert float((found - p).abs().max()) < 6 * math.sqrt(0.25 / 20_000)
    assert set(drawn.unique().tolist()) <= set(at_levels(levels)[0].tolist())


def test_categorical_is_torchs_softmax():
    torch.manual_seed(0)
    raw = torch.randn(4, 5, 3)  # rows, levels, values
    x = torch.randint(5, (4, 3)) / 4
    expected = torch.distributions.Categorical(logits=raw.transpose(1, 2))
    observed = Categorical(5)
    torch.testing.assert_close(observed.log_prob(raw.flatten(1), x), expected.log_prob(x * 4))
    torch.testing.assert_close(observed.log_levels(raw.flatten(1), 5), expected.logits)


def test_a_mixture_of_one_is_the_discretised_logistic():
    torch.manual_seed(0)
    weight, mean, log_scale = torch.randn(3, 6, 4, dtype=torch.float64)
    x = torch.randint(17, (6, 4)) / 16
    found = LogisticMixture(17, 1).log_prob(torch.cat([weight, mean, log_scale], 1), x)
    raw = torch.cat([mean + 0.5, log_scale + math.log(0.1)], 1)
    torch.testing.assert_close(found, Logistic(17).log_prob(raw, x))


def test_a_mixtures_parts_are_weighed():
    """Two narrow parts, at 1/4 and 3/4, of weights .3 and .7."""
    observed = LogisticMixture(5, 2)
    raw = torch.tensor([[math.log(0.3), math.log(0.7), -0.25, 0.25, -5.0, -5.0]])
    p = observed.log_prob(everywhere(raw[0], 5), at_levels(5).float()).exp()[0]
    torch.testing.assert_close(p, torch.tensor([0, 0.3, 0, 0.7, 0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(observed.log_levels(raw, 5).exp()[0, 0], p)
