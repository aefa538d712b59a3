"""Ways through a space of codes: what lies between two rows, and along each dimension."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import device_of
from plausible.jobs import codes
from plausible.jobs.loading import applied, checked_out, lacking
from plausible.jobs.opened import Opened
from plausible.report.images import grid, png
from plausible.report.writers import SAMPLE_WRITERS, write_samples
from plausible.runs import write_whole
from plausible.training.seeding import hash32, own_randomness, seed_torch

__all__ = ["Coding", "interpolate", "traverse"]


@runtime_checkable
class Coding(Protocol):
    """A model with a code: rows in and out of it."""

    def encode(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, features)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """(B, features) → (B, *shape)."""
        ...


@runtime_checkable
class Generating(Protocol):
    """A model whose codes are drawn from a prior, and which need not encode: a generator."""

    def draw_prior(self, n: int) -> Tensor:
        """z ~ p(z), (n, latent)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """(B, latent) → (B, *shape)."""
        ...


STEPS = 12
CODES = 1000
"""Training rows whose codes say how far each dimension spreads."""


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
    """n examples from a to b, decoded from the way between their codes, both ends included.

    Args:
        run: whose model decodes.
        a, b: rows of the test split, counted from 0, or one example each, as rows of the data are given, (1, …). Of a
            model that does not encode, a GAN: numbers of codes drawn from its prior.
        n: how many, default 12.
        straight: along the line, not the sphere.
        as_: what the examples are given back in; default what the training data came in.
        out: FILE.png, .npy, .npz or .csv: write them there instead.

    Raises:
        PlausibleError: no such row, n < 2, a model without a decoder, or a file that cannot be written.
    """
    steps, path, model = (
        _checked(n, out),
        None if out is None else checked_out(out, SAMPLE_WRITERS),
        run.model,
    )
    if isinstance(model, Coding):
        ends = applied(
            model.encode, on_device_of(model, np.concatenate([_row(run, x) for x in (a, b)]))
        ).cpu()
    elif isinstance(model, Generating):
        ends = torch.cat([_drawn(model, x) for x in (a, b)])
    else:
        raise lacking(model, "decoder of codes", "decode")
    way = (codes.linear if straight else codes.slerp)(ends[0], ends[1], steps)
    decoded = applied(model.decode, on_device_of(model, way)).cpu()
    return run.give(decoded, as_=as_) if path is None else write_walks(decoded[None], run, path)


def traverse(
    run: Opened, n: int | None = None, *, as_: str | None = None, out: str | os.PathLike[str] | None = None
) -> Any:
    """What is decoded along each of at most ten dimensions of the code, n steps each, one after the other.

    One dimension is moved from −3 to 3 standard deviations about the mean of CODES training codes, the others rest
    at their means; the dimension with the largest spread comes first.

    Args:
        run: whose model encodes and decodes.
        n: steps of a dimension, default 12.
        as_: what the examples are given back in; default what the training data came in.
        out: FILE.png (a dimension a row), .npy, .npz or .csv: write them there instead.

    Raises:
        PlausibleError: n < 2, a model that does not encode and decode, or a file that cannot be written.
    """
    steps, path, model = (
        _checked(n, out),
        None if out is None else checked_out(out, SAMPLE_WRITERS),
        run.model,
    )
    if not isinstance(model, Coding):
        raise lacking(model, "code that can be decoded", "encode")
    walks = along(model, run.data(), steps)
    return run.give(walks.flatten(0, 1), as_=as_) if path is None else write_walks(walks, run, path)


def _checked(n: int | None, out: object) -> int:
    if n is not None and n < 2:
        raise PlausibleError(f"n is the number of steps here, and must be at least 2, not {n}")
    return STEPS if n is None else n


def _row(run: Opened, x: Any) -> np.ndarray:
    """One example, (1, *shape), float32: of the test split by its number, or as given."""
    if isinstance(x, int | np.integer):
        return run.test_rows([int(x)], "interpolate")
    rows = run.rows(x)
    if len(rows) != 1:
        raise PlausibleError(f"interpolate goes from one example to another: give one, not {len(rows)}")
    return rows.take(np.array([0]))[0]


def _drawn(model: Generating, x: Any) -> Tensor:
    """The code of a number, (1, latent), from the prior."""
    if not isinstance(x, int | np.integer) or x < 0:
        raise PlausibleError(
            f"{type(model).__name__} does not encode rows: interpolate between codes drawn from its prior, named by "
            "numbers from 0 on"
        )
    with own_randomness(torch.device("cpu")), torch.no_grad():
        seed_torch(hash32(int(x), "interpolate"), device_of(cast(nn.Module, model)))
        return model.draw_prior(1).cpu()


def between(model: Coding, data: Data, a: int, b: int, steps: int, *, straight: bool = False) -> Tensor:
    """What lies between two rows of the test split, (1, steps, *shape)."""
    ends = applied(model.encode, on_device_of(model, data.test.take(np.array([a, b]))[0])).cpu()
    path = (codes.linear if straight else codes.slerp)(ends[0], ends[1], steps)
    return applied(model.decode, on_device_of(model, path)).cpu()[None]


def along(model: Coding, data: Data, steps: int) -> Tensor:
    """What is decoded along each dimension, (dimensions, steps, *shape)."""
    rows = data.train.take(np.arange(min(CODES, len(data.train))))[0]
    moved = codes.traversal(applied(model.encode, on_device_of(model, rows)).cpu(), steps)
    return applied(model.decode, on_device_of(model, moved.flatten(0, 1))).cpu().unflatten(0, moved.shape[:2])


def on_device_of(model: Any, x: np.ndarray | Tensor) -> Tensor:
    """x where the model's parameters are."""
    return torch.as_tensor(x).to(device_of(cast(nn.Module, model)))


def write_walks(walks: Tensor, run: Opened, path: Path) -> Path:
    """Write (walks, steps, *shape): images to .png with a walk a row, else one after the other as samples are.

    Raises:
        PlausibleError: the file cannot be written.
    """
    samples = walks.flatten(0, 1).numpy()
    if path.suffix != ".png" or samples.ndim != 4:
        return write_samples(samples, run.schema, path)
    said = f"{len(walks)} walks through the code space, {walks.shape[1]} steps each, from left to right"
    info = {"kind": "walks", "n": str(len(samples)), "Description": said}
    return write_whole(path, png(grid(samples, columns=walks.shape[1]), info))
