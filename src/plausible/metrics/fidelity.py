"""How real the samples look and how much of the real data they cover: on features of our own, and on raw values.

`fidelity` compares as many samples as test rows, at most 5,000, on the features of `feature_network`, by KID and
Fréchet distance (`kernel_distance`), 1-NN accuracy, precision, recall, density and coverage (`neighbours`). Beside
each figure stand its 95 % interval, the same figure of other real rows (`floor`) and that of samples whose values are
drawn independently of each other from the training rows' marginals (`independent`), all at equal counts.

`fidelity-pixels` is the same by neighbours on raw values or their principal components. There noise and blur can raise
density and precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data
from plausible.metrics.components import PrincipalComponents, principal_components
from plausible.metrics.feature_network import FEATURES, feature_network
from plausible.metrics.kernel_distance import frechet_distance, kernel_distance
from plausible.metrics.neighbours import Fidelity, fidelity
from plausible.metrics.registry import Result, Subject, metric

__all__ = [
    "Compared",
    "Fidelity",
    "PrincipalComponents",
    "at_data_levels",
    "compared_rows",
    "fidelity",
    "independent_rows",
    "measure_fidelity",
    "measure_pixel_fidelity",
    "principal_components",
]

COMPONENTS = 50
"""Principal components that distances between raw values are taken in, where the data have more values."""
K = 5
ROWS = 5000
"""Rows of each kind that are compared on features, at most: time grows with their square, and all metrics that are
computed by default share a minute."""
SEED = 1
FIGURES: Mapping[str, tuple[str, str, bool | None]] = {
    "nearest": ("1-NN accuracy", "share", None),
    "density": ("density", "", True),
    "coverage": ("coverage", "share", True),
    "precision": ("precision", "share", True),
    "recall": ("recall", "share", True),
}
"""Field of `Fidelity` → its name, unit, and whether higher is better."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Equally many rows of four kinds, (n, *shape) each.

    Attributes:
        real: test rows, chosen at random by a fixed seed.
        samples: the first n, rounded to the levels that the data have.
        other: real rows that are none of `real`: validation rows first, then the remaining test rows.
        independent: every value drawn, by itself, from a random training row.
    """

    real: Tensor
    samples: Tensor
    other: Tensor
    independent: Tensor


def compared_rows(subject: Subject, most: int | None = None) -> Compared:
    """The rows that figures of a subject are computed from: as many as possible of each kind, at equal counts.

    Args:
        subject: with its samples and data.
        most: of each kind, at most; None for all.
    """
    data = subject.data
    samples, rng = subject.samples, np.random.default_rng(SEED)
    n = min(len(samples), len(data.test), (len(data.valid) + len(data.test)) // 2)
    n = n if most is None else min(n, most)
    test, valid = rng.permutation(len(data.test)), rng.permutation(len(data.valid))[:n]
    real, rest = (
        torch.from_numpy(data.test.take(rows)[0]) for rows in (test[:n], test[n : 2 * n - len(valid)])
    )
    other = torch.cat([torch.from_numpy(data.valid.take(valid)[0]), rest])
    return Compared(real, at_data_levels(samples[:n], data), other, independent_rows(data, n))


def independent_rows(data: Data, n: int, seed: int = SEED) -> Tensor:
    """Rows of independent marginals, (n, *shape): every value is that of a training row drawn for it alone."""
    train = data.train.array().reshape(len(data.train), -1)
    rows = np.random.default_rng(seed).integers(len(train), size=(n, train.shape[1]))
    return torch.from_numpy(np.take_along_axis(train, rows, axis=0)).unflatten(1, data.shape)


def at_data_levels(samples: Tensor, data: Data) -> Tensor:
    """Samples rounded to the values that the data can have: grey levels, or whole numbers in columns of integers.

    Otherwise the digits behind the comma alone would tell samples from data.
    """
    schema = data.schema
    if data.domain == "unit" and schema.scale != 1:
        return (samples * schema.scale).round().clamp(0, schema.scale) / schema.scale
    if data.domain == "real" and schema.columns:
        whole = torch.tensor(["int" in column.dtype.lower() for column in schema.columns])
        return torch.where(whole, samples.round(), samples)
    return samples


@metric("fidelity", reads=("train", "valid", "test"))
def measure_fidelity(subject: Subject) -> list[Result]:
    """KID, Fréchet distance, 1-NN accuracy, density, coverage, precision and recall on features of our own."""
    network, rows = feature_network(subject.data), compared_rows(subject, ROWS)
    real, samples, other, independent = (
        network.features(getattr(rows, name), name) for name in ("real", "samples", "other", "independent")
    )
    details = {
        "features": network.digest,
        "real": len(real),
        "samples": len(samples),
        "network": f"{FEATURES} features, trained on {len(subject.data.train):,} training rows",
    }
    note = _NOTE.format(n=len(real), k=K, digest=network.digest)
    return [
        *_distances(real, samples, other, independent, details, note),
        *_neighbours(real, samples, other, independent, details, "", note, exact=False),
    ]


_NOTE = (
    "Compared on {n:,} test rows and as many samples, in the features ({digest}) of a small network that was trained "
    "on the training rows to name the class, the damage done to a row, and its content. KID and Fréchet distance: how "
    "far the two sets lie apart (not comparable with published figures, which use another network). 1-NN "
    "accuracy: how often a row's nearest neighbour is of its own kind; 0.5 is best, 1 means that samples lie "
    "apart. Density: how often samples fall close to real rows (k = {k}); coverage: the share of real rows with a "
    "sample close by; precision and recall are their stricter relatives. Real: other real rows in place of the "
    "samples. Indep.: samples without any dependence between values. Compare only figures with the same "
    "features and counts."
)


def _distances(
    real: Tensor, samples: Tensor, other: Tensor, independent: Tensor, details: Mapping[str, Any], note: str
) -> list[Result]:
    """KID and Fréchet distance."""
    results = []
    for name, distance in {"KID": kernel_distance, "Fréchet distance": frechet_distance}.items():
        found = distance(real, samples)
        low, high = found.interval
        results.append(
            Result(
                name,
                found.value,
                higher_is_better=False,
                details=details,
                note=note,
                interval=(max(0.0, low), high) if name != "KID" else (low, high),
                floor=distance(real, other).value,
                independent=distance(real, independent).value,
            )
        )
    return results


def _neighbours(
    real: Tensor,
    samples: Tensor,
    other: Tensor,
    independent: Tensor,
    details: Mapping[str, Any],
    suffix: str,
    note: str,
    *,
    exact: bool,
) -> list[Result]:
    """1-NN accuracy, density, coverage, precision and recall."""
    found, floor, without = (
        fidelity(real, fake, K, details["features"], exact=exact, errors=fake is samples)
        for fake in (samples, other, independent)
    )
    return [
        Result(
            name + suffix,
            getattr(found, field),
            unit=unit,
            higher_is_better=better,
            details={**details, "k": K},
            note=note,
            interval=found.interval(field),
            floor=getattr(floor, field),
            independent=getattr(without, field),
        )
        for field, (name, unit, better) in FIGURES.items()
    ]


@metric("fidelity-pixels", default=False, reads=("train", "valid", "test"))
def measure_pixel_fidelity(subject: Subject) -> list[Result]:
    """1-NN accuracy, density, coverage, precision and recall on raw values or their principal components."""
    rows = compared_rows(subject)
    train = torch.from_numpy(subject.data.train.array()).flatten(1)
    project, space = _raw_space(train, subject.data.domain)
    real, samples, other, independent = (
        project(getattr(rows, name)) for name in ("real", "samples", "other", "independent")
    )
    details = {"features": space, "real": len(real), "samples": len(samples)}
    note = (
        f"Nearest neighbours (k = {K}) among {len(real):,} test rows and as many samples, on {space}. This space "
        "has blind spots: noise that its axes leave out is not seen, and blurred samples lie in the middle of the real "
        "rows, so that either can raise density and precision above those of real rows. Prefer --metrics fidelity."
    )
    suffix = ", pixels" if len(subject.data.shape) == 3 else ", values"
    return _neighbours(real, samples, other, independent, details, suffix, note, exact=True)


def _raw_space(train: Tensor, domain: str) -> tuple[Callable[[Tensor], Tensor], str]:
    """The map to where distances are taken, and what to call it."""
    if train.shape[1] > COMPONENTS:
        components = principal_components(train, COMPONENTS)
        name = f"the first {COMPONENTS} principal components of the training rows"
        return lambda x: components(x.flatten(1)), name
    if domain == "real":
        mean, scale = train.mean(0), train.std(0).clamp_min(1e-12)
        return lambda x: (x.flatten(1) - mean) / scale, "the columns, standardised by the training rows"
    return lambda x: x.flatten(1), "the values themselves"
