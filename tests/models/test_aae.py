"""The adversarial autoencoder: its prior, its three posteriors, who moves when, and codes that come to the prior."""

import math

import pytest
import torch
from support import DOMAINS, differing, play, recipe_at, rows, state_of, tiny, trainer_of
from torch.nn.functional import softplus

from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.training.trainer import Settings, Trainer

POSTERIORS = ["deterministic", "gaussian", "universal"]


def aae(domain, **options):
    return tiny("aae", "default", *DOMAINS[domain], **options)


def batch_of(domain):
    return Batch(torch.from_numpy(rows(domain).array()))


# ---------------------------------------------------------------------- the prior
def test_the_normal_priors_moments():
    torch.manual_seed(0)
    z = aae("image", prior_deviation=5.0).sample_prior(100_000)
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=0.08, rtol=0)
    torch.testing.assert_close(z.T.cov(), 25 * torch.eye(4), atol=0.5, rtol=0)


def test_the_mixture_prior_is_ten_gaussians_on_a_ring():
    torch.manual_seed(0)
    z = aae("image", prior="mixture", prior_deviation=2.0).sample_prior(100_000)
    ring = torch.view_as_complex(z[:, :2].contiguous() / 2)
    part = (ring.angle() * 10 / (2 * math.pi)).round() % 10  # the nearest petal by angle
    for k in range(10):
        here = ring[part == k] * torch.polar(torch.tensor(1.0), torch.tensor(-2 * math.pi * k / 10))
        assert len(here) == pytest.approx(10_000, rel=0.05)
        assert float(here.real.median()) == pytest.approx(1.4, abs=0.03)
        assert float(here.real.std()) == pytest.approx(0.5, abs=0.03)
        assert float(here.imag.std()) == pytest.approx(0.1, abs=0.02)
    torch.testing.assert_close(z[:, 2:].std(0), torch.full((2,), 2.0), atol=0.03, rtol=0)


def test_the_ring_needs_two_dimensions():
    with pytest.raises(PlausibleError, match="latent to be 2 or more"):
        aae("image", prior="mixture", latent=1)


# ---------------------------------------------------------------------- the posterior
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_what_is_drawn_and_what_stands_for_x(posterior):
    model, batch = aae("points", posterior=posterior), batch_of("points")
    model.prepare(rows("points"))
    x = model.scaling.inward(batch.x)
    draws = torch.stack([model.sample_code(x) for _ in range(2000)]).detach()
    code = model.encode(batch.x)
    assert code.shape == (40, 4)
    assert torch.equal(code, model.encode(batch.x))
    deviation = draws.std(0)
    if posterior == "deterministic":
        assert torch.equal(draws[0], code)
        assert float(deviation.max()) < 1e-6
    elif posterior == "gaussian":
        mean, log_deviation = model.encoder(x).detach().chunk(2, dim=1)
        assert torch.equal(mean, code)
        torch.testing.assert_close(deviation, log_deviation.exp(), rtol=0.1, atol=0)
        assert bool(((draws.mean(0) - mean).abs() < 5 * deviation / 2000**0.5).all())
    else:
        assert model.encoder[0].in_features == 2 + 4
        assert float(deviation.min()) > 0.01
        noise = torch.cat([x, torch.zeros(40, 4)], 1)
        assert torch.equal(model.encoder(noise).detach(), code)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_every_posterior_and_prior_trains_alike(posterior):
    trainer = trainer_of("aae", "default", "image", posterior=posterior, prior="mixture", lr=1e-2)
    first = [float(trainer.play()["reconstruction/reconstruction"]) for _ in range(20)]
    last = [float(trainer.play()["reconstruction/reconstruction"]) for _ in range(150)][-20:]
    assert sum(last) < sum(first)
    model, x = trainer.game.eval(), batch_of("image").x
    assert model.reconstruct(x).shape == x.shape
    drawn = model.sample(6)
    assert drawn.shape == (6, 1, 4, 4)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


