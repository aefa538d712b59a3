"""From a run folder to a model, from a model to samples, and what the verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import GenerativeModel, device_of
from plausible.models.build import build
from plausible.models.registry import MODELS, model_class
from plausible.runs import Checkpoint, RunFolder
from plausible.training import checkpoint as checkpoints
from plausible.training.seeding import hash32, own_randomness, seed_torch

RunLike = RunFolder | str | os.PathLike[str]

DRAW = 1000


def blocks_of(model: GenerativeModel, n: int, *, seed: int = 0, y: Tensor | None = None) -> Iterator[Tensor]:
    """n samples in blocks of at most DRAW, (B, *shape), on the processor; torch's random state is kept.

    Args:
        model: that is sampled.
        n: how many.
        seed: random seed; the samples of a block follow from it and from where the block begins.
        y: the samples' classes, (n,), int64; without, a conditional model draws them too.

    Raises:
        PlausibleError: n < 1, a y that is not n classes, or one of a model that is not conditional.
    """
    if n < 1:
        raise PlausibleError(f"n must be at least 1, not {n}")
    if y is not None and tuple(y.shape) != (n,):
        raise PlausibleError(f"y must be {n} classes, one for each sample, not of shape {tuple(y.shape)}")
    device = device_of(model)
    for start in range(0, n, DRAW):
        told = None if y is None else y[start : start + DRAW]
        with own_randomness(device):
            seed_torch(hash32(seed, "sample", start), device)
            block = model.sample(min(DRAW, n - start), y=told).cpu()
        yield block


def draw(model: GenerativeModel, n: int, *, seed: int = 0, y: Tensor | None = None) -> Tensor:
    """`blocks_of` in one tensor, (n, *shape)."""
    return torch.cat(list(blocks_of(model, n, seed=seed, y=y)))


def applied(function: Callable[[Tensor], Tensor], x: Tensor, seed: int = 0) -> Tensor:
    """function(x) without gradients; what it draws is of the seed, and torch's random state is kept."""
    with own_randomness(x.device), torch.no_grad():
        seed_torch(seed, x.device)
        return function(x)


def as_run(run: RunLike) -> RunFolder:
    return run if isinstance(run, RunFolder) else RunFolder(run)


def checked_out(out: str | os.PathLike[str], endings: Collection[str]) -> Path:
    """Where to write: refused, before any work is done, if it cannot be."""
    path = Path(out)
    if path.suffix not in endings:
        one = f"one of {', '.join(endings)}" if len(endings) > 1 else "".join(endings)
        raise PlausibleError(f"--out {out}: the ending must be {one}")
    if path.is_dir():
        raise PlausibleError(f"--out {out} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise PlausibleError(f"--out {out}: there is no folder {path.parent}: make it first")
    return path


def lacking(model: GenerativeModel, what: str, *methods: str, ways: Sequence[str] = ()) -> PlausibleError:
    """The error of asking a model for what it lacks: it names what would do.

    Args:
        model: that lacks it.
        what: it lacks.
        methods: any of which provides it.
        ways: other ways to go.
    """
    able = [name for name in MODELS if any(hasattr(model_class(name), method) for method in methods)]
    *most, last = [*ways, f"train {' or '.join(able)}"] if able else [*ways, "use another model"]
    return PlausibleError(
        f"{type(model).__name__} has no {what}: {', '.join([*most, f'or {last}' if most else last])}"
    )


def build_model(config: Mapping[str, Any]) -> GenerativeModel:
    """The model that a run's configuration describes, with the weights it starts from."""
    model = config["model"]
    return build(model["name"], tuple(model["shape"]), model["domain"], model["options"])


def load_at(run: RunFolder, at: int | None) -> tuple[GenerativeModel, Checkpoint]:
    """The model of a run, with its averaged weights if it has any, and the checkpoint it came from."""
    config = run.config()
    point = run.at(at) if at is not None else run.best() or run.newest_valid()
    if point is None:
        raise PlausibleError(
            f"{run.path} has no checkpoint yet: continue it with `plausible resume {run.path}`"
        )
    with own_randomness(torch.device("cpu")):
        model = build_model(config)
    weights = checkpoints.AVERAGE if config["training"]["ema"] is not None else checkpoints.MODEL
    checkpoints.load_weights(model, point.path / weights)
    return model.eval(), point
