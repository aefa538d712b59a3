"""What classifiers read off a representation: a linear probe and the nearest neighbours, with their intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from plausible.data import Data
from plausible.metrics import Result
from plausible.metrics.needs import labels_of
from plausible.metrics.representation import BINOMIAL, binomial_error, features_of, linear_probe
from plausible.metrics.scores import subset

__all__ = ["classifier_results", "wilson"]

ROWS = 5000
"""Training rows, at most; of valid and test rows likewise."""
NEIGHBOURS = 5


def classifier_results(represent: Callable[[Tensor], Tensor], data: Data, seed: int) -> list[Result]:
    """Accuracy of a linear probe and of the 5 nearest neighbours on a representation, with Wilson's 95 % intervals.

    Args:
        represent: (B, *shape) → (B, …).
        data: with labels.
        seed: random seed of the choice of rows.

    Raises:
        PlausibleError: no labels, fewer than two classes, or a representation that is not finite.
    """
    y = labels_of(data)
    places = [subset(np.arange(len(own)), ROWS, seed) for own in y]
    train, valid, test = (
        (features_of(lambda x: represent(x).flatten(1), rows, at), own[at])
        for rows, own, at in zip((data.train, data.valid, data.test), y, places, strict=True)
    )
    probe = linear_probe(train, valid, test)
    near = KNeighborsClassifier(NEIGHBOURS).fit(*train).score(*test)
    sizes = {"training rows": len(train[1]), "test rows": len(test[1]), "values": train[0].shape[1]}
    note = (
        f"The share of {len(test[1]):,} test rows whose label is found from the representation by a logistic "
        f"regression (C chosen on {len(valid[1]):,} valid rows) and by the {NEIGHBOURS} nearest of {len(train[1]):,} "
        "training rows (Euclidean distance)."
    )
    return [
        _result("linear probe", probe.accuracy, probe.n, note, sizes | {"C": probe.c}),
        _result(f"{NEIGHBOURS} nearest", float(near), len(test[1]), note, sizes),
    ]


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % confidence interval of a share of n rows."""
    low, high = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(low), float(high)


def _result(name: str, share: float, n: int, note: str, details: dict[str, object]) -> Result:
    error = binomial_error(share, n)
    return Result(
        name, share, error, BINOMIAL, "share", details=details, note=note, interval=wilson(share, n)
    )
