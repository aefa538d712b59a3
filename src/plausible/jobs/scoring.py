"""What a trained model says of given rows: a code for each, or how plausible each is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from plausible.data import Rows, load_rows
from plausible.errors import PlausibleError
from plausible.evaluation.scores import SCORES, blockwise, check_domain, scorable, scorer
from plausible.game import GenerativeModel
from plausible.jobs.completing import Placing
from plausible.jobs.loading import RunLike, as_run, checked_out, lacking, load
from plausible.report.strips import surprise_map
from plausible.runs import RunFolder, write_whole, writing_whole

PICTURED = 12
"""Rows whose surprise is drawn."""


def encode(run: RunLike, data: str, *, out: str | os.PathLike[str], at: int | None = None) -> Path:
    """Write the codes of all rows of the data, in their own order: (n, features), float32.

    Args:
        run: the run folder.
        data: a SPEC.
        out: FILE.npy; written block by block, whole or not at all.
        at: the tick of a checkpoint.

    Raises:
        PlausibleError: no such run, a model without codes, unfit data, or a file that cannot be written.
    """
    path, run = checked_out(out, (".npy",)), as_run(run)
    model = load(run, at=at)
    method = getattr(model, "encode", None)
    if method is None:
        raise lacking(model, "code", "encode")
    rows = _rows_for(model, run, data)
    with writing_whole(path) as file:
        _write_blocks(file, blockwise(lambda x: method(x).flatten(1), rows, 0), len(rows))
    return path


def score(
    run: RunLike,
    data: str,
    *,
    out: str | os.PathLike[str],
    by: str | None = None,
    per_pixel: bool = False,
    samples: int = 50,
    seed: int = 0,
    at: int | None = None,
    say: Callable[[str], object] | None = None,
) -> Path:
    """Write a score of each row of the data, in their own order; higher is more plausible.

    | by | score of x | unit |
    |---|---|---|
    | log_prob | log p(x) | nats |
    | bound | log_prob_bound(x, samples): in expectation at most log p(x) | nats |
    | reconstruction | −‖x − reconstruct(x)‖², summed over the values of x | of the data, squared |
    | critic | the discriminator's logit | — |

    The draws of a bound are seeded by `seed` and by where a block of at most 1,000 rows begins: the score of a row
    depends on the rows of its block, whose noise is drawn with its own, and on no others.

    Args:
        run: the run folder.
        data: a SPEC.
        out: FILE.csv (columns row, counted from 0 in the whole data set, and the score, named by its header) or
            FILE.npy, (n,), float32.
        by: what to score by; default the first of the table that the model has.
        per_pixel: write log p(x_i | those before it) of each value instead, in its place: FILE.npy, (n, *shape),
            float32, or FILE.png, the first PICTURED rows, images, each beside a map of −log p.
        samples: k, the draws of a bound.
        seed: of those draws.
        at: the tick of a checkpoint.
        say: told what the scores are.

    Raises:
        PlausibleError: no such run, a model that lacks what to score by, samples < 1, unfit data, or a file that
            cannot be written.
    """
    if str(out).endswith(".png") and not per_pixel:
        raise PlausibleError(
            f"--out {out}: a picture shows each pixel's score: add --per-pixel, or end in .csv, .npy"
        )
    path, run = checked_out(out, (".npy", ".png") if per_pixel else (".csv", ".npy")), as_run(run)
    if samples < 1:
        raise PlausibleError(f"--samples must be at least 1, not {samples}")
    if by is not None and by not in SCORES:
        raise PlausibleError(f"--by {by}: choose one of {', '.join(SCORES)}")
    if per_pixel and by not in (None, "log_prob"):
        raise PlausibleError(f"--per-pixel is of log_prob, not of {by}: drop --by")
    model = load(run, at=at)
    if per_pixel:
        return _score_pixels(model, _rows_for(model, run, data), path, say)
    by = _chosen(model, by)
    rows = _rows_for(model, run, data)
    blocks = blockwise(scorer(model, by, samples), rows, seed)
    scores = np.concatenate([block for _, block in blocks]).astype(np.float32)
    name = SCORES[by][1].format(k=samples)
    with writing_whole(path) as file:
        if path.suffix == ".npy":
            np.save(file, scores, allow_pickle=False)
        else:
            file.write(f"row,{name}\n".encode())
            file.writelines(
                f"{row},{value:.9g}\n".encode() for row, value in zip(rows.ids, scores, strict=True)
            )
    if say is not None:
        say(f"{name}, of {len(rows):,} rows; higher is more plausible")
    return path


def _score_pixels(
    model: GenerativeModel, rows: Rows, path: Path, say: Callable[[str], object] | None
) -> Path:
    """The terms of log p(x), each in the place of its variable."""
    if not isinstance(model, Placing):
        raise lacking(model, "probability of each pixel", "log_prob_terms")
    n = len(rows) if path.suffix == ".npy" else min(PICTURED, len(rows))
    blocks = blockwise(lambda x: model.unordered(model.log_prob_terms(x)), rows, 0, np.arange(n))
    if path.suffix == ".npy":
        with writing_whole(path) as file:
            _write_blocks(file, blocks, n)
        said = f"log p(x_i | those before it) [nats], of {n:,} rows; higher is more plausible"
    else:
        if len(rows.shape) != 3:
            raise PlausibleError(f"--out {path}: rows of {rows.shape} are no pictures: name a .npy")
        terms = np.concatenate([block for _, block in blocks])
        write_whole(path, surprise_map(rows.take(np.arange(n))[0], -terms))
        said = f"−log p(x_i | those before it) [nats], of the first {n:,} rows; brighter is less plausible"
    if say is not None:
        say(said)
    return path


def _write_blocks(file: IO[bytes], blocks: Iterable[tuple[int, np.ndarray]], n: int) -> None:
    """Blocks of n rows in all, (B, …) each, as one .npy of float32."""
    for start, block in blocks:
        if not start:
            shape = (n, *block.shape[1:])
            npy.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(block.astype("<f4").tobytes())


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


def _rows_for(model: GenerativeModel, run: RunFolder, spec: str) -> Rows:
    """All rows of a SPEC, which must be such as the model was trained on."""
    rows = load_rows(spec)
    if rows.shape != model.shape:
        raise PlausibleError(f"the model of {run.path} knows {model.shape}, but {spec} has {rows.shape}")
    check_domain(model, rows.domain, spec)
    return rows
