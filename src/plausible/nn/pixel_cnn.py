"""Gated PixelCNN: two stacks of convolutions, one over the rows above, one along the row, which sees the first.

    v ← gate(V∗v),   h ← h + 1×1(gate(H∗h + 1×1(V∗v))),   gate(a, b) = tanh(a)·σ(b)

and the sum of what all layers say of a pixel → ReLU → 1×1 → ReLU → 1×1. No pixel above is out of sight, as some are of
masked 3×3 convolutions one on the other.

Source: van den Oord et al., *Conditional Image Generation with PixelCNN Decoders*, 2016, section 2.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from plausible.nn.causal import (
    FIRST,
    CausalConv,
    MaskedLinear,
    PixelNetwork,
    groups,
    open_at_pixel,
    pixel_head,
)

__all__ = ["PixelCNN", "Sampler"]


class PixelCNN(PixelNetwork):
    """x → what is said of each of its values.

    Args:
        shape: of an image, (C, H, W).
        features: F, of each stack.
        layers: how many.
        kernel: side of the window of each layer but the first, odd.
        head: features between the two 1×1 convolutions.
        outputs: for each value of the image.
        classes: length of the one-hot vector y.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        features: int,
        layers: int,
        kernel: int,
        head: int,
        outputs: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.shape, self.outputs = shape, outputs
        channels = shape[0]
        pixel, own = (groups(n, channels) for n in (channels, features))
        self.above = CausalConv(pixel, own, FIRST, "above")
        self.left = CausalConv(pixel, own, FIRST, "left", "A")
        self.layers = nn.ModuleList(
            _GatedLayer(channels, features, kernel, classes, last=n == layers - 1) for n in range(layers)
        )
        self.head = pixel_head(own, head, channels, outputs)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, H, W), (B, classes) → (B, outputs, C, H, W)."""
        v, h = self.above(x), self.left(x)
        said = torch.zeros_like(h)
        for layer in self.layers:
            v, h, more = layer(v, h, y)
            said = said + more
        raw = self.head(said.permute(0, 2, 3, 1))
        channels, height, width = self.shape
        return raw.view(len(x), height, width, channels, self.outputs).permute(0, 4, 3, 1, 2)

    def begin(self, n: int, y: Tensor) -> Sampler:
        """Draw n images pixel by pixel, in raster order."""
        return Sampler(self, n, y)


class _GatedLayer(nn.Module):
    """One layer of both stacks.

    Args:
        channels: of the image.
        features: F.
        kernel: side of the window.
        classes: length of y.
        last: no layer follows: all that it hands on is its say.
    """

    def __init__(self, channels: int, features: int, kernel: int, classes: int, *, last: bool) -> None:
        super().__init__()
        own = groups(features, channels)
        self.down = CausalConv(own, own.repeat(2), kernel, "down")
        self.left = CausalConv(own, own.repeat(2), kernel, "left")
        self.across = nn.Linear(2 * features, 2 * features, bias=False)
        self.output = MaskedLinear(open_at_pixel(own, own if last else own.repeat(2), "B"))
        self.label = nn.Linear(classes, (2 if last else 4) * features, bias=False) if classes else None
        self.last = last

    def forward(self, v: Tensor, h: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both stacks, (B, F, H, W), and y → both stacks, and what the layer says of each pixel, (B, F, H, W)."""
        below = self.down(v)
        along = self.left(h) + conv2d(below, self.across.weight[:, :, None, None])
        if self.label is not None:
            labels = self.label(y)[:, :, None, None]
            along = along + labels[:, : along.shape[1]]
            below = below if self.last else below + labels[:, along.shape[1] :]
        found = conv2d(_gate(along), self.output.masked[:, :, None, None], self.output.bias)
        if self.last:
            return v, h, found
        more, said = found.chunk(2, 1)
        return _gate(below), h + more, said


def _gate(x: Tensor) -> Tensor:
    """tanh(a)·σ(b) of the two halves of x, (B, 2F, …) → (B, F, …)."""
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class Sampler:
    """See `causal.Sampler`.

    Args:
        network: whose.
        n: images.
        y: (n, classes).
    """

    def __init__(self, network: PixelCNN, n: int, y: Tensor) -> None:
        self.network, self.row = network, -1
        self.first = network.left.masked.flatten(1).t()
        self.layers = [
            _LayerSampler(cast(_GatedLayer, layer), network.shape[2], n, y) for layer in network.layers
        ]

    def at(self, x: Tensor, r: int, c: int) -> Tensor:
        """See `causal.Sampler`."""
        margin, network = FIRST // 2, self.network
        if r != self.row:
            self.row = r
            v = conv2d(x[:, :, r : r + margin], network.above.masked, network.above.bias)
            for layer in self.layers:
                v = layer.begin(v)
        h = torch.addmm(network.left.bias, x[:, :, r + margin, c : c + margin + 1].flatten(1), self.first)
        said = torch.zeros_like(h)
        for layer in self.layers:
            h, more = layer.at(h, c)
            said += more
        return network.of_pixel(said)


class _LayerSampler:
    """What a layer's windows see: some rows of the first stack, this row of the second.

    Args:
        layer: whose.
        width: of the image.
        n: images.
        y: (n, classes).
    """

    def __init__(self, layer: _GatedLayer, width: int, n: int, y: Tensor) -> None:
        self.layer, self.features = layer, layer.down.weight.shape[1]
        self.reach = layer.left.weight.shape[3] - 1
        like = layer.across.weight
        self.above = like.new_zeros(n, self.features, self.reach + 1, width + 2 * self.reach)
        self.row = like.new_zeros(n, (width + self.reach) * self.features)
        labels = like.new_zeros(n, 4 * self.features) if layer.label is None else layer.label(y)
        self.along_label, self.below_label = labels[:, : 2 * self.features], labels[:, 2 * self.features :]
        self.down, self.left = layer.down.masked, layer.left.masked[:, :, 0].transpose(1, 2).flatten(1).t()

    def begin(self, v: Tensor) -> Tensor:
        """A row of the first stack comes in, (n, F, 1, W), and one goes out."""
        layer, width = self.layer, v.shape[3]
        self.above[:, :, :-1] = self.above[:, :, 1:].clone()
        self.above[:, :, -1, self.reach : self.reach + width] = v[:, :, 0]
        below = conv2d(self.above, self.down, layer.down.bias)
        self.along = layer.across(below[:, :, 0].permute(2, 0, 1)) + self.along_label + layer.left.bias
        return v if layer.last else _gate(below + self.below_label[:, :, None, None])

    def at(self, h: Tensor, c: int) -> tuple[Tensor, Tensor]:
        """The second stack at column c, (n, F) → (n, F), and what the layer says there."""
        begin, end = c * self.features, (c + self.reach + 1) * self.features
        self.row[:, end - self.features : end] = h
        found = self.layer.output(_gate(torch.addmm(self.along[c], self.row[:, begin:end], self.left)))
        if self.layer.last:
            return h, found
        more, said = found.chunk(2, 1)
        return h + more, said
