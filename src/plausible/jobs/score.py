"""Score each row: how plausible it is under the model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from plausible.capabilities import Autoregressive, in_place, lacks, require
from plausible.data import Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import checked_out
from plausible.jobs.opened import Opened
from plausible.metrics.scores import SCORES, blockwise, scorable, scorer
from plausible.report.pixels import surprise_map
from plausible.report.writers import write_array
from plausible.runs import write_whole, writing_whole

__all__ = ["score"]

PICTURED = 12
"""The maximum number of rows in a picture of per-pixel scores."""


def score(
    run: Opened,
    data: Any,
    *,
    by: str | None = None,
    per_pixel: bool = False,
    samples: int = 50,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    say: Callable[[str], object] | None = None,
) -> Any:
    """Score each row of the data, in order; higher is more plausible.

    | by | score of x | unit |
    |---|---|---|
    | log_prob | log p(x) | nats |
    | bound | log_prob_bound(x, samples): in expectation at most log p(x) | nats |
    | reconstruction | −‖x − reconstruct(x)‖², summed over the values of x | of the data, squared |
    | critic | the discriminator's logit | — |

    A bound is estimated in blocks of at most 1,000 rows, each seeded by `seed` and its first row's position, so a row's
    score depends on the rows of its block and on no others. A score that is too low for float32 is −∞.

    Args:
        run: the run whose model scores.
        data: anything that `train` takes; columns with names are matched by name.
        by: which score. Default: the first of the table that the model has.
        per_pixel: return log p(x_i | x_<i) of each value instead, in its place: (n, *shape).
        samples: k, the number of samples for a bound.
        seed: random seed of the bound.
        out: write to FILE.csv (columns: row, counted from 0, and the score) or FILE.npy; with per_pixel to FILE.npy, or
            to FILE.png: the first PICTURED rows, each image next to a map of −log p.
        say: called with a line that names the score.

    Returns: (n,) or (n, *shape), float32; the path where there is `out`.

    Raises:
        PlausibleError: a model that lacks what to score by, samples < 1, unfit data, or a file that cannot be written.
    """
    if out is not None and str(out).endswith(".png") and not per_pixel:
        raise PlausibleError(
            f"--out {out}: a picture shows the score of each pixel: add --per-pixel, or use .csv or .npy"
        )
    path = None if out is None else checked_out(out, (".npy", ".png") if per_pixel else (".csv", ".npy"))
    if samples < 1:
        raise PlausibleError(f"--samples must be at least 1, not {samples}")
    if by is not None and by not in SCORES:
        raise PlausibleError(f"--by {by}: choose one of {', '.join(SCORES)}")
    if per_pixel and by not in (None, "log_prob"):
        raise PlausibleError(f"--per-pixel works with log_prob only, not {by}: remove --by")
    if per_pixel:
        return _score_pixels(run, data, path, say)
    by = _chosen(run.model, by)
    rows = run.rows(data)
    blocks = blockwise(scorer(run.model, by, samples), rows, seed)
    scores = _finite(np.concatenate([block for _, block in blocks]).astype(np.float32))
    name = SCORES[by][1].format(k=samples)
    if say is not None:
        say(f"{name}, of {len(rows):,} rows; higher is more plausible")
    return run.numbers(scores, data) if path is None else _write(scores, rows, name, path)


def _finite(scores: np.ndarray) -> np.ndarray:
    """Replace NaN, which an overflow leaves for values far from the training rows, by −∞, with a warning."""
    lost = np.isnan(scores)
    if lost.any():
        warnings.warn(
            f"{lost.sum():,} scores are too low for float32 and returned as -inf, the first for row {lost.argmax()}",
            stacklevel=3,
        )
        scores[lost] = -np.inf
    return scores


def _write(scores: np.ndarray, rows: Rows, name: str, path: Path) -> Path:
    with writing_whole(path) as file:
        if path.suffix == ".npy":
            np.save(file, scores, allow_pickle=False)
        else:
            file.write(f"row,{name}\n".encode())
            file.writelines(
                f"{row},{value:.9g}\n".encode() for row, value in zip(rows.ids, scores, strict=True)
            )
    return path


def _score_pixels(run: Opened, data: Any, path: Path | None, say: Callable[[str], object] | None) -> Any:
    """The terms of log p(x), each in the position of its variable."""
    model, chain = run.model, require(run.model, Autoregressive)
    rows, pictured = run.rows(data), path is not None and path.suffix == ".png"
    n = min(PICTURED, len(rows)) if pictured else len(rows)
    blocks = blockwise(lambda x: in_place(model, chain.log_prob_terms(x)), rows, 0, np.arange(n))
    said = f"log p(x_i | x_<i) [nats], of {n:,} rows; higher is more plausible"
    if path is None:
        found: Any = run.numbers(np.concatenate([block for _, block in blocks]), data)
    elif not pictured:
        found = write_array((block for _, block in blocks), n, path)
    else:
        if len(rows.shape) != 3:
            raise PlausibleError(f"--out {path}: rows of shape {rows.shape} are not images: use a .npy file")
        terms = np.concatenate([block for _, block in blocks])
        found = write_whole(path, surprise_map(rows.take(np.arange(n))[0], -terms))
        said = f"−log p(x_i | x_<i) [nats], of the first {n:,} rows; brighter is less plausible"
    if say is not None:
        say(said)
    return found


def _chosen(model: GenerativeModel, by: str | None) -> str:
    """The score to use: the one asked for, or the first that the model has."""
    has = scorable(model)
    if by in has or (by is None and has):
        return by or has[0]
    instead = [f"score --by {' or '.join(has)}"] if has else []
    if by in ("log_prob", "bound"):
        instead.append("evaluate --metrics parzen")
    if by is None:
        raise PlausibleError(
            f"{type(model).__name__} has no score: train a model with a density, such as nade, a bound, such as vae, a "
            "reconstruction, such as autoencoder, or a critic, such as gan"
        )
    raise lacks(model, SCORES[by][0], instead=instead)
