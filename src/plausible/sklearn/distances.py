"""The detector's own score: how far a row is from its reconstruction, and from its nearest training rows."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from plausible.capabilities import Reconstruction, require
from plausible.metrics.scores import subset
from plausible.metrics.scoring import KNOWN_ROWS, NEIGHBOURS, units
from plausible.sklearn.held import Held

__all__ = ["Distances"]


class Distances:
    """a(x)/median a + b(x)/median b, of two distances in standard deviations of the training rows; higher is further.

    a(x) = ‖x − reconstruct(x)‖, and b(x) is the mean distance to the NEIGHBOURS nearest of at most KNOWN_ROWS training
    rows; the medians are those of the validation rows, so that both count alike. The first finds rows that break the
    dependence between columns, the second rows far from all others that are reconstructed all the same, such as another
    group of rows. Each distance is a sum over columns, d = Σ_i (x_i − y_i)²/d, and so is the whole.

    Args:
        run: of a model that reconstructs.
        train: its training rows, (n, d), float64.
        valid: its validation rows, (m, d), float64.
        seed: random seed of the training rows kept.
    """

    def __init__(self, run: Held, train: np.ndarray, valid: np.ndarray, seed: int) -> None:
        self.unit = units(run.precise, run.data).double().numpy() * np.ones(train.shape[1])
        self.known = train[subset(np.arange(len(train)), KNOWN_ROWS, seed)] / self.unit
        self.nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(self.known))).fit(self.known)
        self.medians = tuple(
            float(np.median(part.sum(1))) or 1.0  # of rows that are all reconstructed, or all known
            for part in (self._from_reconstruction(run, valid), self._from_others(valid))
        )

    def parts(self, run: Held, x: np.ndarray) -> np.ndarray:
        """What each column adds, (n, d) → (n, d), float64."""
        a, b = self.medians
        return self._from_reconstruction(run, x) / a + self._from_others(x) / b

    def _from_reconstruction(self, run: Held, x: np.ndarray) -> np.ndarray:
        reconstruct = require(run.precise, Reconstruction).reconstruct
        return _shares(run.applied(lambda x: x - reconstruct(x), x) / self.unit)

    def _from_others(self, x: np.ndarray) -> np.ndarray:
        x = x / self.unit
        found = self.nearest.kneighbors(x, return_distance=False)
        return np.mean([_shares(x - self.known[place]) for place in found.T], axis=0)


def _shares(difference: np.ndarray) -> np.ndarray:
    """What each column of a difference, (n, d), adds to its length, (n, d)."""
    squares = np.square(difference)
    length = np.sqrt(squares.sum(1, keepdims=True))
    return np.divide(squares, length, out=np.zeros_like(squares), where=length > 0)
