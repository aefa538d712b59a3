"""The two-sample test: exact under the null, bounds below the closed form and near it, blind to rounding."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter
from scipy.stats import binom, norm
from sklearn.cluster import KMeans

from plausible import data
from plausible.errors import PlausibleError
from plausible.metrics import METRICS, Subject, defaults, measure
from plausible.metrics import two_sample as module
from plausible.metrics.two_sample import bounds_from, two_sample


def normal(n, seed, shift=0.0, d=2):
    return (np.random.default_rng(seed).normal(size=(n, d)) + shift * np.eye(d)[0]).astype(np.float32)


def jsd(shift):
    """JSD of N(0, I) and the same shifted along one axis, by quadrature, nats."""

    def term(x):
        p, q = norm.pdf(x), norm.pdf(x, shift)
        return p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q))

    return quad(term, -10, 10 + shift)[0] / 2


def best(x, shift):
    """D* = p/(p + q)."""
    return 1 / (1 + np.exp(shift * x[:, 0] - shift**2 / 2))


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_the_best_discriminator_gives_jsd_and_its_accuracy(shift):
    found = bounds_from(best(normal(200_000, 1), shift), best(normal(200_000, 2, shift), shift))
    assert found.jsd_bound == pytest.approx(jsd(shift), abs=0.004)
    assert found.jsd_low < jsd(shift)
    assert found.criterion_bound == pytest.approx(-math.log(4) + 2 * found.jsd_bound)
    assert found.accuracy == pytest.approx(norm.cdf(shift / 2), abs=0.003)


def test_another_discriminator_gives_less():
    real, fake = normal(50_000, 1), normal(50_000, 2, 1.0)
    for other in (0.3, 3.0):
        assert bounds_from(best(real, other), best(fake, other)).jsd_bound < jsd(1.0) - 0.005
    assert bounds_from(1 - best(real, 1.0), 1 - best(fake, 1.0)).jsd_bound == 0  # wrong sign
    nothing = bounds_from(np.full(100, 0.5), np.full(100, 0.5))
    assert (nothing.accuracy, nothing.jsd_bound, nothing.criterion_bound) == (0.5, 0, -math.log(4))


def test_a_test_without_errors_leaves_a_margin():
    """None of n rows is wrong with probability 5 % where 3/n of them are."""
    n = 100
    found = bounds_from(np.ones(n), np.zeros(n))
    share = 1.5 / n
    assert found.accuracy == 1
    assert found.jsd_low < math.log(2) + (share * math.log(share) + (1 - share) * math.log(1 - share))
    assert found.jsd_low > 0.5
    assert found.interval[0] == pytest.approx(0.025 ** (1 / (2 * n)))


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_bound_of_a_fitted_classifier_is_below_the_closed_form_and_near_it(shift):
    found = two_sample(normal(8000, 1), normal(8000, 2, shift), 3)
    assert jsd(shift) - 0.02 < found.jsd_bound < jsd(shift) + 0.015
    assert found.jsd_low <= jsd(shift)
    assert found.interval[0] < norm.cdf(shift / 2) < found.interval[1] + 0.015
    assert (found.rows, found.fitted) == (4000, 3000)
    assert found == two_sample(normal(8000, 1), normal(8000, 2, shift), 3)


def test_relations_between_columns_are_seen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2))
    real = np.stack([x[:, 0], 0.9 * x[:, 0] + 0.44 * x[:, 1]], 1).astype(np.float32)
    assert two_sample(real, rng.permuted(real, axis=0), 1).accuracy > 0.7


def repeated(n, shift, times=200, train=None):
    """`times` tests of fresh rows."""
    for seed in range(times):
        known = None if train is None else normal(train, 9000 + seed)
        yield two_sample(normal(n, seed), normal(3 * n, 5000 + seed, shift), seed, train=known)


@pytest.mark.slow
@pytest.mark.parametrize("train", [None, 100])
def test_under_the_null_the_interval_covers_one_half_and_the_count_is_binomial(train):
    found = list(repeated(80, 0.0, train=train))
    missed = sum(not each.interval[0] <= 0.5 <= each.interval[1] for each in found)
    assert missed <= binom.ppf(0.999, len(found), 0.05)
    right = np.array([each.accuracy * 2 * each.rows for each in found])
    total = 2 * found[0].rows
    assert abs(right.mean() - total / 2) < 3.5 * math.sqrt(total / 4 / len(found))
    assert right.var() < 1.4 * total / 4
    assert sum(each.jsd_low > 0 for each in found) <= binom.ppf(0.999, len(found), 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.7, 3.0])
def test_the_confidence_limit_lies_below_jsd(shift):
    above = sum(each.jsd_low > jsd(shift) for each in repeated(120, shift))
    assert above <= binom.ppf(0.999, 200, 0.05)


def damaged(rows):
    """Samples of `digits` with the faults that models have."""
    rng, x = np.random.default_rng(0), rows.train.array()
    picked = x[rng.integers(len(x), size=2000)]
    return {
        "noise": picked + 0.1 * rng.standard_normal(picked.shape),
        "blur": gaussian_filter(picked, (0, 0, 0.5, 0.5)),
        "centroids": KMeans(200, n_init=1, random_state=0)
        .fit(x.reshape(len(x), -1))
        .cluster_centers_.reshape(-1, 1, 8, 8)[rng.integers(200, size=2000)],
        "three classes": x[rows.train.y < 3][rng.integers((rows.train.y < 3).sum(), size=2000)],
        "ten copies": x[rng.integers(10, size=2000)],
        "independent": rng.permuted(picked, axis=0),
    }


def measured(spec, x):
    rows = data.load(spec)
    subject = Subject(lambda n: torch.from_numpy(np.float32(x)), rows)
    return measure(subject, ["two-sample"])


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_faults_are_told_apart(digits):
    for name, x in damaged(digits).items():
        apart, bound, criterion = measured("digits", x)
        assert apart.value > 0.75, name  # three of ten classes: .85 at best
        assert apart.interval[0] > 0.5
        assert bound.interval[0] > 0.1, name
        assert criterion.value == pytest.approx(-math.log(4) + 2 * bound.value)


@pytest.mark.parametrize("spec", ["digits", "digits:binary"])
def test_rows_as_floats_near_their_levels_are_not(spec):
    """Held-out rows that miss their levels by a hair, as a model's floats do."""
    rows = data.load(spec)
    x = np.concatenate([rows.train.array()[700:], rows.train.array()[700:]])
    x = x + np.random.default_rng(0).uniform(-0.02, 0.02, x.shape)
    subject = Subject(lambda n: torch.from_numpy(np.float32(x)), rows)
    apart, *_ = measure(subject, ["two-sample"])
    assert apart.interval[0] <= 0.5
    assert "steps of" in apart.details["values"]


