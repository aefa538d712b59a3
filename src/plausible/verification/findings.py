"""A finding: a claim about a density, the number that decides it, and the tests that give such numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import chi2
from torch import Tensor

__all__ = ["Finding", "below", "chi2_p_value", "label", "largest", "likely", "near", "unclaimed"]

LEAST_P = 1e-6  # a true claim fails once in a million times


@dataclass(frozen=True)
class Finding:
    """One line of the table: a claim, and the number that decides it.

    Attributes:
        claim: what is said of the model.
        value: found; None: the model does not claim it.
        least: the claim holds from here …
        most: … to here.
        note: how it was found, or why it is not claimed.
        about: what was looked at: the run itself, or a twin.
    """

    claim: str
    value: float | None
    least: float
    most: float
    note: str = ""
    about: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds; None where there is none. A value that is not a number fails."""
        return None if self.value is None else self.least <= self.value <= self.most

    @property
    def bound(self) -> str:
        """What value is held against, in words: ≤ 1e-09, 1 ± 1e-06."""
        if math.isinf(self.most):
            return f"≥ {self.least:g}"
        if math.isinf(self.least):
            return f"≤ {self.most:g}"
        middle, half = (self.least + self.most) / 2, (self.most - self.least) / 2
        return f"{middle:g} ± {half:.3g}"

    def as_json(self) -> dict[str, Any]:
        """For `--json`: a number that is not finite as a string."""
        value = self.value if self.value is None or math.isfinite(self.value) else str(self.value)
        words = {"about": self.about, "claim": self.claim, "value": value, "bound": self.bound}
        return words | {"holds": self.holds, "note": self.note}


def near(claim: str, value: float, target: float, within: float, note: str = "") -> Finding:
    """The claim that a value is target ± within."""
    return Finding(claim, value, target - within, target + within, note)


def below(claim: str, value: float, most: float, note: str = "") -> Finding:
    """The claim that a value is at most `most`."""
    return Finding(claim, value, -math.inf, most, note)


def likely(claim: str, p: float, note: str = "") -> Finding:
    """The claim that a statistical test does not reject: its p-value is at least LEAST_P."""
    return Finding(claim, p, LEAST_P, math.inf, note)


def unclaimed(claim: str, why: str) -> Finding:
    """A claim that the model does not make."""
    return Finding(claim, None, -math.inf, math.inf, why)


def label(about: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings with what they are about."""
    return [replace(finding, about=about) for finding in findings]


def largest(before: float, differences: Tensor) -> float:
    """The larger of a number and of all |differences|; not a number if one of them is none."""
    if not differences.numel() or math.isnan(before):
        return before
    found = float(differences.detach().abs().max())
    return found if math.isnan(found) else max(before, found)


def chi2_p_value(found: np.ndarray | None, expected: np.ndarray) -> float:
    """Of Pearson's χ² of counts against probabilities; cells that expect fewer than 5 are pooled.

    0 where something was found whose probability is 0, or that is no cell at all (None).
    """
    if found is None or not np.isfinite(expected).all():
        return 0.0
    expected = expected * found.sum()
    if found[expected == 0].any():
        return 0.0
    rising = expected.argsort()
    found, expected = found[rising], expected[rising]
    small = int(np.searchsorted(expected, 5))
    if 0 < small < len(expected) and expected[:small].sum() < 5:
        small += 1  # what is pooled expects 5 as well
    cells = [np.append(each[small:], each[:small].sum()) if small else each for each in (found, expected)]
    if len(cells[1]) == 1:
        return 1.0
    return float(chi2.sf(((cells[0] - cells[1]) ** 2 / cells[1]).sum(), len(cells[1]) - 1))
