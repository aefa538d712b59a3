"""From a run folder to a model, and from a model to samples."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.models.build import build
from plausible.runs import Checkpoint, RunFolder
from plausible.training import checkpoint as checkpoints
from plausible.training.seeding import hash32, own_randomness, seed_torch

RunLike = RunFolder | str | os.PathLike[str]

DRAW = 1000


def load(run: RunLike, *, at: int | None = None) -> GenerativeModel:
    """The model of a run, with its averaged weights if it has any, ready to sample.

    Args:
        run: the run folder.
        at: the tick of a checkpoint; default the newest valid one.

    Raises:
        PlausibleError: there is no such run or checkpoint.
    """
    return load_at(as_run(run), at)[0]


def draw(model: GenerativeModel, n: int, *, seed: int = 0) -> Tensor:
    """n samples in blocks of bounded size, (n, *shape), the same for the same seed; torch's random state is kept."""
    if n < 1:
        raise PlausibleError(f"-n must be at least 1, not {n}")
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with own_randomness(device):
        blocks = []
        for start in range(0, n, DRAW):
            seed_torch(hash32(seed, "sample", start), device)
            blocks.append(model.sample(min(DRAW, n - start)).cpu())
    return torch.cat(blocks)


def as_run(run: RunLike) -> RunFolder:
    return run if isinstance(run, RunFolder) else RunFolder(run)


def build_model(config: Mapping[str, Any]) -> GenerativeModel:
    """The model that a run's configuration describes, with the weights it starts from."""
    model = config["model"]
    return build(model["name"], tuple(model["shape"]), model["domain"], model["options"])


def load_at(run: RunFolder, at: int | None) -> tuple[GenerativeModel, Checkpoint]:
    """`load`, with the checkpoint it came from."""
    config = run.config()
    point = run.newest_valid() if at is None else run.at(at)
    if point is None:
        raise PlausibleError(
            f"{run.path} has no checkpoint yet: continue it with `plausible resume {run.path}`"
        )
    with own_randomness(torch.device("cpu")):
        model = build_model(config)
    weights = checkpoints.AVERAGE if config["training"]["ema"] is not None else checkpoints.MODEL
    checkpoints.load_weights(model, point.path / weights)
    return model.eval(), point
