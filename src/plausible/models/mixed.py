"""Orderless NADE for tables: columns of numbers, levels and missing cells, in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding_bag, linear

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, takes_examples
from plausible.models.bins import fit_bins
from plausible.models.cells import Levels, Numbers
from plausible.models.explicit import Learned
from plausible.models.registry import Preset
from plausible.nn.linear import Linear, product
from plausible.recipe import Recipe, Share

__all__ = ["Mixed", "MixedRecipe"]

FEATURES = 2
ES, HS, KS, NE = 1.0, 1.0, 1.0, 1.0
"""What the network sees of a number beside its bin: its place among the bins, and its standard score."""
_CLIP = 4.0
"""Of that score."""


class MixedRecipe(Recipe):
    """A recipe whose learning rate falls along half a cosine.

    Args:
        cosine: Ticks in which the learning rate falls from lr to lr_min along half a cosine.
    """

    cosine: PositiveInt = 4000

    def lr_at(self, tick: int) -> float:
        share = min(1.0, (tick - 1) / self.cosine)
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * share)) / 2


class Mixed(Learned):
    domains: ClassVar[tuple[Domain, ...]] = ("mixed", "real", "binary")
    recipe = MixedRecipe(lr=2e-3, clip=5.0)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "three residual layers of 256, 64 bins, Adam 2e-3 along half a cosine",
            training={"batch": 256, "ema": 0.998, "core_minutes": 2.0, "patience": 5},
        ),
    }
    completes_apart: ClassVar[str] = "of any mask it completes by another ordering's density"
    orders: Tensor
    drop: Tensor
    number_places: Tensor
    level_places: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "mixed",
        *,
        levels: tuple[NonNegativeInt, ...] | None = None,
        width: PositiveInt = 256,
        layers: PositiveInt = 3,
        bins: PositiveInt = 64,
        dropout: Share | None = None,
        orders: PositiveInt = 4,
        orders_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain)
        self.levels = self._checked_levels(levels)
        self.width, self.dropout = width, dropout
        numbers = [i for i, count in enumerate(self.levels) if not count]
        others = [i for i, count in enumerate(self.levels) if count]
        self.numbers = Numbers(len(numbers), bins)
        self.named = Levels([self.levels[i] for i in others])
        self.register_buffer("number_places", torch.tensor(numbers, dtype=torch.int64))
        self.register_buffer("level_places", torch.tensor(others, dtype=torch.int64))
        random = torch.Generator().manual_seed(orders_seed)
        self.register_buffer("orders", torch.stack([torch.randperm(self.size, generator=random) for _ in range(orders)]))
        self.register_buffer("drop", torch.tensor(0.0 if dropout is None else dropout))
        rows = len(numbers) * self.numbers.slots + len(others) * self.named.slots
        self.embedding = nn.Parameter(torch.randn(rows, width) / math.sqrt(self.size))
        self.features = nn.Parameter(torch.randn(width, FEATURES * len(numbers)) / math.sqrt(self.size))
        self.bias = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList([Linear(width, width) for _ in range(layers)])
        outputs = len(numbers) * self.numbers.outputs + len(others) * self.named.outputs
        self.head = nn.Parameter(torch.randn(outputs, width) * 0.01)
        scale = torch.full((outputs,), HS)
        scale[: len(numbers) * self.numbers.outputs].view(len(numbers), -1)[:, self.numbers.slots :] = KS
        self.register_buffer("scale", scale)
        self.head_bias = nn.Parameter(torch.zeros(outputs))

    def _checked_levels(self, levels):
        if levels is None:
            return (2 if self.domain == "binary" else 0,) * self.size
        if len(levels) != self.size:
            raise PlausibleError(f"mixed: levels must name {self.size} columns, not {len(levels)}")
        return tuple(levels)

    # ------------------------------------------------------------------ prepare
    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        rows = np.concatenate([block.reshape(len(block), -1) for block in data.blocks()])
        numbers = [rows[:, i] for i in self.number_places.tolist()]
        named = [rows[:, i] for i in self.level_places.tolist()]
        fitted = [fit_bins(column[~np.isnan(column)], self.numbers.bins) for column in numbers]
        start = [self.numbers.fit(numbers, fitted).flatten(), self.named.fit(named).flatten()]
        self.head_bias.copy_(torch.cat(start))
        if self.dropout is None:
            self.drop.fill_(0.2 * min(1.0, (2000 / len(rows)) ** 0.6))

    # ------------------------------------------------------------------ the network
    def _split(self, x):
        """(B, D) → numbers (B, N), levels (B, L)"""
        return x[:, self.number_places], x[:, self.level_places]

    def _inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """embedding rows (B, D) in the order numbers, levels; features (B, N, F)"""
        numbers, named = self._split(x)
        which = torch.arange(numbers.shape[1], device=x.device)
        slot, place = self.numbers.locate(numbers, which)
        first = which * self.numbers.slots
        missing = numbers.isnan()
        score = ((numbers.nan_to_num(0.0) - self.numbers.centre) / self.numbers.spread).clamp(-_CLIP, _CLIP)
        position = 2 * (slot + place) / self.numbers._used(which) - 1
        features = torch.stack([position, score], 2).masked_fill(missing[:, :, None], 0.0)
        others = torch.arange(named.shape[1], device=x.device)
        after = len(which) * self.numbers.slots + others * self.named.slots
        return torch.cat([first + slot, after + self.named.locate(named, others)[0]], 1), features

    def _emb(self):
        n = len(self.number_places) * self.numbers.slots
        sc = torch.ones(len(self.embedding)); sc[:n] = NE
        sc[:n].view(-1, self.numbers.slots)[:, -1] = 1
        return self.embedding * sc[:, None]

    def _first(self, x, mask):
        rows, features = self._inputs(x)
        inorder = torch.cat([mask[:, self.number_places], mask[:, self.level_places]], 1).to(x)
        a = embedding_bag(rows, ES * self._emb(), mode="sum", per_sample_weights=inorder)
        features = features * inorder[:, : features.shape[1], None]
        return a + linear(features.flatten(1), self.features, self.bias)

    def _hidden(self, a):
        h = a
        for block in self.blocks:
            z = h.relu()
            if self.training:
                z = dropout(z, float(self.drop))
            h = h + block(z)
        return h.relu()

    def loss(self, batch: Batch) -> Loss:
        x = batch.x.flatten(1)
        known = torch.randint(self.size, (len(x), 1), device=x.device)
        place = torch.rand_like(x).argsort(1).argsort(1)
        mask = place < known
        terms = self._conditionals(x, mask)
        unknown = ~mask
        terms = (terms * unknown).sum(1)
        return Loss({"nll": -terms * self.size / (self.size - known.squeeze(1))})

    def _conditionals(self, x, mask):
        """(B, D)"""
        h = self._hidden(self._first(x, mask))
        out = product(h, self.head * self.scale[:, None], self.head_bias)
        numbers, named = self._split(x)
        n = numbers.shape[1] * self.numbers.outputs
        logs = x.new_zeros(x.shape)
        parts = []
        for kind, part, cells in ((self.numbers, out[:, :n], numbers), (self.named, out[:, n:], named)):
            if cells.shape[1]:
                which = torch.arange(cells.shape[1], device=x.device)
                parts.append(kind.log_prob(part.unflatten(1, (-1, kind.outputs)), cells, which))
        both = torch.cat(parts, 1)
        return both[:, torch.cat([self.number_places, self.level_places]).argsort()]

    # ------------------------------------------------------------------ density
    @property
    def one_order(self):
        return len(self.orders) == 1

    def terms(self, x: Tensor) -> Tensor:
        return self.chain(x, self.orders[0])

    @takes_examples
    def log_prob(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        each = torch.stack([self.chain(x, order).sum(1) for order in self.orders])
        return each.logsumexp(0) - math.log(len(self.orders))

    def _column(self, place: int):
        """(kind, number among kind, first output)"""
        if self.levels[place]:
            i = self.level_places.tolist().index(place)
            return self.named, i, len(self.number_places) * self.numbers.outputs + i * self.named.outputs
        i = self.number_places.tolist().index(place)
        return self.numbers, i, i * self.numbers.outputs

    def _add(self, a, x, place):
        """first layer with column place known, x (B,)"""
        kind, i, _ = self._column(place)
        which = torch.tensor([i])
        slot, where = kind.locate(x[:, None], which)
        if kind is self.named:
            return a + ES * self._emb()[len(self.number_places) * self.numbers.slots + i * kind.slots + slot[:, 0]]
        score = ((x.nan_to_num(0.0) - kind.centre[i]) / kind.spread[i]).clamp(-_CLIP, _CLIP)
        position = (2 * (slot + where) / kind._used(which) - 1)[:, 0]
        f = torch.stack([position, score], 1).masked_fill(x.isnan()[:, None], 0)
        return a + ES * self._emb()[i * kind.slots + slot[:, 0]] + f @ self.features[:, FEATURES * i : FEATURES * i + FEATURES].t()

    def _outputs(self, a, place):
        kind, i, first = self._column(place)
        h = self._hidden(a)
        return linear(h, self.head[first : first + kind.outputs] * self.scale[first : first + kind.outputs, None], self.head_bias[first : first + kind.outputs])

    def chain(self, x, order):
        a = self.bias.expand(len(x), -1)
        terms = []
        for place in order.tolist():
            kind, i, _ = self._column(place)
            out = self._outputs(a, place)
            terms.append(kind.log_prob(out[:, None], x[:, place, None], torch.tensor([i]))[:, 0])
            a = self._add(a, x[:, place], place)
        return torch.stack(terms, 1)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        x = x.clone()
        chosen = torch.randint(len(self.orders), (len(x),))
        for which in chosen.unique().tolist():
            rows = chosen == which
            x[rows] = self.fill(x[rows], torch.zeros_like(x[rows], dtype=torch.bool), self.orders[which])
        return x

    @torch.no_grad()
    def fill(self, x, known, order):
        """Sample what is not known, each row's own mask, along order."""
        x = x.clone()
        a = self._first(x, known)
        for place in order.tolist():
            rows = ~known[:, place]
            if not rows.any():
                continue
            kind, i, _ = self._column(place)
            x[rows, place] = kind.draw(self._outputs(a[rows], place), i)
            a[rows] = self._add(a[rows], x[rows, place], place)
        return x

    @property
    def formula(self) -> str:
        return f"{self.free_parameters}"
