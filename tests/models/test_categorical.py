"""The adversarial autoencoder with categories: what its code is, what it learns from few labels and from none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import recipe_at

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.models.build import build
from plausible.training.seeding import own_randomness
from plausible.training.trainer import Settings, Trainer

TINY = {"latent": 2, "categories": 3, "encoder": (32,), "decoder": (32,), "discriminator": (32,)}
CENTRES = np.array([[0.9, 0.1, 0.1, 0.9], [0.1, 0.9, 0.1, 0.1], [0.5, 0.5, 0.9, 0.5]])


def clouds(n: int = 300, categories: int = 3) -> Rows:
    """Three well separated clouds in [0, 1]⁴, labelled."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % categories
    x = np.clip(CENTRES[y % 3] + rng.normal(0, 0.05, (n, 4)), 0, 1).astype(np.float32)
    return Rows(StoredRows("clouds", (x,), (4,), "unit", y=y), np.arange(n))


def model(**options):
    with own_randomness(torch.device("cpu")):
        torch.manual_seed(0)
        return build("categorical-aae", (4,), "unit", TINY | options)


def trained(ticks: int, **options):
    data, game = clouds(), model(**options)
    game.prepare(data)
    trainer = Trainer(game, data, Settings(batch=60), recipe=recipe_at("categorical-aae", "default", lr=5e-3))
    for _ in range(ticks):
        trainer.play()
    game.eval()
    return game, data


def test_four_turns_with_labels_three_without():
    names = ["reconstruction", "discriminator", "generator"]
    assert [turn.name for turn in model().turns()] == names
    assert [turn.name for turn in model(labels=3).turns()] == [*names, "classification"]


def test_the_code_is_a_distribution_over_categories_and_a_style():
    game, x = model(), torch.rand(7, 4)
    game.eval()
    code = game.encode(x)
    assert code.shape == (7, 5)
    assert torch.allclose(code[:, :3].sum(1), torch.ones(7))
    assert torch.allclose(game.classify(x).exp(), code[:, :3], atol=1e-6)
    assert game.decode(code).shape == (7, 4)


def test_the_prior_is_one_hot_uniform_and_normal():
    game, n = model(prior_deviation=2.0), 6000
    torch.manual_seed(1)
    prior = game.sample_prior(n)
    assert set(prior[:, :3].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(prior[:, :3].sum(1), torch.ones(n))
    assert (prior[:, :3].mean(0) - 1 / 3).abs().max() < 6 * (2 / 9 / n) ** 0.5
    assert (prior[:, 3:].std(0) - 2.0).abs().max() < 6 * 2.0 / (2 * n) ** 0.5
    y = torch.tensor([2, 0, 1])
    assert torch.equal(game.sample_prior(3, y)[:, :3].argmax(1), y)


def test_few_labels_name_the_clouds():
    game, data = trained(250, labels=3)
    x = torch.from_numpy(data.array())
    assert (game.classify(x).argmax(1).numpy() == data.y).mean() > 0.98


def test_noise_is_of_the_training_alone():
    game, x = model(input_noise=1.0), torch.rand(5, 4)
    assert not torch.equal(game.sample_code(x), game.sample_code(x))
    game.eval()
    assert torch.equal(game.sample_code(x), game.sample_code(x))


def test_labels_that_are_no_categories_are_an_error():
    with pytest.raises(PlausibleError, match="the data have 4 classes"):
        model(labels=8).prepare(clouds(categories=4))


def test_classification_without_a_labelled_minibatch_is_an_error():
    from plausible.game import Batch

    with pytest.raises(PlausibleError, match=r"Batch\.labelled"):
        model(labels=3).classification_loss(Batch(torch.rand(4, 4)))
