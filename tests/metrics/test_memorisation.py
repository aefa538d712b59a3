"""The audit of memorisation: copies are found, held-out rows are none, and smoothness is not mistaken for memory."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

from plausible import data
from plausible.metrics import Subject, defaults, measure
from plausible.metrics.nearest import nearest


def audited(spec, samples, model=None):
    rows = data.load(spec) if isinstance(spec, str) else spec
    samples = torch.from_numpy(np.float32(samples))
    return {
        each.name: each for each in measure(Subject(lambda n: samples[:n], rows, model), ["memorisation"])
    }


@pytest.fixture(scope="module")
def halves():
    """`digits` with 600 training, 300 test and 897 other rows, which play the model's fresh samples."""
    x = data.load("digits").rows.array()[np.random.default_rng(0).permutation(1797)]
    return data.load({"train": x[:600], "valid": x[600:620], "test": x[620:920]}), x[920:]


@pytest.mark.parametrize("width", [3, 100])
@pytest.mark.parametrize("sizes", [(500,), (7, 93, 400)])
def test_nearest_rows_are_scikit_learns(width, sizes):
    rng = np.random.default_rng(0)
    points, queries = rng.normal(size=(500, width)) + 5, rng.normal(size=(60, width)) + 5
    points, queries = np.float32(points), np.float32(queries)
    queries[3] = points[411]
    found, places = nearest(torch.from_numpy(queries), torch.from_numpy(points).split(sizes), 4)
    expected, indices = (
        NearestNeighbors(n_neighbors=4, algorithm="kd_tree")
        .fit(points.astype(float))
        .kneighbors(queries.astype(float))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=1e-12)
    np.testing.assert_array_equal(places, indices)
    assert found[3, 0] == 0


def test_fewer_points_than_neighbours():
    found, places = nearest(torch.zeros(2, 3), [torch.ones(2, 3)], 5)
    assert found.shape == places.shape == (2, 2)


def test_fresh_rows_are_no_copies(halves):
    rows, fresh = halves
    found = audited(rows, fresh)
    assert found["exact copies"].value == found["exact copies"].floor == 0
    assert found["near copies"].value < 0.05
    for name in ("closer than test rows", "membership AUC"):
        low, high = found[name].interval
        assert low <= 0.5 <= high, name


def test_copies_are_found_though_a_little_noisy(halves):
    rows, _ = halves
    x = rows.train.array()
    noisy = x + np.random.default_rng(0).normal(0, 0.05, x.shape)
    for samples, exact in ((x, 1.0), (noisy, 0.1)):
        found = audited(rows, samples)
        assert (found["exact copies"].value == 1) == (exact == 1)
        assert found["near copies"].value > 0.95
        assert found["near copies"].floor < 0.05
        assert found["closer than test rows"].value > 0.95
        assert found["closer than test rows"].details["p"] < 1e-6
        assert found["membership AUC"].value > 0.95


def test_a_quarter_of_copies_is_found(halves):
    rows, fresh = halves
    found = audited(rows, np.concatenate([rows.train.array()[:75], fresh[:225]]))
    assert found["exact copies"].value == pytest.approx(0.25)
    assert found["near copies"].value == pytest.approx(0.25, abs=0.03)


def test_samples_near_the_mean_are_close_to_training_rows_and_are_no_membership():
    """N(0, I/4) in place of N(0, I), in 20 dimensions."""
    x = np.random.default_rng(0).normal(size=(1500, 20)).astype(np.float32)
    rows = data.load({"train": x[:600], "valid": x[600:620], "test": x[620:920]})
    found = audited(rows, x[920:] / 2)
    assert found["closer than test rows"].interval[0] > 0.8
    low, high = found["membership AUC"].interval
    assert low <= 0.5 <= high
    assert found["exact copies"].value == 0


def test_the_test_of_distances_is_scipys(halves):
    rows, fresh = halves
    found = audited(rows, fresh)["closer than test rows"]
    train, test, made = (
        np.rint(x.reshape(len(x), -1) * 16) for x in (rows.train.array(), rows.test.array(), fresh)
    )
    near = NearestNeighbors(n_neighbors=1).fit(train)
    a, b = (near.kneighbors(x)[0][:, 0] for x in (made[:300], test))
    u = mannwhitneyu(a, b, alternative="less")
    assert found.value == pytest.approx(1 - u.statistic / 300**2, abs=1e-9)
    assert found.details["p"] == pytest.approx(u.pvalue, rel=0.01)


