"""How well a model's categories agree with the labels: learnt with some labels, or found without any."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.metric import Metric, Subject
from plausible.metrics.representation import BINOMIAL, binomial_error, features_of, labels_of
from plausible.metrics.scores import check_domain


@runtime_checkable
class Classifying(Protocol):
    """A model that puts each row into a category."""

    labels: int
    """How many labels it has learnt from; 0: its categories are clusters, in no order."""

    def classify(self, x: Tensor) -> Tensor:
        """(B, *shape) → log q(y|x), (B, categories)."""
        ...


def classification(subject: Subject) -> list[Metric]:
    """Test error of the model's own classification, in percent."""
    data = subject.data
    model = _checked(subject.model, data, "classification")
    if not model.labels:
        raise PlausibleError(
            "--metrics classification: the model has learnt from no labels, so its categories are in no order: take "
            "--metrics clustering, or train with --labels"
        )
    _, _, y = labels_of(data, "classification")
    log_probs = features_of(model.classify, data.test)
    if y.max() >= log_probs.shape[1]:
        raise PlausibleError(
            f"--metrics classification: {data.spec} has {y.max() + 1} classes, and the model "
            f"{log_probs.shape[1]} categories: evaluate on the data it was trained on"
        )
    note = (
        f"test error: how many of {len(y):,} test rows the model's most probable category is wrong for; it has learnt "
        f"from {model.labels:,} labels. ± knows of the test rows alone, not of another choice of labels or seed."
    )
    details = {"labels": model.labels, "test rows": len(y)}
    return [_error("test error", log_probs.argmax(1) != y, details, note)]


def clustering(subject: Subject) -> list[Metric]:
    """Test error, in percent, when each category is called by its most frequent label; and NMI and ARI.

    The names come from the validation rows: the majority's label of those in the category, the smallest of several.
    Makhzani et al. (*Adversarial Autoencoders*, 2015, section 6) give the label of the one row that is the surest
    of its category; the majority is steadier. A category without validation rows has no name: its test rows are errors.
    """
    data = subject.data
    model = _checked(subject.model, data, "clustering")
    if model.labels:
        raise PlausibleError(
            f"--metrics clustering: the model has learnt from {model.labels:,} labels: take --metrics classification"
        )
    _, valid, y = labels_of(data, "clustering")
    known, found = (features_of(model.classify, rows) for rows in (data.valid, data.test))
    names = majority(known.argmax(1), valid, known.shape[1])
    category = found.argmax(1)
    used = len(np.unique(category))
    note = (
        f"clustering error: each of the {len(names):,} categories is called by the label that most of its validation "
        f"rows have (Makhzani et al. 2015 take that of the surest row); no labels but these {len(valid):,} are used. "
        f"Of the categories {used:,} hold any of the {len(y):,} test rows. More give fewer errors: compare equal "
        "numbers. NMI and ARI compare the test rows' categories with their labels and need no names: 1 where they "
        "agree, ARI about 0 by chance."
    )
    details = {
        "categories": len(names),
        "in use": used,
        "validation rows": len(valid),
        "test rows": len(y),
    }
    return [
        _error("clustering error", names[category] != y, details, note),
        Metric("NMI", float(normalized_mutual_info_score(y, category)), details=details, note=note),
        Metric("ARI", float(adjusted_rand_score(y, category)), details=details, note=note),
    ]


def fitting_categories(model: GenerativeModel | None, data: Data) -> str | None:
    """Which of the two fits the model and the data, if any does."""
    try:
        able = _checked(model, data, "classification")
    except PlausibleError:
        return None
    return "classification" if able.labels else "clustering"


def majority(category: np.ndarray, y: np.ndarray, categories: int) -> np.ndarray:
    """The most frequent label of each category, (categories,), the smallest of several; −1 for an empty one."""
    counts = np.zeros((categories, int(y.max()) + 1), np.int64)
    np.add.at(counts, (category, y), 1)
    return np.where(counts.any(1), counts.argmax(1), -1)


def _error(name: str, wrong: np.ndarray, details: dict[str, int], note: str) -> Metric:
    share, n = float(wrong.mean()), len(wrong)
    return Metric(name, 100 * share, 100 * binomial_error(share, n), BINOMIAL, "%", False, details, note)


def _checked(model: GenerativeModel | None, data: Data, metric: str) -> Classifying:
    """The model, if it classifies such data.

    Raises:
        PlausibleError: a model that does not, or data without labels.
    """
    if model is None or not isinstance(model, Classifying):
        name = type(model).__name__ if model is not None else "a source of samples"
        raise PlausibleError(
            f"--metrics {metric} needs a model that classifies, such as categorical-aae; {name} does not: take "
            "--metrics probe if it has codes, or fidelity"
        )
    labels_of(data, metric)
    check_domain(model, data.domain, data.spec)
    return model
