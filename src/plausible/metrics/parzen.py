"""Parzen-window log-likelihood, by the protocol of the GAN paper (Goodfellow et al. 2014, §5).

    p(x) = 1/n Σᵢ N(x; sᵢ, σ² I)
    log p(x) = logsumexpᵢ(−‖x − sᵢ‖² / 2σ²) − log n − d·log(σ√2π)                                [nats]

σ is the one of `SIGMAS` with the highest mean log-likelihood on validation rows; the figure is the mean over
the test rows ± its standard error. Source: the authors' `parzen_ll.py` (github.com/goodfeli/adversarial).

That script broadcasts (rows, n, d) differences. Here ‖x − s‖² = ‖x‖² + ‖s‖² − 2 x·s, a matrix product, over
blocks that fit `WORKING_SET` bytes whatever the sizes. What that formula loses to cancellation is won back:

- the samples' mean is subtracted first, in float64 (distances do not change, norms shrink);
- the product is summed in pieces of `_PIECE` columns starting from ‖s‖², ‖s‖² is carried as two floats, and
  ‖x‖² is added last, in float64;
- a float32 row whose error could still pass `TOLERANCE` (by an estimate and by a spot check of its nearest
  sample, see `_float32_error`) is computed again in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix
from plausible.metrics.needs import values_in
from plausible.metrics.registry import Result, Subject, metric

__all__ = ["NOTE", "SIGMAS", "Parzen", "measure_parzen", "parzen", "parzen_log_likelihood", "parzen_rows"]

NOTE = (
    "A Parzen-window log-likelihood scores a Gaussian mixture centred on the samples, not the model that made "
    "them. Parzen estimate, true likelihood and sample quality are largely independent (Theis, van den Oord & "
    "Bethge 2016): on MNIST we computed 334.66 for 10,000 k-means centroids and 242.50 for 10,000 real images. "
    "Compare only numbers with the same number of samples and the same pixel range, here [0, 1]; read it beside "
    "other metrics, never alone."
)
SIGMAS: tuple[float, ...] = tuple(np.logspace(-1, 0, 10).tolist())  # the authors' grid
TOLERANCE = 1e-3  # nats a row: float32 may differ from float64 by this much
WORKING_SET = 40 * 2**20  # bytes of all blocks together
_PIECE = 196  # columns summed in one go: shorter sums round less; from 98 to 392 cost the same
_UNDERFLOW = (
    -80.0
)  # exp(−80) = 2e-35 of the largest term adds nothing; below −87 float32's exp was 17 × slower
_ERROR_CONSTANT = 2.5  # see _float32_error


@dataclass(frozen=True, eq=False)
class Parzen:
    """A Parzen-window log-likelihood [nats a row]; read `NOTE` before quoting it.

    mean ± standard_error over the test rows; σ and the grid it was chosen from; the number of samples, of
    validation and of test rows; per_example (test,), float64.
    """

    mean: float
    standard_error: float
    sigma: float
    sigmas: tuple[float, ...]
    samples: int
    valid: int
    test: int
    per_example: Tensor

    @property
    def sigma_at_edge(self) -> bool:
        """σ is the smallest or largest of its grid: a better one may lie outside, widen `sigmas`."""
        return len(self.sigmas) > 1 and self.sigma in (min(self.sigmas), max(self.sigmas))


@metric("parzen", needs=(values_in("unit", "binary"),), reads=("valid", "test"))
def measure_parzen(subject: Subject) -> list[Result]:
    """Parzen-window log-likelihood of the test rows by the GAN authors' protocol; pixels in [0, 1]."""
    found = parzen(subject.samples, parzen_rows(subject.data), subject.data.test.array())
    edge = " σ is at the edge of the grid: a better one may lie outside." if found.sigma_at_edge else ""
    return [
        Result(
            "parzen",
            found.mean,
            found.standard_error,
            "standard error over test rows",
            "nats",
            details={
                "sigma": found.sigma,
                "samples": found.samples,
                "valid": found.valid,
                "test": found.test,
            },
            note=NOTE + edge,
        )
    ]


def parzen_rows(data: Data) -> np.ndarray:
    """The validation rows that σ is chosen on: the first 1,000, as in the paper."""
    return data.valid.take(np.arange(min(1000, len(data.valid))))[0]


