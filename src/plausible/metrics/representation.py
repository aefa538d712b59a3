"""What a linear classifier can read off a model's codes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from plausible.data import Data, Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.metric import Metric, Subject
from plausible.metrics.scores import blockwise, check_domain, some

ROWS, VALUES = 10_000, 10_000_000
"""Of each split at most so many rows, and so many values of codes or of data."""
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""C of scikit-learn: the weight of the summed cross-entropy against ½‖W‖²."""
ITERATIONS = 200
MOST_CLASSES = 30
"""By default; more take more than a minute."""
SEED = 1
BINOMIAL = "binomial standard error over test rows"

Points = tuple[np.ndarray, np.ndarray]
"""Features, (n, d), and labels, (n,)."""


@runtime_checkable
class Encoding(Protocol):
    """A model with codes."""

    def encode(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, features)."""
        ...


@runtime_checkable
class Featuring(Protocol):
    """A model that says something of each row which is no code: a discriminator's last layer."""

    def features(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, units)."""
        ...


def representation(model: object) -> Callable[[Tensor], Tensor] | None:
    """What represents a row: the model's features, else its code; None if it has neither."""
    if isinstance(model, Featuring):
        return model.features
    return model.encode if isinstance(model, Encoding) else None


@dataclass(frozen=True)
class Probed:
    """A linear probe: its accuracy on n test rows, the C that the validation rows chose, and whether it converged."""

    accuracy: float
    n: int
    c: float
    converged: bool

    @property
    def standard_error(self) -> float:
        """√(p(1 − p)/n)."""
        return binomial_error(self.accuracy, self.n)


def binomial_error(share: float, n: int) -> float:
    """Standard error of a share among n rows, √(p(1 − p)/n); 0 where none or all do, which is too little."""
    return float(np.sqrt(share * (1 - share) / n))


def linear_probe(train: Points, valid: Points, test: Points) -> Probed:
    """Multinomial logistic regression on features standardised by the training rows.

    Of the C in PENALTIES it takes the one with the highest accuracy on the validation rows, the smallest of several.

    Raises:
        PlausibleError: fewer than two classes in the training rows, or features that are no numbers.
    """
    if len(np.unique(train[1])) < 2:
        raise PlausibleError("a probe needs two classes among its training rows: give more data")
    if not all(np.isfinite(features).all() for features, _ in (train, valid, test)):
        raise PlausibleError(
            "--metrics probe: codes hold NaN or infinity: the model, or the data, are damaged"
        )
    scaler = StandardScaler().fit(train[0])
    x, x_valid, x_test = (scaler.transform(features) for features, _ in (train, valid, test))
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    best = (-1.0, 0.0, 0.0, True)
    for c in PENALTIES:
        model.C = c
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said in `converged`
            model.fit(x, train[1])
        accuracy = model.score(x_valid, valid[1])
        if accuracy > best[0]:
            converged = bool((model.n_iter_ < ITERATIONS).all())
            best = (accuracy, model.score(x_test, test[1]), c, converged)
    return Probed(float(best[1]), len(test[1]), best[2], best[3])


def probe(subject: Subject) -> list[Metric]:
    """Accuracy of a linear probe of the codes, and that of the same probe of the raw values beside it."""
    data = subject.data
    codes, labels = _checked(subject.model, data)
    width, size = features_of(codes, data.train, np.arange(1)).shape[1], int(np.prod(data.shape))
    most = max(1, min(ROWS, VALUES // max(width, size)))
    places = [some(np.arange(len(y)), most, SEED) for y in labels]
    y = [own[at] for own, at in zip(labels, places, strict=True)]

    def probed(features: Callable[[Tensor], Tensor]) -> Probed:
        splits = zip((data.train, data.valid, data.test), places, strict=True)
        x = [features_of(features, rows, at) for rows, at in splits]
        return linear_probe(*zip(x, y, strict=True))

    found, raw = probed(codes), probed(lambda x: x.flatten(1))
    train, valid, test = (len(own) for own in y)
    chance = 2 * np.hypot(found.standard_error, raw.standard_error)
    note = (
        f"probe accuracy: multinomial logistic regression on the {width:,} values of the code, standardised, of "
        f"{train:,} training rows with their labels (C by {valid:,} validation rows); its share of right answers on "
        f"{test:,} test rows. raw-value probe: the same on the {size:,} values of the data themselves. It says what a "
        f"linear classifier can read off, not all that a code holds; a difference below {chance:.1g} may be chance."
    )
    if subject.model is not None and subject.model.labels:
        note += f" This model has learnt from {subject.model.labels:,} labels itself."
    usual = np.bincount(y[0]).argmax()
    details = {"training rows": train, "test rows": test, "majority class": float((y[2] == usual).mean())}
    return [
        Metric(
            name,
            it.accuracy,
            it.standard_error,
            BINOMIAL,
            "share",
            details={"features": features, "C": it.c, "converged": it.converged, **details},
            note=note,
        )
        for name, it, features in (("probe accuracy", found, width), ("raw-value probe", raw, size))
    ]


def can_probe(model: GenerativeModel | None, data: Data) -> bool:
    """Whether the model has codes and the data labels, of so few classes that a probe takes seconds."""
    try:
        _, labels = _checked(model, data)
    except PlausibleError:
        return False
    return len(np.unique(labels[0])) <= MOST_CLASSES


def labels_of(data: Data, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of the training, validation and test rows.

    Raises:
        PlausibleError: there are none; the message says what has them.
    """
    train, valid, test = data.train.y, data.valid.y, data.test.y
    if train is None or valid is None or test is None:
        raise PlausibleError(
            f"--metrics {metric} needs labels, and {data.spec} has none: take digits, mnist, a folder whose "
            "sub-folders are the labels, or an .npz with x and y"
        )
    return train, valid, test


def features_of(
    features: Callable[[Tensor], Tensor], rows: Rows, places: np.ndarray | None = None
) -> np.ndarray:
    """What a function, (B, *shape) → (B, d), says of all the rows or of some, (n, d)."""
    return np.concatenate([block for _, block in blockwise(features, rows, SEED, places)])


def _checked(
    model: GenerativeModel | None, data: Data
) -> tuple[Callable[[Tensor], Tensor], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """x, (B, *shape) → its code, (B, features); and the labels of the splits.

    Raises:
        PlausibleError: a model without codes, or data without two classes.
    """
    represent = representation(model)
    if model is None or represent is None:
        name = type(model).__name__ if model is not None else "a source of samples"
        raise PlausibleError(
            f"--metrics probe needs a model with codes (encode), such as autoencoder, vae or aae; {name} can only be "
            "judged by its samples: take --metrics fidelity"
        )
    labels = labels_of(data, "probe")
    if len(np.unique(labels[0])) < 2:
        raise PlausibleError(
            f"--metrics probe needs two classes, and {data.spec} is one: name others in --data"
        )
    check_domain(model, data.domain, data.spec)
    return lambda x: represent(x).flatten(1), labels
