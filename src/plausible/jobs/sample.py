"""New examples, or pictures of how they come about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.complete import Placing
from plausible.jobs.loading import applied, blocks_of, checked_out, draw, lacking
from plausible.jobs.opened import Opened
from plausible.report.images import gif, grid, png
from plausible.report.pixels import film, strip
from plausible.report.writers import SAMPLE_WRITERS, write_blocks
from plausible.runs import write_whole

__all__ = ["sample", "sampling_order"]

STEPS, FRAMES = 8, 49
FRAME_SECONDS, LAST_SECONDS = 0.1, 2.0


def sample(
    run: Opened,
    n: int | None = None,
    *,
    seed: int = 0,
    label: str | int | list[str | int] | tuple[str | int, ...] | None = None,
    as_: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Any:
    """n new examples, the same for the same seed.

    Args:
        run: what to sample from.
        n: how many, default 64; with labels as many more as fill the last turn.
        seed: random seed.
        label: of a conditional model: the samples' classes, in turn, by their names in the data, or by number.
        as_: what they are given back in; default what the training data came in.
        out: FILE.png (a picture), .npy, .npz (key x) or .csv (one row each): write them there, block by block, instead.

    Returns: the samples, or the path that was written.

    Raises:
        PlausibleError: n < 1, a label that the data do not have, or a file that cannot be written.
    """
    if n is not None and n < 1:
        raise PlausibleError(f"n must be at least 1, not {n}")
    path = None if out is None else checked_out(out, SAMPLE_WRITERS)
    labels = None if label is None else torch.tensor(run.classes(label))
    count = 64 + (0 if labels is None else -64 % len(labels)) if n is None else n
    y = None if labels is None else labels.repeat(-(-count // len(labels)))[:count]
    blocks = blocks_of(run.model, count, seed=seed, y=y)
    if path is None:
        return run.give(torch.cat(list(blocks)), as_=as_)
    if path.suffix == ".png" and run.schema.picture and labels is not None and len(labels) > 1:
        return _columns(torch.cat(list(blocks)).numpy(), len(labels), label, path)
    return write_blocks((block.numpy() for block in blocks), count, run.schema, path)


def _columns(samples: np.ndarray, labels: int, names: Any, path: Path) -> Path:
    """Pictures of several classes: a column for each."""
    said = f"{len(samples)} images, a column for each label: {', '.join(map(str, names))}"
    info = {"kind": "labels", "n": str(len(samples)), "Description": said}
    return write_whole(path, png(grid(samples, min(len(samples), labels)), info))


def sampling_order(run: Opened, n: int | None = None, *, seed: int = 0, out: str | os.PathLike[str]) -> Path:
    """Write a picture of n samples as they are made, pixel by pixel along the model's order.

    A .png has a sample a row, a column each eighth of the pixels, and for binary images last
    p(x_i = 1 | those before it); a .gif shows all samples as they grow.

    Args:
        run: what to sample from.
        n: how many samples, default 9.
        seed: random seed.
        out: FILE.png or FILE.gif.

    Raises:
        PlausibleError: a model without one order, samples that are no images, or a file that cannot be written.
    """
    path, n = checked_out(out, (".png", ".gif")), 9 if n is None else n
    model = run.model
    if not isinstance(model, Placing):
        raise lacking(model, "order of the pixels", "log_prob_terms")
    if not model.one_order:
        raise PlausibleError(
            f"this {type(model).__name__} is a mean over several orderings, of which each sample has its own: train "
            "it with one"
        )
    model = cast(GenerativeModel, model)
    if len(model.shape) != 3:
        raise PlausibleError(
            f"the sampling order is shown on pictures, and an example of {model.shape} is none"
        )
    x = draw(model, n, seed=seed)
    if path.suffix == ".gif":
        frames = film(x.numpy(), _moments(model, FRAMES))
        return write_whole(path, gif(frames, FRAME_SECONDS, LAST_SECONDS))
    there, names = np.stack(_moments(model, STEPS + 1)[1:]), {0: f"1/{STEPS} of the pixels", STEPS - 1: "all"}
    images, there = x.numpy()[:, None].repeat(STEPS, 1), np.broadcast_to(there, (n, *there.shape))
    said = f"{n} samples along the order in which their pixels are drawn"
    if model.domain == "binary":
        p = probabilities(model, x).numpy()[:, None]
        images, there = np.concatenate([images, p], 1), np.concatenate([there, np.ones_like(there[:, :1])], 1)
        names, said = names | {STEPS: "p"}, f"{said}; last, p(x_i = 1 | those before it)"
    return write_whole(path, strip(images, there, names, said))


def probabilities(model: Placing, x: Tensor) -> Tensor:
    """p(x_i = 1 | those before it) of binary examples, (B, *shape) → (B, *shape)."""
    as_it_is = applied(lambda x: model.unordered(model.log_prob_terms(x)), x).exp().cpu()
    return torch.where(x == 1, as_it_is, 1 - as_it_is)


def _moments(model: Placing, count: int) -> list[np.ndarray]:
    """Which pixels are drawn, bool (*shape), at so many moments from none to all."""
    place = model.unordered(torch.arange(model.size)[None])[0].numpy()
    return [place < step for step in np.linspace(0, model.size, count).round()]
