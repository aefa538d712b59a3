"""Precision, recall, density and coverage against their definitions and the published oracle; PacGAN's counts."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.errors import PlausibleError
from plausible.metrics import _arrays
from plausible.metrics.fidelity import fidelity, principal_components
from plausible.metrics.modes import ModeCoverage, mode_coverage


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def definition(real, fake, k):
    """The four numbers from loops over points, in numpy float64."""
    real, fake = np.asarray(real, dtype=np.float64), np.asarray(fake, dtype=np.float64)

    def distance(a, b):
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True)))

    def radii(points):
        others = [
            sorted(distance(p, q) for j, q in enumerate(points) if j != i) for i, p in enumerate(points)
        ]
        return [nearest[k - 1] for nearest in others]

    cross = np.array([[distance(r, f) for f in fake] for r in real])
    real_radii, fake_radii = np.array(radii(real)), np.array(radii(fake))
    inside = cross < real_radii[:, None]
    return {
        "precision": inside.any(0).mean(),
        "recall": (cross < fake_radii[None]).any(1).mean(),
        "density": inside.sum() / (k * len(fake)),
        "coverage": (cross.min(1) < real_radii).mean(),
    }


def numbers(found):
    return {name: getattr(found, name) for name in ("precision", "recall", "density", "coverage")}


def test_three_hundred_points_equal_the_definition():
    real, fake = normal(300, 4), 0.8 * normal(300, 4, 1) + 0.3
    found = fidelity(real, fake, features="four normals")
    assert numbers(found) == definition(real, fake, 5)
    assert (found.k, found.n_real, found.n_fake, found.features) == (5, 300, 300, "four normals")


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(7, 40),
    m=st.integers(7, 40),
    d=st.integers(1, 5),
    k=st.integers(1, 6),
    seed=st.integers(0, 999),
)
def test_ties_and_copies_equal_the_definition(n, m, d, k, seed):
    """Whole numbers: most distances coincide, and a point on a ball's edge is outside."""
    generator = torch.Generator().manual_seed(seed)
    real, fake = (torch.randint(0, 3, (size, d), generator=generator).float() for size in (n, m))
    assert numbers(fidelity(real, fake, k)) == definition(real, fake, k)


def test_block_size_does_not_matter(monkeypatch):
    real, fake = normal(101, 6), normal(83, 6, 1)
    expected, components = fidelity(real, fake), principal_components(real, 3)
    monkeypatch.setattr(_arrays, "WORKING_SET", 8 * 83 * 7)
    assert fidelity(real, fake) == expected
    torch.testing.assert_close(principal_components(real, 3).components, components.components)


def test_laws():
    real = normal(200, 5)
    same = fidelity(real, real)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert fidelity(real, real + 1e3) == dataclasses.replace(
        same, precision=0, recall=0, density=0, coverage=0
    )
    fake = normal(200, 5, 1)
    there, back = fidelity(real, fake), fidelity(fake, real)
    assert (there.precision, there.recall) == (back.recall, back.precision)
    collapsed = fidelity(real, real[:10].repeat(20, 1))
    assert collapsed.precision == 1
    assert collapsed.recall == 0  # every fake ball has radius 0
    assert collapsed.coverage < 0.5


def test_expected_coverage_of_one_distribution():
    """1 − Π (n − i)/(2n − i): Naeem et al. 2020, appendix; averaged over 30 draws."""
    n, k = 300, 5
    expected = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    found = [fidelity(normal(n, 3, seed), normal(n, 3, 1000 + seed), k).coverage for seed in range(30)]
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / math.sqrt(30))
    for k, value in ((5, 0.96877), (3, 0.87504)):
        assert 1 - math.prod((10_000 - i) / (20_000 - i) for i in range(1, k + 1)) == pytest.approx(
            value, abs=5e-6
        )


@pytest.mark.hours  # 155 s of CPU time
def test_the_published_oracle():
    """`prdc`'s README: N(0, I₁₀₀₀) twice, 10,000 each, without a seed; so within 3 standard deviations over draws.

    Those (and our values for these seeds) come from six draws of an independent float32 matrix-product version.
    """
    found = numbers(fidelity(normal(10_000, 1000).float(), normal(10_000, 1000, 1).float()))
    published = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}
    deviation = {"precision": 0.012, "recall": 0.012, "density": 0.060, "coverage": 0.008}
    assert all(abs(found[name] - published[name]) < 3 * deviation[name] for name in published)
    assert found == pytest.approx(
        {"precision": 0.4870, "recall": 0.4689, "density": 1.0171, "coverage": 0.9703}, abs=3e-4
    )


