"""Networks of the user's own in a model: it trains, resumes and samples with them, and says what is missing."""

from __future__ import annotations

import json

import pytest
import torch
from support import CPU, differing, state_of, train
from torch import nn

import plausible
from plausible import cli
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.models.aae import AdversarialAutoencoder
from plausible.models.autoencoder import Autoencoder
from plausible.models.gan import GAN
from plausible.models.vae import VAE
from plausible.training.seeding import own_randomness


class Net(nn.Module):
    """Rows in, rows out; deliberately no nn.Sequential."""

    def __init__(self, inputs, outputs, width=8, seed=0):
        super().__init__()
        with own_randomness(CPU):
            torch.manual_seed(seed)
            self.body, self.head = nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x):
        return self.head(self.body(x).relu())


class Other(Net):
    pass


class Convolutions(nn.Sequential):
    """A convolutional critic of 8 × 8 images: it unflattens the rows itself."""

    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 1)
        )


GANS = {"generator": lambda seed=0: Net(4, 64, seed=seed), "discriminator": Convolutions}
GAN_OPTIONS = {"latent": 4, "batch": 64, "seed": 3}
VAES = {"encoder": lambda seed=0: Net(64, 6, seed=seed), "decoder": lambda seed=0: Net(3, 64, seed=seed)}
CASES = [("gan", GANS, GAN_OPTIONS), ("vae", VAES, {"latent": 3, "batch": 64, "seed": 3})]


def made(networks):
    return {name: make() for name, make in networks.items()}


@pytest.fixture(scope="module", params=CASES, ids=["gan", "vae"])
def case(request, tmp_path_factory):
    """A run of each, for half an epoch, and how it was made."""
    name, networks, options = request.param
    given = made(networks)
    before = {option: state_of(network) for option, network in given.items()}
    run = plausible.train(
        name,
        "digits",
        epochs=0.5,
        out=tmp_path_factory.mktemp(name) / "run",
        progress=False,
        **given,
        **options,
    )
    assert not any(differing(before[option], state_of(given[option])) for option in given), "they are copied"
    return run, given, options


def test_a_run_with_own_networks_samples_and_loads(case):
    run, given, _ = case
    option = next(iter(given))
    trained = getattr(run.model, option)
    assert type(trained) is type(given[option])
    assert differing(state_of(given[option]), state_of(trained))
    config = json.loads((run.path / "config.json").read_text())
    assert config["model"]["options"][option] == f"{__name__}:Net"
    again = plausible.load(run.path, **given)
    assert torch.equal(torch.as_tensor(again.sample(3)), torch.as_tensor(run.sample(3)))
    assert plausible.load(run, at=None) is run


def test_it_resumes_bit_for_bit_with_networks_initialized_anew(case, tmp_path):
    run, given, options = case
    name = run.config.model.name
    whole = plausible.train(
        name, "digits", epochs=1, out=tmp_path / "whole", progress=False, **given, **options
    )
    part = plausible.train(
        name, "digits", epochs=0.5, out=tmp_path / "part", progress=False, **given, **options
    )
    fresh = dict(given)
    option = next(iter(given))
    fresh[option] = Net(given[option].body.in_features, given[option].head.out_features, seed=99)
    plausible.load(part.path, **fresh).resume(epochs=1, progress=False)
    end = plausible.load(part.path, **given)
    assert end.tick == whole.tick
    assert not differing(state_of(end.model), state_of(whole.model))


def test_a_run_without_checkpoint_begins_with_the_weights_it_was_given(tmp_path):
    """Their initialization is nowhere else: a network made anew starts from other weights."""
    given = {"generator": Net(4, 64), "discriminator": Convolutions()}
    whole = plausible.train(
        "gan", "digits", epochs=0.5, out=tmp_path / "run", progress=False, **given, **GAN_OPTIONS
    )
    end = state_of(whole.model)
    for folder in (whole.path / "checkpoints").iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    other = {"generator": Net(4, 64, seed=7), "discriminator": Convolutions()}
    again = plausible.load(whole.path, **other).resume(progress=False)
    assert not differing(state_of(again.model), end)


