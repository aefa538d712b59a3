"""p_g of a generator with one-dimensional output, on bins: the push-forward of the noise, without sampling."""

from __future__ import annotations

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability.checks import as_float64, as_probabilities

__all__ = ["push_forward"]


def push_forward(x: object, edges: object, *, weights: object = None) -> np.ndarray:
    """The masses of p_g on m bins, x = G(z), exact for a G that is linear between the ends of n cells of z.

        P(bin) = Σᵢ wᵢ · |bin ∩ [xᵢ, xᵢ₊₁]| / |xᵢ₊₁ − xᵢ|

    x: (..., n + 1), G at the ends of the cells, in any order (G need not be monotone). edges: (m + 1,), increasing.
    weights: (n,), the mass of each cell, with sum 1; without them 1/n each: cells that are equally likely, such as
    those between quantiles of z. Returns (..., m), each row with sum 1.
    A cell spreads its mass evenly between its two ends; where they are equal it is a point mass. Bins are [low, high)
    as in `numpy.histogram`, and what falls below the first or above the last goes to that bin. Time and memory grow
    with n + m for each row, not with n·m. Rounding: 1e-16 times the widest bin over the narrowest.

    Raises for edges that do not increase, an x that is not finite or has fewer than two columns, and unfit weights.
    Source: the change of variables; Goodfellow et al. (2014), section 3, define p_g as this distribution.
    """
    ends, bins = as_float64(x, "push_forward, x"), as_float64(edges, "push_forward, edges")
    if bins.ndim != 1 or len(bins) < 2 or not (np.isfinite(bins).all() and (np.diff(bins) > 0).all()):
        raise PlausibleError("push_forward: edges must be two or more finite, increasing numbers, (m + 1,)")
    if ends.ndim < 1 or ends.shape[-1] < 2 or not np.isfinite(ends).all():
        raise PlausibleError(
            f"push_forward: x of shape {ends.shape}; give finite values of G at the n + 1 ends of n cells, (..., n + 1)"
        )
    n = ends.shape[-1] - 1
    mass = np.full(n, 1 / n) if weights is None else as_probabilities(weights, "push_forward, weights")
    if mass.shape != (n,):
        raise PlausibleError(
            f"push_forward: weights of shape {mass.shape} for {n} cells; give one a cell, ({n},)"
        )
    rows = ends.reshape(-1, n + 1)
    low, high = np.minimum(rows[:, :-1], rows[:, 1:]), np.maximum(rows[:, :-1], rows[:, 1:])
    return _spread_cells(low, high, np.broadcast_to(mass, low.shape), bins).reshape(*ends.shape[:-1], -1)


def _spread_cells(low: np.ndarray, high: np.ndarray, mass: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Cells (rows, n) from low to high, their mass spread evenly over the bins: (rows, m).

    A cell within one bin adds its mass to it. Any other adds a share to the bins of its two ends; where there are
    bins between, it also adds its density where they start and takes it away where they stop, and the densities are
    summed along the bins at the end. Such a cell is wider than a bin, which bounds its density and so the rounding.
    """
    count, m = len(low), len(edges) - 1
    inner = edges[1:-1]  # the outer two bins reach to ±∞
    first, last = np.searchsorted(inner, low, side="right"), np.searchsorted(inner, high, side="right")
    row = np.broadcast_to(np.arange(count)[:, None] * m, low.shape)

    def add(places: np.ndarray, masses: np.ndarray, where: np.ndarray) -> np.ndarray:
        return np.bincount((places + row)[where], masses, count * m).astype(
            np.float64
        )  # of no cells: integers

    whole, split, wide = first == last, first < last, first + 1 < last
    left, right, share = low[split], high[split], mass[split]
    found = add(first, mass[whole], whole)
    found += add(first, share * ((edges[first[split] + 1] - left) / (right - left)), split)
    found += add(last, share * ((right - edges[last[split]]) / (right - left)), split)
    density = mass[wide] / (high - low)[wide]
    change = add(first + 1, density, wide) - add(last, density, wide)
    between = np.cumsum(change.reshape(count, m), axis=1) * np.diff(edges)
    return np.maximum(found.reshape(count, m) + between, 0.0)
