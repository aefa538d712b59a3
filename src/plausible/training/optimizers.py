"""From a recipe to a torch optimizer and its schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from plausible.game import Turn
from plausible.recipe import Recipe

__all__ = ["optimizer_of", "schedule_of"]


def optimizer_of(turn: Turn, recipe: Recipe, parameters: Sequence[nn.Parameter]) -> Optimizer:
    """The turn's own optimizer, if it has one, else the recipe's.

    Args:
        turn: whose movers the optimizer moves.
        recipe: of this turn, see `Recipe.for_turn`.
        parameters: of the movers.
    """
    if turn.optimizer is not None:
        return turn.optimizer(parameters)
    lr, decay = recipe.lr, recipe.weight_decay
    match recipe.optimizer:
        case "adam":
            betas = (recipe.beta1, recipe.beta2)
            return torch.optim.Adam(parameters, lr, betas, recipe.epsilon, decay, fused=True)
        case "adagrad":
            return torch.optim.Adagrad(parameters, lr, weight_decay=decay)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr, 0.9, recipe.epsilon, decay)
        case "sgd":
            return torch.optim.SGD(parameters, lr, recipe.momentum, weight_decay=decay, fused=True)


def schedule_of(turn: Turn, recipe: Recipe) -> Callable[[int], Mapping[str, Any]] | None:
    """tick → the settings of that tick: the turn's own, else the recipe's.

    A turn with an optimizer but no schedule of its own has none: its settings stay as the optimizer was made.
    """
    if turn.schedule is not None or turn.optimizer is not None:
        return turn.schedule
    rate = turn.rate
    if rate is None:
        return recipe.settings_at
    return lambda tick: {**recipe.settings_at(tick), "lr": rate(tick) * recipe.lr_at(tick)}
