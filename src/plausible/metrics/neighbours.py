"""Precision, recall, density, coverage and the accuracy of the nearest neighbour, with standard errors.

With B(a, r) the open ball and r_k(a) the distance from a to its k-th nearest neighbour in its own set
(itself not counted):

    precision = share of fake f  in some  B(real, r_k(real))
    recall    = share of real r  in some  B(fake, r_k(fake))          Kynkäänniemi et al. 2019
    density   = 1/(k·fakes) Σ_f #{real r: f in B(r, r_k(r))}
    coverage  = share of real r  with a fake in  B(r, r_k(r))         Naeem et al. 2020, whose code is `prdc`
    nearest   = share of real and fake rows whose nearest neighbour
                among all the others is of their own kind             Lopez-Paz & Oquab 2017 (leave-one-out 1-NN)

All depend on the space the distances are taken in, so that space is part of the result (`features`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix, distances, rows_per_block
from plausible.metrics.intervals import interval_of, jackknife_error, share_interval

__all__ = ["Fidelity", "fidelity"]


@dataclass(frozen=True)
class Fidelity:
    """Five figures of samples against real rows.

    Attributes:
        precision, recall, coverage: in [0, 1].
        density: ≥ 0; 1 in expectation for identical distributions.
        nearest: leave-one-out accuracy of the nearest neighbour: ½ in expectation for identical distributions and
            equal numbers of rows, 1 for sets that lie apart; below ½ where samples lie on top of real rows.
        k, n_real, n_fake, features: of the estimate.
        errors: the standard error of each figure, by its name; empty if they were not asked for.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    nearest: float
    k: int
    n_real: int
    n_fake: int
    features: str
    errors: Mapping[str, float]

    def interval(self, name: str) -> tuple[float, float]:
        """A 95 % confidence interval of one figure by its name."""
        value, error = getattr(self, name), self.errors[name]
        if name == "density":
            return interval_of(value, error, 0.0)
        rows = {"precision": self.n_fake, "nearest": self.n_real + self.n_fake}.get(name, self.n_real)
        return share_interval(value, error, rows)


def fidelity(
    real: Tensor | np.ndarray,
    fake: Tensor | np.ndarray,
    k: int = 5,
    features: str = "raw values",
    *,
    exact: bool = True,
    errors: bool = True,
) -> Fidelity:
    """Precision, recall, density, coverage and 1-NN accuracy of fake (m, *shape) against real (n, *shape).

    Take as many fake as real rows. With unequal numbers nothing fails, but balls are smaller around the larger
    set: more fakes raise coverage and lower recall, more reals lower precision; density does not depend on the
    number of fakes, in expectation. Compare only figures with equal k, n, m and features.

    Even perfect samples do not reach 1: for real and fake of one distribution, n = m, expected coverage is
    1 − Πᵢ₌₁ᵏ (n − i)/(2n − i), .96877 for n = 10,000 and k = 5.

    `features` names the space, for the record. A fake exactly on a ball's edge is outside it, as in `prdc`; so
    exact copies of real rows count, unless k other real rows coincide with the copied one. A row as far from the other
    kind as from its own counts half for 1-NN accuracy.

    Standard errors are those of the jackknife that leaves out one row of either set. For density, balls grow whose
    k-th neighbour is left out; for shares they are kept, because the error would otherwise be nearly twice too large.

    Raises PlausibleError for NaN, emptiness, unequal widths and sets of k rows or fewer.
    Cost: (n + m)² differences of d numbers in float64, about 1.2 s per 10⁸ pairs at d = 50 and 36 s at d = 784
    on one thread: project first. Differences, so that ties stay ties; a matrix product, which is several times as fast,
    if not `exact`. Without `errors` it takes about two thirds of the time.
    """
    real = as_matrix("real", real).double()
    fake = as_matrix("fake", fake, width=real.shape[1]).double()
    if k < 1 or min(len(real), len(fake)) <= k:
        raise PlausibleError(
            f"k = {k} needs 1 ≤ k and more than k rows in each set, got {len(real)} real and {len(fake)} fake: "
            "take more samples or lower k"
        )
    near_real, near_fake = _neighbours(real, k, exact), _neighbours(fake, k, exact)
    of_real, of_fake, fakes_of_real, reals_of_fake = _across(real, fake, near_real, near_fake, exact, errors)
    nearest = _Nearest(near_real, near_fake, fakes_of_real, reals_of_fake)
    return Fidelity(
        precision=of_real.covered,
        recall=of_fake.covered,
        density=of_real.total / (k * len(fake)),
        coverage=of_real.hit,
        nearest=nearest.accuracy,
        k=k,
        n_real=len(real),
        n_fake=len(fake),
        features=features,
        errors={
            "precision": of_real.covered_error(),
            "recall": of_fake.covered_error(),
            "density": of_real.total_error(near_real.rows[:, :k]) / k,
            "coverage": of_real.hit_error(),
            "nearest": nearest.error(),
        }
        if errors
        else {},
    )


