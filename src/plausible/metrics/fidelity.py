"""How real the samples look and how much of the real data they cover, by nearest neighbours.

With B(a, r) the open ball and r_k(a) the distance from a to its k-th nearest neighbour in its own set
(itself not counted):

    precision = share of fake f  in some  B(real, r_k(real))
    recall    = share of real r  in some  B(fake, r_k(fake))          Kynkäänniemi et al. 2019
    density   = 1/(k·fakes) Σ_f #{real r: f in B(r, r_k(r))}
    coverage  = share of real r  with a fake in  B(r, r_k(r))         Naeem et al. 2020, whose code is `prdc`

All four depend on the space the distances are taken in, so that space is part of the result (`features`).
`principal_components` makes the default one: the first 50 principal components of the training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix, distances, rows_per_block, split_rows
from plausible.metrics.registry import Result, Subject, metric

__all__ = ["Fidelity", "PrincipalComponents", "fidelity", "measure_fidelity", "principal_components"]

COMPONENTS = 50
"""Principal components that distances are taken in, where the data have more values."""
K = 5


@metric("fidelity", reads=("train", "test"))
def measure_fidelity(subject: Subject) -> list[Result]:
    """Density, coverage, precision and recall, k = 5, of as many samples as there are test rows."""
    train, real = subject.data.train.array(), subject.data.test.array()
    n = min(len(real), len(subject.samples))
    project, features = _feature_space(torch.from_numpy(train).flatten(1), subject.data.domain)
    found = fidelity(project(torch.from_numpy(real[:n])), project(subject.samples[:n]), K, features)
    details = {"k": found.k, "real": found.n_real, "samples": found.n_fake, "features": found.features}
    note = (
        f"Nearest neighbours (k = {K}) among {n:,} test rows and as many samples, on {features}. Density: how often "
        "samples fall close to real rows (real against real: 1); coverage: the share of real rows with a sample close "
        "by; precision and recall are their stricter relatives, sensitive to outliers. Small sets make all four noisy."
    )
    units = {"density": "", "coverage": "share", "precision": "share", "recall": "share"}
    return [
        Result(name, getattr(found, name), unit=unit, details=details, note=note)
        for name, unit in units.items()
    ]


def _feature_space(train: Tensor, domain: str) -> tuple[Callable[[Tensor], Tensor], str]:
    """The map to where distances are taken, and what to call it."""
    if train.shape[1] > COMPONENTS:
        components = principal_components(train, COMPONENTS)
        name = f"the first {COMPONENTS} principal components of the training rows"
        return lambda x: components(x.flatten(1)), name
    if domain == "real":
        mean, scale = train.mean(0), train.std(0).clamp_min(1e-12)
        return lambda x: (x.flatten(1) - mean) / scale, "the columns, standardised by the training rows"
    return lambda x: x.flatten(1), "the values themselves"


@dataclass(frozen=True)
class Fidelity:
    """Precision, recall and coverage in [0, 1], density ≥ 0; identical distributions have density 1 in expectation."""

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    n_real: int
    n_fake: int
    features: str


def fidelity(
    real: Tensor | np.ndarray, fake: Tensor | np.ndarray, k: int = 5, features: str = "raw values"
) -> Fidelity:
    """Improved precision and recall, density and coverage of fake (m, *shape) against real (n, *shape).

    Take as many fake as real rows. With unequal numbers nothing fails, but balls are smaller around the larger
    set: more fakes raise coverage and lower recall, more reals lower precision; density does not depend on the
    number of fakes, in expectation. Compare only figures with equal k, n, m and features.

    Even perfect samples do not reach 1: for real and fake of one distribution, n = m, expected coverage is
    1 − Πᵢ₌₁ᵏ (n − i)/(2n − i), .96877 for n = 10,000 and k = 5.

    `features` names the space, for the record. A fake exactly on a ball's edge is outside it, as in `prdc`; so
    exact copies of real rows count, unless k other real rows coincide with the copied one.

    Raises PlausibleError for NaN, emptiness, unequal widths and sets of k rows or fewer.
    Cost: (n + m)² differences of d numbers in float64, about 1.2 s per 10⁸ pairs at d = 50 and 36 s at d = 784
    on one thread: project first. Differences, not a matrix product, so that ties stay ties.
    """
    real = as_matrix("real", real).double()
    fake = as_matrix("fake", fake, width=real.shape[1]).double()
    if k < 1 or min(len(real), len(fake)) <= k:
        raise PlausibleError(
            f"k = {k} needs 1 ≤ k and more than k rows in each set, got {len(real)} real and {len(fake)} fake: "
            "take more samples or lower k"
        )
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    in_real_balls = torch.zeros(len(fake), dtype=torch.int64)  # of how many reals each fake lies in the ball
    recalled = covered = 0
    step = rows_per_block(len(fake))
    for rows, radii in zip(real.split(step), real_radii.split(step), strict=True):
        to_fakes = distances(rows, fake)
        inside = to_fakes < radii[:, None]
        in_real_balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((to_fakes < fake_radii).any(1).sum())
    return Fidelity(
        precision=int((in_real_balls > 0).sum()) / len(fake),
        recall=recalled / len(real),
        density=int(in_real_balls.sum()) / (k * len(fake)),
        coverage=covered / len(real),
        k=k,
        n_real=len(real),
        n_fake=len(fake),
        features=features,
    )


def _radii(rows: Tensor, k: int) -> Tensor:
    """Distance of each row to its k-th nearest neighbour among the others, (n,)."""
    blocks = rows.split(rows_per_block(len(rows)))
    smallest = [distances(block, rows).topk(k + 1, largest=False).values[:, k] for block in blocks]
    return torch.cat(smallest)  # the smallest of the k + 1 is the row itself, at 0


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Projection on the leading eigenvectors of a covariance: (x − mean) @ componentsᵀ.

    mean (d,), components (k, d), orthonormal rows by falling variance, all float64; explained is the share of
    the total variance they carry; rows is how many rows they were found on.
    """

    mean: Tensor
    components: Tensor
    explained: float
    rows: int

    def __call__(self, x: Tensor | np.ndarray) -> Tensor:
        """(n, *shape) → (n, k), float64; raises PlausibleError for NaN or another width than the training rows'."""
        matrix = as_matrix("x", x, width=len(self.mean))
        return torch.cat([(part.double() - self.mean) @ self.components.T for part in split_rows(matrix)])

    def __str__(self) -> str:
        return (
            f"first {len(self.components)} principal components of {self.rows:,} training rows "
            f"({self.explained:.1%} of the variance)"
        )


