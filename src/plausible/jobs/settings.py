"""A run's configuration: of defaults, preset and what was given; like another run's; changed by `resume`."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from os import cpu_count
from typing import Any

import torch

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.metrics.selection import can_judge
from plausible.models.build import (
    checked_options,
    networks_in,
    options_of,
    preset_of,
    recipe_options,
    split_options,
    with_networks,
)
from plausible.models.registry import model_class, name_of
from plausible.runs import (
    BUDGET,
    TRAINING_SETTINGS,
    Change,
    CoderRecord,
    Config,
    DataRecord,
    ModelRecord,
    RunFolder,
    TrainingRecord,
    now,
    record,
)
from plausible.schema import Domain
from plausible.training.augmentation import parse_augmentations
from plausible.training.precision import usual_precision
from plausible.version import __version__

DEFAULT_MINUTES = 5.0
DEFAULT_PATIENCE = 5
"""Judgements without a better one until training stops: with a ratio of 1.2 between their ticks, 2.5 times the best."""
FIXED = {
    "batch": "the order of the rows follows from it",
    "shards": "the random draws follow from it",
    "seed": "everything random follows from it",
    "ema": "the average goes back to the first tick",
    "augment": "the minibatches follow from it",
    "epochs": "give the new total as --epochs",
    "minutes": "give the new total as --minutes",
    "patience": "give it as --patience",
    "core_minutes": "give the new total as --core-minutes",
}
"""What `--set` cannot change, and why."""
Model = str | type


def configuration(
    model: Model,
    preset: str,
    options: Mapping[str, Any],
    rows: Data,
    given: Mapping[str, Any],
    coder: CoderRecord | None = None,
    coded: tuple[int, ...] | None = None,
) -> Config:
    """The configuration of a new run: defaults, then the preset, then what was given.

    Args:
        model: its name, or its class.
        preset: of the model.
        options: of the model and of its recipe, as given.
        rows: the data.
        given: settings of the training and the budget; None is not given.
        coder: whose codes the model learns.
        coded: the shape of a code.

    Raises:
        PlausibleError: an option, a preset or a setting that cannot be.
    """
    chosen = preset_of(model, preset)
    training: dict[str, Any] = {"batch": min(128, len(rows.train))} | dict(chosen.training)
    if not any(name in chosen.training for name in BUDGET) and can_judge(model_class(model)):
        training["patience"] = chosen.training.get("patience", DEFAULT_PATIENCE)
    seen: tuple[tuple[int, ...], Domain] = (rows.shape, rows.domain) if coded is None else (coded, "real")
    training = {"precision": usual_precision(model_class(model), *seen)} | training
    if "batch" in chosen.training:
        training["batch"] = min(training["batch"], len(rows.train))
    mine, recipe = split_options(model, options)
    all_mine = _defaults(options_of(model)) | dict(chosen.model) | mine
    whole_recipe = _defaults(recipe_options(model)) | dict(chosen.recipe) | recipe
    config = _config(name_of(model), preset, (model, all_mine, whole_recipe), training, given, rows)
    return config.model_copy(update={"coder": coder})


def like(
    other: RunFolder,
    model: Model,
    options: Mapping[str, Any],
    rows: Data,
    given: Mapping[str, Any],
    coder: CoderRecord | None = None,
) -> Config:
    """The configuration of a new run that repeats another one's; what is given wins. See `configuration`.

    Raises:
        PlausibleError: as `configuration`.
    """
    before = other.config()
    mine, recipe = split_options(model, options)
    chosen = (model, with_networks(model, before.options_at() | mine), before.recipe_at() | recipe)
    training = before.training_at().model_dump()
    config = _config(before.model.name, before.model.preset, chosen, training, given, rows)
    return config.model_copy(update={"like": str(other.path.resolve()), "coder": coder})


def _defaults(options: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {option: default for option, (_, default) in options.items()}


def _config(
    name: str,
    preset: str,
    chosen: tuple[Model, Mapping[str, Any], Mapping[str, Any]],
    training: Mapping[str, Any],
    given: Mapping[str, Any],
    rows: Data,
) -> Config:
    """A configuration of all its parts; `chosen` is the model, its options and its recipe's."""
    options, recipe = (checked_options(chosen[0], part, plain=True) for part in chosen[1:])
    found = dict(training) | {name: value for name, value in given.items() if value is not None}
    if any(given.get(name) is not None for name in BUDGET):
        found |= {name: given.get(name) for name in BUDGET}
    elif all(found.get(name) is None for name in BUDGET):
        found["minutes"] = DEFAULT_MINUTES
    check_budget(found)
    found["augment"] = parse_augmentations(found.get("augment") or ())
    if found["augment"] and not rows.schema.picture:
        raise PlausibleError(
            f"--augment {','.join(found['augment'])} changes pictures, and these are rows of a table"
        )
    found["threads"] = torch.get_num_threads()
    data: dict[str, Any] = {"spec": rows.spec, "source": rows.source, "hash": rows.hash}
    data |= {"columns": dict(rows.types), "drop": rows.dropped}
    sizes = {split: len(getattr(rows, split)) for split in ("train", "valid", "test")}
    packages = ("torch", "numpy", "safetensors", "scikit-learn")
    return record(
        Config,
        "this cannot be stored",
        plausible=__version__,
        model=record(ModelRecord, "this model cannot be stored", name=name, preset=preset, options=options),
        recipe=recipe,
        data=record(DataRecord, "these data cannot be stored", **data, **sizes),
        rows=rows.schema,
        training=record(TrainingRecord, "these settings cannot be", **found),
        versions={"python": platform.python_version()} | {name: version(name) for name in packages},
        machine=f"{platform.machine()}, {cpu_count()} cores",
    )


