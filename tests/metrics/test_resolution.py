"""Samples are compared at the data's resolution: bytes, whole numbers, decimals; real values are left alone."""

import numpy as np
import pytest
import torch

from plausible import data
from plausible.data.steps import find_step
from plausible.errors import PlausibleError
from plausible.metrics.resolution import resolution_of


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.arange(256, dtype=np.float32) / np.float32(255), 1 / 255),
        (np.array([0, 3, 5, 9, 16], np.float32) / 16, 1 / 16),  # the smallest gap is two steps
        (np.float32([18, 21, 34, 90]), 1),
        (np.float32([39.1, 39.5, 40.3, 36.8]), 0.1),
        (np.float32([1, 2, 1, 2]), 1),
        (np.arange(326, 18_823, 7, dtype=np.float32), 7),
        ((np.arange(16, dtype=np.float32) - 7.3) / 2.1, 1 / 2.1),  # standardised
        (np.float32([3.0, 3.0]), 1),
        (np.float32([3.25, 3.25]), 0.01),
        (np.float32([0.0, 0.0]), 1),
    ],
)
def test_steps_are_found(values, step):
    assert find_step(values)[1] == pytest.approx(step, rel=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_real_values_have_no_step(seed):
    rng = np.random.default_rng(seed)
    values = [
        rng.normal(size=300),
        rng.normal(size=6),
        rng.exponential(1e6, 50),
        [0, 1, 2.71828, *rng.random(4)],
    ]
    for each in values:
        assert find_step(np.float32(each))[1] == 0
    assert find_step(np.append(np.zeros(50), rng.normal(size=50)).astype(np.float32))[1] == 0  # many zeros


@pytest.mark.parametrize("spec", ["digits", "digits:binary"])
def test_jitter_below_half_a_step_disappears(spec):
    rows = data.load(spec)
    x = rows.test.array()
    at = resolution_of(rows.train.array(), rows.domain, rows.shape)
    half = 0.49 * at.step[0].item()
    jitter = np.random.default_rng(0).uniform(-half, half, x.shape).astype(np.float32)
    assert torch.equal(at(x + jitter), at(x))
    assert not torch.equal(at(x + 3 * jitter), at(x))
    assert len(at(x).unique()) == len(np.unique(x))


def test_each_column_of_a_table_has_its_own():
    rng = np.random.default_rng(0)
    train = np.stack([rng.integers(0, 90, 200), rng.normal(size=200), rng.integers(0, 9, 200) / 10], 1)
    at = resolution_of(np.float32(train), "real", (3,))
    assert at.step.tolist() == pytest.approx([1, 0, 0.1], rel=1e-5)
    low = train.min(0)
    np.testing.assert_allclose(at(np.float32([[-5.4, 0.123, 0.449]])), [[-5 - low[0], 0.123, 4]], rtol=1e-6)
    assert "2 of 3 columns" in str(at)


def test_nan_is_refused():
    at = resolution_of(np.float32([[1, 2], [3, 4]]), "real", (2,))
    with pytest.raises(PlausibleError, match="NaN"):
        at(np.float32([[1, np.nan]]))
