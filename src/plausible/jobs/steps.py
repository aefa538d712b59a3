"""What follows a checkpoint, and the end of a training: steps in order, each of which knows whether it is done.

A kill between any two of them leaves a run whose next `resume` does the rest, and nothing twice: the files are then
those of a training that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from torch import Tensor

from plausible.data import Data
from plausible.game import Game, GenerativeModel
from plausible.jobs.doubts import doubts
from plausible.jobs.pictures import write_pictures
from plausible.jobs.sampling import sample_model
from plausible.metrics.selection import judge
from plausible.metrics.watching import samples_needed, watch_samples
from plausible.report import write_report
from plausible.report.images import plot_samples
from plausible.runs import RunFolder
from plausible.training.checkpoint import judged_weights
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.selection import FIRST_TICKS, LEAST_EPOCHS, Selection
from plausible.training.trainer import Trainer

PICTURED = 64


def after_checkpoint(
    run: RunFolder, trainer: Trainer, rows: Data, at: str, keep: int, *, show: bool = True
) -> None:
    """Log the checkpoint that was saved last, point at the best, write samples, and remove what is old.

    A checkpoint where training stopped is judged, too, at whatever tick that was.

    Args:
        run: whose newest checkpoint is the trainer's state.
        trainer: at rest.
        rows: the run's data.
        at: why it was saved.
        keep: how many checkpoints to keep; 0 keeps all.
        show: whether to watch and draw samples.

    Raises:
        PlausibleError: a file cannot be written.
    """
    if not run.logged("checkpoint", trainer.tick):
        run.append("checkpoint", tick=trainer.tick, at=at)
    if at == "stop" and not run.logged("valid", trainer.tick):
        _log_judgement(run, trainer, rows, final=True)
    if show and at == "stop":
        watch_state(run, trainer, rows, final=True)
    run.point_at_best()
    if show:
        _draw_samples(run, trainer, rows)
    run.forget_stops(trainer.tick)
    run.prune(keep)
    run.sweep()


def at_end(
    run: RunFolder, trainer: Trainer, rows: Data, reason: str, selection: Selection, *, show: bool = True
) -> None:
    """Write the pictures of the best state, warn of what the result lacks, log why training stopped, write the report.

    Pictures and report only if `show`.

    Raises:
        PlausibleError: a file cannot be written.
    """
    if show and not run.logged("pictures", trainer.tick):
        best = run.judgement()
        earlier = best is not None and best.tick != trainer.tick and selection.tick == best.tick
        tick = selection.tick if earlier else trainer.tick
        with evaluating(trainer, selection.weights if earlier else None) as model:
            folder = write_pictures(run, model, rows, tick)
        if folder is not None:
            run.append("pictures", tick=trainer.tick, folder=f"pictures/{folder.name}")
    if not run.logged("warning", trainer.tick):
        with evaluating(trainer) as model:
            found = doubts(run, model, rows)
        for message in found:
            run.append("warning", tick=trainer.tick, message=message)
    stop(run, trainer.tick, reason, show=show)


def stop(run: RunFolder, tick: int, reason: str, message: str | None = None, *, show: bool = True) -> None:
    """Log why training stopped, if nothing says so yet, and write the report if `show`.

    Raises:
        PlausibleError: a file cannot be written.
    """
    if run.stopped() is None:
        run.append("stop", tick=tick, reason=reason, **({"message": message} if message else {}))
    if show and not is_reported(run):
        write_report(run)
        if not run.logged("report", tick):
            run.append("report", tick=tick)


def is_reported(run: RunFolder) -> bool:
    """Whether the report of the training's end was written, and is there."""
    ended = run.stopped()
    return ended is not None and run.logged("report", ended["tick"]) and run.report_file.is_file()


def finish(trainer: Trainer, rows: Data) -> None:
    """Let a model that has something to finish do so before it is saved: once for each set of weights there is.

    On every process alike. The draws it may make follow from the seed alone, so that a resumed run finishes as an
    uninterrupted one.
    """
    if type(trainer.game).finish is Game.finish:
        return

    def of(game: Game) -> None:
        seed_torch(hash32(trainer.settings.seed, "finish"), trainer.device)
        game.finish(rows.train)

    with own_randomness(trainer.device):
        if trainer.average is not None:
            with evaluating(trainer) as averaged:
                of(averaged)
                trainer.average.copy_buffers()
        trainer.game.eval()
        of(trainer.game)
        trainer.game.train()


