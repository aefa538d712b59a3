"""Rows of mixed tables as networks see them: numbers standardised, levels one-hot, missing cells marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plausible.likelihoods import HALF_LOG_TWO_PI, Likelihood
from plausible.models.scaling import unit_of

__all__ = ["TableEncoding", "TableLikelihood"]

UNSEEN = 1e-6
"""The probability, for each column, of all that no training row has."""


class TableEncoding(nn.Module):
    """Between a mixed table's rows, (B, D), and vectors, (B, W).

    A column of K levels becomes K + 1 values, one-hot, the last of them for a missing cell. A number becomes two: the
    number, standardised by the training rows' cells that are there, 0 where it is missing; and 1 where it is missing.

    Args:
        column_levels: the number of levels of each column, 0 for numbers.

    Attributes:
        seen: (W,), the shape of a row as networks see it.
        groups: where each column's values lie, a slice of the W.
        seen_in_training: (W,), bool: which of them were not 0 in every training row; numbers always.
        mean, deviation: (D,), of numbers; 0 and 1 of others.
    """

    mean: Tensor
    deviation: Tensor
    seen_in_training: Tensor

    def __init__(self, column_levels: Sequence[int]) -> None:
        super().__init__()
        self.column_levels = tuple(column_levels)
        ends = np.cumsum([count + 1 if count else 2 for count in column_levels]).tolist()
        self.groups = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self.seen = (ends[-1],)
        self.register_buffer("mean", torch.zeros(len(self.column_levels)))
        self.register_buffer("deviation", torch.ones(len(self.column_levels)))
        self.register_buffer("seen_in_training", torch.ones(self.seen, dtype=torch.bool))

    def fit(self, data: Any) -> Tensor:
        """Learn the scale and which levels there are; returns the mean of the encoded training rows, (W,).

        Args:
            data: has `blocks()`, an iterator of (rows, D) arrays.
        """
        rows = torch.from_numpy(np.concatenate([block.reshape(len(block), -1) for block in data.blocks()]))
        for i, (count, column) in enumerate(zip(self.column_levels, rows.double().T, strict=True)):
            there = column[~column.isnan()]
            if count or not len(there):
                continue
            mean, deviation = there.mean(), there.std(correction=0)
            self.mean[i], self.deviation[i] = mean, unit_of(mean, deviation)
        encoded = self.inward(rows.to(self.mean)).double()
        self.seen_in_training.copy_((encoded != 0).any(0))
        numbers = [
            group.start for group, count in zip(self.groups, self.column_levels, strict=True) if not count
        ]
        self.seen_in_training[numbers] = True
        return encoded.mean(0).to(self.mean)

    def inward(self, x: Tensor) -> Tensor:
        """(B, D) → (B, W)."""
        gaps = x.isnan()
        scaled = torch.where(gaps, 0.0, (x - self.mean) / self.deviation)
        parts = []
        for i, count in enumerate(self.column_levels):
            if count:
                codes = torch.where(gaps[:, i], count, x[:, i].nan_to_num()).long()
                parts.append(nn.functional.one_hot(codes, count + 1).to(x))
            else:
                parts.append(torch.stack([scaled[:, i], gaps[:, i].to(x)], 1))
        return torch.cat(parts, 1)

    def outward(self, v: Tensor) -> Tensor:
        """(B, W) → (B, D): the largest of a column's levels; a number is missing where its mark is above ½."""
        columns = []
        for i, (count, group) in enumerate(zip(self.column_levels, self.groups, strict=True)):
            part = v[:, group]
            if count:
                code = part.masked_fill(~self.seen_in_training[group], -torch.inf).argmax(1)
                columns.append(torch.where(code == count, torch.nan, code.to(v)))
            else:
                number = part[:, 0] * self.deviation[i] + self.mean[i]
                gone = (part[:, 1] > 0.5) & self.seen_in_training[group][1]
                columns.append(number.masked_fill(gone, torch.nan))
        return torch.stack(columns, 1)

    def soft(self, raw: Tensor, temperature: float) -> Tensor:
        """A generator's raw outputs as a vector that is differentiable and nearly one-hot, (B, W) → (B, W).

        Gumbel-softmax of each column's levels and of a number's mark, with noise from torch's global random state;
        numbers stay as they are (Xu et al., *Modeling Tabular Data using Conditional GAN*, 2019).
        """
        noise = -torch.empty_like(raw).exponential_().log()
        other = -torch.empty_like(raw).exponential_().log()
        parts = []
        for count, group in zip(self.column_levels, self.groups, strict=True):
            part = raw[:, group]
            if count:
                logits = (part + noise[:, group]).masked_fill(~self.seen_in_training[group], -torch.inf)
                parts.append((logits / temperature).softmax(1))
            else:
                mark = (
                    (part[:, 1:] + noise[:, group][:, 1:] - other[:, group][:, 1:]) / temperature
                ).sigmoid()
                parts += [part[:, :1], mark * self.seen_in_training[group][1]]
        return torch.cat(parts, 1)

    def likeliest(self, raw: Tensor) -> Tensor:
        """A generator's raw outputs with each number's mark as a probability, (B, W) → (B, W), for `outward`."""
        marks = [
            group.start + 1 for group, count in zip(self.groups, self.column_levels, strict=True) if not count
        ]
        found = raw.clone()
        found[:, marks] = raw[:, marks].sigmoid()
        return found

    def log_volume(self) -> Tensor:
        """0, (): `TableLikelihood` counts the numbers' scale itself, as a missing number has none."""
        return self.mean.new_zeros(())


