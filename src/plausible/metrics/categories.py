"""How well a model's categories agree with the labels: trained with some labels, or found without any."""

from __future__ import annotations

from typing import cast

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from plausible.capabilities import Classifier, require
from plausible.errors import PlausibleError
from plausible.metrics.needs import check_labelled, model_takes_data
from plausible.metrics.registry import Result, Subject, metric
from plausible.metrics.representation import BINOMIAL, binomial_error, features_of

__all__ = ["majority", "measure_classification", "measure_clustering"]


def has_categories(subject: Subject) -> None:
    """The model classifies rows of such data, which have labels.

    Raises:
        PlausibleError: it does not, or they have none.
    """
    require(
        subject.needed_model(),
        Classifier,
        instead=["take --metrics probe, if it has a code", "take --metrics fidelity"],
    )
    check_labelled(subject.data)
    model_takes_data(subject)


def was_shown_labels(subject: Subject) -> None:
    """The model was trained with labels, so that its categories are the classes."""
    if not require(subject.model, Classifier).labels:
        raise PlausibleError(
            "the model was trained with no labels, so its categories are in no order: take --metrics clustering, or "
            "train with --labels"
        )


def was_shown_no_labels(subject: Subject) -> None:
    """The model was trained without labels, so that its categories are clusters."""
    if labels := require(subject.model, Classifier).labels:
        raise PlausibleError(f"the model was trained with {labels:,} labels: take --metrics classification")


@metric("classification", needs=(has_categories, was_shown_labels))
def measure_classification(subject: Subject) -> list[Result]:
    """Test error of the model's own classification, in percent."""
    data, model = subject.data, require(subject.model, Classifier)
    y = cast(np.ndarray, data.test.y)
    log_probs = features_of(model.classify, data.test)
    if y.max() >= log_probs.shape[1]:
        raise PlausibleError(
            f"--metrics classification: {data.spec} has {y.max() + 1} classes, and the model "
            f"{log_probs.shape[1]} categories: evaluate on the data it was trained on"
        )
    note = (
        f"test error: the share of {len(y):,} test rows for which the model's most probable category is wrong; it was "
        f"trained with {model.labels:,} labels. ± covers the choice of test rows alone, not that of labels or seed."
    )
    details = {"labels": model.labels, "test rows": len(y)}
    return [_error("test error", log_probs.argmax(1) != y, details, note)]


@metric("clustering", needs=(has_categories, was_shown_no_labels), reads=("valid", "test"))
def measure_clustering(subject: Subject) -> list[Result]:
    """Test error, in percent, when each category is named by its most frequent label; and NMI and ARI.

    The names come from the validation rows: the most frequent label of those in the category, the smallest of several.
    Makhzani et al. (*Adversarial Autoencoders*, 2015, section 6) take the label of the one row with the highest
    probability of the category; the majority is steadier. A category without validation rows has no name: its test
    rows are errors.
    """
    data, model = subject.data, require(subject.model, Classifier)
    valid, y = cast(np.ndarray, data.valid.y), cast(np.ndarray, data.test.y)
    known, found = (features_of(model.classify, rows) for rows in (data.valid, data.test))
    names = majority(known.argmax(1), valid, known.shape[1])
    category = found.argmax(1)
    used = len(np.unique(category))
    note = (
        f"clustering error: each of the {len(names):,} categories is named by the label that most of its validation "
        "rows have (Makhzani et al. 2015 take that of the row with the highest probability); no labels but these "
        f"{len(valid):,} are used. {used:,} of the categories hold any of the {len(y):,} test rows. More categories "
        "give fewer errors: compare equal numbers. NMI and ARI compare the test rows' categories with their labels and "
        "need no names: 1 where they agree, ARI about 0 by chance."
    )
    details = {
        "categories": len(names),
        "in use": used,
        "validation rows": len(valid),
        "test rows": len(y),
    }
    return [
        _error("clustering error", names[category] != y, details, note),
        Result("NMI", float(normalized_mutual_info_score(y, category)), details=details, note=note),
        Result("ARI", float(adjusted_rand_score(y, category)), details=details, note=note),
    ]


def majority(category: np.ndarray, y: np.ndarray, categories: int) -> np.ndarray:
    """The most frequent label of each category, (categories,), the smallest of several; −1 for an empty one."""
    counts = np.zeros((categories, int(y.max()) + 1), np.int64)
    np.add.at(counts, (category, y), 1)
    return np.where(counts.any(1), counts.argmax(1), -1)


def _error(name: str, wrong: np.ndarray, details: dict[str, int], note: str) -> Result:
    share, n = float(wrong.mean()), len(wrong)
    return Result(name, 100 * share, 100 * binomial_error(share, n), BINOMIAL, "%", False, details, note)
