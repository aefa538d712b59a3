"""Histograms of oriented gradients: what strokes and edges a picture has, and roughly where.

Pixels punish a stroke that is one pixel off as much as one that should not be there. Directions of edges, pooled over a
few pixels, forgive the first and see the second.

Source: Dalal & Triggs, *Histograms of Oriented Gradients for Human Detection*, 2005; with a smooth weight for each
direction instead of bins, Gaussian pooling, and one norm for the whole picture, as brightness and contrast of the
pictures of a data set are of one kind.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

__all__ = ["DIRECTIONS", "oriented_gradients"]

DIRECTIONS = 8
CELLS = 16
"""Most cells along a side."""


def oriented_gradients(x: Tensor) -> Tensor:
    """The strength of edges in each of DIRECTIONS directions a_k = 2πk/DIRECTIONS, in each cell of a grid.

        h_k = pooled ‖∇x‖ · max(0, cos(∠∇x − a_k))⁴,  h / ‖h‖

    ∇x is that of the picture smoothed by a Gaussian of side/28 pixels; of several channels the strongest counts. A cell
    is 2 × 2 pixels or, in pictures of more than 2·CELLS, larger; its neighbours count by a Gaussian of ¾ of it.

    Args:
        x: (B, channels, height, width).

    Returns: (B, DIRECTIONS·cells), of norm 1; zeros for a blank picture.
    """
    side = min(x.shape[2:])
    cell = max(2, math.ceil(max(x.shape[2:]) / CELLS))
    smooth = _blurred(x, max(0.5, side / 28))
    across = pad((smooth[..., 2:] - smooth[..., :-2]) / 2, (1, 1))
    down = pad((smooth[..., 2:, :] - smooth[..., :-2, :]) / 2, (0, 0, 1, 1))
    strength, angle = torch.hypot(across, down), torch.atan2(down, across)
    directions = torch.arange(DIRECTIONS).to(x) * (2 * math.pi / DIRECTIONS)
    maps = [(strength * (angle - a).cos().clamp_min(0) ** 4).amax(1) for a in directions]
    pooled = _blurred(torch.stack(maps, 1), 0.75 * cell)[..., ::cell, ::cell].flatten(1)
    return pooled / pooled.norm(dim=1, keepdim=True).clamp_min(1e-6)


def _blurred(x: Tensor, deviation: float) -> Tensor:
    """Gaussian blur by so many pixels; beyond the border is 0."""
    reach = math.ceil(3 * deviation)
    weights = torch.exp(-((torch.arange(-reach, reach + 1).to(x) / deviation) ** 2) / 2)
    weights, channels = weights / weights.sum(), x.shape[1]
    down = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    x = conv2d(pad(x, (0, 0, reach, reach)), down, groups=channels)
    return conv2d(pad(x, (reach, reach)), down.transpose(2, 3), groups=channels)