def principal_components(train: Tensor | np.ndarray, k: int = 50) -> PrincipalComponents:
    """The first min(k, d) principal components of train (n, *shape): no sampling, no iteration, float64.

    Eigenvectors of the whole covariance 1/n Σ (x − x̄)(x − x̄)ᵀ, each signed so that its largest entry is positive.
    `str()` of the result says what it is: pass it to `fidelity` as `features`.
    Raises PlausibleError for NaN, fewer than two rows, k < 1. Cost: n·d² + O(d³) flops, 3·d² float64 of memory.
    """
    matrix = as_matrix("train", train)
    if k < 1 or len(matrix) < 2:
        raise PlausibleError(
            f"principal components need k ≥ 1 and two rows of train, got k = {k} and {len(matrix)}"
        )
    d = matrix.shape[1]
    mean, covariance = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    for part in split_rows(matrix):
        mean += part.double().sum(0) / len(matrix)
    for part in split_rows(matrix):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred)
    variances, vectors = torch.linalg.eigh(covariance / len(matrix))
    components = vectors[:, -min(k, d) :].flip(1).T.contiguous()
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    kept, total = variances[-min(k, d) :].sum().item(), variances.sum().item()
    return PrincipalComponents(
        mean, components * largest.sign(), explained=kept / total if total > 0 else 1.0, rows=len(matrix)
    )
