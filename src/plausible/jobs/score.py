"""How plausible each row is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from plausible.data import Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.complete import Placing
from plausible.jobs.loading import checked_out, lacking
from plausible.jobs.opened import Opened
from plausible.metrics.scores import SCORES, blockwise, scorable, scorer
from plausible.report.pixels import surprise_map
from plausible.report.writers import write_array
from plausible.runs import write_whole, writing_whole

__all__ = ["score"]

PICTURED = 12
"""Rows whose surprise is drawn."""


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
    """A score of each row of the data, in their own order; higher is more plausible.

    | by | score of x | unit |
    |---|---|---|
    | log_prob | log p(x) | nats |
    | bound | log_prob_bound(x, samples): in expectation at most log p(x) | nats |
    | reconstruction | −‖x − reconstruct(x)‖², summed over the values of x | of the data, squared |
    | critic | the discriminator's logit | — |

    The random numbers of a bound are seeded by `seed` and by where a block of at most 1,000 rows begins: the score of a
    row depends on the rows of its block, whose noise is drawn with its own, and on no others. A score that is too low
    for float32 is −∞.

    Args:
        run: whose model scores.
        data: anything that `train` takes; columns with names are matched by name.
        by: what to score by; default the first of the table that the model has.
        per_pixel: log p(x_i | those before it) of each value instead, in its place: (n, *shape).
        samples: k, the number of samples of a bound.
        seed: random seed of these.
        out: FILE.csv (columns row, counted from 0, and the score, named by its header) or FILE.npy; with per_pixel
            FILE.npy, or FILE.png: the first PICTURED rows, images, each beside a map of −log p.
        say: told what the scores are, in a line.

    Returns: (n,) or (n, *shape), float32; the path where there is `out`.

    Raises:
        PlausibleError: a model that lacks what to score by, samples < 1, unfit data, or a file that cannot be written.
    """
    if out is not None and str(out).endswith(".png") and not per_pixel:
        raise PlausibleError(
            f"--out {out}: a picture shows each pixel's score: add --per-pixel, or end in .csv, .npy"
        )
    path = None if out is None else checked_out(out, (".npy", ".png") if per_pixel else (".csv", ".npy"))
    if samples < 1:
        raise PlausibleError(f"--samples must be at least 1, not {samples}")
    if by is not None and by not in SCORES:
        raise PlausibleError(f"--by {by}: choose one of {', '.join(SCORES)}")
    if per_pixel and by not in (None, "log_prob"):
        raise PlausibleError(f"--per-pixel is of log_prob, not of {by}: drop --by")
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
    """NaN is what an overflow leaves of a value far beyond the training rows: it counts as −∞, and that is said."""
    lost = np.isnan(scores)
    if lost.any():
        warnings.warn(
            f"{lost.sum():,} scores are too low for float32 and are given as -inf, the first of row {lost.argmax()}",
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
    """The terms of log p(x), each in the place of its variable."""
    model = run.model
    if not isinstance(model, Placing):
        raise lacking(model, "probability of each pixel", "log_prob_terms")
    rows, pictured = run.rows(data), path is not None and path.suffix == ".png"
    n = min(PICTURED, len(rows)) if pictured else len(rows)
    blocks = blockwise(lambda x: model.unordered(model.log_prob_terms(x)), rows, 0, np.arange(n))
    said = f"log p(x_i | those before it) [nats], of {n:,} rows; higher is more plausible"
    if path is None:
        found: Any = run.numbers(np.concatenate([block for _, block in blocks]), data)
    elif not pictured:
        found = write_array((block for _, block in blocks), n, path)
    else:
        if len(rows.shape) != 3:
            raise PlausibleError(f"--out {path}: rows of {rows.shape} are no pictures: name a .npy")
        terms = np.concatenate([block for _, block in blocks])
        found = write_whole(path, surprise_map(rows.take(np.arange(n))[0], -terms))
        said = f"−log p(x_i | those before it) [nats], of the first {n:,} rows; brighter is less plausible"
    if say is not None:
        say(said)
    return found


def _chosen(model: GenerativeModel, by: str | None) -> str:
    """What to score by: the first that the model has, or the one asked for."""
    has = scorable(model)
    if by in has or (by is None and has):
        return by or has[0]
    ways = [f"score --by {' or '.join(has)}"] if has else []
    if by in ("log_prob", "bound"):
        ways.append("evaluate --metrics parzen")
        raise lacking(
            model, "density" if by == "log_prob" else "bound", *_methods("log_prob", "bound"), ways=ways
        )
    raise lacking(model, f"{by or 'score'}", *_methods(*([by] if by else SCORES)), ways=ways)


def _methods(*names: str) -> list[str]:
    return [SCORES[name][0] for name in names]
