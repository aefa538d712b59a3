"""From a run folder to a model, and what the verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.models.build import build, check_takes, with_networks
from plausible.models.coder import Coder
from plausible.models.latent import Latent
from plausible.models.registry import name_of
from plausible.runs import Checkpoint, Config, RunFolder, one_line
from plausible.schema import Schema
from plausible.training import checkpoint as checkpoints
from plausible.training.seeding import own_randomness, seed_torch

__all__ = [
    "Own",
    "RunLike",
    "applied",
    "as_asked",
    "as_run",
    "build_coder",
    "build_model",
    "checked_out",
    "load_at",
    "names_folder",
    "rows_of",
    "trusted",
    "weights_file",
]

RunLike = RunFolder | str | os.PathLike[str]


@dataclass(frozen=True)
class Own:
    """What the user gives of their own code: a run names it, and never imports it by itself.

    Attributes:
        model: the class of a model that is not part of plausible, or its "module:Class".
        networks: option → network, of a model that was given some.
    """

    model: str | type | None = None
    networks: Mapping[str, nn.Module] = field(default_factory=dict)


NOTHING = Own()


def applied(function: Callable[[Tensor], Tensor], x: Tensor, seed: int = 0) -> Tensor:
    """function(x) without gradients; what it draws is of the seed, and torch's random state is kept."""
    with own_randomness(x.device), torch.no_grad():
        seed_torch(seed, x.device)
        return function(x)


def as_run(run: RunLike) -> RunFolder:
    return run if isinstance(run, RunFolder) else RunFolder(run)


def names_folder(path: Path) -> bool:
    """Whether an output is a folder: one that is there, or a name without an ending that is no file."""
    return path.is_dir() or not (path.suffix or path.is_file())


def checked_out(out: str | os.PathLike[str], endings: Collection[str], *, folder: bool = False) -> Path:
    """Where to write: refused, before any work is done, if it cannot be.

    Args:
        out: the file.
        endings: that it may have.
        folder: whether it may be a folder, too: one that is there, or a name without an ending.
    """
    path = Path(out)
    if folder and names_folder(path):
        return path
    if path.suffix not in endings:
        one = f"one of {', '.join(endings)}" if len(endings) > 1 else "".join(endings)
        raise PlausibleError(f"--out {out}: the ending must be {one}")
    if path.is_dir():
        raise PlausibleError(f"--out {out} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise PlausibleError(f"--out {out}: there is no folder {path.parent}: make it first")
    return path


def as_asked(config: Config) -> dict[str, Any]:
    """How a run's table is read, for `plausible.data.load`: the types that the user asked for, the columns left out."""
    return {"columns": config.data.columns, "drop": config.data.drop}


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
        rows = load_data(data, **as_asked(config), **how)
    elif config.data.source is None:
        raise PlausibleError(
            f"the data of {run.path} were handed over in memory ({config.data.spec}): hand them over again with data="
        )
    else:
        try:
            rows = load_data(config.data.source, **as_asked(config))
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


def build_model(config: Config, tick: int | None = None, own: Own = NOTHING) -> GenerativeModel:
    """The model that a run's configuration describes, with the weights it starts from.

    Args:
        config: of the run. What it names is never imported because it is named there.
        tick: as it is played at that tick; default with the newest options.
        own: the user's own code, where the run has any.

    Raises:
        PlausibleError: the model or a network of it is not part of plausible and was not given, or another was given.
    """
    kind, rows, coder = trusted(config, own.model), config.rows, config.coder
    options = with_networks(kind, config.options_at(tick), own.networks)
    try:
        if coder is not None:
            decoding = build_coder(coder.name, coder.options, rows)
            return Latent(build(kind, (decoding.latent,), "real", options), decoding)
        check_takes(kind, rows)
        levels = rows.levels if rows.domain == "mixed" else None
        return build(kind, rows.shape, rows.domain, options, levels)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise PlausibleError(
            f"{config.model.name} cannot be made with the options of this run: {one_line(str(error))}"
        ) from error


def build_coder(name: str, options: Mapping[str, Any], rows: Schema) -> Coder:
    """The coder of a model of codes, not trained yet.

    Raises:
        PlausibleError: the model has no encoder and decoder of short codes.
    """
    made = build(name, rows.shape, rows.domain, options, rows.levels if rows.domain == "mixed" else None)
    if not isinstance(made, Coder):
        raise PlausibleError(
            f"{name} has no encoder and decoder of codes: train autoencoder, vae or aae for them"
        )
    return made


def trusted(config: Config, model: str | type | None = None) -> str | type:
    """The model's name in the registry, or what the user gave for one that is not there.

    Raises:
        PlausibleError: it is not part of plausible and was not given, or another one was given.
    """
    name = config.model.name
    if isinstance(model, type) and (":" in name or name_of(model) == name):
        return model
    if model is not None and model != name:
        raise PlausibleError(f"this run's model is {name}, not {name_of(model)}")
    if ":" in name and model is None:
        kind = name.rpartition(":")[2]
        raise PlausibleError(
            f"this run's model is {name}, code that is not part of plausible: "
            f"if you trust it, give --model {name} (Python: model={kind})"
        )
    return name


def load_at(run: RunFolder, at: int | None, own: Own = NOTHING) -> tuple[GenerativeModel, Checkpoint]:
    """The model of a run, with its averaged weights if it has any, and the checkpoint it came from.

    Raises:
        PlausibleError: no such checkpoint, a damaged one, or foreign code that was not given.
    """
    config = run.config()
    trusted(config, own.model)
    point = run.at(at) if at is not None else run.best() or run.newest_valid()
    if point is None:
        raise PlausibleError(
            f"{run.path} has no checkpoint yet: continue it with `plausible resume {run.path}`"
        )
    with own_randomness(torch.device("cpu")):
        made = build_model(config, point.tick, own)
    checkpoints.load_weights(made, weights_file(point, config))
    return made.eval(), point


def weights_file(point: Checkpoint, config: Config) -> Path:
    """The file with the weights that the jobs use: of the best state if that is meant, averaged if there are both."""
    own = checkpoints.AVERAGE if config.training.ema is not None else checkpoints.MODEL
    return point.path / (own if point.best is None else checkpoints.BEST)
