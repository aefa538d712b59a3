"""Rows of mixed tables as points, so that rows can be near each other or far apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from plausible.data import Rows
from plausible.models.encoding import TableEncoding

__all__ = ["EncodedRows"]


class EncodedRows:
    """A mixed table's rows as points, (n, D) → (n, W), by the encoding that networks see (`TableEncoding`).

        d²(x, y) = Σ over numbers ((x_i − y_i)/σ_i)² + Σ over levels 2·[x_i ≠ y_i] + Σ over numbers [one is missing]

    σ_i is the standard deviation of the training rows. Two independent values of a column of numbers are 2 apart on
    average, as two different levels are, so that columns of both kinds count alike; a missing level is one more level,
    a missing number stands at the mean.

    Args:
        levels: the number of levels of each column, 0 for numbers.
        train: the training rows.
    """

    def __init__(self, levels: Sequence[int], train: Rows) -> None:
        self.encoding = TableEncoding(levels).double()
        self.encoding.fit(train)

    def enter(self, x: np.ndarray) -> np.ndarray:
        """Rows as models see them, (n, D), as points, (n, W), float64."""
        return self.encoding.inward(torch.from_numpy(np.asarray(x, np.float64))).numpy()

    def leave(self, points: np.ndarray) -> np.ndarray:
        """Points as rows, (n, W) → (n, D), float32: the largest of a column's levels; see `TableEncoding.outward`."""
        return self.encoding.outward(torch.from_numpy(points)).float().numpy()

    def by_column(self, values: np.ndarray) -> np.ndarray:
        """The sum over each column's own coordinates, (n, W) → (n, D)."""
        return np.add.reduceat(values, [group.start for group in self.encoding.groups], axis=1)