def parzen(
    samples: Tensor | np.ndarray,
    valid: Tensor | np.ndarray,
    test: Tensor | np.ndarray,
    sigmas: Sequence[float] = SIGMAS,
    dtype: torch.dtype = torch.float32,
) -> Parzen:
    """Choose σ on `valid`, report the mean log-likelihood of `test` ± std/√(test rows) [nats].

    samples, valid, test: (n, *shape), flattened. The paper's protocol is 10,000 samples, the first 1,000
    images of MNIST's train[50000:60000] and the 10,000 test images, pixels in [0, 1]. As in the authors'
    script the first of equally good σ wins, and std is that of the rows (divisor n, not n − 1).

    Raises PlausibleError for NaN, emptiness, unequal widths, σ ≤ 0, or another dtype than float32 or float64.
    Cost: 2·d·samples·(valid + test) flops and samples·(len(sigmas)·valid + test) exponentials; the distances
    on valid are computed once for all σ.
    """
    grid = _widths(sigmas)
    samples = as_matrix("samples", samples)
    valid = as_matrix("valid", valid, width=samples.shape[1])
    test = as_matrix("test", test, width=samples.shape[1])
    sigma = grid[int(np.argmax(_log_densities(samples, valid, grid, dtype).mean(0).numpy()))]
    scores = _log_densities(samples, test, (sigma,), dtype)[:, 0]
    return Parzen(
        mean=scores.mean().item(),
        standard_error=scores.std(correction=0).item() / math.sqrt(len(scores)),
        sigma=sigma,
        sigmas=grid,
        samples=len(samples),
        valid=len(valid),
        test=len(test),
        per_example=scores,
    )


