"""Orderings of the variables: which pixel comes first, for models that factorise p(x) along a line.

    p(x) = Π_i p(x_{o(i)} | x_{o(1)}, …, x_{o(i−1)})

Any ordering o gives a density; models that cannot learn every conditional fit some orderings better than others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from plausible.errors import PlausibleError

__all__ = ["PATHS", "Ordering", "column", "permutation", "raster", "spiral", "zigzag"]


Ordering = Literal["raster", "column", "zigzag", "spiral", "random"] | tuple[int, ...]
"""The name of an ordering, or the places of the variables themselves, first variable first."""


def permutation(ordering: Ordering, shape: Sequence[int], seed: int = 0) -> Tensor:
    """order, (D,), int64: order[i] is the place in the flattened example of the i-th variable.

    Args:
        ordering: a name, or a permutation of 0 … D − 1.
        shape: (features,), which count as an image one pixel high, or (channels, height, width); the channels of a
            pixel follow one another.
        seed: of the random ordering; the others have no use for it.

    Raises:
        PlausibleError: not a permutation.
    """
    size = math.prod(shape)
    if not isinstance(ordering, str):
        if sorted(ordering) != list(range(size)):
            raise PlausibleError(
                f"an ordering of {size} variables holds each of 0 … {size - 1} once: this one of {len(ordering)} "
                f"does not. Give a permutation, or one of {', '.join((*PATHS, 'random'))}"
            )
        return torch.tensor(ordering)
    if ordering == "random":
        return torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    channels, height, width = shape if len(shape) == 3 else (1, 1, size)
    pixels = PATHS[ordering](height, width)
    return (pixels[:, None] + height * width * torch.arange(channels)).flatten()


def raster(height: int, width: int) -> Tensor:
    """Row by row, each from left to right, (height·width,)."""
    return torch.arange(height * width)


def column(height: int, width: int) -> Tensor:
    """Column by column, each from top to bottom."""
    return _places(height, width).t().flatten()


def zigzag(height: int, width: int) -> Tensor:
    """Row by row, left to right and right to left in turn (boustrophedon): every step is to a neighbour."""
    places = _places(height, width)
    places[1::2] = places[1::2].flip(1)
    return places.flatten()


def spiral(height: int, width: int) -> Tensor:
    """Clockwise from the top left corner, along the edge and inwards: every step is to a neighbour."""
    places, rows = _places(height, width), []
    while places.numel():
        rows.append(places[0])
        places = places[1:].t().flip(0)  # what is left, turned so that its next side lies on top
    return torch.cat(rows)


def _places(height: int, width: int) -> Tensor:
    return raster(height, width).view(height, width).clone()


PATHS: dict[str, Callable[[int, int], Tensor]] = {
    "raster": raster,
    "column": column,
    "zigzag": zigzag,
    "spiral": spiral,
}