def test_columns_of_a_table_weigh_the_same_and_whole_numbers_are_rounded():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(0, 1000, 400), rng.normal(size=400), rng.integers(0, 5, 400)], 1).astype(
        np.float32
    )
    rows = data.load({"train": x[:200], "valid": x[200:220], "test": x[220:]})
    moved = x[:200] + np.float32([0, 0, 0.4])  # rounded back
    assert audited(rows, moved)["exact copies"].value == 1
    moved = x[:200] + np.float32([0, 3, 0])  # three standard deviations of the second column
    assert audited(rows, moved)["near copies"].value < 0.5


class Scored:
    """A model whose log p(x) knows the training rows."""

    shape, domain, labels = (1, 8, 8), "unit", 0

    def __init__(self, known):
        self.known = torch.from_numpy(known).flatten(1)

    def log_prob(self, x):
        return -torch.cdist(x.flatten(1), self.known).min(1).values.double()

    def log_prob_terms(self, x):
        return self.log_prob(x)[:, None]


@pytest.mark.parametrize(("split", "value"), [("train", 1.0), ("test", 0.0), ("valid", 0.5)])
def test_scores_that_know_their_training_rows_betray_them(halves, split, value):
    rows, fresh = halves
    found = audited(rows, fresh, Scored(getattr(rows, split).array()))["score AUC"]
    assert found.value == pytest.approx(value, abs=0.08)
    assert "log_prob" in found.details["score"]


def test_it_is_a_default(halves):
    rows, fresh = halves
    assert "memorisation" in defaults(Subject(lambda n: torch.from_numpy(fresh), rows))


# ---------------------------------------------------------------------- tables with words and missing cells
def birds(n, seed):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    frame = pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c"])[kind],
            "mass": (3000 + 700 * kind + rng.normal(0, 200, n)).round(),
            "beak": (40 + 3 * kind + rng.normal(0, 1, n)).round(1),
            "wing": rng.normal(kind, 1).round(2),
        }
    )
    frame.loc[rng.random(n) < 0.1, "mass"] = np.nan
    return frame


@pytest.fixture(scope="module")
def table():
    rows = data.load({"train": birds(400, 0), "valid": birds(20, 1), "test": birds(300, 2)})
    fresh = data.load_rows(birds(300, 3), rows.schema).array()
    return rows, fresh


def test_fresh_rows_of_a_mixed_table_are_no_copies(table):
    rows, fresh = table
    found = audited(rows, fresh)
    assert found["exact copies"].value == 0
    for name in ("closer than test rows", "membership AUC"):
        low, high = found[name].interval
        assert low <= 0.5 <= high, name


def test_copies_in_a_mixed_table_are_found_exact_and_near(table):
    rows, fresh = table
    copied = rows.train.array()[:150].copy()
    found = audited(rows, np.r_[copied, fresh[:150]])
    assert found["exact copies"].value == pytest.approx(0.5)
    assert found["closer than test rows"].value > 0.7
    assert found["membership AUC"].value > 0.65
    copied[:, 3] += 0.004  # of a step of 0.01
    assert audited(rows, np.r_[copied, fresh[:150]])["exact copies"].value == pytest.approx(0.5)
    copied[:, 3] += 0.05
    near = audited(rows, np.r_[copied, fresh[:150]])
    assert near["exact copies"].value == 0
    assert near["near copies"].value > 0.35
    words = rows.train.array()[:150].copy()
    words[:, 0] = (words[:, 0] + 1) % 3  # another word is another row
    assert audited(rows, words)["exact copies"].value == 0


def test_a_gap_is_no_copy_of_the_mean(table):
    rows, _ = table
    train = rows.train.array()
    some = train[~np.isnan(train).any(1)][:100].copy()
    some[:, 1] = np.nan
    assert audited(rows, some)["exact copies"].value < 0.05
