"""A classifier two-sample test: how often held-out rows and samples are told apart, and what follows for JSD and C(G).

A classifier D(x) = P(x is real) is fitted to real rows and as many samples, and tested on other real rows and as many
other samples. If data and samples have one distribution, the share of right answers is binomial with p = ½, whatever
the classifier. Of any D, and with the expectations taken over rows that D was not fitted to,

    JSD(p_data, p_g) ≥ log 2 + ½ E_{x~p_data} log D(x) + ½ E_{x~p_g} log(1 − D(x)),      C(G) = −log 4 + 2·JSD,

with equality for D* = p_data/(p_data + p_g). So the test bounds the criterion of a generator from below; the value V of
the discriminator that it was trained against is such a bound too, but of a D that the generator has learnt to deceive.

The rows are tested once, by one classifier. Testing both halves by the classifier of the other would not halve the
variance: under the null the two accuracies are strongly correlated, and an interval for twice the rows is too short.

Source: Lopez-Paz & Oquab, *Revisiting Classifier Two-Sample Tests* (2017); Goodfellow et al. (2014), section 4.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import logit
from scipy.stats import binomtest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix
from plausible.metrics.registry import Result, Subject, metric
from plausible.metrics.resolution import resolution_of

__all__ = ["TwoSample", "bounds_from", "measure_two_sample", "two_sample"]

ROWS = 5000
"""Real rows, and samples, that each of the three parts has at most."""
FEWEST = 10
"""Real rows, and samples, that each of the three parts needs."""
SEED = 1
COLUMNS, LANDMARKS = 256, 300
_MOST = 12.0  # the greatest logit that a base classifier passes on


@dataclass(frozen=True)
class TwoSample:
    """What a classifier makes of held-out real rows and samples.

    Attributes:
        accuracy: share of right answers; ½ where it cannot tell them apart.
        interval: exact binomial 95 % confidence interval of the accuracy (Clopper & Pearson).
        jsd_bound: estimated lower bound of JSD(p_data, p_g), nats, in [0, log 2].
        jsd_low: its lower 95 % confidence limit, one-sided.
        criterion_bound: estimated lower bound of C(G) = −log 4 + 2·JSD, nats.
        rows: real rows that were tested, and as many samples.
        fitted: real rows that the classifier was fitted to, and as many samples.
    """

    accuracy: float
    interval: tuple[float, float]
    jsd_bound: float
    jsd_low: float
    criterion_bound: float
    rows: int
    fitted: int

    @property
    def told_apart(self) -> bool:
        """Whether the interval lies above ½."""
        return self.interval[0] > 0.5

    @property
    def verdict(self) -> str:
        """The accuracy in words: "told apart: 99 % (50 % = indistinguishable)"."""
        low, high = (f"{100 * limit:.0f}" for limit in self.interval)
        share = f"{100 * self.accuracy:.0f} % ({low} to {high} %; 50 % = indistinguishable)"
        return f"told apart: {share}" if self.told_apart else f"not told apart by this classifier: {share}"


def two_sample(
    real: Tensor | np.ndarray,
    fake: Tensor | np.ndarray,
    seed: int = 0,
    *,
    train: Tensor | np.ndarray | None = None,
    calibration: Tensor | np.ndarray | None = None,
) -> TwoSample:
    """Test whether a classifier tells real rows from samples.

    The classifier is fitted to one part of the rows, calibrated on a second and tested on a third, each with as many
    samples of its own; samples that are left over are not used. It is a logistic regression of two others: boosted
    trees, which see single values and texture, and a kernel (RBF) logistic regression, which sees how values go
    together.

    Give the rows that the model was trained on as `train`, and held-out rows as `calibration` and `real`. A model that
    memorised its training rows makes samples that look more real, to a classifier fitted to these, than held-out rows
    do; calibration on held-out rows turns that round. Without `train` half of the real rows are tested, and of the
    other half three quarters are fitted. Without `calibration` it takes a third of `real`.

    Args:
        real: held-out rows, (n, *shape), at the resolution of the samples (`resolution.resolution_of`).
        fake: samples, (m, *shape); 2·n of them use all rows.
        seed: random seed of the choice of rows and of the classifier.
        train: rows to fit to, (k, *shape); none of them in `real`.
        calibration: held-out rows to calibrate on, (c, *shape); none of them in `real`.

    Raises:
        PlausibleError: arrays that do not fit together or hold NaN, or too few rows.
    """
    shape, rng = tuple(real.shape[1:]), np.random.default_rng(seed)
    known = as_matrix("real", real)
    width = known.shape[1]
    samples = _shuffled(as_matrix("fake", fake, width=width), rng)
    given = {"train": train, "calibration": calibration}
    held = {
        name: _shuffled(as_matrix(name, rows, width=width), rng)
        for name, rows in given.items()
        if rows is not None
    }
    parts = _parts(_shuffled(known, rng), held.get("train"), held.get("calibration"))
    counts = _counts([len(part) for part in parts], len(samples))
    ends = np.cumsum(counts)
    fit, calibrate, test = (
        np.concatenate([part[:count], samples[end - count : end]])
        for part, count, end in zip(parts, counts, ends, strict=True)
    )
    bases = _fit_bases(fit, _labels(counts[0]), shape, int(rng.integers(2**31)))
    calibrated = _logistic(1.0).fit(bases(calibrate), _labels(counts[1]))
    probabilities = calibrated.predict_proba(bases(test))[:, 1]
    return bounds_from(*probabilities.reshape(2, counts[2]), fitted=counts[0])


def bounds_from(real: np.ndarray, fake: np.ndarray, fitted: int = 0) -> TwoSample:
    """Accuracy and bounds from probabilities of being real, D(x), of n held-out real rows and of n samples.

    D is clipped to [1/4n, 1 − 1/4n]. The confidence limit is that of a normal mean, with one further row of each kind
    at the worst value: without it a test without errors would claim a bound without a margin.

    Args:
        real: D of the real rows, (n,).
        fake: D of the samples, (n,).
        fitted: rows of each kind that D was fitted to, for the record.

    Raises:
        PlausibleError: unequal counts, no rows, or values that are no probabilities.
    """
    if len(real) != len(fake) or not len(real):
        raise PlausibleError(
            f"bounds_from: {len(real)} real rows and {len(fake)} samples: give as many of each, for chance to be ½"
        )
    if not all(((d >= 0) & (d <= 1)).all() for d in (real, fake)):
        raise PlausibleError("bounds_from: D must be probabilities in [0, 1]: give sigmoids, not logits")
    n = len(real)
    right = int((real > 0.5).sum() + (fake <= 0.5).sum())
    interval = binomtest(right, 2 * n).proportion_ci(0.95, "exact")
    least = 1 / (4 * n)
    terms = [np.log(np.clip(d, least, 1 - least)) for d in (real, 1 - fake)]
    jsd = math.log(2) + sum(float(term.mean()) for term in terms) / 2
    cautious = [np.append(term, math.log(least)) for term in terms]
    error = math.sqrt(sum(float(term.var(ddof=1)) / len(term) for term in cautious)) / 2
    low = math.log(2) + sum(float(term.mean()) for term in cautious) / 2 - 1.645 * error
    jsd, low = max(0.0, jsd), max(0.0, low)
    return TwoSample(
        right / (2 * n), (interval.low, interval.high), jsd, low, -math.log(4) + 2 * jsd, n, fitted
    )


def _shuffled(x: Tensor, rng: np.random.Generator) -> np.ndarray:
    """The rows in random order, float32."""
    return x[torch.from_numpy(rng.permutation(len(x)))].float().numpy()


def _labels(count: int) -> np.ndarray:
    """1 for each real row and 0 for each sample."""
    return np.repeat([1, 0], count)


def _parts(
    real: np.ndarray, train: np.ndarray | None, calibration: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The real rows to fit, to calibrate on, and to test: what is not given is taken from `real`, each row once."""
    if train is None:
        half = len(real) // 2
        train, real = real[half:], real[:half]
        if calibration is None:
            calibration, train = np.split(train, [len(train) // 4])
    elif calibration is None:
        calibration, real = np.split(real, [len(real) // 3])
    return train, calibration, real


def _counts(rows: Sequence[int], samples: int) -> list[int]:
    """Of the rows to fit, to calibrate on and to test, how many are used: as many as there are samples for.

    Raises:
        PlausibleError: there are too few.
    """
    share = min(1.0, samples / sum(min(count, ROWS) for count in rows))
    counts = [int(min(count, ROWS) * share) for count in rows]
    if min(counts) < FEWEST:
        raise PlausibleError(
            f"a two-sample test needs {FEWEST} real rows to fit, {FEWEST} to calibrate on and {FEWEST} to test, each "
            f"with as many samples, and has {', '.join(map(str, rows))} rows and {samples} samples: give more"
        )
    return counts


Predict = Callable[[np.ndarray], np.ndarray]


def _fit_bases(x: np.ndarray, y: np.ndarray, shape: Sequence[int], seed: int) -> Predict:
    """Both classifiers: rows, (n, d) → their logits, (n, 2)."""
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.permutation(x.shape[1])[:COLUMNS])
    centre, scale, ends = x.mean(0), x.std(0), (float(x.min()), float(x.max()))
    scale = np.where(scale > 0, scale, 1.0) if len(shape) != 3 else np.full_like(scale, x.std() or 1.0)

    def single(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows[:, columns], _texture(rows.reshape(-1, *shape), *ends)], axis=1)

    def together(rows: np.ndarray) -> np.ndarray:
        return (rows - centre) / scale

    trees = HistGradientBoostingClassifier(
        max_iter=60,
        max_leaf_nodes=15,
        min_samples_leaf=max(2, min(20, len(x) // 20)),
        max_features=0.2 if x.shape[1] > 50 else 1.0,
        early_stopping=False,
        random_state=seed,
    )
    trees.fit(single(x), y)
    values = together(x)
    width = float(np.square(values).sum(1).mean()) * 2 or 1.0
    kernel = make_pipeline(
        Nystroem(gamma=2 / width, n_components=min(LANDMARKS, len(x)), random_state=seed), _logistic(30.0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a worse classifier, and the test is as exact
        kernel.fit(values, y)

    def logits(rows: np.ndarray) -> np.ndarray:
        found = [trees.predict_proba(single(rows))[:, 1], kernel.predict_proba(together(rows))[:, 1]]
        return np.clip(logit(np.stack(found, axis=1)), -_MOST, _MOST)

    return logits


def _logistic(c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=200)


def _texture(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """What noise and blur change in images, (n, c, h, w) → (n, 14); nothing of tables, (n, 0).

    Mean, deviation, shares of the lowest and of the highest value (`low`, `high`), number of distinct values, and by
    height and width the mean and the greatest first difference, the mean second difference and the share of equal
    neighbours.
    """
    if x.ndim != 4:
        return np.empty((len(x), 0), np.float32)
    flat = x.reshape(len(x), -1)
    levels = (np.diff(np.sort(flat, axis=1), axis=1) > 0).sum(1)
    found = [flat.mean(1), flat.std(1), (flat <= low).mean(1), (flat >= high).mean(1), levels]
    for axis in (2, 3):
        if x.shape[axis] < 3:
            continue
        first = np.abs(np.diff(x, axis=axis)).reshape(len(x), -1)
        second = np.abs(np.diff(x, 2, axis=axis)).reshape(len(x), -1)
        found += [first.mean(1), first.max(1), second.mean(1), (first == 0).mean(1)]
    return np.stack(found, axis=1).astype(np.float32)


def enough_rows(subject: Subject) -> None:
    """There are rows enough to fit, to calibrate and to test a classifier."""
    data = subject.data
    counts = [len(rows) for rows in (data.train, data.valid, data.test)]
    if min(counts) < FEWEST:
        raise PlausibleError(
            f"it needs {FEWEST} rows of each split, and there are {', '.join(map(str, counts))}: give more data"
        )


@metric("two-sample", needs=(enough_rows,), reads=("train", "valid", "test"))
def measure_two_sample(subject: Subject) -> list[Result]:
    """How often a classifier tells test rows from samples, and the bounds of JSD and C(G) that follow."""
    data = subject.data
    train, valid, test = (rows.take(_some(len(rows)))[0] for rows in (data.train, data.valid, data.test))
    at = resolution_of(train[:2000], data.domain, data.shape)
    found = two_sample(
        at.examples(test),
        at.examples(subject.samples),
        SEED,
        train=at.examples(train),
        calibration=at.examples(valid),
    )
    return _results(found, str(at))


def _some(n: int) -> np.ndarray:
    """At most ROWS of n rows, chosen by SEED."""
    return np.sort(np.random.default_rng(SEED).permutation(n)[:ROWS])


def _results(found: TwoSample, resolution: str) -> list[Result]:
    details: dict[str, Any] = {
        "tested": f"{found.rows:,} test rows and as many samples",
        "fitted": f"{found.fitted:,} training rows and as many samples",
        "values": resolution,
    }
    note = (
        "told apart: how often a classifier (boosted trees and a kernel), fitted to training rows and as many samples "
        "and calibrated on validation rows, tells test rows from samples, all at the data's own resolution. 50 % = "
        "indistinguishable; 100 % = always. 50 % does not prove the samples right: another classifier, or more rows, "
        "may see more."
    )
    bounds = (
        "JSD between data and samples (0 to log 2 = 0.693 nats) and C(G) = −log 4 + 2·JSD (−1.386 to 0 nats) are at "
        "least so large, by the same classifier's calibrated probabilities on the same held-out rows; the interval "
        "begins at the lower 95 % confidence limit."
    )
    floor = -math.log(4)
    return [
        Result(
            "told apart",
            found.accuracy,
            unit="share",
            higher_is_better=False,
            details=details,
            note=note,
            interval=found.interval,
            floor=0.5,
            chance=0.5,
        ),
        Result(
            "JSD, at least",
            found.jsd_bound,
            unit="nats",
            higher_is_better=False,
            details=details,
            note=bounds,
            interval=(found.jsd_low, math.log(2)),
            floor=0.0,
        ),
        Result(
            "C(G), at least",
            found.criterion_bound,
            unit="nats",
            higher_is_better=False,
            details=details,
            note=bounds,
            interval=(floor + 2 * found.jsd_low, 0.0),
            floor=floor,
        ),
    ]
