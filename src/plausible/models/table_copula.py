"""The Gaussian copula of a mixed table: levels and missing cells are intervals of normal scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor, nn

from plausible.likelihoods import HALF_LOG_TWO_PI, log_between
from plausible.models.statistics import correlation
from plausible.models.tabulated import ColumnTables

__all__ = ["TableCopula"]

PRIOR = 0.5
"""What each count of levels and missing cells begins with."""
EXPLAINED = 0.99
"""The largest share of a latent score's variance that the scores before it explain."""
LEAST = 1e-4
"""The least eigenvalue of the correlations."""
ROUNDS = 10
"""Of finding the order of the levels."""


class TableCopula(nn.Module):
    """Columns of a mixed table with their own distributions, tied together by one matrix of correlations.

        numbers: z_i = Φ⁻¹(F_i(x_i)),   p(z_i | s_<i) = N(z_i; m_i, v_i)
        levels:  p(x_i = k | s_<i) = Φ((b_{k+1} − μ_i)/σ_i) − Φ((b_k − μ_i)/σ_i),   Φ(b_k) = p(level < k)

    A chain in which numbers come first. s_j is what the later columns see of column j: of a number z_j, of a level the
    mean of a standard normal variable in its interval, over its standard deviation λ_j. m_i and v_i are those of a
    normal distribution with the correlations C of the training rows' s. A level's own score is coarse, so that
    C_ij = λ_i·corr(latent score of i, s_j), of a latent normal pair; hence

        μ_i = m_i/λ_i,   σ_i² = 1 − (1 − v_i)/λ_i²

    but never less than 1 − EXPLAINED; then μ_i shrinks to leave the variance at 1.

    A missing cell of a column of levels is one more level. One of numbers is a level of its own, "missing", just before
    the number; a number that is missing tells the others nothing more. Where no training cell is missing p(missing) is
    that of `ColumnTables`, and independent of all.

    Of numbers alone this is the Gaussian copula, and the density does not depend on their order. Of levels it is a
    density too: each term sums to one, whatever came before. But it is that of this chain, not the probability of a
    box of scores under one normal distribution, which has no closed form; the share of each level is kept exactly
    only where μ_i is normal.

    Levels stand on the line in the order that correlates most with the other columns (`line_up`).

    Args:
        column_levels: the number of levels of each column, 0 for numbers.
        order: (D,), int64, the columns, numbers first.
        shrinkage: the least share of I in C.
        knots, floor: of the columns of numbers, see `Copula`.

    Attributes:
        tables: the distribution of each column.
        ends: (M, K + 1, 2): the interval of each slot; of a column its levels and, at the last place, a missing cell.
            Rows D … M − 1 are the missing cells of the columns of numbers: slot 0 is "not missing".
        middle: (M, K + 1): s of each slot.
        coarse: (M,): λ; 1 of numbers.
        C: (M, M): correlations of s.
        misses: (D,), bool: whether a training cell of the column is missing.
    """

    ends: Tensor
    middle: Tensor
    coarse: Tensor
    C: Tensor
    misses: Tensor

    def __init__(
        self, column_levels: Sequence[int], order: Tensor, shrinkage: float, knots: int, floor: float
    ) -> None:
        super().__init__()
        self.tables = ColumnTables(column_levels, knots=knots, floor=floor)
        self.levels, self.shrinkage = tuple(column_levels), shrinkage
        self.places = order.tolist()
        self.gap = {place: len(self.levels) + i for i, place in enumerate(self.tables.numbers)}
        size, slots = len(self.levels) + len(self.gap), self.tables.log_p.shape[1]
        self.register_buffer("ends", torch.zeros(size, slots, 2))
        self.register_buffer("middle", torch.zeros(size, slots))
        self.register_buffer("coarse", torch.ones(size))
        self.register_buffer("C", torch.eye(size))
        self.register_buffer("misses", torch.zeros(len(self.levels), dtype=torch.bool))
        self._spread([np.arange(slots)] * size)

    @property
    def free_parameters(self) -> int:
        """Those of the columns, and the correlations that are not 0."""
        return self.tables.free_parameters + int((self.C.triu(1) != 0).sum())

    def kinks(self, place: int) -> Tensor:
        """Values of a column where its density may jump, ascending; none of levels."""
        return self.tables.kinks(place)

    # ------------------------------------------------------------------ fitting
    @torch.no_grad()
    def fit(self, data: Any) -> None:
        """Count levels and missing cells, fit the numbers' knots, then the correlations.

        Args:
            data: has `blocks()`, an iterator of (rows, D) arrays.
        """
        self.tables.fit(data, PRIOR)
        rows = torch.from_numpy(np.concatenate([block.reshape(len(block), -1) for block in data.blocks()]))
        self.misses.copy_(rows.isnan().any(0))
        slots, z = self._slots(rows), self._numbers(rows)[0]
        discrete = [self.gap.get(place, place) for place in range(len(self.levels))]
        first = self._seen(slots, z)
        orders = line_up(first.numpy(), {dim: slots[:, dim].numpy() for dim in discrete}, self.ends.shape[1])
        self._spread(orders)
        self.C.copy_(_positive(correlation(self._seen(slots, z), self.shrinkage)))

    def _spread(self, orders: Sequence[np.ndarray]) -> None:
        """Lay the slots of each column along the line, in these orders."""
        for dim, order in enumerate(orders):
            if dim in self.gap:
                continue
            p = self._log_shares(dim).exp().double().numpy()[order]
            ends = ndtri(np.concatenate([[0.0], np.cumsum(p / p.sum())]).clip(0, 1))
            ends[0], ends[-1] = -np.inf, np.inf
            heights = np.exp(-0.5 * ends**2) / math.sqrt(2 * math.pi)
            middle = np.divide(-np.diff(heights), p, out=np.zeros_like(p), where=p > 0)
            coarse = max(math.sqrt(float((p * middle**2).sum())), 1e-3)
            self.ends[dim, order] = torch.from_numpy(np.stack([ends[:-1], ends[1:]], 1)).to(self.ends)
            self.middle[dim, order] = torch.from_numpy(middle / coarse).to(self.middle)
            self.coarse[dim] = coarse

    def _log_shares(self, dim: int) -> Tensor:
        """log p of each slot, (K + 1,); −∞ of those that are none."""
        own = {gap: place for place, gap in self.gap.items()}
        return self.tables.log_p[own.get(dim, dim)]

    # ------------------------------------------------------------------ scores
    def _slots(self, x: Tensor) -> Tensor:
        """The slot of each cell, (B, D) → (B, M), int64; −1 where a value is no level."""
        codes, wrong = self.tables.codes(x)
        codes = torch.where(wrong, -1, codes)
        return torch.cat([codes, codes[:, list(self.gap)]], 1)

    def _numbers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log dz/dx of the numbers, (B, D) each, float64; NaN elsewhere."""
        z, slope = (x.new_full(x.shape, torch.nan, dtype=torch.float64) for _ in range(2))
        numbers = self.tables.numbers
        if self.tables.knots is not None:
            z[:, numbers], slope[:, numbers] = self.tables.knots.score(x[:, numbers].nan_to_num())
        return z.masked_fill(x.isnan(), torch.nan), slope

    def _seen(self, slots: Tensor, z: Tensor) -> Tensor:
        """s of each cell, (B, M), float64: NaN where it tells nothing."""
        everything = torch.arange(slots.shape[1], device=slots.device)
        s = self.middle[everything, slots.clamp_min(0)].double()
        s[:, list(self.gap)] = z[:, list(self.gap)]
        return s.masked_fill(self._silent(slots), torch.nan)

    def _silent(self, slots: Tensor) -> Tensor:
        """Which cells tell nothing, (B, M): missing ones, where no training cell is; levels that are none."""
        misses = torch.cat([self.misses, self.misses[list(self.gap)]])
        return (slots < 0) | (~misses & (slots == self.ends.shape[1] - 1))

    # ------------------------------------------------------------------ the density
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x_i | those before it), (B, D) → (B, D) in the columns' places, nats, float64; −∞ where no level."""
        slots, (z, slope) = self._slots(x), self._numbers(x)
        seen, walk = self._seen(slots, z), Walk(self.C, len(x))
        found = x.new_zeros(x.shape, dtype=torch.float64)
        for place in self.places:
            dim = self.gap.get(place, place)
            found[:, place] = self._log_slot(walk, dim, slots[:, dim])
            walk.see(dim, seen[:, dim])
            if dim != place:
                mean, spread = walk.next(place)
                log_normal = -0.5 * ((z[:, place] - mean) / spread).square() - HALF_LOG_TWO_PI - spread.log()
                found[:, place] += (log_normal + slope[:, place]).masked_fill(x[:, place].isnan(), 0.0)
                walk.see(place, seen[:, place])
        return found

    def _log_slot(self, walk: Walk, dim: int, slot: Tensor) -> Tensor:
        """log p of a slot given what the walk has seen, (B,); −∞ of −1."""
        ends = self.ends[dim].double()[slot.clamp_min(0)]
        mean, spread = self._latent(walk, dim)
        found = log_between((ends[:, 0] - mean) / spread, (ends[:, 1] - mean) / spread)
        return found.masked_fill(slot < 0, -torch.inf)

    def _latent(self, walk: Walk, dim: int) -> tuple[Tensor, Tensor]:
        """μ and σ of the latent score of a column of levels."""
        mean, spread = walk.next(dim)
        coarse = self.coarse[dim].double()
        explained = (1 - spread.square()).clamp_min(0) / coarse.square()
        less = (EXPLAINED / explained.clamp_min(EXPLAINED)).sqrt()
        return mean / coarse * less, (1 - explained.clamp_max(EXPLAINED)).sqrt()

    # ------------------------------------------------------------------ sampling
    @torch.no_grad()
    def fill(self, x: Tensor, known: Tensor, *, present: bool = False) -> Tensor:
        """Sample the columns that are not known given those that are, (B, D) → (B, D).

        Args:
            x: rows; what is not known is ignored.
            known: (D,), bool.
            present: whether no cell that is sampled may be missing.
        """
        x, walk = x.clone(), Walk(self.C, len(x))
        slots = self._slots(torch.where(known, x, torch.nan))
        seen = self._seen(slots, self._numbers(x)[0])
        for place in (place for place in self.places if known[place]):
            for dim in dict.fromkeys((self.gap.get(place, place), place)):
                walk.see(dim, seen[:, dim])
        for place in (place for place in self.places if not known[place]):
            x[:, place] = self._draw(walk, place, present=present).to(x)
        return x

    def _draw(self, walk: Walk, place: int, *, present: bool) -> Tensor:
        """Sample one column, (B,), float64, and show it to the walk."""
        dim, last = self.gap.get(place, place), self.ends.shape[1] - 1
        mean, spread = self._latent(walk, dim)
        ends = (self.ends[dim].double() - mean[:, None, None]) / spread[:, None, None]
        p = log_between(ends[..., 0], ends[..., 1]).exp()
        if present or not self.misses[place]:
            p[:, last] = torch.where(p[:, :last].sum(1) > 0, 0.0, p[:, last])
        slot = torch.multinomial(p, 1)[:, 0]
        slots = walk.blank(-1).long().expand(len(ends), -1).clone()
        slots[:, dim] = slot
        told = self.middle[dim].double()[slot].masked_fill(self._silent(slots)[:, dim], torch.nan)
        walk.see(dim, told)
        if dim == place:
            return slot.double().masked_fill(slot == last, torch.nan)
        mean, spread = walk.next(place)
        z = mean + spread * torch.randn_like(mean)
        gone = slot == last
        walk.see(place, z.masked_fill(gone, torch.nan))
        return self._value(place, z).masked_fill(gone, torch.nan)

    def _value(self, place: int, z: Tensor) -> Tensor:
        """The number that a score stands for."""
        knots = self.tables.knots
        assert knots is not None  # noqa: S101 - it is there if there are numbers
        every = z[:, None].expand(-1, len(self.gap))
        return knots.unscore(every)[:, self.tables.numbers.index(place)]


