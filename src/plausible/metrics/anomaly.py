"""How well the score of a model of one class tells its test rows from those of the other classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from plausible.data import Data, Rows, load, split_spec
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.registry import Result, Subject, metric
from plausible.metrics.scores import blockwise, check_domain, subset
from plausible.metrics.scoring import SCORES, How, scorable, scorer

__all__ = ["Area", "auroc", "measure_anomaly"]

ROWS = 2000
"""Of each kind, normal and anomalous, at most."""
TRAIN_ROWS = 10_000
IMPORTANCE_SAMPLES = 50
HOW = How(samples=IMPORTANCE_SAMPLES)
SEED = 1
DELONG = "DeLong standard error over test rows"

Places = tuple[Rows, np.ndarray]
"""Rows, and which of them."""


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve, with its standard error."""

    value: float
    standard_error: float


def auroc(normal: np.ndarray, anomalous: np.ndarray) -> Area:
    """P(a normal row scores higher than an anomalous one) + ½ P(they score the same).

    The standard error is that of DeLong, DeLong and Clarke-Pearson (*Biometrics* 44, 1988): with a_i the share of
    anomalous rows below the normal row i and b_j the share of normal rows above the anomalous row j (ties count half),
    √(var a / n + var b / m). Where the two kinds do not overlap it is 0, which is too little.

    Args:
        normal: scores, (n,), n ≥ 2; ±∞ are allowed.
        anomalous: scores, (m,), m ≥ 2.

    Raises:
        PlausibleError: fewer than two rows of a kind, or a score that is NaN.
    """
    for kind, scores in (("normal", normal), ("anomalous", anomalous)):
        if len(scores) < 2:
            raise PlausibleError(
                f"an AUROC needs two {kind} rows, and there is {len(scores)}: give more data"
            )
        if np.isnan(scores).any():
            raise PlausibleError(
                f"the score of {kind} row {int(np.isnan(scores).argmax())} is NaN: the model or the data are damaged"
            )
    n, m = len(normal), len(anomalous)
    ranks = rankdata(np.concatenate([normal, anomalous]))
    below = (ranks[:n] - rankdata(normal)) / m
    above = 1 - (ranks[n:] - rankdata(anomalous)) / n
    error = np.sqrt(below.var(ddof=1) / n + above.var(ddof=1) / m)
    return Area(float(below.mean()), float(error))


def is_one_class(subject: Subject) -> None:
    """The data are the one class of several that the model was trained on, and it can score them.

    Raises:
        PlausibleError: they are not; the message says what to do.
    """
    _setting(subject)


@metric("anomaly", needs=(is_one_class,), reads=("train", "test"))
def measure_anomaly(subject: Subject) -> list[Result]:
    """One-class AUROC of the model's score, and that of the distance to the nearest training row beside it."""
    data = subject.data
    model, by, whole, others = _setting(subject)
    kinds = (
        (data.test, subset(np.arange(len(data.test)), ROWS, SEED)),
        (whole.test, subset(others, ROWS, SEED)),
    )
    normal, anomalous = (_scores(model, by, data, kind) for kind in kinds)
    train = data.train, subset(np.arange(len(data.train)), TRAIN_ROWS, SEED)
    note = (
        f"anomaly AUROC: how often one of {len(normal):,} test rows of {data.spec} scores higher than one of "
        f"{len(anomalous):,} of the other classes of {whole.spec} (chance: 0.5), none of which the model was trained "
        f"on; the score is {_IN_WORDS[by].format(k=IMPORTANCE_SAMPLES)}."
    )
    standardised = data.domain == "real"
    columns = ", columns standardised by these" if standardised else ""
    baseline = (
        "nearest-row AUROC: a baseline without a model: the score is minus the distance to the nearest of "
        f"{len(train[1]):,} training rows{columns}. A model that does not beat it adds nothing here."
    )
    near = _nearness(train, kinds, standardised=standardised)
    return [
        _result("anomaly AUROC", normal, anomalous, note, score=SCORES[by].named(HOW, model)),
        _result("nearest-row AUROC", *near, baseline, score=f"nearest of {len(train[1]):,} training rows"),
    ]


