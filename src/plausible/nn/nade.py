"""NADE's chain of conditionals: D·O outputs, each from a hidden layer that has seen the variables before it.

    a_1 = c,   h_i = act(a_i),   s_i = b_i + V_i·h_i,   a_{i+1} = a_i + x_i·W_i

with s_i the logit of p(x_i = 1 | x_<i), or O numbers that say what p(x_i | x_<i) is. D·O·H multiplications an example
and direction instead of the D²·H of D networks, for all of them share their hidden layer's sum.

Two kernels: "torch", plain PyTorch, for any device and differentiable in everything; and "numba"
(`plausible.nn.nade_compiled`), compiled code for CPUs that computes the same up to rounding, tens of times faster. The
second is taken wherever it can be and numba is installed (`pip install 'plausible[fast]'`).

Source: Larochelle & Murray, *The Neural Autoregressive Distribution Estimator*, 2011, eqs. 9–12 and algorithm 1.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

Activation = Literal["relu", "sigmoid"]


def outputs(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: Activation) -> Tensor:
    """s, (B, D·O), differentiable in W, V, b and c; in x too, where the plain form is taken for it.

    Args:
        x: (B, D), the variables in the model's order.
        W: (D, H), what each variable adds to the hidden layer's sum.
        V: (D·O, H), from the hidden layer to the O outputs of each variable, variable by variable.
        b: (D·O,).
        c: (H,).
        activation: act.
    """
    kernels = _kernels(x, W)
    if kernels is None or x.requires_grad:
        return plain_outputs(x, W, V, b, c, activation)
    return _Outputs.apply(x, W, V, b, c, activation, kernels)


def kernel(W: Tensor) -> Literal["numba", "torch"]:
    """Which kernel `outputs` and `sample_rest` use for weights like W and examples on their device.

    The two differ by rounding, so a training that goes on with the other is not bit for bit the uninterrupted one.
    """
    return "torch" if _kernels(W, W) is None else "numba"


@torch.no_grad()
def sample_rest(
    x: Tensor, known: int, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: Activation
) -> Tensor:
    """Draw binary variables one after the other, (n, D), from torch's global random state.

    Args:
        x: (n, D), of which the first `known` variables are kept.
        known: how many.
        W: as are V (with O = 1), b, c and activation, those of `outputs`.
    """
    x, uniform = x.clone(), torch.rand_like(x)
    kernels = _kernels(x, W)
    if kernels is None:
        return plain_draw(x, uniform, known, W, V, b, c, activation)
    kernels.forward(x, W, V, b, c, activation == "relu", uniform=uniform, known=known)
    return x


def plain_outputs(x: Tensor, W: Tensor, V: Tensor, b: Tensor, c: Tensor, activation: Activation) -> Tensor:
    """`outputs` in PyTorch, a variable at a time."""
    act = getattr(torch, activation)
    a, found = c.expand(len(x), -1), []
    for x_i, W_i, V_i in zip(x.unbind(1), W.unbind(0), V.unflatten(0, (len(W), -1)).unbind(0), strict=True):
        found.append(act(a) @ V_i.t())
        a = torch.addcmul(a, x_i[:, None], W_i)
    return torch.cat(found, 1) + b


def plain_draw(
    x: Tensor,
    uniform: Tensor,
    known: int,
    W: Tensor,
    V: Tensor,
    b: Tensor,
    c: Tensor,
    activation: Activation,
) -> Tensor:
    """`sample_rest` in PyTorch, x_i = [uniform_i < p(x_i = 1 | x_<i)]; writes into x."""
    act = getattr(torch, activation)
    a = c.expand(len(x), -1)
    for i in range(x.shape[1]):
        if i >= known:
            x[:, i] = uniform[:, i] < torch.sigmoid(act(a) @ V[i] + b[i])
        a = torch.addcmul(a, x[:, i, None], W[i])
    return x


class _Outputs(torch.autograd.Function):
    """The compiled form."""

    @staticmethod
    def forward(ctx: Any, *operands: Any, **_: Any) -> Tensor:
        x, W, V, b, c, activation, kernels = operands
        ctx.relu, ctx.kernels = activation == "relu", kernels
        states = kernels.room(x, W) if any(ctx.needs_input_grad[1:5]) else None
        found = kernels.forward(x, W, V, b, c, ctx.relu, states=states)
        ctx.save_for_backward(x, W, V, c, states)
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (slope,), (x, W, V, c, states) = slopes, ctx.saved_tensors
        for_W, for_V, for_c = ctx.kernels.backward(x, W, V, c, slope, states, ctx.relu)
        return None, for_W, for_V, slope.sum(0), for_c, None, None


def _kernels(x: Tensor, W: Tensor) -> Any:
    """The compiled form, where it can compute this; else None."""
    fits = x.device.type == W.device.type == "cpu" and x.dtype == W.dtype in (torch.float32, torch.float64)
    return compiled() if fits else None


@cache
def compiled() -> Any:
    """The module of the compiled form; None, with a warning, where numba cannot be imported."""
    try:
        from plausible.nn import nade_compiled
    except ImportError as error:
        warnings.warn(
            f"numba cannot be imported ({error}): NADE and RNADE take their plain PyTorch form, tens of times slower. "
            "To have it: pip install 'plausible[fast]'",
            RuntimeWarning,
            stacklevel=4,
        )
        return None
    return nade_compiled
