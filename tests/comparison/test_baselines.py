"""The baselines agree with closed forms and direct summation, and choose on the valid rows alone."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from plausible.comparison.baselines import BASELINES, Rows, Space, fit_baseline, kernel_density
from plausible.data import load


def table(n=400, seed=0, scale=(1.0, 50.0)):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return (np.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1) * scale + 3).astype(np.float32)


def splits(test=None):
    return load({"train": table(), "valid": table(100, 1), "test": table(100, 2) if test is None else test})


def levels(n=600, seed=0, k=5):
    """Images of 1 × 2 pixels, bytes below k, the second near the first."""
    rng = np.random.default_rng(seed)
    a = rng.integers(k, size=n)
    b = np.clip(a + rng.integers(-1, 2, size=n), 0, k - 1)
    return np.stack([a, b], 1).reshape(n, 1, 1, 2).astype(np.uint8)


@pytest.mark.parametrize("bandwidth", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("width", [2, 64])
def test_the_kernel_density_is_the_sum_over_the_training_rows(width, bandwidth):
    rng = np.random.default_rng(width)
    train, x = rng.standard_normal((300, width)), 3 * rng.standard_normal((50, width))
    squares = np.square(x[:, None] - train[None]).sum(-1)
    direct = logsumexp(-squares / (2 * bandwidth**2), axis=1) - np.log(300)
    direct -= width * np.log(bandwidth * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(kernel_density(train, bandwidth).score_samples(x), direct, rtol=1e-8)


def test_a_density_is_of_the_original_units(monkeypatch):
    """One Gaussian by EM is the Gaussian of the sample moments: scipy gives the same log p, whatever the units."""
    monkeypatch.setattr("plausible.comparison.baselines.COMPONENTS", (1,))
    monkeypatch.setattr("plausible.comparison.baselines.RIDGE", 0.0)
    data = splits()
    contender = fit_baseline("gmm", data, 0).contender
    compute, kind, of = contender.density
    train, test = data.train.array().astype(np.float64), data.test.array().astype(np.float64)
    expected = multivariate_normal(train.mean(0), np.cov(train.T, bias=True)).logpdf(test)
    assert compute()[0].value == pytest.approx(expected.mean(), rel=1e-6)
    assert compute()[1].value == pytest.approx(-expected.mean() / (2 * np.log(2)), rel=1e-6)
    assert (kind, of) == ("exact", "a density of continuous values")


@pytest.mark.parametrize("name", ["kde", "gmm"])
def test_a_density_of_levels_bounds_their_probability(name, monkeypatch):
    """P(k) of each cell by quadrature of the density: at most 1 in all, and the figure lies below the mean log P(k)."""
    parts = (("train", 600), ("valid", 200), ("test", 300))
    rows = Rows.of(load({part: levels(n, i) for i, (part, n) in enumerate(parts)}), 0)
    contender, _ = BASELINES[name](rows)
    compute, kind, of = contender.density
    assert (kind, of) == ("lower bound", "values in 256 levels")
    figure = compute()[0]
    monkeypatch.setattr(
        Space, "enter", lambda self, x, seed=None: x
    )  # the score takes coordinates from here on
    steps = (np.arange(20) + 0.5) / 20
    inside = np.stack([part.ravel() for part in np.meshgrid(steps, steps, indexing="ij")], 1)
    cells = {
        (a, b): np.exp(contender.score[0](inside + np.array([a, b]))).mean()
        for a in range(5)
        for b in range(5)
    }
    assert 0.5 < sum(cells.values()) <= 1 + 1e-6
    exact = np.mean([np.log(cells[tuple(place)]) for place in np.round(rows.test * 255).astype(int)])
    assert exact - 0.5 < figure.value < exact + 0.02


def test_marginals_are_the_frequencies_with_one_count_more():
    data = load({part: levels(n) for part, n in (("train", 50), ("valid", 20), ("test", 20))})
    rows = Rows.of(data, 0)
    k = rows.space.levels
    contender, _ = BASELINES["independent marginals"](rows)
    compute, kind, of = contender.density
    train, test = (np.round(each * (k - 1)).astype(int) for each in (rows.train, rows.test))
    by_hand = np.mean(
        [sum(np.log(((train[:, i] == row[i]).sum() + 1) / (50 + k)) for i in range(2)) for row in test]
    )
    assert compute()[0].value == pytest.approx(by_hand)
    assert (kind, of) == ("exact", f"values in {k} levels")
    samples = contender.sample(5000).numpy().reshape(5000, 2)
    assert set(np.unique(samples)) <= set(np.unique(rows.train))
    assert abs(np.corrcoef(samples.T)[0, 1]) < 0.06 < np.corrcoef(rows.train.T)[0, 1]


@pytest.mark.parametrize("name", BASELINES)
def test_nothing_is_chosen_on_the_test_rows(name):
    ours = fit_baseline(name, splits(), 0)
    other = fit_baseline(name, splits(test=100 * table(100, 3)), 0)
    x = table(30, 4)
    assert ours.about == other.about
    if ours.contender.score is not None:
        np.testing.assert_array_equal(ours.contender.score[0](x), other.contender.score[0](x))


@pytest.mark.parametrize("name", ["kde", "gmm", "independent marginals"])
@pytest.mark.parametrize("spec", ["digits", "digits:binary"])
def test_samples_keep_to_the_data(name, spec):
    data = load(spec)
    samples = fit_baseline(name, data, 0).contender.sample(50).numpy()
    steps = samples * (1 if spec.endswith("binary") else 16)
    assert samples.shape == (50, 1, 8, 8)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(steps, steps.round(), atol=1e-5)
    assert (samples.min(), samples.max()) == (0.0, 1.0)


def test_an_outlier_scores_below_ordinary_rows():
    x = table(50, 5)
    wild = np.array([[1e3, -1e3]], np.float32)
    for name in BASELINES:
        score = fit_baseline(name, splits(), 0).contender.score
        if score is not None:
            assert score[0](wild)[0] < np.quantile(score[0](x), 0.05), name