def parzen_log_likelihood(
    samples: Tensor | np.ndarray,
    x: Tensor | np.ndarray,
    sigma: float,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """log 1/n Σᵢ N(x; sᵢ, σ² I) for each row of x: (len(x),) float64 on the CPU [nats].

    samples (n, *shape), x (m, *shape). `dtype` is that of the distances; float32 keeps within `TOLERANCE` of
    float64, at about half its cost. Raises PlausibleError as `parzen` does. Cost: 2·n·m·d flops.
    """
    (sigma,) = _widths([sigma])
    samples = as_matrix("samples", samples)
    x = as_matrix("x", x, width=samples.shape[1])
    return _log_densities(samples, x, (sigma,), dtype)[:, 0]


def _widths(sigmas: Sequence[float]) -> tuple[float, ...]:
    grid = tuple(float(sigma) for sigma in sigmas)
    if not grid or not all(0 < sigma < math.inf for sigma in grid):
        raise PlausibleError(
            f"sigma must be positive and finite, got {list(grid)}: the paper's grid is .1 to 1"
        )
    return grid


def _log_densities(samples: Tensor, x: Tensor, sigmas: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """(len(x), len(sigmas)), float64; in float32 the rows of doubtful accuracy are done again in float64."""
    if dtype not in (torch.float32, torch.float64):
        raise PlausibleError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
    widths = torch.tensor(sigmas, dtype=torch.float64)
    rates = 1 / (2 * widths.square())
    mean = _mean(samples)
    kernels, nearest, norms = _log_mean_kernels(samples, x, mean, rates, dtype)
    if dtype == torch.float32:
        error = _float32_error(samples, x, nearest, norms) * rates.max()
        doubtful = torch.nonzero(~(error <= TOLERANCE))[:, 0]  # NaN is doubtful
        for rows in doubtful.split(_block(x.shape[1], torch.float64)):
            kernels[rows] = _log_mean_kernels(samples, x[rows], mean, rates, torch.float64)[0]
    if not torch.isfinite(kernels).all():
        raise PlausibleError(
            "the log-density overflows: bring the data to unit scale, or take a larger sigma"
        )
    return kernels - x.shape[1] * torch.log(widths * math.sqrt(2 * math.pi))


def _float32_error(samples: Tensor, x: Tensor, nearest: tuple[Tensor, Tensor], norms: Tensor) -> Tensor:
    """What the float32 squared distances may be off by, for the samples that matter to each row, (m,).

    nearest: the smallest ‖x − s‖² of each row as float32 found it, and which sample that is; norms: ‖x‖².
    The larger of c·2⁻²⁴·(‖x‖² + (‖x‖ + ‖x − s‖)²), an estimate for roundings of either sign, and twice the
    error found by computing the nearest distance again from differences, which shows roundings of one sign
    (flat images). c is measured, not proved: 1.9 is the most seen on MNIST (real, noisy and averaged images as
    samples). A proven bound would be some 50 times wider and send every row to float64. Cost: m·d.
    """
    found, which = nearest
    estimate = norms + (norms.sqrt() + found.clamp(min=0).sqrt()).square()
    exact = torch.empty_like(found)
    for rows in torch.arange(len(x)).split(_slice(x.shape[1])):
        exact[rows] = (x[rows].double() - samples[which[rows]]).square().sum(1)
    return torch.maximum(_ERROR_CONSTANT * 2.0**-24 * estimate, 2 * (found - exact).abs())


def _log_mean_kernels(
    samples: Tensor, x: Tensor, mean: Tensor, rates: Tensor, dtype: torch.dtype
) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """log 1/n Σᵢ exp(−rate·‖x − sᵢ‖²), (m, len(rates)); minᵢ ‖x − sᵢ‖² and its i; ‖x‖² after centring."""
    m, (n, d) = len(x), samples.shape
    block = _block(d, dtype)
    high, wide = min(m, block), min(n, block)
    x_block, s_block = torch.empty(high, d, dtype=dtype), torch.empty(wide, d, dtype=dtype)
    squares, kernel = torch.empty(high * wide, dtype=dtype), torch.empty(high * wide, dtype=dtype)
    logs = torch.empty(m, len(rates), dtype=torch.float64)
    distance, norms = torch.empty(m, dtype=torch.float64), torch.empty(m, dtype=torch.float64)
    which = torch.zeros(m, dtype=torch.int64)
    for start in range(0, m, block):
        here = slice(start, min(m, start + block))
        rows, norms[here] = _centred(x[here], mean, x_block)
        nearest = torch.full((len(rows),), math.inf, dtype=dtype)  # min ‖x − s‖² − ‖x‖² so far
        sums = torch.zeros(len(rows), len(rates), dtype=torch.float64)  # Σ exp(−rate·(‖x − s‖² − min)) so far
        for first in range(0, n, block):
            columns, column_norms = _centred(samples[first : first + block], mean, s_block)
            shape = (len(rows), len(columns))
            size = shape[0] * shape[1]
            gaps = _squares_less_own_norm(rows, columns, column_norms, squares[:size].view(shape))
            smallest, column = gaps.min(1)
            which[here] = torch.where(smallest < nearest, first + column, which[here])
            before, nearest = nearest, torch.minimum(nearest, smallest)
            gaps.sub_(nearest[:, None])
            sums *= torch.exp(-(before - nearest)[:, None] * rates)
            for total, rate in zip(sums.T, rates.tolist(), strict=True):
                exponents = torch.mul(gaps, -rate, out=kernel[:size].view(shape))
                total += exponents.clamp_(min=_UNDERFLOW).exp_().sum(1)
        distance[here] = nearest + norms[here]
        logs[here] = torch.log(sums / n) - distance[here, None] * rates
    return logs, (distance, which), norms


def _squares_less_own_norm(rows: Tensor, columns: Tensor, column_norms: Tensor, out: Tensor) -> Tensor:
    """‖x − s‖² − ‖x‖² = ‖s‖² − 2 x·s into out (rows, columns); column_norms = ‖s‖² in float64."""
    leading = column_norms.to(out.dtype)
    torch.addmm(leading, rows[:, :_PIECE], columns[:, :_PIECE].T, alpha=-2, out=out)
    for first in range(_PIECE, rows.shape[1], _PIECE):
        piece = slice(first, first + _PIECE)
        out.addmm_(rows[:, piece], columns[:, piece].T, alpha=-2)
    return out.add_((column_norms - leading).to(out.dtype))


def _centred(rows: Tensor, mean: Tensor, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """rows − mean, subtracted in float64 and rounded into the buffer, and their squared norms in float64."""
    out = buffer[: len(rows)]
    norms = torch.empty(len(rows), dtype=torch.float64)
    step = _slice(rows.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        out[part] = rows[part].double() - mean
        norms[part] = out[part].double().square().sum(1)  # not in place: double() may be no copy
    return out, norms


def _mean(rows: Tensor) -> Tensor:
    """The mean row (d,) in float64, by slices."""
    total = torch.zeros(rows.shape[1], dtype=torch.float64)
    for part in rows.split(_slice(rows.shape[1])):
        total += part.double().sum(0)
    return total / len(rows)


def _slice(d: int) -> int:
    """Rows of which one float64 copy takes at most 1 MiB."""
    return max(1, 2**17 // d)


def _block(d: int, dtype: torch.dtype) -> int:
    """The largest b for which two (b, d) and two (b, b) blocks fit WORKING_SET: b = (√(d² + 2c) − d)/2, c numbers."""
    numbers = WORKING_SET // dtype.itemsize
    return max(1, int((math.sqrt(d * d + 2 * numbers) - d) / 2))
