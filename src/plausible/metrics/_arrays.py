"""What the array metrics share: reading an array or refusing it, and distances in blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError

__all__ = ["as_matrix", "distances", "rows_per_block", "split_rows"]


def as_matrix(name: str, value: Tensor | np.ndarray, *, width: int | None = None) -> Tensor:
    """(n, *shape) → (n, d) on the CPU, without a copy where none is needed.

    Raises PlausibleError, naming the argument, if it is no array of numbers, has no rows, no columns or a
    width other than `width` (that of the array it is compared with), or holds NaN or infinity.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "buif":
            raise PlausibleError(f"{name} has dtype {value.dtype}: pass an array of real numbers")
        value = torch.from_numpy(np.require(value, requirements=["C", "W"]))
    if not isinstance(value, Tensor):
        raise PlausibleError(
            f"{name} is a {type(value).__name__}: pass a tensor or an array of shape (n, ...)"
        )
    if value.is_complex():
        raise PlausibleError(f"{name} is complex: pass real numbers")
    if value.ndim == 0 or value.numel() == 0:
        raise PlausibleError(f"{name} has shape {tuple(value.shape)}: pass at least one row and one column")
    if value.dtype == torch.bool:
        value = value.to(torch.uint8)
    matrix = value.detach().cpu().reshape(len(value), -1)
    if width is not None and matrix.shape[1] != width:
        raise PlausibleError(
            f"{name} has {matrix.shape[1]} values a row where {width} are expected: "
            "compare arrays of the same shape (n, ...)"
        )
    if not all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(matrix)):
        row = int(torch.nonzero(~torch.isfinite(matrix).all(1))[0])
        raise PlausibleError(f"{name} holds NaN or infinity, first in row {row}: remove or repair such rows")
    return matrix


WORKING_SET = 16 * 2**20  # bytes of one block of distances


def distances(a: Tensor, b: Tensor, *, exact: bool = True) -> Tensor:
    """Euclidean distances, (n, d), (m, d) → (n, m).

    By differences, so that ties stay ties; or, if not `exact`, by a matrix product: several times as fast, and off by
    about 1e-8 of the rows' norms in float64.
    """
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    return torch.cdist(a, b, compute_mode=mode)


def rows_per_block(columns: int) -> int:
    """Rows of float64 with so many columns that fit WORKING_SET bytes."""
    return max(1, WORKING_SET // (8 * columns))


def split_rows(matrix: Tensor) -> tuple[Tensor, ...]:
    """Slices of rows whose float64 copy takes at most WORKING_SET bytes."""
    return matrix.split(rows_per_block(matrix.shape[1]))
