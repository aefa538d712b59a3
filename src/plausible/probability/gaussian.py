"""The multivariate Gaussian: marginals, conditionals and a grid of densities, for torch's `MultivariateNormal`.

    N(x; μ, Σ) = (2π)^(−d/2) |Σ|^(−½) exp(−½ (x − μ)ᵀ Σ⁻¹ (x − μ))

    x = (a, b):   marginal     a     ~ N(μ_a, Σ_aa)
                  conditional  a | b ~ N(μ_a + Σ_ab Σ_bb⁻¹ (b − μ_b),  Σ_aa − Σ_ab Σ_bb⁻¹ Σ_ba)

`entropy`, `kl` and `jsd` take such distributions like any other. Source: Bishop, Pattern Recognition and Machine
Learning (2006), §2.3.1 and §2.3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from plausible.errors import PlausibleError
from plausible.probability.checks import as_float64
from plausible.probability.continuous import log_density

__all__ = ["density_grid", "gaussian_conditional", "gaussian_marginal"]


def gaussian_marginal(p: MultivariateNormal, indices: Sequence[int]) -> MultivariateNormal:
    """p(x_indices), the other variables integrated out, in the order of `indices`; float64."""
    kept = _indices(p, indices, "gaussian_marginal")
    mean, covariance = _moments(p)
    return MultivariateNormal(mean[kept], covariance[kept][:, kept])


def gaussian_conditional(p: MultivariateNormal, known: Mapping[int, float]) -> MultivariateNormal:
    """p(the other variables | x_i = known[i]), the others in their order; float64.

    The mean moves with what is known; the covariance shrinks, and does not depend on the values known.
    """
    b = _indices(p, list(known), "gaussian_conditional")
    a = [i for i in range(p.event_shape[0]) if i not in b]
    if not a:
        raise PlausibleError("gaussian_conditional: all variables are known; leave at least one open")
    mean, covariance = _moments(p)
    across = covariance[a][:, b]
    gain = torch.linalg.solve(covariance[b][:, b], across.T).T  # Σ_ab Σ_bb⁻¹
    value = torch.tensor([float(known[i]) for i in known], dtype=torch.float64)
    left = covariance[a][:, a] - gain @ across.T
    return MultivariateNormal(mean[a] + gain @ (value - mean[b]), (left + left.T) / 2)


def density_grid(p: MultivariateNormal, first: object, second: object) -> np.ndarray:
    """p(x₁, x₂) on a grid, (len(second), len(first)): row j, column i is at (first[i], second[j]).

    p over two variables (take a marginal); first, second: (n,) and (m,) coordinates. Rows run upward in x₂, as
    `imshow(grid, origin="lower")` and `contour(first, second, grid)` want them.
    """
    if tuple(p.event_shape) != (2,) or tuple(p.batch_shape):
        raise PlausibleError(
            f"density_grid: {tuple(p.event_shape)} variables; a picture has 2: take a marginal first"
        )
    axes = [torch.from_numpy(as_float64(axis, "density_grid").ravel()) for axis in (first, second)]
    x, y = torch.meshgrid(axes[0], axes[1], indexing="xy")
    return log_density(p, torch.stack([x, y], dim=-1)).exp().numpy()


def _moments(p: MultivariateNormal) -> tuple[torch.Tensor, torch.Tensor]:
    tril = torch.as_tensor(p.scale_tril).detach().double()
    return p.loc.detach().double(), tril @ tril.T


def _indices(p: MultivariateNormal, indices: Sequence[int], what: str) -> list[int]:
    if tuple(p.batch_shape):
        raise PlausibleError(f"{what}: a batch of Gaussians, shape {tuple(p.batch_shape)}; take one")
    count = p.event_shape[0]
    listed = list(indices)
    if not listed or len(set(listed)) != len(listed) or not all(0 <= i < count for i in listed):
        raise PlausibleError(
            f"{what}: variables {listed}; give distinct numbers from 0 to {count - 1}, at least one"
        )
    return listed
