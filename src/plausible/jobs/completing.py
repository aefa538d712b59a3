"""What a model with a density makes of half a picture, and the order in which it draws a whole one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import RunLike, applied, as_run, draw, lacking, load
from plausible.report.pictures import gif
from plausible.report.samples import write_samples
from plausible.report.strips import film, strip
from plausible.runs import write_whole
from plausible.training.seeding import hash32

STEPS, FRAMES = 8, 49
FRAME_SECONDS, LAST_SECONDS = 0.1, 2.0


@runtime_checkable
class Completing(Protocol):
    """A model that goes on from what is given."""

    def complete(self, x: Tensor, mask: Tensor, n: int) -> Tensor:
        """(*shape), (*shape) bool → (n, *shape)."""
        ...


@runtime_checkable
class Placing(Protocol):
    """A model with one order of the variables, along which it gives each its probability."""

    one_order: bool
    size: int

    def log_prob_terms(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, size), in the model's order, nats."""
        ...

    def unordered(self, x: Tensor) -> Tensor:
        """(B, size) → (B, *shape)."""
        ...


def write_completions(
    run: RunLike, rows: Sequence[int], given: str, n: int, path: Path, *, seed: int = 0, at: int | None = None
) -> Path:
    """Write n completions of each of some rows of the run's test split: of images to .png beside the original.

    Elsewhere they stand one after the other, n a row, as samples do. The draws of a row depend on `seed` and the row.

    Raises:
        PlausibleError: no such run, row or mask, a model without `complete`, or one whose order does not allow it.
    """
    if not rows:
        raise PlausibleError("--complete ROW…: name at least one row of the test split")
    run = as_run(run)
    model = load(run, at=at)
    if not isinstance(model, Completing):
        raise lacking(model, "completion", "complete")
    data = load_data(run.config().data.source or "")
    if bad := [row for row in rows if not 0 <= row < len(data.test)]:
        raise PlausibleError(
            f"--complete {bad[0]}: the test split of {data.spec} has rows 0 to {len(data.test) - 1}"
        )
    mask = torch.from_numpy(known(given, model.shape))
    x = torch.from_numpy(data.test.take(np.array(rows))[0])
    drawn = torch.stack(
        [
            applied(lambda x: model.complete(x, mask, n), each, hash32(seed, "complete", row)).cpu()
            for row, each in zip(rows, x, strict=True)
        ]
    )
    if path.suffix != ".png" or len(model.shape) != 3:
        return write_samples(drawn.flatten(0, 1).numpy(), path)
    images = torch.cat([x[:, None], x[:, None], drawn], 1).numpy()
    there = np.ones(images.shape, dtype=bool)
    there[:, 1] = mask
    said = f"rows {', '.join(map(str, rows))} of the test split, what is given of each, and {n} completions"
    return write_whole(path, strip(images, there, {0: "original", 1: "given", 2: "completed"}, said))


def known(given: str, shape: tuple[int, ...]) -> np.ndarray:
    """What is given: a half of a picture, the left one of a row of features, or what FILE.npy says.

    Args:
        given: top, bottom, left, right, or the path of an array of 0 and 1, of the example's shape (of an image:
            or its height and width).
        shape: of an example.

    Returns: bool, of that shape.

    Raises:
        PlausibleError: none of these, or no such array.
    """
    mask = np.zeros(shape, dtype=bool)
    height, width = (1, *shape)[-2:]
    halves = {
        "top": np.s_[..., : height // 2, :],
        "bottom": np.s_[..., height // 2 :, :],
        "left": np.s_[..., : width // 2],
        "right": np.s_[..., width // 2 :],
    }
    if given in halves and (len(shape) == 3 or given in ("left", "right")):
        mask[halves[given]] = True
        return mask
    if not given.endswith(".npy"):
        allowed = ", ".join(halves if len(shape) == 3 else ("left", "right"))
        raise PlausibleError(f"--given {given}: of examples of {shape}, name {allowed} or FILE.npy")
    return _from_file(given, shape)


def _from_file(file: str | os.PathLike[str], shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PlausibleError(f"--given {file} could not be read: {error}") from error
    fits = array.shape == shape or (len(shape) == 3 and array.shape == shape[1:])
    if not (fits and np.isin(array, (0, 1)).all()):
        raise PlausibleError(
            f"--given {file} must hold 0 and 1, 1 where a value is given, in the shape {shape}: it is {array.shape}"
        )
    return np.broadcast_to(array, shape).astype(bool)


def write_steps(run: RunLike, n: int, path: Path, *, seed: int = 0, at: int | None = None) -> Path:
    """Write n samples of images as they were drawn, pixel by pixel along the model's order.

    A .png has a sample a row, a column each eighth of the pixels, and for binary images last
    p(x_i = 1 | those before it); a .gif shows all samples as they grow.

    Raises:
        PlausibleError: no such run, a model without one order, or samples that are no images.
    """
    model = load(run, at=at)
    if not isinstance(model, Placing):
        raise lacking(model, "order of the pixels", "log_prob_terms")
    if not model.one_order:
        raise PlausibleError(
            f"this {type(model).__name__} is a mean over several orderings, of which each sample has its own: train "
            "it with one"
        )
    model = cast(GenerativeModel, model)
    if len(model.shape) != 3:
        raise PlausibleError(f"--steps draws pictures, and an example of {model.shape} is none")
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
