"""Convolutions and linear maps that see what comes before, in raster order, and, of a pixel itself, its first channels.

Features stand in C groups, one for each channel of the image. At a pixel itself, the group of channel c sees the groups
before it (mask A), or those and itself (mask B). So what is said of R sees no channel of its pixel, G sees R, B both.

Source: van den Oord et al., *Pixel Recurrent Neural Networks*, 2016, section 3.4.
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad

__all__ = [
    "FIRST",
    "CausalConv",
    "MaskedLinear",
    "PixelNetwork",
    "Sampler",
    "groups",
    "open_at_pixel",
    "pixel_head",
]


_Mask = Literal["A", "B"]
_Part = Literal["before", "left", "above", "down"]
FIRST = 7
"""Side of the window of a network's first convolution."""


def groups(features: int, channels: int) -> Tensor:
    """Of which channel each feature is, (features,), rising; as even as can be."""
    return torch.arange(features) * channels // features


def open_at_pixel(inputs: Tensor, outputs: Tensor, mask: _Mask) -> Tensor:
    """Which outputs see which inputs of their own pixel, given the groups of both: (outputs, inputs), bool."""
    return outputs[:, None] > inputs if mask == "A" else outputs[:, None] >= inputs


class MaskedLinear(nn.Linear):
    """A linear map of the features of one pixel, of which only some weights are open.

    Args:
        opened: (outputs, inputs), bool.
    """

    bias: Tensor
    opened: Tensor

    def __init__(self, opened: Tensor) -> None:
        super().__init__(opened.shape[1], opened.shape[0])
        self.register_buffer("opened", opened.float(), persistent=False)

    @property
    def masked(self) -> Tensor:
        """The weights, (outputs, inputs), the closed ones 0."""
        return self.weight * self.opened

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear calls it so
        """(…, inputs) → (…, outputs)."""
        return linear(input, self.masked, self.bias)

    def across(self, x: Tensor) -> Tensor:
        """The same where the features come first, (inputs, …) → (outputs, …)."""
        flat = x.flatten(1)
        found = (
            self.masked @ flat if self.bias is None else torch.addmm(self.bias[:, None], self.masked, flat)
        )
        return found.unflatten(1, x.shape[1:])


class CausalConv(nn.Module):
    """A convolution that sees part of a window around the pixel; of the image's own height and width.

    Args:
        inputs: groups of the input features, (inputs,).
        outputs: groups of the output features, (outputs,).
        kernel: side of the window, odd: 2·reach + 1.
        part: of the window: before: the rows above, and in its own row the pixels to the left and, through the mask,
            the pixel; left: of that, its own row alone; above: the rows above alone; down: the rows above and its own,
            whole, for features that themselves know of nothing in or below their row.
        mask: of the pixel itself, in `before` and `left`.
    """

    opened: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor, kernel: int, part: _Part, mask: _Mask = "B") -> None:
        reach = kernel // 2
        height = {"before": reach + 1, "left": 1, "above": reach, "down": reach + 1}[part]
        width = reach + 1 if part == "left" else kernel
        super().__init__()
        size = (len(outputs), len(inputs), height, width)
        radius = (len(inputs) * height * width) ** -0.5  # PyTorch's own start
        self.weight = nn.Parameter(torch.empty(size).uniform_(-radius, radius))
        self.bias = nn.Parameter(torch.empty(len(outputs)).uniform_(-radius, radius))
        opened = torch.ones_like(self.weight)
        if part in ("before", "left"):
            opened[:, :, -1, reach + 1 :] = 0
            opened[:, :, -1, reach] = open_at_pixel(inputs, outputs, mask)
        self.register_buffer("opened", opened, persistent=False)
        self.reach, self.top = reach, 0 if part == "left" else reach
        """Zeros to the left and right of the image, and above it; what is computed beyond the image is cut off."""

    @property
    def masked(self) -> Tensor:
        """The weights, (outputs, inputs, height, width), the closed ones 0."""
        return self.weight * self.opened

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H, W)."""
        height, width = x.shape[2:]
        x = pad(x, (0, 0, self.top, 0)) if self.top else x
        # the sides' zeros are left to the convolution: faster than to lay them around before
        found = conv2d(x, self.masked, self.bias, padding=(0, self.reach))
        return found[:, :, :height, :width]


class Sampler(Protocol):
    """The state of images that are being sampled: what a pixel needs of those before it; nothing else is computed."""

    def at(self, x: Tensor, r: int, c: int) -> Tensor:
        """What is said of pixel (r, c), (n, outputs, C), of images that are final up to there.

        To be called for all pixels in raster order, and of one pixel as often as a channel of it is known.

        Args:
            x: (n, C, H + m, W + 2m) with m = FIRST // 2 zeros above, to the left and to the right.
            r: the row.
            c: the column.
        """
        ...


class PixelNetwork(nn.Module):
    """What is said of each value given those before it: (B, C, H, W), (B, classes) → (B, outputs, C, H, W)."""

    head: nn.Sequential
    outputs: int

    def begin(self, n: int, y: Tensor) -> Sampler:
        """Draw n images with the one-hot labels y, (n, classes)."""
        raise NotImplementedError

    def of_pixel(self, features: Tensor) -> Tensor:
        """What the head says of one pixel, (n, features) → (n, outputs, C)."""
        return self.head(features).view(len(features), -1, self.outputs).transpose(1, 2)


def pixel_head(trunk: Tensor, features: int, channels: int, outputs: int) -> nn.Sequential:
    """ReLU → 1×1 → ReLU → 1×1, mask B: from features of the groups `trunk` to outputs for each channel, C·outputs."""
    middle, each = groups(features, channels), torch.arange(channels).repeat_interleave(outputs)
    layers = (MaskedLinear(open_at_pixel(a, b, "B")) for a, b in ((trunk, middle), (middle, each)))
    return nn.Sequential(*(module for layer in layers for module in (nn.ReLU(), layer)))
