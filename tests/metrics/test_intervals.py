"""Intervals: closed forms, and the share of 200 repetitions in which they hold the expected value."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from plausible.metrics.intervals import interval_of, jackknife_error, share_interval
from plausible.metrics.kernel_distance import frechet_distance, kernel_distance
from plausible.metrics.neighbours import fidelity


def test_jackknife_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(0).normal(size=50)
    left_out = (x.sum() - x) / 49
    assert jackknife_error(left_out) == pytest.approx(x.std(ddof=1) / math.sqrt(50))
    assert jackknife_error(left_out, left_out) == pytest.approx(math.sqrt(2 / 50) * x.std(ddof=1))


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (20, 20), (3, 20), (180, 200), (1, 7)])
def test_share_interval_of_independent_rows_is_wilsons(successes, n):
    share = successes / n
    found = share_interval(share, math.sqrt(share * (1 - share) / n), n)
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_share_interval_widens_with_its_error():
    narrow, wide = share_interval(0.7, 0.02, 10_000), share_interval(0.7, 0.1, 10_000)
    assert narrow == pytest.approx((0.7 - 1.96 * 0.02, 0.7 + 1.96 * 0.02), abs=2e-3)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert share_interval(1.0, 0.0, 50)[1] == 1


def test_interval_of():
    assert interval_of(1.0, 0.5) == pytest.approx((1 - 0.97998, 1 + 0.97998), abs=1e-5)
    assert interval_of(0.1, 0.5, 0.0)[0] == 0


def repeated(n, d, shift, repetitions):
    """Figures and intervals of N(0, I_d) against N(shift, (1 + shift)² I_d), n rows each."""
    values, intervals = {}, {}
    for seed in range(repetitions):
        generator = torch.Generator().manual_seed(seed)
        x, y = (torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(2))
        y = y * (1 + shift) + shift
        found = fidelity(x, y)
        for name in ("precision", "recall", "density", "coverage", "nearest"):
            values.setdefault(name, []).append(getattr(found, name))
            intervals.setdefault(name, []).append(found.interval(name))
        for name, estimate in {"kid": kernel_distance(x, y), "frechet": frechet_distance(x, y)}.items():
            values.setdefault(name, []).append(estimate.value)
            intervals.setdefault(name, []).append(estimate.interval)
    return {name: np.array(each) for name, each in values.items()}, intervals


@pytest.mark.slow
@pytest.mark.parametrize(("d", "shift"), [(8, 0.0), (8, 0.3), (32, 0.1)])
def test_intervals_hold_the_expected_value_at_their_rate(d, shift):
    """95 % or more, less 3 binomial deviations, of 300; and intervals are at most 1.9 times as wide as need be.

    Shares near 0 or 1 may have wider ones: few balls decide there, so Wilson's effective number of rows is small.
    """
    values, intervals = repeated(150, d, shift, 300)
    least = 0.95 - 3 * math.sqrt(0.95 * 0.05 / 300)
    for name, found in values.items():
        low, high = np.array(intervals[name]).T
        held = np.mean((low <= found.mean()) & (found.mean() <= high))
        assert held >= least, (name, held)
        if name in ("kid", "frechet", "density") or 0.05 < found.mean() < 0.95:
            assert np.mean(high - low) < 1.9 * 2 * 1.96 * found.std(ddof=1), (name, np.mean(high - low))
