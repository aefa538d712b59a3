"""Collapse: silent on real rows of any kind, loud on ten copies and on one mode, and cheap."""

import time

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine

from plausible import data
from plausible.errors import PlausibleError
from plausible.metrics.collapse import collapse
from plausible.metrics.fidelity import fidelity


def rows_of(name):
    """Rows and labels."""
    if name == "wine":
        wine = load_wine()
        return wine.data.astype(np.float32), wine.target
    rows = data.load(name)
    return rows.train.take(np.arange(min(len(rows.train), 5000)))


SETS = ["digits", "ring", "grid", "wine", "digits:binary"]


def halves(name, n, seed):
    """n real rows, and the other rows with their labels."""
    x, y = rows_of(name)
    order = np.random.default_rng(seed).permutation(len(x))
    return x[order[:n]], x[order[n:]], y[order[n:]]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("n", [64, 256])
def test_real_rows_raise_no_alarm_and_ten_copies_do(name, n):
    n = min(n, 85) if name == "wine" else n
    rng = np.random.default_rng(0)
    for seed in range(20):
        real, other, _ = halves(name, n, seed)
        found = collapse(other[:n], real)
        assert found.alarm is None, found
        assert 0.5 < found.distinctness < 2
        copies = collapse(other[rng.integers(10, size=n)], real)
        assert copies.distinctness < 1e-3
        assert "collapsing" in copies.alarm


@pytest.mark.parametrize("name", ["digits", "ring", "wine"])
def test_one_mode_raises_the_alarm(name):
    n = 85 if name == "wine" else 256
    fired = 0
    for seed in range(10):
        real, other, y = halves(name, n, seed)
        one = other[y == seed % 3]
        one = one[np.random.default_rng(seed).integers(len(one), size=n)] if name == "wine" else one[:n]
        found = collapse(one, real[: len(one)])
        fired += found.alarm is not None
        assert found.coverage < 0.75
    assert fired >= 8


def test_coverage_is_that_of_fidelity():
    real, other, _ = halves("digits", 200, 3)
    assert collapse(other[:200], real).coverage == pytest.approx(
        fidelity(real, other[:200], 5).coverage, abs=0.01
    )


def test_samples_far_from_the_data_are_not_called_collapse():
    real, _, _ = halves("digits", 256, 0)
    noise = torch.rand(256, 1, 8, 8)
    found = collapse(noise, real)
    assert found.coverage < 0.6
    assert found.alarm is None


def test_near_copies_are_copies():
    real, other, _ = halves("digits", 256, 0)
    near = np.repeat(other[:16], 16, axis=0) + np.random.default_rng(0).normal(0, 0.01, (256, 1, 8, 8))
    assert "collapsing" in collapse(np.float32(near), real).alarm


def test_a_table_of_repeated_rows():
    rng = np.random.default_rng(0)
    x = (rng.random((400, 3)) < 0.4).astype(np.float32)
    assert collapse(x[:200], x[200:]).alarm is None
    assert collapse(x[:1].repeat(200, 0), x[200:]).distinctness == pytest.approx(1 / 8)
    assert "collapsing" in collapse(x[:1].repeat(200, 0), x[200:]).alarm


def test_it_is_cheap():
    x, s = torch.rand(256, 3, 32, 32), torch.rand(256, 3, 32, 32)
    collapse(s, x)
    start = time.process_time()
    collapse(s, x)
    assert time.process_time() - start < 1  # 0.2 s on an idle core


@pytest.mark.parametrize(
    ("samples", "real", "said"),
    [
        (torch.rand(8, 2), torch.rand(99, 2), "8 samples and 99 real rows: give at least 32"),
        (torch.rand(40, 3), torch.rand(40, 2), "samples has 3 values"),
        (torch.rand(40, 2) * torch.nan, torch.rand(40, 2), "samples holds NaN"),
    ],
)
def test_errors_say_what_to_do(samples, real, said):
    with pytest.raises(PlausibleError, match=said):
        collapse(samples, real)
