"""Pictures of a code space: what lies between two rows, and along each dimension."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.jobs import codes
from plausible.jobs.loading import RunLike, applied, as_run, lacking, load
from plausible.report.pictures import grid
from plausible.report.samples import write_samples
from plausible.runs import write_whole

Code = Callable[[Tensor], Tensor]

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
    encode, decode, data = _decoding(run, steps, at)
    for row in (a, b):
        if not 0 <= row < len(data.test):
            raise PlausibleError(
                f"--interpolate {a} {b}: the test split of {data.spec} has rows 0 to {len(data.test) - 1}"
            )
    ends = applied(encode, torch.from_numpy(data.test.take(np.array([a, b]))[0]))
    between = (codes.linear if straight else codes.slerp)(ends[0], ends[1], steps)
    return applied(decode, between)[None]


def traversal(run: RunLike, steps: int, *, at: int | None = None) -> Tensor:
    """What is decoded along each of at most ten dimensions of the code, (dimensions, steps, *shape).

    One dimension is moved from −3 to 3 standard deviations about the mean of CODES training codes, the others rest
    at their means; the dimension with the largest spread comes first.

    Raises:
        PlausibleError: no such run, fewer than 2 steps, or a model that does not encode and decode.
    """
    encode, decode, data = _decoding(run, steps, at)
    rows = data.train.take(np.arange(min(CODES, len(data.train))))[0]
    along = codes.traversal(applied(encode, torch.from_numpy(rows)), steps)
    return applied(decode, along.flatten(0, 1)).unflatten(0, along.shape[:2])


def write_walks(walks: Tensor, path: Path) -> Path:
    """Write (walks, steps, *shape): images to .png with a walk a row, else one after the other as samples are.

    Raises:
        PlausibleError: the file cannot be written.
    """
    samples = walks.flatten(0, 1).numpy()
    if path.suffix != ".png" or samples.ndim != 4:
        return write_samples(samples, path)
    info, buffer = PngInfo(), io.BytesIO()
    said = f"{len(walks)} walks through the code space, {walks.shape[1]} steps each, from left to right"
    for key, value in {"kind": "walks", "n": str(len(samples)), "Description": said}.items():
        info.add_text(key, value)
    grid(samples, columns=walks.shape[1]).save(buffer, "PNG", pnginfo=info)
    return write_whole(path, buffer.getvalue())


def _decoding(run: RunLike, steps: int, at: int | None) -> tuple[Code, Code, Data]:
    """How a run's model encodes and decodes, and the run's data."""
    if steps < 2:
        raise PlausibleError(f"-n is the number of steps here, and must be at least 2, not {steps}")
    run = as_run(run)
    model = load(run, at=at)
    encode, decode = getattr(model, "encode", None), getattr(model, "decode", None)
    if encode is None or decode is None:
        raise lacking(model, "decoder of codes", "decode")
    return encode, decode, load_data(run.config()["data"]["spec"])
