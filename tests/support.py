"""Tiny data and tiny models, for tests over the whole registry."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plausible
from plausible.data.rows import Rows, StoredRows
from plausible.game import GenerativeModel
from plausible.models.build import build, options_of, preset_of, recipe_of, split_options
from plausible.models.registry import MODELS, model_class
from plausible.nn import nade
from plausible.recipe import Recipe
from plausible.runs import Config, RunFolder
from plausible.training.seeding import own_randomness
from plausible.training.trainer import Settings, Trainer

DOMAINS = {
    "image": ((1, 4, 4), "unit"),
    "points": ((2,), "real"),
    "binary": ((6,), "binary"),
    "photo": ((3, 19, 20), "unit"),  # large enough that network=auto is conv, of odd and even sides
    "colour": ((3, 3, 2), "unit"),  # for models that go through an image pixel by pixel
    "table": ((4,), "mixed"),
}
LEVELS = (0, 3, 2, 0)
"""Of the columns of the mixed table, 0 for numbers."""
WIDTH, LAYERS = 8, 2
SHRUNK = {"latent": 4, "init": ("uniform", 0.5, 0.5), "weight_init": 0.5}
"""Options that are set where a preset sets them; narrow layers need larger weights to start from."""
CLASSES = 10
IMAGES = ("pixelrnn", "pixelcnn")
"""Models of images only."""
CPU = torch.device("cpu")


def presets() -> list[tuple[str, str]]:
    """(model, preset) for everything in the registry, and (model, CONDITIONAL) for what can be conditional."""
    return [
        (name, preset)
        for name in MODELS
        for preset in [
            *(getattr(model_class(name), "presets", {}) or ["default"]),
            *([CONDITIONAL] if conditional(name) else []),
        ]
    ]


CONDITIONAL = "default with classes"
"""Stands for a preset where a model has the option `classes`: its default, told the labels."""


def conditional(name: str) -> bool:
    """Whether a model can be told the labels."""
    return "classes" in options_of(name)


def chosen(name: str, preset: str) -> dict[str, object]:
    """The model options of a preset, CONDITIONAL among them."""
    if preset == CONDITIONAL:
        return dict(preset_of(name, "default").model) | {"classes": CLASSES}
    return dict(preset_of(name, preset).model)


def of_training(preset: str) -> str:
    """The preset that `jobs.train` is given."""
    return "default" if preset == CONDITIONAL else preset


EVERY_PRESET = presets()
OTHERS_SLOW = [
    pytest.param(name, preset, marks=() if preset == "default" else pytest.mark.slow)
    for name, preset in EVERY_PRESET
]
"""For tests that train a run each: the default of every model, and the other presets in `make test-all`."""


def fits(name: str, preset: str, domain: str) -> bool:
    """Whether a model takes the domain, and the preset too: one of convolutions is for images only."""
    shape, kind = DOMAINS[domain]
    if kind not in model_class(name).domains:
        return False
    if name in IMAGES or domain == "colour":
        return name in IMAGES and domain in ("image", "colour")
    if domain == "table" and chosen(name, preset).get("output", "auto") != "auto":
        return False
    return len(shape) == 3 or chosen(name, preset).get("network") != "conv"


EVERY_CASE = [
    (name, preset, domain)
    for name, preset in EVERY_PRESET
    for domain in DOMAINS
    if fits(name, preset, domain)
]
CASES_SLOW = [
    pytest.param(*case, marks=() if case[1] == "default" else pytest.mark.slow) for case in EVERY_CASE
]
"""For tests that train for some ticks: the default of every model, and the other presets in `make test-all`."""
HOME = {name: domain for name, _, domain in reversed(EVERY_CASE)}
"""model → the first of the domains that it takes."""


def tiny_options(name: str, preset: str) -> dict[str, object]:
    """A preset's options with at most LAYERS layers, at most WIDTH wide; other options stay as they are."""
    defaults = {option: default for option, (_, default) in options_of(name).items()}
    options = defaults | chosen(name, preset)
    for option, value in options.items():
        if isinstance(value, tuple) and value and all(isinstance(width, int) for width in value):
            options[option] = tuple(min(width, WIDTH) for width in value)
        elif option in ("hidden", "orders", "features", "head"):
            options[option] = min(value, WIDTH)
        elif option == "layers":
            options[option] = min(value, LAYERS)
    if "channels" in options:
        options["channels"] = (4, WIDTH)
    if options.get("labels"):
        options["labels"] = CLASSES
    return options | {option: value for option, value in SHRUNK.items() if options.get(option) is not None}


