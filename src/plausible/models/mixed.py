"""Orderless NADE for tables: numbers, levels and missing cells, each given any others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, linear

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, Turn, takes_examples
from plausible.models.bins import fit_bins
from plausible.models.cells import INPUTS, LOGIT_GAIN, Levels, Numbers
from plausible.models.explicit import Learned
from plausible.models.registry import Preset
from plausible.nn.dropout import drop_units
from plausible.nn.linear import Linear, product
from plausible.recipe import Recipe, Share

__all__ = ["Mixed"]

ROWS_PER_BIN, FEWEST_BINS = 30, 10
"""A column has at most a bin for so many training rows, but may have FEWEST_BINS."""
TICKS_PER_ROOT, TICKS_PER_ROW, MOST_TICKS, LAST_RATE = 16, 0.4, 4000, 0.02
"""The learning rate falls to LAST_RATE of what it was in so many ticks times the root of the training rows, or times
the rows themselves, if that is more, but at most MOST_TICKS for the latter."""
OUTPUT_SCALE = 0.3
"""The outputs are this times a linear layer's, which slows what overfits first."""


@dataclass(frozen=True)
class _Column:
    """Where a column is found: its module, its place among the columns of its kind, its first row in the head."""

    kind: Levels | Numbers
    place: int
    outputs: int