def check_budget(training: Mapping[str, Any]) -> None:
    """Whether budget and `keep` are numbers that can be.

    Raises:
        PlausibleError: not so.
    """
    for name in BUDGET:
        value = training.get(name)
        if value is not None and not 0 < value < float("inf"):
            option = name.replace("_", "-")
            raise PlausibleError(f"--{option} must be a positive number, not {value}")
    if training.get("patience", 0) < 0:
        raise PlausibleError(f"--patience must be 0 (never stop early) or more, not {training['patience']}")
    if training.get("keep", 0) < 0:
        raise PlausibleError(f"--keep must be 0 (all) or more, not {training['keep']}")
    if training.get("seed", 0) < 0:
        raise PlausibleError(f"--seed must be 0 or more, not {training['seed']}")
    for name in ("batch", "shards"):
        if training.get(name, 1) < 1:
            raise PlausibleError(f"--{name} must be at least 1, not {training[name]}")
    if training.get("precision", "float32") not in ("float32", "bfloat16"):
        raise PlausibleError(f"--precision must be float32 or bfloat16, not {training['precision']!r}")


def with_budget(
    config: Config, tick: int, given: Mapping[str, float | None], patience: int | None = None
) -> Config:
    """A configuration with a new budget in force, recorded in its history; without one given it stays.

    Args:
        config: before.
        tick: from where it holds.
        given: name of BUDGET → the new total; None or missing is not given, and is then without limit.

    Raises:
        PlausibleError: a budget that cannot be.
    """
    budget: dict[str, Any] = {name: given.get(name) for name in BUDGET}
    if all(total is None for total in budget.values()):
        budget = {}
    if patience is not None:
        budget["patience"] = patience
    check_budget(budget)
    if budget == {name: getattr(config.training, name) for name in budget}:
        return config
    training = record(TrainingRecord, "this budget cannot be", **config.training.model_dump() | budget)
    return config.model_copy(update={"training": training, "history": _history(config, tick, budget)})


def with_changes(config: Config, tick: int, changes: Mapping[str, Any] | None, model: Model) -> Config:
    """A configuration whose options or settings change after a tick, recorded in its history.

    Raises:
        PlausibleError: an unknown option, one of another type, or one that cannot change.
    """
    if not changes:
        return config
    for name in changes:
        if name in FIXED:
            raise PlausibleError(f"--set {name}: it cannot change on the way: {FIXED[name]}")
    if network := next(iter(networks_in(changes)), None):
        raise PlausibleError(
            f"--set {network}: a network of your own cannot change on the way: train a new run"
        )
    of_training = {name: value for name, value in changes.items() if name in TRAINING_SETTINGS}
    of_model = {name: value for name, value in changes.items() if name not in TRAINING_SETTINGS}
    current = config.training.model_dump()
    check_budget(current | {name: value for name, value in of_training.items() if name == "precision"})
    settings = record(TrainingRecord, "--set", **current | of_training).model_dump()
    checked = checked_options(model, of_model, plain=True)
    found = checked | {name: settings[name] for name in of_training}
    return config.model_copy(update={"history": _history(config, tick, found)})


def with_source(config: Config, rows: Data) -> Config:
    """A configuration that says where the data lie now; data in memory say nothing."""
    if rows.source is None or rows.source == config.data.source:
        return config
    data = record(DataRecord, "these data", **config.data.model_dump() | {"source": rows.source})
    return config.model_copy(update={"data": data})


def _history(config: Config, tick: int, changes: Mapping[str, Any]) -> tuple[Change, ...]:
    """The history with a change; what it sets holds from there on, whatever was set at a later tick before."""
    kept = []
    for change in config.history:
        left = {
            name: value for name, value in change.set.items() if change.tick < tick or name not in changes
        }
        if left:
            kept.append(change.model_copy(update={"set": left}))
    new = record(Change, "--set", tick=tick, time=now(), set=dict(changes))
    return tuple(sorted([*kept, new], key=lambda change: change.tick))