class TableLikelihood(Likelihood):
    """p(row | raw), a product over the columns of a mixed table.

        levels:  softmax over the levels, with the missing cell as one more
        numbers: p(missing) = sigmoid(l);  else (1 − p(missing))·N(x; m, σ_i²) in the table's own units

    Raw outputs stand as the encoding's values do: logits in the place of levels, m and l in that of numbers. What no
    training row has, such as a missing cell in a column that is always filled, has the probability UNSEEN in all and
    is never sampled.

    Args:
        encoding: of the table.
        deviation: where each σ starts, in the column's standard deviations.
        least: no σ falls below this.
    """

    name = "a softmax or a Gaussian for each column"
    encoding: TableEncoding
    least: Tensor

    def __init__(self, encoding: TableEncoding, deviation: float = 0.3, least: float = 1e-3) -> None:
        super().__init__()
        self.__dict__["encoding"] = (
            encoding  # a part of the model, which stores it; of this module it is none
        )
        self.log_deviation = nn.Parameter(
            torch.full((len(encoding.column_levels),), np.log(deviation).item())
        )
        self.register_buffer("least", torch.tensor(np.log(least).item()))

    def _columns(self):
        encoding = self.encoding
        return zip(encoding.column_levels, encoding.groups, strict=True)

    def _logits(self, raw: Tensor, group: slice) -> Tensor:
        """log p of a column's levels; −∞ for those that no training row has."""
        return raw[:, group].masked_fill(~self.encoding.seen_in_training[group], -torch.inf).log_softmax(1)

    def _log_levels(self, raw: Tensor, group: slice) -> Tensor:
        """The same, with UNSEEN shared among those."""
        found, unseen = self._logits(raw, group), ~self.encoding.seen_in_training[group]
        if not unseen.any():
            return found
        return torch.where(unseen, np.log(UNSEEN / int(unseen.sum())), found + np.log1p(-UNSEEN))

    def _log_missing(self, raw: Tensor, group: slice) -> tuple[Tensor, Tensor]:
        """log p(missing) and log(1 − p(missing)) of a number, (B,) each."""
        logit = raw[:, group][:, 1]
        if not self.encoding.seen_in_training[group][1]:
            return torch.full_like(logit, np.log(UNSEEN)), torch.full_like(logit, np.log1p(-UNSEEN))
        return nn.functional.logsigmoid(logit), nn.functional.logsigmoid(-logit)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """log p(x_i | raw) of each column, (B, W) and (B, W) → (B, D), nats; of numbers the density."""
        log_deviation = torch.maximum(self.log_deviation, self.least)
        found = []
        for i, (count, group) in enumerate(self._columns()):
            if count:
                found.append(
                    self._log_levels(raw, group).gather(1, x[:, group].argmax(1, keepdim=True))[:, 0]
                )
                continue
            missing, there = self._log_missing(raw, group)
            number, mark = x[:, group].unbind(1)
            z = (number - raw[:, group][:, 0]) * (-log_deviation[i]).exp()
            density = (
                -0.5 * z.square() - log_deviation[i] - HALF_LOG_TWO_PI - self.encoding.deviation[i].log()
            )
            found.append(torch.where(mark > 0.5, missing, there + density))
        return torch.stack(found, 1)

    def mean(self, raw: Tensor) -> Tensor:
        """Probabilities of levels and of missing cells, and the means of numbers, (B, W)."""
        parts = []
        for count, group in self._columns():
            if count:
                parts.append(self._logits(raw, group).exp())
            else:
                parts += [raw[:, group][:, :1], self._log_missing(raw, group)[0].exp()[:, None]]
        return torch.cat(parts, 1)

    def sample(self, raw: Tensor) -> Tensor:
        """x ~ p(x | raw), (B, W)."""
        deviation = torch.maximum(self.log_deviation, self.least).exp()
        parts = []
        for i, (count, group) in enumerate(self._columns()):
            if count:
                code = torch.multinomial(self._logits(raw, group).exp(), 1)[:, 0]
                parts.append(nn.functional.one_hot(code, count + 1).to(raw))
                continue
            number = raw[:, group][:, 0] + deviation[i] * torch.randn(len(raw), device=raw.device)
            mark = torch.bernoulli(raw[:, group][:, 1].sigmoid() * self.encoding.seen_in_training[group][1])
            parts += [number[:, None], mark[:, None]]
        return torch.cat(parts, 1)

    def bias(self, mean: Tensor) -> Tensor:
        """Raw outputs, (W,), that give the training rows' shares of levels and missing cells, and the mean 0."""
        start = mean.clamp_min(1e-6).log()
        for count, group in self._columns():
            if not count:
                share = mean[group][1].clamp(1e-6, 1 - 1e-6)
                start[group] = torch.stack([mean[group][0], share.logit()])
        return start
