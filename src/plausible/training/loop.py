"""The loop around the ticks: clocks, logging, checkpoints, budgets, interruption."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from torch import Tensor

from plausible.training.trainer import Trainer

CHECKPOINT_TICKS = 500
CHECKPOINT_SECONDS, CHECKPOINT_COSTS = 300, 10
"""Where ticks are slow, no longer without a checkpoint than these seconds, and so many times what the last took."""


@dataclass(frozen=True)
class Progress:
    """What a watcher is told: the same for the bar, the log and the report.

    Attributes:
        tick: ticks played since the start of the run.
        epoch: the same in epochs.
        done: the share of the budget that is spent, 0 to 1.
        seconds: of training since the start of the run, over all sessions.
        cpu_seconds: of processor time, likewise, over all threads of this process.
        rows: rows seen since the start of the run.
        losses: turn/term → mean since the last report.
        shown: name → mean since the last report.
    """

    tick: int
    epoch: float
    done: float
    seconds: float
    cpu_seconds: float
    rows: int
    losses: dict[str, float] = field(default_factory=dict)
    shown: dict[str, float] = field(default_factory=dict)


@dataclass
class Budget:
    """When to stop: totals over all sessions of a run, whichever comes first."""

    ticks: int | None = None
    seconds: float | None = None

    def spent(self, tick: int, seconds: float) -> float:
        """The share that is spent, 0 to 1."""
        if self.ticks == 0:
            return 1.0
        ticks = tick / self.ticks if self.ticks is not None else 0.0
        return min(1.0, max(ticks, seconds / self.seconds if self.seconds is not None else 0.0))


@dataclass
class Clock:
    """Time spent, over all sessions."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    _wall: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=time.process_time)

    def now(self) -> dict[str, float]:
        return {
            "seconds": self.seconds + time.perf_counter() - self._wall,
            "cpu_seconds": self.cpu_seconds + time.process_time() - self._cpu,
        }


def checkpoint_ticks(epoch_ticks: int) -> int:
    """Ticks between checkpoints: an epoch, or as many whole epochs as come nearest to CHECKPOINT_TICKS."""
    return epoch_ticks * max(1, round(CHECKPOINT_TICKS / epoch_ticks))


def log_ticks(epoch_ticks: int) -> int:
    """Ticks between two reports: a tenth of an epoch, within 10 to 100."""
    return max(10, min(100, epoch_ticks // 10))


def fit(
    trainer: Trainer,
    budget: Budget,
    clock: Clock,
    *,
    report: Callable[[Progress], None],
    save: Callable[[], None],
) -> str:
    """Play ticks until the budget is spent or somebody interrupts; save on the way and at the end.

    A diverging loss or gradient passes through as the trainer's `DivergedError`, and nothing is saved then.

    Args:
        trainer: where to continue from.
        budget: totals.
        clock: running since before this call.
        report: told of progress every `log_ticks`.
        save: called every `checkpoint_ticks`, at the first report CHECKPOINT_SECONDS after the last, and at the end.

    Returns: why it stopped: "finished", "minutes", "SIGINT" or "SIGTERM".
    """
    every, log = checkpoint_ticks(trainer.epoch_ticks), log_ticks(trainer.epoch_ticks)
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    saved, since, took = trainer.tick, time.perf_counter(), 0.0
    with _interruptible() as interrupted:
        while not (reason := _spent(trainer, budget, clock, interrupted)):
            for name, value in trainer.play().items():
                sums[name] = sums[name] + value if name in sums else value
                counts[name] = counts.get(name, 0) + 1
            due = trainer.tick % every == 0
            if trainer.tick % log == 0:
                report(_progress(trainer, budget, clock, sums, counts))
                sums, counts = {}, {}
                due = trainer.world.any(
                    due or time.perf_counter() - since > max(CHECKPOINT_SECONDS, CHECKPOINT_COSTS * took)
                )
            if due:
                begun = time.perf_counter()
                save()
                saved, since = trainer.tick, time.perf_counter()
                took = since - begun
        if sums:
            report(_progress(trainer, budget, clock, sums, counts))
        if saved != trainer.tick or trainer.tick == 0:
            save()
    return reason


def _spent(trainer: Trainer, budget: Budget, clock: Clock, interrupted: list[str]) -> str:
    world = trainer.world
    if budget.ticks is not None and trainer.tick >= budget.ticks:
        return "finished"
    if world.any(budget.seconds is not None and clock.now()["seconds"] >= budget.seconds):
        return "minutes"
    return (interrupted or ["SIGTERM"])[0] if world.any(bool(interrupted)) else ""


def _progress(
    trainer: Trainer, budget: Budget, clock: Clock, sums: dict[str, Tensor], counts: dict[str, int]
) -> Progress:
    now = clock.now()
    means = {name: float(total) / counts[name] for name, total in sums.items()}
    return Progress(
        tick=trainer.tick,
        epoch=trainer.tick / trainer.epoch_ticks,
        done=budget.spent(trainer.tick, now["seconds"]),
        rows=trainer.tick * trainer.settings.batch,
        losses={name: mean for name, mean in means.items() if "/" in name},
        shown={name: mean for name, mean in means.items() if "/" not in name},
        **now,
    )


@contextlib.contextmanager
def _interruptible() -> Generator[list[str]]:
    """Collect the name of the first SIGINT or SIGTERM; a second SIGINT leaves at once.

    Outside the main thread signals are not ours to handle, and nothing is collected.
    """
    caught: list[str] = []

    def catch(number: int, _frame: object) -> None:
        caught.append(signal.Signals(number).name)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
