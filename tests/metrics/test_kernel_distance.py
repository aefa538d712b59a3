"""KID and Fréchet distance against torchmetrics, closed forms, and leaving out rows by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from plausible.errors import PlausibleError
from plausible.metrics import _arrays
from plausible.metrics.kernel_distance import frechet_distance, kernel_distance


def normal(n, d, seed=0, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, d, generator=generator, dtype=torch.float64) + shift


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.7, 0.4)])
def test_kid_equals_torchmetrics(scale, shift):
    x, y = normal(120, 9), normal(120, 9, 1, scale, shift)
    assert kernel_distance(x, y).value == pytest.approx(poly_mmd(x, y).item(), rel=1e-9, abs=1e-12)


def test_kid_of_unequal_counts_equals_its_definition():
    x, y = normal(40, 3), normal(25, 3, 1, 1.3)

    def kernel(a, b):
        return float((a @ b / 3 + 1) ** 3)

    def mean(pairs):
        return math.fsum(pairs) / len(pairs)

    expected = (
        mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
        + mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
        - 2 * mean([kernel(a, b) for a in x for b in y])
    )
    assert kernel_distance(x, y).value == pytest.approx(expected, rel=1e-10)


def test_kid_standard_error_equals_the_jackknife_by_hand(monkeypatch):
    x, y = normal(30, 4), normal(20, 4, 1, 1.5)
    groups = [
        [kernel_distance(x[torch.arange(30) != i], y).value for i in range(30)],
        [kernel_distance(x, y[torch.arange(20) != i]).value for i in range(20)],
    ]
    expected = math.sqrt(sum((len(g) - 1) * np.var(g) for g in groups))
    assert kernel_distance(x, y).standard_error == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(_arrays, "WORKING_SET", 8 * 30 * 7)
    assert kernel_distance(x, y).standard_error == pytest.approx(expected, rel=1e-9)


class Itself(torch.nn.Module):
    """Features that are given as they are."""

    num_features = 9

    def forward(self, x):
        return x.flatten(1)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.7, 0.4)])
def test_frechet_equals_torchmetrics(scale, shift):
    x, y = normal(120, 9), normal(90, 9, 1, scale, shift)
    oracle = FrechetInceptionDistance(Itself(), input_img_size=(1, 3, 3)).set_dtype(torch.float64)
    oracle.update(x.view(-1, 1, 3, 3), real=True)
    oracle.update(y.view(-1, 1, 3, 3), real=False)
    assert frechet_distance(x, y).value == pytest.approx(oracle.compute().item(), rel=1e-7)


def test_frechet_of_two_gaussians_is_its_closed_form():
    """N(0, I₃) and N(m, s²I₃): ‖m‖² + 3(1 − s)²; large n."""
    found = frechet_distance(normal(40_000, 3), normal(40_000, 3, 1, 2.0, 1.0))
    assert found.value == pytest.approx(3 + 3, abs=4 * found.standard_error)
    assert found.standard_error < 0.1


def test_frechet_standard_error_equals_the_jackknife():
    """The influence function is the derivative of the distance in the weight of a row."""
    x, y = normal(400, 3), normal(300, 3, 1, 1.5, 0.3)
    groups = [
        [frechet_distance(x[torch.arange(400) != i], y).value for i in range(400)],
        [frechet_distance(x, y[torch.arange(300) != i]).value for i in range(300)],
    ]
    expected = math.sqrt(sum((len(g) - 1) * np.var(g) for g in groups))
    assert frechet_distance(x, y).standard_error == pytest.approx(expected, rel=0.05)


def test_copies_have_no_rank_and_still_a_distance():
    x = normal(60, 9)
    copies = x[torch.arange(60) % 4]
    found = frechet_distance(x, copies)
    assert math.isfinite(found.value)
    assert math.isfinite(found.standard_error)
    assert frechet_distance(x, x).value == pytest.approx(0, abs=1e-6)
    same = frechet_distance(x, x[:1].repeat(60, 1))
    assert same.value == pytest.approx(
        (x.mean(0) - x[0]).square().sum().item() + x.var(0).sum().item(), rel=1e-9
    )


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance])
def test_hopeless_input_is_named(distance):
    with pytest.raises(PlausibleError, match="fake has 3 values a row where 2"):
        distance(torch.rand(9, 2), torch.rand(9, 3))
    with pytest.raises(PlausibleError, match="real holds NaN"):
        distance(torch.rand(9, 2) * math.nan, torch.rand(9, 2))
    with pytest.raises(PlausibleError, match="rows of each set, got 9 real and 1 fake"):
        distance(torch.rand(9, 2), torch.rand(1, 2))
