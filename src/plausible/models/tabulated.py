"""The distribution of each column of a mixed table by itself: counted levels, missing cells, numbers with knots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plausible.models.knots import Knots

__all__ = ["ColumnTables"]

RARE = 1e-6
"""p(missing) in a column where no training cell is missing."""


class ColumnTables(nn.Module):
    """Independent columns of a mixed table.

        levels:  p(k) = (n_k + a) / (N + a·(K + 1)),       k = 0 … K − 1, and K for a missing cell
        numbers: p(missing) = (n_missing + a) / (N + 2a),   f(x) = (1 − p(missing))·F′(x)

    n_k of N training rows have level k. Where no training cell is missing p(missing) is RARE, whatever a is: rows with
    a missing cell there have a score, and samples have none. F is the distribution function through knots that
    `Copula` has for a column; whole numbers are those plus uniform noise on (−½, ½).

    Args:
        levels: the number of levels of each column, 0 for numbers.
        knots: options of `Knots` for the numbers: knots, floor.

    Attributes:
        log_p: (D, K + 1), K the largest number of levels: log p(k), at the last place of a missing cell; of numbers 0
            stands for "there is one"; −∞ where a column has no such level.
    """

    log_p: Tensor
    is_level: Tensor

    def __init__(self, levels: Sequence[int], **knots: Any) -> None:
        super().__init__()
        self.levels = tuple(levels)
        counts = torch.tensor([max(count, 1) for count in levels])
        log_p = torch.where(torch.arange(int(counts.max())) < counts[:, None], 0.0, -torch.inf)
        self.register_buffer("log_p", torch.cat([log_p, torch.zeros(len(counts), 1)], 1).log_softmax(1))
        self.register_buffer("is_level", torch.tensor(levels) > 0)
        self.numbers = [i for i, count in enumerate(levels) if not count]
        self.knots = Knots(len(self.numbers), **knots) if self.numbers else None

    @property
    def free_parameters(self) -> int:
        """Shares of levels and missing cells, and two numbers a knot."""
        knots = 0 if self.knots is None else 2 * int(self.knots.used.sum())
        return sum(max(count, 1) for count in self.levels) + knots

    @torch.no_grad()
    def fit(self, data: Any, smoothing: float) -> None:
        """Count, and fit the knots.

        Args:
            data: has `blocks()`, an iterator of (rows, D) arrays.
            smoothing: a, what each count begins with.
        """
        rows = np.concatenate([block.reshape(len(block), -1) for block in data.blocks()])
        for i, (count, column) in enumerate(zip(self.levels, rows.T, strict=True)):
            there = column[~np.isnan(column)]
            codes = there.astype(np.int64) if count else np.zeros(len(there), np.int64)
            counts = np.bincount(codes, minlength=max(count, 1)) + smoothing
            missing = len(column) - len(there)
            gaps = missing + smoothing if missing else RARE * counts.sum() / (1 - RARE)
            total = counts.sum() + gaps
            self.log_p[i, : len(counts)] = torch.from_numpy(np.log(counts / total)).to(self.log_p)
            self.log_p[i, -1] = float(np.log(gaps / total))
        for place, i in enumerate(self.numbers):
            there = rows[:, i][~np.isnan(rows[:, i])]
            assert self.knots is not None  # noqa: S101 - it is there if there are numbers
            self.knots.fit_column(place, there)

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where each cell stands in `log_p`, (B, D), int64, and whether its value is no level, (B, D), bool."""
        gaps, last = x.isnan(), self.log_p.shape[1] - 1
        codes = torch.where(self.is_level, x, 0.0)
        wrong = ~gaps & ((codes != codes.round()) | (codes < 0) | (codes >= last))
        return torch.where(gaps, last, torch.where(wrong, 0.0, codes)).long(), wrong

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of each cell, (B, D) → (B, D), nats; of a number, of its density. −∞ for a level that is none."""
        codes, wrong = self.codes(x)
        found = self.log_p.t().gather(0, codes)
        found = torch.where(wrong, -torch.inf, found)
        if self.knots is not None:
            numbers = x[:, self.numbers]
            dense = self.knots.log_prob(numbers.nan_to_num())
            found[:, self.numbers] += torch.where(numbers.isnan(), 0.0, dense)
        return found

    def kinks(self, place: int) -> Tensor:
        """Values of a column where its density may jump, ascending; none of levels."""
        if self.knots is None or place not in self.numbers:
            return torch.empty(0)
        return self.knots.jumps(self.numbers.index(place))

    def sample(self, n: int) -> Tensor:
        """n rows, (n, D), from torch's global random state."""
        drawn = torch.multinomial(self.log_p.exp(), n, replacement=True).t()
        gaps = drawn == self.log_p.shape[1] - 1
        x = drawn.to(self.log_p)
        if self.knots is not None:
            x[:, self.numbers] = self.knots.sample(n).to(x)
        return x.masked_fill(gaps, torch.nan)