# ---------------------------------------------------------------------- the turns
def test_the_losses_are_the_papers():
    model, batch = aae("binary", posterior="gaussian"), batch_of("binary")

    def logits():
        torch.manual_seed(3)
        fake = model.sample_code(batch.x)
        return model.discriminator(model.sample_prior(40)).squeeze(1), model.discriminator(fake).squeeze(1)

    prior, code = logits()
    torch.manual_seed(3)
    terms = model.discriminator_loss(batch).terms
    torch.testing.assert_close(terms["real"], softplus(-prior))
    torch.testing.assert_close(terms["fake"], softplus(code))
    torch.manual_seed(3)
    torch.testing.assert_close(model.generator_loss(batch).total(), softplus(-code).mean())
    torch.manual_seed(3)
    found = model.reconstruction_loss(batch).total()
    torch.manual_seed(3)
    expected = model.observation.log_prob(model.decoder(model.sample_code(batch.x)), batch.x)
    torch.testing.assert_close(found, -expected.sum(1).mean())


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("reconstruction", {"encoder", "decoder", "observation"}),
        ("discriminator", {"discriminator"}),
        ("generator", {"encoder"}),
    ],
)
def test_who_moves_when(name, moved):
    trainer = trainer_of("aae", "default", "image")
    trainer.turns = [turn for turn in trainer.turns if turn.name == name]
    before = state_of(trainer.game)
    play(trainer, 2)
    assert {key.split(".")[0] for key in differing(before, state_of(trainer.game))} == moved


def test_the_turns_see_the_same_rows():
    trainer, seen = trainer_of("aae", "default", "points"), []
    inward = trainer.game.scaling.inward
    trainer.game.scaling.inward = lambda x: seen.append(x) or inward(x)
    trainer.play()
    assert len(seen) == 2, "the discriminator takes the codes of the reconstruction"
    assert all(torch.equal(x, seen[0]) for x in seen)


def test_dropout_is_where_it_was_asked_for():
    def rates(module):
        return [layer.p for layer in module if isinstance(layer, torch.nn.Dropout)]

    model = aae("image", input_dropout=0.1, hidden_dropout=0.2, discriminator_dropout=0.3)
    assert rates(model.encoder) == [0.1, 0.2, 0.2]
    assert rates(model.decoder) == [0.2, 0.2]
    assert rates(model.discriminator) == [0.3, 0.3]


def test_the_recipe_of_makhzani_et_al():
    torch.manual_seed(0)
    model = tiny("aae", "makhzani2015", *DOMAINS["image"], weight_init=0.01, encoder=(300,))
    recipe = recipe_at("aae", "makhzani2015")
    parts = {turn.name: recipe.for_turn(turn.name) for turn in model.turns()}
    rates = {name: [part.lr_at(tick) for tick in (25_000, 25_001, 500_001)] for name, part in parts.items()}
    assert rates["reconstruction"] == pytest.approx([1.3e-5, 1.3e-6, 1.3e-7])
    assert rates["discriminator"] == rates["generator"] == pytest.approx([1e-1, 1e-2, 1e-3])
    assert [part.momentum for part in parts.values()] == [0.9, 0.1, 0.1]
    assert float(model.encoder[0].weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert not model.encoder[0].bias.any()


# ---------------------------------------------------------------------- what it is for
def moments_of(codes):
    return codes.mean(0), codes.T.cov()


def test_the_codes_come_to_the_prior():
    """Six values that lie on a plane, coded in two dimensions: far from N(0, 4·I) at first, close to it after."""
    torch.manual_seed(0)
    model = aae(
        "points", latent=2, encoder=(32,), decoder=(32,), discriminator=(32,), prior_deviation=2.0
    )  # fmt: skip
    data = rows("points", 500)
    model.prepare(data)
    x = torch.from_numpy(data.array())
    spreads = []
    recipe = recipe_at("aae", "default", lr=2e-3, adversarial_lr=2e-3)
    play_of = Trainer(model, data, Settings(batch=100), recipe=recipe)
    for ticks in (1, 700):
        play(play_of, ticks)
        mean, covariance = moments_of(model.encode(x))
        spreads.append(float(mean.norm() + (covariance - 4 * torch.eye(2)).norm()))
    assert spreads[1] < 1.6 < 4 < spreads[0]
    error = (model.scaling.inward(model.reconstruct(x)) - model.scaling.inward(x)).square().mean()
    assert float(error) < 0.1


def test_labels_are_refused():
    with pytest.raises(PlausibleError, match="not conditional"):
        aae("image").sample(2, y=torch.zeros(2))


def test_the_discriminator_judges_the_codes_of_the_reconstruction():
    trainer, judged = trainer_of("aae", "default", "points", posterior="gaussian", shards=2), []
    game = trainer.game
    made, discriminate = game.sample_code, game.discriminate
    codes = []
    game.sample_code = lambda x: codes.append(made(x)) or codes[-1]
    game.discriminate = lambda z: judged.append(z) or discriminate(z)
    trainer.play()
    assert len(codes) == 4, "two shards: in the reconstruction and in the generator's turn"
    for shard in range(2):
        fakes = judged[shard][-len(codes[shard]) :]
        assert any(torch.equal(half, codes[shard]) for half in (fakes, judged[shard][: len(codes[shard])]))
