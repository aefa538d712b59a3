"""Damaged rows keep to the data's values, and the AUROC of a score and its interval are what they should be."""

import numpy as np
import pytest

from plausible.comparison.damage import DAMAGE, NOISE, anomaly_results, damaged_rows, interval_of_area
from plausible.data import load


@pytest.mark.parametrize(("spec", "levels"), [("digits", 17), ("digits:binary", 2)])
def test_damage_cannot_be_told_by_rounding(spec, levels):
    real, damaged = damaged_rows(load(spec), 0)
    assert set(damaged) == set(DAMAGE)
    for rows in damaged.values():
        assert (rows.shape, rows.dtype) == (real.shape, np.float32)
        steps = rows * (levels - 1)
        np.testing.assert_allclose(steps, steps.round(), atol=1e-5)
        assert (rows.min(), rows.max()) == (0.0, 1.0)
        assert (rows != real).any()


def test_shuffled_columns_keep_each_column_and_lose_the_dependence():
    z = np.random.default_rng(0).standard_normal((3000, 1))
    data = load(np.concatenate([z, z], 1).astype(np.float32))
    real, damaged = damaged_rows(data, 0)
    rows = damaged["shuffled columns"]
    np.testing.assert_array_equal(np.sort(rows, 0), np.sort(real, 0))
    assert abs(np.corrcoef(rows.T)[0, 1]) < 0.2


def test_the_noise_is_in_units_of_each_training_column():
    z = np.random.default_rng(0).standard_normal((5000, 2)) * [1, 100]
    data = load(z.astype(np.float32))
    real, damaged = damaged_rows(data, 0)
    np.testing.assert_allclose((damaged["noise"] - real).std(0), NOISE * data.train.array().std(0), rtol=0.1)


def test_the_same_rows_are_damaged_for_every_score_and_others_for_another_seed():
    data = load("digits")
    (_, a), (_, b), (_, c) = (damaged_rows(data, seed) for seed in (0, 0, 1))
    for name in DAMAGE:
        np.testing.assert_array_equal(a[name], b[name])
        assert (a[name] != c[name]).any()


def test_a_perfect_score_has_area_1_and_a_blind_one_one_half():
    data = load("digits")
    real, _ = damaged_rows(data, 0)
    known = {row.tobytes() for row in real}
    perfect = anomaly_results(
        lambda x: np.array([row.tobytes() in known for row in x], float), data, 0, "words"
    )
    assert [each.value for each in perfect] == [1.0] * (1 + len(DAMAGE))
    assert all(each.interval == (1 - 3 / len(real), 1.0) for each in perfect)
    backwards = anomaly_results(
        lambda x: np.array([row.tobytes() not in known for row in x], float), data, 0, "words"
    )
    assert [each.value for each in backwards] == [0.0] * (1 + len(DAMAGE))
    rng = np.random.default_rng(0)
    blind = anomaly_results(lambda x: rng.random(len(x)), data, 0, "words")
    assert all(low < 0.5 < high for low, high in (each.interval for each in blind))
    assert blind[0].details["damaged rows"] == len(DAMAGE) * len(real)


def test_an_area_near_1_is_not_surer_than_its_rows_allow():
    low, high = interval_of_area(0.9999, 1e-6, 100)
    assert (low, high) == (pytest.approx(0.9699), 1.0)
    assert interval_of_area(0.9, 0.01, 100) == pytest.approx((0.9 - 1.96 * 0.01, 0.9 + 1.96 * 0.01), abs=1e-6)


def test_the_interval_covers_at_its_stated_rate():
    """Two Gaussians one standard deviation apart: the area is Φ(1/√2) = 0.7602."""
    from plausible.metrics.anomaly import auroc

    rng, truth, covered = np.random.default_rng(0), 0.760250, 0
    for _ in range(400):
        area = auroc(rng.standard_normal(100) + 1, rng.standard_normal(100))
        low, high = interval_of_area(area.value, area.standard_error, 100)
        covered += low <= truth <= high
    assert 0.91 <= covered / 400 <= 0.985
