"""Linear layers whose products are computed by oneDNN."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

__all__ = ["FASTER", "PRESENT", "Linear", "product"]


_LARGE = 1 << 21
"""Multiplications in a product from which oneDNN is the faster; below, what it costs to call it outweighs it."""


PRESENT = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""Whether this PyTorch carries oneDNN, and the operator (the one its compiler uses) that reaches it."""

FASTER = PRESENT and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
"""Whether its products are the faster ones on this processor."""


class Linear(nn.Linear):
    """`nn.Linear` with oneDNN's float32 products instead of MKL's: forward, and both gradients.

    MKL keeps its AVX-512 kernels from AMD's processors; oneDNN, which PyTorch carries too and uses for
    convolutions, does not: there it is twice as fast. Nothing else differs, but for rounding. Small products, other
    types and devices, and processors without AVX-512, where MKL is a tenth ahead, go PyTorch's way.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear calls it so
        return product(input, self.weight, self.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x·Wᵀ + b as `Linear` computes it, (B, inputs) × (outputs, inputs) → (B, outputs)."""
    if _fits(x, len(weight)):
        return _Product.apply(x, weight, bias)
    return linear(x, weight, bias)


class _Product(torch.autograd.Function):
    """x·Wᵀ + b, (B, inputs) × (outputs, inputs) → (B, outputs), differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, *operands: Tensor | None, **_: Any) -> Tensor:
        x, weight, bias = operands
        ctx.save_for_backward(x, weight)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (slope,), (x, weight) = slopes, ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            _Product.apply(slope, weight.t(), None) if for_x else None,
            _Product.apply(slope.t(), x.t(), None) if for_weight else None,
            slope.sum(0) if for_bias else None,
        )


def _fits(x: Tensor, outputs: int) -> bool:
    return (
        x.dim() == 2
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() * outputs >= _LARGE
        and FASTER
        and not torch.is_autocast_enabled("cpu")
    )
