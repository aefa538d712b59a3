"""The resolution that data were stored at: the steps between their values, which samples are rounded to.

A picture of bytes holds 256 levels and an age is a whole number, while a model's samples are floats. Any classifier
tells the two apart by their last digits, which says nothing about the model. So comparisons are made at the data's
resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.data.steps import find_step
from plausible.game import Domain
from plausible.metrics._arrays import as_matrix, rows_per_block

__all__ = ["Resolution", "resolution_of"]


@dataclass(frozen=True, eq=False)
class Resolution:
    """Steps between the values of each column, and the limits of the domain.

    Attributes:
        low: a value on the grid of each column, (d,), float64.
        step: distance between neighbouring grid points, (d,), float64; 0 where a column has no grid.
        limits: the least and the greatest value of the domain; None for real values.
    """

    low: Tensor
    step: Tensor
    limits: tuple[float, float] | None = None

    def __call__(self, x: Tensor | np.ndarray) -> Tensor:
        """Rows at this resolution, (n, *shape) → (n, d), float32: values within the limits, in steps from `low`.

        Columns without a grid keep their values. Equal stored values give equal results, so that no rounding of floats
        is left that could tell two sources apart.

        Raises:
            PlausibleError: no numbers, NaN, or another width.
        """
        x = as_matrix("x", x, width=len(self.step))
        grid = self.step > 0
        divisor = torch.where(grid, self.step, 1.0)
        found = []
        for rows in x.split(rows_per_block(x.shape[1])):
            values = rows.double()
            if self.limits is not None:
                values = values.clamp(*self.limits)
            found.append(torch.where(grid, ((values - self.low) / divisor).round(), values).float())
        return torch.cat(found)

    def examples(self, x: Tensor | np.ndarray) -> Tensor:
        """The same in the shape that the rows have, (n, *shape)."""
        return self(x).reshape(tuple(x.shape))

    def __str__(self) -> str:
        grid = self.step > 0
        count, width = int(grid.sum()), len(grid)
        if not count:
            return "as they are: no steps between the values were found"
        steps = torch.unique(self.step[grid])
        size = f"steps of {steps[0].item():.4g}" if len(steps) == 1 else "the steps of each column"
        return f"rounded to {size}" + ("" if count == width else f" in {count:,} of {width:,} columns")


def resolution_of(train: Tensor | np.ndarray, domain: Domain, shape: Sequence[int]) -> Resolution:
    """The resolution of some training rows.

    Binary values have step 1. All values of a picture share one grid; each column of a table has its own.

    Args:
        train: training rows, (n, *shape).
        domain: the domain of the data.
        shape: the shape of one example.

    Raises:
        PlausibleError: no numbers, or NaN.
    """
    x = as_matrix("train", train).double().numpy()
    width = x.shape[1]
    limits = None if domain == "real" else (0.0, 1.0)
    if domain == "binary":
        return Resolution(torch.zeros(width).double(), torch.ones(width).double(), limits)
    columns = [x.ravel()] if len(shape) == 3 else list(x.T)
    found = np.array([find_step(column) for column in columns])
    found = np.broadcast_to(found, (width, 2))
    return Resolution(torch.from_numpy(found[:, 0].copy()), torch.from_numpy(found[:, 1].copy()), limits)
