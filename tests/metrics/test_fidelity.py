"""Precision, recall, density and coverage against their definitions and the published oracle; PacGAN's counts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from plausible import data
from plausible.errors import PlausibleError
from plausible.metrics import Subject, _arrays
from plausible.metrics.fidelity import at_data_levels, compared_rows, fidelity, principal_components
from plausible.metrics.modes import ModeCoverage, mode_coverage


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def definition(real, fake, k):
    """The four numbers from loops over points, in numpy float64."""
    real, fake = np.asarray(real, dtype=np.float64), np.asarray(fake, dtype=np.float64)

    def distance(a, b):
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True)))

    def radii(points, k=k):
        others = [
            sorted(distance(p, q) for j, q in enumerate(points) if j != i) for i, p in enumerate(points)
        ]
        return [nearest[k - 1] for nearest in others]

    cross = np.array([[distance(r, f) for f in fake] for r in real])
    real_radii, fake_radii = np.array(radii(real)), np.array(radii(fake))
    inside = cross < real_radii[:, None]
    right = 0.0
    for own, others in ((radii(real, 1), cross.min(1)), (radii(fake, 1), cross.min(0))):
        right += (np.array(own) < others).sum() + (np.array(own) == others).sum() / 2
    return {
        "precision": inside.any(0).mean(),
        "recall": (cross < fake_radii[None]).any(1).mean(),
        "density": inside.sum() / (k * len(fake)),
        "coverage": (cross.min(1) < real_radii).mean(),
        "nearest": right / (len(real) + len(fake)),
    }


def numbers(found):
    return {name: getattr(found, name) for name in ("precision", "recall", "density", "coverage", "nearest")}


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


def test_a_matrix_product_gives_the_same_figures():
    real, fake = normal(200, 8), 0.8 * normal(200, 8, 1) + 0.2
    found, exact = fidelity(real, fake, exact=False), fidelity(real, fake)
    assert numbers(found) == numbers(exact)
    assert found.errors == pytest.approx(exact.errors)


def test_block_size_does_not_matter(monkeypatch):
    real, fake = normal(101, 6), normal(83, 6, 1)
    expected, components = fidelity(real, fake), principal_components(real, 3)
    monkeypatch.setattr(_arrays, "WORKING_SET", 8 * 83 * 7)
    found = fidelity(real, fake)
    assert numbers(found) == numbers(expected)
    assert found.errors == pytest.approx(expected.errors, rel=1e-12)
    torch.testing.assert_close(principal_components(real, 3).components, components.components)


def test_laws():
    real = normal(200, 5)
    same = fidelity(real, real)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert numbers(fidelity(real, real + 1e3)) == {
        "precision": 0,
        "recall": 0,
        "density": 0,
        "coverage": 0,
        "nearest": 1,
    }
    assert same.nearest == 0  # each row's nearest neighbour is its copy in the other set
    fake = normal(200, 5, 1)
    there, back = fidelity(real, fake), fidelity(fake, real)
    assert (there.precision, there.recall) == (back.recall, back.precision)
    collapsed = fidelity(real, real[:10].repeat(20, 1))
    assert collapsed.precision == 1
    assert collapsed.recall == 0  # every fake ball has radius 0
    assert collapsed.coverage < 0.5


def test_nearest_neighbour_equals_scikit_learn():
    real, fake = normal(150, 4), 1.1 * normal(130, 4, 1) + 0.2
    points, kinds = torch.cat([real, fake]).numpy(), np.repeat([0, 1], (150, 130))
    nearest = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)[:, 0]
    assert fidelity(real, fake).nearest == pytest.approx((kinds[nearest] == kinds).mean())


def test_errors_equal_leaving_out_rows_by_hand():
    """Balls are held fixed for shares and grow for density: both from the definition, one row at a time."""
    real, fake = normal(40, 3), 0.8 * normal(35, 3, 1)
    found = fidelity(real, fake)

    def without(i, n):
        return torch.arange(n) != i

    radii = torch.cdist(real, real).topk(6, largest=False).values[:, 5]
    inside = torch.cdist(real, fake) < radii[:, None]
    balls = [inside[without(i, 40)] for i in range(40)]
    points = [inside[:, without(j, 35)] for j in range(35)]
    for name, share in (("precision", lambda hits: hits.any(0)), ("coverage", lambda hits: hits.any(1))):
        groups = [[share(hits).double().mean().item() for hits in group] for group in (balls, points)]
        expected = math.sqrt(sum((len(group) - 1) * np.var(group) for group in groups))
        assert found.errors[name] == pytest.approx(expected, rel=1e-9), name
    densities = [
        [fidelity(real[without(i, 40)], fake).density for i in range(40)],
        [fidelity(real, fake[without(j, 35)]).density for j in range(35)],
    ]
    scaled = [np.array(densities[0]), np.array(densities[1])]
    expected = math.sqrt(sum((len(group) - 1) * np.var(group) for group in scaled))
    assert found.errors["density"] == pytest.approx(expected, rel=1e-9)
    assert fidelity(fake, real).errors["precision"] == pytest.approx(found.errors["recall"], rel=1e-9)


def test_pairs_of_mutual_neighbours_count_once():
    """Pairs far apart, each of one kind: right or wrong together, so the variance is that of half as many."""
    pairs = (
        torch.arange(40.0).repeat_interleave(2)[:, None] * 100 + torch.tensor([0.0, 1.0]).repeat(40)[:, None]
    )
    real, fake = pairs[:40], torch.cat([pairs[40:60], pairs[:40:2] + 0.1])
    found = fidelity(real, fake)
    n = len(real) + len(fake)
    binomial = found.nearest * (1 - found.nearest) / n
    assert binomial < found.errors["nearest"] ** 2 <= 2 * binomial + 1e-12


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


def rows_by_number(train, valid, test):
    """A table whose first column is the number of the row: 0 …, 1000 …, 2000 … in the three splits."""
    parts = zip((0, 1000, 2000), (train, valid, test), strict=True)
    x = [np.stack([np.arange(n) + start + 0.5, np.arange(n) % 7 / 2], 1) for start, n in parts]
    return data.load(dict(zip(("train", "valid", "test"), x, strict=True)))


@pytest.mark.parametrize(("valid", "test", "n"), [(30, 30, 30), (10, 40, 25), (60, 20, 20)])
def test_each_row_comes_from_the_split_it_may(valid, test, n):
    """Test rows are compared with samples, others with them, and marginals come from training rows alone."""
    rows = rows_by_number(50, valid, test)
    found = compared_rows(Subject(lambda m: torch.randn(m, 2), rows))
    real, other = (set(each[:, 0].tolist()) for each in (found.real, found.other))
    assert [len(each) for each in (found.real, found.samples, found.other, found.independent)] == [n] * 4
    assert len(real) == len(other) == n
    assert not real & other
    assert all(place >= 2000 for place in real)
    assert sum(place >= 2000 for place in other) == n - min(n, valid)
    assert all(place >= 1000 for place in other)
    assert len(compared_rows(Subject(lambda m: torch.randn(m, 2), rows), 8).other) == 8
    assert set(found.independent[:, 0].tolist()) <= set(np.arange(50) + 0.5)


def test_samples_are_rounded_to_the_levels_of_the_data():
    digits = data.load("digits")
    x = torch.from_numpy(digits.test.array())
    assert torch.equal(at_data_levels(x + 0.02, digits) * 16, (x * 16 + 0.32).round().clamp(0, 16))
    assert torch.equal(at_data_levels(x, digits), x)
    whole = data.load(np.random.default_rng(0).integers(0, 50, (60, 2)))
    assert torch.equal(at_data_levels(torch.tensor([[1.4, 2.6]]), whole), torch.tensor([[1.0, 3.0]]))
    real = data.load(np.random.default_rng(0).normal(size=(60, 2)))
    assert torch.equal(at_data_levels(torch.tensor([[1.4, 2.6]]), real), torch.tensor([[1.4, 2.6]]))


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
