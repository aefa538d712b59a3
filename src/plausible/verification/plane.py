"""Whether the density of two real variables is one where it has no conditionals: over the whole plane.

∫∫ p(x) dx = 1 by adaptive quadrature over a box around the model's samples, and the samples' counts in its cells
against the cells' probabilities.
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
CHANGE, SHARE, STEPS = 1e-4, 0.02, 4.0
"""A cell is cut again if that changed its probability by more, if it holds more of the samples, or if these are so many
standard errors too many or too few.
"""
HALVINGS = 6
_NODES, _WEIGHTS = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(4))


def check_plane(model: GenerativeModel) -> list[Finding]:
    """Findings for a density of two real variables, at the model's own samples, from torch's global random state."""
    x = samples_of(model, DRAWS).flatten(1).double().cpu()
    low, high = x.amin(0) - MARGIN * x.std(0), x.amax(0) + MARGIN * x.std(0)
    cells, p = _settled(model, x, _cut(torch.cat([low, high])[None], CELLS))
    total, counts, groups = float(p.sum()), _counts(x, cells), _grouped(cells, p)
    found, expected = (np.array([float(each[group].sum()) for group in groups]) for each in (counts, p))
    agree = chi2_p_value(found, expected / total)
    note = f"∫∫ exp log_prob over {len(p):,} cells of 4 × 4 places"
    return [
        near("integrates to one", total, 1, INTEGRAL, note),
        likely("samples follow the density", agree, f"p of χ², {DRAWS:,} samples in {len(groups)} parts"),
    ]


def _settled(model: GenerativeModel, x: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Cells, (n, 4), cut until their probabilities, (n,), no longer change, or DEPTH times."""
    p, done = _masses(model, cells), []
    for depth in range(DEPTH):
        parts = _cut(cells, 2)
        q = _masses(model, parts)
        now, share = q.view(-1, 4).sum(1), _counts(x, cells) / len(x)
        off = ((now - p).abs() > CHANGE) | (share > SHARE)
        off |= (share - now).abs() > STEPS * (torch.maximum(now, share) / len(x)).sqrt()
        again = off.repeat_interleave(4) & (depth < DEPTH - 1)
        done.append((parts[~again], q[~again]))
        cells, p = parts[again], q[again]
    return torch.cat([cell for cell, _ in done]), torch.cat([q for _, q in done])


def _grouped(cells: Tensor, p: Tensor) -> list[Tensor]:
    """The cells in at most 2^HALVINGS parts of about the same probability: halved along x, y, x, … in turn."""
    groups = [torch.arange(len(p))]
    for turn in range(HALVINGS):
        middles = cells[:, turn % 2] + cells[:, turn % 2 + 2]
        groups = [half for group in groups for half in _halves(group[middles[group].argsort()], p)]
    return groups


def _halves(group: Tensor, p: Tensor) -> list[Tensor]:
    """Cells in an order, cut where half of their probability is; one part where that leaves nothing."""
    below = p[group].cumsum(0)
    place = int((below < below[-1] / 2).sum()) + 1
    return [part for part in (group[:place], group[place:]) if len(part)]


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
