"""Conformal p-values and false-discovery control: by their definitions, and by what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.errors import PlausibleError
from plausible.metrics.calibration import (
    conformal_p_values,
    discoveries,
    fewest_discoveries,
    is_far_above,
)

SCORES = st.lists(st.integers(-4, 4).map(float) | st.just(-np.inf), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES)
def test_p_values_are_the_definitions_with_ties(scores, valid):
    found = conformal_p_values(np.array(scores), np.array(valid))
    expected = [(1 + sum(known <= score for known in valid)) / (len(valid) + 1) for score in scores]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_row_that_ties_with_a_valid_row_is_no_less_plausible():
    assert conformal_p_values(np.array([1.0, 0.9]), np.array([1.0, 2.0, 3.0])).tolist() == [0.5, 0.25]


def test_p_values_of_ordinary_rows_are_uniform_on_their_grid():
    """P(p ≤ j/(n + 1)) = j/(n + 1) exactly, without ties: n = 19 valid rows, 40,000 repetitions."""
    rng = np.random.default_rng(0)
    p = np.array([conformal_p_values(draw[:1], draw[1:])[0] for draw in rng.normal(size=(40_000, 20))])
    for j in range(1, 21):
        assert (p <= j / 20 + 1e-9).mean() == pytest.approx(j / 20, abs=5 * 0.5 / 200)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40).map(lambda k: k / 40), min_size=1, max_size=40),
    st.sampled_from([0.05, 0.2, 0.5]),
)
def test_marks_are_benjamini_and_hochbergs_step_up(p, rate):
    ordered = sorted(p)
    steps = [k for k in range(1, len(p) + 1) if ordered[k - 1] <= k * rate / len(p) + 1e-12]
    cut = ordered[steps[-1] - 1] if steps else -1
    assert discoveries(np.array(p), rate).tolist() == [each <= cut for each in p]


def test_the_false_discovery_rate_is_kept_though_valid_rows_are_shared():
    rng = np.random.default_rng(1)
    shares, found = [], []
    for _ in range(400):
        scores = np.concatenate([rng.normal(size=80), rng.normal(-6, 1, size=20)])
        marked = discoveries(conformal_p_values(scores, rng.normal(size=200)), 0.2)
        shares.append(marked[:80].sum() / max(1, marked.sum()))
        found.append(marked[80:].mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) < 0.2 * 0.8 + 4 * error  # Benjamini and Hochberg: at most rate·(ordinary share)
    assert np.mean(found) > 0.9


@pytest.mark.parametrize(
    ("rows", "valid", "rate"), [(1, 9, 0.1), (1, 8, 0.1), (178, 18, 0.1), (50, 999, 0.05)]
)
def test_the_fewest_rows_that_can_be_marked(rows, valid, rate):
    fewest = fewest_discoveries(rows, valid, rate)
    smallest = 1 / (valid + 1)
    for k in range(1, rows + 1):
        p = np.where(np.arange(rows) < k, smallest, 1.0)
        assert discoveries(p, rate).any() == (k >= fewest)


def test_what_cannot_be_calibrated_is_a_clear_error():
    with pytest.raises(PlausibleError, match="validation rows, and there are none"):
        conformal_p_values(np.zeros(3), np.zeros(0))
    for scores, valid in (([np.nan], [0.0]), ([0.0], [np.nan])):
        with pytest.raises(PlausibleError, match="one is NaN"):
            conformal_p_values(np.array(scores), np.array(valid))
    for rate in (0, 1, -1, np.nan):
        with pytest.raises(PlausibleError, match="--fdr must be between 0 and 1"):
            discoveries(np.ones(3), rate)


def test_far_above_is_more_than_a_deviation_and_no_matter_of_few_rows():
    valid = np.random.default_rng(2).normal(100, 10, 200)
    assert is_far_above(np.full(50, 115.0), valid)
    assert not is_far_above(np.full(50, 105.0), valid)
    assert not is_far_above(np.full(50, 85.0), valid)
    assert not is_far_above(np.array([125.0]), valid)
    assert is_far_above(np.array([165.0]), valid)
    assert is_far_above(np.full(50, 115.0), np.append(valid, -np.inf))
    assert not is_far_above(np.full(50, 115.0), valid[:1])