def finish_best(trainer: Trainer, rows: Data, selection: Selection) -> None:
    """`finish` for the best state, before it is saved with a checkpoint; that of this tick is finished already."""
    if selection.weights is None or selection.finished:
        return
    if selection.tick == trainer.tick:
        selection.weights = judged_weights(trainer)
    elif type(trainer.game).finish is not Game.finish:
        with own_randomness(trainer.device), evaluating(trainer, selection.weights) as best:
            seed_torch(hash32(trainer.settings.seed, "finish"), trainer.device)
            best.finish(rows.train)
            selection.weights = {name: value.clone() for name, value in best.state_dict().items()}
    selection.finished = True


@contextmanager
def evaluating(trainer: Trainer, weights: Mapping[str, Tensor] | None = None) -> Generator[GenerativeModel]:
    """The trainer's game as the jobs see it: averaged weights if there are any, in evaluation mode.

    Args:
        trainer: at rest.
        weights: others to look at.
    """
    game = cast(GenerativeModel, trainer.game)
    live = None
    if weights is None and trainer.average is not None:
        weights = trainer.average.state
    if weights is not None:
        live = {name: value.clone() for name, value in game.state_dict().items()}
        game.load_state_dict(weights)
    game.eval()
    try:
        yield game
    finally:
        if live is not None:
            game.load_state_dict(live)
        game.train()


def judge_state(run: RunFolder, trainer: Trainer, rows: Data, selection: Selection) -> None:
    """Judge the model on the valid rows, log it, and keep its weights if it is the best so far.

    Raises:
        PlausibleError: the log cannot be written.
    """
    found = _log_judgement(run, trainer, rows, final=False)
    if found is not None:
        selection.observe(trainer.tick, *found, lambda: judged_weights(trainer))


def watch_state(run: RunFolder, trainer: Trainer, rows: Data, *, final: bool = False) -> str | None:
    """Compare samples of the model with validation rows, and log what was found; returns an alarm, if there is one.

    Args:
        run: the run folder.
        trainer: at rest.
        rows: the run's data.
        final: whether this is done only because training stopped here.

    Raises:
        PlausibleError: the log cannot be written.
    """
    if run.logged("judged", trainer.tick):
        return None
    with evaluating(trainer) as model:
        n = samples_needed(model, rows)
        if n == 0:
            return None
        found = watch_samples(sample_model(model, n, seed=trainer.settings.seed), rows)
    test, few = found.test, found.collapse
    begun = trainer.tick >= min(LEAST_EPOCHS * trainer.epoch_ticks, FIRST_TICKS)
    alarm = found.alarm if begun else None  # an untrained generator's samples are all alike
    known: dict[str, Any] = {"alarm": alarm, "final": True if final else None}
    if test is not None:
        known["two_sample"] = {"accuracy": test.accuracy, "interval": test.interval, "rows": test.rows}
    if few is not None:
        known |= {"distinctness": few.distinctness, "coverage": few.coverage}
    run.append(
        "judged", tick=trainer.tick, **{name: value for name, value in known.items() if value is not None}
    )
    return alarm


def _log_judgement(run: RunFolder, trainer: Trainer, rows: Data, *, final: bool) -> tuple[str, float] | None:
    with own_randomness(trainer.device), evaluating(trainer) as model:
        found = judge(model, rows)
    if found is not None and not run.logged("valid", trainer.tick):
        by, value = found
        run.append("valid", tick=trainer.tick, by=by, value=value, **({"final": True} if final else {}))
    return found


def _draw_samples(run: RunFolder, trainer: Trainer, rows: Data) -> None:
    file = run.samples_dir / f"{trainer.tick:09d}.png"
    if run.logged("samples", trainer.tick) and file.is_file():
        return
    with evaluating(trainer) as model:
        samples = sample_model(model, PICTURED, seed=trainer.settings.seed).numpy()
    run.samples_dir.mkdir(exist_ok=True)
    real = rows.valid.take(np.arange(min(len(rows.valid), 2000)))[0]
    plot_samples(samples, file, real=real, columns=rows.columns, levels=rows.schema.level_names)
    if not run.logged("samples", trainer.tick):
        run.append("samples", tick=trainer.tick, file=f"samples/{file.name}")
