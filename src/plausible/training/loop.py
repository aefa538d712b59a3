"""The loop around the ticks: clocks, logging, checkpoints, budgets, interruption."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from plausible.training.selection import RATIO, WATCHED_RATIO, is_judged
from plausible.training.trainer import Trainer

__all__ = [
    "CHECKPOINT_COSTS",
    "CHECKPOINT_SECONDS",
    "CHECKPOINT_TICKS",
    "Budget",
    "Clock",
    "Means",
    "Progress",
    "checkpoint_ticks",
    "fit",
    "log_ticks",
]


_SIGNALS = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What stops a training after the tick that is played, with a checkpoint."""
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
        alarm: what is wrong with the samples, if anything new is; not part of the log's `ticks`.
    """

    tick: int
    epoch: float
    done: float
    seconds: float
    cpu_seconds: float
    rows: int
    losses: dict[str, float] = field(default_factory=dict)
    shown: dict[str, float] = field(default_factory=dict)
    alarm: str = ""


@dataclass
class Budget:
    """When to stop: totals over all sessions of a run, whichever comes first."""

    ticks: int | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None

    def spent(self, tick: int, *, seconds: float, cpu_seconds: float) -> float:
        """The share that is spent, 0 to 1: the largest of the shares of ticks, seconds and processor seconds."""
        if self.ticks == 0:
            return 1.0
        parts = ((tick, self.ticks), (seconds, self.seconds), (cpu_seconds, self.cpu_seconds))
        return min(1.0, max(part / total if total is not None else 0.0 for part, total in parts))

    def used_up(self, tick: int, *, seconds: float, cpu_seconds: float) -> str:
        """Which total is reached: "finished" (the ticks), "minutes" or "core-minutes"; empty if none is."""
        parts = (
            ("finished", tick, self.ticks),
            ("minutes", seconds, self.seconds),
            ("core-minutes", cpu_seconds, self.cpu_seconds),
        )
        return next((name for name, part, total in parts if total is not None and part >= total), "")


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


@dataclass
class Means:
    """What the ticks since the last report showed, added up: part of a checkpoint, so that a resumed training reports
    what an uninterrupted one does.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, shown: Mapping[str, Tensor]) -> None:
        """Take in what one tick showed."""
        for name, value in shown.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def clear(self) -> None:
        """Begin anew, after a report."""
        self.sums.clear()
        self.counts.clear()

    def means(self) -> dict[str, float]:
        """name → its mean over the ticks that showed it."""
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}


def fit(
    trainer: Trainer,
    budget: Budget,
    clock: Clock,
    *,
    report: Callable[[Progress], None],
    save: Callable[[str], None],
    judge: Callable[[], bool] = lambda: False,
    means: Means | None = None,
    until: int | None = None,
) -> str:
    """Play ticks until the budget is spent or somebody interrupts; save on the way and at the end.

    A diverging loss or gradient passes through as the trainer's `DivergedError`, and nothing is saved then.

    Args:
        trainer: where to continue from.
        budget: totals.
        clock: running since before this call.
        report: told of progress every `log_ticks`, and before the end is saved.
        save: called with "schedule" every `checkpoint_ticks`, with "time" at the first report CHECKPOINT_SECONDS after
            the last, and with "stop" where training stops at any other tick.
        judge: called at tick 0 and after every tick that `is_judged`, also of those at WATCHED_RATIO; True: there is no
            patience left.
        means: what was shown since the last report; continued.
        until: a tick to return at, without saving or reporting because of it.

    Returns: why it stopped: "finished", "minutes", "core-minutes", "patience", "SIGINT", "SIGTERM",
        "SIGHUP", or "until".
    """
    every, log = checkpoint_ticks(trainer.epoch_ticks), log_ticks(trainer.epoch_ticks)
    means = means if means is not None else Means()
    since, took = time.perf_counter(), 0.0
    with _interruptible() as interrupted:
        if trainer.tick == 0 and trainer.turns:
            judge()
        reason = _ended(trainer, budget, clock, interrupted, until)
        while not reason:
            means.add(trainer.play())
            at = "schedule" if trainer.tick % every == 0 else ""
            if trainer.tick % log == 0:
                report(_progress(trainer, budget, clock, means))
                means.clear()
                late = time.perf_counter() - since > max(CHECKPOINT_SECONDS, CHECKPOINT_COSTS * took)
                if trainer.world.any(late):
                    at = at or "time"
            due = any(is_judged(trainer.tick, trainer.epoch_ticks, r) for r in (RATIO, WATCHED_RATIO))
            impatient = due and trainer.world.any(judge())
            reason = _ended(trainer, budget, clock, interrupted, until)
            reason = "patience" if impatient and reason in ("", "until") else reason
            if reason not in ("", "until"):
                at = at or "stop"
                if means.sums:
                    report(_progress(trainer, budget, clock, means))
            if at:
                begun = time.perf_counter()
                save(at)
                since = time.perf_counter()
                took = since - begun
                reason = reason or _ended(trainer, budget, clock, interrupted, until)
        if trainer.tick == 0 and reason != "until":  # what is counted, or stopped before it began
            save("stop")
    return reason


def _ended(trainer: Trainer, budget: Budget, clock: Clock, interrupted: list[str], until: int | None) -> str:
    reason = _spent(trainer, budget, clock, interrupted)
    return reason or ("until" if until is not None and trainer.tick >= until else "")


def _spent(trainer: Trainer, budget: Budget, clock: Clock, interrupted: list[str]) -> str:
    world = trainer.world
    if budget.ticks is not None and trainer.tick >= budget.ticks:
        return "finished"
    reason = budget.used_up(trainer.tick, **clock.now())
    if world.any(reason != ""):
        # where another process ran out first: of the two, the budget that there is
        return reason or ("minutes" if budget.cpu_seconds is None else "core-minutes")
    return (interrupted or ["SIGTERM"])[0] if world.any(bool(interrupted)) else ""


def _progress(trainer: Trainer, budget: Budget, clock: Clock, means: Means) -> Progress:
    now, found = clock.now(), means.means()
    return Progress(
        tick=trainer.tick,
        epoch=trainer.tick / trainer.epoch_ticks,
        done=budget.spent(trainer.tick, **now),
        rows=trainer.tick * trainer.settings.batch,
        losses={name: mean for name, mean in found.items() if "/" in name},
        shown={name: mean for name, mean in found.items() if "/" not in name},
        seconds=now["seconds"],
        cpu_seconds=now["cpu_seconds"],
    )


@contextlib.contextmanager
def _interruptible() -> Generator[list[str]]:
    """Collect the names of SIGINT, SIGTERM and SIGHUP; a second SIGINT leaves at once.

    Outside the main thread signals are not ours to handle, and nothing is collected.
    """
    caught: list[str] = []

    def catch(number: int, _frame: object) -> None:
        caught.append(signal.Signals(number).name)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        for number in _SIGNALS:
            before[number] = signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
