"""How a model is trained: optimizer, learning rate, schedule, clipping. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from plausible.schema import Record

__all__ = ["Recipe", "Share"]

Share = Annotated[float, Field(ge=0, lt=1)]
"""A number in [0, 1)."""


class Recipe(Record):
    """How a model is trained. A model class declares its own defaults: `recipe = Recipe(lr=5e-4, beta1=0.0)`.

    The fields are options of `plausible train MODEL`, beside those of the model's constructor. A model whose turns
    differ declares a subclass with further fields, and says in `for_turn` what they mean.

    Args:
        optimizer: One of adam, adagrad, rmsprop (v ← .9·v + .1·g²) or sgd (v ← m·v + g, θ ← θ − lr·v).
        lr: Learning rate.
        lr_decay: The learning rate is divided by this factor at each tick.
        lr_min: The learning rate never falls below this.
        lr_steps: After each of these ticks the learning rate is a tenth of what it was.
        beta1: Adam's decay of the first moment.
        beta2: Adam's decay of the second moment.
        epsilon: ε of Adam and RMSprop.
        momentum: SGD's momentum m.
        final_momentum: SGD's momentum grows to this, linearly over momentum_ticks; None: constant.
        momentum_ticks: Ticks of that growth.
        weight_decay: L2 penalty; the optimizer adds weight_decay·θ to the gradient.
        clip: Maximum norm of each turn's gradient; None: no clipping.
    """

    optimizer: Literal["adam", "adagrad", "rmsprop", "sgd"] = "adam"
    lr: PositiveFloat = 1e-3
    lr_decay: PositiveFloat = 1.0
    lr_min: NonNegativeFloat = 0.0
    lr_steps: tuple[PositiveInt, ...] = ()
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: PositiveFloat = 1e-8
    momentum: Share = 0.0
    final_momentum: Share | None = None
    momentum_ticks: PositiveInt = 1
    weight_decay: NonNegativeFloat = 0.0
    clip: PositiveFloat | None = None

    def for_turn(self, name: str) -> Recipe:
        """The recipe of one turn, by the turn's name; by default the same for all."""
        return self

    def lr_at(self, tick: int) -> float:
        """The learning rate of a tick, counted from 1."""
        steps = sum(tick > step for step in self.lr_steps)
        return max(self.lr * self.lr_decay ** -(tick - 1) * 0.1**steps, self.lr_min)

    def momentum_at(self, tick: int) -> float:
        """SGD's momentum of a tick, counted from 1."""
        if self.final_momentum is None:
            return self.momentum
        share = min(1.0, tick / self.momentum_ticks)
        return self.momentum + share * (self.final_momentum - self.momentum)

    def settings_at(self, tick: int) -> Mapping[str, float]:
        """What an optimizer's parameter groups are set to at a tick: lr, and SGD's momentum."""
        lr = {"lr": self.lr_at(tick)}
        return lr | {"momentum": self.momentum_at(tick)} if self.optimizer == "sgd" else lr
