"""PixelRNN: an image as a sequence of pixels, each seen through LSTMs that have walked over all before it.

    7×7 convolution, mask A → L × (LSTM → 1×1, + what came in) → ReLU → 1×1 → ReLU → 1×1

Source: van den Oord et al., *Pixel Recurrent Neural Networks*, 2016.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from plausible.nn import recurrence
from plausible.nn.causal import (
    FIRST,
    CausalConv,
    MaskedLinear,
    PixelNetwork,
    groups,
    open_at_pixel,
    pixel_head,
)

__all__ = ["Layer", "PixelRNN", "Sampler"]


Layer = Literal["diagonal", "row"]


class PixelRNN(PixelNetwork):
    """x → what is said of each of its values.

    Args:
        shape: of an image, (C, H, W).
        layer: diagonal: a BiLSTM, its reverse direction handed on one row down; row: an LSTM down the rows.
        hidden: F, units of each LSTM and direction; 2F features go from layer to layer.
        layers: how many.
        head: features between the two 1×1 convolutions.
        outputs: for each value of the image.
        classes: length of the one-hot vector y.
    """

    cells: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        layer: Layer,
        hidden: int,
        layers: int,
        head: int,
        outputs: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.shape, self.outputs = shape, outputs
        channels, height, width = shape
        trunk = groups(2 * hidden, channels)
        self.first = CausalConv(torch.arange(channels), trunk, FIRST, "before", "A")
        kind = _DiagonalBiLSTM if layer == "diagonal" else _RowLSTM
        self.register_buffer("cells", kind.walk_of(height, width).cells, persistent=False)
        self.layers = nn.ModuleList(kind(channels, height, width, hidden, classes) for _ in range(layers))
        self.head = pixel_head(trunk, head, channels, outputs)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, C, H, W), (B, classes) → (B, outputs, C, H, W)."""
        h = self.first(x).flatten(2).permute(1, 2, 0)[:, self.cells]  # (2F, H·W, B), in the walk's order
        for layer in self.layers:
            h = h + layer(h, y)
        for module in self.head:
            h = module.across(h) if isinstance(module, MaskedLinear) else module(h)
        found = torch.empty_like(h)
        found[:, self.cells] = h
        channels, height, width = self.shape
        return found.view(channels, self.outputs, height, width, len(x)).permute(4, 1, 0, 2, 3)

    def begin(self, n: int, y: Tensor) -> Sampler:
        """Draw n images pixel by pixel, in raster order."""
        return Sampler(self, n, y)


class Sampler:
    """See `causal.Sampler`.

    Args:
        network: whose.
        n: images.
        y: (n, classes).
    """

    def __init__(self, network: PixelRNN, n: int, y: Tensor) -> None:
        self.network = network
        self.window = network.first.masked.flatten(1).t()
        layers = cast("list[_DiagonalBiLSTM | _RowLSTM]", list(network.layers))
        self.layers = [layer.begin(n, y) for layer in layers]

    def at(self, x: Tensor, r: int, c: int) -> Tensor:
        """See `causal.Sampler`."""
        first, (height, width) = self.network.first, self.network.first.weight.shape[2:]
        h = torch.addmm(first.bias, x[:, :, r : r + height, c : c + width].flatten(1), self.window)
        for layer in self.layers:
            h = h + layer.at(h, r, c)
        return self.network.of_pixel(h)


