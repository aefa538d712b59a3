"""What a training is about to do: its data, its model, and how far its budget goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plausible.data import Data
from plausible.game import Game
from plausible.runs import Config
from plausible.training.trainer import Trainer

__all__ = ["Plan", "plan_of"]


@dataclass(frozen=True)
class Plan:
    """A training before its first tick.

    Attributes:
        data: what was read.
        model: its name, or "module:Class".
        preset: the named choice of options.
        parameters: part of the model → number of its parameters; one that two parts share counts for the first.
        batch: batch size.
        epoch_ticks: ticks in an epoch; 0 of a model that is fitted without ticks.
        augment: how the pictures of a minibatch are changed at random.
        precision: float32, or bfloat16.
        codes_of: the model and the run whose codes are learned; None: the data themselves are.
        budget: what ends the training → how much of it: epochs, minutes, core-minutes.
    """

    data: Data
    model: str
    preset: str
    parameters: Mapping[str, int]
    batch: int
    epoch_ticks: int
    augment: tuple[str, ...]
    precision: str
    codes_of: str | None
    budget: Mapping[str, float]


def plan_of(config: Config, data: Data, trainer: Trainer) -> Plan:
    """The plan of a run that is about to begin."""
    training = config.training
    budget = {"epochs": training.epochs, "minutes": training.minutes, "core-minutes": training.core_minutes}
    return Plan(
        data,
        config.model.name,
        config.model.preset,
        _parameters(trainer.game),
        training.batch,
        trainer.epoch_ticks if trainer.turns else 0,
        training.augment,
        training.precision,
        None if config.coder is None else f"{config.coder.name}, {config.coder.origin}",
        {name: amount for name, amount in budget.items() if amount is not None},
    )


def _parameters(game: Game) -> dict[str, int]:
    """Number of parameters of each part."""
    found: dict[str, int] = {}
    for name, parameter in game.named_parameters():
        part = name.partition(".")[0]
        found[part] = found.get(part, 0) + parameter.numel()
    return found
