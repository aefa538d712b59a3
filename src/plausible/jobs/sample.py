"""Sample new examples, or show the order in which an autoregressive model samples them."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Autoregressive, in_place, require
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import applied, checked_out, names_folder
from plausible.jobs.opened import Opened
from plausible.jobs.sampling import BLOCK, sample_blocks, sample_model
from plausible.jobs.where import parse_where
from plausible.report.images import gif, grid, png
from plausible.report.picture_folder import check_pictures, write_folder
from plausible.report.pixels import film, strip
from plausible.report.writers import SAMPLE_WRITERS, write_blocks
from plausible.runs import write_whole

__all__ = ["sample", "sampling_order"]

MOST_SAMPLED = 200_000
"""Samples that are tried for a condition, at most."""
STEPS, FRAMES = 8, 49
FRAME_SECONDS, LAST_SECONDS = 0.1, 2.0


def sample(
    run: Opened,
    n: int | None = None,
    *,
    seed: int = 0,
    label: str | int | list[str | int] | tuple[str | int, ...] | None = None,
    where: str | None = None,
    say: Callable[[str], object] | None = None,
    as_: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Any:
    """Sample n new examples; the same seed gives the same samples.

    Args:
        run: the run to sample from.
        n: number of samples. Default: 64, rounded up to a multiple of the number of labels.
        seed: random seed.
        label: classes to sample in turn, by their names in the data or by number (conditional models only).
        where: a condition on the rows of a table, see `plausible.jobs.where`: `age > 60 and job == "cook"`. Samples
            that do not meet it are rejected, so those that are returned follow the model given the condition, exactly.
        say: called with a line about the share of samples that met the condition.
        as_: container of the result. Default: that of the training data.
        out: write to this file instead, in blocks: .png (of one sample of pictures that picture in its own size, of
            more a contact sheet), .npy, .npz (key x) or .csv (one row each). Or a folder, which is one that is there or
            a name without an ending: 000000.png, … of their own size; a folder left unfinished is continued.

    Returns: the samples, or the path of the file or folder.

    Raises:
        PlausibleError: n < 1, a label that the data do not have, a file that cannot be written, or a condition that
            cannot be read, or that fewer than n of MOST_SAMPLED samples meet.
    """
    if n is not None and n < 1:
        raise PlausibleError(f"n must be at least 1, not {n}")
    path = None if out is None else checked_out(out, SAMPLE_WRITERS, folder=True)
    labels = None if label is None else torch.tensor(run.classes(label))
    count = 64 + (0 if labels is None else -64 % len(labels)) if n is None else n
    y = None if labels is None else labels.repeat(-(-count // len(labels)))[:count]
    if path is not None and names_folder(path):
        if where is not None:
            raise PlausibleError("--where is for the rows of a table, which are no pictures: name a .csv")
        return _folder(run, count, seed, y, path)
    if where is None:
        blocks = sample_blocks(run.model, count, seed=seed, y=y)
    elif labels is None:
        blocks = iter([_meeting(run, where, count, seed, say)])
    else:
        raise PlausibleError("--where and --label cannot be given together: leave one out")
    if path is None:
        return run.give(torch.cat(list(blocks)), as_=as_, generated=True)
    if path.suffix == ".png" and run.schema.picture and labels is not None and len(labels) > 1:
        return _columns(torch.cat(list(blocks)).numpy(), len(labels), label, path)
    return write_blocks((block.numpy() for block in blocks), count, run.schema, path, generated=True)


def _folder(run: Opened, n: int, seed: int, y: Tensor | None, path: Path) -> Path:
    """A folder of pictures: what is there already is not sampled again, block by block."""
    check_pictures(run.schema, path)
    record = {
        "format": 1,
        "model": run.config.model.name,
        "weights": _hash_of(run.model),
        "seed": seed,
        "n": n,
        "labels": None if y is None else hashlib.sha256(y.numpy().astype("<i8").tobytes()).hexdigest(),
    }

    def blocks(missing: int) -> Iterator[tuple[int, np.ndarray]]:
        first = missing // BLOCK
        found = sample_blocks(run.model, n, seed=seed, y=y, first=first)
        return ((i * BLOCK, block.numpy()) for i, block in enumerate(found, first))

    return write_folder(blocks, n, run.schema, path, record)


def _hash_of(model: GenerativeModel) -> str:
    """SHA-256 of a model's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _meeting(run: Opened, where: str, n: int, seed: int, say: Callable[[str], object] | None) -> Tensor:
    """n samples that meet a condition: all others are rejected, in the order in which they are sampled."""
    meets, kept, tried = parse_where(where, run.schema), [], 0
    for block in sample_blocks(run.model, MOST_SAMPLED, seed=seed):
        found = block[torch.from_numpy(meets(block.numpy()))]
        kept.append(found)
        tried += len(block)
        if sum(map(len, kept)) >= n:
            break
    accepted = sum(map(len, kept))
    share = f"{accepted:,} of {tried:,} samples meet the condition ({accepted / tried:.2%})"
    if accepted < n:
        raise PlausibleError(
            f"--where {where!r}: {share}: ask for fewer than {n:,}, or for a condition that is less rare"
        )
    if say is not None:
        say(f"rejection sampling: {share}")
    return torch.cat(kept)[:n]


