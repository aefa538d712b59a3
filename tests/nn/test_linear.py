"""Products by oneDNN are PyTorch's own, to rounding: forward, gradients, and gradients of gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from plausible.nn import linear
from plausible.nn.linear import Linear


@pytest.fixture(autouse=True)
def by_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tested on every processor, also where the layer would not choose it."""
    monkeypatch.setattr(linear, "FASTER", linear.PRESENT)


def twins(inputs: int, outputs: int) -> tuple[Linear, nn.Linear]:
    """Our layer in float32 and PyTorch's in float64, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = Linear(inputs, outputs), nn.Linear(inputs, outputs).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def slopes(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, gradients of x and of the parameters, and the gradients of a gradient penalty, as R1 takes them."""
    x = x.requires_grad_()
    out = layer(x)
    first = torch.autograd.grad(out.square().sum(), [x, *layer.parameters()], create_graph=True)
    penalty = first[0].square().sum()
    return [out, *first, *torch.autograd.grad(penalty, [x, *layer.parameters()])]


@pytest.mark.parametrize(
    "shape", [(128, 784, 512), (64, 800, 800), (1, 1500, 1500), (300, 100, 128), (4, 3, 2)]
)
def test_every_product_equals_pytorch_in_float64_to_rounding(shape: tuple[int, int, int]) -> None:
    rows, inputs, outputs = shape
    ours, theirs = twins(inputs, outputs)
    x = torch.randn(rows, inputs)
    for got, expected in zip(slopes(ours, x.clone()), slopes(theirs, x.double()), strict=True):
        assert (got.double() - expected).abs().max() <= 2e-6 * expected.abs().max() + 1e-12


@pytest.mark.skipif(not linear.PRESENT, reason="this PyTorch carries no oneDNN")
def test_large_float32_products_take_the_operator_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, ...]] = []

    def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        taken.append(tuple(x.shape))
        return nn.functional.linear(x, weight, bias)

    monkeypatch.setattr(linear._Product, "apply", product)
    layer = Linear(784, 512)
    layer(torch.randn(128, 784))
    layer(torch.randn(2, 784))
    layer(torch.randn(2, 64, 784))
    layer.double()(torch.randn(128, 784, dtype=torch.float64))
    assert taken == [(128, 784)]


def test_where_it_is_not_faster_the_layer_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "FASTER", False)
    ours, x = Linear(784, 512), torch.randn(128, 784)
    assert torch.equal(ours(x), nn.functional.linear(x, ours.weight, ours.bias))


def test_strided_and_expanded_operands_are_read_right() -> None:
    ours, theirs = twins(784, 512)
    wide = torch.randn(784, 128)
    for x in (wide.t(), torch.randn(1, 784).expand(128, 784), torch.randn(256, 784)[::2]):
        assert torch.allclose(ours(x).double(), theirs(x.double()), atol=1e-5)
