"""Score each row: how plausible it is under the model."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plausible.capabilities import Autoregressive, in_place, require
from plausible.data import Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import checked_out
from plausible.jobs.opened import Opened
from plausible.metrics.calibration import conformal_p_values, discoveries, fewest_discoveries, is_far_above
from plausible.metrics.scores import blockwise
from plausible.metrics.scoring import SCORES, How, default_score, scorable, score_rows, scorer
from plausible.report.pixels import captioned, surprise_map
from plausible.report.writers import row_names, write_array
from plausible.runs import write_whole, writing_whole

__all__ = ["Calibrated", "score"]

PICTURED = 12
"""The maximum number of rows in a picture of per-pixel scores."""
COMPARED = 200
"""Validation rows that the mean log p of the scored rows is compared with."""


class Calibrated(NamedTuple):
    """Scores with what they mean for each row.

    Attributes:
        scores: (n,), float32.
        p_values: conformal p-values, (n,), float64.
        marked: the rows that are implausible at the false-discovery rate, (n,), bool; None if none was given.
    """

    scores: Any
    p_values: Any
    marked: Any = None


def score(
    run: Opened,
    data: Any,
    *,
    by: str | None = None,
    per_pixel: bool = False,
    samples: int = 50,
    starts: int = 3,
    steps: int = 100,
    calibrate: bool = False,
    fdr: float | None = None,
    top: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    say: Callable[[str], object] | None = None,
) -> Any:
    """Score each row of the data, in order; higher is more plausible, but for the critic.

    | by | score of x | unit |
    |---|---|---|
    | log_prob | log p(x) | nats |
    | bound | log_prob_bound(x, samples): in expectation at most log p(x) | nats |
    | code | log p(encode(x)), of a model of codes (`codes_of`): the density of the code, not of x | nats |
    | reconstruction | −‖x − reconstruct(x)‖², summed over the values | of the data, squared; of real data, variances |
    | hog | −‖h(x) − h(reconstruct(x))‖², h histograms of oriented gradients (Dalal & Triggs, 2005); pictures | — |
    | latent | −min_z ‖x − decode(z)‖², found by gradient search | of the data, squared; of real data, variances |
    | features | minus the mean distance to the 5 nearest training rows, in features standardised by these | — |
    | typicality | −abs(log p(x) − mean log p of the valid rows) (Nalisnick et al., 2019), or of the bound | nats |
    | critic | the discriminator's logit: not a density | — |

    A bound is estimated in blocks of at most 1,000 rows, each seeded by `seed` and its first row's position, so a row's
    score depends on the rows of its block and on no others. A score that is too low for float32 is −∞.

    Likelihood can be high for rows unlike the training rows, pictures above all (Nalisnick et al., *Do Deep Generative
    Models Know What They Don't Know?*, 2019): `score` warns of it for pictures, and where the mean log p of the rows is
    far above that of the valid rows, if the run's data are at hand.

    With `calibrate` each score has a conformal p-value, p = (1 + #{valid scores ≤ score}) / (n_valid + 1), ties being
    counted: if the row is like the valid rows, P(p ≤ α) ≤ α. It reads the valid rows only. They may have chosen the
    checkpoint, too, and give typicality its mean, so p is slightly too small where the model fits them better than new
    rows.

    Args:
        run: the run whose model scores.
        data: anything that `train` takes; columns with names are matched by name.
        by: which score. Default: the first of the first three that the model has; a GAN has none of them.
        per_pixel: return log p(x_i | x_<i) of each value instead, in its place: (n, *shape).
        samples: k, the number of samples for a bound.
        starts: prior samples that the latent search starts from; with a code also from it.
        steps: gradient steps of the latent search from each start. Cost: n·starts·steps gradients of the decoder.
        calibrate: give p-values as well.
        fdr: mark the rows that are implausible at this false-discovery rate (Benjamini & Hochberg, 1995); implies
            `calibrate`.
        top: write only so many rows, the least plausible first; with `per_pixel` to FILE.png: those with the lowest
            log p.
        seed: random seed of the bound and the latent search.
        out: write to FILE.csv (columns: row, counted from 0; the file or the index of the row where there is one; the
            score; p; marked) or FILE.npy, the scores alone; with top also to FILE.png, a sheet of these pictures, each
            with its score and the name of its file; with per_pixel to FILE.npy, or to FILE.png: the first
            PICTURED rows, each image next to a map of −log p.
        say: called with a line that names the score and says what it means.

    Returns: (n,) or (n, *shape), float32; with `calibrate` a `Calibrated`; the path where there is `out`.

    Raises:
        PlausibleError: a model that lacks what to score by, samples < 1, unfit data, or a file that cannot be written.
    """
    calibrate = calibrate or fdr is not None
    counts = {"samples": samples, "starts": starts, "steps": steps, "top": 1 if top is None else top}
    path = _checked(by, per_pixel, calibrate, fdr, counts, out, top)
    if path is not None and path.suffix == ".png" and not run.schema.picture:
        raise PlausibleError(
            f"--out {out}: rows of shape {run.schema.shape} are not images: use a .csv or .npy file"
        )
    if per_pixel:
        return _score_pixels(run, data, path, say, top)
    by, how = _chosen(run.model, by), How(samples, starts, steps, seed)
    if (calibrate or top is not None) and not SCORES[by].directed:
        raise PlausibleError(
            f"--{'calibrate' if calibrate else 'top'} needs a score whose low values are implausible, which {by} is "
            f"not: take --by {' or '.join(name for name in scorable(run.model) if SCORES[name].directed)}"
        )
    rows = run.rows(data)
    score = scorer(run.model, by, how, run.data)
    scores, name = _finite(score_rows(score, rows, seed)), SCORES[by].named(how, run.model)
    found, said = Calibrated(scores, None), [f"{name}, of {len(rows):,} rows; {SCORES[by].says}"]
    if calibrate:
        valid = np.nan_to_num(score_rows(score, run.data().valid, seed), nan=-np.inf)
        found, more = _calibrated(scores, valid, fdr)
        said += more
    if SCORES[by].likelihood:
        _warn_of_likelihood(run, score, scores, rows, seed)
    if say is not None:
        for line in said:
            say(line)
    if path is not None:
        order = slice(None) if top is None else np.argsort(scores, kind="stable")[:top]
        if path.suffix == ".png":
            return _sheet(found, rows, name, path, order)
        return _write(found, rows, name, path, order)
    if not calibrate:
        return run.numbers(scores, data)
    return Calibrated(*(None if part is None else run.numbers(part, data) for part in found))


def _checked(
    by: str | None,
    per_pixel: bool,
    calibrate: bool,
    fdr: float | None,
    counts: dict[str, int],
    out: str | os.PathLike[str] | None,
    top: int | None,
) -> Path | None:
    """Where to write; options that do not go together are refused before any work is done."""
    if out is not None and str(out).endswith(".png") and not per_pixel and top is None:
        raise PlausibleError(
            f"--out {out}: a picture shows the least plausible rows, --top 10, or the score of each pixel, "
            "--per-pixel: add one, or use .csv or .npy"
        )
    if top is not None and out is None:
        raise PlausibleError("--top chooses what is written: name a file, --out FILE.csv or FILE.png")
    endings = (".csv", ".png") if top is not None else (".csv", ".npy")
    if per_pixel:
        endings = (".npy", ".png") if top is None else (".png",)
    path = None if out is None else checked_out(out, endings)
    for name, count in counts.items():
        if count < 1:
            raise PlausibleError(f"--{name} must be at least 1, not {count}")
    if by is not None and by not in SCORES:
        raise PlausibleError(f"--by {by}: choose one of {', '.join(SCORES)}")
    if per_pixel and by not in (None, "log_prob"):
        raise PlausibleError(f"--per-pixel works with log_prob only, not {by}: remove --by")
    if per_pixel and calibrate:
        raise PlausibleError("--per-pixel has a score for each pixel, and p-values are of rows: remove one")
    if calibrate and path is not None and path.suffix == ".npy":
        raise PlausibleError(f"--out {out} holds the scores alone: name a .csv for scores with p-values")
    if fdr is not None and not 0 < fdr < 1:
        raise PlausibleError(f"--fdr must be between 0 and 1, such as 0.1, not {fdr:g}")
    return path


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


def _calibrated(scores: np.ndarray, valid: np.ndarray, fdr: float | None) -> tuple[Calibrated, list[str]]:
    """p-values, marks, and what to say of them."""
    p = conformal_p_values(scores, valid)
    said = [f"p: share of {len(valid):,} valid rows, and the row itself, that score as low or lower"]
    if fdr is None:
        return Calibrated(scores, p), said
    marked = discoveries(p, fdr)
    said.append(f"marked: {marked.sum():,} of {len(marked):,} rows, at a false-discovery rate of {fdr:g}")
    fewest = fewest_discoveries(len(p), len(valid), fdr)
    if fewest > 1:
        said.append(
            f"no p-value is below {1 / (len(valid) + 1):.2g}, so fewer than {fewest:,} rows cannot be marked among "
            f"{len(p):,}: score fewer rows at a time, or train with more valid rows"
        )
    return Calibrated(scores, p, marked), said


def _warn_of_likelihood(run: Opened, score: Callable, scores: np.ndarray, rows: Rows, seed: int) -> None:
    """Warn where log p is known to mislead: of pictures, and of rows whose mean log p is far above the valid rows'."""
    if len(rows.shape) == 3:
        warnings.warn(
            "log p(x) of a picture may be higher for simpler pictures than those trained on: compare --by typicality "
            "(Nalisnick et al. 2019)",
            stacklevel=4,
        )
    try:
        valid = run.data().valid
    except PlausibleError:  # the scores need no data of the run's, which may be gone
        return
    known = score_rows(score, valid, seed, np.arange(min(COMPARED, len(valid))))
    if is_far_above(scores, known):
        warnings.warn(
            f"the mean log p of these rows, {scores.mean(dtype=np.float64):.1f} nats, is far above that of the valid "
            f"rows, {known.mean(dtype=np.float64):.1f}: they are simpler than these, or were trained on; they are not "
            "more typical: compare --by typicality",
            stacklevel=4,
        )


def _write(found: Calibrated, rows: Rows, name: str, path: Path, order: slice | np.ndarray) -> Path:
    """Write the scores of some rows, in this order."""
    with writing_whole(path) as file:
        if path.suffix == ".npy":
            np.save(file, found.scores, allow_pickle=False)
            return path
        columns: dict[str, Any] = {key: np.asarray(each)[order] for key, each in row_names(rows).items()}
        columns[name] = [f"{value:.9g}" for value in found.scores[order]]
        if found.p_values is not None:
            columns["p"] = [f"{value:.9g}" for value in found.p_values[order]]
        if found.marked is not None:
            columns["marked"] = found.marked[order].astype(int)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        file.write(text.getvalue().encode())
    return path


def _sheet(found: Calibrated, rows: Rows, name: str, path: Path, order: Any) -> Path:
    """Write a picture of rows, each with its score and what it is called."""
    called = list(row_names(rows).values())[-1]
    captions = [(f"{found.scores[i]:.6g}", f"{called[i]}") for i in order]
    said = f"the {len(order):,} least plausible of {len(rows):,}, by {name}"
    return write_whole(path, captioned(rows.take(order)[0], captions, said))


def _score_pixels(
    run: Opened, data: Any, path: Path | None, say: Callable[[str], object] | None, top: int | None
) -> Any:
    """The terms of log p(x), each in the position of its variable; with `top` of the least plausible rows only."""
    model, chain = run.model, require(run.model, Autoregressive)
    rows, pictured = run.rows(data), path is not None and path.suffix == ".png"

    def terms(places: np.ndarray) -> Iterator[np.ndarray]:
        found = blockwise(lambda x: in_place(model, chain.log_prob_terms(x)), rows, 0, places)
        return (block for _, block in found)

    places, which = np.arange(len(rows)), "of {:,} rows"
    if top is not None:
        scores = np.concatenate([block.reshape(len(block), -1).sum(1) for block in terms(places)])
        places, which = np.argsort(scores, kind="stable")[:top], "of the {:,} rows with the lowest log p"
    elif pictured:
        places, which = places[:PICTURED], "of the first {:,} rows"
    which = which.format(len(places))
    said = f"log p(x_i | x_<i) [nats], {which}; higher is more plausible"
    if path is None:
        found: Any = run.numbers(np.concatenate(list(terms(places))), data)
    elif not pictured:
        found = write_array(terms(places), len(places), path)
    else:
        found = write_whole(path, surprise_map(rows.take(places)[0], -np.concatenate(list(terms(places)))))
        said = f"−log p(x_i | x_<i) [nats], {which}; brighter is less plausible"
    if say is not None:
        say(said)
    return found


def _chosen(model: GenerativeModel, by: str | None) -> str:
    """The score to use: the one asked for, or the model's default."""
    if by is None:
        return default_score(model)
    has = scorable(model)
    if by in has:
        return by
    instead = [f"score --by {' or '.join(has)}"] if has else []
    if by in ("log_prob", "bound"):
        instead.append("evaluate --metrics parzen")
    raise SCORES[by].lacking(model, instead)
