"""Nearest rows of a large set, block by block: which they are, and how far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from plausible.data import Rows
from plausible.data.steps import find_step
from plausible.metrics._arrays import distances, rows_per_block
from plausible.metrics.encoded import EncodedRows
from plausible.metrics.resolution import Resolution

__all__ = ["Space", "blocks_of", "nearest", "space_of", "table_space"]

FEW_VALUES = 64
"""Up to so many values a row distances are taken by differences in float64; above that by matrix products."""

Space = Callable[[np.ndarray | Tensor], Tensor]
"""Rows, (n, *shape) → the points whose Euclidean distances are taken, (n, d), float32."""


def space_of(train: np.ndarray, at: Resolution) -> Space:
    """Values at the data's resolution; the columns of a table divided by their standard deviations.

    Rows that are equal as stored are at distance 0.

    Args:
        train: training rows, (n, *shape).
        at: the data's resolution.
    """
    if train.ndim == 4:
        return at
    scale = at(train).double().std(0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0).float()
    return lambda x: at(x) / scale


def table_space(levels: Sequence[int], train: Rows) -> Space:
    """Rows of a mixed table as `EncodedRows`, numbers rounded to the steps between those of their column.

    Args:
        levels: the number of levels of each column, 0 for numbers.
        train: the training rows.
    """
    encoded, columns = EncodedRows(levels, train), train.array().astype(np.float64).T
    steps = [
        (0.0, 0.0) if count else find_step(x[~np.isnan(x)]) for count, x in zip(levels, columns, strict=True)
    ]
    low, step = np.array(steps).T
    wide = np.where(step > 0, step, 1.0)

    def space(x: np.ndarray | Tensor) -> Tensor:
        x = np.asarray(x, np.float64)
        rounded = np.where(step > 0, low + ((x - low) / wide).round() * wide, x)
        return torch.from_numpy(encoded.enter(rounded)).float()

    return space


def blocks_of(rows: Rows, places: np.ndarray, space: Space) -> Iterable[Tensor]:
    """Some rows of a split as points, block by block, (B, d)."""
    size = rows_per_block(int(np.prod(rows.shape)))
    for start in range(0, len(places), size):
        yield space(rows.take(places[start : start + size])[0])


def nearest(queries: Tensor, blocks: Iterable[Tensor], k: int = 1) -> tuple[Tensor, Tensor]:
    """(distances, places) of the k nearest points of each query, nearest first, (q, k), float64 and int64.

    Distances to the nearest are exact to float64 (0 for equal points), others to float32's precision. Of points at
    equal distance it takes the first. Where there are fewer than k points, as many as there are.

    Args:
        queries: (q, d).
        blocks: the points, (B, d) each, in order.
        k: how many.
    """
    best = torch.empty(len(queries), 0, dtype=torch.float64)
    places = torch.empty(len(queries), 0, dtype=torch.int64)
    start = 0
    for block in blocks:
        for points in block.split(rows_per_block(max(len(queries), block.shape[1]))):
            squares = _squares(queries, points)
            found, where = squares.topk(min(k, len(points)), largest=False)
            found = found.double().clamp_min(0)
            found[:, 0] = (queries.double() - points[where[:, 0]].double()).square().sum(1)
            best, order = torch.cat([best, found], 1).sort(dim=1, stable=True)
            places = torch.cat([places, where + start], 1).gather(1, order)[:, :k]
            best, start = best[:, :k], start + len(points)
    return best.sqrt(), places


def _squares(queries: Tensor, points: Tensor) -> Tensor:
    """Squared distances, (q, p): of few values by differences in float64, else by a matrix product in float32."""
    if queries.shape[1] <= FEW_VALUES:
        return distances(queries.double(), points.double()).square()
    centre = points.mean(0)
    a, b = queries - centre, points - centre
    return (b.square().sum(1) - 2 * (a @ b.T)).add_(a.square().sum(1, keepdim=True))