_IN_WORDS = {
    "log_prob": "log p(x)",
    "bound": "a lower bound of log p(x) from k = {k} samples of the code",
    "reconstruction": "minus the squared error of the reconstruction",
}


def _setting(subject: Subject) -> tuple[GenerativeModel, str, Data, np.ndarray]:
    """The model, what it scores by, the data of all classes, and which of their test rows are of another class.

    Raises:
        PlausibleError: the data are not one class of several, or not the one that the model was trained on, or it
            scores no such rows.
    """
    data = subject.data
    spec = None if data.source is None else split_spec(data.source)
    seen = None if subject.trained is None else split_spec(subject.trained)
    if spec is None or spec.label is None:
        raise PlausibleError(
            f"it needs one class to call normal, and {data.spec} is not a view of one: train and evaluate on one such "
            "as mnist:class=3"
        )
    if seen is None or (seen.base, seen.label) != (spec.base, spec.label):
        raise PlausibleError(
            f"it calls {data.spec} normal, but the model was trained on {subject.trained or 'data in memory'}: "
            f"train it on {data.spec}"
        )
    model = subject.needed_model()
    by = _score_by(model, data)
    views = (view for view in spec.views if not view.startswith("class="))
    whole = subject.as_measured(load(":".join([spec.base, *views])))
    others = np.flatnonzero(~np.isin(whole.test.ids, data.test.ids))
    if min(len(others), len(data.test)) < 2:
        raise PlausibleError(
            f"it needs two test rows of {data.spec} and two of other classes, and there are {len(data.test)} and "
            f"{len(others)}: give more data"
        )
    return model, by, whole, others


def _score_by(model: GenerativeModel, data: Data) -> str:
    """The first default of SCORES that the model gives such data: no bound where p(x|z) is no density."""
    check_domain(model, data.domain, data.spec)
    error = PlausibleError(
        f"{type(model).__name__} has no score of its own: take --metrics fidelity, or train a model that scores rows, "
        "such as nade, vae or autoencoder"
    )
    for by in (name for name in scorable(model) if SCORES[name].default):
        try:
            _scores(model, by, data, (data.test, np.arange(1)))
            return by
        except PlausibleError as failed:
            error = failed
    raise error


def _scores(model: GenerativeModel, by: str, data: Data, rows: Places) -> np.ndarray:
    """The model's score of each row, (n,)."""
    score = scorer(model, by, HOW, lambda: data)
    return np.concatenate([block for _, block in blockwise(score, rows[0], SEED, rows[1])])


def _nearness(train: Places, kinds: Sequence[Places], *, standardised: bool) -> list[np.ndarray]:
    """Minus the distance of each row to the nearest training row, an array, (n,), for each kind of rows."""
    known, *asked = (rows.take(places)[0].reshape(len(places), -1) for rows, places in (train, *kinds))
    if standardised:
        scaler = StandardScaler().fit(known)
        known, *asked = (scaler.transform(x) for x in (known, *asked))
    nearest = NearestNeighbors(n_neighbors=1).fit(known)
    return [-nearest.kneighbors(x)[0][:, 0] for x in asked]


def _result(name: str, normal: np.ndarray, anomalous: np.ndarray, note: str, **details: Any) -> Result:
    area = auroc(normal, anomalous)
    ranks = rankdata(np.concatenate([normal, anomalous]))  # infinite scores have a place too
    truth = np.repeat([False, True], [len(normal), len(anomalous)])
    sizes = {
        "normal rows": len(normal),
        "anomalous rows": len(anomalous),
        "average precision": round(float(average_precision_score(truth, -ranks)), 4),
    }
    return Result(name, area.value, area.standard_error, DELONG, details=details | sizes, note=note)