def test_what_is_missing_or_wrong_is_said_in_one_line(case, tmp_path):
    run, given, _ = case
    option, name = next(iter(given)), run.config.model.name
    inputs, outputs = given[option].body.in_features, given[option].head.out_features
    mistakes = [
        ({}, rf"the {option} of this {name} is a network of the user's own, .*:Net.*{option}=Net\("),
        (given | {option: Other(4, 64)}, rf"{option}: this {name}'s is a .*:Net, not a .*:Other"),
        (given | {"networkk": Net(1, 1)}, "networkk"),
        (given | {"latent": Net(1, 1)}, "latent of this .* is no network of your own"),
        (given | {option: Net(inputs, outputs, 9)}, "does not fit this model"),
        (given | {option: Net(inputs, 7)}, r"must take rows .* it makes \(2, 7\)"),
    ]
    for networks, named in mistakes:
        with pytest.raises(PlausibleError, match=named) as error:
            _ = plausible.load(run.path, **networks).model
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(PlausibleError, match="must be a torch module"):
        plausible.load(run.path, **{option: (8,)})
    with pytest.raises(PlausibleError, match="cannot change on the way"):
        plausible.load(run.path, **given).resume(epochs=1, set={option: Net(1, 1)}, progress=False)
    with pytest.raises(PlausibleError, match="no option 'wide'"):
        train(name, "digits", out=tmp_path / "run", wide=Net(1, 1))
    with pytest.raises(PlausibleError, match="'latent' cannot be"):
        train(name, "digits", out=tmp_path / "run", latent=Net(1, 1))


def test_the_command_line_says_that_it_is_done_in_python(case, capsys):
    run, _, _ = case
    for words in (
        ["sample", str(run.path), "--out", "x.png"],
        ["resume", str(run.path), "--epochs", "2"],
        ["train", "--like", str(run.path), "--out", "x"],
    ):
        assert cli.main(words) == cli.BAD_INPUT
        assert "in Python" in capsys.readouterr().err
    assert cli.main(["train", "gan", "--generator", "my:Net"]) == cli.BAD_INPUT
    assert "plausible.train('gan', generator=Net(…))" in capsys.readouterr().err


def test_like_takes_the_networks_over(case, tmp_path):
    run, given, _ = case
    again = plausible.train(like=run, out=tmp_path / "again", progress=False)
    assert not differing(state_of(again.model), state_of(run.model))
    option = next(iter(given))
    units = plausible.train(like=run, out=tmp_path / "units", progress=False, **{option: (8,)})
    assert units.config.model.options[option] == [8]


def test_every_place_takes_a_network_and_leaves_it_as_it_is():
    x = torch.rand(5, 6)
    for kind, networks, options in (
        (Autoencoder, {"encoder": Net(6, 2), "decoder": Net(2, 6)}, {}),
        (VAE, {"encoder": Net(6, 4), "decoder": Net(5, 6)}, {"classes": 3, "glorot": True}),
        (AdversarialAutoencoder, {"encoder": Net(8, 2), "decoder": Net(2, 6), "discriminator": Net(2, 1)},
         {"posterior": "universal", "weight_init": 0.1}),
        (GAN, {"generator": Net(5, 6), "discriminator": Net(9, 1)}, {"classes": 3, "init": ("normal", 0.1, 0.1)}),
    ):  # fmt: skip
        before = {option: state_of(network) for option, network in networks.items()}
        model = kind((6,), "unit", latent=2, **networks, **options)
        for option, network in networks.items():
            assert getattr(model, option) is network
            assert not differing(before[option], state_of(network))
        batch = Batch(x, torch.tensor([0, 1, 2, 0, 1]), tick=1)
        for turn in model.turns():
            assert bool(turn.loss(batch).total().isfinite())
        assert model.sample(3).shape == (3, 6)


def test_a_discriminator_with_batch_norm_goes_without_gradient_penalty_and_judges_apart():
    critic = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    with pytest.raises(PlausibleError, match="penalty=0"):
        GAN((6,), "unit", discriminator=critic)
    gan = GAN((6,), "unit", discriminator=critic, penalty=0.0)
    assert gan.apart
    assert gan.features(torch.rand(5, 6)).shape == (5, 8)
    with pytest.raises(PlausibleError, match=r"torch\.nn\.Sequential"):
        GAN((6,), "unit", discriminator=Net(6, 1)).features(torch.rand(5, 6))