@pytest.mark.parametrize(
    ("real", "fake", "k", "message"),
    [
        (torch.rand(5, 2), torch.rand(9, 2), 5, "more than k rows"),
        (torch.rand(9, 2), torch.rand(5, 2), 5, "more than k rows"),
        (torch.rand(9, 2), torch.rand(9, 2), 0, "1 ≤ k"),
        (torch.rand(9, 2), torch.rand(9, 3), 5, "fake has 3 values a row where 2"),
        (torch.rand(9, 2) * math.nan, torch.rand(9, 2), 5, "real holds NaN"),
        (torch.rand(0, 2), torch.rand(9, 2), 5, "real has shape"),
    ],
)
def test_hopeless_input_is_named(real, fake, k, message):
    with pytest.raises(PlausibleError, match=message):
        fidelity(real, fake, k)


def test_principal_components():
    train = normal(500, 12) @ normal(12, 12, 1) + 40
    found = principal_components(train, 4)
    torch.testing.assert_close(found.components @ found.components.T, torch.eye(4, dtype=torch.float64))
    scores = found(train)
    torch.testing.assert_close(scores.mean(0), torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)
    covariance = scores.T @ scores / 500
    eigenvalues = np.linalg.eigvalsh(np.cov(train.numpy().T, bias=True))[::-1]
    torch.testing.assert_close(
        covariance, torch.diag(torch.tensor(eigenvalues[:4].copy())), atol=1e-8, rtol=1e-9
    )
    assert found.explained == pytest.approx(eigenvalues[:4].sum() / eigenvalues.sum())
    assert (found.components.gather(1, found.components.abs().argmax(1, keepdim=True)) > 0).all()
    assert torch.equal(principal_components(train, 4).components, found.components)
    assert str(found).startswith("first 4 principal components of 500 training rows (")


def test_all_components_keep_distances():
    train = normal(50, 2, 3).view(50, 2, 1)
    found = principal_components(train)
    assert found.components.shape == (2, 2)
    assert found.explained == pytest.approx(1)
    torch.testing.assert_close(
        torch.cdist(found(train), found(train)), torch.cdist(train[..., 0], train[..., 0])
    )
    assert principal_components(torch.ones(3, 4)).explained == 1


def test_principal_components_refuse():
    with pytest.raises(PlausibleError, match="k ≥ 1 and two rows"):
        principal_components(torch.rand(1, 3))
    with pytest.raises(PlausibleError, match="k ≥ 1"):
        principal_components(torch.rand(5, 3), 0)
    with pytest.raises(PlausibleError, match="x has 4 values a row where 3"):
        principal_components(torch.rand(5, 3))(torch.rand(5, 4))


def ring():
    angles = torch.arange(8) * (2 * math.pi / 8)
    return torch.stack([angles.cos(), angles.sin()], 1).double()


def test_true_samples_cover_every_mode():
    centres = ring().repeat_interleave(5000, 0)
    found = mode_coverage(centres + 0.01 * normal(40_000, 2), ring(), 0.01)
    assert (found.modes, found.total, found.samples) == (8, 8, 40_000)
    expected = 1 - math.exp(-4.5)  # P(‖N(0, I₂)‖ < 3)
    assert found.high_quality == pytest.approx(
        expected, abs=5 * math.sqrt(expected * (1 - expected) / 40_000)
    )


def test_a_mode_needs_one_sample_nearer_than_three_sigma():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    samples = torch.tensor([[0.0, 0.0], [0.0, 2.9], [10.0, 3.0], [5.0, 0.0], [20.0, -2.99]])
    assert mode_coverage(samples, centres, 1.0) == ModeCoverage(
        modes=2, total=3, high_quality=3 / 5, counts=(2, 0, 1), samples=5
    )


def test_mode_coverage_refuses():
    for sigma in (0.0, -1.0, math.nan):
        with pytest.raises(PlausibleError, match="sigma must be positive"):
            mode_coverage(torch.rand(5, 2), ring(), sigma)
    with pytest.raises(PlausibleError, match="samples has 3 values"):
        mode_coverage(torch.rand(5, 3), ring(), 0.01)
    with pytest.raises(PlausibleError, match="samples holds NaN"):
        mode_coverage(torch.rand(5, 2) * math.nan, ring(), 0.01)
