"""Multilayer perceptrons: linear layers with ReLU, LeakyReLU or maxout, batch norm, dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

from plausible.nn.linear import Linear

__all__ = ["Activation", "Maxout", "activated", "init_glorot", "init_normal", "init_uniform", "mlp"]


Activation = Literal["relu", "leaky_relu", "tanh", "maxout"]


class Maxout(nn.Module):
    """A maxout layer: h_i(x) = max_j (x·W_ij + b_ij) over `pieces` linear pieces j.

    Shapes: (B, inputs) → (B, units). Source: Goodfellow et al., *Maxout Networks*, 2013, eq. 1.
    """

    def __init__(self, inputs: int, units: int, pieces: int = 5) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(-1, (-1, self.pieces)).amax(-1)


def mlp(
    widths: Sequence[int],
    *,
    activation: Activation,
    pieces: int = 5,
    slope: float = 0.2,
    batch_norm: float | None = None,
    input_dropout: float = 0.0,
    hidden_dropout: float = 0.0,
) -> nn.Sequential:
    """A perceptron of the given widths, inputs first, with a linear last layer.

    Args:
        widths: units of every layer, the input's and the output's included.
        activation: of the hidden layers.
        pieces: of a maxout layer.
        slope: of a LeakyReLU, for negative inputs.
        batch_norm: the ε of a batch norm on each hidden layer but the first, or None for none.
        input_dropout: the share of inputs that is dropped; what is kept is scaled by 1/(1 − share).
        hidden_dropout: the same for each hidden layer's units.
    """
    layers: list[nn.Module] = []
    *hidden, last = widths[1:]
    inputs, dropout = widths[0], input_dropout
    for index, units in enumerate(hidden):
        if dropout:
            layers.append(nn.Dropout(dropout))
        if activation == "maxout":
            layers.append(Maxout(inputs, units, pieces))
        else:
            layers.append(Linear(inputs, units))
        if batch_norm is not None and index > 0:
            layers.append(nn.BatchNorm1d(units, eps=batch_norm))
        if activation != "maxout":
            layers.append(activated(activation, slope))
        inputs, dropout = units, hidden_dropout
    if dropout:
        layers.append(nn.Dropout(dropout))
    layers.append(Linear(inputs, last))
    return nn.Sequential(*layers)


def activated(activation: Activation, slope: float = 0.2) -> nn.Module:
    """The layer of an activation (maxout has none: it is a linear layer too)."""
    if activation == "relu":
        return nn.ReLU(inplace=True)
    return nn.LeakyReLU(slope, inplace=True) if activation == "leaky_relu" else nn.Tanh()


def init_uniform(module: nn.Module, radius: float) -> None:
    """Draw every weight from U(−radius, radius) and set every bias to 0."""
    _start(module, lambda weight: nn.init.uniform_(weight, -radius, radius))


def init_normal(module: nn.Module, deviation: float) -> None:
    """Draw every weight from N(0, deviation²) and set every bias to 0."""
    _start(module, lambda weight: nn.init.normal_(weight, 0.0, deviation))


def init_glorot(module: nn.Module) -> None:
    """Draw every weight from Glorot's uniform distribution, ±√(6/(inputs + outputs)), and set every bias to 0."""
    _start(module, nn.init.xavier_uniform_)


def _start(module: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
    """Start every linear layer and convolution in the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
