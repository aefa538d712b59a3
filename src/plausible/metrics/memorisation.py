"""An audit of memorisation: are samples copies of training rows, and do they betray which rows were trained on?

Distances are Euclidean, at the data's resolution, between columns divided by their standard deviations (tables) or
between pixels; in mixed tables two different levels are as far apart as typical numbers, see `EncodedRows`. Held-out
(test) rows are the measure: a model that has learnt the distribution and nothing of single rows makes samples that
stand to its training rows as test rows do.

    exact copies            share of samples at distance 0 from a training row
    near copies             share nearer to their nearest training row than half the mean distance of the 10 nearest
    closer than test rows   P(distance of a sample to its nearest training row < that of a test row), ties half
    membership AUC          P(a training row is nearer to its nearest sample than a test row is), ties half
    score AUC               P(the model scores a training row higher than a test row), ties half

Samples that are smooth or near the mean lie close to training rows without being copies: they raise "closer than test
rows", and not the membership AUC, which treats training and test rows alike.

Sources: "distance to closest record" as in the literature on synthetic tables; near copies after Carlini et al.,
*Extracting Training Data from Diffusion Models* (2023); membership by distance: Chen et al., *GAN-Leaks* (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from plausible.data import Rows
from plausible.errors import PlausibleError
from plausible.metrics.anomaly import DELONG, Area, auroc
from plausible.metrics.nearest import Space, blocks_of, nearest, space_of, table_space
from plausible.metrics.registry import Result, Subject, metric
from plausible.metrics.resolution import resolution_of
from plausible.metrics.scores import blockwise, check_domain
from plausible.metrics.scoring import SCORES, How, scorable, scorer

__all__ = ["measure_memorisation", "space_for"]

QUERIES = 1000
"""Samples, test rows and training rows, at most, whose nearest rows are looked for."""
VALUES = 50_000_000
"""Values of the training rows that they are looked for among, at most …"""
ROWS = 100_000
"""… and so many rows."""
NEIGHBOURS, NEAR = 10, 0.5
SCORED, IMPORTANCE_SAMPLES = 500, 10
FEWEST = 10
SEED = 1


def space_for(subject: Subject) -> Space:
    """The space that rows of the subject's data are compared in."""
    train = subject.data.train
    if subject.data.domain == "mixed":
        return table_space(subject.data.schema.levels, train)
    some = train.take(_chosen(len(train), 2000))[0]
    return space_of(some, resolution_of(some, subject.data.domain, subject.data.shape))


def enough_rows(subject: Subject) -> None:
    """There are training and test rows to compare samples with."""
    train, test = len(subject.data.train), len(subject.data.test)
    if min(train, test) < FEWEST:
        raise PlausibleError(
            f"it needs {FEWEST} training and {FEWEST} test rows, and there are {train} and {test}: give more data"
        )


