"""Strided convolutions between images and features, for any channels × height × width.

A stage halves both sides, rounding down; the stage that undoes it gives exactly the sides there were. Kernels are
4 × 4 with stride 2: the stride divides the kernel, so that every pixel is reached by as many taps as its neighbour
and nothing is printed on the image as a chessboard (Odena et al., *Deconvolution and Checkerboard Artifacts*, 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from plausible.nn.mlp import Activation, activated

__all__ = ["Bias", "Down", "Up", "usual_channels"]


_NARROWEST, _WIDEST = 32, 512
"""Channels of the first stage, and the most of any, where none are given."""

_FAINT = 3**-0.5
"""Gain of the layer that makes the pixels, at the start: that of PyTorch's linear layers."""


def usual_channels(shape: Sequence[int]) -> tuple[int, ...]:
    """Stages that leave 4 to 7 pixels of the shorter side, the first of 32 channels, each twice as wide, up to 512."""
    stages = max(1, min(shape[1:]).bit_length() - 3)
    return tuple(min(_NARROWEST << stage, _WIDEST) for stage in range(stages))


def _sides(shape: Sequence[int], stages: int) -> list[tuple[int, int]]:
    """Height and width before each stage and after the last."""
    _, height, width = shape
    return [(height >> stage, width >> stage) for stage in range(stages + 1)]


class Down(nn.Module):
    """Images to features: convolutions, each halving the sides.

    Shapes: (B, channels·height·width + condition) → (B, features). Each number of the condition is a channel of its
    own, the same in every pixel: what a convolution makes of the image can then depend on it.

    Args:
        shape: of an image, (channels, height, width).
        channels: of each stage, the image's first.
        activation: after each stage.
        slope: of a LeakyReLU, for negative inputs.
        batch_norm: the ε of a batch norm on each stage but the first, or None for none.
        condition: width of the condition, a one-hot vector concatenated to the image.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        *,
        activation: Activation,
        slope: float = 0.2,
        batch_norm: float | None = None,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.condition = tuple(shape), condition
        self.features = channels[-1] * math.prod(_sides(shape, len(channels))[-1])
        layers: list[nn.Module] = []
        for index, (inputs, units) in enumerate(pairwise((self.shape[0] + condition, *channels))):
            normed = batch_norm is not None and index > 0
            layers.append(nn.Conv2d(inputs, units, 4, 2, 1, bias=not normed))
            seen = inputs if index else shape[0] + min(condition, 1)  # of the condition's planes one is not 0
            _start(layers[-1], _gain(activation, slope), 16 * seen)
            if normed:
                layers.append(nn.BatchNorm2d(units, eps=batch_norm))
            layers.append(activated(activation, slope))
        self.stages = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        if not self.condition:
            return self.stages(x.unflatten(1, self.shape)).flatten(1)
        image, rest = x[:, : -self.condition].unflatten(1, self.shape), x[:, -self.condition :]
        planes = rest[:, :, None, None].expand(-1, -1, *self.shape[1:])
        return self.stages(torch.cat([image, planes], 1)).flatten(1)


class Up(nn.Module):
    """Features to images: what `Down` does, undone by transposed convolutions, each doubling the sides.

    Shapes: (B, features) → (B, outputs·channels·height·width); with several outputs a value, all first outputs come
    first. There is no bias on the pixels.

    Args:
        shape: of an image, (channels, height, width).
        channels: of each stage, the image's first (it is made last).
        outputs: for each value of the image.
        activation: before each stage.
        slope: of a LeakyReLU, for negative inputs.
        batch_norm: the ε of a batch norm before each activation, or None for none.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        outputs: int = 1,
        *,
        activation: Activation,
        slope: float = 0.2,
        batch_norm: float | None = None,
    ) -> None:
        super().__init__()
        grids = _sides(shape, len(channels))[::-1]
        self.start = (channels[-1], *grids[0])
        self.features = math.prod(self.start)
        layers: list[nn.Module] = []
        widths = (*reversed(channels), outputs * shape[0])
        for (inputs, units), (small, large) in zip(pairwise(widths), pairwise(grids), strict=True):
            if batch_norm is not None:
                layers.append(nn.BatchNorm2d(inputs, eps=batch_norm))
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            last = large == grids[-1]
            bias = batch_norm is None and not last
            layers.append(activated(activation, slope))
            layers.append(nn.ConvTranspose2d(inputs, units, 4, 2, 1, output_padding=odd, bias=bias))
            gain = _FAINT if last else _gain(activation, slope)
            _start(layers[-1], gain, 4 * inputs)  # each pixel is reached by a quarter of the 4 × 4 taps
        self.stages = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x.unflatten(1, self.start)).flatten(1)


class Bias(nn.Module):
    """x + b, a learned number for each value: what an image has in common with all others, pixel by pixel.

    Shapes: (B, values) → (B, values).
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(values))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def _gain(activation: Activation, slope: float) -> float:
    """What makes up for an activation: √2 after a ReLU, √(2/(1 + slope²)) after a LeakyReLU, 5/3 after a tanh."""
    if activation == "tanh":
        return 5 / 3
    return (2 / (1 + (slope**2 if activation == "leaky_relu" else 0))) ** 0.5


def _start(layer: nn.Module, gain: float, taps: int) -> None:
    """Weights from N(0, gain²/taps), so that what enters leaves as strong as it came; biases at 0.

    With PyTorch's own start every stage weakens it, and a VAE of two stages forgets its code before it can use it.
    Source: He et al., *Delving Deep into Rectifiers*, 2015, section 2.2.
    """
    for name, values in layer.named_parameters():
        if name == "weight":
            nn.init.normal_(values, 0.0, gain * taps**-0.5)
        else:
            nn.init.zeros_(values)
