"""The models with convolutions: which presets have them, where they start, what the game and the jobs need of them."""

import math

import numpy as np
import pytest
import torch
from support import DOMAINS, play, recipe_at, rows, tiny, train, trainer_of
from torch import nn

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.jobs.sampling import sample_model
from plausible.models.build import build, options_of, preset_of
from plausible.models.registry import MODELS
from plausible.training.trainer import Settings, Trainer

CODERS = [name for name in MODELS if name != "gan" and "network" in options_of(name)]
COLOUR = ((3, 32, 32), "unit")
CONVOLUTION = nn.Conv2d | nn.ConvTranspose2d


def convolutions(net):
    return [layer for layer in net.modules() if isinstance(layer, CONVOLUTION)]


def batch_of(domain):
    return Batch(torch.from_numpy(rows(domain).array()))


# ---------------------------------------------------------------------- which network
@pytest.mark.parametrize("name", [*CODERS, "gan"])
def test_large_images_get_convolutions_and_a_digit_does_not(name):
    for shape, expected in (((1, 28, 28), 0), ((3, 32, 32), 2 * 3), ((3, 37, 53), 2 * 3)):
        assert len(convolutions(build(name, shape, "unit", {}))) == expected
    assert convolutions(build(name, (1, 28, 28), "unit", {"network": "conv"}))
    assert not convolutions(build(name, *COLOUR, {"network": "mlp"}))


@pytest.mark.parametrize(
    ("name", "preset"),
    [("vae", "iwae2016"), ("aae", "makhzani2015"), ("gan", "goodfellow2014"), ("gan", "tutorial")],
)
def test_a_papers_perceptrons_stay_perceptrons(name, preset):
    assert not convolutions(build(name, *COLOUR, dict(preset_of(name, preset).model)))


@pytest.mark.parametrize("name", [*CODERS, "gan"])
def test_convolutions_of_vectors_are_refused_and_leave_no_folder(name, tmp_path):
    with pytest.raises(PlausibleError, match=r"network=conv.*\(2,\)"):
        train(name, "ring", out=tmp_path / "run", epochs=0.1, network="conv")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- the coders
@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize("observation", ["gaussian", "bernoulli", "logistic"])
def test_a_decoder_starts_at_the_mean_of_every_pixel(name, observation):
    model = tiny(name, "default", *DOMAINS["photo"], observation=observation)
    model.prepare(rows("photo"))
    nn.init.zeros_(convolutions(model.decoder)[-1].weight)
    mean = batch_of("photo").x.mean(0)
    z = torch.randn(2, model.encode(batch_of("photo").x[:1]).shape[1])
    torch.testing.assert_close(model.decode(z), mean.expand(2, *mean.shape), rtol=1e-4, atol=1e-5)
    if observation == "logistic":
        assert model.decoder(z).detach().chunk(2, dim=1)[1].unique().tolist() == [-1.0]


def test_a_universal_posterior_needs_hidden_layers():
    with pytest.raises(PlausibleError, match=r"universal.*network=mlp"):
        build("aae", *COLOUR, {"posterior": "universal"})
    build("aae", *COLOUR, {"posterior": "universal", "network": "mlp"})


def blobs(n, side=12):
    """Bright dots at random places, and the same for each colour but for its strength, (n, 3, side, side + 1)."""
    rng = np.random.default_rng(0)
    up, across = np.mgrid[:side, : side + 1]
    places = rng.uniform(2, side - 3, (n, 2, 1, 1))
    dot = np.exp(-((up - places[:, 0]) ** 2 + (across - places[:, 1]) ** 2) / 2)
    x = (dot[:, None] * np.array([1.0, 0.6, 0.3])[:, None, None]).astype(np.float32)
    return Rows(StoredRows("blobs", (x,), x.shape[1:], "unit"), np.arange(n))


def test_dots_are_found_and_drawn_again():
    """What a dot's place leaves of the pixels' variance after a short training."""
    data = blobs(300)
    model = tiny(
        "autoencoder",
        "default",
        (3, 12, 13),
        "unit",
        network="conv",
        channels=(8, 16),
        latent=8,
    )
    model.prepare(data)
    recipe = recipe_at("autoencoder", "default", lr=3e-3)
    play(Trainer(model, data, Settings(batch=50), recipe=recipe), 200)
    x = torch.from_numpy(data.array())
    left = (model.eval().reconstruct(x) - x).square().sum() / (x - x.mean(0)).square().sum()
    assert float(left) < 0.1