def test_copies_of_training_rows_do_not_pass_as_better_than_chance(digits):
    """Nor as worse: calibration on held-out rows sees that the classifier takes copies for data."""
    x = digits.train.array()
    apart, *_ = measured("digits", np.concatenate([x, x]))
    assert 0.4 < apart.value < 0.65


def test_it_is_the_first_metric_and_a_default(digits):
    assert next(iter(METRICS)) == "two-sample"
    assert defaults(Subject(lambda n: torch.zeros(n, 1, 8, 8), digits))[0] == "two-sample"


def test_counts_are_equal_and_no_row_is_used_twice(monkeypatch):
    """Rows are numbered, so each one can be followed."""
    seen = {}

    class Bases:
        def __init__(self, x, y):
            seen["fit"] = x, y

        def __call__(self, x):
            seen["test" if "calibrate" in seen else "calibrate"] = x, None
            return np.zeros((len(x), 2))

    monkeypatch.setattr(module, "_fit_bases", lambda x, y, shape, seed: Bases(x, y))
    real, fake = np.arange(200.0)[:, None], 1000 + np.arange(90.0)[:, None]
    train, calibration = 300 + np.arange(100.0)[:, None], 500 + np.arange(50.0)[:, None]
    for more in ({}, {"train": train}, {"train": train, "calibration": calibration}):
        seen.clear()
        two_sample(real, fake, **more)
        rows = np.concatenate([x[:, 0] for x, _ in seen.values()])
        assert len(set(rows)) == len(rows)
        for x, _ in seen.values():
            assert (x >= 1000).sum() * 2 == len(x)
        assert (seen["test"][0][: len(seen["test"][0]) // 2] < 200).all()
        assert seen["fit"][1].tolist() == [1] * (len(seen["fit"][0]) // 2) + [0] * (len(seen["fit"][0]) // 2)
        assert (seen["fit"][0] >= 1000)[:, 0].tolist() == [label == 0 for label in seen["fit"][1]]


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (normal(20, 1), normal(200, 2), "give more"),
        (normal(200, 1), normal(12, 2), "12 samples: give more"),
        (normal(200, 1), normal(200, 2, d=3), "fake has 3 values"),
        (normal(200, 1) * np.nan, normal(200, 2), "real holds NaN"),
    ],
)
def test_errors_say_what_to_do(real, fake, said):
    with pytest.raises(PlausibleError, match=said):
        two_sample(real, fake)


def test_errors_of_the_bounds():
    with pytest.raises(PlausibleError, match="as many of each"):
        bounds_from(np.ones(3), np.ones(2))
    with pytest.raises(PlausibleError, match="not logits"):
        bounds_from(np.ones(2), np.array([0.0, 1.5]))
