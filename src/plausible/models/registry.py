"""The models there are. This module imports no torch, so that listing them takes no time."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from plausible.game import GenerativeModel

__all__ = ["MODELS", "Entry", "Preset", "entry", "model_class", "name_of"]


@dataclass(frozen=True)
class Entry:
    """One model: where its class is ("module:Class"), what it can do, and what it is."""

    path: str
    capabilities: tuple[str, ...]
    summary: str


@dataclass(frozen=True)
class Preset:
    """A named choice of options; what is given on the command line wins.

    Attributes:
        summary: one line for `--help`.
        model: the constructor's options.
        recipe: fields of the model's recipe.
        training: batch, epochs, minutes, core_minutes, shards, ema, precision.
    """

    summary: str
    model: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


DENSITY = ("sample", "density", "completion")

MODELS: dict[str, Entry] = {
    "gan": Entry(
        "plausible.models.gan:GAN",
        ("sample", "critic", "features"),
        "generative adversarial network, 2014",
    ),
    "vae": Entry("plausible.models.vae:VAE", ("sample", "bound", "code"), "variational autoencoder, 2014"),
    "autoencoder": Entry(
        "plausible.models.autoencoder:Autoencoder", ("sample", "code"), "autoencoder, also denoising, 2006"
    ),
    "flow-matching": Entry(
        "plausible.models.flow_matching:FlowMatching",
        ("sample", "code"),
        "flow along straight paths from noise to data, 2023",
    ),
    "aae": Entry(
        "plausible.models.aae:AdversarialAutoencoder", ("sample", "code"), "adversarial autoencoder, 2015"
    ),
    "categorical-aae": Entry(
        "plausible.models.categorical:CategoricalAAE",
        ("sample", "code", "class"),
        "adversarial autoencoder with categories: semi-supervised, or clustering, 2015",
    ),
    "independent": Entry(
        "plausible.models.independent:Independent", DENSITY, "all variables independent: n parameters"
    ),
    "markov": Entry("plausible.models.markov:Markov", DENSITY, "Markov chain along an ordering, counted"),
    "table": Entry(
        "plausible.models.table:FullTable", DENSITY, "all variables dependent: 2^n − 1 parameters"
    ),
    "copula": Entry(
        "plausible.models.copula:Copula",
        DENSITY,
        "Gaussian copula: each column's quantiles, and correlations",
    ),
    "fvsbn": Entry("plausible.models.fvsbn:FVSBN", DENSITY, "logistic autoregression, 1998"),
    "nade": Entry("plausible.models.nade:NADE", DENSITY, "neural autoregressive density estimator, 2011"),
    "rnade": Entry(
        "plausible.models.rnade:RNADE", DENSITY, "NADE for real values: mixtures of Gaussians, 2013"
    ),
    "orderless": Entry(
        "plausible.models.orderless:OrderlessNADE", DENSITY, "NADE for all orderings at once, 2014"
    ),
    "mixed": Entry(
        "plausible.models.mixed:Mixed",
        DENSITY,
        "orderless NADE for tables: numbers, levels, missing cells",
    ),
    "made": Entry("plausible.models.made:MADE", DENSITY, "masked autoregressive perceptron, 2015"),
    "pixelrnn": Entry(
        "plausible.models.pixelrnn:PixelRNN", DENSITY, "pixel recurrent network: LSTMs over an image, 2016"
    ),
    "pixelcnn": Entry(
        "plausible.models.pixelcnn:PixelCNN", DENSITY, "pixel convolutional network, gated, 2016"
    ),
}


def entry(name: str) -> Entry:
    """The registry's line for a model: a name from MODELS, or "module:Class" for a model of the user's own.

    Raises:
        PlausibleError: there is no such model; the message lists those there are.
    """
    if ":" in name:
        return Entry(name, ("sample",), "")
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise PlausibleError(f"there is no model {name!r}: {hint}the models are {', '.join(MODELS)}")
    return MODELS[name]


def model_class(name: str | type) -> type[GenerativeModel]:
    """A model's class; imported, if it is named. A name with ":" must be one that the user typed.

    Raises:
        PlausibleError: there is no such model, module or class.
    """
    found = name if isinstance(name, type) else _imported(name)
    from plausible.game import GenerativeModel

    if not (isinstance(found, type) and issubclass(found, GenerativeModel)):
        raise PlausibleError(
            f"{name!r} is no model: a model is a class made from plausible.game.GenerativeModel"
        )
    return found


def name_of(model: str | type) -> str:
    """What a run calls its model: the name in the registry, or "module:Class"."""
    if isinstance(model, str):
        return model
    path = f"{model.__module__}:{model.__qualname__}"
    return next((name for name, line in MODELS.items() if line.path == path), path)


def _imported(name: str) -> Any:
    module, _, attribute = entry(name).path.partition(":")
    folder = str(Path.cwd())
    added = ":" in name and folder not in sys.path
    if added:
        sys.path.insert(0, folder)  # a model of the user's own, in the folder they work in
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise PlausibleError(f"model {name!r} cannot be imported: {error}") from error
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)
