"""Mixtures of logistic kernels: masses by quadrature, means in bins, gradients by hand, and samples."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import kstest

from plausible.models.kernels import (
    KERNELS,
    draw_between,
    kernel_density,
    kernel_mass,
    kernels_from,
    mean_densities,
)


def outputs(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(*shape, 3 * KERNELS + 1, dtype=torch.float64)


def test_its_mass_is_the_integral_of_its_density():
    kernels = kernels_from(outputs(1) - 1)

    def f(u):
        return float(kernel_density(kernels, torch.tensor([u], dtype=torch.float64)))

    for a, b in ((0.0, 1.0), (0.2, 0.25), (-3.0, 4.0)):
        at = (torch.tensor([end], dtype=torch.float64) for end in (a, b))
        assert float(kernel_mass(kernels, *at)) == pytest.approx(quad(f, a, b, limit=200)[0], rel=1e-6)


def test_means_in_bins_are_masses_divided_by_widths_and_have_the_gradients_of_autograd():
    edges = torch.tensor([0.0, 0.1, 0.3, 0.31, 1.0], dtype=torch.float64).repeat(3, 1)
    edges[1] = edges[1] ** 2 + 1e-3 * torch.arange(5)
    raw = [outputs(2, 3).requires_grad_() for _ in range(2)]
    found = mean_densities(kernels_from(raw[0]), edges)
    kernels = kernels_from(raw[1])[:, :, None]
    a, b = (part.expand(2, -1, -1) for part in (edges[:, :-1], edges[:, 1:]))
    expected = kernel_mass(kernels.expand(-1, -1, 4, -1), a, b) / (b - a)
    assert torch.allclose(found, expected)
    torch.manual_seed(1)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(raw[0].grad, raw[1].grad)


def test_samples_between_two_places_follow_the_density_there():
    kernels = kernels_from(outputs(1) - 1)
    a, b = (torch.full((4000,), end, dtype=torch.float64) for end in (0.3, 0.8))
    drawn = draw_between(kernels.expand(4000, -1), a, b)
    assert float(drawn.min()) >= 0.3
    assert float(drawn.max()) <= 0.8

    def under(u: np.ndarray) -> np.ndarray:
        at = torch.from_numpy(np.asarray(u)).double()
        many = kernels.expand(len(at), -1)
        return (kernel_mass(many, a[: len(at)], at) / kernel_mass(many, a[: len(at)], b[: len(at)])).numpy()

    assert kstest(drawn.numpy(), under).pvalue > 1e-4
