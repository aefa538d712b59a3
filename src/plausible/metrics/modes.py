"""Modes found and the share of good samples, for mixtures whose modes are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.data import MIXTURES
from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix, distances, rows_per_block
from plausible.metrics.registry import Result, Subject, metric

__all__ = ["ModeCoverage", "measure_modes", "mode_coverage"]


def has_known_modes(subject: Subject) -> None:
    """The data are a mixture whose modes are known."""
    if subject.data.base not in MIXTURES:
        raise PlausibleError(
            f"modes can only be counted where they are known: {', '.join(MIXTURES)}, not {subject.data.spec}"
        )


@metric("modes", needs=(has_known_modes,), reads=())
def measure_modes(subject: Subject) -> list[Result]:
    """Modes found and share of good samples, for `ring` and `grid`, by PacGAN's definition."""
    found = mode_coverage(subject.samples, *MIXTURES[str(subject.data.base)])
    details = {"modes": found.total, "samples": found.samples}
    note = "A mode counts as found when at least one sample lies within 3σ of it; such samples are of high quality."
    return [
        Result("modes", found.modes, unit=f"of {found.total}", details=details, note=note),
        Result("high quality", found.high_quality, unit="share", details=details, note=note),
    ]


@dataclass(frozen=True)
class ModeCoverage:
    """modes covered of `total`; high_quality, the share of samples within 3σ of a mode; counts of those per mode."""

    modes: int
    total: int
    high_quality: float
    counts: tuple[int, ...]
    samples: int


def mode_coverage(samples: Tensor | np.ndarray, centres: Tensor | np.ndarray, sigma: float) -> ModeCoverage:
    """Modes found and share of good samples, for samples (n, d) and a mixture of N(centre, σ² I), centres (m, d).

    By PacGAN's code (`MetricLogger` in github.com/fjxmlzn/PacGAN): a sample belongs to its nearest centre and is
    of high quality if it is nearer than 3σ to it; a mode is covered if at least one high-quality sample
    belongs to it. So even true samples are not all of high quality: 1 − exp(−9/2) = .98889 of them in two dimensions.
    PacGAN's ring has σ = .01, its grid .05. Raises PlausibleError for NaN, unequal widths, σ ≤ 0. Cost: n·m·d.
    """
    if not 0 < sigma < math.inf:
        raise PlausibleError(f"sigma must be positive and finite, got {sigma}: it is the width of one mode")
    centres = as_matrix("centres", centres).double()
    samples = as_matrix("samples", samples, width=centres.shape[1])
    counts = torch.zeros(len(centres), dtype=torch.int64)
    for part in samples.split(rows_per_block(max(centres.shape))):
        nearest, modes = distances(part.double(), centres).min(1)
        counts += torch.bincount(modes[nearest < 3 * sigma], minlength=len(centres))
    return ModeCoverage(
        modes=int((counts > 0).sum()),
        total=len(centres),
        high_quality=int(counts.sum()) / len(samples),
        counts=tuple(counts.tolist()),
        samples=len(samples),
    )