# ---------------------------------------------------------------------- the GAN
@pytest.mark.parametrize("preset", ["default", "dcgan"])
def test_the_critic_is_the_last_layer_on_the_code(preset):
    gan = trainer_of("gan", preset, "photo").game.eval()
    x = batch_of("photo").x
    code, logit = gan.features(x), gan.criticise(x)
    assert (code.shape, logit.shape) == ((40, 8 * 4 * 5), (40,))
    torch.testing.assert_close(gan.discriminator[-1](code).squeeze(1), logit)


@pytest.mark.parametrize("preset", ["default", "dcgan"])
def test_samples_have_the_datas_shape_and_domain(preset):
    samples = sample_model(play(trainer_of("gan", preset, "photo"), 3).game.eval(), 20)
    assert samples.shape == (20, 3, 19, 20)
    assert 0 <= float(samples.min()) < float(samples.max()) <= 1


def test_the_penalty_is_the_slope_of_the_critic(float64):
    gan = tiny("gan", "default", *DOMAINS["photo"], seed=1)
    x = batch_of("photo").x[:3].double()
    torch.manual_seed(0)
    found = gan.discriminator_loss(Batch(x)).terms["R1"]
    step, inside = 1e-5, gan._inward(x)
    directions = torch.eye(inside.shape[1]) * step
    with torch.no_grad():
        slopes = [
            (gan.discriminate(row + directions) - gan.discriminate(row - directions)) / (2 * step)
            for row in inside
        ]
    expected = gan.penalty / 2 * torch.stack(slopes).square().sum(1)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-9)


def test_dcgan_is_radfords_but_for_its_width():
    torch.manual_seed(0)
    gan = build("gan", (1, 28, 28), "unit", dict(preset_of("gan", "dcgan").model))
    names = [type(layer).__name__ for layer in gan.discriminator.modules()]
    assert [n for n in names if n[:4] in ("Conv", "Batc", "Leak", "ReLU", "Line")] == [
        "Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Linear"
    ]  # fmt: skip
    names = [type(layer).__name__ for layer in gan.generator.modules()]
    assert [n for n in names if n[:4] in ("Conv", "Batc", "Leak", "ReLU", "Line")] == [
        "Linear", "BatchNorm2d", "ReLU", "ConvTranspose2d", "BatchNorm2d", "ReLU", "ConvTranspose2d"
    ]  # fmt: skip
    for layer in (*convolutions(gan), gan.generator[0]):
        spread = 6 * 0.02 / math.sqrt(2 * layer.weight.numel())
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, abs=spread)
    with torch.no_grad():
        made = gan.generate(gan.sample_prior(50))
    assert -1 <= float(made.min()) < 0 < float(made.max()) <= 1
    recipes = [recipe_at("gan", "dcgan").for_turn(turn.name) for turn in gan.turns()]
    assert [(recipe.lr_at(10**6), recipe.beta1, recipe.beta2) for recipe in recipes] == [
        (2e-4, 0.5, 0.999)
    ] * 2


def test_a_normed_critic_meets_data_and_samples_apart():
    """Otherwise each would be normalised by the other too, and D's turn would not be the game that G plays."""
    trainer = trainer_of("gan", "dcgan", "photo")
    met = []
    trainer.game.discriminator.register_forward_pre_hook(lambda _, inputs: met.append(len(inputs[0])))
    trainer.play()
    assert met == [16, 16, 16]  # samples, data; then samples for the generator
    met.clear()
    plain = trainer_of("gan", "dcgan", "photo", batch_norm=(1e-5,))
    plain.game.discriminator.register_forward_pre_hook(lambda _, inputs: met.append(len(inputs[0])))
    plain.play()
    assert met == [32, 16]


def test_a_normed_critic_has_no_gradient_of_one_example():
    with pytest.raises(PlausibleError, match="penalty=0"):
        tiny("gan", "dcgan", *DOMAINS["photo"], penalty=1.0)
