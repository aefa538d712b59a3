"""Functions of a model applied to rows, block by block: scores, codes, categories."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from plausible.data import Rows
from plausible.errors import PlausibleError
from plausible.game import Domain, GenerativeModel

__all__ = ["blockwise", "check_domain", "subset"]

ROWS, VALUES = 1000, 1 << 22
"""At most so many rows, and so many values of the data, are in memory at a time."""


def blockwise(
    function: Callable[[Tensor], Tensor], rows: Rows, seed: int, places: np.ndarray | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """(start, function(x)) of each block of rows, without gradients.

    Random numbers follow from (seed, start of the block); torch's random state is restored.

    Args:
        function: (B, *shape) → (B, …).
        rows: of the data.
        seed: random seed.
        places: indices of rows, in order; default all.
    """
    places = np.arange(len(rows)) if places is None else places
    size = max(1, min(ROWS, VALUES // math.prod(rows.shape)))
    for start in range(0, len(places), size):
        x = torch.from_numpy(rows.take(places[start : start + size])[0])
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            mixed = np.random.SeedSequence([seed % 2**64, start])
            torch.default_generator.manual_seed(int(mixed.generate_state(1)[0]))
            found = function(x).numpy()
        yield start, found


def subset(places: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the places, chosen at random by the seed, in order."""
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(seed).choice(places, most, replace=False))


def check_domain(model: GenerativeModel, domain: Domain, spec: str) -> None:
    """Refuse values that the model does not know.

    Raises:
        PlausibleError: data of another domain than the model's; the message says how to change that.
    """
    if model.domain != "real" and domain not in (model.domain, "binary"):
        fix = f"use the view {spec}:binary" if domain == "unit" else "give data of that domain"
        raise PlausibleError(f"the model knows {model.domain} data, but {spec} is {domain}: {fix}")
