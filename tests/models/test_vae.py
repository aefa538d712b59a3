"""The VAE: its terms against torch.distributions, its schedule, its options."""

import math

import pytest
import torch
from support import DOMAINS, play, recipe_at, rows, tiny, trainer_of
from torch.distributions import Independent, MixtureSameFamily, Normal, kl_divergence

from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.models import vae as vae_module
from plausible.models.vae import MixturePrior, kl_to_standard_normal, normal_log_density


def batch_of(domain, tick=1):
    return Batch(torch.from_numpy(rows(domain).array()), tick=tick)


def test_the_kl_is_torchs():
    mean, log_deviation = torch.randn(7, 5), torch.randn(7, 5)
    expected = kl_divergence(Normal(mean, log_deviation.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_deviation), expected)


def test_the_mixture_prior_is_torchs():
    prior, z = MixturePrior(3, 4), torch.randn(20, 4)
    with torch.no_grad():
        prior.logits.copy_(torch.tensor([0.0, 1.0, -1.0]))
        prior.log_deviations.normal_()
    parts = Independent(Normal(prior.means, prior.log_deviations.exp()), 1)
    expected = MixtureSameFamily(torch.distributions.Categorical(logits=prior.logits), parts).log_prob(z)
    torch.testing.assert_close(prior.log_prob(z), expected)
    torch.manual_seed(0)
    drawn = prior.sample(40_000, 4)
    mean = (prior.logits.softmax(0).unsqueeze(1) * prior.means).sum(0)
    assert ((drawn.mean(0) - mean).abs() < 6 * drawn.std(0) / 200).all()


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_loss_is_minus_the_bound_in_two_terms(domain):
    model = tiny("vae", "normal", *DOMAINS[domain])
    model.prepare(rows(domain))
    batch = batch_of(domain)
    torch.manual_seed(1)
    loss = model.loss(batch)
    torch.manual_seed(1)
    mean, deviation = model.posterior(batch.x)
    z = mean + deviation * torch.randn_like(mean)
    expected = model.log_joint(batch.x, z) - model.log_prior(z)
    volume = model.scaling.log_volume()
    torch.testing.assert_close(-loss.terms["reconstruction"] + volume, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        loss.terms["prior"],
        kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1),
        rtol=1e-4,
        atol=1e-4,
    )
    torch.testing.assert_close(loss.shown["ELBO"], expected - loss.terms["prior"], rtol=1e-4, atol=1e-4)


def test_the_mixtures_kl_is_estimated_by_the_same_draw():
    model = tiny("vae", "normal", *DOMAINS["binary"], prior="mixture", components=3)
    batch = batch_of("binary")
    torch.manual_seed(1)
    found = model.loss(batch).terms["prior"]
    torch.manual_seed(1)
    mean, deviation = model.posterior(batch.x)
    z = mean + deviation * torch.randn_like(mean)
    torch.testing.assert_close(found, normal_log_density(z, mean, deviation.log()) - model.log_prior(z))


def test_one_importance_sample_is_the_bound_in_expectation_and_more_are_higher():
    trainer = play(trainer_of("vae", "normal", "binary", lr=1e-2, latent=2), 200)
    model, batch = trainer.game.eval(), batch_of("binary")
    torch.manual_seed(0)
    with torch.no_grad():
        elbo = torch.stack([model.loss(batch).shown["ELBO"].mean() for _ in range(300)])
        bounds = {
            k: torch.stack([model.log_prob_bound(batch.x, k).mean() for _ in range(60)]) for k in (1, 5, 50)
        }
    error = math.hypot(float(elbo.std()) / 300**0.5, float(bounds[1].std()) / 60**0.5)
    assert float(elbo.mean()) == pytest.approx(float(bounds[1].mean()), abs=6 * error)
    assert bounds[1].mean() < bounds[5].mean() < bounds[50].mean()


