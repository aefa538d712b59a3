"""The distribution of one cell of a table given a network's outputs: of numbers over bins, of levels, of missing cells.

Of all columns of a kind at once, or of a few: `which`, (n,), int64, are the places of the columns among those of the
kind. Outputs, (B, n, outputs), are the network's for these columns, cells (B, n) their values, NaN where missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from plausible.models.bins import Bins
from plausible.models.kernels import (
    KERNELS,
    draw_between,
    kernel_density,
    kernel_mass,
    kernels_from,
    mean_densities,
)
from plausible.models.rounding import FAVOURITES, UNITS, Rounding
from plausible.models.scale import KNOTS, find_on_scale, fit_knots, from_scale

__all__ = ["INPUTS", "LOGIT_GAIN", "Levels", "Numbers"]

LOGIT_GAIN = 0.3
"""What the network's logits of the bins are multiplied with."""
SPIKES, SPIKE_SHARE = 4, 0.05
"""So many of a column's values that have at least that share of its rows are inputs of their own."""
INPUTS = 3 + KNOTS - 1 + SPIKES + 1
"""What a network sees of a number."""
MIN_WIDTH = 1e-4
"""The least width of a bin, as a share of its column's scale, where the kernels' mean in it is asked for."""
_CLIP = 4.0
"""The largest standard score that a network sees."""


class Levels(nn.Module):
    """Columns of levels: a softmax over a column's levels and "missing".

    Args:
        counts: K of each column.

    Attributes:
        open: (L, K + 1), bool: which levels there are; the last one is "missing".
        counts: (L,), int64: K of each column.
    """

    open: Tensor
    counts: Tensor

    def __init__(self, counts: Sequence[int]) -> None:
        super().__init__()
        self.slots = self.outputs = max(counts, default=0) + 1
        levels = torch.arange(self.slots) < torch.tensor(counts, dtype=torch.int64)[:, None]
        self.register_buffer("open", levels)
        self.register_buffer("counts", torch.tensor(counts, dtype=torch.int64))

    def fit(self, columns: Sequence[np.ndarray]) -> Tensor:
        """Note which columns have missing cells; returns the outputs that give the marginals, (L, outputs)."""
        start = torch.zeros(self.open.shape)
        for i, column in enumerate(columns):
            missing = np.isnan(column)
            self.open[i, -1] = bool(missing.any())
            codes = torch.from_numpy(np.where(missing, self.slots - 1, column).astype(np.int64))
            start[i] = _log_shares(torch.bincount(codes, minlength=self.slots), self.open[i])
        return start

    def locate(self, x: Tensor) -> Tensor:
        """The slot of each cell, (B, n)."""
        return torch.where(x.isnan(), self.slots - 1, x.nan_to_num(0)).long()

    def log_prob(self, outputs: Tensor, x: Tensor, which: Tensor) -> Tensor:
        """log p of each cell, (B, n), nats; 0 for one that is missing in a column that misses none."""
        slot = self.locate(x)
        logs = self._log_slots(outputs, which)
        closed = ~self.open[which].expand_as(logs).gather(2, slot[:, :, None]).squeeze(2)
        return logs.gather(2, slot[:, :, None]).squeeze(2).masked_fill(closed, 0.0)

    def draw(self, outputs: Tensor, i: int, *, present: bool = False) -> Tensor:
        """A value of one column for each row, (B, outputs) → (B,); with `present` given that it is not missing."""
        which = torch.tensor([i], device=outputs.device)
        slot = _pick(self._log_slots(outputs[:, None], which)[:, 0], present=present)
        return torch.where(slot == self.slots - 1, torch.nan, slot.to(outputs))

    def _log_slots(self, outputs: Tensor, which: Tensor) -> Tensor:
        return outputs.masked_fill(~self.open[which], -torch.inf).log_softmax(-1)


