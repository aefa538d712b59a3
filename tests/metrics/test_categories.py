"""Classification and clustering, by a model that says what it is told to."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import one_hot

from plausible import data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics import Subject, defaults, measure
from plausible.metrics.categories import majority

POINTS = np.random.default_rng(0).integers(0, 5, 1000)
"""The label of each row; the row's only value says which category the model puts it in."""
WRONG = np.random.default_rng(1).random(1000) < 0.2
CATEGORY = np.where(WRONG, (POINTS + 1) % 5, POINTS)


class Told(GenerativeModel):
    """q(y|x) is sure of the category that x names, after a permutation."""

    def __init__(self, labels, order, categories=5, domain="real"):
        super().__init__((2,), domain)
        self.labels, self.order, self.categories = labels, torch.as_tensor(order), categories

    def classify(self, x):
        return (one_hot(self.order[x[:, 0].long()], self.categories).float() * 5).log_softmax(1)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("told") / "told.npz"
    np.savez(path, x=np.c_[CATEGORY, np.arange(1000)].astype(np.float32), y=POINTS)
    return str(path)


def measured(spec, model, name):
    return {result.name: result for result in measure(subject(spec, model), [name])}


def subject(spec, model):
    return Subject(lambda n: torch.zeros(n), data.load(spec), model)


def test_the_test_error_counts_wrong_rows(spec):
    metric = measured(spec, Told(100, range(5)), "classification")["test error"]
    wrong = WRONG[data.load(spec).test.ids]
    assert metric.value == pytest.approx(100 * wrong.mean())
    assert metric.spread == pytest.approx(100 * np.sqrt(wrong.mean() * (1 - wrong.mean()) / len(wrong)))
    assert (metric.unit, metric.higher_is_better, metric.details["labels"]) == ("%", False, 100)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(7)))
def test_clusters_may_have_any_order(spec, order):
    found = measured(spec, Told(0, order[:5], 7), "clustering")
    test = data.load(spec).test.ids
    assert found["clustering error"].value == pytest.approx(100 * WRONG[test].mean())
    assert found["ARI"].value == pytest.approx(adjusted_rand_score(POINTS[test], CATEGORY[test]))
    assert found["clustering error"].details["categories"] == 7
    assert found["clustering error"].details["in use"] == 5


def test_right_clusters_are_one_and_a_single_one_says_nothing(spec, tmp_path):
    right = tmp_path / "right.npz"
    np.savez(right, x=np.c_[POINTS, np.arange(1000)].astype(np.float32), y=POINTS)
    found = measured(str(right), Told(0, [3, 1, 0, 4, 2]), "clustering")
    assert [found[name].value for name in ("clustering error", "NMI", "ARI")] == [0, 1, 1]
    found = measured(spec, Told(0, [2] * 5), "clustering")
    rows = data.load(spec)
    usual = np.bincount(rows.valid.y).argmax()
    assert found["clustering error"].value == pytest.approx(100 * (rows.test.y != usual).mean())
    assert found["ARI"].value == pytest.approx(0, abs=1e-12)
    assert found["NMI"].value == pytest.approx(0, abs=1e-12)


def test_the_majority_names_a_category_and_nobody_an_empty_one():
    category, y = np.array([0, 0, 0, 2, 2]), np.array([4, 4, 1, 3, 0])
    np.testing.assert_array_equal(majority(category, y, 4), [4, -1, 0, -1])


def test_a_category_without_validation_rows_is_wrong(spec):
    rows = data.load(spec)
    asked = []

    class Late(Told):
        """Another category for test rows than for validation rows."""

        def classify(self, x):
            found = torch.full((len(x),), int(not np.isin(x[:, 1], rows.valid.ids).all()))
            asked.append(len(x))
            return one_hot(found, 5).float().log()

    assert measured(spec, Late(0, range(5)), "clustering")["clustering error"].value == 100
    assert asked == [len(rows.valid), len(rows.test)]


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("classification", Told(0, range(5)), r"no labels.*--metrics clustering.*--labels"),
        ("clustering", Told(100, range(5)), r"100 labels.*--metrics classification"),
        ("classification", Told(100, [0] * 5, 3), r"5 classes.*3 categories"),
        ("clustering", GenerativeModel((2,), "real"), r"no classifier.*probe.*categorical-aae"),
        ("classification", None, r"samples alone"),
        ("clustering", Told(0, range(5), domain="unit"), r"unit.*real"),
    ],
)
def test_what_does_not_fit_is_a_clear_error(spec, name, model, said):
    with pytest.raises(PlausibleError, match=said):
        measured(spec, model, name)


def test_data_without_labels_are_named(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 2)))
    model = Told(0, range(5))
    with pytest.raises(PlausibleError, match=r"clustering: it needs labels, and .*x\.npy has none"):
        measured(str(tmp_path / "x.npy"), model, "clustering")
    fits = defaults(subject(str(tmp_path / "x.npy"), model))
    assert not {"classification", "clustering"} & set(fits)


@pytest.mark.parametrize(("labels", "name"), [(0, "clustering"), (100, "classification")])
def test_the_one_that_fits_is_a_default(spec, labels, name):
    fits = defaults(subject(spec, Told(labels, range(5))))
    assert set(fits) & {"classification", "clustering"} == {name}