class Walk:
    """Scores of rows that are seen one after the other, and what they say of the next: a Cholesky factor that grows.

    Args:
        C: (M, M), correlations.
        rows: B.
    """

    def __init__(self, C: Tensor, rows: int) -> None:
        self.C, self.dims = C.double(), list[int]()
        size = len(C)
        self.shared = True
        """Whether all rows have seen the same scores: then one factor is that of all."""
        self.L = self.C.new_zeros(1, size, size)
        self.there = torch.ones(1, size, dtype=torch.bool, device=C.device)
        self.e = self.C.new_zeros(rows, size)
        self.row, self.mean, self.spread = self.e[:1, :0], self.e[:, 0], self.e[:, 0]

    def blank(self, value: float) -> Tensor:
        """One row of all scores."""
        return self.C.new_full((1, len(self.C)), value)

    def next(self, dim: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of a score given those that were seen, (B,) each."""
        t = len(self.dims)
        c = self.C[dim, self.dims] * self.there[:, :t]
        L = self.L[:, :t, :t]
        self.row = torch.linalg.solve_triangular(L, c[..., None], upper=False)[..., 0] if t else c
        self.mean = (self.row * self.e[:, :t]).sum(1)
        self.spread = (1 - self.row.square().sum(1)).clamp_min(LEAST / 10).sqrt().expand(len(self.e))
        return self.mean, self.spread

    def see(self, dim: int, score: Tensor) -> None:
        """Take up a score, (B,); NaN where it is not known."""
        mean, spread = self.next(dim)
        t, gone = len(self.dims), score.isnan()
        if self.shared and bool(gone.any()):
            self.shared = False
            self.L, self.there = (
                each.expand(len(score), *each.shape[1:]).clone() for each in (self.L, self.there)
            )
        self.L[:, t, :t] = self.row if self.shared else self.row.masked_fill(gone[:, None], 0.0)
        self.L[:, t, t] = spread[:1] if self.shared else torch.where(gone, 1.0, spread)
        self.there[:, t] = True if self.shared else ~gone
        self.e[:, t] = ((score - mean) / spread).nan_to_num(0.0)
        self.dims.append(dim)


def line_up(s: np.ndarray, slots: dict[int, np.ndarray], width: int) -> list[np.ndarray]:
    """An order of each column's slots along a line: by their mean in what all columns share most.

    Alternates between the first principal component of the scores, and scores of the slots that are the means of that
    component over the rows in them. Slots without a row come last.

    Args:
        s: (n, M), scores to begin with; NaN counts as 0.
        slots: column → the slot of each row, (n,).
        width: the number of slots.
    """
    s, means = np.nan_to_num(s), dict[int, np.ndarray]()
    for _ in range(ROUNDS):
        s = s - s.mean(0)
        s /= np.maximum(s.std(0), 1e-6)
        shared = s @ np.linalg.eigh(s.T @ s / len(s))[1][:, -1]
        for dim, slot in slots.items():
            there = slot >= 0
            counts = np.bincount(slot[there], minlength=width)
            sums = np.bincount(slot[there], shared[there], minlength=width)
            means[dim] = np.divide(sums, counts, out=np.full(width, np.inf), where=counts > 0)
            s[there, dim] = means[dim][slot[there]]
    return [np.argsort(means.get(dim, np.zeros(width)), kind="stable") for dim in range(s.shape[1])]


def _positive(C: Tensor) -> Tensor:
    """The correlations with no eigenvalue below LEAST: those of pairs of columns may not be of all together."""
    values, vectors = torch.linalg.eigh(C)
    if float(values[0]) >= LEAST:
        return C
    C = vectors @ (values.clamp_min(LEAST)[:, None] * vectors.t())
    root = C.diagonal().sqrt()
    return C / root[:, None] / root
