"""How two columns of a table go together, in one number between 0 and 1, whatever their types.

| columns | number |
|---|---|
| two of numbers | abs of Spearman's rank correlation |
| two of levels | Cramér's V = √(χ²/(n·(min(K, L) − 1))), of the contingency table |
| one of each | the correlation ratio of the ranks, η = √(variance between the levels / variance) |

Rows where either cell is missing are left out. A column that is constant in what is left has no association: 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

__all__ = ["association", "associations"]


def associations(x: np.ndarray, levels: Sequence[int]) -> np.ndarray:
    """Of every pair of columns, (D, D), symmetric, with ones on the diagonal.

    Args:
        x: rows, (n, D), NaN where a cell is missing.
        levels: the number of levels of each column, 0 for numbers.
    """
    found = np.eye(x.shape[1])
    for i in range(x.shape[1]):
        for j in range(i):
            found[i, j] = found[j, i] = association(x[:, i], x[:, j], (levels[i] > 0, levels[j] > 0))
    return found


def association(a: np.ndarray, b: np.ndarray, is_level: tuple[bool, bool]) -> float:
    """Of two columns, (n,) each, of which some are of levels."""
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    if is_level == (True, True):
        return _cramers_v(a, b)
    if is_level == (False, False):
        return float(abs(np.corrcoef(rankdata(a), rankdata(b))[0, 1]))
    return _correlation_ratio(a, b) if is_level[0] else _correlation_ratio(b, a)


def _cramers_v(a: np.ndarray, b: np.ndarray) -> float:
    (rows, i), (columns, j) = np.unique(a, return_inverse=True), np.unique(b, return_inverse=True)
    counts = np.bincount(i * len(columns) + j, minlength=len(rows) * len(columns)).reshape(len(rows), -1)
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / len(a)
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float(np.sqrt(statistic / (len(a) * (min(counts.shape) - 1))))


def _correlation_ratio(level: np.ndarray, number: np.ndarray) -> float:
    ranks = rankdata(number)
    _, of = np.unique(level, return_inverse=True)
    counts = np.bincount(of)
    means = np.bincount(of, ranks) / counts
    return float(np.sqrt((counts * (means - ranks.mean()) ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum()))