@pytest.mark.parametrize("block", [1, 7, 64])
def test_the_bound_is_streamed_in_blocks_of_bounded_size(block, monkeypatch):
    model, x = tiny("vae", "normal", *DOMAINS["binary"]), batch_of("binary").x
    decoded = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(len(inputs[0])))
    monkeypatch.setattr(vae_module, "BLOCK", block)
    torch.manual_seed(0)
    found = model.log_prob_bound(x, 30)
    assert max(decoded) <= block
    assert sum(decoded) == 30 * len(x)
    monkeypatch.setattr(vae_module, "BLOCK", 10**6)
    exact = model.log_prob_bound(x, 3000)
    assert float((found - exact).abs().mean()) < 0.2


def test_the_stages_of_burda_et_al():
    recipe = recipe_at("vae", "iwae2016", first_stage=10)
    at = {tick: recipe.lr_at(tick) for tick in (1, 10, 11, 40, 41, 130, 131, 10_931, 10**7)}
    factors = [10, 10, 7.2, 7.2, 5.2, 5.2, 3.7, 1.0, 1.0]
    assert list(at.values()) == pytest.approx([1e-4 * factor for factor in factors])


def test_beta_warms_up_and_free_bits_cost_nothing():
    model = tiny("vae", "normal", *DOMAINS["binary"], beta=2.0, warmup=10)
    terms = []
    for tick in (5, 10, 100):
        torch.manual_seed(0)
        terms.append(float(model.loss(batch_of("binary", tick)).terms["prior"].mean().detach()))
    assert terms[1] == pytest.approx(2 * terms[0])
    assert terms[2] == pytest.approx(terms[1])
    free = tiny("vae", "normal", *DOMAINS["binary"], free_bits=50.0)
    prior = free.loss(batch_of("binary")).terms["prior"]
    assert prior.shape == ()
    assert float(prior.detach()) == pytest.approx(50.0 * free.latent)
    (slope,) = torch.autograd.grad(prior, [free.encoder[-1].weight])
    assert not slope.any()


def test_codes_and_reconstructions_have_the_datas_shape_and_scale():
    trainer = play(trainer_of("vae", "normal", "points", lr=1e-2), 400)
    model, x = trainer.game.eval(), batch_of("points").x
    assert model.encode(x).shape == (len(x), model.latent)
    assert model.decode(torch.zeros(3, model.latent)).shape == (3, 2)
    assert float((model.reconstruct(x).mean(0) - x.mean(0)).abs()[0]) < 2
    assert model.sample(5).shape == (5, 2)
    assert float((model.sample(2000).mean(0) - x.mean(0)).abs()[0]) < 3


@pytest.mark.parametrize("observation", ["bernoulli", "gaussian", "logistic"])
def test_every_observation_trains_on_pixels(observation):
    trainer = trainer_of("vae", "normal", "image", observation=observation, lr=1e-2)
    first = [float(trainer.play()["bound/reconstruction"]) for _ in range(20)]
    last = [float(trainer.play()["bound/reconstruction"]) for _ in range(200)][-20:]
    assert sum(last) < sum(first)
    drawn = trainer.game.eval().sample(8)
    assert drawn.shape == (8, 1, 4, 4)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_noise_is_added_when_asked_for_and_binary_samples_are_binary():
    plain, noisy = (tiny("vae", "normal", *DOMAINS["image"], noise=noise) for noise in (False, True))
    draws = []
    for model in (plain, noisy):
        torch.manual_seed(0)
        draws.append(model.sample(50))
    assert float((draws[0] - draws[1]).std()) > 0.05
    assert set(tiny("vae", "normal", *DOMAINS["binary"]).sample(50).unique().tolist()) == {0.0, 1.0}


def test_mistakes():
    with pytest.raises(PlausibleError, match="free_bits needs"):
        tiny("vae", "normal", *DOMAINS["binary"], free_bits=1.0, prior="mixture")
    model = tiny("vae", "normal", *DOMAINS["image"], observation="bernoulli")
    with pytest.raises(PlausibleError, match=r"no log-probability.*:binary"):
        model.log_prob_bound(torch.rand(2, 1, 4, 4))
    with pytest.raises(PlausibleError, match="samples must be at least 1, not 0"):
        tiny("vae", "normal", *DOMAINS["binary"]).log_prob_bound(torch.zeros(2, 6), 0)
    with pytest.raises(PlausibleError, match="not conditional"):
        model.sample(2, y=torch.zeros(2))
