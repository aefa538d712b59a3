"""Complete examples of which a part is given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plausible.capabilities import Completion, Filling, require
from plausible.data.frames import is_frame
from plausible.errors import PlausibleError
from plausible.jobs.loading import applied, checked_out
from plausible.jobs.opened import Opened
from plausible.report.pixels import strip
from plausible.report.writers import SAMPLE_WRITERS, write_samples
from plausible.runs import write_whole
from plausible.training.seeding import hash32

__all__ = ["complete", "fillings", "known", "typical"]

MEDIAN_OF = 25
"""Completions that a median is taken of: an odd number, so that it is one of them."""
FILLED = 2000
"""Rows that are filled at a time."""


def complete(
    run: Opened,
    rows: Any,
    n: int | None = None,
    *,
    given: Any = None,
    median: bool = False,
    seed: int = 0,
    as_: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Any:
    """Sample n completions of each row, given a part of it; those of a row follow each other.

    The completions of a row depend on `seed` and the row's number only; with given="known" on the rows before it too.

    Args:
        run: the run whose model completes.
        rows: numbers of rows of the test split, counted from 0; or rows in any form that the data come in.
        n: completions per row. Default: 8; with given="known" 1.
        given: the given part: top, bottom, left or right, or a mask of an example's shape, an array or FILE.npy of 0
            and 1, 1 where a value is given; or known: of each row the cells that are not missing, so that its missing
            cells are filled. Default: top; of tables with words or missing cells known.
        median: with given="known", fill each cell with the median of MEDIAN_OF completions, of words with the most
            frequent one, instead of one completion. Errors are smallest so, but rows are less varied than real ones.
        seed: random seed.
        as_: container of the result. Default: that of the rows.
        out: write to this file instead: .png (one row per example: original, given part, completions), .npy, .npz or
            .csv.

    Returns: the rows, or `out`; with given="known" and one completion of each row of a DataFrame, a copy of that with
        its missing cells filled and all else as it was.

    Raises:
        PlausibleError: no such row or mask, n < 1, a model that does not complete, or one whose order forbids it.
    """
    path = None if out is None else checked_out(out, SAMPLE_WRITERS)
    if given is None:
        given = "known" if run.schema.domain == "mixed" else "top"
    if isinstance(given, str) and given == "known":
        return _fill(run, rows, n, median=median, seed=seed, as_=as_, path=path)
    if median:
        raise PlausibleError("median fills the missing cells of rows: it needs given='known'")
    n = 8 if n is None else n
    model = require(run.model, Completion)
    places, taken = _places(rows), None
    if places is None:
        taken = run.rows(rows)
        places, values = list(range(len(taken))), taken.array()
    else:
        values = run.test_rows(places, "complete")
    mask, x = torch.from_numpy(known(given, run.schema.shape)), torch.from_numpy(values)
    drawn = torch.stack(
        [
            applied(lambda x: model.complete(x, mask, n), each, hash32(seed, "complete", place)).cpu()
            for place, each in zip(places, x, strict=True)
        ]
    )
    flat = drawn.flatten(0, 1)
    if path is None:
        return run.give(flat, taken, as_)
    if path.suffix != ".png" or len(run.schema.shape) != 3:
        return write_samples(flat.numpy(), run.schema, path)
    images = torch.cat([x[:, None], x[:, None], drawn], 1).numpy()
    there = np.ones(images.shape, dtype=bool)
    there[:, 1] = mask
    said = f"rows {', '.join(map(str, places))}, the given part of each, and {n} completions"
    return write_whole(path, strip(images, there, {0: "original", 1: "given", 2: "completed"}, said))


def _fill(
    run: Opened, rows: Any, n: int | None, *, median: bool, seed: int, as_: str | None, path: Path | None
) -> Any:
    """Rows with their missing cells filled, n times each."""
    model = require(run.model, Filling)
    if n is not None and (n < 1 or (median and n > 1)):
        raise PlausibleError(f"n must be {'1 with median' if median else 'at least 1'}, not {n}")
    places = _places(rows)
    taken = run.rows(rows) if places is None else None
    values = taken.array() if taken is not None else run.test_rows(places or [], "complete")
    x = torch.from_numpy(values)
    count = MEDIAN_OF if median else n or 1
    each = fillings(model, x, count, seed)
    drawn = typical(each, run.schema.levels) if median else each.flatten(0, 1)
    if path is not None:
        return write_samples(drawn.numpy(), run.schema, path)
    if as_ is None and is_frame(rows) and len(drawn) == len(x):
        from plausible.data.frameparts import filled_in, library_of  # it imports narwhals

        return filled_in(rows, run.give(drawn, taken, library_of(rows)))
    return run.give(drawn, taken, as_)


def fillings(model: Filling, x: torch.Tensor, n: int, seed: int) -> torch.Tensor:
    """Rows with their missing cells filled by samples given the others, n times each, (rows, D) → (rows, n, D)."""
    many = x.repeat_interleave(n, 0)
    blocks = [
        applied(lambda x: model.fill(x, ~x.isnan(), present=True), block, hash32(seed, "fill", start)).cpu()
        for start, block in enumerate(many.split(FILLED))
    ]
    return torch.cat(blocks).unflatten(0, (len(x), n))


def typical(drawn: torch.Tensor, levels: tuple[int, ...]) -> torch.Tensor:
    """The median of each number and the most frequent level, (rows, n, D) → (rows, D); of a given cell that itself."""
    found = drawn.nanmedian(1).values
    for i, count in enumerate(levels):
        if count:
            found[:, i] = drawn[:, :, i].mode(1).values
    return found


def _places(rows: Any) -> list[int] | None:
    """The numbers of rows, if numbers were given; None if rows were."""
    if isinstance(rows, int | np.integer):
        return [int(rows)]
    if isinstance(rows, list | tuple) and all(isinstance(row, int | np.integer) for row in rows):
        if not rows:
            raise PlausibleError("complete needs at least one row of the test split")
        return [int(row) for row in rows]
    return None


def known(given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The mask of the given part: a half of an image or of the features, or a mask from an array or FILE.npy.

    Args:
        given: top, bottom, left, right, or an array or FILE.npy of 0 and 1 of the example's shape (for an image, its
            height and width suffice).
        shape: the shape of an example.

    Returns: bool, of that shape.

    Raises:
        PlausibleError: none of these, or no such array.
    """
    if not isinstance(given, str | os.PathLike):
        return _as_mask(np.asarray(given), "the array given", shape)
    given = os.fspath(given)
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
        raise PlausibleError(f"--given {given}: for examples of shape {shape} use {allowed} or FILE.npy")
    return _from_file(given, shape)


def _from_file(file: str | os.PathLike[str], shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PlausibleError(f"--given {file} could not be read: {error}") from error
    return _as_mask(array, f"--given {file}", shape)


def _as_mask(array: np.ndarray, what: str, shape: tuple[int, ...]) -> np.ndarray:
    fits = array.shape == shape or (len(shape) == 3 and array.shape == shape[1:])
    if not (fits and np.isin(array, (0, 1)).all()):
        raise PlausibleError(
            f"{what} must hold only 0 and 1 (1: given) and have shape {shape}, not {array.shape}"
        )
    return np.broadcast_to(array, shape).astype(bool)
