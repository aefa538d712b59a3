"""Train a model and leave a run folder; continue one."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.jobs import settings, steps
from plausible.jobs.loading import RunLike, as_run, build_model, trusted, weights_file
from plausible.report.html import write_report
from plausible.runs import Checkpoint, Config, RunFolder, commit
from plausible.training import checkpoint as checkpoints
from plausible.training.distributed import World, world
from plausible.training.loop import Budget, Clock, Means, Progress, fit
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.trainer import DivergedError, Settings, Trainer

Watch = Callable[[Progress], None]
Model = str | type


def train(
    model: Model | None = None,
    data: Any = None,
    *,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    like: RunLike | None = None,
    weights: Any = False,
    preset: str | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    shards: int | None = None,
    seed: int | None = None,
    out: RunLike | None = None,
    ema: float | None = None,
    clip: float | None = None,
    precision: str | None = None,
    keep: int | None = None,
    watch: Watch | None = None,
    say: Callable[[Data], object] | None = None,
    **options: Any,
) -> RunFolder:
    """Train a model and leave a run folder.

    Args:
        model: a name that `plausible models` lists, "module:Class", or a class; without, that of `like`.
        data: anything that `plausible.data.load` takes; default that of `like`, else digits.
        y, target, view: handed to `plausible.data.load`: labels, the column that they are, a view.
        like: a run to repeat: its model, options, settings, seed and budget, except what is given here.
        weights: True: start from the weights of `like`, of its best checkpoint, averaged if it has an average; anything
            but True and False is a model's own option of that name (a GAN's).
        preset: a named choice of options; everything given here wins over it.
        epochs: stop after this many passes over the training rows.
        minutes: stop after this much training time; without either the preset's budget holds, else 5 minutes.
        batch: batch size; 128, or all rows where there are fewer.
        shards: pieces of a batch with their own random draws; see `Settings`.
        seed: of everything random; 0.
        out: the run folder; default runs/MODEL-DATA-SEED. A run without any checkpoint there is replaced.
        ema: decay per tick of averaged weights, which the jobs then use.
        clip: largest norm of a turn's gradient.
        precision: float32 or bfloat16.
        keep: how many checkpoints to keep, 3; 0 keeps all.
        watch: called with the progress, some times a second.
        say: called with the data once everything has been checked, before the first tick.
        options: the model's own, see `plausible train MODEL --help`.

    Returns: the run; `run.stopped()` says why it ended.

    Raises:
        PlausibleError: bad input (nothing is written then), a full disk, or a diverged training.
        KeyboardInterrupt, SystemExit: a signal ended it, after saving.
    """
    if not isinstance(weights, bool):
        options, weights = options | {"weights": weights}, False
    other = as_run(like) if like is not None else None
    if other is None and (weights or model is None):
        raise PlausibleError(
            "--weights needs the run that they are taken from: --like RUN (Python: like=)"
            if weights
            else "name a model, or give the run to repeat: --like RUN (Python: like=)"
        )
    kind: Model = trusted(other.config(), model) if other is not None else model or ""
    if other is not None and data is None:
        rows = rows_of(other)
    else:
        rows = load_data("digits" if data is None else data, **_given(y=y, target=target, view=view or None))
    given = {"batch": batch, "shards": shards, "ema": ema, "clip": clip, "precision": precision}
    given |= {"seed": seed, "keep": keep, "epochs": epochs, "minutes": minutes}
    if other is None:
        config = settings.configuration(kind, preset or "default", options, rows, given)
    elif preset not in (None, "default"):
        raise PlausibleError(f"preset {preset} and like {other.path} both choose options: give one of them")
    else:
        config = settings.like(other, kind, options, rows, given)
    initial = None
    if weights and other is not None:
        initial, said = _initial_weights(other)
        config = config.model_copy(update={"weights": said})
    run = as_run(out or _default_out(config))
    run.check_vacant()
    with world() as here:
        trainer = _trainer(config, rows, here, 1, kind, initial)
        with run.creating(config, initial) if here.leads else nullcontext():
            if here.leads:
                run.append("start", tick=0)
                if say is not None:
                    say(rows)
            reason = _fit(_Session(run, config, rows, trainer, kind, watch))
    leave(run, reason)
    return run


def resume(
    run: RunLike,
    *,
    epochs: float | None = None,
    minutes: float | None = None,
    data: Any = None,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    set: Mapping[str, Any] | None = None,  # noqa: A002 - as the command line's --set
    model: Model | None = None,
    watch: Watch | None = None,
) -> RunFolder:
    """Continue a run from its newest valid checkpoint, or from tick 0 if it has none: bit for bit as if never stopped.

    What a kill left undone after the checkpoint is done first. A run that has spent its budget and lacks only its
    report gets that.

    Args:
        run: the run folder.
        epochs: new total of epochs, recorded in the run; without any budget given, the run's own holds.
        minutes: new total of training time, likewise.
        data: the run's data, where they lie elsewhere now or were handed over in memory: their hash must be the same.
        y, target, view: handed to `plausible.data.load` with `data`.
        set: model options, clip, precision or keep that change from here on, recorded in the run.
        model: the class or "module:Class" of a model that is not part of plausible: it runs only if given here.
        watch: called with the progress.

    Raises:
        PlausibleError: no run, another process writes into it, other data, a budget already spent, or a change that
            cannot be; nothing is written then.
        KeyboardInterrupt, SystemExit: a signal ended it, after saving.
    """
    run = as_run(run)
    kind = trusted(run.config(), model)
    settings.check_budget({"epochs": epochs, "minutes": minutes})
    with world() as here, run.writing() if here.leads else nullcontext():
        before = run.config()
        rows = rows_of(run, data, **_given(y=y, target=target, view=view or None))
        here.wait()
        point, tick = _start(run)
        config = settings.with_budget(before, tick, epochs, minutes)
        config = settings.with_source(config, rows) if data is not None else config
        config = settings.with_changes(config, tick, set, kind)
        trainer = _trainer(config, rows, here, tick + 1, kind, _own_weights(run, config))
        if set:
            old = _trainer(before, rows, here, tick + 1, kind, None)
            _check_changes(set, old, trainer)
        session = _Session(run, config, rows, trainer, kind, watch)
        at = session.restore(point)
        done = session.spent() != ""
        if done:
            _check_unfinished(session)
        here.wait()
        if here.leads:
            if config != before:
                run.reconfigure(config)
            if not (done and run.stopped() and _ended_well(run)):
                run.take_back(trainer.tick, goes_on=not done, partial=bool(session.means.sums))
            if point is not None:
                steps.after_checkpoint(run, trainer, rows, at, config.training_at(trainer.tick).keep)
        reason = _fit(session)
    leave(run, reason)
    return run


def report(run: RunLike) -> Path:
    """Write the run's report, and return its path.

    Raises:
        PlausibleError: there is no run, or the page cannot be written.
    """
    run = as_run(run)
    path = write_report(run)
    ended = run.stopped()
    if ended is not None and not run.logged("report", ended["tick"]):
        with suppress(PlausibleError), run.writing():  # somebody who trains there logs it then
            run.append("report", tick=ended["tick"])
    return path


def rows_of(run: RunFolder, data: Any = None, **how: Any) -> Data:
    """The data that a run was trained on.

    Args:
        run: the run folder.
        data: where they are, if not where the run says; its hash decides.
        how: handed to `plausible.data.load`.

    Raises:
        PlausibleError: they are not there, were handed over in memory and are not given, or are others.
    """
    config = run.config()
    if data is not None:
        rows = load_data(data, **how)
    elif config.data.source is None:
        raise PlausibleError(
            f"the data of {run.path} were handed over in memory ({config.data.spec}): hand them over again with data="
        )
    else:
        try:
            rows = load_data(config.data.source)
        except PlausibleError as error:
            raise PlausibleError(
                f"{error}. They are the data of {run.path}: if they lie elsewhere now, give --data PATH"
            ) from error
    if rows.hash != config.data.hash:
        raise PlausibleError(
            f"the data {rows.spec!r} are not what {run.path} was trained on: their hash changed. "
            "Restore them (or give --data PATH), or train a new run"
        )
    if (rows.shape, rows.domain) != (config.rows.shape, config.rows.domain):
        raise PlausibleError(
            f"{run.config_file} says that rows are {config.rows.domain} of shape {config.rows.shape}, and its data are "
            f"{rows.domain} of shape {rows.shape}: restore the file"
        )
    return rows


def leave(run: RunFolder, reason: str) -> None:
    """Pass on the signal that ended a training, now that everything is saved; return if it was none.

    What is raised carries the run's folder as `run`.

    Raises:
        KeyboardInterrupt: for SIGINT.
        SystemExit: for SIGTERM and SIGHUP, with 128 + the signal's number.
    """
    if reason not in ("SIGINT", "SIGTERM", "SIGHUP"):
        return
    # none of our own classes: Python ends a script by the signal only where KeyboardInterrupt itself was raised
    stop = KeyboardInterrupt() if reason == "SIGINT" else SystemExit(128 + signal.Signals[reason])
    stop.__dict__["run"] = run
    raise stop


@dataclass
class _Session:
    """One training in one process."""

    run: RunFolder
    config: Config
    rows: Data
    trainer: Trainer
    model: Model
    watch: Watch | None
    clock: Clock = field(default_factory=Clock)
    means: Means = field(default_factory=Means)
    saved: bool = False

    def restore(self, point: Checkpoint | None) -> str:
        """Go to a checkpoint; returns why it was saved. At tick 0 of a model with turns there is nothing to restore."""
        if point is None:
            return ""
        if point.tick == 0 and self.trainer.turns:
            return checkpoints.read_state(point.path).at
        changed = self.config.changes_at(point.tick)
        found = checkpoints.restore(self.trainer, point.path, hyperparameters=not changed)
        self.clock, self.means, self.saved = Clock(**found.clocks), found.means, True
        return found.at

    def spent(self) -> str:
        """Why there is nothing left to play where a checkpoint was restored; empty if there is."""
        budget = _budget(self.config, self.trainer)
        if not self.saved or budget.spent(self.trainer.tick, self.clock.seconds) < 1:
            return ""
        return "finished" if budget.ticks is not None and self.trainer.tick >= budget.ticks else "minutes"

    def play(self) -> str:
        """Play until the budget is spent or somebody interrupts, with other settings where the history says so."""
        budget = _budget(self.config, self.trainer)
        if reason := self.spent():
            return reason
        while True:
            until = self.config.next_change(self.trainer.tick)
            how: Any = {"report": self.report, "save": self.save, "means": self.means, "until": until}
            reason = fit(self.trainer, budget, self.clock, **how)
            if reason != "until":
                return reason
            tick, here = self.trainer.tick, self.trainer.world
            changed = _trainer(self.config, self.rows, here, tick + 1, self.model, None)
            checkpoints.transfer(self.trainer, changed)
            self.trainer = changed

    def report(self, progress: Progress) -> None:
        """Log the progress, and tell the watcher."""
        if self.trainer.world.leads:
            self.run.append("ticks", **asdict(progress))
            if self.watch is not None:
                self.watch(progress)

    def save(self, at: str) -> None:
        """Save a checkpoint, and do what follows one."""
        steps.finish(self.trainer, self.rows)
        if not self.trainer.world.leads:
            return
        self.run.log.sync()
        with commit(self.run.checkpoint_path(self.trainer.tick)) as folder:
            checkpoints.write(self.trainer, folder, self.clock.now(), self.means, at)
        keep = self.config.training_at(self.trainer.tick).keep
        steps.after_checkpoint(self.run, self.trainer, self.rows, at, keep)


def _fit(session: _Session) -> str:
    """Train within the budget; whatever ends it but a second interruption, say so in the log and write the report.

    Returns: why it ended.
    """
    run = session.run
    try:
        with own_randomness(session.trainer.device):
            reason = session.play()
            if session.trainer.world.leads:
                steps.at_end(run, session.trainer, session.rows, reason)
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


def _stop_by_error(session: _Session, reason: str, message: str | None) -> None:
    """The cause is already on its way up: what else fails now is of no interest."""
    if session.trainer.world.leads:
        with suppress(PlausibleError):
            steps.stop(session.run, session.trainer.tick, reason, message)


def _advice(session: _Session) -> str:
    """What to do about a diverged training, from where it can go on."""
    rate = session.config.options_at().get("lr")
    change = f"lr={rate / 10:g}" if isinstance(rate, float) and rate > 0 else "clip=1"
    points = session.run.checkpoints()
    start = (
        f"The checkpoint at tick {points[-1].tick} is kept: go on from it"
        if points
        else "Nothing was saved yet: begin anew"
    )
    return f"{start} with `plausible resume {session.run.path} --set {change}`"


def _start(run: RunFolder) -> tuple[Checkpoint | None, int]:
    """The checkpoint to go on from, if there is one, and its tick."""
    point = run.newest_valid()
    return point, 0 if point is None else point.tick


def _check_changes(changes: Mapping[str, Any], old: Trainer, new: Trainer) -> None:
    try:
        checkpoints.check_transfer(old, new)
    except PlausibleError as error:
        raise PlausibleError(f"--set {', '.join(changes)}: {error}") from error


def _check_unfinished(session: _Session) -> None:
    """A budget that is spent is an error, but for a run that was killed on its way from there to its end."""
    run, trainer = session.run, session.trainer
    if not (_ended_well(run) and steps.is_reported(run)):
        return
    if not trainer.turns:
        raise PlausibleError(f"{run.path} has nothing to train: its model is counted, and that is done")
    epochs = trainer.tick / trainer.epoch_ticks
    raise PlausibleError(
        f"{run.path} has spent its budget: {epochs:g} epochs, {session.clock.seconds / 60:.1f} minutes. "
        "To go on, give a larger total: --epochs or --minutes"
    )


def _ended_well(run: RunFolder) -> bool:
    ended = run.stopped()
    return ended is not None and ended["reason"] not in ("error", "diverged")


def _budget(config: Config, trainer: Trainer) -> Budget:
    if not trainer.turns:
        return Budget(ticks=0)  # what is counted before tick 0 is all there is
    epochs, minutes = config.training.epochs, config.training.minutes
    return Budget(
        ticks=None if epochs is None else max(1, round(epochs * trainer.epoch_ticks)),
        seconds=None if minutes is None else minutes * 60,
    )


def _trainer(
    config: Config, rows: Data, here: World, tick: int, model: Model, weights: Path | None
) -> Trainer:
    """The model of a configuration, prepared on the training rows, at tick 0 of its training.

    Args:
        config: of the run.
        rows: its data.
        here: the processes.
        tick: that is played first: options and settings are those of then.
        model: as the user gave it.
        weights: a file of initial weights.

    Raises:
        PlausibleError: an option or setting that cannot be, or weights that do not fit.
    """
    training = config.training_at(tick)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with own_randomness(torch.device("cpu")):
        seed_torch(hash32(training.seed, "init"), torch.device("cpu"))
        made = build_model(config, tick, model)
        made.prepare(rows.train)
    if weights is not None:
        checkpoints.load_weights(made, weights)
    chosen = Settings(**{name: getattr(training, name) for name in Settings.__dataclass_fields__})
    return Trainer(made.to(device), rows.train, chosen, here)


def _initial_weights(other: RunFolder) -> tuple[Path, str]:
    """The file of weights that a new run starts from, and where it comes from in words."""
    config = other.config()
    point = other.best() or other.newest_valid()
    if point is None:
        raise PlausibleError(f"{other.path} has no checkpoint to take weights from")
    kind = "averaged" if config.training.ema is not None else "trained"
    said = f"the {kind} weights of {other.path.resolve()} at tick {point.tick}"
    return point.path / weights_file(config), said


def _own_weights(run: RunFolder, config: Config) -> Path | None:
    """The run's own file of initial weights, where it has one."""
    return run.weights_file if config.weights is not None else None


def _default_out(config: Config) -> Path:
    name = f"{config.model.name}-{Path(config.data.spec).name}-{config.training.seed}"
    return Path("runs") / re.sub(r"[^\w.=+-]+", "-", name)


def _given(**values: Any) -> dict[str, Any]:
    """What was given at all."""
    return {name: value for name, value in values.items() if value is not None}