def tiny(name: str, preset: str, shape, domain, *, seed: int = 0, **options) -> GenerativeModel:
    """A model of the registry, small, drawn from a seed of its own."""
    with own_randomness(CPU):
        torch.manual_seed(seed)
        column_levels = LEVELS if domain == "mixed" else None
        return build(name, shape, domain, tiny_options(name, preset) | options, column_levels)


@cache
def rows(domain: str, n: int = 40) -> Rows:
    """n rows of a domain, labelled 0 … CLASSES−1 in turn."""
    shape, kind = DOMAINS[domain]
    rng = np.random.default_rng(3)
    x = {
        "unit": (rng.random((n, *shape), np.float32) * 255).round() / np.float32(255),
        "real": (rng.normal(size=(n, *shape)) * (5, 0.1) + (100, -3)).astype(np.float32)
        if kind == "real"
        else None,
        "binary": (rng.random((n, *shape)) < 0.3).astype(np.float32),
        "mixed": _table(n, rng),
    }[kind]
    return Rows(StoredRows(domain, (x,), shape, kind, y=np.arange(n) % CLASSES), np.arange(n))


def _table(n: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a mixed table of LEVELS, with missing cells in the second and the last column, (n, D)."""
    columns = [rng.integers(0, count, n) if count else rng.normal(size=n) * 5 + 100 for count in LEVELS]
    x = np.stack(columns, 1).astype(np.float32)
    x[::7, 1], x[::5, 3] = np.nan, np.nan
    return x


def config_of(**changed: dict[str, Any]) -> Config:
    """A run's configuration, of a GAN on digits unless its parts are changed."""
    parts: dict[str, Any] = {
        "plausible": "0.1.0",
        "model": {"name": "gan", "options": {"k": 1}},
        "recipe": {"lr": 0.1},
        "data": {
            "spec": "digits",
            "source": "digits",
            "hash": "ab" * 32,
            "train": 1437,
            "valid": 180,
            "test": 180,
        },
        "schema": {"shape": [1, 8, 8], "layout": [8, 8], "domain": "unit"},
        "training": {"batch": 128, "epochs": 2.0},
        "versions": {"python": "3.11.7"},
    }
    for name, value in changed.items():
        parts[name] = parts[name] | value if isinstance(parts.get(name), dict) else value
    return Config.model_validate(parts)


def saved(folder: Path, domain: str) -> str:
    """`rows` with their labels as a file: its SPEC."""
    np.savez(folder / "x.npz", x=rows(domain).array(), y=rows(domain).y)
    return str(folder / "x.npz")


def trainer_of(name: str, preset: str, domain: str, *, seed: int = 0, **more) -> Trainer:
    """A prepared tiny model and its trainer; `more` is split between settings, the options and the recipe."""
    settings = {key: more.pop(key) for key in list(more) if key in Settings.__dataclass_fields__}
    options, fields = split_options(name, more)
    game = tiny(name, preset, *DOMAINS[domain], seed=seed, **options)
    game.prepare(rows(domain))
    recipe = recipe_at(name, preset, **fields)
    return Trainer(game, rows(domain), Settings(**{"batch": 16, **settings}), recipe=recipe)


def recipe_at(name: str, preset: str, **fields) -> Recipe | None:
    """The recipe of a preset, with some fields set."""
    return recipe_of(name, dict(preset_of(name, of_training(preset)).recipe) | fields)


def play(trainer: Trainer, ticks: int) -> Trainer:
    for _ in range(ticks):
        trainer.play()
    return trainer


def state_of(game: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of everything the game holds."""
    return {name: value.detach().clone() for name, value in game.state_dict().items()}


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two samples are equal, bit for bit, missing cells too."""
    gaps = a.isnan()
    return torch.equal(gaps, b.isnan()) and torch.equal(a.masked_fill(gaps, 0), b.masked_fill(gaps, 0))


def differing(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Names whose values are not bit for bit the same."""
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@contextmanager
def without_numba(monkeypatch) -> Generator[None]:
    """Inside, this process is one where numba is not installed."""
    with monkeypatch.context() as patch:
        patch.delattr("plausible.nn.nade_compiled", raising=False)
        patch.setitem(sys.modules, "plausible.nn.nade_compiled", None)  # import it now: ImportError
        nade.compiled.cache_clear()
        yield
    nade.compiled.cache_clear()


@contextmanager
def restored(*tables):
    """Restores registries, such as METRICS, to what they held before."""
    before = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, old in zip(tables, before, strict=True):
            table.clear()
            table.update(old)


def train(model=None, data=None, **options) -> RunFolder:
    """Train without a word; the run's folder."""
    return plausible.train(model, data, progress=False, **options).folder


def opened(run, **how) -> plausible.Run:
    """A run, by its folder."""
    return plausible.load(run.path if isinstance(run, RunFolder) else run, **how)
