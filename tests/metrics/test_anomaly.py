"""One-class AUROC: the area and its error against oracles, which rows are asked, what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from support import tiny

from plausible import data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics import Subject, defaults, measure
from plausible.metrics import anomaly as module
from plausible.metrics.anomaly import Area, auroc

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30)


def truth_of(normal, anomalous):
    return np.repeat([1, 0], [len(normal), len(anomalous)]), np.concatenate([normal, anomalous])


@settings(max_examples=40, deadline=None)
@given(SCORES, SCORES)
def test_the_area_is_scikit_learns_with_ties_too(normal, anomalous):
    found = auroc(np.array(normal), np.array(anomalous))
    assert found.value == pytest.approx(roc_auc_score(*truth_of(normal, anomalous)), abs=1e-12)
    mirrored = auroc(-np.array(normal), -np.array(anomalous))
    assert mirrored.value == pytest.approx(1 - found.value, abs=1e-12)
    assert mirrored.standard_error == pytest.approx(found.standard_error, abs=1e-12)


def test_the_error_is_delongs_by_its_definition():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 25) + 2.0, rng.integers(0, 9, 40) * 1.0
    kernel = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    expected = kernel.mean(1).var(ddof=1) / 25 + kernel.mean(0).var(ddof=1) / 40
    assert auroc(a, b).standard_error == pytest.approx(np.sqrt(expected))


@pytest.mark.parametrize(("shift", "n", "m"), [(0.0, 200, 100), (1.0, 100, 300), (2.0, 300, 300)])
def test_the_error_is_the_bootstraps(shift, n, m):
    rng = np.random.default_rng(1)
    a, b = rng.normal(shift, 1, n), rng.normal(0, 1.5, m)
    draws = [auroc(rng.choice(a, n), rng.choice(b, m)).value for _ in range(600)]
    assert auroc(a, b).standard_error == pytest.approx(np.std(draws), rel=0.18)  # 6/√1200


def test_the_error_is_what_fresh_data_show():
    rng = np.random.default_rng(2)
    found = [auroc(rng.normal(1, 1, 60), rng.normal(0, 1, 80)) for _ in range(800)]
    spread = np.std([area.value for area in found])
    assert np.mean([area.standard_error for area in found]) == pytest.approx(spread, rel=0.15)  # 6/√1600


def test_infinite_scores_count_and_separation_is_one():
    assert auroc(np.array([1.0, 2.0]), np.array([-np.inf, -np.inf])) == Area(1.0, 0.0)
    assert auroc(np.array([-np.inf, 2.0]), np.array([-np.inf, -np.inf])).value == 0.75


@pytest.mark.parametrize(
    ("normal", "anomalous", "said"),
    [
        ([1.0], [0.0, 1.0], "two normal rows"),
        ([0.0, 1.0], [], "two anomalous"),
        ([0, 1], [0, np.nan], "row 1 is NaN"),
    ],
)
def test_hopeless_scores_are_refused(normal, anomalous, said):
    with pytest.raises(PlausibleError, match=said):
        auroc(np.array(normal, float), np.array(anomalous, float))


# ---------------------------------------------------------------------- the metric
class Oracle(GenerativeModel):
    """Scores by ink alone: an oracle to check which rows are asked."""

    def log_prob(self, x):
        return x.flatten(1).sum(1)


def measured(spec, model, names=("anomaly",)):
    return {result.name: result for result in measure(subject(spec, model), names)}


def subject(spec, model, trained=None):
    return Subject(lambda n: torch.zeros(n), data.load(spec), model, trained)


@pytest.mark.parametrize("view", ["", ":binary"])
def test_normal_is_the_class_and_odd_are_the_other_classes_of_the_same_test_split(view):
    whole = data.load(f"digits{view}")
    ink, normal = whole.test.array().sum((1, 2, 3)), whole.test.y == 3
    found = measured(f"digits:class=3{view}", Oracle((1, 8, 8), whole.domain))
    metric = found["anomaly AUROC"]
    assert metric.value == pytest.approx(roc_auc_score(normal, ink))
    assert (metric.details["normal rows"], metric.details["anomalous rows"]) == (
        normal.sum(),
        (~normal).sum(),
    )
    assert metric.details["average precision"] == pytest.approx(
        average_precision_score(~normal, -ink), abs=1e-4
    )
    assert "log p(x)" in metric.note
    train = data.load(f"digits:class=3{view}").train.array().reshape(-1, 64)
    near = [np.square(train - row.ravel()).sum(1).min() for row in whole.test.array()]
    expected = roc_auc_score(normal, -np.array(near))
    assert found["nearest-row AUROC"].value == pytest.approx(expected, abs=1e-3)


def test_more_rows_than_needed_are_drawn_once(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 10)
    model = Oracle((1, 8, 8), "unit")
    first, second = (measured("digits:class=3", model)["anomaly AUROC"] for _ in range(2))
    assert first == second
    assert (first.details["normal rows"], first.details["anomalous rows"]) == (10, 10)


def test_a_bound_that_is_no_density_gives_way_to_the_reconstruction():
    grey = tiny("vae", "default", (1, 8, 8), "unit", observation="bernoulli")
    assert "reconstruction" in measured("digits:class=3", grey)["anomaly AUROC"].details["score"]
    usual = tiny("vae", "default", (1, 8, 8), "unit")
    assert "log_prob_bound[k=50]" in measured("digits:class=3", usual)["anomaly AUROC"].details["score"]


@pytest.mark.parametrize(
    ("spec", "model", "said"),
    [
        ("digits", Oracle((1, 8, 8), "unit"), r"digits is not a view of one.*mnist:class=3"),
        (
            "digits:class=3",
            GenerativeModel((1, 8, 8), "unit"),
            r"no score of its own: take --metrics fidelity, or train .* vae",
        ),
        ("digits:class=3", None, r"samples alone"),
        ("digits:class=3", Oracle((1, 8, 8), "binary"), r"digits:class=3:binary"),
    ],
)
def test_what_cannot_be_detected_is_a_clear_error_and_no_default(spec, model, said):
    with pytest.raises(PlausibleError, match=said):
        measured(spec, model)
    assert "anomaly" not in defaults(subject(spec, model))


def test_one_class_of_a_file_without_others_is_no_default(tmp_path):
    x = np.random.default_rng(0).random((40, 3))
    np.savez(tmp_path / "one.npz", x=x, y=np.zeros(40, int))
    spec = f"{tmp_path / 'one.npz'}:class=0"
    with pytest.raises(PlausibleError, match="two of other classes, and there are 4 and 0"):
        measured(spec, Oracle((3,), "real"))
    assert "anomaly" not in defaults(subject(spec, Oracle((3,), "real")))


def test_it_is_a_default_of_one_class():
    assert "anomaly" in defaults(subject("digits:class=3", Oracle((1, 8, 8), "unit")))


def test_a_model_that_saw_the_other_classes_is_no_one_class_detector():
    model = Oracle((1, 8, 8), "unit")
    for trained in ("digits", "digits:class=4"):
        with pytest.raises(PlausibleError, match=f"trained on {trained}"):
            measure(subject("digits:class=3", model, trained), ["anomaly"])
        assert "anomaly" not in defaults(subject("digits:class=3", model, trained))
