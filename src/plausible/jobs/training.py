"""Train a model into a run folder, or resume a run."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.jobs import codes, settings, steps
from plausible.jobs.loading import Own, RunLike, as_run, rows_of, trusted, weights_file
from plausible.jobs.plan import Plan, plan_of
from plausible.jobs.session import Session, Watch, play, trainer_of
from plausible.models.build import networks_in
from plausible.models.registry import model_class
from plausible.report import write_report
from plausible.runs import Checkpoint, Config, RunFolder
from plausible.training import checkpoint as checkpoints
from plausible.training.distributed import world
from plausible.training.trainer import Trainer

__all__ = ["report", "resume", "train"]

Model = str | type


def train(
    model: Model | None = None,
    data: Any = None,
    *,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    codes_of: RunLike | None = None,
    like: RunLike | None = None,
    weights: Any = False,
    preset: str | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    core_minutes: float | None = None,
    batch: int | None = None,
    shards: int | None = None,
    seed: int | None = None,
    out: RunLike | None = None,
    ema: float | None = None,
    precision: str | None = None,
    augment: str | Sequence[str] | None = None,
    keep: int | None = None,
    patience: int | None = None,
    show: bool = True,
    watch: Watch | None = None,
    say: Callable[[Plan], object] | None = None,
    **options: Any,
) -> RunFolder:
    """Train a model into a run folder.

    Args:
        model: a name that `plausible models` lists, "module:Class", or a class; without, that of `like`.
        data: anything that `plausible.data.load` takes; default that of `like`, else of `codes_of`, else digits.
        y, target, view, columns, drop: handed to `plausible.data.load`: labels, the column that they are, a view, types
            of columns, columns to leave out.
        codes_of: a run of an autoencoder, a VAE or an adversarial autoencoder. The model is trained on the codes that
            it gives the data, and samples through its decoder; the new run holds a copy of it.
        like: a run to repeat: its model, options, settings, seed and budget, except what is given here.
        weights: True: start from the weights of `like`, of its best checkpoint, averaged if it has an average; anything
            but True and False is a model's own option of that name (a GAN's).
        preset: a named choice of options; everything given here wins over it. None: the one that the model prefers for
            such data (`GenerativeModel.preset_for`).
        epochs: stop after this many passes over the training rows.
        minutes: stop after this much training time.
        core_minutes: stop after this much processor time, over all threads of the process that reaches it first; on an
            idle core with one thread the same as `minutes`. Without any of the three the preset's budget holds, else 5
            minutes.
        batch: batch size; 128, or all rows where there are fewer.
        shards: pieces of a batch with their own random draws; see `Settings`.
        seed: of everything random; 0.
        out: the run folder; default runs/MODEL-DATA-SEED. A run without any checkpoint there is replaced.
        ema: decay per tick of averaged weights, which the jobs then use.
        precision: float32 or bfloat16. None: bfloat16 where the model gains from it and the processor multiplies it
            (AMX); the run records which.
        augment: how the pictures of each minibatch are changed at random, "flip", "shift" or "flip,shift"; default not
            at all. Rows that judge or are compared are never changed.
        keep: how many checkpoints to keep, 3; 0 keeps all.
        patience: stop after so many judgements on the valid rows without a better one; 0: never. Default 5 where a
            density, a bound, a reconstruction or a held-out loss judges and the preset has no budget of its own, else
            0.
        show: whether to watch samples, draw pictures and write the report; a later `report` writes one without them.
        watch: called with the progress, some times a second.
        say: called with the plan once everything has been checked, before the first tick.
        options: of the model and of its recipe, see `plausible train MODEL --help`. Where units of
            hidden layers are an option, a torch module may stand instead: a network of the user's own. The model gets
            a copy of it; config.json names its class; pass an instance of that class when opening the run.

    Returns: the run; `run.stopped()` says why it ended.

    Raises:
        PlausibleError: bad input (nothing is written then), a full disk, or a diverged training.
        KeyboardInterrupt, SystemExit: a signal ended it, after saving.
    """
    if not isinstance(weights, bool):
        options, weights = options | {"weights": weights}, False
    other = _repeated(like, model, weights=weights)
    kind: Model = trusted(other.config(), model) if other is not None else model or ""
    own = Own(kind, networks_in(options))
    how = _given(y=y, target=target, view=view or None, columns=columns or None, drop=drop or None)
    of_codes = None if codes_of is None else as_run(codes_of)
    if data is None and (repeated := other or of_codes) is not None:
        if how:
            raise PlausibleError(
                f"{', '.join(how)}: the data of {repeated.path} are read as they were: give data, too"
            )
        rows = rows_of(repeated)
    else:
        rows = load_data("digits" if data is None else data, **how)
    given = {"batch": batch, "shards": shards, "ema": ema, "precision": precision, "augment": augment}
    given |= {"seed": seed, "keep": keep, "patience": patience}
    given |= {"epochs": epochs, "minutes": minutes, "core_minutes": core_minutes}
    coder = codes.coder_of(kind, of_codes, other, rows)
    record, coded = (None, None) if coder is None else (coder.record, coder.shape)
    if other is None:
        shape, domain = (rows.shape, rows.domain) if coded is None else (coded, "real")
        preset = preset or model_class(kind).preset_for(shape, domain)
        config = settings.configuration(kind, preset, options, rows, given, record, coded)
    elif preset in (None, "default"):
        config = settings.like(other, kind, options, rows, given, record)
    else:
        raise PlausibleError(f"preset {preset} and like {other.path} both choose options: give one of them")
    run = as_run(out or _default_out(config))
    run.check_vacant()
    source = other if weights else None
    reason = _train(run, config, rows, own, source, coder, watch, say, show=show)
    leave(run, reason)
    return run


def _train(
    run: RunFolder,
    config: Config,
    rows: Data,
    own: Own,
    source: RunFolder | None,
    coder: codes.TrainedCoder | None,
    watch: Watch | None,
    say: Callable[[Plan], object] | None,
    *,
    show: bool,
) -> str:
    """Make the run's folder and train; returns why it ended.

    Args:
        source: a run whose weights this one starts from.
        coder: whose codes the model learns.
        run, config, rows, own, watch, say, show: see `train`.
    """
    initial = None if source is None else _weights_of(source)
    with world() as here, TemporaryDirectory() as scratch:
        decoding = None if coder is None else coder.saved(Path(scratch))
        trainer = trainer_of(config, rows, here, 1, own, initial, decoding)
        if source is not None:
            config = config.model_copy(update={"weights": _provenance(source)})
        elif own.networks or coder is not None:  # the configuration cannot reproduce their weights
            initial = Path(scratch) / "weights.safetensors"
            checkpoints.save_weights(trainer.game, initial)
            given = [*own.networks] + ["coder"] * (coder is not None)
            config = config.model_copy(update={"weights": f"of the {' and the '.join(given)} given"})
        with run.creating(config, initial) if here.leads else nullcontext():
            if here.leads:
                run.append("start", tick=0)
                if say is not None:
                    say(plan_of(config, rows, trainer))
            return play(Session(run, config, rows, trainer, own, watch, show))


def resume(
    run: RunLike,
    *,
    epochs: float | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    core_minutes: float | None = None,
    data: Any = None,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    set: Mapping[str, Any] | None = None,  # noqa: A002 - as the command line's --set
    model: Model | None = None,
    networks: Mapping[str, nn.Module] | None = None,
    watch: Watch | None = None,
) -> RunFolder:
    """Continue a run from its newest valid checkpoint, or from tick 0 if it has none: bit for bit as if never stopped.

    What a kill left undone after the checkpoint is done first. A run that has spent its budget and lacks only its
    report gets that.

    Args:
        run: the run folder.
        epochs: new total of epochs, recorded in the run; without any budget given, the run's own holds.
        minutes: new total of training time, likewise.
        patience: new patience, recorded in the run; 0 goes on where patience had run out.
        core_minutes: new total of processor time, likewise.
        data: the run's data, where they lie elsewhere now or were handed over in memory: their hash must be the same.
        y, target, view: handed to `plausible.data.load` with `data`.
        set: options of the model or of its recipe, precision or keep that change from here on, recorded in the run.
        model: the class or "module:Class" of a model that is not part of plausible: it runs only if given here.
        networks: option → network, of a model that was given networks of the user's own: of the same classes.
        watch: called with the progress.

    Raises:
        PlausibleError: no run, another process writes into it, other data, a budget already spent, or a change that
            cannot be; nothing is written then.
        KeyboardInterrupt, SystemExit: a signal ended it, after saving.
    """
    run = as_run(run)
    own = Own(trusted(run.config(), model), networks or {})
    budget = {"epochs": epochs, "minutes": minutes, "core_minutes": core_minutes}
    settings.check_budget(budget | _given(patience=patience))
    with world() as here, run.writing() if here.leads else nullcontext():
        before = run.config()
        rows = rows_of(run, data, **_given(y=y, target=target, view=view or None))
        here.wait()
        point, tick = _start(run)
        config = settings.with_budget(before, tick, budget, patience)
        config = settings.with_source(config, rows) if data is not None else config
        config = settings.with_changes(config, tick, set, own.model or "")
        trainer = trainer_of(config, rows, here, tick + 1, own, _own_weights(run, config))
        if set:
            old = trainer_of(before, rows, here, tick + 1, own, None)
            _check_changes(set, old, trainer)
        session = Session(run, config, rows, trainer, own, watch)
        _catch_up(session, point, before)
        reason = play(session)
    leave(run, reason)
    return run


def _catch_up(session: Session, point: Checkpoint | None, before: Config) -> None:
    """Go to a checkpoint, and do what a kill left undone after it.

    Args:
        point: the checkpoint.
        before: the configuration in the run folder; the session's is written where it differs.
    """
    run, config, trainer = session.run, session.config, session.trainer
    at = session.restore(point)
    done = session.spent() != ""
    if done:
        _check_unfinished(session)
    trainer.world.wait()
    if not trainer.world.leads:
        return
    if config != before:
        run.reconfigure(config)
    if not (done and run.stopped() and _ended_well(run)):
        run.take_back(trainer.tick, goes_on=not done, partial=bool(session.means.sums))
    if point is not None:
        steps.after_checkpoint(run, trainer, session.rows, at, config.training_at(trainer.tick).keep)


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


def _start(run: RunFolder) -> tuple[Checkpoint | None, int]:
    """The checkpoint to go on from, if there is one, and its tick."""
    point = run.newest_valid()
    return point, 0 if point is None else point.tick


def _check_changes(changes: Mapping[str, Any], old: Trainer, new: Trainer) -> None:
    try:
        checkpoints.check_transfer(old, new)
    except PlausibleError as error:
        raise PlausibleError(f"--set {', '.join(changes)}: {error}") from error


def _check_unfinished(session: Session) -> None:
    """A budget that is spent is an error, but for a run that was killed on its way from there to its end."""
    run, trainer = session.run, session.trainer
    if not (_ended_well(run) and steps.is_reported(run)):
        return
    if not trainer.turns:
        raise PlausibleError(f"{run.path} has nothing to train: its model is fitted in one pass")
    epochs = trainer.tick / trainer.epoch_ticks
    if session.spent() == "patience":
        raise PlausibleError(
            f"{run.path} stopped early: nothing better on the valid rows in {session.selection.stale} judgements since "
            f"tick {session.selection.tick}. To go on all the same, give --patience 0"
        )
    minutes, core_minutes = session.clock.seconds / 60, session.clock.cpu_seconds / 60
    raise PlausibleError(
        f"{run.path} has spent its budget: {epochs:g} epochs, {minutes:.1f} minutes, {core_minutes:.1f} core-minutes. "
        "To go on, give a larger total: --epochs, --minutes or --core-minutes"
    )


def _ended_well(run: RunFolder) -> bool:
    ended = run.stopped()
    return ended is not None and ended["reason"] not in ("error", "diverged")


def _repeated(like: RunLike | None, model: Model | None, *, weights: bool) -> RunFolder | None:
    """The run to repeat, if one is given.

    Raises:
        PlausibleError: none is given, and there is nothing else to train, or to take weights from.
    """
    if like is not None:
        return as_run(like)
    if weights:
        raise PlausibleError("--weights needs the run that they are taken from: --like RUN (Python: like=)")
    if model is None:
        raise PlausibleError("name a model, or give the run to repeat: --like RUN (Python: like=)")
    return None


def _weights_of(other: RunFolder) -> Path:
    """The file of weights that a new run starts from."""
    return weights_file(_checkpoint_of(other), other.config())


def _provenance(other: RunFolder) -> str:
    """Where a new run's weights come from, in words."""
    kind = "averaged" if other.config().training.ema is not None else "trained"
    return f"the {kind} weights of {other.path.resolve()} at tick {_checkpoint_of(other).tick}"


def _checkpoint_of(other: RunFolder) -> Checkpoint:
    point = other.best() or other.newest_valid()
    if point is None:
        raise PlausibleError(f"{other.path} has no checkpoint to take weights from")
    return point


def _own_weights(run: RunFolder, config: Config) -> Path | None:
    """The run's own file of initial weights, where it has one."""
    return run.weights_file if config.weights is not None else None


def _default_out(config: Config) -> Path:
    kind = "latent-" * (config.coder is not None) + config.model.name
    name = f"{kind}-{Path(config.data.spec).name}-{config.training.seed}"
    return Path("runs") / re.sub(r"[^\w.=+-]+", "-", name)


def _given(**values: Any) -> dict[str, Any]:
    """What was given at all."""
    return {name: value for name, value in values.items() if value is not None}
