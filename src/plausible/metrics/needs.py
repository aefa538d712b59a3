"""What metrics need of the data, and of a model and data together: checks for `@metric(needs=…)`.

Each takes a `Subject` and raises a `PlausibleError` that says what would do where the need is not met.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import Domain
from plausible.metrics.registry import Subject
from plausible.metrics.scores import check_domain

__all__ = ["check_labelled", "images", "labels", "labels_of", "model_takes_data", "values_in"]


def values_in(*domains: Domain) -> Callable[[Subject], None]:
    """The data's values are of one of these domains."""

    def check(subject: Subject) -> None:
        if subject.data.domain not in domains:
            raise PlausibleError(
                f"it is defined for {' and '.join(domains)} values, and {subject.data.spec} is {subject.data.domain}: "
                "take --metrics fidelity"
            )

    return check


def labels(classes: int = 1) -> Callable[[Subject], None]:
    """The data have labels, of at least so many classes among the training rows."""

    def check(subject: Subject) -> None:
        found = len(np.unique(labels_of(subject.data)[0]))
        if found < classes:
            raise PlausibleError(
                f"it needs {classes} classes, and {subject.data.spec} has {found}: name other data with --data"
            )

    return check


def model_takes_data(subject: Subject) -> None:
    """The model takes values of the data's domain."""
    if subject.model is not None:
        check_domain(subject.model, subject.data.domain, subject.data.spec)


def images(subject: Subject) -> None:
    """The data are images."""
    if len(subject.data.shape) != 3:
        raise PlausibleError(f"it needs images, and {subject.data.spec} is a table")


def check_labelled(data: Data) -> None:
    """The data have labels; none of them is read.

    Raises:
        PlausibleError: there are none; the message says which data have some.
    """
    if data.labels is None:
        raise PlausibleError(
            f"it needs labels, and {data.spec} has none: take digits, mnist, a folder whose sub-folders are the "
            "labels, a table with --target, or an .npz with x and y"
        )


def labels_of(data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of the training, validation and test rows.

    Raises:
        PlausibleError: there are none; the message says which data have some.
    """
    check_labelled(data)
    return cast(tuple[np.ndarray, np.ndarray, np.ndarray], (data.train.y, data.valid.y, data.test.y))
