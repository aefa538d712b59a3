"""The detector's own score: how far a row is from its reconstruction, and from its nearest training rows."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from sklearn.neighbors import NearestNeighbors

from plausible.capabilities import Reconstruction, require
from plausible.metrics.encoded import EncodedRows
from plausible.metrics.scores import subset
from plausible.metrics.scoring import KNOWN_ROWS, NEIGHBOURS, units
from plausible.sklearn.held import Held

__all__ = ["Distances"]


class Distances:
    """a(x)/median a + b(x)/median b, of two distances in standard deviations of the training rows; higher is further.

    a(x) = ‖x − reconstruct(x)‖, and b(x) is the mean distance to the NEIGHBOURS nearest of at most KNOWN_ROWS training
    rows; the medians are those of the validation rows, so that both count alike. The first finds rows that break the
    dependence between columns, the second rows far from all others that are reconstructed all the same, as of another
    group of rows. Each distance is a sum over columns, d = Σ_i (x_i − y_i)²/d, and so is the whole. In mixed
    tables it is that of `EncodedRows`.

    Args:
        run: of a model that reconstructs.
        train: its training rows, (n, d), float64; of a mixed table a frame, or NaN where a cell is missing.
        valid: its validation rows, likewise.
        seed: random seed of the training rows kept.
    """

    def __init__(self, run: Held, train: Any, valid: Any, seed: int) -> None:
        self.space = _Encoded(run) if run.schema.domain == "mixed" else _Numbers(run, train.shape[1])
        known = self.space.points(run, train)
        self.known = known[subset(np.arange(len(known)), KNOWN_ROWS, seed)]
        self.nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(self.known))).fit(self.known)
        self.medians = tuple(
            float(np.median(part.sum(1))) or 1.0  # of rows that are all reconstructed, or all known
            for part in (self._from_reconstruction(run, valid), self._from_others(run, valid))
        )

    def parts(self, run: Held, x: Any) -> np.ndarray:
        """What each column adds, (n, d) → (n, d), float64."""
        a, b = self.medians
        return self._from_reconstruction(run, x) / a + self._from_others(run, x) / b

    def _from_reconstruction(self, run: Held, x: Any) -> np.ndarray:
        return self.space.by_column(_shares(self.space.errors(run, x)))

    def _from_others(self, run: Held, x: Any) -> np.ndarray:
        points = self.space.points(run, x)
        found = self.nearest.kneighbors(points, return_distance=False)
        return self.space.by_column(
            np.mean([_shares(points - self.known[place]) for place in found.T], axis=0)
        )


class _Space(Protocol):
    """Rows as points: `points` gives them, `errors` their differences from the reconstruction's, both (n, W)."""

    def points(self, run: Held, x: Any) -> np.ndarray: ...

    def errors(self, run: Held, x: Any) -> np.ndarray: ...

    def by_column(self, values: np.ndarray) -> np.ndarray:
        """The sum over the coordinates of each column, (n, W) → (n, d)."""
        ...


class _Numbers(_Space):
    """Rows of numbers in standard deviations."""

    def __init__(self, run: Held, width: int) -> None:
        self.unit = units(run.precise, run.data).double().numpy() * np.ones(width)

    def points(self, run: Held, x: Any) -> np.ndarray:
        return x / self.unit

    def errors(self, run: Held, x: Any) -> np.ndarray:
        reconstruct = require(run.precise, Reconstruction).reconstruct
        return run.applied(lambda x: x - reconstruct(x), x) / self.unit

    def by_column(self, values: np.ndarray) -> np.ndarray:
        return values


class _Encoded(_Space):
    """Rows of a mixed table as `EncodedRows`."""

    def __init__(self, run: Held) -> None:
        self.rows = EncodedRows(run.schema.levels, run.data().train)

    def points(self, run: Held, x: Any) -> np.ndarray:
        return self.rows.enter(run.rows(x).array())

    def errors(self, run: Held, x: Any) -> np.ndarray:
        reconstruct, inward = require(run.precise, Reconstruction).reconstruct, self.rows.encoding.inward
        return run.applied(lambda x: inward(x.double()) - inward(reconstruct(x).double()), x)

    def by_column(self, values: np.ndarray) -> np.ndarray:
        return self.rows.by_column(values)


def _shares(difference: np.ndarray) -> np.ndarray:
    """What each coordinate of a difference, (n, W), adds to its length, (n, W)."""
    squares = np.square(difference)
    length = np.sqrt(squares.sum(1, keepdims=True))
    return np.divide(squares, length, out=np.zeros_like(squares), where=length > 0)
