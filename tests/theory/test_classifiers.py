"""Generative and discriminative: both find the truth where the Gaussians are true, one is better where they are not."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from plausible.errors import PlausibleError
from plausible.theory import two_classifiers
from plausible.theory.classifiers import _PENALTY

COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]])
MEANS = np.array([[0.0, 1.0, -1.0], [1.0, 0.5, -0.5]])


def gaussian_classes(n, prior=0.3, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prior).astype(int)
    return MEANS[y] + rng.multivariate_normal(np.zeros(3), COVARIANCE, n), y


def skewed_classes(n, seed):
    """Unlike spreads and long tails: no shared-covariance Gaussians."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = np.where(y[:, None] == 1, rng.exponential(3, (n, 2)) ** 1.5, rng.normal(0.5, 0.5, (n, 2)))
    return x, y


def log_loss(model, x, y):
    p = np.clip(model.probability(x), 1e-300, 1 - 1e-16)
    return -np.mean(np.where(y == 1, np.log(p), np.log1p(-p)))


def test_both_recover_the_weights():
    x, y = gaussian_classes(40_000)
    weight = np.linalg.solve(COVARIANCE, MEANS[1] - MEANS[0])
    bias = math.log(0.3 / 0.7) - (MEANS[1] + MEANS[0]) @ weight / 2
    both = two_classifiers(x, y)
    for model in (both.generative, both.discriminative):
        np.testing.assert_allclose(model.weight, weight, atol=0.08)
        assert model.bias == pytest.approx(bias, abs=0.08)
    np.testing.assert_allclose(both.means, MEANS, atol=0.05)
    np.testing.assert_allclose(both.covariance, COVARIANCE, atol=0.05)
    assert both.prior == pytest.approx(0.3, abs=0.015)


@pytest.mark.parametrize("seed", range(3))
def test_generative_is_linear_discriminant_analysis(seed):
    x, y = gaussian_classes(60, seed=seed)
    model = two_classifiers(x, y).generative
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(x, y)  # the maximum-likelihood covariance, 1/n
    np.testing.assert_allclose(model.weight, theirs.coef_[0], rtol=1e-9)
    assert model.bias == pytest.approx(theirs.intercept_[0], rel=1e-9)
    np.testing.assert_allclose(model.probability(x), theirs.predict_proba(x)[:, 1], atol=1e-12)


def test_generative_is_bayes_rule_on_its_class_models():
    x, y = gaussian_classes(200)
    both = two_classifiers(x, y)
    zero, one = (both.class_model(k).log_prob(torch.from_numpy(x)).numpy() for k in (0, 1))
    odds = both.prior / (1 - both.prior) * np.exp(one - zero)
    np.testing.assert_allclose(both.generative.probability(x), odds / (1 + odds), atol=1e-12)


def test_class_models_can_be_sampled():
    x, y = gaussian_classes(5_000)
    both = two_classifiers(x, y)
    for k in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(k)
            drawn = both.class_model(k).sample(torch.Size((20_000,))).numpy()
        assert drawn.dtype == np.float64
        np.testing.assert_allclose(drawn.mean(axis=0), x[y == k].mean(axis=0), atol=0.06)
        np.testing.assert_allclose(np.cov(drawn.T), both.covariance, atol=0.1)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(40, 400), st.sampled_from([1e-3, 1.0, 1e4]))
def test_discriminative_has_the_lowest_log_loss(seed, n, unit):
    x, y = gaussian_classes(n, seed=seed) if seed % 2 else skewed_classes(n, seed)
    x = x * unit + 5 * unit
    both = two_classifiers(x, y)
    residual = both.discriminative.probability(x) - y
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    assert abs(residual.mean()) < 1e-6  # the slope of the log loss is 0, in the bias and in every weight
    pulled = (
        _PENALTY * both.discriminative.weight * x.std(axis=0)
    )  # where a plane nearly separates the classes
    assert np.abs((scaled.T @ residual + pulled) / n).max() < 1e-6
    assert log_loss(both.discriminative, x, y) <= log_loss(both.generative, x, y) + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_discriminative_wins_where_the_gaussians_are_false(seed):
    both = two_classifiers(*skewed_classes(2_000, seed))
    fresh = skewed_classes(5_000, 100 + seed)
    assert log_loss(both.discriminative, *fresh) < log_loss(both.generative, *fresh) - 0.02


def test_swapped_classes_swap_signs():
    x, y = gaussian_classes(300)
    first, second = two_classifiers(x, y), two_classifiers(x, 1 - y)
    for one, other in ((first.generative, second.generative), (first.discriminative, second.discriminative)):
        np.testing.assert_allclose(one.weight, -other.weight, rtol=1e-6)
        assert one.bias == pytest.approx(-other.bias, rel=1e-6)


def test_separable_classes_stay_finite():
    x = np.array([[-3.0], [-2.0], [-1.5], [1.0], [2.0], [2.5]])
    both = two_classifiers(x, [0, 0, 0, 1, 1, 1])
    assert np.isfinite(both.discriminative.weight).all()
    np.testing.assert_array_equal(both.discriminative.probability(x).round(3), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_classifiers(np.ones(4), [0, 1, 0, 1]), r"x of shape \(4,\)"),
        (lambda: two_classifiers(np.ones((4, 1)), [0, 1]), r"y of shape \(2,\)"),
        (lambda: two_classifiers([[math.nan], [1.0]], [0, 1]), "finite x"),
        (lambda: two_classifiers(np.eye(4), [0, 1, 2, 1]), "zeros and ones"),
        (lambda: two_classifiers(np.eye(4), [1, 1, 1, 1]), "some of each"),
        (lambda: two_classifiers(np.ones((4, 1)), [0, 1, 0, 1]), "no inverse|constant"),
        (lambda: two_classifiers([[0, 1], [1, 1], [5, 1], [6, 1]], [0, 0, 1, 1]), "one is constant"),
        (
            lambda: two_classifiers(np.arange(8.0).reshape(4, 2) ** 2 @ [[1, 2], [1, 2]], [0, 1, 0, 1]),
            "no inverse",
        ),
        (lambda: two_classifiers(*gaussian_classes(50)).class_model(2), "classes 0 and 1"),
        (lambda: two_classifiers(*gaussian_classes(50)).generative.probability([1.0, 2.0]), r"give \(n, 3\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(PlausibleError, match=message):
        call()
