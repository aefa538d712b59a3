"""Whether the density of two real variables is one where it has no conditionals: over the whole plane.

∫∫ p(x) dx = 1 by adaptive quadrature over a box around the model's samples, and the samples' counts in its cells against
the cells' probabilities.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from plausible.game import GenerativeModel
from plausible.verification.findings import Finding, chi2_p_value, likely, near
from plausible.verification.subject import log_prob, samples_of

__all__ = ["check_plane"]

DRAWS = 2000
CELLS, DEPTH = 8, 7
"""Cells of each side of the box at first, and how often one is cut into four at most."""
MARGIN = 1.5
"""Of the box around the samples, in their standard deviations."""
INTEGRAL = 1e-3
CHANGE, STEPS = 1e-5, 4.0
"""A cell is cut again if that changed its probability by more, or if the samples in it are so many standard errors off."""
_NODES, _WEIGHTS = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(4))


def check_plane(model: GenerativeModel) -> list[Finding]:
    """Findings for a density of two real variables, at the model's own samples, from torch's global random state."""
    x = samples_of(model, DRAWS).flatten(1).double().cpu()
    low, high = x.amin(0) - MARGIN * x.std(0), x.amax(0) + MARGIN * x.std(0)
    cells, p = _settled(model, x, _cut(torch.cat([low, high])[None], CELLS))
    total = float(p.sum())
    agree = chi2_p_value(_counts(x, cells).numpy(), (p / total).numpy())
    note = f"∫∫ exp log_prob over {len(p):,} cells of 4 × 4 places"
    return [
        near("integrates to one", total, 1, INTEGRAL, note),
        likely("samples follow the density", agree, f"p of χ², {DRAWS:,} samples in these cells"),
    ]


def _settled(model: GenerativeModel, x: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Cells, (n, 4), cut until their probabilities, (n,), no longer change, or DEPTH times."""
    p, done = _masses(model, cells), []
    for depth in range(DEPTH):
        parts = _cut(cells, 2)
        q = _masses(model, parts)
        now, share = q.view(-1, 4).sum(1), _counts(x, cells) / len(x)
        off = (now - p).abs() > CHANGE
        off |= (share - now).abs() > STEPS * (torch.maximum(now, share) / len(x)).sqrt()
        again = off.repeat_interleave(4) & (depth < DEPTH - 1)
        done.append((parts[~again], q[~again]))
        cells, p = parts[again], q[again]
    return torch.cat([cell for cell, _ in done]), torch.cat([q for _, q in done])


def _cut(cells: Tensor, by: int) -> Tensor:
    """Each cell as by × by equal ones, (n, 4) → (n·by², 4): low x, low y, high x, high y."""
    places = torch.cartesian_prod(torch.arange(by), torch.arange(by)).double()
    low, step = cells[:, None, :2], (cells[:, None, 2:] - cells[:, None, :2]) / by
    return torch.cat([low + places * step, low + (places + 1) * step], 2).flatten(0, 1)


def _masses(model: GenerativeModel, cells: Tensor) -> Tensor:
    """∫∫ p(x) dx over each cell by Gauss's rule, (n, 4) → (n,), float64."""
    if not len(cells):
        return cells.new_zeros(0)
    middle, half = (cells[:, 2:] + cells[:, :2]) / 2, (cells[:, 2:] - cells[:, :2]) / 2
    x = middle[:, None] + half[:, None] * torch.cartesian_prod(_NODES, _NODES)
    p = log_prob(model, x.view(-1, *model.shape)).double().exp().cpu().view(len(cells), -1)
    return p @ torch.outer(_WEIGHTS, _WEIGHTS).flatten() * half.prod(1)


def _counts(x: Tensor, cells: Tensor) -> Tensor:
    """How many of the samples, (n, 2), lie in each cell, (m, 4) → (m,), int64."""
    inside = (x[:, None] >= cells[None, :, :2]) & (x[:, None] < cells[None, :, 2:])
    return inside.all(2).sum(0)