@metric("memorisation", needs=(enough_rows,), mixed=True, reads=("train", "test"))
def measure_memorisation(subject: Subject) -> list[Result]:
    """Copies of training rows among the samples, and what samples and scores say of which rows were trained on."""
    data, space = subject.data, space_for(subject)
    n = min(QUERIES, len(data.test), len(subject.samples))
    samples = space(subject.samples)
    queries = samples[:n]
    test = torch.cat(list(blocks_of(data.test, _chosen(len(data.test), n), space)))
    searched = _chosen(len(data.train), max(1, min(ROWS, VALUES // samples.shape[1])))
    both = torch.cat([queries, test])
    among = nearest(both, blocks_of(data.train, searched, space), NEIGHBOURS)[0].split(n)
    trained = torch.cat(list(blocks_of(data.train, _chosen(len(data.train), n), space)))
    details = {"samples": n, "test rows": n, "training rows": len(searched)}
    found = [*_distances(*among, details), _membership(trained, test, samples)]
    scored = _scores(subject)
    return found if scored is None else [*found, scored]


def _chosen(n: int, most: int) -> np.ndarray:
    """At most so many of n places, in random order by SEED."""
    return np.random.default_rng(SEED).permutation(n)[:most]


def _distances(samples: Tensor, test: Tensor, details: Mapping[str, Any]) -> list[Result]:
    """What the distances of samples and of test rows to their nearest training rows, (n, k), say."""
    a, b = samples[:, 0].numpy(), test[:, 0].numpy()
    area = auroc(b, a)  # P(a test row's distance is the larger one)
    p = _p(float(mannwhitneyu(a, b, alternative="less").pvalue))
    medians = {"median, samples": _digits(np.median(a)), "median, test rows": _digits(np.median(b))}
    note = (
        "closer than test rows: how often a sample is closer to its nearest training row than a test row is to its own "
        "(50 % = alike; p is that of Mann and Whitney's test). Smooth or average-looking samples lie close to many "
        "rows without being copies: read it with the copies."
    )
    about_copies = (
        "exact copies: samples that equal a training row; near copies: those whose nearest training row is closer than "
        "half the mean distance of the 10 nearest. The test rows' own share stands as floor."
    )
    copies = {name: float((kind[:, 0] == 0).double().mean()) for name, kind in (("s", samples), ("t", test))}
    near = {name: float(_near(kind).double().mean()) for name, kind in (("s", samples), ("t", test))}
    return [
        Result(
            "exact copies", copies["s"], None, "", "share", False, details, about_copies, floor=copies["t"]
        ),
        Result("near copies", near["s"], None, "", "share", False, details, about_copies, floor=near["t"]),
        _area("closer than test rows", area, {**details, **medians, "p": p}, note),
    ]


def _near(distances: Tensor) -> Tensor:
    """Whether the nearest is closer than NEAR times the mean of the nearest ones, or equal, (n,)."""
    return (distances[:, 0] == 0) | (distances[:, 0] < NEAR * distances.mean(1))


def _membership(train: Tensor, test: Tensor, samples: Tensor) -> Result:
    near = [nearest(rows, [samples])[0][:, 0].numpy() for rows in (train, test)]
    area = auroc(-near[0], -near[1])
    note = (
        "membership AUC: how often a training row is closer to its nearest sample than a test row is; 50 % where "
        "samples do not betray who was trained on."
    )
    details = {"training rows": len(train), "test rows": len(test), "samples": len(samples)}
    return _area("membership AUC", area, details, note)


def _scores(subject: Subject) -> Result | None:
    """How well the model's own score tells training from test rows; None where it gives none, or none of such data."""
    model, data = subject.model, subject.data
    if model is None:
        return None
    how = How(samples=IMPORTANCE_SAMPLES, seed=SEED)
    for by in (name for name in scorable(model) if SCORES[name].default):
        try:
            check_domain(model, data.domain, data.spec)
            train, test = (
                _scores_of(scorer(model, by, how, lambda: data), rows) for rows in (data.train, data.test)
            )
        except PlausibleError:
            continue  # an observation model that is no density: the next kind of score
        area = auroc(train, test)
        note = (
            "score AUC: how often the model scores a training row higher than a test row; 50 % where it has not "
            "overfitted. The score is the first of log p(x), its bound and the reconstruction that the model "
            "has."
        )
        details = {"score": SCORES[by].named(how, model), "training rows": len(train)}
        return _area("score AUC", area, {**details, "test rows": len(test)}, note)
    return None


def _scores_of(score: Callable[[Tensor], Tensor], rows: Rows) -> np.ndarray:
    places = np.sort(_chosen(len(rows), SCORED))
    return np.concatenate([block for _, block in blockwise(score, rows, SEED, places)])


def _area(name: str, area: Area, details: Mapping[str, Any], note: str) -> Result:
    """An area with its interval; without one where DeLong's error is 0, which is too little."""
    value, error = area.value, area.standard_error
    interval = (max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)) if error else None
    return Result(
        name, value, error, DELONG, "share", False, details, note, interval=interval, floor=0.5, chance=0.5
    )


def _p(value: float) -> float:
    return float(f"{value:.2g}")


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
