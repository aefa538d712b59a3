"""What follows a checkpoint, and the end of a training: steps in order, each of which knows whether it is done.

A kill between any two of them leaves a run whose next `resume` does the rest, and nothing twice: the files are then
those of a training that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import numpy as np

from plausible.data import Data
from plausible.game import Game, GenerativeModel
from plausible.jobs.pictures import write_pictures
from plausible.jobs.sampling import sample_model
from plausible.metrics.selection import judge
from plausible.report import write_report
from plausible.report.images import plot_samples
from plausible.runs import RunFolder
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.trainer import Trainer

PICTURED = 64


def after_checkpoint(run: RunFolder, trainer: Trainer, rows: Data, at: str, keep: int) -> None:
    """Log the checkpoint that was saved last, judge it, point at the best, draw samples, and remove what is old.

    Args:
        run: whose newest checkpoint is the trainer's state.
        trainer: at rest.
        rows: the run's data.
        at: why it was saved.
        keep: how many checkpoints to keep; 0 keeps all.

    Raises:
        PlausibleError: a file cannot be written.
    """
    if not run.logged("checkpoint", trainer.tick):
        run.append("checkpoint", tick=trainer.tick, at=at)
    if not run.logged("valid", trainer.tick):
        _judge(run, trainer, rows)
    run.point_at_best()
    _draw_samples(run, trainer, rows)
    run.forget_stops(trainer.tick)
    run.prune(keep)
    run.sweep()


def at_end(run: RunFolder, trainer: Trainer, rows: Data, reason: str) -> None:
    """Draw the pictures of the code, log why training stopped, and write the report.

    Raises:
        PlausibleError: a file cannot be written.
    """
    if not run.logged("pictures", trainer.tick):
        with evaluating(trainer) as model:
            folder = write_pictures(run, model, rows, trainer.tick)
        if folder is not None:
            run.append("pictures", tick=trainer.tick, folder=f"pictures/{folder.name}")
    stop(run, trainer.tick, reason)


def stop(run: RunFolder, tick: int, reason: str, message: str | None = None) -> None:
    """Log why training stopped, if nothing says so yet, and write the report.

    Raises:
        PlausibleError: a file cannot be written.
    """
    if run.stopped() is None:
        run.append("stop", tick=tick, reason=reason, **({"message": message} if message else {}))
    if not is_reported(run):
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


@contextmanager
def evaluating(trainer: Trainer) -> Generator[GenerativeModel]:
    """The trainer's game as the jobs see it: averaged weights if there are any, in evaluation mode."""
    game = cast(GenerativeModel, trainer.game)
    live = None
    if trainer.average is not None:
        live = {name: value.clone() for name, value in game.state_dict().items()}
        game.load_state_dict(trainer.average.state)
    game.eval()
    try:
        yield game
    finally:
        if live is not None:
            game.load_state_dict(live)
        game.train()


def _judge(run: RunFolder, trainer: Trainer, rows: Data) -> None:
    with evaluating(trainer) as model:
        worth = judge(model, rows)
    if worth is not None:
        by, value = worth
        run.append("valid", tick=trainer.tick, by=by, value=value)


def _draw_samples(run: RunFolder, trainer: Trainer, rows: Data) -> None:
    file = run.samples_dir / f"{trainer.tick:09d}.png"
    if run.logged("samples", trainer.tick) and file.is_file():
        return
    with evaluating(trainer) as model:
        samples = sample_model(model, PICTURED, seed=trainer.settings.seed).numpy()
    run.samples_dir.mkdir(exist_ok=True)
    real = rows.valid.take(np.arange(min(len(rows.valid), 2000)))[0]
    plot_samples(samples, file, real=real, columns=rows.columns)
    if not run.logged("samples", trainer.tick):
        run.append("samples", tick=trainer.tick, file=f"samples/{file.name}")
