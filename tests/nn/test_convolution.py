"""Convolutions between images and features: exact shapes, every pixel reached alike, nothing out of place."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d
from torch import nn

from plausible.nn.convolution import Bias, Down, Up, usual_channels


@st.composite
def images(draw):
    """(shape, channels of as many stages as fit)."""
    shape = tuple(draw(st.integers(1, most)) for most in (4, 60, 60))
    shape = (shape[0], max(shape[1], 4), max(shape[2], 4))
    most = min(shape[1:]).bit_length() - 1
    return shape, tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=most)))


@given(images(), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_what_goes_down_comes_up_with_the_same_shape(case, outputs):
    shape, channels = case
    size = math.prod(shape)
    down = Down(shape, channels, activation="tanh")
    up = Up(shape, channels, outputs, activation="tanh")
    assert up.features == down.features
    features = down(torch.rand(2, size))
    assert features.shape == (2, down.features)
    assert up(features).shape == (2, outputs * size)


@given(images())
@settings(max_examples=60, deadline=None)
def test_every_pixel_is_seen_and_every_pixel_is_made(case):
    shape, channels = case
    torch.manual_seed(0)
    x = torch.randn(4, math.prod(shape), requires_grad=True)
    features = Down(shape, channels, activation="tanh")(x)
    (slope,) = torch.autograd.grad((features * torch.randn_like(features)).sum(), x)
    assert bool((slope != 0).any(0).all())
    made = Up(shape, channels, activation="tanh")(torch.randn(4, features.shape[1]))
    assert bool((made.std(0) > 0).all())


def test_one_stage_is_every_other_place_of_scipys_correlation():
    down = Down((2, 7, 8), (3,), activation="tanh")
    x = torch.randn(1, 2, 7, 8)
    conv = down.stages[0]
    nn.init.normal_(conv.bias)
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    padded = np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    expected = np.stack(
        [
            sum(correlate2d(padded[c], weight[unit, c], "valid")[::2, ::2] for c in range(2)) + bias[unit]
            for unit in range(3)
        ]
    )
    found = down(x.flatten(1)).detach().numpy().reshape(expected.shape)
    np.testing.assert_allclose(found, np.tanh(expected), rtol=1e-4, atol=1e-5)


def test_an_even_surface_comes_up_without_a_chessboard():
    up = Up((1, 13, 16), (2, 3), activation="relu")
    for layer in up.stages:
        if isinstance(layer, nn.ConvTranspose2d):
            nn.init.ones_(layer.weight)
    made = up(torch.ones(1, up.features)).detach().view(13, 16)[4:-4, 4:-4]
    assert made.numel() > 0
    torch.testing.assert_close(made, made[0, 0].expand_as(made))


def test_first_outputs_come_first_and_pixels_keep_their_places():
    up = Up((3, 6, 5), (4,), 2, activation="tanh")
    last = up.stages[-1]
    with torch.no_grad():
        last.weight[:, 1:].zero_()  # all but the first output of the first channel
    made = up(torch.randn(2, up.features)).detach().view(2, 2, 3, 6, 5)
    assert bool((made[:, 0, 0] != 0).all())
    assert not made[:, 1].any()
    assert not made[:, 0, 1:].any()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_signals_start_as_strong_deep_down_as_at_the_image(activation):
    torch.manual_seed(0)
    shape, channels = (3, 64, 64), (64, 64, 64, 64)
    down, up = Down(shape, channels, activation=activation), Up(shape, channels, activation=activation)
    felt = [down(torch.randn(20, down.shape[0] * 64 * 64)), up(torch.randn(20, up.features))]
    for values, least in zip(felt, (0.3, 0.3), strict=True):
        assert least < float(values.detach().square().mean().sqrt()) < 1.5


def test_gradients_of_gradients_are_those_of_finite_differences():
    net = nn.Sequential(Down((1, 4, 5), (2,), activation="tanh"), nn.Linear(8, 1)).double()
    x = torch.randn(2, 20, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x)


def test_activations_in_place_do_not_spoil_the_gradient():
    torch.manual_seed(0)
    up = Up((1, 5, 6), (2, 2), activation="relu").double()
    net = nn.Sequential(nn.Linear(3, up.features).double(), up, Bias(30).double())
    z = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, z)


def test_a_normed_layer_has_no_bias_of_its_own_and_the_image_side_no_norm():
    down = Down((1, 16, 16), (2, 3, 4), activation="relu", batch_norm=1e-3)
    up = Up((1, 16, 16), (2, 3, 4), activation="relu", batch_norm=1e-3)
    kinds = [type(layer).__name__ for layer in down.stages]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"]
    kinds = [type(layer).__name__ for layer in up.stages]
    assert kinds == ["BatchNorm2d", "ReLU", "ConvTranspose2d"] * 3
    biased = [layer.bias is not None for layer in down.stages if isinstance(layer, nn.Conv2d)]
    assert biased == [True, False, False]
    assert not any(layer.bias is not None for layer in up.stages if isinstance(layer, nn.ConvTranspose2d))
    norms = [layer for layer in (*down.stages, *up.stages) if isinstance(layer, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((1, 4, 4), (32,)),
        ((1, 8, 8), (32,)),
        ((1, 28, 28), (32, 64)),
        ((3, 32, 32), (32, 64, 128)),
        ((3, 37, 53), (32, 64, 128)),
        ((3, 64, 64), (32, 64, 128, 256)),
        ((3, 256, 300), (32, 64, 128, 256, 512, 512)),
    ],
)
def test_the_usual_stages(shape, channels):
    assert usual_channels(shape) == channels