@dataclass(frozen=True, eq=False)
class _Near:
    """The nearest rows of each row, nearest first: distances, (n, j), and which, (n, j)."""

    distances: Tensor
    rows: Tensor


def _neighbours(rows: Tensor, k: int, exact: bool) -> _Near:
    """The k + 1 nearest others of each row; at infinity where there are only k."""
    size = rows_per_block(len(rows))
    found = []
    for start, block in zip(range(0, len(rows), size), rows.split(size), strict=True):
        to_others = distances(block, rows, exact=exact)
        to_others[torch.arange(len(block)), torch.arange(start, start + len(block))] = torch.inf
        found.append(to_others.topk(k + 1, largest=False))
    return _Near(torch.cat([each.values for each in found]), torch.cat([each.indices for each in found]))


def _across(
    real: Tensor, fake: Tensor, near_real: _Near, near_fake: _Near, exact: bool, errors: bool
) -> tuple[_Balls, _Balls, _Near, _Near]:
    """The balls of reals with fakes in them, those of fakes with reals, and the nearest of the other kind."""
    of_real, of_fake = _Balls(len(real), len(fake), errors), _Balls(len(fake), len(real), errors)
    fakes, reals = [], _Near(torch.full((len(fake), 1), torch.inf).double(), torch.zeros(len(fake), 1).long())
    size = rows_per_block(len(fake))
    for start in range(0, len(real), size):
        here, every = slice(start, min(start + size, len(real))), slice(0, len(fake))
        to_fakes = distances(real[here], fake, exact=exact)
        of_real.add(here, every, to_fakes, near_real.distances[here, -2:])
        of_fake.add(every, here, to_fakes.T, near_fake.distances[:, -2:])
        fakes.append(to_fakes.min(1, keepdim=True))
        best = to_fakes.min(0)
        nearer = best.values < reals.distances[:, 0]
        reals.distances[nearer, 0], reals.rows[nearer, 0] = best.values[nearer], best.indices[nearer] + start
    near = _Near(torch.cat([each.values for each in fakes]), torch.cat([each.indices for each in fakes]))
    return of_real, of_fake, near, reals


