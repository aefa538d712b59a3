"""Two distances between sets of features: kernel (KID) and Fréchet, each with its standard error.

    KID      unbiased MMD² with the kernel  k(x, y) = (x·y/d + 1)³                     Bińkowski et al., 2018
    Fréchet  ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)                                     Heusel et al., 2017

Both are 0 for equal distributions. KID's estimate does not depend on the number of rows, in expectation, and may be
negative; the Fréchet distance's is too large by about a constant over the number of rows, so compare it only at equal
counts. The published figures are of Inception's features: these are not comparable with them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix, rows_per_block
from plausible.metrics.intervals import Estimate, jackknife_error

__all__ = ["frechet_distance", "kernel_distance"]

_RANK = 1e-10  # eigenvalues below this share of the largest count as zero


def kernel_distance(real: Tensor | np.ndarray, fake: Tensor | np.ndarray) -> Estimate:
    """KID: unbiased MMD² of real (n, d) and fake (m, d), over all pairs, with a jackknife standard error.

        1/(n(n − 1)) Σ_{i≠j} k(xᵢ, xⱼ) + 1/(m(m − 1)) Σ_{i≠j} k(yᵢ, yⱼ) − 2/(nm) Σᵢⱼ k(xᵢ, yⱼ)

    Leaving one row out is exact: it takes sums of rows of the kernel matrices. For equal distributions the standard
    error is too large, by about √2: the statistic is degenerate there.

    Raises:
        PlausibleError: NaN, unequal widths, fewer than three rows.
    """
    x, y = _pair(real, fake, 3)
    n, m = len(x), len(y)
    xx, yy, (xy, yx) = _sums(x, x)[0], _sums(y, y)[0], _sums(x, y)
    xx, yy = xx - _kernel(x.square().sum(1) / x.shape[1]), yy - _kernel(y.square().sum(1) / y.shape[1])
    within_x, within_y, across = xx.sum(), yy.sum(), xy.sum()

    def mmd(a: Tensor, b: Tensor, c: Tensor, n: int, m: int) -> Tensor:
        return a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * c / (n * m)

    without_x = mmd(within_x - 2 * xx, within_y, across - xy, n - 1, m)
    without_y = mmd(within_x, within_y - 2 * yy, across - yx, n, m - 1)
    error = jackknife_error(without_x.numpy(), without_y.numpy())
    return Estimate(mmd(within_x, within_y, across, n, m).item(), error)


def _kernel(scaled: Tensor) -> Tensor:
    return (scaled + 1) ** 3


def _sums(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Σⱼ k(aᵢ, bⱼ), (n,), and Σᵢ k(aᵢ, bⱼ), (m,)."""
    rows, columns = [], torch.zeros(len(b), dtype=a.dtype)
    for block in a.split(rows_per_block(len(b))):
        kernel = _kernel(block @ b.T / a.shape[1])
        rows.append(kernel.sum(1))
        columns += kernel.sum(0)
    return torch.cat(rows), columns


def frechet_distance(real: Tensor | np.ndarray, fake: Tensor | np.ndarray) -> Estimate:
    """Fréchet distance of the Gaussians with the means and covariances of real (n, d) and fake (m, d).

    Its standard error is that of its first-order expansion: with T the matrix that maps N(0, Σ₁) onto N(0, Σ₂), row x
    contributes 2(μ₁ − μ₂)·(x − μ₁) + (x − μ₁)ᵀ(I − T)(x − μ₁), and the same the other way round (Rippl, Munk & Sturm,
    *Limit laws of the empirical Wasserstein distance: Gaussian distributions*, 2016). The interval is one of the
    expected value at these counts of rows, not of the limit.

    Raises:
        PlausibleError: NaN, unequal widths, fewer than two rows.
    """
    x, y = _pair(real, fake, 2)
    gap = x.mean(0) - y.mean(0)
    x, y = x - x.mean(0), y - y.mean(0)
    first, second = (rows.T @ rows / (len(rows) - 1) for rows in (x, y))
    there, root = _transport(first, second)
    back, _ = _transport(second, first)
    value = gap.square().sum() + first.trace() + second.trace() - 2 * root
    variance = _influence(x, gap, there).var() / len(x) + _influence(y, -gap, back).var() / len(y)
    return Estimate(max(0.0, value.item()), variance.sqrt().item())


def _transport(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """T = Σ₁^−½ (Σ₁^½ Σ₂ Σ₁^½)^½ Σ₁^−½ with the pseudo-inverse, and tr (Σ₁Σ₂)^½."""
    values, vectors = torch.linalg.eigh(first)
    held = values > _RANK * values[-1].clamp_min(torch.finfo(values.dtype).tiny)
    roots = values.where(held, torch.zeros_like(values)).sqrt()
    half = (vectors * roots) @ vectors.T
    inverse = (vectors * torch.where(held, 1 / roots, torch.zeros_like(roots))) @ vectors.T
    inner, inner_vectors = torch.linalg.eigh(half @ second @ half)
    inner_roots = inner.clamp_min(0).sqrt()
    return inverse @ ((inner_vectors * inner_roots) @ inner_vectors.T) @ inverse, inner_roots.sum()


def _influence(centred: Tensor, gap: Tensor, transport: Tensor) -> Tensor:
    """What each row, (n, d) less the mean, contributes to the distance, up to a constant, (n,)."""
    return 2 * centred @ gap + (centred - centred @ transport).mul(centred).sum(1)


def _pair(real: Tensor | np.ndarray, fake: Tensor | np.ndarray, least: int) -> tuple[Tensor, Tensor]:
    x = as_matrix("real", real).double()
    y = as_matrix("fake", fake, width=x.shape[1]).double()
    if min(len(x), len(y)) < least:
        raise PlausibleError(
            f"the distance needs {least} rows of each set, got {len(x)} real and {len(y)} fake: take more"
        )
    return x, y
