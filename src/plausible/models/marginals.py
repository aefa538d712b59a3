"""The distribution function of one column, through knots: what a copula ties together."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from plausible.data.steps import find_step

__all__ = ["Marginal", "fit_marginal"]

_TAIL = 8
"""Rows beyond the outermost knot of a column, on each side: enough to say how wide the tail is."""
_PRIOR, _LEAST = 0.5, 1e-6
"""Rows, and the least share of all rows, that each piece and each tail gets besides its own: no value is impossible."""
_RESOLVED = 2.0**-18
"""The narrowest bin, as a share of the largest absolute value: 32 steps of float32."""
_OFF = 1.36
"""A piece of m values is split where √m times this many more or fewer lie below than it says: the 5 % level."""


@dataclass(frozen=True)
class Marginal:
    """A distribution function through knots.

    Attributes:
        x: (K,), ascending; the first and the last are in the tails.
        z: (K,): Φ⁻¹ of the distribution function there.
        flat: (K − 1,), bool: whether the density is constant in the piece between two knots.
    """

    x: np.ndarray
    z: np.ndarray
    flat: np.ndarray

    def padded(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same with so many knots: more of the upper tail."""
        more = np.arange(1, size - len(self.x) + 1)
        x = np.append(self.x, self.x[-1] + more * (self.x[-1] - self.x[-2]))
        z = np.append(self.z, self.z[-1] + more * (self.z[-1] - self.z[-2]))
        return x, z, np.append(self.flat, np.zeros(len(more), bool))


def fit_marginal(values: np.ndarray, pieces: int, floor: float) -> Marginal:
    """Knots for a column: around the bins that hold many of its values, where the tails begin, and where else needed.

    A bin holds many if it holds √n values and one `pieces`-th of all.

    Args:
        values: (n,), float64.
        pieces: the largest number of such bins, and of pieces between them.
        floor: the narrowest bin, in deviations of the values.
    """
    low, width = _bins(values, floor)
    bins, counts = np.unique(np.rint((values - low) / width), return_counts=True)
    below = np.append(0, np.cumsum(counts))
    heavy = counts >= max(len(values) / pieces, math.sqrt(len(values)))
    edges = np.unique(np.concatenate([bins - 0.5, bins + 0.5]))
    under = below[np.searchsorted(bins, edges)]
    knots = _split(edges, under, _first(edges, under, bins[heavy]), pieces)
    edges, before = edges[knots], under[knots]
    mass = np.diff(before, prepend=0, append=len(values)) + max(_PRIOR, _LEAST * len(values))
    z = ndtri(np.cumsum(mass)[:-1] / mass.sum())
    flat = np.diff(np.searchsorted(bins, edges)) == 1
    held = np.repeat(bins, counts)
    down = _tail(edges[0] - held[: before[0]][::-1], mass[0] / mass.sum())
    up = _tail(held[before[-1] :] - edges[-1], mass[-1] / mass.sum())
    x = np.concatenate([[edges[0] - down[0]], edges, [edges[-1] + up[0]]])
    z = np.concatenate([[z[0] - down[1]], z, [z[-1] + up[1]]])
    return Marginal(low + width * x, z, np.concatenate([[False], flat, [False]]))


def _tail(beyond: np.ndarray, share: float) -> tuple[float, float]:
    """A step into a tail, in x and in z: its slope is the least squares' one through the knot and the values beyond.

    The k-th of m values is held against the score that k − ½ of m values of the tail lie within.

    Args:
        beyond: (m,): how far beyond the knot the values of the tail lie, in bins, ascending.
        share: of the whole distribution that is in the tail.
    """
    if not len(beyond):
        beyond = np.ones(1)
    outside = 1 - (np.arange(len(beyond)) + 0.5) / len(beyond)
    z = ndtri(share) - ndtri(share * outside)
    step = float((z * beyond).sum() / z.dot(z))
    return max(1.0, step), max(1.0, 1 / step)


def _bins(values: np.ndarray, floor: float) -> tuple[float, float]:
    """The middle of a bin, and the width of all: the values' step, or a multiple of it that is not below the floor."""
    low, step = find_step(values)
    quartiles = np.quantile(values, [0.25, 0.75])
    deviations = [each for each in (values.std(), np.diff(quartiles)[0] / 1.349) if each > 0]
    least = max(floor * min(deviations, default=0.0), _RESOLVED * np.abs(values).max())
    return low, (step * max(1, math.ceil(least / step)) if step else least)


def _first(edges: np.ndarray, under: np.ndarray, own: np.ndarray) -> list[int]:
    """The knots to begin with: around the bins that are pieces of their own, and where the tails begin.

    Args:
        edges: (m,): of the bins that hold values, ascending.
        under: (m,): how many values lie below each, ascending; the last one is all.
        own: the bins that are to be pieces of their own.
    """
    n = under[-1]
    tail = min(_TAIL, n / 4)
    knots = set(np.searchsorted(edges, np.concatenate([own - 0.5, own + 0.5])).tolist())
    for end in np.searchsorted(under, [tail, n - tail]):
        if all(abs(under[end] - under[each]) >= tail / 2 for each in knots):
            knots.add(int(end))
    return sorted(knots)


def _split(edges: np.ndarray, under: np.ndarray, knots: list[int], pieces: int) -> list[int]:
    """Knots where a piece of linear scores is farthest from its values, until no piece is significantly off.

    A piece of m values is split where the expected number of values below an edge is farthest from the actual number,
    if they differ by more than _OFF·√m, as in Kolmogorov and Smirnov's test.
    """
    queue, knots = [_worst(edges, under, *pair) for pair in itertools.pairwise(knots)], list(knots)
    heapq.heapify(queue)
    for _ in range(pieces - 1):
        if not queue or queue[0][0] >= -_OFF:
            break
        _, low, at, high = heapq.heappop(queue)
        knots.append(at)
        for pair in ((low, at), (at, high)):
            heapq.heappush(queue, _worst(edges, under, *pair))
    return sorted(knots)


def _worst(edges: np.ndarray, under: np.ndarray, low: int, high: int) -> tuple[float, int, int, int]:
    """−(largest difference)/√m between two knots; the lower knot, the edge where it is, and the upper knot."""
    inside = slice(low + 1, high)
    m = under[high] - under[low]
    if high - low < 2 or not m:
        return 0.0, low, low, high
    z = ndtri((under[[low, high]] + 0.5) / (under[-1] + 1))
    expected = ndtr(np.interp(edges[inside], edges[[low, high]], z)) * (under[-1] + 1) - 0.5
    apart = np.abs(expected - under[inside])
    at = int(apart.argmax())
    return -float(apart[at]) / math.sqrt(m), low, low + 1 + at, high