# ---------------------------------------------------------------------- diagonals
class _DiagonalBiLSTM(nn.Module):
    """Two LSTMs along the diagonals, from the top left corner and from the top right one.

    The second knows pixels to the right of its own, so what it says of a row is handed to the row below.

    Args:
        channels: of the image.
        height: of the image.
        width: of the image.
        hidden: F.
        classes: length of y.
    """

    flip: Tensor
    above: Tensor
    below: Tensor
    walk_of = staticmethod(recurrence.diagonal)

    def __init__(self, channels: int, height: int, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.walk, self.width, self.hidden = self.walk_of(height, width), width, hidden
        trunk, gates = groups(2 * hidden, channels), groups(hidden, channels).repeat(4)
        self.input = MaskedLinear(open_at_pixel(trunk, gates, "B"))
        self.reverse_input = nn.Linear(2 * hidden, 4 * hidden)
        self.state = nn.Parameter(torch.empty(2, 2, 4 * hidden, hidden).uniform_(-1, 1) / (2 * hidden) ** 0.5)
        own = open_at_pixel(groups(hidden, channels), trunk, "B")
        self.output = MaskedLinear(torch.cat([own, torch.ones_like(own)], 1))
        self.label = nn.Linear(classes, 8 * hidden, bias=False) if classes else None
        for name, places in self._places(height, width).items():
            self.register_buffer(name, places, persistent=False)

    def _places(self, height: int, width: int) -> dict[str, Tensor]:
        """For each cell of the walk: its mirror image; that of the cell above it; and the other way round."""
        cells = self.walk.cells
        position = torch.empty_like(cells)
        position[cells] = torch.arange(len(cells))
        row, column = cells // width, cells % width

        def mirrored(row: Tensor) -> Tensor:
            inside = (row >= 0) & (row < height)
            return torch.where(
                inside, position[row.clamp(0, height - 1) * width + width - 1 - column], len(cells)
            )

        return {"flip": mirrored(row), "above": mirrored(row - 1), "below": mirrored(row + 1)}

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """(2F, H·W, B) in the walk's order → the same."""
        mirrored = recurrence.moved(h, self.flip, self.flip)
        into = torch.stack([self.input.masked, self.reverse_input.weight])
        bias = torch.stack([self.input.bias, self.reverse_input.bias]).unsqueeze(2)
        if self.label is not None:
            bias = bias + self.label(y).t().unflatten(0, (2, -1))
        forth, back = recurrence.lstm(self.walk, (h, mirrored), into, bias, self.state)
        own, handed_on = self.output.masked.chunk(2, 1)
        found = torch.addmm(self.output.bias[:, None], own, forth.flatten(1))
        back = recurrence.moved(back, self.above, self.below)
        return torch.addmm(found, handed_on, back.flatten(1)).view_as(h)

    def begin(self, n: int, y: Tensor) -> _DiagonalSampler:
        """See `_DiagonalSampler`."""
        return _DiagonalSampler(self, n, y)


class _DiagonalSampler:
    """h of this row and the row above; the reverse direction walks over a row when the next one begins.

    Args:
        layer: whose.
        n: images.
        y: (n, classes).
    """

    def __init__(self, layer: _DiagonalBiLSTM, n: int, y: Tensor) -> None:
        self.output, self.row = layer.output, -1
        width, state = layer.width, layer.state
        self.blank = state.new_zeros(width + 1, n, layer.hidden)
        self.now, self.carried, self.back = self.blank, self.blank, self.blank[1:]  # of columns −1 …; of 0 …
        self.seen = state.new_empty(width, n, 2 * layer.hidden)
        labels = state.new_zeros(n, 8 * layer.hidden) if layer.label is None else layer.label(y)
        self.bias, self.reverse_bias = labels.chunk(2, 1)
        self.bias, self.reverse_bias = (
            self.bias + layer.input.bias,
            self.reverse_bias + layer.reverse_input.bias,
        )
        self.weight = torch.cat([layer.input.masked, *state[0]], 1).t()
        self.reverse_input, self.reverse_state = layer.reverse_input.weight.t(), torch.cat([*state[1]], 1).t()

    def at(self, h: Tensor, r: int, c: int) -> Tensor:
        """What the layer says of pixel (r, c), (n, 2F) → (n, 2F)."""
        if r != self.row:
            self._begin(r)
        self.seen[c] = h
        gates = torch.addmm(self.bias, torch.cat([h, self.now[c], self.above[c]], 1), self.weight)
        self.now[c + 1], self.carried[c + 1] = recurrence.cell(gates, self.carried[c])
        return self.output(torch.cat([self.now[c + 1], self.back[c]], 1))

    def _begin(self, r: int) -> None:
        """Row r, the row before it being complete."""
        if r:
            inputs, back = self.seen @ self.reverse_input + self.reverse_bias, torch.empty_like(self.back)
            right = carried = self.blank[0]
            for c in reversed(range(len(back))):
                gates = torch.addmm(inputs[c], torch.cat([right, self.back[c]], 1), self.reverse_state)
                right, carried = recurrence.cell(gates, carried)
                back[c] = right
            self.back = back
        self.row, self.above = r, self.now[1:]
        self.now, self.carried = self.blank.clone(), self.blank.clone()


# ---------------------------------------------------------------------- rows
class _RowLSTM(nn.Module):
    """An LSTM from the first row to the last, all pixels of a row at a time.

    A pixel's input are itself and its left neighbour, its state follows from the three pixels above it.

    Args: as of `_DiagonalBiLSTM`.
    """

    walk_of = staticmethod(recurrence.rows)

    def __init__(self, channels: int, height: int, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.walk, self.width, self.hidden = self.walk_of(height, width), width, hidden
        trunk, own = groups(2 * hidden, channels), groups(hidden, channels)
        opened = open_at_pixel(trunk, own.repeat(4), "B")
        self.input = MaskedLinear(torch.cat([torch.ones_like(opened), opened], 1))
        self.state = nn.Parameter(torch.empty(1, 3, 4 * hidden, hidden).uniform_(-1, 1) / (3 * hidden) ** 0.5)
        self.output = MaskedLinear(open_at_pixel(own, trunk, "B"))
        self.label = nn.Linear(classes, 4 * hidden, bias=False) if classes else None

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """(2F, H·W, B) in the walk's order → the same."""
        left = pad(h.unflatten(1, (-1, self.width)), (0, 0, 1, 0))[:, :, :-1].flatten(1, 2)
        bias = self.input.bias[:, None]
        if self.label is not None:
            bias = bias + self.label(y).t()
        inputs = (torch.cat([left, h]),)
        (found,) = recurrence.lstm(self.walk, inputs, self.input.masked[None], bias[None], self.state)
        return self.output.across(found)

    def begin(self, n: int, y: Tensor) -> _RowSampler:
        """See `_RowSampler`."""
        return _RowSampler(self, n, y)


class _RowSampler:
    """h and c of this row and the row above, and what came in to the left.

    Args: as of `_DiagonalSampler`.
    """

    def __init__(self, layer: _RowLSTM, n: int, y: Tensor) -> None:
        self.output, self.row = layer.output, -1
        self.now = self.carried = layer.state.new_zeros(
            layer.width + 2, n, layer.hidden
        )  # of columns −1 … width
        self.seen = layer.state.new_zeros(layer.width + 1, n, 2 * layer.hidden)  # of columns −1 …
        self.bias = layer.input.bias if layer.label is None else layer.input.bias + layer.label(y)
        self.weight = torch.cat([layer.input.masked, *layer.state[0]], 1).t()

    def at(self, h: Tensor, r: int, c: int) -> Tensor:
        """What the layer says of pixel (r, c), (n, 2F) → (n, 2F)."""
        if r != self.row:
            self.row, self.above, self.carry = r, self.now, self.carried
            self.now, self.carried = torch.zeros_like(self.now), torch.zeros_like(self.now)
        self.seen[c + 1] = h
        inputs = torch.cat([self.seen[c], h, *self.above[c : c + 3]], 1)
        gates = torch.addmm(self.bias, inputs, self.weight)
        self.now[c + 1], self.carried[c + 1] = recurrence.cell(gates, self.carry[c + 1])
        return self.output(self.now[c + 1])
