"""The one trainer: it plays the turns of any game, tick after tick, and knows nothing else about it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Game, Turn, device_of
from plausible.recipe import Recipe
from plausible.training.augmentation import augmented
from plausible.training.average import Average
from plausible.training.batch_norm import RunningStatistics
from plausible.training.distributed import World
from plausible.training.labelled import LabelledRows
from plausible.training.optimizers import optimizer_of, schedule_of
from plausible.training.seeding import Minibatches, hash32, seed_torch

__all__ = ["DivergedError", "Settings", "Trainer"]


class DivergedError(PlausibleError):
    """A loss or a gradient stopped being a finite number: the message names tick, turn and term."""


@dataclass(frozen=True)
class Settings:
    """How a game is played, apart from the game itself.

    Attributes:
        batch: rows a tick, over all shards.
        shards: pieces a batch is cut into; each has its own random draws. It is the unit of accumulation and of
            several processes: the same number of shards gives the same weights on one process or on many.
        seed: of everything random.
        ema: decay per tick of the averaged weights, which the jobs then use; None for none.
        precision: float32, or bfloat16 for autocast; see `plausible.training.precision`.
        augment: how the pictures of a minibatch are changed at random, see `training.augmentation`; what is done
            follows from (seed, shard, tick).
    """

    batch: int = 128
    shards: int = 1
    seed: int = 0
    ema: float | None = None
    precision: str = "float32"
    augment: tuple[str, ...] = ()


class Trainer:
    """Plays a game on the rows of a data set.

    Args:
        game: what to play.
        rows: the training rows: `len(rows)` and `rows.take(indices, seed=…) -> (x, y)` as numpy arrays.
        settings: how.
        world: the processes that play together.
        recipe: how each turn's movers move; default the game's own recipe.

    Raises:
        PlausibleError: the batch is larger than the data, shards, batch and processes do not fit, or the game asks
            for labels that the data do not have.
    """

    def __init__(
        self,
        game: Game,
        rows: Any,
        settings: Settings,
        world: World | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        self.game, self.rows, self.settings, self.world = game, rows, settings, world or World()
        _check(settings, len(rows), self.world)
        self.device = device_of(game)
        self.labelled = (
            LabelledRows(rows, game.labels, settings.batch, settings.shards, settings.seed)
            if game.labels
            else None
        )
        self.turns: Sequence[Turn] = game.turns()
        self._moving = {turn.name: turn.parameters() for turn in self.turns}
        self._still = {turn.name: _others(game, self._moving[turn.name]) for turn in self.turns}
        self._statistics = {turn.name: RunningStatistics(game, turn.movers) for turn in self.turns}
        whole = recipe or game.recipe or Recipe()
        self.recipes = {turn.name: whole.for_turn(turn.name) for turn in self.turns}
        self.optimizers = {
            turn.name: optimizer_of(turn, self.recipes[turn.name], self._moving[turn.name])
            for turn in self.turns
        }
        self._schedules = {turn.name: schedule_of(turn, self.recipes[turn.name]) for turn in self.turns}
        self.average = Average(game, settings.ema) if settings.ema is not None else None
        self.tick = 0
        self.kernels: tuple[str, ...] = ()
        """The kernels of the ticks before the checkpoint that this was restored from, see `runs.records.State`."""
        self._minibatches = Minibatches(settings.seed, len(rows), settings.batch)
        self.epoch_ticks = self._minibatches.epoch_ticks

    # ------------------------------------------------------------------ a tick
    def play(self) -> dict[str, Tensor]:
        """Play one tick: every turn that is due moves once.

        Returns: the turn's terms ("turn/term") and what the losses show, as means over the batch, ().

        Raises:
            DivergedError: a loss or gradient is not finite; the game stands as it was before that move.
        """
        tick = self.tick + 1
        due = [turn for turn in self.turns if tick % turn.every == 0]
        shards = [self._shard(tick, shard) for shard in self._my_shards()]
        seen: dict[str, Tensor] = {}
        self.game.train()
        if self.game.together:
            gradients = [self._gradient(turn, shards, tick, 0, seen) for turn in due]
            for turn, gradient in zip(due, gradients, strict=True):
                self._step(turn, gradient, tick)
        else:
            for position, turn in enumerate(due):
                self._step(turn, self._gradient(turn, shards, tick, position, seen), tick)
        self.tick = tick
        if self.average is not None:
            self.average.update(tick)
        self.world.sum(list(seen.values()))
        return seen

    def _my_shards(self) -> range:
        return range(self.world.rank, self.settings.shards, self.world.size)

    def _shard(self, tick: int, shard: int) -> tuple[int, float, Batch]:
        """(shard, its share of the batch's rows, its batch)."""
        rows = self._minibatches.rows(tick, shard, self.settings.shards)
        x, y = self.rows.take(rows, seed=hash32(self.settings.seed, shard, tick, "rows"))
        x = self._augmented(x, tick, shard, "augment")
        share = len(rows) / self.settings.batch
        if self.labelled is None:
            return shard, share, self._batch(x, y, tick)
        few_x, few_y = self.labelled.take(tick, shard)
        few = self._batch(self._augmented(few_x, tick, shard, "augment labelled"), few_y, tick)
        return shard, share, self._batch(x, None, tick, few)

    def _augmented(self, x: np.ndarray, tick: int, shard: int, stream: str) -> np.ndarray:
        return augmented(x, self.settings.augment, hash32(self.settings.seed, shard, tick, stream))

    def _batch(self, x: np.ndarray, y: np.ndarray | None, tick: int, labelled: Batch | None = None) -> Batch:
        labels = None if y is None else torch.from_numpy(y).to(self.device)
        return Batch(torch.from_numpy(x).to(self.device), labels, labelled, tick)

    def _gradient(
        self,
        turn: Turn,
        shards: Sequence[tuple[int, float, Batch]],
        tick: int,
        position: int,
        seen: dict[str, Tensor],
    ) -> list[Tensor]:
        """The gradient of one turn's loss in its movers' parameters, averaged over the shards and clipped."""
        parameters, statistics = self._moving[turn.name], self._statistics[turn.name]
        trouble = ""
        with _frozen(self._still[turn.name]), statistics.move():
            for shard, share, batch in shards:
                seed_torch(hash32(self.settings.seed, shard, tick, position), self.device)
                with statistics.shard(share), self._autocast():
                    loss = turn.loss(batch)
                    total = loss.total()
                terms = {f"{turn.name}/{name}": term for name, term in loss.terms.items()}
                if not math.isfinite(float(total.detach())):
                    trouble = _not_finite(terms)
                    break
                (total * share if share != 1.0 else total).backward()
                for name, value in (terms | dict(loss.shown)).items():
                    mean = value.detach().float().mean() * share
                    seen[name] = seen[name] + mean if name in seen else mean
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        for parameter in parameters:
            parameter.grad = None
        if self.world.any(bool(trouble)):
            statistics.undo()
            raise DivergedError(
                f"{trouble or 'a loss on another process'} is not finite at tick {tick}. {_ADVICE}"
            )
        self.world.sum([*gradients, *statistics.sums])
        norm = torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(())
        if not math.isfinite(float(norm)):
            statistics.undo()
            raise DivergedError(f"the gradient of turn {turn.name!r} is not finite at tick {tick}. {_ADVICE}")
        clip = self.recipes[turn.name].clip
        if clip is not None and norm > clip:
            torch._foreach_mul_(gradients, float(clip / norm))
        statistics.settle()
        return gradients

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def _step(self, turn: Turn, gradients: list[Tensor], tick: int) -> None:
        optimizer = self.optimizers[turn.name]
        schedule = self._schedules[turn.name]
        if schedule is not None:
            for group in optimizer.param_groups:
                group.update(schedule(tick))
        parameters = self._moving[turn.name]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        for parameter in parameters:
            parameter.grad = None


_ADVICE = "A smaller learning rate, clipped gradients (--clip 1) or float32 may help."


def _not_finite(terms: Mapping[str, Tensor]) -> str:
    return (
        " and ".join(name for name, term in terms.items() if not bool(term.isfinite().all()))
        or "the total loss"
    )


def _check(settings: Settings, rows: int, world: World) -> None:
    if settings.seed < 0:
        raise PlausibleError(f"--seed must be 0 or more, not {settings.seed}")
    if settings.ema is not None and not 0 <= settings.ema < 1:
        raise PlausibleError(f"--ema must be in [0, 1), not {settings.ema}")
    if settings.precision not in ("float32", "bfloat16"):
        raise PlausibleError(f"--precision must be float32 or bfloat16, not {settings.precision!r}")
    if not 1 <= settings.batch <= rows:
        raise PlausibleError(
            f"--batch {settings.batch} does not fit {rows} training rows: choose 1 to {rows}"
        )
    if not 1 <= settings.shards <= settings.batch:
        raise PlausibleError(f"--shards {settings.shards} does not fit --batch {settings.batch}")
    if settings.shards < world.size:
        raise PlausibleError(
            f"{world.size} processes need at least as many shards: give --shards {world.size} (or a multiple)"
        )


def _others(game: nn.Module, movers: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """The parameters that require a gradient and are not the movers'."""
    moving = {id(parameter) for parameter in movers}
    return [p for p in game.parameters() if p.requires_grad and id(p) not in moving]


@contextlib.contextmanager
def _frozen(still: Sequence[nn.Parameter]) -> Generator[None]:
    """Inside, these parameters require no gradient."""
    for parameter in still:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in still:
            parameter.requires_grad_(True)
