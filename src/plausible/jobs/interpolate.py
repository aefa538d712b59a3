"""Interpolate between two codes, and traverse each dimension of the code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plausible.capabilities import Coder, Decoder, Prior, require, supports
from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel, device_of
from plausible.jobs import code_paths
from plausible.jobs.loading import applied, checked_out
from plausible.jobs.opened import Opened
from plausible.report.images import grid, png
from plausible.report.writers import SAMPLE_WRITERS, write_samples
from plausible.runs import write_whole
from plausible.training.seeding import hash32, own_randomness, seed_torch

__all__ = ["interpolate", "traverse"]


STEPS = 12
CODES = 1000
"""The number of training rows from which the standard deviation of each dimension is computed."""


def interpolate(
    run: Opened,
    a: Any,
    b: Any,
    n: int | None = None,
    *,
    straight: bool = False,
    as_: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Any:
    """Interpolate from a to b: n examples decoded from the path between their codes, both ends included.

    Args:
        run: whose model decodes.
        a, b: rows of the test split, counted from 0, or one example each in any form that the data come in, (1, …).
            For a model without an encoder, a GAN: seeds of codes sampled from its prior.
        n: number of examples. Default: 12.
        straight: interpolate linearly instead of spherically.
        as_: container of the result. Default: that of the training data.
        out: write to this file instead: .png, .npy, .npz or .csv.

    Raises:
        PlausibleError: no such row, n < 2, a model without a decoder, or a file that cannot be written.
    """
    steps, path, model = (
        _checked(n, out),
        None if out is None else checked_out(out, SAMPLE_WRITERS),
        run.model,
    )
    decoder = require(model, Decoder)
    if supports(model, Coder):
        ends = applied(
            model.encode, on_device_of(model, np.concatenate([_row(run, x) for x in (a, b)]))
        ).cpu()
    else:
        ends = torch.cat([_sampled_code(model, x) for x in (a, b)])
    way = (code_paths.linear if straight else code_paths.slerp)(ends[0], ends[1], steps)
    decoded = applied(decoder.decode, on_device_of(model, way)).cpu()
    return (
        run.give(decoded, as_=as_, generated=True) if path is None else write_walks(decoded[None], run, path)
    )


def traverse(
    run: Opened, n: int | None = None, *, as_: str | None = None, out: str | os.PathLike[str] | None = None
) -> Any:
    """Decode along each of at most ten dimensions of the code, n steps each, one after the other.

    One dimension moves from −3 to 3 standard deviations about the mean of CODES training codes while the others stay
    at their means; the dimension with the largest standard deviation comes first.

    Args:
        run: whose model encodes and decodes.
        n: steps along each dimension. Default: 12.
        as_: container of the result. Default: that of the training data.
        out: write to this file instead: .png (one row per dimension), .npy, .npz or .csv.

    Raises:
        PlausibleError: n < 2, a model that does not encode and decode, or a file that cannot be written.
    """
    steps, path, model = (
        _checked(n, out),
        None if out is None else checked_out(out, SAMPLE_WRITERS),
        run.model,
    )
    walks = along(require(model, Coder), run.data(), steps)
    return (
        run.give(walks.flatten(0, 1), as_=as_, generated=True)
        if path is None
        else write_walks(walks, run, path)
    )


def _checked(n: int | None, out: object) -> int:
    if n is not None and n < 2:
        raise PlausibleError(f"n, the number of steps, must be at least 2, not {n}")
    return STEPS if n is None else n


def _row(run: Opened, x: Any) -> np.ndarray:
    """One example, (1, *shape), float32: a row of the test split by its number, or the example given."""
    if isinstance(x, int | np.integer):
        return run.test_rows([int(x)], "interpolate")
    rows = run.rows(x)
    if len(rows) != 1:
        raise PlausibleError(f"interpolate takes one example for each end, not {len(rows)}")
    return rows.take(np.array([0]))[0]


def _sampled_code(model: GenerativeModel, x: Any) -> Tensor:
    """The code that seed x samples from the prior, (1, latent)."""
    prior = require(model, Prior)
    if not isinstance(x, int | np.integer) or x < 0:
        raise PlausibleError(
            f"{type(model).__name__} has no encoder: interpolate between codes sampled from its prior; give their "
            "seeds, integers from 0"
        )
    with own_randomness(torch.device("cpu")), torch.no_grad():
        seed_torch(hash32(int(x), "interpolate"), device_of(model))
        return prior.sample_prior(1).cpu()


def between(model: Coder, data: Data, a: int, b: int, steps: int, *, straight: bool = False) -> Tensor:
    """The interpolation between two rows of the test split, (1, steps, *shape)."""
    ends = applied(model.encode, on_device_of(model, data.test.take(np.array([a, b]))[0])).cpu()
    path = (code_paths.linear if straight else code_paths.slerp)(ends[0], ends[1], steps)
    return applied(model.decode, on_device_of(model, path)).cpu()[None]


def along(model: Coder, data: Data, steps: int) -> Tensor:
    """Examples decoded along each dimension, (dimensions, steps, *shape)."""
    rows = data.train.take(np.arange(min(CODES, len(data.train))))[0]
    moved = code_paths.traversal(applied(model.encode, on_device_of(model, rows)).cpu(), steps)
    return applied(model.decode, on_device_of(model, moved.flatten(0, 1))).cpu().unflatten(0, moved.shape[:2])


def on_device_of(model: Any, x: np.ndarray | Tensor) -> Tensor:
    """x as a tensor on the model's device."""
    return torch.as_tensor(x).to(device_of(cast(nn.Module, model)))


def write_walks(walks: Tensor, run: Opened, path: Path) -> Path:
    """Write (walks, steps, *shape): images to .png, one walk per row; otherwise one example after the other.

    Raises:
        PlausibleError: the file cannot be written.
    """
    samples = walks.flatten(0, 1).numpy()
    if path.suffix != ".png" or samples.ndim != 4:
        return write_samples(samples, run.schema, path, generated=True)
    said = f"{len(walks)} walks through the code space, {walks.shape[1]} steps each, from left to right"
    info = {"kind": "walks", "n": str(len(samples)), "Description": said}
    return write_whole(path, png(grid(samples, columns=walks.shape[1]), info))
