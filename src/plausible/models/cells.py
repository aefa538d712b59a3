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
from plausible.models.rounding import UNITS, Rounding

__all__ = ["Levels", "Numbers"]

KERNELS = 4
"""Logistic kernels over the bins of a number."""
_CLIP = 4.0
"""The largest standard score that a network sees."""
_EVEN = 0.02
"""The least share of the kernels' sum that is the same for all bins."""
_NARROWEST = 0.02
"""The least width of a kernel, in bins."""


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

    def inputs(self, x: Tensor, which: Tensor) -> tuple[Tensor, Tensor | None]:
        """What a network sees of each cell: its slot, (B, n); and of numbers more."""
        return self.locate(x), None

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

        p(x) = (1 − ε)·softmax(a_s + log κ_s)·q_s(x) + ε·b(x),   κ_s = w_0/S + Σ_k w_k·(F_k(s + 1) − F_k(s))

    s is the bin that holds x, of S; F_k are logistic distribution functions over the position in bins, whose weights w,
    places and widths the network gives beside the logits a. Within a bin the density q_s is the kernels' own,
    restricted to the bin. b is a logistic distribution around the column's median, for values that no bin holds.

    A column with a step has the density of its values plus uniform noise on (−½, ½) of a step, so that the density of
    whole numbers is their probability. A repeated value of a column without a step has a probability, not a density.

    Args:
        columns: N.
        bins: S, at most.

    Attributes:
        low, high: (N, S): the bins' ends; of those that a column does not use, infinite.
        origin, step: (N,): of the grid that its values lie on; step 0: there is none.
        centre, spread: (N,): of b.
        epsilon: (): ε = 1/(4·(rows + 1)).
        open: (N, S + 1), bool: the bins in use; the last one is "missing".
        units: (N, J): round units, of which multiples are more frequent; 0: none.
        first, points: (N, S, J): the least multiple of each in a bin, and how many there are.
        shares: (N, S, J + 1): the probability that a value in a bin is any of its points, and that it is a multiple.
    """

    units: Tensor
    first: Tensor
    points: Tensor
    shares: Tensor
    low: Tensor
    high: Tensor
    origin: Tensor
    step: Tensor
    centre: Tensor
    spread: Tensor
    epsilon: Tensor
    open: Tensor

    def __init__(self, columns: int, bins: int) -> None:
        super().__init__()
        self.bins, self.slots = bins, bins + 1
        self.outputs = self.slots + 3 * KERNELS + 1
        ends = torch.full((columns, bins), torch.inf)
        ends[:, 0] = 0
        self.register_buffer("low", ends.clone())
        self.register_buffer("high", ends + 1)
        self.register_buffer("origin", torch.zeros(columns))
        self.register_buffer("step", torch.zeros(columns))
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("spread", torch.ones(columns))
        self.register_buffer("epsilon", torch.tensor(0.25))
        self.register_buffer("units", torch.zeros(columns, UNITS))
        self.register_buffer("first", torch.zeros(columns, bins, UNITS))
        self.register_buffer("points", torch.zeros(columns, bins, UNITS))
        self.register_buffer("shares", (torch.arange(UNITS + 1) < 1).float().repeat(columns, bins, 1))
        self.register_buffer("open", torch.arange(self.slots) < torch.ones(columns, 1))

    # ------------------------------------------------------------------ fitting
    def fit(self, columns: Sequence[np.ndarray], fitted: Sequence[Bins]) -> Tensor:
        """Take bins over from the training rows; returns the outputs that give the marginals, (N, outputs)."""
        start = torch.zeros(len(columns), self.outputs)
        for i, (column, bins) in enumerate(zip(columns, fitted, strict=True)):
            used, values = len(bins.low), column[~np.isnan(column)].astype(np.float64)
            self.low[i], self.high[i] = torch.inf, torch.inf
            self.low[i, :used], self.high[i, :used] = torch.from_numpy(bins.low), torch.from_numpy(bins.high)
            self.origin[i], self.step[i] = bins.origin, bins.step
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

    def _round(self, i: int, rounding: Rounding | None) -> None:
        """Take over the round units of a column."""
        for held in (self.units, self.first, self.points, self.shares):
            held[i] = 0
        self.shares[i, :, 0] = 1
        if rounding is not None:
            bins, count = rounding.points.shape
            self.units[i, :count] = torch.from_numpy(rounding.units)
            self.first[i, :bins, :count] = torch.from_numpy(rounding.first)
            self.points[i, :bins, :count] = torch.from_numpy(rounding.points)
            self.shares[i, :bins, : count + 1] = torch.from_numpy(rounding.shares)

    # ------------------------------------------------------------------ where values lie
    def inputs(self, x: Tensor, which: Tensor) -> tuple[Tensor, Tensor | None]:
        """What a network sees of each cell: the slot, (B, n), that of the nearest bin where none holds it.

        And of a number its place among the bins, −1 to 1, and its standard score, clipped: (B, n, 2).
        """
        slot, place, _ = self._find(x, which)
        position = 2 * (slot + place) / self._used(which) - 1
        score = (self._on_grid(x.nan_to_num(0.0), which) - self.centre[which]) / self.spread[which]
        score = score.clamp(-_CLIP, _CLIP)
        return slot, torch.stack([position, score], 2).masked_fill(x.isnan()[:, :, None], 0.0)

    def edges(self, i: int) -> Tensor:
        """The ends of a column's bins, ascending; of one with a step, of all steps there are in them."""
        used = self.open[i, :-1]
        low, high, step = self.low[i][used], self.high[i][used], float(self.step[i])
        if not step or not len(low):
            return torch.cat([low, high]).unique()
        return torch.arange(float(low[0]), float(high[-1]) + step / 2, step)

    def _find(self, x: Tensor, which: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The slot and the place of each cell, and whether a bin holds it."""
        missing, x = x.isnan(), self._on_grid(x.nan_to_num(0.0), which)
        low, high = self.low[which], self.high[which]
        last = (self.open[which, :-1].sum(1) - 1).clamp_min(0)
        slot = torch.searchsorted(high, x.t().contiguous()).t().minimum(last)
        after = (slot + 1).minimum(last)
        slot = torch.where(_at(low, after) == x, torch.where(_at(high, after) == x, after, slot), slot)
        a, b = _at(low, slot), _at(high, slot)
        held = (a <= x) & (x <= b) & ~missing
        place = torch.where(b > a, (x - a) / (b - a), 0.5).nan_to_num(0.5).clamp(0, 1)
        return torch.where(missing, self.bins, slot), torch.where(missing, 0.0, place), held

    def _on_grid(self, x: Tensor, which: Tensor) -> Tensor:
        """Values of columns with a step, moved to the nearest point of its grid."""
        origin, step = self.origin[which], self.step[which]
        k = ((x - origin) / torch.where(step > 0, step, 1.0)).round()
        return torch.where(step > 0, origin + k * step, x)

    # ------------------------------------------------------------------ the density
    def log_prob(self, outputs: Tensor, x: Tensor, which: Tensor) -> Tensor:
        """log p of each cell, (B, n), nats; 0 for one that is missing in a column that misses none."""
        slot, place, held = self._find(x, which)
        missing = slot == self.bins
        kernels = self._kernels(outputs, which)
        logs = self._log_slots(outputs, kernels, which).gather(2, slot[:, :, None]).squeeze(2)
        at = slot.masked_fill(missing, 0)
        low, high = _at(self.low[which], at), _at(self.high[which], at)
        single = low == high
        inside = self._log_inside(kernels, at, place, low, high, which, self._round_mass(x, at, which))
        epsilon = self.epsilon
        logs = torch.where(missing, logs, logs + inside.masked_fill(single, 0.0)) + torch.log1p(-epsilon)
        logs = logs.masked_fill(~held & ~missing, -torch.inf)
        beyond = self._log_background(x, which) + epsilon.log()
        whole = torch.where(missing | (held & single), logs, torch.logaddexp(logs, beyond))
        return whole.masked_fill(missing & ~self.open[which, -1], 0.0)

    def _log_inside(
        self,
        kernels: Tensor,
        slot: Tensor,
        place: Tensor,
        low: Tensor,
        high: Tensor,
        which: Tensor,
        rounded: tuple[Tensor, Tensor],
    ) -> Tensor:
        """log q_s(x), (B, n): the kernels' density at the place in the bin, or their mass in the step around it.

        With the probability that the value is a round one, p of which the kernels know nothing.
        """
        width, step = (high - low).clamp_min(1e-30), self.step[which]
        half = torch.where(step > 0, step / width / 2, 0.0)
        u, all_of_it = slot + place, _mass(kernels, slot, slot + 1.0, self._used(which))
        cell = _mass(kernels, (u - half).maximum(slot), (u + half).minimum(slot + 1.0), self._used(which))
        any_point, multiple = rounded
        cell = torch.where(step > 0, any_point * cell / all_of_it + multiple, 1.0).log()
        even = _density(kernels, u, self._used(which)).log() - width.log() - all_of_it.log()
        return torch.where(step > 0, cell - torch.where(step > 0, step, 1.0).log(), even)

    def _round_mass(self, x: Tensor, slot: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The probability that a value in a bin is any point of it, and of this value as a round one, (B, n) each."""
        units, shares = self.units[which], self.shares[which[:, None], slot.t()].transpose(0, 1)
        points = self.points[which[:, None], slot.t()].transpose(0, 1)
        x = self._on_grid(x.nan_to_num(0.0), which)[:, :, None]
        unit = torch.where(units > 0, units, 1.0)
        off = (x - unit * (x / unit).round()).abs()
        multiple = (units > 0) & (off < self.step[which][:, None] / 4) & (points > 0)
        return shares[..., 0], (shares[..., 1:] * multiple / points.clamp_min(1)).sum(-1)

    def _log_background(self, x: Tensor, which: Tensor) -> Tensor:
        """log b(x), (B, n)."""
        centre, spread, step = self.centre[which], self.spread[which], self.step[which]
        z = (self._on_grid(x.nan_to_num(0.0), which) - centre) / spread
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
        used = self._used(which)
        edges = torch.arange(self.bins + 1, device=outputs.device, dtype=outputs.dtype)
        at = _distribution(kernels[:, :, None], edges[None, None, :, None])
        weight = kernels[:, :, None, : KERNELS + 1]
        mass = (weight[..., 1:] * at.diff(dim=2)).sum(-1) + weight[..., 0] / used[:, None]
        logits = torch.cat(
            [outputs[:, :, : self.bins] + mass.log(), outputs[:, :, self.bins : self.slots]], 2
        )
        return logits.masked_fill(~self.open[which], -torch.inf).log_softmax(-1)

    def _used(self, which: Tensor) -> Tensor:
        """How many bins each column uses, (n,)."""
        return self.open[which, :-1].sum(1).clamp_min(1).to(self.low)

    def _kernels(self, outputs: Tensor, which: Tensor) -> Tensor:
        """Weights w_0 … w_K, places and widths of the kernels, in bins, (B, n, 3K + 1)."""
        raw = outputs[:, :, self.slots :]
        weight, place, width = raw.split([KERNELS + 1, KERNELS, KERNELS], 2)
        used = self._used(which)[:, None]
        weight = (1 - _EVEN) * weight.softmax(-1)
        weight = torch.cat([weight[..., :1] + _EVEN, weight[..., 1:]], -1)
        first = (torch.arange(KERNELS, device=raw.device) + 0.5) / KERNELS
        place = used * (first.to(raw) + place)
        width = _NARROWEST + used * nn.functional.softplus(width - 1.0)
        return torch.cat([weight, place, width], -1)

    # ------------------------------------------------------------------ sampling
    def draw(self, outputs: Tensor, i: int, *, present: bool = False) -> Tensor:
        """A value of one column for each row, (B, outputs) → (B,); with `present` given that it is not missing."""
        which = torch.tensor([i], device=outputs.device)
        kernels = self._kernels(outputs[:, None], which)
        slot = _pick(self._log_slots(outputs[:, None], kernels, which)[:, 0], present=present)
        low, high = (ends[i, slot.clamp_max(self.bins - 1)] for ends in (self.low, self.high))
        place = _place_in(kernels[:, 0], slot, self._used(which))
        x = torch.where(high > low, low + place * (high - low), low)
        x = self._rounded(x, slot.clamp_max(self.bins - 1), i)
        noise = torch.rand_like(x).clamp(1e-6, 1 - 1e-6)
        background = self.centre[i] + self.spread[i] * noise.logit()
        x = torch.where(
            torch.rand_like(x) < self.epsilon, background, torch.where(slot == self.bins, torch.nan, x)
        )
        return torch.where(x.isnan(), x, self._on_grid(x[:, None], which)[:, 0])

    def _rounded(self, x: Tensor, slot: Tensor, i: int) -> Tensor:
        """Values in bins, (B,); some of them replaced by multiples of a round unit in the same bin."""
        layer = torch.multinomial(self.shares[i, slot], 1)
        at = (layer - 1).clamp_min(0)
        first, points = (of[i, slot].gather(1, at)[:, 0] for of in (self.first, self.points))
        unit = self.units[i].expand(len(x), -1).gather(1, at)[:, 0]
        multiple = unit * (first + (torch.rand_like(x) * points).floor().minimum(points - 1))
        return torch.where(layer[:, 0] > 0, multiple, x)


# ---------------------------------------------------------------------- kernels over the bins
def _parts(kernels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    weight, place, width = kernels.split([KERNELS + 1, KERNELS, KERNELS], -1)
    return weight[..., 0], weight[..., 1:], place, width


def _distribution(kernels: Tensor, u: Tensor) -> Tensor:
    """F_k(u), (…, K)."""
    _, _, place, width = _parts(kernels)
    return torch.sigmoid((u - place) / width)


def _mass(kernels: Tensor, a: Tensor, b: Tensor, used: Tensor) -> Tensor:
    """What the kernels hold between two positions, (B, n)."""
    even, weight, _, _ = _parts(kernels)
    apart = _distribution(kernels, b[..., None]) - _distribution(kernels, a[..., None])
    return (weight * apart).sum(-1) + even * (b - a) / used


def _density(kernels: Tensor, u: Tensor, used: Tensor) -> Tensor:
    """Their density by position, (B, n)."""
    even, weight, _, width = _parts(kernels)
    at = _distribution(kernels, u[..., None])
    return (weight * at * (1 - at) / width).sum(-1) + even / used


def _place_in(kernels: Tensor, slot: Tensor, used: Tensor) -> Tensor:
    """A random place in a bin by the kernels' density there, (B, 3K + 1) and (B,) → (B,)."""
    even, weight, place, width = _parts(kernels)
    a = _distribution(kernels, slot[:, None].to(kernels))
    b = _distribution(kernels, slot[:, None] + 1.0)
    masses = torch.cat([(even / used)[:, None], weight * (b - a)], 1)
    part = torch.multinomial(masses, 1)
    u = torch.rand_like(even)
    k = (part - 1).clamp_min(0)
    low, high, place, width = (each.gather(1, k)[:, 0] for each in (a, b, place, width))
    inside = place + width * torch.lerp(low, high, u).clamp(1e-7, 1 - 1e-7).logit() - slot
    return torch.where(part[:, 0] == 0, u, inside.clamp(0, 1))


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
