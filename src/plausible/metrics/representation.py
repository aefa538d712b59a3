"""What a linear classifier can read off a model's codes or features."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from plausible.capabilities import Code, Features, require, supports
from plausible.data import Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.needs import labels, labels_of, model_takes_data
from plausible.metrics.registry import Result, Subject, metric
from plausible.metrics.scores import blockwise, subset

__all__ = [
    "BINOMIAL",
    "Probed",
    "binomial_error",
    "features_of",
    "linear_probe",
    "measure_probe",
    "representation",
]

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
            "--metrics probe: the codes hold NaN or infinity: the model or the data are damaged"
        )
    scaler = StandardScaler().fit(train[0])
    x, x_valid, x_test = (scaler.transform(features) for features, _ in (train, valid, test))
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    best = (-1.0, 0.0, 0.0, True)
    for c in PENALTIES:
        model.C = c
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # reported as `converged`
            model.fit(x, train[1])
        accuracy = model.score(x_valid, valid[1])
        if accuracy > best[0]:
            converged = bool((model.n_iter_ < ITERATIONS).all())
            best = (accuracy, model.score(x_test, test[1]), c, converged)
    return Probed(float(best[1]), len(test[1]), best[2], best[3])


def has_representation(subject: Subject) -> None:
    """The model represents each row, by features or by a code.

    Raises:
        PlausibleError: it does neither.
    """
    model = subject.needed_model()
    if not supports(model, Features):
        require(model, Code, instead=["take --metrics fidelity"])


def has_few_classes(subject: Subject) -> bool:
    """So few classes that a probe takes seconds."""
    return len(np.unique(labels_of(subject.data)[0])) <= MOST_CLASSES


@metric(
    "probe",
    needs=(has_representation, labels(2), model_takes_data),
    default=has_few_classes,
    reads=("train", "valid", "test"),
)
def measure_probe(subject: Subject) -> list[Result]:
    """Accuracy of a linear probe of the codes, and that of the same probe of the raw values beside it."""
    data, model = subject.data, cast(GenerativeModel, subject.model)
    encoded, y_all = representation(model), labels_of(data)

    def represent(x: Tensor) -> Tensor:
        return encoded(x).flatten(1)

    width, size = features_of(represent, data.train, np.arange(1)).shape[1], int(np.prod(data.shape))
    most = max(1, min(ROWS, VALUES // max(width, size)))
    places = [subset(np.arange(len(y)), most, SEED) for y in y_all]
    y = [own[at] for own, at in zip(y_all, places, strict=True)]

    def probe(features: Callable[[Tensor], Tensor]) -> Probed:
        splits = zip((data.train, data.valid, data.test), places, strict=True)
        x = [features_of(features, rows, at) for rows, at in splits]
        return linear_probe(*zip(x, y, strict=True))

    of_codes, of_values = probe(represent), probe(lambda x: x.flatten(1))
    train, valid, test = (len(own) for own in y)
    chance = 2 * np.hypot(of_codes.standard_error, of_values.standard_error)
    note = (
        f"probe accuracy: multinomial logistic regression on the {width:,} values of the code, standardised, of "
        f"{train:,} training rows with their labels (C chosen on {valid:,} validation rows); the share of right "
        f"answers on {test:,} test rows. raw-value probe: the same on the {size:,} values of the data themselves. It "
        f"says what a linear classifier can read off, not all that a code holds; a difference below {chance:.1g} may "
        "be chance."
    )
    if model.labels:
        note += f" This model was itself trained with {model.labels:,} labels."
    majority = np.bincount(y[0]).argmax()
    details = {"training rows": train, "test rows": test, "majority class": float((y[2] == majority).mean())}
    return [
        Result(
            name,
            it.accuracy,
            it.standard_error,
            BINOMIAL,
            "share",
            details={"features": features, "C": it.c, "converged": it.converged, **details},
            note=note,
        )
        for name, it, features in (
            ("probe accuracy", of_codes, width),
            ("raw-value probe", of_values, size),
        )
    ]


def features_of(
    features: Callable[[Tensor], Tensor], rows: Rows, places: np.ndarray | None = None
) -> np.ndarray:
    """What a function, (B, *shape) → (B, d), says of all the rows or of some, (n, d)."""
    return np.concatenate([block for _, block in blockwise(features, rows, SEED, places)])


def representation(model: GenerativeModel) -> Callable[[Tensor], Tensor]:
    """The function that represents examples, (B, *shape) → (B, …): the model's features, or its code.

    Raises:
        PlausibleError: the model has neither.
    """
    if supports(model, Code) and not supports(model, Features):
        return model.encode
    return require(model, Features).features