class Numbers(nn.Module):
    """Columns of numbers: a softmax over bins and "missing", and a density within each bin.

        p(x) = (1 − ε)·softmax(γ·a_s + b_s + log f̄_s)·q_s(x) + ε·b(x)

    s is the bin that holds x, of S. f is a mixture of logistic kernels over the column's scale (`models/kernels.py`,
    `models/scale.py`), f̄_s its mean in the bin; the network gives it, the logits a_s + b_s, b_s independent of its
    input, and that of "missing". With γ = LOGIT_GAIN < 1 the kernels, which neighbouring bins share, learn before the
    logits, which overfit. Within a bin the density q_s is the kernels' own, restricted to the bin. b is a logistic
    distribution around the column's median, for values that no bin holds.

    A column with a step has the density of its values plus uniform noise on (−½, ½) of a step, so that the density of
    whole numbers is their probability. A repeated value of a column without a step has a probability, not a density.

    Args:
        columns: N.
        bins: S, at most.

    Attributes:
        low, high: (N, S): the bins' ends; of those that a column does not use, infinite.
        knots: (N, KNOTS): of the columns' scales.
        edges: (N, S + 1): the ends on the scale, that of two bins halfway between them, at least MIN_WIDTH apart.
        spikes: (N, SPIKES): the most frequent values; infinite: none.
        origin, step: (N,): of the grid that its values lie on; step 0: there is none.
        centre, spread: (N,): of b.
        epsilon: (): ε = 1/(4·(rows + 1)).
        open: (N, S + 1), bool: the bins in use; the last one is "missing".
        units: (N, J): round units, of which multiples are more frequent; 0: none.
        first, points: (N, S, J): the least multiple of each in a bin, and how many there are.
        favourites, chances: (N, F): frequent values, infinite: none; and the probability of each among its bin's.
        shares: (N, S, J + 2): the probability that a value in a bin is any of its points, a multiple, a favourite.
    """

    low: Tensor
    high: Tensor
    knots: Tensor
    edges: Tensor
    spikes: Tensor
    origin: Tensor
    step: Tensor
    centre: Tensor
    spread: Tensor
    epsilon: Tensor
    open: Tensor
    units: Tensor
    first: Tensor
    points: Tensor
    favourites: Tensor
    chances: Tensor
    shares: Tensor

    def __init__(self, columns: int, bins: int) -> None:
        super().__init__()
        self.bins, self.slots = bins, bins + 1
        self.outputs = self.slots + 3 * KERNELS + 1
        ends = torch.full((columns, bins), torch.inf)
        ends[:, 0] = 0
        self.register_buffer("low", ends.clone())
        self.register_buffer("high", ends + 1)
        self.register_buffer("knots", torch.linspace(0, 1, KNOTS).repeat(columns, 1))
        self.register_buffer("edges", torch.arange(bins + 1.0).repeat(columns, 1))
        self.register_buffer("spikes", torch.full((columns, SPIKES), torch.inf))
        self.register_buffer("origin", torch.zeros(columns))
        self.register_buffer("step", torch.zeros(columns))
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("spread", torch.ones(columns))
        self.register_buffer("epsilon", torch.tensor(0.25))
        self.register_buffer("open", torch.arange(self.slots) < torch.ones(columns, 1))
        self.register_buffer("units", torch.zeros(columns, UNITS))
        self.register_buffer("first", torch.zeros(columns, bins, UNITS))
        self.register_buffer("points", torch.zeros(columns, bins, UNITS))
        self.register_buffer("favourites", torch.full((columns, FAVOURITES), torch.inf))
        self.register_buffer("chances", torch.zeros(columns, FAVOURITES))
        self.register_buffer("shares", (torch.arange(UNITS + 2) < 1).float().repeat(columns, bins, 1))

    # ------------------------------------------------------------------ fitting
    def fit(self, columns: Sequence[np.ndarray], fitted: Sequence[Bins]) -> Tensor:
        """Take bins over from the training rows; returns the outputs that give the marginals, (N, outputs)."""
        start = torch.zeros(len(columns), self.outputs)
        for i, (column, bins) in enumerate(zip(columns, fitted, strict=True)):
            used, values = len(bins.low), column[~np.isnan(column)].astype(np.float64)
            self.low[i], self.high[i] = torch.inf, torch.inf
            self.low[i, :used], self.high[i, :used] = torch.from_numpy(bins.low), torch.from_numpy(bins.high)
            self.origin[i], self.step[i] = bins.origin, bins.step
            self._scale(i, values, bins)
            self._round(i, bins.rounding)
            self.open[i] = torch.arange(self.slots) < used
            self.open[i, -1] = len(values) < len(column)
            self.epsilon.fill_(0.25 / (len(column) + 1))
            if used:
                self.centre[i] = float(np.median(values))
                self.spread[i] = float(max(values.std() * math.sqrt(3) / math.pi, bins.step / 2, 1e-30))
            held = torch.zeros(self.slots, dtype=torch.int64)
            held[:used] = torch.from_numpy(bins.counts)
            held[-1] = len(column) - len(values)
            start[i, : self.slots] = _log_shares(held, self.open[i])
        return start

    def _scale(self, i: int, values: np.ndarray, bins: Bins) -> None:
        """Lay out the scale of a column, the bins' ends on it, and its most frequent values."""
        self.knots[i] = torch.from_numpy(fit_knots(values))
        ends = np.concatenate([bins.low[:1], (bins.high[:-1] + bins.low[1:]) / 2, bins.high[-1:]])
        at, _ = find_on_scale(torch.from_numpy(ends).to(self.low)[:, None], self.knots[i : i + 1])
        laid = torch.zeros(self.bins + 1)
        laid[: len(ends)] = at[:, 0]
        laid[len(ends) :] = at[-1, 0] if len(ends) else 0.0
        self.edges[i] = laid + MIN_WIDTH * torch.arange(self.bins + 1)
        points, counts = np.unique(values, return_counts=True)
        often = np.argsort(-counts, kind="stable")[:SPIKES]
        often = often[counts[often] >= max(2, SPIKE_SHARE * len(values))]
        self.spikes[i] = torch.inf
        self.spikes[i, : len(often)] = torch.from_numpy(points[often])

    def _round(self, i: int, rounding: Rounding | None) -> None:
        """Take over the round units and the favourites of a column."""
        for held in (self.units, self.first, self.points, self.chances, self.shares):
            held[i] = 0
        self.favourites[i] = torch.inf
        self.shares[i, :, 0] = 1
        if rounding is not None:
            bins, count = rounding.points.shape
            self.units[i, :count] = torch.from_numpy(rounding.units)
            self.first[i, :bins, :count] = torch.from_numpy(rounding.first)
            self.points[i, :bins, :count] = torch.from_numpy(rounding.points)
            self.favourites[i, : len(rounding.favourites)] = torch.from_numpy(rounding.favourites)
            self.chances[i, : len(rounding.chances)] = torch.from_numpy(rounding.chances)
            self.shares[i, :bins, : count + 1] = torch.from_numpy(rounding.shares[:, :-1])
            self.shares[i, :bins, -1] = torch.from_numpy(rounding.shares[:, -1])

    # ------------------------------------------------------------------ where values lie
    def inputs(self, x: Tensor, which: Tensor) -> Tensor:
        """What a network sees of each cell, (B, n, INPUTS).

        Whether it is there or missing; its place on the scale, −1 to 1, and its standard score, both clipped; how much
        of each piece of the scale lies below it; and whether it is one of the column's most frequent values.
        """
        there, value = ~x.isnan(), self._on_grid(x.nan_to_num(0.0), which)
        u, _ = find_on_scale(value, self.knots[which])
        score = ((value - self.centre[which]) / self.spread[which]).clamp(-_CLIP, _CLIP)
        pieces = torch.arange(KNOTS - 1, device=x.device).to(u)
        below = (u[..., None] * (KNOTS - 1) - pieces).clamp(0, 1) / 2
        spikes = (value[..., None] == self.spikes[which]).to(u)
        seen = torch.stack([torch.ones_like(u), (2 * u - 1).clamp(-2, 2), score], 2)
        seen = torch.cat([seen, below, spikes], 2) * there[..., None]
        return torch.cat([seen, (~there).to(u)[..., None]], 2)

    def ends(self, i: int) -> Tensor:
        """Where a column's density may jump, ascending: of one with a step, the ends of all steps in the bins."""
        used = self.open[i, :-1]
        low, high, step = self.low[i][used], self.high[i][used], float(self.step[i])
        if not step or not len(low):
            return torch.cat([low, high, self.knots[i]]).unique()
        return torch.arange(float(low[0]), float(high[-1]) + step / 2, step)

    def _find(self, x: Tensor, missing: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The slot of each value on the grid, that of the nearest bin where none holds it, and whether one does."""
        low, high = self.low[which], self.high[which]
        last = (self.open[which, :-1].sum(1) - 1).clamp_min(0)
        slot = torch.searchsorted(high, x.t().contiguous()).t().minimum(last)
        after = (slot + 1).minimum(last)
        slot = torch.where(_at(low, after) == x, torch.where(_at(high, after) == x, after, slot), slot)
        held = (_at(low, slot) <= x) & (x <= _at(high, slot)) & ~missing
        return torch.where(missing, self.bins, slot), held

    def _on_grid(self, x: Tensor, which: Tensor) -> Tensor:
        """Values of columns with a step, moved to the nearest point of its grid."""
        origin, step = self.origin[which], self.step[which]
        k = ((x - origin) / torch.where(step > 0, step, 1.0)).round()
        return torch.where(step > 0, origin + k * step, x)

    # ------------------------------------------------------------------ the density
    def log_prob(self, outputs: Tensor, x: Tensor, which: Tensor) -> Tensor:
        """log p of each cell, (B, n), nats; 0 for one that is missing in a column that misses none."""
        missing, value = x.isnan(), self._on_grid(x.nan_to_num(0.0), which)
        slot, held = self._find(value, missing, which)
        kernels = kernels_from(outputs[:, :, self.slots :])
        logs = self._log_slots(outputs, kernels, which).gather(2, slot[:, :, None]).squeeze(2)
        at = slot.masked_fill(missing, 0)
        low, high = (_at(ends[which], at).nan_to_num(posinf=0.0) for ends in (self.low, self.high))
        single = low == high
        inside = self._log_inside(kernels, value, at, low, high, which)
        epsilon = self.epsilon
        logs = torch.where(missing, logs, logs + inside.masked_fill(single, 0.0)) + torch.log1p(-epsilon)
        logs = logs.masked_fill(~held & ~missing, -torch.inf)
        beyond = self._log_background(value, which) + epsilon.log()
        whole = torch.where(missing | (held & single), logs, torch.logaddexp(logs, beyond))
        return whole.masked_fill(missing & ~self.open[which, -1], 0.0)

    def _log_inside(
        self, kernels: Tensor, x: Tensor, slot: Tensor, low: Tensor, high: Tensor, which: Tensor
    ) -> Tensor:
        """log q_s(x), (B, n): the kernels' density in the bin, or their mass in the step around the value.

        With the probability that the value is a round one or a favourite, of which the kernels know nothing.
        """
        step, knots = self.step[which], self.knots[which]
        x = x.maximum(low).minimum(high)
        (a, _), (b, _), (u, slope) = (find_on_scale(each, knots) for each in (low, high, x))
        all_of_it = kernel_mass(kernels, a, b).clamp_min(1e-30)
        below, above = (find_on_scale(x + side * step / 2, knots)[0] for side in (-1, 1))
        cell = kernel_mass(kernels, below.maximum(a), above.minimum(b)) / all_of_it
        any_point, others = self._round_mass(x, slot, which)
        cell = torch.where(step > 0, any_point * cell + others, 1.0).log()
        free = kernel_density(kernels, u).log() + slope.log() - all_of_it.log()
        return torch.where(step > 0, cell - torch.where(step > 0, step, 1.0).log(), free)

    def _round_mass(self, x: Tensor, slot: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The probability that a value in a bin is any point of it, and of this one as round or favourite, (B, n)."""
        units, shares = self.units[which], self.shares[which[:, None], slot.t()].transpose(0, 1)
        points = self.points[which[:, None], slot.t()].transpose(0, 1)
        near = self.step[which] / 4
        unit = torch.where(units > 0, units, 1.0)
        off = (x[:, :, None] - unit * (x[:, :, None] / unit).round()).abs()
        multiple = (units > 0) & (off < near[:, None]) & (points > 0)
        favourites = self.favourites[which]
        place = torch.searchsorted(favourites, (x - near).t().contiguous()).t().clamp_max(FAVOURITES - 1)
        chance = _at(self.chances[which], place) * ((_at(favourites, place) - x).abs() < near)
        round_ones = (shares[..., 1:-1] * multiple / points.clamp_min(1)).sum(-1)
        return shares[..., 0], round_ones + shares[..., -1] * chance

    def _log_background(self, x: Tensor, which: Tensor) -> Tensor:
        """log b(x), (B, n)."""
        centre, spread, step = self.centre[which], self.spread[which], self.step[which]
        z = (x - centre) / spread
        half = step / spread / 2
        density = nn.functional.logsigmoid(z) + nn.functional.logsigmoid(-z) - spread.log()
        # σ(b) − σ(a) = σ(b)·σ(−a)·(1 − e^(a − b))
        cell = nn.functional.logsigmoid(z + half) + nn.functional.logsigmoid(half - z)
        cell = (
            cell
            + torch.log(-torch.expm1(-2 * half.clamp_min(1e-30)))
            - torch.where(step > 0, step, 1.0).log()
        )
        return torch.where(step > 0, cell, density)

    def _log_slots(self, outputs: Tensor, kernels: Tensor, which: Tensor) -> Tensor:
        """log softmax over bins and "missing", (B, n, S + 1)."""
        means = mean_densities(kernels, self.edges[which]).log()
        logits = torch.cat([outputs[:, :, : self.bins] + means, outputs[:, :, self.bins : self.slots]], 2)
        return logits.masked_fill(~self.open[which], -torch.inf).log_softmax(-1)

    # ------------------------------------------------------------------ sampling
    def draw(self, outputs: Tensor, i: int, *, present: bool = False) -> Tensor:
        """A value of one column for each row, (B, outputs) → (B,); with `present` given that it is not missing."""
        which = torch.tensor([i], device=outputs.device)
        kernels = kernels_from(outputs[:, None, self.slots :])
        slot = _pick(self._log_slots(outputs[:, None], kernels, which)[:, 0], present=present)
        held = slot.clamp_max(self.bins - 1)
        low, high = self.low[i, held], self.high[i, held]
        (a, _), (b, _) = (find_on_scale(each[:, None], self.knots[which]) for each in (low, high))
        u = draw_between(kernels[:, 0], a[:, 0].nan_to_num(0.0), b[:, 0].nan_to_num(0.0))
        x = from_scale(u, self.knots[i]).maximum(low).minimum(high)
        x = self._rounded(x, held, i)
        noise = torch.rand_like(x).clamp(1e-6, 1 - 1e-6)
        background = self.centre[i] + self.spread[i] * noise.logit()
        x = torch.where(
            torch.rand_like(x) < self.epsilon, background, torch.where(slot == self.bins, torch.nan, x)
        )
        return torch.where(x.isnan(), x, self._on_grid(x[:, None], which)[:, 0])

    def _rounded(self, x: Tensor, slot: Tensor, i: int) -> Tensor:
        """Values in bins, (B,); some replaced by multiples of a round unit, or by favourites, in the same bin."""
        layer = torch.multinomial(self.shares[i, slot], 1)[:, 0]
        at = (layer - 1).clamp(0, UNITS - 1)
        first, points = (of[i, slot].gather(1, at[:, None])[:, 0] for of in (self.first, self.points))
        multiple = self.units[i, at] * (first + (torch.rand_like(x) * points).floor().minimum(points - 1))
        x = torch.where((layer > 0) & (layer <= UNITS), multiple, x)
        rows = layer > UNITS
        if bool(rows.any()):
            bounds = self.low[i, slot[rows], None], self.high[i, slot[rows], None]
            inside = (bounds[0] <= self.favourites[i]) & (self.favourites[i] <= bounds[1])
            x[rows] = self.favourites[i, torch.multinomial(self.chances[i] * inside, 1)[:, 0]]
        return x


# ---------------------------------------------------------------------- small things
def _at(table: Tensor, slot: Tensor) -> Tensor:
    """table[i, slot[b, i]], (n, S) and (B, n) → (B, n)."""
    return table.gather(1, slot.t()).t()


def _pick(logs: Tensor, *, present: bool) -> Tensor:
    """One of the slots by its probability, (B, slots) → (B,); with `present` not the last one, if there is another."""
    p = logs.exp()
    if present and p.shape[1] > 1:
        others = p[:, :-1].sum(1, keepdim=True) > 0
        p = torch.cat([p[:, :-1], p[:, -1:].masked_fill(others, 0.0)], 1)
    return torch.multinomial(p, 1)[:, 0]


def _log_shares(counts: Tensor, open_: Tensor) -> Tensor:
    """log of the share of rows in each slot, half a row added to each that is open; 0 in the others."""
    counts = counts.float() + 0.5
    return (counts / counts[open_].sum()).log().masked_fill(~open_, 0.0)
