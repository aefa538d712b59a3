"""One training in one process: it plays, saves, logs, and says why it ended."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.jobs import steps
from plausible.jobs.codes import load_coder
from plausible.jobs.loading import Own, build_model, trusted
from plausible.models.build import recipe_of
from plausible.runs import Checkpoint, Config, RunFolder, commit
from plausible.training import checkpoint as checkpoints
from plausible.training.distributed import World
from plausible.training.loop import Budget, Clock, Means, Progress, fit
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.selection import WATCHED_RATIO, Selection, is_judged
from plausible.training.trainer import DivergedError, Settings, Trainer

__all__ = ["Session", "Watch", "play", "trainer_of"]

Watch = Callable[[Progress], None]


@dataclass
class Session:
    """One training in one process; `show`: whether samples are watched, pictures drawn and the report written."""

    run: RunFolder
    config: Config
    rows: Data
    trainer: Trainer
    own: Own
    watch: Watch | None
    show: bool = True
    clock: Clock = field(default_factory=Clock)
    means: Means = field(default_factory=Means)
    selection: Selection = field(default_factory=Selection)
    saved: bool = False
    alarm: str = ""

    def restore(self, point: Checkpoint | None) -> str:
        """Go to a checkpoint; returns why it was saved. At tick 0 of a model with turns there is nothing to restore."""
        if point is None:
            return ""
        if point.tick == 0 and self.trainer.turns:
            return checkpoints.read_state(point.path).at
        changed = self.config.changes_at(point.tick)
        found = checkpoints.restore(self.trainer, point.path, hyperparameters=not changed)
        self.clock, self.means, self.saved = Clock(**found.clocks), found.means, True
        self.selection = found.selection
        self._compare_kernels()
        return found.at

    def _compare_kernels(self) -> None:
        """Warn if the training goes on with another kernel than the one that saved the checkpoint."""
        before, kernel = self.trainer.kernels[-1:], self.trainer.game.kernel_in_use
        if not before or (kernel,) == before or not self.trainer.world.leads or self.spent():
            return
        remedy = "; for the same kernel: pip install 'plausible[fast]'" if kernel == "torch" else ""
        warnings.warn(
            f"{self.run.path} was trained with the {before[0]} kernel up to tick {self.trainer.tick} and goes on with "
            f"{kernel}: the result will differ by rounding from an uninterrupted training's, not be bit-exact{remedy}",
            RuntimeWarning,
            stacklevel=2,
        )

    def spent(self) -> str:
        """Why there is nothing left to play where a checkpoint was restored; empty if there is."""
        budget = _budget(self.config, self.trainer)
        if not self.saved:
            return ""
        clocks = {"seconds": self.clock.seconds, "cpu_seconds": self.clock.cpu_seconds}
        used = budget.used_up(self.trainer.tick, **clocks)
        return used or ("patience" if self.impatient() else "")

    def play(self) -> str:
        """Play until the budget is spent or somebody interrupts, with other settings where the history says so."""
        budget = _budget(self.config, self.trainer)
        if reason := self.spent():
            return reason
        while True:
            until = self.config.next_change(self.trainer.tick)
            how: Any = {"report": self.report, "save": self.save, "judge": self.judge}
            how |= {"means": self.means, "until": until}
            reason = fit(self.trainer, budget, self.clock, **how)
            if reason != "until":
                return reason
            tick, here = self.trainer.tick, self.trainer.world
            changed = trainer_of(self.config, self.rows, here, tick + 1, self.own, None)
            checkpoints.transfer(self.trainer, changed)
            self.trainer = changed

    def report(self, progress: Progress) -> None:
        """Log the progress, and tell the watcher."""
        if self.trainer.world.leads:
            logged = asdict(progress)
            del logged["alarm"]
            self.run.append("ticks", **logged)
            if self.watch is not None:
                self.watch(replace(progress, alarm=self.alarm))
            self.alarm = ""

    def judge(self) -> bool:
        """Judge the model on the valid rows, and remember the best; returns whether patience has run out."""
        tick, epoch_ticks = self.trainer.tick, self.trainer.epoch_ticks
        if self.trainer.world.leads:
            if is_judged(tick, epoch_ticks) and self.selection.last < tick:
                steps.judge_state(self.run, self.trainer, self.rows, self.selection)
            if self.show and is_judged(tick, epoch_ticks, WATCHED_RATIO):
                self.alarm = steps.watch_state(self.run, self.trainer, self.rows) or self.alarm
        return self.impatient()

    def impatient(self) -> bool:
        """Whether nothing better has come for too long."""
        epochs = self.trainer.tick / self.trainer.epoch_ticks
        return self.selection.out_of_patience(self.config.training.patience, epochs)

    def save(self, at: str) -> None:
        """Save a checkpoint, and do what follows one."""
        steps.finish(self.trainer, self.rows)
        if not self.trainer.world.leads:
            return
        steps.finish_best(self.trainer, self.rows, self.selection)
        self.run.log.sync()
        with commit(self.run.checkpoint_path(self.trainer.tick)) as folder:
            checkpoints.write(self.trainer, folder, self.clock.now(), self.means, at, self.selection)
        keep = self.config.training_at(self.trainer.tick).keep
        steps.after_checkpoint(self.run, self.trainer, self.rows, at, keep, show=self.show)


def play(session: Session) -> str:
    """Train within the budget; whatever ends it but a second interruption, say so in the log and write the report.

    Returns: why it ended.
    """
    run = session.run
    try:
        with own_randomness(session.trainer.device):
            reason = session.play()
            if session.trainer.world.leads:
                steps.at_end(run, session.trainer, session.rows, reason, session.selection, show=session.show)
    except DivergedError as error:
        message = f"{error} {_advice(session)}"
        _stop_by_error(session, "diverged", message)
        raise DivergedError(message) from error
    except PlausibleError as error:
        _stop_by_error(session, "error", str(error))
        raise
    except Exception:
        _stop_by_error(session, "error", None)
        raise
    return reason


def _stop_by_error(session: Session, reason: str, message: str | None) -> None:
    """The cause is already on its way up: what else fails now is of no interest."""
    if session.trainer.world.leads:
        with suppress(PlausibleError):
            steps.stop(session.run, session.trainer.tick, reason, message, show=session.show)


def _advice(session: Session) -> str:
    """What to do about a diverged training, from where it can go on."""
    rate = session.config.recipe_at().get("lr")
    change = f"lr={rate / 10:g}" if isinstance(rate, float) and rate > 0 else "clip=1"
    points = session.run.checkpoints()
    start = (
        f"The checkpoint at tick {points[-1].tick} is kept: go on from it"
        if points
        else "Nothing was saved yet: begin anew"
    )
    return f"{start} with `plausible resume {session.run.path} --set {change}`"


def _budget(config: Config, trainer: Trainer) -> Budget:
    if not trainer.turns:
        return Budget(ticks=0)  # what is counted before tick 0 is all there is
    training = config.training
    return Budget(
        ticks=None if training.epochs is None else max(1, round(training.epochs * trainer.epoch_ticks)),
        seconds=None if training.minutes is None else training.minutes * 60,
        cpu_seconds=None if training.core_minutes is None else training.core_minutes * 60,
    )


def trainer_of(
    config: Config,
    rows: Data,
    here: World,
    tick: int,
    own: Own,
    weights: Path | None,
    coder: Path | None = None,
) -> Trainer:
    """The model of a configuration, prepared on the training rows, at tick 0 of its training.

    Args:
        config: of the run.
        rows: its data.
        here: the processes.
        tick: that is played first: options and settings are those of then.
        own: the user's own code.
        weights: a file of initial weights.
        coder: a file with the weights of the coder whose codes are learned; default `weights`.

    Raises:
        PlausibleError: an option or setting that cannot be, or weights that do not fit.
    """
    training = config.training_at(tick)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with own_randomness(torch.device("cpu")):
        seed_torch(hash32(training.seed, "init"), torch.device("cpu"))
        made = build_model(config, tick, own)
        load_coder(made, coder or weights)
        made.prepare(rows.train)
    if weights is not None:
        checkpoints.load_weights(made, weights)
    chosen = Settings(**{name: getattr(training, name) for name in Settings.__dataclass_fields__})
    recipe = recipe_of(trusted(config, own.model), config.recipe_at(tick))
    return Trainer(made.to(device), rows.train, chosen, here, recipe)