class Mixed(Learned):
    """Orderless NADE (Uria, Murray & Larochelle, 2014) for tables: p(x_i | x_m) for any column i and any others m.

        p(x) = Π_d p(x_o(d) | x_o(1), …, x_o(d − 1))     along any ordering o of the columns

    A residual network sees the known cells, and that the others are unknown, and gives a distribution of each unknown
    one: a softmax over a column's levels, or over about 64 bins with a density within each (`models/cells.py`), and in
    either case over "missing", where training rows miss cells. Training draws for each row how many cells are known,
    and which, and lowers the mean over the others, times D: an unbiased estimate of −log p(x) in an ordering drawn at
    random,

        E over d and m, |m| = d − 1, of  D/(D − d + 1) · Σ_{i ∉ m} −log p(x_i | x_m).

    Each ordering has a density of its own. `log_prob` is that of the mean over K = `orders`, the columns' own and K − 1
    random ones, p(x) = 1/K Σ_k p_k(x), and samples are drawn from it; with K > 1 it has no terms in one order.
    Completions are drawn from an ordering that begins with the cells that are given: any may be.

    Rows are (d,) float32: a number as it is, a level as its code 0 … K − 1, a missing cell as NaN. In nats. A level, a
    missing cell and a whole number have a probability; other numbers a density, per unit of the column, see `Numbers`.
    A cell that is missing in a column of which no training row misses one counts as unknown: log p is that of the rest.

    Args:
        column_levels: K of each column, 0 for numbers; None: all numbers, and two levels each of binary data.
        hidden: Units of a layer.
        layers: Residual layers.
        bins: Bins of a column of numbers, at most; with few training rows one for every 30 of them.
        dropout: Share of the units that are dropped in training; None: .2, of more than 2,000 training rows less,
            400/rows.
        anneal: Ticks in which the learning rate falls to 2 % of what it was, along half a cosine; None: 16 times the
            root of the training rows, or .4 times the rows (100 epochs) up to 4,000, whichever is more.
        orders: K, orderings of the density, the columns' own first.
        orders_seed: Seed of the random orderings.

    Raises:
        PlausibleError: levels are not given for each column.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("mixed", "real", "binary")
    recipe = Recipe(lr=2e-3, clip=5.0)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "3 residual layers of 256, 64 bins, Adam 2e-3 along half a cosine, at most two core-minutes",
            training={"batch": 256, "ema": 0.998, "core_minutes": 2.0, "patience": 4},
        ),
    }
    completes_apart: ClassVar[str] = "of any mask it completes by another ordering's density"
    orders: Tensor
    drop: Tensor
    gain: Tensor
    horizon: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "mixed",
        column_levels: tuple[NonNegativeInt, ...] | None = None,
        *,
        hidden: PositiveInt = 256,
        layers: PositiveInt = 3,
        bins: PositiveInt = 64,
        dropout: Share | None = None,
        anneal: PositiveInt | None = None,
        orders: PositiveInt = 4,
        orders_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain)
        binary = (2 if domain == "binary" else 0,) * self.size
        levels = binary if column_levels is None else tuple(column_levels)
        if len(levels) != self.size:
            raise PlausibleError(f"mixed: levels are given for {len(levels)} columns of {self.size}")
        self.bins, self.dropout, self.anneal = bins, dropout, anneal
        self.number_places = [i for i, count in enumerate(levels) if not count]
        self.level_places = [i for i, count in enumerate(levels) if count]
        self.number_cells = Numbers(len(self.number_places), bins)
        self.level_cells = Levels([levels[i] for i in self.level_places])
        random = torch.Generator().manual_seed(orders_seed)
        others = [torch.randperm(self.size, generator=random) for _ in range(orders - 1)]
        self.register_buffer("orders", torch.stack([torch.arange(self.size), *others]))
        self.register_buffer("horizon", torch.tensor(anneal or 1))
        self.register_buffer("drop", torch.tensor(0.0 if dropout is None else dropout))
        self.columns, outputs = self._laid_out()
        gain = torch.ones(outputs)
        for column in self.columns:
            if isinstance(column.kind, Numbers):
                gain[column.outputs : column.outputs + bins] = LOGIT_GAIN
        self.register_buffer("gain", gain, persistent=False)  # of each of the head's rows
        radius = 1 / math.sqrt(self.size)
        numbers, slots = len(self.number_places), len(self.level_places) * self.level_cells.slots
        self.embedding = nn.Parameter(radius * torch.randn(slots, hidden)) if slots else None
        self.number_weights = (
            nn.Parameter(radius * torch.randn(hidden, INPUTS * numbers)) if numbers else None
        )
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.blocks = nn.ModuleList([Linear(hidden, hidden) for _ in range(layers)])
        self.head = nn.Parameter(0.01 * torch.randn(outputs, hidden))
        self.head_bias = nn.Parameter(torch.zeros(outputs))

    def _laid_out(self) -> tuple[list[_Column], int]:
        """Where each column is found, and how many rows the head has: numbers first, then levels."""
        found: dict[int, _Column] = {}
        outputs = 0
        for kind, places in self._kinds():
            for i, place in enumerate(places):
                found[place] = _Column(kind, i, outputs)
                outputs += kind.outputs
        return [found[place] for place in range(self.size)], outputs

    def _kinds(self) -> list[tuple[Numbers | Levels, list[int]]]:
        """The modules that have columns, each with the places of these."""
        kinds = [(self.number_cells, self.number_places), (self.level_cells, self.level_places)]
        return [(kind, places) for kind, places in kinds if places]

    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Find bins and missing cells; start the outputs at the independent columns."""
        rows = np.concatenate([block.reshape(len(block), -1) for block in data.blocks()])
        root = math.sqrt(len(rows))
        most = min(self.bins, max(FEWEST_BINS, len(rows) // ROWS_PER_BIN))
        numbers = [rows[:, place] for place in self.number_places]
        fitted = [fit_bins(column[~np.isnan(column)], most) for column in numbers]
        start = [
            self.number_cells.fit(numbers, fitted),
            self.level_cells.fit([rows[:, i] for i in self.level_places]),
        ]
        self.head_bias.copy_(torch.cat([each.flatten() for each in start]))
        ticks = max(TICKS_PER_ROOT * root, min(MOST_TICKS, TICKS_PER_ROW * len(rows)))
        self.horizon.fill_(self.anneal or round(ticks))
        if self.dropout is None:
            self.drop.fill_(0.2 * min(1.0, 2000 / len(rows)))

    # ------------------------------------------------------------------ the network
    def _first(self, x: Tensor, known: Tensor) -> Tensor:
        """The first layer's sum over the known cells, (B, D) and (B, D), bool → (B, hidden)."""
        sums, mask = self.bias, known.to(self.bias)
        if self.number_weights is not None:
            places = self.number_places
            seen = self.number_cells.inputs(x[:, places], self._all(places)) * mask[:, places, None]
            sums = linear(seen.flatten(1), self.number_weights, self.bias)
        if self.embedding is None:
            return sums
        places = self.level_places
        rows = self._all(places) * self.level_cells.slots + self.level_cells.locate(x[:, places])
        return sums + embedding_bag(rows, self.embedding, mode="sum", per_sample_weights=mask[:, places])

    def _add(self, a: Tensor, x: Tensor, place: int) -> Tensor:
        """The first layer's sum when one more column is known, (B, hidden) and (B,) → (B, hidden)."""
        column, more = self.columns[place], torch.zeros_like(a)
        if isinstance(column.kind, Numbers) and self.number_weights is not None:
            weights = self.number_weights[:, INPUTS * column.place : INPUTS * (column.place + 1)]
            more = column.kind.inputs(x[:, None], self._one(column))[:, 0] @ weights.t()
        elif isinstance(column.kind, Levels) and self.embedding is not None:
            more = self.embedding[column.place * column.kind.slots + column.kind.locate(x)]
        return a + more.masked_fill(self._unknown(x[:, None], [place]), 0.0)

    def _hidden(self, a: Tensor) -> Tensor:
        """The last layer, (B, hidden) → (B, hidden): h ← h + W·relu(h) + b in each block."""
        for block in self.blocks:
            z = a.relu()
            a = a + block(drop_units(z, float(self.drop)) if self.training else z)
        return OUTPUT_SCALE * a.relu()

    def _outputs(self, a: Tensor, place: int) -> Tensor:
        """What the network gives for one column, (B, 1, outputs)."""
        column = self.columns[place]
        rows = slice(column.outputs, column.outputs + column.kind.outputs)
        head = self.head[rows] * self.gain[rows, None]
        return product(self._hidden(a), head, self.head_bias[rows])[:, None]

    def conditionals(self, x: Tensor, known: Tensor) -> Tensor:
        """log p(x_i | the known cells) of every column, (B, D) and (B, D), bool → (B, D), nats.

        Of a known cell itself it says nothing that is meant.
        """
        outputs = product(self._hidden(self._first(x, known)), self.head * self.gain[:, None], self.head_bias)
        logs, begin = [], 0
        for kind, places in self._kinds():
            end = begin + len(places) * kind.outputs
            part = outputs[:, begin:end].unflatten(1, (len(places), kind.outputs))
            logs.append(kind.log_prob(part, x[:, places], self._all(places)))
            begin = end
        back = torch.tensor([*self.number_places, *self.level_places], device=x.device).argsort()
        return torch.cat(logs, 1)[:, back]

    def _unknown(self, x: Tensor, places: Sequence[int]) -> Tensor:
        """Which cells, (B, n), are missing in a column of which no training row misses one."""
        misses = [column.kind.open[column.place, -1] for column in (self.columns[i] for i in places)]
        return x.isnan() & ~torch.stack(misses)

    def _all(self, places: Sequence[int]) -> Tensor:
        return torch.arange(len(places), device=self.bias.device)

    def _one(self, column: _Column) -> Tensor:
        return torch.tensor([column.place], device=self.bias.device)

    # ------------------------------------------------------------------ training
    def turns(self) -> Sequence[Turn]:
        return (Turn("likelihood", self.loss, [self], rate=self._rate),)

    def _rate(self, tick: int) -> float:
        """The learning rate's factor, from 1 to LAST_RATE along half a cosine."""
        share = min(1.0, (tick - 1) / int(self.horizon))
        return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2

    def loss(self, batch: Batch) -> Loss:
        x = batch.x.flatten(1)
        known = torch.randint(self.size, (len(x), 1), device=x.device)  # d − 1
        mask = torch.rand(x.shape, device=x.device).argsort(1).argsort(1) < known
        terms = self.conditionals(x, mask).masked_fill(mask, 0.0).sum(1)
        return Loss({"nll": -terms * self.size / (self.size - known.squeeze(1))})

    # ------------------------------------------------------------------ the density
    @property
    def one_order(self) -> bool:
        return len(self.orders) == 1

    @takes_examples
    def log_prob_terms(self, x: Tensor) -> Tensor:
        """log p(x_i | x_<i) along the model's one ordering, (B, *shape) → (B, D), nats.

        Raises:
            PlausibleError: another shape, values outside the domain, or several orderings.
        """
        return self.terms(self.checked(x).flatten(1))

    def terms(self, x: Tensor) -> Tensor:
        if not self.one_order:
            raise PlausibleError(
                "the mean over several orderings has no terms in one order: set orders to 1, or ask for log_prob"
            )
        return self.chain(x, self.orders[0])

    @takes_examples
    def log_prob(self, x: Tensor) -> Tensor:
        """log 1/K Σ_k p_k(x) over the K orderings, (B, *shape) → (B,), nats.

        Raises:
            PlausibleError: another shape, or values outside the domain.
        """
        x = self.checked(x).flatten(1)
        each = torch.stack([self.chain(x, order).sum(1) for order in self.orders])
        return each.logsumexp(0) - math.log(len(self.orders))

    @takes_examples
    def log_prob_shares(self, x: Tensor) -> Tensor:
        """What each column adds to log p(x), (B, *shape) → (B, *shape), nats.

            Σ_k w_k log p_k(x_i | those before it in ordering k) + (H(w) − log K)/D,   w_k = p_k(x)/Σ_j p_j(x)

        H(w) is the entropy of the weights. The sum over the columns is log p(x), exactly.

        Raises:
            PlausibleError: another shape, or values outside the domain.
        """
        x = self.checked(x).flatten(1)
        each = torch.stack([self.chain(x, order)[:, order.argsort()] for order in self.orders])
        weights = each.sum(2).softmax(0)
        spread = -torch.xlogy(weights, weights).sum(0) - math.log(len(self.orders))
        return (weights[..., None] * each).sum(0) + spread[:, None] / self.size

    def chain(self, x: Tensor, order: Tensor) -> Tensor:
        """log p(x_i | those before it in `order`), (B, D) → (B, D), column d for the d-th of `order`, nats."""
        a, terms = self.bias.expand(len(x), -1), []
        for place in order.tolist():
            column, cells = self.columns[place], x[:, place]
            terms.append(
                column.kind.log_prob(self._outputs(a, place), cells[:, None], self._one(column))[:, 0]
            )
            a = self._add(a, cells, place)
        return torch.stack(terms, 1)

    @takes_examples
    def surprises(self, x: Tensor) -> Tensor:
        """−log p(x_i | all other cells of the row), (B, *shape) → (B, D), nats: how unexpected each cell is.

        Raises:
            PlausibleError: another shape, or values outside the domain.
        """
        x, found = self.checked(x).flatten(1), []
        for place in range(self.size):
            known = ~self._unknown(x, range(self.size))
            known[:, place] = False
            column, a = self.columns[place], self._first(x, known)
            logs = column.kind.log_prob(self._outputs(a, place), x[:, place, None], self._one(column))
            found.append(-logs[:, 0])
        return torch.stack(found, 1)

    def checked(self, x: Tensor) -> Tensor:
        x = super().checked(x)
        codes = x.flatten(1)[:, self.level_places]
        counts = self.level_cells.counts.to(x)
        wrong = ~(((codes >= 0) & (codes < counts) & (codes == codes.round())) | codes.isnan())
        if bool(wrong.any()):
            place = int(wrong.any(0).nonzero()[0, 0])
            value = float(codes[:, place][wrong[:, place]][0])
            raise PlausibleError(
                f"column {self.level_places[place]} of the rows has the value {value:g}, but its levels are the codes "
                f"0 to {int(counts[place]) - 1}"
            )
        infinite = x.isinf()
        if bool(infinite.any()):
            raise PlausibleError(
                "a number of the rows is infinite: mixed models finite numbers and missing cells"
            )
        return x

    # ------------------------------------------------------------------ sampling
    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        """Each row by one of the orderings, drawn at random; what begins the first ordering is completed along it."""
        if known:
            return self.sample_given(x, torch.arange(self.size, device=x.device) < known)
        x, nothing = x.clone(), torch.zeros(x.shape, dtype=torch.bool, device=x.device)
        chosen = torch.randint(len(self.orders), (len(x),), device=x.device)
        for which in chosen.unique().tolist():
            rows = chosen == which
            x[rows] = self.fill(x[rows], nothing[rows], self.orders[which])
        return x

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """By the ordering that begins with what is given and goes on in that of the first ordering."""
        return self.fill(x, given.expand_as(x), self.orders[0])

    @torch.no_grad()
    def fill(self, x: Tensor, known: Tensor, order: Tensor | None = None, *, present: bool = False) -> Tensor:
        """Sample the cells that are not known, given those that are, one after the other along an ordering.

        Args:
            x: (B, D); what is not known is ignored.
            known: (B, D), bool, of each row its own cells.
            order: (D,), int64; default the first of the model's orderings.
            present: whether to sample from the conditionals given that the cell is not missing.
        """
        x, known = x.clone(), known & ~self._unknown(x, range(self.size))
        a = self._first(x, known)
        for place in (self.orders[0] if order is None else order).tolist():
            rows, column = ~known[:, place], self.columns[place]
            if bool(rows.any()):
                x[rows, place] = column.kind.draw(
                    self._outputs(a[rows], place)[:, 0], column.place, present=present
                )
                a[rows] = self._add(a[rows], x[rows, place], place)
        return x

    # ------------------------------------------------------------------ what `verify` asks
    def kinks(self, i: int) -> Tensor:
        """Values of a column where its density may jump, ascending; none of levels."""
        column = self.columns[i]
        return self.number_cells.ends(column.place) if isinstance(column.kind, Numbers) else torch.empty(0)

    # ------------------------------------------------------------------ how large it is
    @property
    def formula(self) -> str:
        return f"{self.free_parameters} (n = {self.size}, {len(self.blocks)} layers of {len(self.bias)})"
