"""The networks between data and codes: perceptrons or convolutions, chosen by the data's shape; or one's own.

All of them take and return rows, (B, features): convolutions restore the shape of an image themselves, and a network of
the user's own does so too where it needs it:

    nn.Sequential(nn.Unflatten(1, (1, 28, 28)), MyConvolutions(), nn.Flatten(), nn.Linear(…, 1))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from plausible.errors import PlausibleError
from plausible.nn.convolution import Bias, Down, Up, usual_channels
from plausible.nn.mlp import Activation, mlp

__all__ = [
    "LARGE",
    "Layers",
    "Network",
    "before_last",
    "decoder_of",
    "encoder_of",
    "has_batch_norm",
    "stages",
]

Network = Literal["auto", "mlp", "conv"]

Layers = tuple[PositiveInt, ...] | nn.Module
"""Units of the hidden layers, or a whole network of the user's own."""

LARGE = 1024
"""Values of an image above which convolutions are chosen. Up to there a perceptron learns more per second of a CPU."""


def encoder_of(
    shape: Sequence[int],
    hidden: Sequence[int] | nn.Module,
    outputs: int,
    *,
    network: Network,
    channels: Sequence[int] | None,
    activation: Activation,
    batch_norm: float | None = None,
    input_dropout: float = 0.0,
    hidden_dropout: float = 0.0,
    condition: int = 0,
) -> nn.Module:
    """Data to a vector, (B, size + condition) → (B, outputs): a perceptron, or convolutions and one linear layer.

    Args:
        shape: of one example.
        hidden: units of a perceptron's hidden layers; or a network with these inputs and outputs, which is returned.
        outputs: length of the vector.
        network: see `stages`.
        channels: see `stages`.
        activation: of hidden layers and convolutions.
        batch_norm: the ε of a batch norm on each hidden layer but the first, and on each convolution but the first;
            None for none.
        input_dropout: the share of inputs that is dropped.
        hidden_dropout: the same for hidden layers' units, and for what the convolutions hand on.
        condition: width of a condition that is concatenated to the example; see `Down`.

    Raises:
        PlausibleError: see `stages`; or the network given has other inputs or outputs.
    """
    if isinstance(hidden, nn.Module):
        return _checked(hidden, math.prod(shape) + condition, outputs)
    widths = stages(shape, network, channels, activation)
    if not widths:
        return mlp(
            (math.prod(shape) + condition, *hidden, outputs),
            activation=activation,
            batch_norm=batch_norm,
            input_dropout=input_dropout,
            hidden_dropout=hidden_dropout,
        )
    down = Down(shape, widths, activation=activation, batch_norm=batch_norm, condition=condition)
    last = mlp((down.features, outputs), activation=activation, input_dropout=hidden_dropout)
    return nn.Sequential(*([nn.Dropout(input_dropout)] if input_dropout else []), down, *last)


def decoder_of(
    inputs: int,
    hidden: Sequence[int] | nn.Module,
    shape: Sequence[int],
    *,
    network: Network,
    channels: Sequence[int] | None,
    activation: Activation,
    outputs: int = 1,
    batch_norm: float | None = None,
    hidden_dropout: float = 0.0,
) -> nn.Module:
    """A vector to data, (B, inputs) → (B, outputs·size): a perceptron, or one linear layer and convolutions.

    The last layer's `bias`, (outputs·size,), has a number for each value of the data, whichever network it is.

    Args:
        inputs: length of the vector.
        hidden: units of a perceptron's hidden layers; or a network with these inputs and outputs, which is returned.
        shape: of one example.
        network: see `stages`.
        channels: see `stages`.
        activation: of hidden layers and convolutions.
        outputs: for each value of an example; all first ones come first.
        batch_norm: the ε of a batch norm on each hidden layer but the first, and on what enters each convolution;
            None for none.
        hidden_dropout: the share of a perceptron's hidden units that is dropped.

    Raises:
        PlausibleError: see `stages`; or the network given has other inputs or outputs.
    """
    values = outputs * math.prod(shape)
    if isinstance(hidden, nn.Module):
        return _checked(hidden, inputs, values)
    widths = stages(shape, network, channels, activation)
    if not widths:
        return mlp(
            (inputs, *hidden, values),
            activation=activation,
            batch_norm=batch_norm,
            hidden_dropout=hidden_dropout,
        )
    up = Up(shape, widths, outputs, activation=activation, batch_norm=batch_norm)
    return nn.Sequential(*mlp((inputs, up.features), activation=activation), up, Bias(values))


def stages(
    shape: Sequence[int], network: Network, channels: Sequence[int] | None, activation: Activation
) -> tuple[int, ...]:
    """Channels of each convolution, the image's first; empty for a perceptron.

    Args:
        shape: of one example.
        network: mlp, conv, or auto: conv for images of more than LARGE values and at least 4 pixels a side.
        channels: of the convolutions, one number a stage that halves both sides; None: `usual_channels`.
        activation: of the network.

    Raises:
        PlausibleError: the data are no images, or too small for so many stages, or the activation is maxout.
    """
    image = len(shape) == 3
    if network == "auto":
        network = "conv" if image and min(shape[1:]) >= 4 and math.prod(shape) > LARGE else "mlp"
    if network == "mlp":
        return ()
    if not image:
        raise PlausibleError(
            f"network=conv needs images, (channels, height, width), and these data have the shape {tuple(shape)}: "
            "choose network=mlp"
        )
    if activation == "maxout":
        raise PlausibleError("maxout is for perceptrons: choose network=mlp, or relu, leaky_relu or tanh")
    side = min(shape[1:])
    if side < 2:
        raise PlausibleError(
            f"network=conv halves images, and these have a side of {side}: choose network=mlp"
        )
    widths = usual_channels(shape) if channels is None else tuple(channels)
    most = side.bit_length() - 1
    if not 1 <= len(widths) <= most:
        raise PlausibleError(
            f"channels has {len(widths)} stages, each of which halves the image, and {shape[1]} × {shape[2]} pixels "
            f"can be halved {most} times: give 1 to {most} numbers"
        )
    return widths


def before_last(network: nn.Module) -> nn.Module:
    """The network without its last layer.

    Raises:
        PlausibleError: a network of the user's own whose layers are not in a row.
    """
    if not isinstance(network, nn.Sequential):
        raise PlausibleError(
            f"{type(network).__name__} has no last layer to take features before: "
            "give the network as torch.nn.Sequential(…, torch.nn.Linear(features, 1))"
        )
    return network[:-1]


def has_batch_norm(network: nn.Module) -> bool:
    """Whether what the network makes of an example depends on the others of its batch."""
    return any(isinstance(layer, _BatchNorm) for layer in network.modules())


def _checked(network: nn.Module, inputs: int, outputs: int) -> nn.Module:
    """A network of the user's own, if it takes (B, inputs) and returns (B, outputs); tried on two rows of zeros."""
    like = next(network.parameters(), torch.zeros(()))
    was, name = network.training, type(network).__name__
    expected = f"must take rows (B, {inputs}) and return rows (B, {outputs})"
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = network(torch.zeros(2, inputs, dtype=like.dtype, device=like.device))
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise PlausibleError(f"{name} {expected}, and failed on rows (2, {inputs}): {reason}") from error
    finally:
        network.train(was)
    if not isinstance(found, Tensor) or tuple(found.shape) != (2, outputs):
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise PlausibleError(f"{name} {expected}: of rows (2, {inputs}) it makes {what}")
    return network