def _columns(samples: np.ndarray, labels: int, names: Any, path: Path) -> Path:
    """A picture of several classes, one column per class."""
    said = f"{len(samples)} images, one column per label: {', '.join(map(str, names))}"
    info = {"kind": "labels", "n": str(len(samples)), "Description": said}
    return write_whole(path, png(grid(samples, min(len(samples), labels)), info))


def sampling_order(run: Opened, n: int | None = None, *, seed: int = 0, out: str | os.PathLike[str]) -> Path:
    """Write a picture of n samples as they are generated, pixel by pixel in the model's order.

    A .png has one row per sample and one column per eighth of the pixels; for binary images the last column shows
    p(x_i = 1 | x_<i). A .gif animates all samples.

    Args:
        run: the run to sample from.
        n: number of samples. Default: 9.
        seed: random seed.
        out: FILE.png or FILE.gif.

    Raises:
        PlausibleError: a model without one order, samples that are no images, or a file that cannot be written.
    """
    path, n = checked_out(out, (".png", ".gif")), 9 if n is None else n
    require(run.model, Autoregressive)
    model = run.model
    if len(model.shape) != 3:
        raise PlausibleError(
            f"the sampling order can only be shown for images, and examples have shape {model.shape}"
        )
    x = sample_model(model, n, seed=seed)
    if path.suffix == ".gif":
        frames = film(x.numpy(), _moments(model, FRAMES))
        return write_whole(path, gif(frames, FRAME_SECONDS, LAST_SECONDS))
    there, names = np.stack(_moments(model, STEPS + 1)[1:]), {0: f"1/{STEPS} of the pixels", STEPS - 1: "all"}
    images, there = x.numpy()[:, None].repeat(STEPS, 1), np.broadcast_to(there, (n, *there.shape))
    said = f"{n} samples in the order in which their pixels are sampled"
    if model.domain == "binary":
        p = probabilities(model, x).numpy()[:, None]
        images, there = np.concatenate([images, p], 1), np.concatenate([there, np.ones_like(there[:, :1])], 1)
        names, said = names | {STEPS: "p"}, f"{said}; last column: p(x_i = 1 | x_<i)"
    return write_whole(path, strip(images, there, names, said))


def probabilities(model: GenerativeModel, x: Tensor) -> Tensor:
    """p(x_i = 1 | x_<i) of binary examples, (B, *shape) → (B, *shape)."""
    chain = require(model, Autoregressive)
    p_of_value = applied(lambda x: in_place(model, chain.log_prob_terms(x)), x).exp().cpu()
    return torch.where(x == 1, p_of_value, 1 - p_of_value)


def _moments(model: GenerativeModel, count: int) -> list[np.ndarray]:
    """Masks of the pixels sampled so far, bool (*shape), at `count` moments from none to all."""
    size = math.prod(model.shape)
    place = in_place(model, torch.arange(size)[None])[0].numpy()
    return [place < step for step in np.linspace(0, size, count).round()]
