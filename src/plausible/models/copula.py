"""The Gaussian copula: each column's own distribution, tied together by one matrix of correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from scipy.special import ndtr, ndtri
from torch import Tensor

from plausible.data.steps import find_step
from plausible.game import Domain
from plausible.likelihoods import HALF_LOG_TWO_PI
from plausible.models.explicit import Explicit
from plausible.models.ordering import Ordering

__all__ = ["Copula"]

_TAIL = 8
"""Rows beyond the outermost knot of a column, on each side: enough to say how wide the tail is."""
_PRIOR = 0.5
"""Rows that each piece and each tail holds besides its own, so that no value is impossible (Jeffreys)."""
_RESOLVED = 2.0**-18
"""The narrowest bin, as a share of the largest absolute value: 32 steps of float32."""


class Copula(Explicit):
    """Gaussian copula of continuous marginals (Sklar, 1959; Liu, Lafferty & Wasserman, 2009), fitted in closed form.

        z_i = Φ⁻¹(F_i(x_i)),   log p(x) = log c_R(u) + Σ_i log f_i(x_i),
        u_i = F_i(x_i),        log c_R(u) = −½ log |R| − ½ zᵀ(R⁻¹ − I)z

    F_i is the distribution function of column i, f_i = F_i′ its density, R the correlations of the scores z. There is
    nothing to train: F_i is interpolated between quantiles, and R is the correlation of the training rows' scores,
    shrunk towards I as Schäfer and Strimmer (2005) do, by `shrinkage` at least. Any part can be completed exactly, since z
    given some of its entries is Gaussian.

    **The marginals.** Between neighbouring knots, which are quantiles of the column, the score z_i is linear in x_i, so
    that a normal column is fitted exactly; beyond the outermost knots it is linear too, a normal tail as wide as the
    rows beyond the knot are. Hence f_i is positive everywhere and integrates to one.

    **Values that repeat.** Values are counted in bins: as wide as the step of the column's values, if they have one (1
    for whole numbers), but not narrower than `floor`. A bin that holds more than its share of the rows is a
    piece of its own, with constant density: the share of its rows, divided by its width. So of whole numbers the density
    is that of the number plus uniform noise on (−½, ½), and a constant column has density 1 over its step. A value that
    repeats among others that do not has a density as high as its bin is narrow, which `floor` sets.

    Args:
        knots: largest number of pieces between the tails of each marginal; a cube root's worth of them is taken of
            few rows. So many bins at most are pieces of their own.
        floor: the narrowest bin, in standard deviations of the column, or in normal deviations by its quartiles if
            these are smaller.
        shrinkage: the least share of I in R, above 0 and at most 1; 1 makes the columns independent.
        ordering: Order of the terms and of what `complete` and `sampling-order` list; the density does not depend on it.
        ordering_seed: Seed of the random ordering.

    Attributes:
        x: (D, K): knots of each column, in its units, ascending; the first and the last stand in the tails.
        z: (D, K): the scores there.
        flat: (D, K − 1), bool: whether the density is constant between two knots; otherwise z is linear.
        used: (D,), int64: how many knots are of use; the others continue the upper tail.
        R: (D, D): correlations of the scores, in the order of the columns.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("real",)
    x: Tensor
    z: Tensor
    flat: Tensor
    used: Tensor
    R: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "real",
        *,
        knots: PositiveInt = 40,
        floor: PositiveFloat = 1e-3,
        shrinkage: PositiveFloat = 1e-4,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        self.knots, self.floor, self.shrinkage = knots, floor, min(shrinkage, 1.0)
        start = torch.arange(3 * knots + 4.0).expand(self.size, -1)
        self.register_buffer("x", start.clone())
        self.register_buffer("z", start.clone())
        self.register_buffer("flat", torch.zeros(self.size, start.shape[1] - 1, dtype=torch.bool))
        self.register_buffer("used", torch.full((self.size,), 2))
        self.register_buffer("R", torch.eye(self.size))

    # ------------------------------------------------------------------ fitting
    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Fit each column's knots, then the correlations of the scores."""
        rows = np.concatenate([block.reshape(len(block), -1) for block in data.blocks()])
        for i, column in enumerate(rows.T):
            marginal = fit_marginal(column.astype(np.float64), self.knots, self.floor)
            x, z, flat = marginal.padded(self.x.shape[1])
            self.x[i], self.z[i], self.flat[i] = (torch.from_numpy(part) for part in (x, z, flat))
            self.used[i] = len(marginal.x)
        scores = [
            self.score(torch.from_numpy(part).to(self.x.device))[0]
            for part in np.array_split(rows, 1 + len(rows) // 5000)
        ]
        self.R.copy_(correlation(torch.cat(scores), self.shrinkage))

    # ------------------------------------------------------------------ the density
    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z_i = Φ⁻¹(F_i(x_i)) and log dz_i/dx_i of flattened examples, (B, D) → (B, D) each, float64."""
        x = x.double()
        piece = torch.searchsorted(self.x[:, 1:-1].double().contiguous(), x.t().contiguous(), right=True).t()
        flat, x0, x1, z0, z1 = self._piece(piece)
        linear = z0 + (x - x0) / (x1 - x0) * (z1 - z0)
        slope = (z1 - z0).log() - (x1 - x0).log()
        u0, u1 = _phi(z0), _phi(z1)
        share = ((x - x0) / (x1 - x0)).clamp(0, 1)
        even = torch.special.ndtri(torch.lerp(u0, u1, torch.where(flat, share, 0.5)))
        steep = (u1 - u0).log() - (x1 - x0).log() + 0.5 * even.square() + HALF_LOG_TWO_PI
        return torch.where(flat, even, linear), torch.where(flat, steep, slope)

    def unscore(self, z: Tensor) -> Tensor:
        """The inverse, x_i = F_i⁻¹(Φ(z_i)), (B, D) → (B, D), float64."""
        piece = torch.searchsorted(self.z[:, 1:-1].double().contiguous(), z.t().contiguous(), right=True).t()
        flat, x0, x1, z0, z1 = self._piece(piece)
        u0, u1 = _phi(z0), _phi(z1)
        share = torch.where(flat, ((_phi(z) - u0) / (u1 - u0)).clamp(0, 1), (z - z0) / (z1 - z0))
        return x0 + share * (x1 - x0)

    def _piece(self, piece: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of the piece that each value lies in: whether it is flat, and x and z at its ends; (B, D) each."""
        columns = torch.arange(self.size, device=piece.device)
        ends = [of[columns, at].double() for of in (self.x, self.z) for at in (piece, piece + 1)]
        return self.flat[columns, piece], *ends

    def terms(self, x: Tensor) -> Tensor:
        """log N(e_i; 0, 1) − log L_ii + log dz_i/dx_i, where e = L⁻¹z and R = LLᵀ in the model's order."""
        flat = torch.empty_like(x).index_copy(1, self.order, x)
        scores, slopes = (each[:, self.order] for each in self.score(flat))
        L = torch.linalg.cholesky(self._correlation())
        e = torch.linalg.solve_triangular(L, scores.t(), upper=False).t()
        return (slopes - 0.5 * e.square() - HALF_LOG_TWO_PI - L.diagonal().log()).to(x)

    def _correlation(self) -> Tensor:
        """R in the model's order, (D, D), float64."""
        return self.R[self.order][:, self.order].double()

    # ------------------------------------------------------------------ sampling
    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        return self.sample_given(x, torch.arange(self.size, device=x.device) < known)

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """Scores from N(R_rg·R_gg⁻¹·z_g, R_rr − R_rg·R_gg⁻¹·R_gr), r the rest, g what is given; then their values."""
        if bool(given.all()):
            return x
        R, rest = self._correlation(), ~given
        flat = torch.empty_like(x).index_copy(1, self.order, x)
        z = self.score(flat)[0][:, self.order]
        weights = torch.linalg.solve(R[given][:, given], R[given][:, rest])
        spread = torch.linalg.cholesky(R[rest][:, rest] - R[rest][:, given] @ weights)
        z[:, rest] = z[:, given] @ weights + torch.randn_like(z[:, rest]) @ spread.t()
        places = self.order.argsort()
        drawn = self.unscore(z[:, places])[:, self.order].to(x)
        return torch.where(given, x, drawn)

    # ------------------------------------------------------------------ what `verify` asks
    def kinks(self, i: int) -> Tensor:
        """Values of the i-th variable of the order where its density may jump, (knots,), ascending."""
        column = self.order[i]
        return self.x[column, : self.used[column]]

    # ------------------------------------------------------------------ how large it is
    @property
    def free_parameters(self) -> int:
        return self.size * (self.size - 1) // 2 + 2 * int(self.used.sum())

    @property
    def formula(self) -> str:
        return f"n(n − 1)/2 + 2·{int(self.used.sum())} = {self.free_parameters} (n = {self.size}, knots of all columns)"


def _phi(z: Tensor) -> Tensor:
    return torch.special.ndtr(z)


# ---------------------------------------------------------------------- one column
@dataclass(frozen=True)
class Marginal:
    """A distribution function through knots.

    Attributes:
        x: (K,), ascending; the first and the last are in the tails.
        z: (K,): Φ⁻¹ of the distribution function there.
        flat: (K − 1,), bool: whether the density is constant in the piece between two knots.
    """

    x: np.ndarray
    z: np.ndarray
    flat: np.ndarray

    def padded(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same with so many knots: more of the upper tail."""
        more = np.arange(1, size - len(self.x) + 1)
        x = np.append(self.x, self.x[-1] + more * (self.x[-1] - self.x[-2]))
        z = np.append(self.z, self.z[-1] + more * (self.z[-1] - self.z[-2]))
        return x, z, np.append(self.flat, np.zeros(len(more), bool))


def fit_marginal(values: np.ndarray, pieces: int, floor: float) -> Marginal:
    """Knots for a column: at quantiles, and around the bins that hold more than their share of its values.

    Args:
        values: (n,), float64.
        pieces: how many pieces between the tails, at most, and bins that are pieces of their own.
        floor: the narrowest bin, in deviations of the values.
    """
    low, width = _bins(values, floor)
    bins, counts = np.unique(np.rint((values - low) / width), return_counts=True)
    below = np.append(0, np.cumsum(counts))
    heavy = counts >= max(len(values) / pieces, math.sqrt(len(values)))
    edges, before = _edges(bins, below, heavy, pieces)
    mass = np.diff(before, prepend=0, append=len(values)) + _PRIOR
    z = ndtri(np.cumsum(mass)[:-1] / mass.sum())
    flat = np.diff(np.searchsorted(bins, edges)) == 1
    held = np.repeat(bins, counts)
    down = _tail(edges[0] - held[: before[0]][::-1], mass[0] / mass.sum())
    up = _tail(held[before[-1] :] - edges[-1], mass[-1] / mass.sum())
    x = np.concatenate([[edges[0] - down[0]], edges, [edges[-1] + up[0]]])
    z = np.concatenate([[z[0] - down[1]], z, [z[-1] + up[1]]])
    return Marginal(low + width * x, z, np.concatenate([[False], flat, [False]]))


def _tail(beyond: np.ndarray, share: float) -> tuple[float, float]:
    """A step into a tail, in x and in z: its slope is the least squares' one through the knot and the values beyond.

    The k-th of m values is held against the score that k − ½ of m values of the tail lie within.

    Args:
        beyond: (m,): how far beyond the knot the values of the tail lie, in bins, ascending.
        share: of the whole distribution that is in the tail.
    """
    if not len(beyond):
        beyond = np.ones(1)
    outside = 1 - (np.arange(len(beyond)) + 0.5) / len(beyond)
    z = ndtri(share) - ndtri(share * outside)
    step = float((z * beyond).sum() / z.dot(z))
    return max(1.0, step), max(1.0, 1 / step)


def _bins(values: np.ndarray, floor: float) -> tuple[float, float]:
    """The middle of a bin, and the width of all: the values' step, or a multiple of it that is not below the floor."""
    low, step = find_step(values)
    quartiles = np.quantile(values, [0.25, 0.75])
    deviations = [each for each in (values.std(), np.diff(quartiles)[0] / 1.349) if each > 0]
    least = max(floor * min(deviations, default=0.0), _RESOLVED * np.abs(values).max())
    return low, (step * max(1, math.ceil(least / step)) if step else least)


def _edges(
    bins: np.ndarray, below: np.ndarray, heavy: np.ndarray, pieces: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where the pieces meet, in units of bins, and how many values lie below.

    Args:
        bins: (m,): the bins that hold values, ascending.
        below: (m + 1,): how many values lie below each bin, and in all.
        heavy: (m,), bool: whether a bin is to be a piece of its own.
    """
    n = below[-1]
    own = {}
    for j in np.flatnonzero(heavy):
        own[bins[j] - 0.5], own[bins[j] + 0.5] = below[j], below[j + 1]
    between, under = (bins[1:] + bins[:-1]) / 2, below[1:-1]
    if not len(between):
        return np.array([bins[0] - 0.5, bins[0] + 0.5]), np.array([0, n])
    wanted = _targets(n, pieces)
    fences = np.array(sorted(own.values()))
    chosen = dict(own)
    last = -n
    for j in np.unique(np.abs(under[None] - wanted[:, None]).argmin(1)):
        near = np.abs(fences - under[j]).min() if len(fences) else n
        if min(near, under[j] - last) >= min(_TAIL, n / 4) / 2:
            chosen[between[j]], last = under[j], under[j]
    if not chosen:
        j = np.abs(under - n / 2).argmin()
        chosen = {between[j]: under[j]}
    edges = np.array(sorted(chosen))
    return edges, np.array([chosen[edge] for edge in edges])


def _targets(n: int, pieces: int) -> np.ndarray:
    """How many of n values should lie below each knot: evenly spaced scores between the tails."""
    tail = min(_TAIL, n / 4)
    count = min(pieces, max(1, round(n ** (1 / 3))))
    end = ndtri(tail / n)
    return n * ndtr(np.linspace(end, -end, count + 1))


def correlation(z: Tensor, least: float) -> Tensor:
    """Correlations of scores, shrunk towards I: R = (1 − λ)·C off the diagonal (Schäfer and Strimmer, 2005).

    λ = Σ_{i≠j} var(C_ij) / Σ_{i≠j} C_ij², within [least, 1]; var(C_ij) is the variance of the mean of z_i·z_j over the
    rows. A column whose scores are constant is uncorrelated with the others.

    Args:
        z: (n, D), float64.
        least: the least λ.
    """
    n = len(z)
    z = z - z.mean(0)
    deviation = z.square().mean(0).sqrt()
    z = torch.where(deviation > 1e-6, z / deviation.clamp_min(1e-6), 0.0)
    C = (z.t() @ z / n).fill_diagonal_(0)
    noise = ((z.square().t() @ z.square() / n - C.square()) / n).fill_diagonal_(0).sum()
    apart = C.square().sum()
    share = float((noise / apart).clamp(least, 1)) if apart > 0 else 1.0
    return ((1 - share) * C).fill_diagonal_(1)
