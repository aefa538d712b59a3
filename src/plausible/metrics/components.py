"""Principal components of the training rows, a space to take distances in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix, split_rows

__all__ = ["PrincipalComponents", "principal_components"]


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
