"""Networks v(x, t, y) of the shape of x that are told a time t in [0, 1] and a class: for pictures and for vectors.

Residual layers and the last one start with small weights, so that v is nearly 0 at first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle, silu

from plausible.nn.linear import Linear

__all__ = ["Residual", "UNet", "usual_patch"]

Layer = TypeVar("Layer", bound=nn.Module)

_FREQUENCIES = 16
_FASTEST = 16.0
"""Oscillations over the unit interval of the fastest of a time's features."""
_GROUP = 16
"""Channels of a group of a group norm, where they divide so."""
_DETAIL = 12
"""Channels at full resolution before the last convolution."""
_PATCHED = 16
"""Side from which the pixels of 2 × 2 patches become channels."""


def usual_patch(shape: Sequence[int]) -> int:
    """Side of the patches whose pixels become channels: 2 from 16 × 16 pixels on, else 1."""
    return 2 if min(shape[1:]) >= _PATCHED else 1


class Moment(nn.Module):
    """What a network is told: a time and a class, (B,) and one-hot (B, classes) → (B, units).

    A perceptron of cos 2πft and sin 2πft at frequencies f from ¼ to 16, plus a linear function of y: a row of zeros
    stands for no class.

    Args:
        units: length of the vector.
        classes: number of classes; 0: y is not looked at.
    """

    frequencies: Tensor

    def __init__(self, units: int, classes: int) -> None:
        super().__init__()
        steps = torch.linspace(math.log(0.25), math.log(_FASTEST), _FREQUENCIES)
        self.register_buffer("frequencies", 2 * math.pi * steps.exp(), persistent=False)
        self.time = Linear(2 * _FREQUENCIES, units)
        self.label = Linear(classes, units, bias=False) if classes else None
        self.out = Linear(units, units)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        angle = t[:, None] * self.frequencies
        told = self.time(torch.cat([angle.cos(), angle.sin()], 1))
        if self.label is not None:
            told = told + self.label(y)
        return silu(self.out(silu(told)))


class Residual(nn.Module):
    """A residual perceptron for vectors: h ← h + B·silu(A·norm(h) + C·m), m what it is told; v = D·norm(h).

    Shapes: x (B, size), t (B,), y (B, classes) → (B, size).

    Args:
        size: values of an example.
        hidden: units of h and of each layer.
        layers: residual layers.
        classes: number of classes.
    """

    def __init__(self, size: int, hidden: int, layers: int, classes: int = 0) -> None:
        super().__init__()
        self.moment = Moment(hidden, classes)
        self.first = Linear(size, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.inner = nn.ModuleList(Linear(2 * hidden, hidden) for _ in range(layers))
        self.outer = nn.ModuleList(_quiet(Linear(hidden, hidden)) for _ in range(layers))
        self.last = nn.LayerNorm(hidden)
        self.out = _quiet(Linear(hidden, size))

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        told, h = self.moment(t, y), self.first(x)
        for norm, inner, outer in zip(self.norms, self.inner, self.outer, strict=True):
            h = h + outer(silu(inner(torch.cat([norm(h), told], 1))))
        return self.out(self.last(h))


class UNet(nn.Module):
    """A U-Net for pictures: one residual block a level on the way down and on the way up, attention at the coarsest.

    Shapes: x (B, channels, height, width), t (B,), y (B, classes) → (B, channels, height, width).

    The pixels of patch × patch squares become channels; each level below halves both sides. Pictures whose sides do not
    divide are padded with zeros, and what is returned is cropped. After the patches have become pixels again, a 3 × 3
    convolution over these and x itself makes the result: without it the borders of the patches show.

    Args:
        shape: of a picture.
        channels: of each level, the finest first.
        patch: side of a patch.
        classes: number of classes.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], patch: int, classes: int = 0) -> None:
        super().__init__()
        self.patch, self.multiple = patch, patch << (len(channels) - 1)
        told = 4 * channels[0]
        self.moment = Moment(told, classes)
        self.first = nn.Conv2d(shape[0] * patch**2, channels[0], 3, padding=1)
        self.down = nn.ModuleList(Block(width, told) for width in channels)
        self.halve = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(channels))
        self.attention = Attention(channels[-1])
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.up = nn.ModuleList(Block(width, told) for width in channels)
        self.norm = _norm(channels[0])
        self.detail = nn.Conv2d(channels[0], _DETAIL * patch**2, 1)
        self.out = _quiet(nn.Conv2d(_DETAIL + shape[0], shape[0], 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = pad(x, self._margins(height, width))
        told, h = self.moment(t, y), self.first(pixel_unshuffle(x, self.patch))
        kept = []
        for level, block in enumerate(self.down):
            h = block(h, told)
            kept.append(h)
            if level < len(self.halve):
                h = self.halve[level](h)
        h = self.attention(h)
        for level in reversed(range(len(self.up))):
            h = self.up[level](h + kept[level], told)
            if level:
                h = interpolate(self.narrow[level - 1](h), scale_factor=2.0, mode="nearest")
        detail = silu(pixel_shuffle(self.detail(silu(self.norm(h))), self.patch))
        top, left = self._before(height), self._before(width)
        return self.out(torch.cat([detail, x], 1))[:, :, top : top + height, left : left + width]

    def places(self, shape: Sequence[int]) -> int:
        """Places of the coarsest level for a picture of a shape, (channels, height, width)."""
        return math.prod(-(-side // self.multiple) for side in shape[1:])

    def _margins(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Pixels to add on the left, right, top and bottom."""
        left, top = self._before(width), self._before(height)
        return left, -width % self.multiple - left, top, -height % self.multiple - top

    def _before(self, side: int) -> int:
        return -side % self.multiple // 2


class Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))·(1 + a) + b))), a and b linear in what the network is told.

    Shapes: (B, width, H, W), (B, told) → (B, width, H, W).
    """

    def __init__(self, width: int, told: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([_norm(width), _norm(width)])
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.told = Linear(told, 2 * width)
        self.outer = _quiet(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        h = self.norms[1](self.inner(silu(self.norms[0](x))))
        scale, shift = self.told(told)[:, :, None, None].chunk(2, 1)
        return x + self.outer(silu(torch.addcmul(h + shift, h, scale)))


class Attention(nn.Module):
    """x + W·softmax(qᵀk/√d)·v over all places of x, one head (Vaswani et al., 2017). Shapes: (B, d, H, W), the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.asked = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = _quiet(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.asked(self.norm(x)).flatten(2).chunk(3, 1)
        weights = (q.mT @ k * q.shape[1] ** -0.5).softmax(2)
        return x + self.out((v @ weights.mT).unflatten(2, x.shape[2:]))


def _norm(channels: int) -> nn.GroupNorm:
    """Of groups of 16 channels, where these divide them."""
    return nn.GroupNorm(math.gcd(channels, max(1, channels // _GROUP)), channels)


def _quiet(layer: Layer) -> Layer:
    """The layer with a tenth of PyTorch's initial weights and biases."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.1)
    return layer
