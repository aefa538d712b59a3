"""From scores to decisions: conformal p-values, false-discovery control, and a warning where likelihood misleads."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import false_discovery_control

from plausible.errors import PlausibleError

__all__ = ["conformal_p_values", "discoveries", "fewest_discoveries", "is_far_above"]


def conformal_p_values(scores: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """p = (1 + #{valid scores ≤ score}) / (n_valid + 1), (n,), float64.

    If a row and the validation rows are exchangeable, P(p ≤ α) ≤ α for every α. Ties count towards p: a row that
    scores the same as a validation row is taken to be no less plausible than it. The smallest p is 1/(n_valid + 1).
    Source: Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random World*, 2005; Laxhammar & Falkman, 2015.

    Args:
        scores: (n,), higher is more plausible; −∞ is allowed.
        valid: scores of the validation rows, (n_valid,).

    Raises:
        PlausibleError: no validation scores, or a score that is NaN.
    """
    if not len(valid):
        raise PlausibleError(
            "p-values need validation rows, and there are none: give data with a valid split"
        )
    if np.isnan(scores).any() or np.isnan(valid).any():
        raise PlausibleError("p-values need scores that are numbers, and one is NaN")
    below = np.searchsorted(np.sort(valid), scores, side="right")
    return (1 + below) / (len(valid) + 1)


def discoveries(p_values: np.ndarray, rate: float) -> np.ndarray:
    """The rows that Benjamini and Hochberg's procedure marks, (n,), bool.

    The expected share of ordinary rows among those marked is at most `rate`; it holds for conformal p-values too,
    though these share their validation rows (Bates et al., *Testing for Outliers with Conformal p-values*, 2023).

    Args:
        p_values: (n,).
        rate: the false-discovery rate, in (0, 1).

    Raises:
        PlausibleError: another rate.
    """
    if not 0 < rate < 1:
        raise PlausibleError(f"--fdr must be between 0 and 1, such as 0.1, not {rate:g}")
    return false_discovery_control(p_values, method="bh") <= rate


def fewest_discoveries(rows: int, valid: int, rate: float) -> int:
    """The number of rows that must be marked together for any to be marked: ⌈rows / (rate·(valid + 1))⌉.

    No p is below 1/(valid + 1), and k marked rows need p ≤ k·rate/rows.
    """
    return max(1, math.ceil(rows / (rate * (valid + 1)) - 1e-9))


def is_far_above(scores: np.ndarray, valid: np.ndarray) -> bool:
    """Whether the mean log p of rows exceeds that of validation rows by far.

    By more than the standard deviation over the validation rows, and by more than five standard errors of the mean.
    """
    inside = valid[np.isfinite(valid)]
    if len(inside) < 2 or not len(scores):
        return False
    deviation = float(inside.std(ddof=1, dtype=np.float64))
    above = float(scores.mean(dtype=np.float64)) - float(inside.mean(dtype=np.float64))
    return above > deviation * max(1.0, 5 / math.sqrt(len(scores)))
