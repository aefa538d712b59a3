"""Optimizer and schedule as options that any model can take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

Share = Annotated[float, Field(ge=0, lt=1)]
"""An option that is a share of something: 0 ≤ share < 1."""


@dataclass(frozen=True)
class Optimization:
    """How a turn moves its movers.

    Attributes:
        kind: adam; adagrad; rmsprop, v ← .9·v + .1·g²; or sgd with momentum v ← m·v + g, θ ← θ − lr·v.
        beta1: Adam's decay of the first moment; sgd's momentum m.
        beta2: Adam's decay of the second moment.
        lr_decay: the learning rate is divided by this at each tick, …
        lr_min: … and never falls below this.
        final_momentum: sgd's momentum grows to this, linearly over momentum_ticks; None: constant.
        momentum_ticks: ticks of that growth.
        epsilon: Adam's ε.
    """

    kind: Literal["adam", "adagrad", "rmsprop", "sgd"] = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    lr_decay: float = 1.0
    lr_min: float = 0.0
    final_momentum: float | None = None
    momentum_ticks: int = 1
    epsilon: float = 1e-8

    def optimizer(self, lr: float) -> Callable[[Iterable[nn.Parameter]], Optimizer]:
        """parameters → optimizer, for a Turn."""
        if self.kind == "adam":
            betas = (self.beta1, self.beta2)
            return lambda parameters: torch.optim.Adam(parameters, lr, betas, self.epsilon, fused=True)
        if self.kind == "adagrad":
            return lambda parameters: torch.optim.Adagrad(parameters, lr)
        if self.kind == "rmsprop":
            return lambda parameters: torch.optim.RMSprop(parameters, lr, 0.9, self.epsilon)
        return lambda parameters: torch.optim.SGD(parameters, lr, self.beta1, fused=True)

    def schedule(self, lr: float) -> Callable[[int], Mapping[str, Any]] | None:
        """tick → {lr, momentum}, for a Turn; None where nothing changes."""
        if self.lr_decay == 1.0 and self.final_momentum is None:
            return None

        def settings(tick: int) -> Mapping[str, Any]:
            now: dict[str, Any] = {"lr": max(lr * self.lr_decay ** -(tick - 1), self.lr_min)}
            if self.final_momentum is not None:
                share = min(1.0, tick / self.momentum_ticks)
                now["momentum"] = self.beta1 + share * (self.final_momentum - self.beta1)
            return now

        return settings
