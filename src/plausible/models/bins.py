"""The bins of one numeric column: about as many training rows in each, and one of its own for a value that repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from plausible.data.steps import find_step
from plausible.models.rounding import Rounding, fit_rounding

__all__ = ["Bins", "fit_bins"]

_WHOLE = 2**24
"""Below it float32 holds every whole number."""


@dataclass(frozen=True)
class Bins:
    """Disjoint bins of a column, ascending; between two of them there may be a gap.

    A column has a step if all its values lie on a grid, origin + k·step, such as whole numbers or prices; a bin then
    begins and ends halfway between two points of the grid. In a column without one, a bin whose ends are equal is a
    single value that repeats.

    Attributes:
        low, high: the bins' ends, (S,), float64.
        counts: training rows in each, (S,).
        origin, step: of the grid; step 0: there is none.
        rounding: which points of the grid are more frequent within a bin; None where there is no grid.
    """

    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    origin: float = 0.0
    step: float = 0.0
    rounding: Rounding | None = None


def fit_bins(values: np.ndarray, most: int) -> Bins:
    """Bins for a column's values.

    A value that makes up one `most`-th of the rows has a bin of its own. The runs of values between these are cut at
    their quantiles. A column with a step and at most `most` points of the grid has a bin for each point.

    Args:
        values: (n,), finite; n = 0 gives no bins.
        most: the largest number of bins, at least 4.
    """
    if not len(values):
        return Bins(np.empty(0), np.empty(0), np.empty(0, np.int64))
    origin, step = _grid(values)
    if not step:
        points, counts = np.unique(values.astype(np.float64), return_counts=True)
        return Bins(*_cut(points, counts, most, 0.0))
    grid, counts = np.unique(np.rint((values - origin) / step), return_counts=True)
    if grid[-1] - grid[0] < most:
        points = np.arange(grid[0], grid[-1] + 1)
        held = np.zeros(len(points), np.int64)
        held[(grid - grid[0]).astype(int)] = counts
        low, high = points - 0.5, points + 0.5
    else:
        low, high, held = _cut(grid, counts, most, 0.5)
    low, high = origin + step * low, origin + step * high
    return Bins(
        low, high, held, origin, step, fit_rounding(origin + step * grid, counts, low, high, origin, step)
    )


def _grid(values: np.ndarray) -> tuple[float, float]:
    """`find_step`, and where it finds none the greatest common divisor of whole numbers that float32 holds exactly."""
    origin, step = find_step(values)
    if not step and np.abs(values).max() < _WHOLE and bool((values == np.rint(values)).all()):
        origin = float(values.min())
        step = float(np.gcd.reduce((values - origin).astype(np.int64)))
    return origin, step


def _cut(
    points: np.ndarray, counts: np.ndarray, most: int, half: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends and counts of bins for distinct values, ascending.

    Args:
        points: (m,), the values.
        counts: rows with each.
        most: bins, at most.
        half: of the grid's step, 0.5; 0 where there is no grid, and the bin of a single value has no width.
    """
    own = _repeated(counts, most)
    runs = [run for run in np.split(np.arange(len(points)), own) if len(run)]
    runs = [run[1:] if run[0] in own else run for run in runs]
    runs = [run for run in runs if len(run)]
    pieces = [(points[i] - half, points[i] + half, counts[i]) for i in own]
    shares = _shares([int(counts[run].sum()) for run in runs], most - len(own))
    for run, share in zip(runs, shares, strict=True):
        pieces += _quantiles(points, counts, run, share, half)
    low, high, held = (np.array(part) for part in zip(*sorted(pieces), strict=True))
    return low, high, held


def _repeated(counts: np.ndarray, most: int) -> np.ndarray:
    """The places of values with a bin of their own, ascending: the most frequent, fewer than half of all bins."""
    often = np.flatnonzero(counts >= max(2, counts.sum() / most))
    return np.sort(often[np.argsort(-counts[often], kind="stable")][: (most - 1) // 2])


def _shares(rows: list[int], bins: int) -> list[int]:
    """How many bins each run of values gets: at least one, the others in proportion to its rows."""
    spare, total = bins - len(rows), max(1, sum(rows))
    return [1 + math.floor(spare * each / total) for each in rows]


def _quantiles(
    points: np.ndarray, counts: np.ndarray, run: np.ndarray, share: int, half: float
) -> list[tuple[float, float, int]]:
    """A run of neighbouring values cut into at most `share` bins of about equally many rows.

    Two bins meet halfway between two values, and the outer ones reach to the neighbours that have bins of their own, or
    half a gap (half a step) beyond the column's last value.
    """
    under = np.cumsum(counts[run])
    cuts = np.searchsorted(under, under[-1] * np.arange(1, share) / share, side="left") + 1
    cuts = np.unique(cuts[cuts < len(run)])
    first, last = run[0], run[-1]
    middles = [_between(points[run[c - 1]], points[run[c]], half) for c in cuts]
    ends = [_outer(points, first, -1, half), *middles, _outer(points, last, 1, half)]
    held = np.diff(np.concatenate([[0], under[cuts - 1], [under[-1]]]))
    return list(zip(ends[:-1], ends[1:], held.tolist(), strict=True))


def _between(a: float, b: float, half: float) -> float:
    """Halfway between two values; on a grid, halfway between two of its points."""
    middle = (a + b) / 2
    return math.floor(middle) + half if half else middle


def _outer(points: np.ndarray, i: int, side: int, half: float) -> float:
    """Where the bin at the end of a run ends, whose last value is points[i]; side −1: below it, 1: above it."""
    j = i + side
    if 0 <= j < len(points):
        return float(points[j]) - side * half
    if half:
        return float(points[i]) + side * half
    gap = abs(points[i] - points[i - side]) if len(points) > 1 else abs(points[i]) or 1.0
    return float(points[i] + side * gap / 2)
