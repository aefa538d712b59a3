"""How real the samples look and how much of the real data they cover, by nearest neighbours.

With B(a, r) the open ball and r_k(a) the distance from a to its k-th nearest neighbour in its own set
(itself not counted):

    precision = share of fake f  in some  B(real, r_k(real))
    recall    = share of real r  in some  B(fake, r_k(fake))          Kynkäänniemi et al. 2019
    density   = 1/(k·fakes) Σ_f #{real r: f in B(r, r_k(r))}
    coverage  = share of real r  with a fake in  B(r, r_k(r))         Naeem et al. 2020, whose code is `prdc`

All four depend on the space the distances are taken in, so that space is part of the result (`features`).
`principal_components` makes the default one: the first 50 principal components of the training rows.
`mode_coverage` is for mixtures whose modes are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix

WORKING_SET = 16 * 2**20  # bytes of one block of distances


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
            "draw more samples or lower k"
        )
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    in_real_balls = torch.zeros(len(fake), dtype=torch.int64)  # of how many reals each fake lies in the ball
    recalled = covered = 0
    step = _rows_per_block(len(fake))
    for rows, radii in zip(real.split(step), real_radii.split(step), strict=True):
        distances = _distances(rows, fake)
        inside = distances < radii[:, None]
        in_real_balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distances < fake_radii).any(1).sum())
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
    blocks = rows.split(_rows_per_block(len(rows)))
    smallest = [_distances(block, rows).topk(k + 1, largest=False).values[:, k] for block in blocks]
    return torch.cat(smallest)  # the smallest of the k + 1 is the row itself, at 0


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _rows_per_block(columns: int) -> int:
    return max(1, WORKING_SET // (8 * columns))


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
        return torch.cat([(part.double() - self.mean) @ self.components.T for part in _parts(matrix)])

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
    for part in _parts(matrix):
        mean += part.double().sum(0) / len(matrix)
    for part in _parts(matrix):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred)
    variances, vectors = torch.linalg.eigh(covariance / len(matrix))
    components = vectors[:, -min(k, d) :].flip(1).T.contiguous()
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    kept, total = variances[-min(k, d) :].sum().item(), variances.sum().item()
    return PrincipalComponents(
        mean, components * largest.sign(), explained=kept / total if total > 0 else 1.0, rows=len(matrix)
    )


def _parts(matrix: Tensor) -> tuple[Tensor, ...]:
    """Slices of rows whose float64 copy takes at most WORKING_SET bytes."""
    return matrix.split(_rows_per_block(matrix.shape[1]))


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
    for part in samples.split(_rows_per_block(max(centres.shape))):
        distances, modes = _distances(part.double(), centres).min(1)
        counts += torch.bincount(modes[distances < 3 * sigma], minlength=len(centres))
    return ModeCoverage(
        modes=int((counts > 0).sum()),
        total=len(centres),
        high_quality=int(counts.sum()) / len(samples),
        counts=tuple(counts.tolist()),
        samples=len(samples),
    )
