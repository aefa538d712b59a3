"""What a training's samples are watched by, at a few ticks: the two-sample test and the collapse measures.

Samples are compared with validation rows; the classifier is fitted to training rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Autoregressive, supports
from plausible.data import Data, Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.collapse import Collapse, collapse
from plausible.metrics.resolution import resolution_of
from plausible.metrics.two_sample import FEWEST, TwoSample, two_sample

__all__ = ["Watched", "samples_needed", "watch_samples"]

ROWS, COLLAPSE_ROWS, SEED = 500, 256, 0
"""At most so many validation rows of the test, half of them to calibrate, and of the collapse measures."""
DEAR = 1 << 36
"""Multiplications, roughly, that sampling may cost; a model that takes more is not watched."""


@dataclass(frozen=True)
class Watched:
    """What was found: the test, None where there are too few rows; collapse; and an alarm in words, if there is one."""

    test: TwoSample | None
    collapse: Collapse | None
    alarm: str | None


def samples_needed(model: GenerativeModel, data: Data) -> int:
    """How many samples `watch_samples` takes; 0 where there are too few rows, or sampling takes too long.

    A model that samples one variable after the other runs its network once for each; another says how often by
    `passes`, where it is not once. Mixed tables are not watched: the test compares numbers.
    """
    if data.domain == "mixed":
        return 0
    half = min(ROWS, len(data.valid)) // 2
    tested = 3 * half if half >= FEWEST and len(data.train) >= half else 0
    n = max(tested, min(COLLAPSE_ROWS, len(data.valid)) if len(data.valid) >= FEWEST else 0)
    passes = math.prod(model.shape) if supports(model, Autoregressive) else getattr(model, "passes", 1)
    cost = n * passes * sum(parameter.numel() for parameter in model.parameters())
    return n if cost <= DEAR else 0


def watch_samples(samples: Tensor, data: Data) -> Watched:
    """Judge samples by validation rows.

    Args:
        samples: (n, *shape), as many as `samples_needed`.
        data: that they should be like.
    """
    if not bool(torch.isfinite(samples).all()):
        return Watched(None, None, "samples hold NaN or infinity")
    at = resolution_of(data.train.take(np.arange(min(2000, len(data.train))))[0], data.domain, data.shape)
    valid = at.examples(_some(data.valid, ROWS))
    half, test = len(valid) // 2, None
    if half >= FEWEST and len(samples) >= 3 * half:
        fit = at.examples(_some(data.train, half))
        test = two_sample(
            valid[half : 2 * half],
            at.examples(samples[: 3 * half]),
            SEED,
            train=fit,
            calibration=valid[:half],
        )
    try:
        found = collapse(at.examples(samples[:COLLAPSE_ROWS]), valid[:COLLAPSE_ROWS])
    except PlausibleError:  # fewer rows than it takes
        return Watched(test, None, None)
    return Watched(test, found, found.alarm)


def _some(rows: Rows, most: int) -> np.ndarray:
    """At most so many rows, in random order, the same at each call."""
    return rows.take(np.random.default_rng(SEED).permutation(len(rows))[:most])[0]
