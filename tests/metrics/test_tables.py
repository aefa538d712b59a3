"""Tables beside tables: figures against SciPy, and samples that are wrong in one way move the figure of that way."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ks_2samp, spearmanr
from scipy.stats.contingency import association as scipy_association
from scipy.stats.contingency import crosstab

from plausible.data import load
from plausible.metrics import METRICS, Subject, tables
from plausible.metrics.association import association, associations
from plausible.metrics.tables import WORST, column_distance, show_table, told_apart_by_trees
from plausible.plotting import to_svg

N = 1500


def frame(seed=0, n=N):
    """A table whose columns go together, with missing cells."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    job = np.where(rng.random(n) < (age - 18) / 62, "old", "young")
    pay = np.round(1000 + 50 * age + rng.normal(0, 200, n), 1)
    pay[rng.random(n) < 0.3] = np.nan
    city = rng.choice(["Oslo", "Rome", "Lima"], n, p=[0.5, 0.3, 0.2])
    return pd.DataFrame({"age": age, "job": job, "pay": pay, "city": city})


DATA = load(frame())
TRAIN = torch.from_numpy(DATA.train.array())
COLUMNS = {name: i for i, name in enumerate(DATA.columns or ())}


@pytest.fixture(autouse=True)
def two_folds(monkeypatch):
    """Five take longer and say the same here."""
    monkeypatch.setattr(tables, "FOLDS", 2)


@cache
def good():
    return figures(fresh())


def figures(samples):
    """Name → result of the metric `table` on these samples."""
    rows = samples.repeat(10_000 // len(samples) + 1, 1)[:10_000]
    return {each.name: each for each in METRICS["table"].compute(Subject(lambda n: rows[:n], DATA))}


def fresh(seed=1, n=2000):
    """Other rows of the same distribution, coded as the data's."""
    other = load(frame(seed, n), schema=DATA.schema).rows.array()
    return torch.from_numpy(other)


# ---------------------------------------------------------------------- the parts, against SciPy
@pytest.mark.parametrize("seed", range(5))
def test_distances_of_columns(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=300).round(1), rng.normal(0.3, 1, 200).round(1)
    assert column_distance(a, b, level=False) == pytest.approx(ks_2samp(a, b).statistic)
    assert column_distance(a, a, level=False) == 0
    k, m = rng.integers(0, 4, 300).astype(float), rng.integers(1, 6, 200).astype(float)
    shares = [[(x == v).mean() for v in range(6)] for x in (k, m)]
    assert column_distance(k, m, level=True) == pytest.approx(np.abs(np.subtract(*shares)).sum() / 2)


@pytest.mark.parametrize("level", [False, True])
def test_a_missing_cell_is_a_value_of_its_own(level):
    a, b = np.tile([0.0, 1.0], 50), np.tile([0.0, 1.0], 50)
    b[:20] = np.nan
    assert column_distance(a, b, level=level) == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(5))
def test_associations(seed):
    rng = np.random.default_rng(seed)
    number = rng.normal(size=400).round(1)
    other = number + rng.normal(size=400)
    level = (number > 0.2).astype(float) + (rng.random(400) < 0.3)
    group = rng.integers(0, 3, 400).astype(float)
    assert association(number, other, (False, False)) == pytest.approx(
        abs(spearmanr(number, other).statistic)
    )
    table = crosstab(level, group).count
    assert association(level, group, (True, True)) == pytest.approx(scipy_association(table, method="cramer"))
    ranks = pd.Series(number).rank()
    within = sum(((part - part.mean()) ** 2).sum() for _, part in ranks.groupby(level))
    expected = np.sqrt(1 - within / ((ranks - ranks.mean()) ** 2).sum())
    assert association(level, number, (True, False)) == pytest.approx(expected)
    assert association(number, level, (False, True)) == pytest.approx(expected)
    whole = associations(np.stack([number, level, group], 1), (0, 3, 3))
    np.testing.assert_allclose(whole, whole.T)
    assert (np.diag(whole) == 1).all()


def test_rows_with_a_missing_cell_and_constants_have_no_part():
    a, b = np.arange(50.0), np.arange(50.0)
    b[:25] = np.nan
    assert association(a, b, (False, False)) == pytest.approx(1)
    assert association(a, np.ones(50), (False, False)) == 0
    assert association(a, np.full(50, np.nan), (False, True)) == 0


def test_trees_say_half_of_one_distribution_and_one_of_two():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 600, 3))
    value, error = told_apart_by_trees(a, b, (0, 0, 0))
    assert abs(value - 0.5) < 4 * error
    assert told_apart_by_trees(a, b + np.array([3.0, 0, 0]), (0, 0, 0))[0] > 0.95


# ---------------------------------------------------------------------- the metric
def test_rows_of_the_same_distribution_are_near_the_floor():
    found = good()
    auc = found["AUC of trees"]
    assert abs(auc.value - 0.5) < 4 * auc.spread
    for name, each in found.items():
        if "distance" in name:
            assert each.value < each.floor + 0.06
        if "learned" in name:
            assert each.value == pytest.approx(each.floor, abs=0.06)


def wrong(what):
    """Samples that are wrong in one way."""
    x, rng = fresh(), np.random.default_rng(2)
    if what == "independent":
        for i in range(x.shape[1]):
            x[:, i] = x[torch.from_numpy(rng.permutation(len(x))), i]
    elif what == "shifted":
        x[:, COLUMNS["pay"]] += 500
    elif what == "filled":
        x[:, COLUMNS["pay"]] = x[:, COLUMNS["pay"]].nan_to_num(3000.0)
    elif what == "one city":
        x[:, COLUMNS["city"]] = 0
    return x


@pytest.mark.parametrize(
    ("what", "moved"),
    [
        ("independent", ["AUC of trees", "pair distance, mean"]),
        ("shifted", ["AUC of trees", "column distance, pay"]),
        pytest.param("filled", ["AUC of trees", "column distance, pay"], marks=pytest.mark.slow),
        pytest.param("one city", ["AUC of trees", "column distance, city"], marks=pytest.mark.slow),
    ],
)
def test_what_is_wrong_shows(what, moved):
    bad = figures(wrong(what))
    for name in moved:
        assert bad[name].value > good()[name].value + 0.05, name
    if what == "independent":
        assert (
            bad["accuracy of job learned from samples"].value
            < good()["accuracy of job learned from samples"].value - 0.05
        )
        assert bad["pair distance, mean"].value == pytest.approx(
            bad["pair distance, mean"].independent, abs=0.05
        )


def test_samples_are_compared_as_a_user_gets_them():
    """Digits that no user sees tell nothing apart."""
    x = fresh()
    x[:, COLUMNS["age"]] += 0.3 * torch.rand(len(x))
    assert figures(x)["AUC of trees"].value < 0.55


def test_the_report_shows_the_worst_columns_first():
    found = list(figures(wrong("shifted")).values())
    shown = show_table(found)
    (_, whole), (_, columns) = shown.tables
    assert columns[0].name == "column distance, pay"
    assert len(columns) == min(WORST, 4)
    assert [each.value for each in columns] == sorted((each.value for each in columns), reverse=True)
    assert whole[0].name == "AUC of trees"
    assert "pay (" in shown.alt
    assert b"<svg" in to_svg(shown.figure)
    json.dumps([each.details for each in found])


def test_a_table_without_names_is_refused():
    subject = Subject(lambda n: torch.zeros(n, 2), load(np.random.default_rng(0).normal(size=(300, 2))))
    with pytest.raises(Exception, match="named columns"):
        METRICS["table"].check(subject)
