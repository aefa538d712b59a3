"""The Gaussian copula: each column's own distribution, tied together by one matrix of correlations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from plausible.game import Domain
from plausible.likelihoods import HALF_LOG_TWO_PI
from plausible.models.explicit import Explicit
from plausible.models.knots import HasKnots
from plausible.models.ordering import Ordering
from plausible.models.statistics import correlation
from plausible.models.table_copula import TableCopula

__all__ = ["Copula"]


class Copula(HasKnots, Explicit):
    """Gaussian copula of continuous marginals (Sklar, 1959; Liu, Lafferty & Wasserman, 2009), fitted in closed form.

        z_i = Φ⁻¹(F_i(x_i)),   log p(x) = log c_R(u) + Σ_i log f_i(x_i),
        u_i = F_i(x_i),        log c_R(u) = −½ log |R| − ½ zᵀ(R⁻¹ − I)z

    F_i is the distribution function of column i, f_i = F_i′ its density, R the correlations of the scores z. There is
    nothing to train: F_i is interpolated between quantiles, and R is the correlation of the training rows' scores,
    shrunk towards I as Schäfer and Strimmer (2005) do. Any part can be completed exactly, since the scores that are not
    given are normal given those that are. Fitting holds all training rows in memory.

    **The marginals.** Between neighbouring knots, which are quantiles of the column, the score z_i is linear in x_i: a
    normal column needs two. Further knots are added where a test of Kolmogorov and Smirnov's kind finds the rows apart
    from the piece. Beyond the outermost knots z_i is linear too: a normal tail, as wide as the rows there say. Thus f_i
    is positive everywhere and integrates to one. At a knot it may jump.

    **Values that repeat.** Values are counted in bins: as wide as the step of the column's values, if they have one (1
    for whole numbers), but not narrower than `floor`. A bin that holds more than its share of the rows is a piece of
    its own, in which the density is constant: its share of the rows, divided by its width. Whole numbers thus have the
    density of the number plus uniform noise on (−½, ½), and a constant column has density 1/step. A value that repeats
    among others without a step has a bin as wide as `floor`; the narrower that is, the higher the density there, so
    that log p depends on `floor` and ranks rows with such values high.

    Args:
        knots: how many bins of a column may be pieces of their own, and how many pieces the rest may have, at most.
        floor: the narrowest bin, in standard deviations of the column, or in those of a normal distribution with its
            quartiles if these are smaller.
        shrinkage: the least share of I in R, in (0, 1]; 1 makes the columns independent.
        ordering: Order of the terms; the density does not depend on it.
        ordering_seed: Seed of the random ordering.

    Attributes:
        x: (D, K): knots of each column, in its units, ascending; the first and the last stand in the tails.
        z: (D, K): the scores there.
        flat: (D, K − 1), bool: whether the density is constant between two knots; otherwise z is linear.
        used: (D,), int64: how many knots are of use; the others continue the upper tail.
        R: (D, D): correlations of the scores, in the order of the columns.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("real", "mixed")
    R: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "real",
        *,
        column_levels: Sequence[int] | None = None,
        knots: PositiveInt = 40,
        floor: PositiveFloat = 1e-3,
        shrinkage: Annotated[float, Field(gt=0, le=1)] = 1e-4,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        self.shrinkage = shrinkage
        self.table = self._of_table(column_levels, knots, floor) if domain == "mixed" else None
        if self.table is not None:
            return
        self.add_knots(self.size, knots, floor)
        self.register_buffer("R", torch.eye(self.size))

    def _of_table(self, column_levels: Sequence[int] | None, knots: int, floor: float) -> TableCopula:
        """The copula of a mixed table; its columns of numbers come first in the order."""
        levels = tuple(column_levels or (0,) * self.size)
        self.order.copy_(torch.tensor(sorted(self.order.tolist(), key=lambda place: levels[place] > 0)))
        self.as_stored = torch.equal(self.order, torch.arange(self.size))
        return TableCopula(levels, self.order, self.shrinkage, knots, floor)

    # ------------------------------------------------------------------ fitting
    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Fit each column's knots, then the correlations of the scores."""
        if self.table is not None:
            self.table.fit(data)
            return
        rows = np.concatenate([block.reshape(len(block), -1) for block in data.blocks()])
        for i, column in enumerate(rows.T):
            self.fit_column(i, column)
        scores = [
            self.score(torch.from_numpy(part).to(self.x.device))[0]
            for part in np.array_split(rows, 1 + len(rows) // 5000)
        ]
        self.R.copy_(correlation(torch.cat(scores), self.shrinkage))

    # ------------------------------------------------------------------ the density
    def terms(self, x: Tensor) -> Tensor:
        """log N(e_i; 0, 1) − log L_ii + log dz_i/dx_i, where e = L⁻¹z and R = LLᵀ in the model's order."""
        if self.table is not None:
            return self.table.log_prob(self.unordered(x).flatten(1))[:, self.order].to(x)
        scores, slopes = (each[:, self.order] for each in self.score(self.unordered(x).flatten(1)))
        L = torch.linalg.cholesky(self._correlation())
        e = torch.linalg.solve_triangular(L, scores.t(), upper=False).t()
        return (slopes - 0.5 * e.square() - HALF_LOG_TWO_PI - L.diagonal().log()).to(x)

    def _correlation(self) -> Tensor:
        """R in the model's order, (D, D), float64."""
        return self.R[self.order][:, self.order].double()

    # ------------------------------------------------------------------ sampling
    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        return self.sample_given(x, torch.arange(self.size, device=x.device) < known)

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """Scores from N(R_rg·R_gg⁻¹·z_g, R_rr − R_rg·R_gg⁻¹·R_gr), r the rest, g what is given; then their values."""
        if self.table is not None:
            known = torch.empty_like(given).index_put_((self.order,), given)
            return self.table.fill(self.unordered(x).flatten(1), known)[:, self.order]
        R, rest = self._correlation(), ~given
        z = self.score(self.unordered(x).flatten(1))[0][:, self.order]
        weights = torch.linalg.solve(R[given][:, given], R[given][:, rest])
        spread = torch.linalg.cholesky(R[rest][:, rest] - R[rest][:, given] @ weights)
        z[:, rest] = z[:, given] @ weights + torch.randn_like(z[:, rest]) @ spread.t()
        drawn = self.unscore(self.unordered(z).flatten(1))[:, self.order].to(x)
        return torch.where(given, x, drawn)

    @torch.no_grad()
    def fill(self, x: Tensor, known: Tensor, *, present: bool = False) -> Tensor:
        """Sample the cells that are not known, given those that are; each row has its own.

        Args:
            x: (B, D), in the columns' places; what is not known is ignored.
            known: (B, D), bool.
            present: whether no cell that is sampled may be missing.
        """
        x = x.clone()
        for pattern in known.unique(dim=0):
            rows = (known == pattern).all(1)
            if self.table is not None:
                x[rows] = self.table.fill(x[rows], pattern, present=present)
            else:
                x[rows] = self.unordered(
                    self.sample_given(self.ordered(x[rows]), pattern[self.order])
                ).flatten(1)
        return x

    # ------------------------------------------------------------------ what `verify` asks
    def kinks(self, i: int) -> Tensor:
        """Values of the i-th variable of the order where its density may jump, (knots,), ascending."""
        column = int(self.order[i])
        if self.table is not None:
            return self.table.kinks(column)
        return self.jumps(column)

    # ------------------------------------------------------------------ how large it is
    @property
    def free_parameters(self) -> int:
        if self.table is not None:
            return self.table.free_parameters
        return self.size * (self.size - 1) // 2 + 2 * int(self.used.sum())

    @property
    def formula(self) -> str:
        if self.table is not None:
            return f"columns and correlations = {self.free_parameters} (n = {self.size})"
        return f"n(n − 1)/2 + 2·{int(self.used.sum())} = {self.free_parameters} (n = {self.size}, knots of all columns)"
