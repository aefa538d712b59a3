"""Which of a training's states is best on the validation rows, and when to stop because none gets better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["FIRST_TICKS", "LEAST_EPOCHS", "RATIO", "WATCHED_RATIO", "Selection", "is_judged"]

RATIO = 1.2
"""Each judged tick is this many times the one before."""
WATCHED_RATIO = 2.0
"""The same for ticks whose samples are watched, which takes longer."""
LEAST_EPOCHS = 10
"""No training stops early before: the first epochs may be worse than the untrained model."""
FIRST_TICKS = 500
"""The first judged tick after tick 0 is the end of the first epoch, or this one where an epoch is longer."""


def is_judged(tick: int, epoch_ticks: int, ratio: float = RATIO) -> bool:
    """Whether the model is judged on the validation rows after a tick: at 0 and at round(first · ratio^k), k = 0, 1, …

    Where a model overfits is a matter of epochs, a few of them on a small table and many on a large one. Ticks at a
    constant ratio come within 20 % of any place, and a training of T ticks has log(T/first)/log ratio of them.
    """
    if tick == 0:
        return True
    first = min(epoch_ticks, FIRST_TICKS)
    if tick < first:
        return False
    k = round(math.log(tick / first, ratio))
    return any(round(first * ratio**near) == tick for near in (k - 1, k, k + 1))


@dataclass
class Selection:
    """The best of the judged states so far. It is part of a checkpoint, so that a resumed training selects as an
    uninterrupted one does.

    Attributes:
        last: the tick that was judged last; -1 before the first.
        tick: the best judged tick; -1 while there is none.
        by: what it was judged by, and …
        value: … how good it is; higher is better.
        stale: judgements since the best.
        weights: of the best state: the averaged ones, where there is an average.
        finished: whether the model finished (`Game.finish`) with these weights.
    """

    last: int = -1
    tick: int = -1
    by: str = ""
    value: float = -math.inf
    stale: int = 0
    weights: Mapping[str, Tensor] | None = None
    finished: bool = False

    def observe(self, tick: int, by: str, value: float, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """Take in a judgement; NaN is never the best, and of equal ones the first is.

        Args:
            tick: that was judged.
            by: what it was judged by.
            value: higher is better.
            weights: returns a copy of the weights that were judged.
        """
        self.last = tick
        if value > self.value:
            self.tick, self.by, self.value, self.stale = tick, by, value, 0
            self.weights, self.finished = weights(), False
        else:
            self.stale += 1

    def out_of_patience(self, patience: int, epochs: float) -> bool:
        """Whether the last `patience` judgements brought nothing better; never for 0, and not in the first epochs.

        Args:
            patience: judgements.
            epochs: how far the training is.
        """
        return 0 < patience <= self.stale and epochs >= LEAST_EPOCHS
