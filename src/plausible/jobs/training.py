"""Train a model and leave a run folder; continue one."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

import plausible
from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.evaluation.best import judge
from plausible.game import Game, GenerativeModel
from plausible.jobs.loading import RunLike, as_run, build_model, draw
from plausible.jobs.pictures import write_pictures
from plausible.models.build import options_of, preset_of
from plausible.report.html import write_report
from plausible.report.pictures import picture
from plausible.runs import RunFolder, commit
from plausible.training import checkpoint as checkpoints
from plausible.training.distributed import World, world
from plausible.training.loop import Budget, Clock, Progress, fit
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.trainer import DivergedError, Settings, Trainer

Watch = Callable[[Progress], None]

DEFAULT_MINUTES = 5.0
PICTURED = 64


def train(
    model: str,
    data: str = "digits",
    *,
    preset: str = "default",
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    shards: int | None = None,
    seed: int = 0,
    out: RunLike | None = None,
    ema: float | None = None,
    clip: float | None = None,
    precision: str | None = None,
    keep: int = 3,
    watch: Watch | None = None,
    **options: Any,
) -> RunFolder:
    """Train a model and leave a run folder.

    Args:
        model: a name that `plausible models` lists, or "module:Class".
        data: a SPEC, see `plausible datasets`.
        preset: a named choice of options; everything given here wins over it.
        epochs: stop after this many passes over the training rows.
        minutes: stop after this much training time; without either the preset's budget holds, else 5 minutes.
        batch: rows a tick; 128, or all rows where there are fewer.
        shards: pieces of a batch with their own random draws; see `Settings`.
        seed: of everything random.
        out: the run folder; default runs/MODEL-DATA-SEED.
        ema: decay per tick of averaged weights, which the jobs then use.
        clip: largest norm of a turn's gradient.
        precision: float32 or bfloat16.
        keep: how many checkpoints to keep; 0 keeps all.
        watch: called with the progress, some times a second.
        options: the model's own, see `plausible train MODEL --help`.

    Returns: the run; `run.stopped()` says why it ended.

    Raises:
        PlausibleError: bad input (nothing is written then), a full disk, or a diverged training.
    """
    rows = load_data(data)
    given = {"batch": batch, "shards": shards, "ema": ema, "clip": clip, "precision": precision}
    config = _configuration(
        model, preset, options, rows, given | {"seed": seed, "keep": keep}, epochs, minutes
    )
    run = as_run(out or Path("runs") / f"{model}-{Path(data).name}-{seed}".replace(":", "-"))
    with world() as here:
        trainer = _trainer(config, rows, here)
        if here.leads:
            run.create(config)
            run.append("start", tick=0)
        return _fit(run, config, trainer, Clock(), watch, rows)


def resume(
    run: RunLike, *, epochs: float | None = None, minutes: float | None = None, watch: Watch | None = None
) -> RunFolder:
    """Continue a run from its newest valid checkpoint, or from tick 0 if it has none: bit for bit as if never stopped.

    Args:
        run: the run folder.
        epochs: new total of epochs; without any budget given, the run's own holds.
        minutes: new total of training time.
        watch: called with the progress.

    Raises:
        PlausibleError: no run, changed data, a budget already spent.
    """
    run = as_run(run)
    config = run.config()
    if epochs is not None or minutes is not None:
        config["training"] |= {"epochs": epochs, "minutes": minutes}
    _check_budget(config["training"])
    rows = load_data(config["data"]["spec"])
    if rows.hash != config["data"]["hash"]:
        raise PlausibleError(
            f"the data {config['data']['spec']!r} are not what {run.path} was trained on: their hash changed. "
            "Restore them, or train a new run"
        )
    with world() as here:
        trainer = _trainer(config, rows, here)
        clock = Clock()
        newest = run.newest_valid()
        if newest is not None:
            clock = Clock(**checkpoints.restore(trainer, newest.path))
        _check_unspent(run, trainer, config["training"], clock)
        here.wait()
        if here.leads:
            run.append("resume", tick=trainer.tick)
        return _fit(run, config, trainer, clock, watch, rows)


def _configuration(
    name: str,
    preset: str,
    options: Mapping[str, Any],
    rows: Data,
    given: Mapping[str, Any],
    epochs: float | None,
    minutes: float | None,
) -> dict[str, Any]:
    """config.json: defaults, then the preset, then what was given."""
    chosen = preset_of(name, preset)
    training: dict[str, Any] = {"batch": 128, "shards": 1, "ema": None, "clip": None, "precision": "float32"}
    training |= {"epochs": None, "minutes": None} | dict(chosen.training)
    if given["batch"] is None:
        training["batch"] = min(training["batch"], len(rows.train))
    training |= {option: value for option, value in given.items() if value is not None}
    if epochs is not None or minutes is not None:
        training |= {"epochs": epochs, "minutes": minutes}
    elif training["epochs"] is None and training["minutes"] is None:
        training["minutes"] = DEFAULT_MINUTES
    _check_budget(training)
    defaults = {option: default for option, (_, default) in options_of(name).items()}
    model = {"name": name, "preset": preset, "options": defaults | dict(chosen.model) | dict(options)}
    return {
        "plausible": plausible.__version__,
        "model": model | {"shape": list(rows.shape), "domain": rows.domain},
        "data": {"spec": rows.spec, "hash": rows.hash}
        | {split: len(getattr(rows, split)) for split in ("train", "valid", "test")},
        "training": training | {"threads": torch.get_num_threads()},
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("torch", "numpy", "safetensors", "scikit-learn")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _check_budget(training: Mapping[str, Any]) -> None:
    for name in ("epochs", "minutes"):
        value = training[name]
        if value is not None and not 0 < value < float("inf"):
            raise PlausibleError(f"--{name} must be a positive number, not {value}")
    if training["keep"] < 0:
        raise PlausibleError(f"--keep must be 0 (all) or more, not {training['keep']}")


def _check_unspent(run: RunFolder, trainer: Trainer, training: Mapping[str, Any], clock: Clock) -> None:
    """A budget that is spent is an error, but for a run that was killed on its way from there to its end."""
    if run.stopped() and not trainer.turns:
        raise PlausibleError(f"{run.path} has nothing to train: its model is counted, and that is done")
    if run.stopped() and _budget(training, trainer).spent(trainer.tick, clock.seconds) >= 1:
        epochs = trainer.tick / trainer.epoch_ticks
        raise PlausibleError(
            f"{run.path} has spent its budget: {epochs:g} epochs, {clock.seconds / 60:.1f} minutes. "
            "To go on, give a larger total: --epochs or --minutes"
        )


def _budget(training: Mapping[str, Any], trainer: Trainer) -> Budget:
    if not trainer.turns:
        return Budget(ticks=0)  # what is counted before tick 0 is all there is
    epochs, minutes = training["epochs"], training["minutes"]
    return Budget(
        ticks=None if epochs is None else max(1, round(epochs * trainer.epoch_ticks)),
        seconds=None if minutes is None else minutes * 60,
    )


def _trainer(config: Mapping[str, Any], rows: Data, here: World) -> Trainer:
    """The model of a configuration, prepared on the training rows, at tick 0 of its training."""
    training = config["training"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with own_randomness(torch.device("cpu")):
        seed_torch(hash32(training["seed"], "init"), torch.device("cpu"))
        model = build_model(config)
        model.prepare(rows.train)
    settings = Settings(**{name: training[name] for name in Settings.__dataclass_fields__})
    return Trainer(model.to(device), rows.train, settings, here)


def _fit(
    run: RunFolder, config: Mapping[str, Any], trainer: Trainer, clock: Clock, watch: Watch | None, rows: Data
) -> RunFolder:
    """Train within the budget; whatever ends it, say so in the log and write the report."""
    seed, leads = config["training"]["seed"], trainer.world.leads

    def report(progress: Progress) -> None:
        if leads:
            run.append("ticks", **asdict(progress))
            if watch is not None:
                watch(progress)

    def save() -> None:
        _finish(trainer, rows)
        if not leads:
            return
        with commit(run.checkpoint_path(trainer.tick)) as folder:
            checkpoints.write(trainer, folder, clock.now())
        run.append("checkpoint", tick=trainer.tick)
        with _evaluating(trainer) as model:
            samples = draw(model, PICTURED, seed=seed).numpy()
            worth = judge(model, rows)
        if worth is not None:
            run.judged(trainer.tick, *worth)
        run.prune(config["training"]["keep"])
        file = run.samples_dir / f"{trainer.tick:09d}.png"
        picture(
            samples,
            file,
            real=rows.valid.take(np.arange(min(len(rows.valid), 2000)))[0],
            columns=rows.columns,
        )
        run.append("samples", tick=trainer.tick, file=f"samples/{file.name}")

    reason, message = "error", {}
    try:
        with own_randomness(trainer.device):
            reason = fit(trainer, _budget(config["training"], trainer), clock, report=report, save=save)
        if leads:
            _draw_code(run, trainer, rows)
    except DivergedError as error:
        reason, message = "diverged", {"message": str(error)}
        raise
    except PlausibleError as error:
        message = {"message": str(error)}
        raise
    finally:
        if leads:
            with (
                suppress(PlausibleError) if reason in ("error", "diverged") else nullcontext()
            ):  # the cause is already on its way up
                run.append("stop", tick=trainer.tick, reason=reason, **message)
                write_report(run)
    return run


def _draw_code(run: RunFolder, trainer: Trainer, rows: Data) -> None:
    """Pictures of the code that the training ended with, where the model has one."""
    with _evaluating(trainer) as model:
        folder = write_pictures(run, model, rows, trainer.tick)
    if folder is not None:
        run.append("pictures", tick=trainer.tick, folder=f"pictures/{folder.name}")


def _finish(trainer: Trainer, rows: Data) -> None:
    """Let a model that has something to finish do so before it is saved: once for each set of weights there is.

    On every process alike. The draws it may make follow from the seed alone, so that a resumed run finishes as an
    uninterrupted one.
    """
    if type(trainer.game).finish is Game.finish:
        return

    def finish(game: Game) -> None:
        seed_torch(hash32(trainer.settings.seed, "finish"), trainer.device)
        game.finish(rows.train)

    with own_randomness(trainer.device):
        if trainer.average is not None:
            with _evaluating(trainer) as averaged:
                finish(averaged)
                trainer.average.copy_buffers()
        trainer.game.eval()
        finish(trainer.game)
        trainer.game.train()


@contextmanager
def _evaluating(trainer: Trainer) -> Generator[GenerativeModel]:
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
