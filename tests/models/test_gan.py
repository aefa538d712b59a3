"""The GAN and its presets: architecture, starting point, units of the data, what it shows."""

import copy
import json

import numpy as np
import pytest
import torch
from support import DOMAINS, fits, play, recipe_at, rows, tiny, trainer_of
from torch import nn

from plausible.data import load
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.jobs.sampling import sample_model
from plausible.models.build import build, option_help, options_of, preset_of, recipe_options
from plausible.models.objectives import OBJECTIVES
from plausible.nn.mlp import Maxout
from plausible.training.trainer import Settings, Trainer

MNIST = ((1, 28, 28), "unit")


def made(preset, shape=MNIST[0], domain="unit", **more):
    return build("gan", shape, domain, dict(preset_of("gan", preset).model) | more)


def linears(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


def widths(net):
    """(inputs, outputs) of each linear layer."""
    return [(layer.in_features, layer.out_features) for layer in linears(net)]


def test_goodfellow2014_has_the_authors_networks():
    gan = made("goodfellow2014")
    maxouts = [layer for layer in gan.discriminator if isinstance(layer, Maxout)]
    assert widths(gan.generator) == [(100, 1200), (1200, 1200), (1200, 784)]
    assert widths(gan.discriminator) == [(784, 240 * 5), (240, 240 * 5), (240, 1)]
    assert [layer.pieces for layer in maxouts] == [5, 5]
    assert [layer.p for layer in gan.discriminator if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]
    assert not [layer for layer in gan.generator.modules() if isinstance(layer, nn.Dropout | nn.BatchNorm1d)]
    assert gan.together
    assert preset_of("gan", "goodfellow2014").training["batch"] == 100


def test_goodfellow2014_starts_where_the_authors_do():
    gan = made("goodfellow2014", shape=(1, 8, 8))
    for net, radius in ((gan.generator, 0.05), (gan.discriminator, 0.005)):
        for layer in linears(net)[:-1]:
            assert float(layer.weight.detach().abs().max()) == pytest.approx(radius, rel=0.02)
            assert float(layer.weight.detach().std()) == pytest.approx(radius / 3**0.5, rel=0.02)
        assert not any(layer.bias.any() for layer in linears(net))
    z = gan.sample_prior(4000)
    assert 0.99 * 3**0.5 < float(z.max()) <= 3**0.5
    assert float(z.var()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear"])
def test_a_marginal_bias_starts_at_the_mean_of_the_data(output):
    gan = tiny("gan", "default", *DOMAINS["image"], marginal_bias=True, output=output)
    gan.prepare(rows("image"))
    nn.init.zeros_(gan.generator[-1].weight)
    mean = torch.from_numpy(rows("image").array()).mean(0)
    torch.testing.assert_close(gan.sample(2), mean.expand(2, 1, 4, 4), rtol=1e-4, atol=1e-5)


def test_a_pixel_that_never_varies_has_a_finite_marginal_bias():
    data = load("digits").train
    gan = tiny("gan", "goodfellow2014", (1, 8, 8), "unit")
    gan.prepare(data)
    bias = gan.generator[-1].bias.detach()
    mean = torch.from_numpy(data.array()).double().flatten(1).mean(0)
    assert float(mean.min()) == 0.0
    assert bias.isfinite().all()
    inside = (mean > 1e-6) & (mean < 1 - 1e-6)
    torch.testing.assert_close(bias[inside].double(), mean.logit()[inside], rtol=1e-4, atol=1e-4)


def test_the_tutorial_has_its_networks_and_tanh():
    gan = made("tutorial")
    assert [units for _, units in widths(gan.generator)] == [128, 256, 512, 1024, 784]
    assert [units for _, units in widths(gan.discriminator)] == [512, 256, 1]
    assert [(n.num_features, n.eps) for n in gan.generator if isinstance(n, nn.BatchNorm1d)] == [
        (256, 0.8), (512, 0.8), (1024, 0.8)
    ]  # fmt: skip
    with torch.no_grad():
        assert (gan.generate(gan.sample_prior(50)) < 0).any()
        assert torch.allclose(
            gan._inward(torch.tensor([[0.0, 1.0]]).repeat(2, 392)).unique(), torch.tensor([-1.0, 1.0])
        )


@pytest.mark.parametrize(
    ("preset", "domain"),
    [
        (preset, domain)
        for preset in ("default", "goodfellow2014", "tutorial")
        for domain in DOMAINS
        if domain == "colour" or fits("gan", preset, domain)
    ],
)
def test_samples_have_the_datas_shape_and_domain(preset, domain):
    shape, kind = DOMAINS[domain]
    samples = sample_model(play(trainer_of("gan", preset, domain), 3).game.eval(), 64)
    assert (samples.shape, samples.dtype) == ((64, *shape), torch.float32)
    assert not samples.requires_grad
    if kind == "binary":
        assert set(samples.unique().tolist()) <= {0.0, 1.0}
    if kind == "unit":
        assert 0 <= float(samples.min()) < float(samples.max()) <= 1


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear"])
def test_binary_samples_are_0_or_1_whatever_the_output_layer(output):
    gan = tiny("gan", "default", (6,), "binary", output=output)
    gan.generator[-1].weight.data.mul_(20)
    assert set(sample_model(gan.eval(), 200).unique().tolist()) == {0.0, 1.0}


def test_real_data_are_met_standardised_and_sampled_in_their_own_units():
    trainer = trainer_of("gan", "default", "points")
    x = torch.from_numpy(rows("points").array())
    inward = trainer.game._inward(x)
    torch.testing.assert_close(inward.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(inward.std(0, correction=0), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(trainer.game._outward(inward), x, rtol=1e-5, atol=1e-5)
    samples = sample_model(trainer.game.eval(), 500)
    assert abs(float(samples[:, 0].mean()) - 100) < 10
    assert abs(float(samples[:, 1].mean()) + 3) < 0.2


def test_shown_are_the_papers_quantities(float64):
    trainer = trainer_of("gan", "default", "image", objective="minimax", penalty=0.0)
    x = torch.from_numpy(rows("image").array()[:16]).double()
    torch.manual_seed(4)
    shown = trainer.game.discriminator_loss(Batch(x, tick=1)).shown
    torch.manual_seed(4)
    fake = trainer.game.generate(trainer.game.sample_prior(16))
    d_real, d_fake = (torch.sigmoid(trainer.game.discriminator(v)[:, 0]) for v in (x.flatten(1), fake))
    value = d_real.log() + (1 - d_fake).log()
    for name, expected in (("D(x)", d_real), ("D(G(z))", d_fake), ("V(D,G)", value)):
        torch.testing.assert_close(shown[name], expected.detach())
        assert not shown[name].requires_grad


def test_what_a_relativistic_critic_shows_does_not_depend_on_its_free_constant():
    trainer = trainer_of("gan", "default", "image")
    x = torch.from_numpy(rows("image").array()[:16])
    shown = []
    for _ in range(2):
        torch.manual_seed(4)
        shown.append(trainer.game.discriminator_loss(Batch(x, tick=1)).shown)
        trainer.game.discriminator[-1].bias.data += 3.0
    for name in shown[0]:
        torch.testing.assert_close(shown[0][name], shown[1][name], atol=1e-5, rtol=1e-5)


def generator_norm(game, objective, x):
    """Norm of the generator's gradient for an objective, with the same noise each time."""
    twin = copy.deepcopy(game)
    twin.objective = OBJECTIVES[objective]
    torch.manual_seed(0)
    loss = twin.generator_loss(Batch(x, tick=1)).total()
    slopes = torch.autograd.grad(loss, list(twin.generator.parameters()))
    return float(torch.cat([s.flatten() for s in slopes]).norm())


def test_the_notes_early_training_problem():
    """With D far ahead the minimax generator hardly moves; −log D(G(z)) gives it a strong gradient (§3)."""
    data = load("digits").train
    options = {"objective": "minimax", "penalty": 0.0, "generator": (32,), "discriminator": (64,)}
    game, recipe = tiny("gan", "default", (1, 8, 8), "unit", **options), recipe_at("gan", "default", lr=1e-3)
    trainer = Trainer(game, data, Settings(batch=64), recipe=recipe)
    x = torch.from_numpy(data.take(np.arange(64))[0])
    at_start = generator_norm(trainer.game, "minimax", x) / generator_norm(trainer.game, "non-saturating", x)
    assert 0.5 < at_start < 2  # D = ½ knows nothing yet
    trainer.turns = trainer.turns[:1]  # the generator holds still
    seen = [trainer.play() for _ in range(200)][-1]
    assert float(seen["D(G(z))"]) < 0.05
    minimax, non_saturating = (generator_norm(trainer.game, o, x) for o in ("minimax", "non-saturating"))
    assert minimax < 0.05 * non_saturating


@pytest.mark.parametrize(
    ("tick", "lr", "momentum"),
    [
        (1, 0.1, 0.5 + 0.2 / 125_000),
        (1000, 0.1 / 1.000004**999, 0.5 + 0.2 * 1000 / 125_000),
        (125_000, 0.1 / 1.000004**124_999, 0.7),
        (10_000_000, 1e-6, 0.7),
    ],
)
def test_goodfellow2014_follows_the_authors_schedule(tick, lr, momentum):
    for player in ("generator", "discriminator"):
        found = recipe_at("gan", "goodfellow2014").for_turn(player).settings_at(tick)
        assert found == {"lr": pytest.approx(lr, rel=1e-9), "momentum": pytest.approx(momentum)}


def test_the_trainer_sets_the_schedule_before_the_move():
    trainer = trainer_of("gan", "goodfellow2014", "image", lr=0.5, lr_decay=2.0, momentum_ticks=4)
    expected = [(0.5, 0.55), (0.25, 0.6), (0.125, 0.65), (0.0625, 0.7), (0.03125, 0.7)]
    for lr, momentum in expected:
        trainer.play()
        for optimizer in trainer.optimizers.values():
            (group,) = optimizer.param_groups
            assert (group["lr"], group["momentum"]) == (pytest.approx(lr), pytest.approx(momentum))


def test_d_may_have_its_own_rate():
    first, second = trainer_of("gan", "tutorial", "image", lr=0.1, discriminator_lr=0.01).optimizers.values()
    assert (first.param_groups[0]["lr"], second.param_groups[0]["lr"]) == (0.01, 0.1)


def test_every_option_is_explained_and_every_preset_can_be_built_and_written_down():
    assert {*options_of("gan"), *recipe_options("gan")} == set(option_help("gan"))
    assert all(option_help("gan").values())
    for preset in ("default", "goodfellow2014", "tutorial"):
        chosen = preset_of("gan", preset)
        assert set(chosen.model) <= set(options_of("gan"))
        assert set(chosen.recipe) <= set(recipe_options("gan"))
        again = json.loads(json.dumps(dict(chosen.model)))
        assert isinstance(build("gan", (2,), "real", again), nn.Module)
        assert set(chosen.training) <= {"batch", "epochs", "minutes", "shards", "ema", "precision"}


@pytest.mark.parametrize("domain", ["image", "points", "binary"])
@pytest.mark.parametrize("preset", ["default", "goodfellow2014", "tutorial"])
def test_the_critic_is_the_last_layer_on_the_code_in_the_datas_own_scale(preset, domain):
    gan = trainer_of("gan", preset, domain).game.eval()
    x = torch.from_numpy(rows(domain).array())
    code, logit = gan.features(x), gan.criticise(x)
    assert (code.shape, logit.shape) == ((40, 8), (40,))
    assert {code.requires_grad, logit.requires_grad} == {False}
    torch.testing.assert_close(gan.discriminator[-1](code).squeeze(1), logit)
    inside = (x.flatten(1) - gan.centre) / gan.scale
    torch.testing.assert_close(gan.discriminate(inside), logit)
    torch.testing.assert_close(x, torch.from_numpy(rows(domain).array()), rtol=0, atol=0)


def test_an_unknown_option_is_answered_with_its_neighbour():
    with pytest.raises(PlausibleError, match=r"'latnet'.*did you mean 'latent'"):
        made("default", latnet=3)
