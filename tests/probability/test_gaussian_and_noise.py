"""The multivariate Gaussian's parts, noise on images, and the notes' parameter counts."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal

from plausible.errors import PlausibleError
from plausible.probability import (
    bernoulli_parameters,
    categorical_parameters,
    chain_rule_parameters,
    density_grid,
    dependent_parameters,
    gaussian_conditional,
    gaussian_marginal,
    gaussian_noise,
    independent_parameters,
    markov_parameters,
    rgb_pixel_parameters,
)

MEAN = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
COVARIANCE = torch.tensor([[2.0, 0.6, -0.4], [0.6, 1.0, 0.3], [-0.4, 0.3, 1.5]], dtype=torch.float64)
THREE = MultivariateNormal(MEAN, COVARIANCE)


def test_conditional_times_marginal_is_the_joint():
    """p(x₀, x₂ | x₁) p(x₁) = p(x) at random points: the mean, the covariance and the normaliser at once."""
    points = np.random.default_rng(0).normal(size=(20, 3)) * 2
    for x in points:
        conditional = gaussian_conditional(THREE, {1: x[1]})
        marginal = gaussian_marginal(THREE, [1])
        parts = conditional.log_prob(torch.tensor(x[[0, 2]])) + marginal.log_prob(torch.tensor(x[[1]]))
        assert float(parts) == pytest.approx(float(THREE.log_prob(torch.tensor(x))), abs=1e-10)
        both = gaussian_conditional(THREE, {2: x[2], 0: x[0]})
        pair = gaussian_marginal(THREE, [2, 0])
        parts = both.log_prob(torch.tensor(x[[1]])) + pair.log_prob(torch.tensor(x[[2, 0]]))
        assert float(parts) == pytest.approx(float(THREE.log_prob(torch.tensor(x))), abs=1e-10)


def test_conditional_of_two_variables_by_hand():
    rho = 0.8
    p = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, rho], [rho, 1.0]]))
    found = gaussian_conditional(p, {0: 2.0})
    assert float(found.mean) == pytest.approx(2 * rho, abs=1e-6)
    assert float(found.covariance_matrix) == pytest.approx(1 - rho**2, abs=1e-6)
    assert found.mean.dtype == torch.float64


def test_density_grid_for_a_picture():
    pair = gaussian_marginal(THREE, [0, 2])
    first, second = np.linspace(-8, 10, 181), np.linspace(-8, 9, 171)
    grid = density_grid(pair, first, second)
    assert grid.shape == (171, 181)
    exact = stats.multivariate_normal(MEAN[[0, 2]].numpy(), COVARIANCE[[0, 2]][:, [0, 2]].numpy())
    assert grid[40, 100] == pytest.approx(exact.pdf([first[100], second[40]]), abs=1e-12)
    assert grid.sum() * 0.1 * 0.1 == pytest.approx(1, abs=1e-6)


IMAGES = np.full((50, 3, 40, 40), 0.5, dtype=np.float32)


def test_noise_has_the_moments_asked_for():
    n = IMAGES.size
    noise = gaussian_noise(IMAGES, 0.1, seed=1).astype(np.float64) - 0.5
    assert abs(noise.mean()) < 5.5 * 0.1 / math.sqrt(n)
    assert abs(noise.std() / 0.1 - 1) < 5.5 / math.sqrt(2 * n)
    assert stats.kstest(noise.ravel()[:20_000], stats.norm(0, 0.1).cdf).pvalue > 1e-6
    flat = noise.reshape(-1)
    assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) < 5.5 / math.sqrt(n)  # each pixel on its own
    channels = np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]
    assert abs(channels) < 5.5 / math.sqrt(n / 3)


def test_noise_is_seeded_and_leaves_its_input_alone():
    before = IMAGES.copy()
    np.testing.assert_array_equal(gaussian_noise(IMAGES, 0.1, seed=1), gaussian_noise(IMAGES, 0.1, seed=1))
    assert (gaussian_noise(IMAGES, 0.1, seed=1) != gaussian_noise(IMAGES, 0.1, seed=2)).mean() > 0.99
    np.testing.assert_array_equal(IMAGES, before)
    np.testing.assert_array_equal(gaussian_noise(IMAGES, 0.0), IMAGES)


def test_noise_scales_one_and_the_same_draw():
    one, two = (gaussian_noise(np.zeros((8, 8)), std, seed=4) for std in (1.0, 2.5))
    np.testing.assert_allclose(two, 2.5 * one, rtol=1e-14)
    std = np.array([0.0, 1.0, 3.0]).reshape(3, 1, 1)
    each = gaussian_noise(np.zeros((3, 100, 100)), std, seed=4)
    assert (each[0] == 0).all()
    assert each[2].std() / each[1].std() == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_clipped_noise_keeps_type_and_range(dtype):
    top = 255 if dtype == np.uint8 else 1
    images = np.full((2, 30, 30), 0.9 * top).astype(dtype)
    noisy = gaussian_noise(images, 0.3 * top, clip=(0, top))
    assert noisy.dtype == dtype
    assert noisy.shape == images.shape
    assert noisy.max() == top
    assert noisy.min() >= 0
    share = (noisy == top).mean()  # P(ε > 1/3) = .3694; n = 1800, 5.5 σ = .063
    assert share == pytest.approx(0.3694, abs=0.063)
    if dtype != np.uint8:
        assert gaussian_noise(images, 0.3).max() > 1
    tensor = torch.from_numpy(images)
    same = gaussian_noise(tensor, 0.3 * top, clip=(0, top))
    assert same.dtype == tensor.dtype
    np.testing.assert_array_equal(same.numpy(), noisy)


def test_levels_are_rounded_not_cut():
    """uint8 noise of mean 0 stays of mean 0: cutting the fraction would lose half a level."""
    images = np.full((200, 200), 100, dtype=np.uint8)
    noisy = gaussian_noise(images, 3.0, clip=(0, 255)).astype(float)
    assert abs(noisy.mean() - 100) < 5.5 * 3.1 / 200


def test_bfloat16_and_gradients():
    images = torch.full((4, 4), 0.5, dtype=torch.bfloat16)
    assert gaussian_noise(images, 0.1).dtype == torch.bfloat16
    assert not gaussian_noise(torch.zeros(4, 4, requires_grad=True), torch.tensor(0.1)).requires_grad


def test_counts_of_the_notes():
    assert bernoulli_parameters() == 1
    assert categorical_parameters(6) == 5
    assert rgb_pixel_parameters() == 16_777_215 == 256**3 - 1
    for n in range(1, 12):
        assert dependent_parameters(n) == 2**n - 1 == sum(chain_rule_parameters(n))
        assert independent_parameters(n) == n
        assert markov_parameters(n) == 2 * n - 1
    assert chain_rule_parameters(4) == (1, 2, 4, 8)
    assert dependent_parameters(784) == 2**784 - 1
    # with m levels: count the rows of each conditional table, times m − 1 numbers a row
    assert sum(chain_rule_parameters(5, levels=4)) == dependent_parameters(5, levels=4) == 4**5 - 1
    assert markov_parameters(5, levels=4) == 3 + 4 * 4 * 3
    assert independent_parameters(5, levels=4) == 15


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: categorical_parameters(0), "m = 0"),
        (lambda: dependent_parameters(2.0), "n = 2.0"),
        (lambda: markov_parameters(3, levels=True), "levels = True|m = True"),
        (lambda: gaussian_noise(IMAGES, -1.0), "std = -1.0"),
        (lambda: gaussian_noise(IMAGES, math.nan), "std = nan"),
        (lambda: gaussian_noise(np.zeros((2, 3)), np.ones((4, 2, 3))), "does not broadcast"),
        (lambda: gaussian_noise(np.zeros((2, 3)), np.ones(2)), "does not broadcast"),
        (lambda: gaussian_noise(np.zeros((2, 3), dtype=np.uint8), 1.0), r"clip=\(0, 255\)"),
        (
            lambda: gaussian_noise(np.zeros((2, 3), dtype=np.uint8), 1.0, clip=(0, 300)),
            "uint8 holds 0 to 255",
        ),
        (lambda: gaussian_noise(np.zeros((2, 3)), 1.0, clip=(1, 0)), "below the upper"),
        (lambda: gaussian_noise(np.zeros((2, 3), dtype=bool), 1.0), "images of bool"),
        (lambda: gaussian_marginal(THREE, [0, 3]), "0 to 2"),
        (lambda: gaussian_marginal(THREE, [0, 0]), "distinct"),
        (lambda: gaussian_conditional(THREE, {0: 1.0, 1: 1.0, 2: 1.0}), "all variables are known"),
        (lambda: gaussian_conditional(THREE.expand((2,)), {0: 1.0}), "a batch"),
        (lambda: density_grid(THREE, [0], [0]), "take a marginal"),
    ],
)
def test_errors(make, says):
    with pytest.raises(PlausibleError, match=says):
        make()
