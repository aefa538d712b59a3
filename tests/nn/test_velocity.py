"""Velocity networks: any shape, each row for itself, and told time and class."""

import pytest
import torch

from plausible.nn.velocity import Residual, UNet, usual_patch

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 19, 20), (1, 2, 3), (3, 20, 64)]


def unet(shape, classes=0):
    torch.manual_seed(0)
    return stirred(UNet(shape, (8, 16, 24), usual_patch(shape), classes))


def stirred(network):
    """With weights as large as they start without being made small."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def inputs(shape, classes=0, n=3):
    torch.manual_seed(1)
    y = torch.eye(classes)[torch.arange(n) % classes] if classes else torch.zeros(n, 0)
    return torch.randn(n, *shape), torch.tensor([0.1, 0.5, 0.9])[:n], y


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_a_picture_of_any_sides_keeps_them_and_is_a_row_of_its_own(shape):
    network, (x, t, y) = unet(shape), inputs(shape)
    found = network(x, t, y)
    assert found.shape == x.shape
    torch.testing.assert_close(found[1:2], network(x[1:2], t[1:2], y[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 19, 20)])
def test_every_pixel_reaches_every_pixel(shape):
    network, (x, t, y) = unet(shape), inputs(shape, n=1)
    x.requires_grad_()
    found = network(x, t, y)
    for place in ((0, 0), (-1, -1), (shape[1] // 2, 3)):
        (slope,) = torch.autograd.grad(found[0, 0][place], x, retain_graph=True)
        assert (slope != 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda classes: (unet((1, 8, 8), classes), (1, 8, 8)),
        lambda classes: (stirred(Residual(5, 16, 2, classes)), (5,)),
    ],
)
@torch.no_grad()
def test_it_is_told_time_and_class(make):
    network, shape = make(4)
    x, t, y = inputs(shape, 4)
    found = network(x, t, y)
    for other in (
        network(x, 1 - t, y)[[0, 2]],
        network(x, t, y.roll(1, 1))[[0, 2]],
        network(x, t, 0 * y)[[0, 2]],
    ):
        assert (other - found[[0, 2]]).abs().amax() > 1e-3


@torch.no_grad()
def test_it_begins_near_zero():
    for network, shape in ((UNet((3, 32, 32), (48, 96, 128), 2), (3, 32, 32)), (Residual(5, 128, 3), (5,))):
        x, t, y = inputs(shape)
        assert network(x, t, y).abs().mean() < 0.1
