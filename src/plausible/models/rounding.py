"""Which values of a grid are more frequent than their neighbours: multiples of 5, 10, 50, 100, …, and favourites."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["FAVOURITES", "UNITS", "Rounding", "fit_rounding"]

UNITS = 6
"""Round units of a column, at most."""
FAVOURITES = 256
"""Favourite values of a column, at most."""
_STEPS = 30
"""Of expectation maximisation."""
_LEAST = 0.01
"""A unit that explains less than this share of the rows is left out."""


@dataclass(frozen=True)
class Rounding:
    """A value in a bin is any point of the grid there, a multiple of one of several round units, or a favourite.

    Attributes:
        units: (J,), ascending; multiples of the grid's step.
        first: (S, J): the least multiple of each unit in each bin, in units.
        points: (S, J): how many multiples there are; 0 where there is none.
        favourites: (F,), ascending: the most frequent of the values that repeat and share their bin with others.
        chances: (F,): the probability of each among the favourites of its bin.
        shares: (S, J + 2): the probability of "any point", of each unit, and of a favourite, in each bin.
    """

    units: np.ndarray
    first: np.ndarray
    points: np.ndarray
    favourites: np.ndarray
    chances: np.ndarray
    shares: np.ndarray


def fit_rounding(
    values: np.ndarray, counts: np.ndarray, low: np.ndarray, high: np.ndarray, origin: float, step: float
) -> Rounding:
    """The shares that make the values most likely, found by expectation maximisation.

        p(x | bin) = w_0/N_0 + Σ_j w_j·[x is a multiple of u_j]/N_j + w_f·c(x)/C

    N_j are the multiples of u_j in the bin, N_0 the points of the grid there, c(x) the rows with a favourite x and C
    those with any of the bin's. The shares are found with c(x) − 1 of C − 1 instead, or 0 if x would be no favourite
    then: what the other rows say of each, so that values which repeat by chance are worth nothing. The w of what a bin
    has none of are shared out among the others.

    Args:
        values: (m,): distinct values, on the grid, each in a bin.
        counts: (m,): rows with each.
        low, high: (S,): ends of the bins, halfway between points of the grid.
        origin, step: of the grid.
    """
    units = _candidates(origin, step, float(high[-1] - low[0]))
    points = np.stack([_multiples(low, high, unit)[1] for unit in (step, *units)], 1)
    points[:, 0] = np.rint((high - low) / step)
    bins = np.searchsorted(high, values)
    is_multiple = np.stack(
        [np.abs(values - unit * np.rint(values / unit)) < step / 4 for unit in (step, *units)], 1
    )
    is_multiple[:, 0] = True
    chosen, least = _favourites(counts, points[bins, 0] > 1)
    rows = np.bincount(bins[chosen], counts[chosen], len(low))
    others = np.zeros(len(values))
    without = counts[chosen] - 1
    others[chosen] = np.where(without >= least, without / np.maximum(rows[bins[chosen]] - 1, 1), 0)
    each = np.column_stack([np.where(is_multiple, 1 / np.maximum(points[bins], 1), 0), others])
    there = np.column_stack([points, rows])
    weights = np.full(each.shape[1], 1 / each.shape[1])
    told = np.where(points[bins, 0] > 1, counts, 0)  # a bin with one point says nothing of the shares
    for _ in range(_STEPS):
        found = each * _shared(weights, there)[bins]
        weights = (told[:, None] * found / found.sum(1, keepdims=True)).sum(0) / max(1, told.sum())
    best = np.sort(np.argsort(-weights[1:-1], kind="stable")[:UNITS]) + 1
    kept = np.concatenate([[0], best[weights[best] >= _LEAST]])
    if weights[-1] < _LEAST:
        chosen, rows, there[:, -1] = chosen[:0], np.zeros(len(low)), 0
    held = [*kept, -1]
    units = np.array([0.0, *units])[kept][1:]
    first = (
        np.stack([_multiples(low, high, unit)[0] for unit in units], 1)
        if len(units)
        else np.empty((len(low), 0))
    )
    chances = counts[chosen] / rows[bins[chosen]]
    return Rounding(
        units, first, points[:, kept[1:]], values[chosen], chances, _shared(weights[held], there[:, held])
    )


def _favourites(counts: np.ndarray, shares_its_bin: np.ndarray) -> tuple[np.ndarray, int]:
    """The places of the most frequent values that repeat, ascending, and how many rows a value must have to be one."""
    often = np.flatnonzero((counts > 1) & shares_its_bin)
    often = often[np.argsort(-counts[often], kind="stable")]
    least = int(counts[often[FAVOURITES]]) + 1 if len(often) > FAVOURITES else 2
    return np.sort(often[:FAVOURITES]), least


def _shared(weights: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The weights in each bin, of units without a multiple 0, (S, J + 1)."""
    there = np.where(points > 0, np.maximum(weights, 1e-9), 0)
    return there / there.sum(1, keepdims=True)


def _candidates(origin: float, step: float, width: float) -> list[float]:
    """Units 1, 2 and 5 times a power of ten that are multiples of the step, if the grid holds their multiples."""
    if abs(origin / step - round(origin / step)) > 1e-3:
        return []
    exponent = math.floor(math.log10(step))
    found = [digit * 10.0 ** (exponent + e) for e in range(8) for digit in (1, 2, 5)]
    return [u for u in found if step * 1.5 < u <= width and abs(u / step - round(u / step)) < 1e-3]


def _multiples(low: np.ndarray, high: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """The least multiple of a unit in each bin, in units, and how many there are."""
    first, last = np.ceil(low / unit), np.floor(high / unit)
    return first, np.maximum(last - first + 1, 0)
