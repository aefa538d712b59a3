"""The importance-weighted lower bound of log p(x).

    E log (1/k) Σ p(x, z_i)/q(z_i|x),  z_i ~ q(z|x)    ≤ log p(x)

In nats per example. The bound holds in expectation, not for each sample of z.
Source: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders*, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Bound

__all__ = ["LowerBound", "Scores", "importance_bound", "seeded_blocks"]

ROWS = 100
"""Examples that share one random seed."""


@dataclass(frozen=True, eq=False)
class Scores:
    """A number for each example: values, (n,), float64, nats."""

    values: Tensor

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, over examples: std/√n, divisor n − 1; NaN for one example."""
        return float(self.values.std(correction=1)) / math.sqrt(self.n) if self.n > 1 else math.nan

    def bits_per_dimension(self, dimensions: int) -> float:
        """−mean/(d·log 2): of a lower bound of log p(x) an upper bound of the code length."""
        return -self.mean / (dimensions * math.log(2))


@dataclass(frozen=True, eq=False)
class LowerBound(Scores):
    """A stochastic lower bound of log p(x) from `samples` importance samples (or chains) for each example."""

    samples: int


def importance_bound(model: Bound, x: Tensor, samples: int = 50, seed: int = 0) -> LowerBound:
    """The model's own bound of x, (n, *shape), for each example, the same for the same seed.

    The first rows' bounds do not depend on how many follow, in steps of ROWS.

    Raises:
        PlausibleError: from the model: samples < 1, or it gives no log-probability of such data.
    """
    with torch.no_grad(), torch.random.fork_rng():
        blocks = [model.log_prob_bound(block, samples).double() for block in seeded_blocks(x, ROWS, seed)]
    return LowerBound(torch.cat(blocks), samples)


def seeded_blocks(x: Tensor, rows: int, seed: int) -> Iterator[Tensor]:
    """Blocks of rows, torch's generators seeded by (seed, place) before each."""
    for place, block in enumerate(x.split(rows)):
        torch.manual_seed(int(np.random.SeedSequence([seed, place]).generate_state(1)[0]))
        yield block
