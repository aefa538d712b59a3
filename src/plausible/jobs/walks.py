"""Pictures of a code space: what lies between two rows, and along each dimension."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import device_of
from plausible.jobs import codes
from plausible.jobs.loading import RunLike, applied, as_run, lacking, load
from plausible.report.pictures import grid, png
from plausible.report.samples import write_samples
from plausible.runs import write_whole


@runtime_checkable
class Coding(Protocol):
    """A model with a code: rows in and out of it."""

    def encode(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, features)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """(B, features) → (B, *shape)."""
        ...


STEPS = 12
CODES = 1000
"""Training rows whose codes say how far each dimension spreads."""


def interpolation(
    run: RunLike, a: int, b: int, steps: int, *, straight: bool = False, at: int | None = None
) -> Tensor:
    """What is decoded between the codes of two rows of the run's test split, (1, steps, *shape).

    Args:
        run: the run folder.
        a: where to begin: a row of the test split, counted from 0.
        b: where to end.
        steps: both ends included.
        straight: along the line, not the sphere.
        at: the tick of a checkpoint.

    Raises:
        PlausibleError: no such run or row, fewer than 2 steps, or a model that does not encode and decode.
    """
    model, data = _decoding(run, steps, at)
    for row in (a, b):
        if not 0 <= row < len(data.test):
            raise PlausibleError(
                f"--interpolate {a} {b}: the test split of {data.spec} has rows 0 to {len(data.test) - 1}"
            )
    return between(model, data, a, b, steps, straight=straight)


def traversal(run: RunLike, steps: int, *, at: int | None = None) -> Tensor:
    """What is decoded along each of at most ten dimensions of the code, (dimensions, steps, *shape).

    One dimension is moved from −3 to 3 standard deviations about the mean of CODES training codes, the others rest
    at their means; the dimension with the largest spread comes first.

    Raises:
        PlausibleError: no such run, fewer than 2 steps, or a model that does not encode and decode.
    """
    return along(*_decoding(run, steps, at), steps)


def between(model: Coding, data: Data, a: int, b: int, steps: int, *, straight: bool = False) -> Tensor:
    """`interpolation` of a model in hand, (1, steps, *shape)."""
    ends = applied(model.encode, on_device_of(model, data.test.take(np.array([a, b]))[0])).cpu()
    path = (codes.linear if straight else codes.slerp)(ends[0], ends[1], steps)
    return applied(model.decode, on_device_of(model, path)).cpu()[None]


def along(model: Coding, data: Data, steps: int) -> Tensor:
    """`traversal` of a model in hand, (dimensions, steps, *shape)."""
    rows = data.train.take(np.arange(min(CODES, len(data.train))))[0]
    moved = codes.traversal(applied(model.encode, on_device_of(model, rows)).cpu(), steps)
    return applied(model.decode, on_device_of(model, moved.flatten(0, 1))).cpu().unflatten(0, moved.shape[:2])


def on_device_of(model: Coding, x: np.ndarray | Tensor) -> Tensor:
    """x where the model's parameters are."""
    return torch.as_tensor(x).to(device_of(cast(nn.Module, model)))


def write_walks(walks: Tensor, path: Path) -> Path:
    """Write (walks, steps, *shape): images to .png with a walk a row, else one after the other as samples are.

    Raises:
        PlausibleError: the file cannot be written.
    """
    samples = walks.flatten(0, 1).numpy()
    if path.suffix != ".png" or samples.ndim != 4:
        return write_samples(samples, path)
    said = f"{len(walks)} walks through the code space, {walks.shape[1]} steps each, from left to right"
    info = {"kind": "walks", "n": str(len(samples)), "Description": said}
    return write_whole(path, png(grid(samples, columns=walks.shape[1]), info))


def _decoding(run: RunLike, steps: int, at: int | None) -> tuple[Coding, Data]:
    """A run's model, which encodes and decodes, and the run's data."""
    if steps < 2:
        raise PlausibleError(f"-n is the number of steps here, and must be at least 2, not {steps}")
    run = as_run(run)
    model = load(run, at=at)
    if not isinstance(model, Coding):
        raise lacking(model, "decoder of codes", "decode")
    return model, load_data(run.config().data.source or "")