class _Balls:
    """Balls around centres, and points in them: which share of the points is covered, which share of the balls is hit.

    Distances are added in blocks; only sums over points and over balls are kept.
    """

    def __init__(self, centres: int, points: int, errors: bool) -> None:
        self._errors = errors
        self._counts = torch.zeros(points, dtype=torch.int64)  # of how many balls each point is in, …
        self._balls = torch.zeros(points, dtype=torch.float64)  # … and the sum of their places
        self._held = torch.zeros(centres, dtype=torch.int64)  # how many points each ball holds, …
        self._points = torch.zeros(centres, dtype=torch.float64)  # … the sum of their places, …
        self._grown = torch.zeros(
            centres, dtype=torch.int64
        )  # … and how many if it reached to its (k + 1)-th neighbour

    def add(self, centres: slice, points: slice, far: Tensor, radii: Tensor) -> None:
        """Add a block of distances, (centres, points); radii are to the k-th and (k + 1)-th neighbour, (centres, 2)."""
        inside = far < radii[:, :1]
        self._counts[points] += inside.sum(0)
        self._held[centres] += inside.sum(1)
        if not self._errors:
            return
        ones = inside.double()
        self._balls[points] += torch.arange(centres.start, centres.stop, dtype=torch.float64) @ ones
        self._points[centres] += ones @ torch.arange(points.start, points.stop, dtype=torch.float64)
        self._grown[centres] += (far < radii[:, 1:]).sum(1)

    @property
    def covered(self) -> float:
        """The share of points in at least one ball."""
        return int((self._counts > 0).sum()) / len(self._counts)

    @property
    def hit(self) -> float:
        """The share of balls with at least one point."""
        return int((self._held > 0).sum()) / len(self._held)

    @property
    def total(self) -> int:
        """The number of pairs of a ball and a point in it."""
        return int(self._counts.sum())

    def covered_error(self) -> float:
        """Standard error of `covered`, leaving out one ball or one point."""
        covered = (self._counts > 0).double()
        single = self._counts == 1
        alone = torch.bincount(self._balls[single].long(), minlength=len(self._held))
        without_ball = (covered.sum() - alone) / len(covered)
        return jackknife_error(without_ball.numpy(), _others(covered))

    def hit_error(self) -> float:
        """Standard error of `hit`, leaving out one ball or one point."""
        hit = (self._held > 0).double()
        single = self._held == 1
        alone = torch.bincount(self._points[single].long(), minlength=len(self._counts))
        return jackknife_error(_others(hit), ((hit.sum() - alone) / len(hit)).numpy())

    def total_error(self, neighbours: Tensor) -> float:
        """Standard error of `total` a point; the balls whose k nearest, (centres, k), hold the one left out grow."""
        without = (self.total - self._held).double()
        gain = (self._grown - self._held).double().repeat_interleave(neighbours.shape[1])
        without.index_add_(0, neighbours.flatten(), gain)
        return jackknife_error(without.numpy() / len(self._counts), _others(self._counts.double()))


def _others(values: Tensor) -> np.ndarray:
    """The mean of all values but one, (n,)."""
    return ((values.sum() - values) / (len(values) - 1)).numpy()


class _Nearest:
    """Leave-one-out accuracy of the nearest neighbour over reals and fakes together."""

    def __init__(
        self, near_real: _Near, near_fake: _Near, fakes_of_real: _Near, reals_of_fake: _Near
    ) -> None:
        n = len(near_real.rows)
        own = torch.cat([near_real.distances[:, 0], near_fake.distances[:, 0]])
        other = torch.cat([fakes_of_real.distances[:, 0], reals_of_fake.distances[:, 0]])
        own_row = torch.cat([near_real.rows[:, 0], near_fake.rows[:, 0] + n])
        other_row = torch.cat([fakes_of_real.rows[:, 0] + n, reals_of_fake.rows[:, 0]])
        self._row = own_row.where(own <= other, other_row)
        self._right = (own < other).double() + 0.5 * (own == other).double()
        self.accuracy = self._right.mean().item()

    def error(self) -> float:
        """Its standard error; two rows that are each other's nearest neighbour are right or wrong together.

        1/N² Σᵢ eᵢ (eᵢ + e_{nn(i)}·[nn(nn(i)) = i]),   e = right − accuracy
        """
        gap = self._right - self.accuracy
        mutual = self._row[self._row] == torch.arange(len(gap))
        return float((gap * (gap + gap[self._row] * mutual)).sum().clamp_min(0).sqrt()) / len(gap)
