"""A model of the user's own that is made from one of plausible's: it inherits options, recipe and presets."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from support import opened, train

import plausible
from plausible.errors import PlausibleError
from plausible.models.build import option_help, options_of, presets_of, recipe_options
from plausible.models.gan import GAN
from plausible.models.made import MADE
from plausible.recipe import Recipe

SMALL = {"latent": 4, "generator": (8,), "discriminator": (8,), "batch": 64, "epochs": 0.2}


class MyGAN(GAN):
    """A GAN with one option more.

    Args:
        mine: what it is.
    """

    def __init__(self, shape, domain, *, mine=1, **options):
        super().__init__(shape, domain, **options)
        self.mine = mine


class YourGAN(MyGAN):
    recipe: ClassVar[Recipe] = MyGAN.recipe.model_copy(update={"lr": 0.25})


class Shadow(MADE):
    """A model with an option of its own that is called as a field of the recipe."""

    def __init__(self, shape, domain, *, lr: float = 7.0, **options):
        super().__init__(shape, domain, **options)
        self.lr = lr


class Closed(GAN):
    def __init__(self, shape, domain):
        super().__init__(shape, domain, latent=3)


def test_a_subclass_has_its_parents_options_recipe_presets_and_help():
    assert {*options_of(MyGAN)} == {"mine", *options_of(GAN)}
    assert options_of(MyGAN)["mine"] == (int, 1)
    assert options_of(YourGAN) == options_of(MyGAN)
    assert recipe_options(MyGAN) == recipe_options(GAN)
    assert recipe_options(YourGAN)["lr"][1] == 0.25
    assert presets_of(MyGAN).keys() == presets_of(GAN).keys()
    assert option_help(MyGAN) == {"mine": "what it is.", **option_help(GAN)}
    assert options_of(Closed) == {}
    assert "lr" not in recipe_options(Shadow)
    assert options_of(Shadow)["lr"] == (float, 7.0)


def test_it_trains_resumes_and_samples(tmp_path):
    run = train(MyGAN, out=tmp_path / "run", mine=3, lr=0.125, beta1=0.5, preset="tutorial", **SMALL)
    config = run.config()
    assert config.model.name == f"{__name__}:MyGAN"
    assert (config.model.options["mine"], config.model.options["objective"]) == (3, "non-saturating")
    assert (config.recipe["lr"], config.recipe["beta1"], config.recipe["lr_decay"]) == (0.125, 0.5, 1.0)
    again = opened(run, model=MyGAN)
    again.resume(epochs=0.4, set={"lr": 0.25}, progress=False)
    assert (again.model.mine, again.config.recipe_at()["lr"]) == (3, 0.25)
    assert torch.as_tensor(again.sample(5)).shape[0] == 5
    other = train(YourGAN, out=tmp_path / "other", **SMALL).config()
    assert (other.recipe["lr"], other.recipe["beta1"]) == (0.25, 0.0)


def test_its_mistakes_are_named(tmp_path):
    for wrong, named in (
        ({"min": 1}, "did you mean 'mine'"),
        ({"mine": "x"}, "option 'mine' cannot be 'x'"),
        ({"lr": -1.0}, "option 'lr' cannot be -1.0"),
        ({"latnet": 1}, "did you mean 'latent'"),
    ):
        with pytest.raises(PlausibleError, match=named):
            train(MyGAN, out=tmp_path / "run", **SMALL | wrong)
    with pytest.raises(PlausibleError, match="has no option 'latent'"):
        train(Closed, out=tmp_path / "run", **SMALL)


SOURCE = """
from plausible.models.gan import GAN


class G(GAN):
    def __init__(self, shape, domain, *, mine=1, **options):
        super().__init__(shape, domain, **options)
"""


def test_its_options_are_on_the_command_line(tmp_path, monkeypatch, capsys):
    from plausible import cli

    (tmp_path / "own_gan.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    words = [
        "--latent",
        "4",
        "--generator",
        "8",
        "--discriminator",
        "8",
        "--epochs",
        "0.2",
        "--out",
        "run",
        "--quiet",
    ]
    assert (
        cli.main(["train", "own_gan:G", "--mine", "5", "--lr", "0.5", "--discriminator-lr", "0.25", *words])
        == 0
    )
    config = opened(tmp_path / "run").config
    assert (config.model.options["mine"], config.recipe["lr"], config.recipe["discriminator_lr"]) == (
        5,
        0.5,
        0.25,
    )


def test_a_model_that_is_counted_has_no_recipe(tmp_path):
    assert recipe_options("independent") == {}
    with pytest.raises(PlausibleError, match="independent has no option 'lr'"):
        train("independent", "digits:binary", out=tmp_path / "run", lr=0.1)


class Hidden(MADE):
    """A constructor that does not name the domain."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)


def test_verify_takes_a_subclass_whose_constructor_hides_the_domain():
    assert plausible.verify(Hidden).holds
