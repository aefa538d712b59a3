"""Which network it is, what is refused, and that a perceptron is what it was before there were convolutions."""

import pytest
import torch
from torch import nn

from plausible.errors import PlausibleError
from plausible.nn.mlp import init_glorot, init_normal, init_uniform, mlp
from plausible.nn.network import decoder_of, encoder_of, stages

CONV = {"network": "conv", "channels": (3, 4), "activation": "relu"}


@pytest.mark.parametrize(
    ("shape", "conv"),
    [
        ((784,), False),
        ((5000,), False),
        ((1, 8, 8), False),
        ((1, 28, 28), False),
        ((1, 32, 32), False),
        ((1, 33, 32), True),
        ((3, 32, 32), True),
        ((3, 37, 53), True),
        ((1, 2, 2000), False),
        ((1, 4, 2000), True),
    ],
)
def test_convolutions_are_for_large_images(shape, conv):
    assert bool(stages(shape, "auto", None, "relu")) == conv
    assert stages(shape, "mlp", None, "relu") == ()


@pytest.mark.parametrize(
    ("shape", "channels", "activation", "named"),
    [
        ((784,), None, "relu", ["(784,)", "network=mlp"]),
        ((1, 8, 8), None, "maxout", ["maxout", "leaky_relu"]),
        ((1, 8, 8), (4, 4, 4, 4), "relu", ["4 stages", "8 × 8", "3 times"]),
        ((1, 8, 8), (), "relu", ["1 to 3"]),
        ((1, 1, 900), None, "relu", ["side of 1"]),
    ],
)
def test_what_convolutions_cannot_do_is_said(shape, channels, activation, named):
    with pytest.raises(PlausibleError) as caught:
        stages(shape, "conv", channels, activation)
    assert all(part in str(caught.value) for part in named)


def test_a_perceptron_has_the_names_and_the_start_it_always_had():
    """Checkpoints from before there were convolutions must load."""
    torch.manual_seed(5)
    old = [mlp((12, 8, 3), activation="relu"), mlp((3, 8, 24), activation="relu")]
    for network in ("auto", "mlp"):
        torch.manual_seed(5)
        options = {"network": network, "channels": None, "activation": "relu"}
        new = [
            encoder_of((1, 3, 4), (8,), 3, **options),
            decoder_of(3, (8,), (1, 3, 4), outputs=2, **options),
        ]
        for was, now in zip(old, new, strict=True):
            assert list(was.state_dict()) == list(now.state_dict())
            assert all(torch.equal(a, b) for a, b in zip(was.parameters(), now.parameters(), strict=True))


def test_convolutions_stand_beside_one_linear_layer():
    shape = (2, 9, 11)
    encoder, decoder = encoder_of(shape, (7,), 3, **CONV), decoder_of(3, (7,), shape, outputs=2, **CONV)
    assert [type(layer).__name__ for layer in encoder] == ["Down", "Linear"]
    assert [type(layer).__name__ for layer in decoder] == ["Linear", "Up", "Bias"]
    code = encoder(torch.rand(5, 2 * 9 * 11))
    assert code.shape == (5, 3)
    assert decoder(code).shape == (5, 2 * 2 * 9 * 11) == (5, *decoder[-1].bias.shape)


def test_dropout_is_on_inputs_and_on_what_convolutions_hand_on():
    encoder = encoder_of((1, 8, 8), (7, 6), 3, input_dropout=0.1, hidden_dropout=0.2, **CONV)
    kinds = [layer.p if isinstance(layer, nn.Dropout) else type(layer) for layer in encoder]
    assert [kind if isinstance(kind, float) else kind.__name__ for kind in kinds] == [
        0.1,
        "Down",
        0.2,
        "Linear",
    ]


@pytest.mark.parametrize(
    "start", [init_glorot, lambda net: init_normal(net, 0.5), lambda net: init_uniform(net, 0.5)]
)
def test_a_start_reaches_every_weight_and_zeroes_every_bias(start):
    net = nn.Sequential(
        encoder_of((1, 8, 8), (7,), 3, batch_norm=1e-5, **CONV), decoder_of(3, (7,), (1, 8, 8), **CONV)
    )
    before = {name: value.clone() for name, value in net.state_dict().items()}
    start(net)
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            assert bool((layer.weight != before[f"{name}.weight"]).all()), name
            assert layer.bias is None or not layer.bias.any(), name


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_what_stands_beside_changes_how_the_image_is_seen(network):
    """Not by a constant: a discriminator told y must judge whether x and y go together."""
    torch.manual_seed(0)
    options = {**CONV, "network": network, "activation": "leaky_relu"}
    net = encoder_of((2, 9, 11), (7,), 1, condition=3, **options)
    x, y = torch.rand(2, 2 * 9 * 11), torch.eye(3)

    def seen(image, label):
        return net(torch.cat([x[image], y[label]])[None]).item()

    assert abs((seen(0, 0) - seen(0, 1)) - (seen(1, 0) - seen(1, 1))) > 1e-4


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_with_nothing_beside_it_starts_as_it_always_did(network):
    options = {**CONV, "network": network}
    torch.manual_seed(5)
    plain = encoder_of((1, 8, 8), (7,), 3, **options)
    torch.manual_seed(5)
    none = encoder_of((1, 8, 8), (7,), 3, condition=0, **options)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), none.parameters(), strict=True))


def test_convolutions_see_a_label_in_every_pixel_as_strongly_as_a_channel():
    torch.manual_seed(0)
    down = encoder_of((2, 8, 8), (), 3, condition=10, **{**CONV, "channels": (400,)})[0]
    weight = down.stages[0].weight.detach()
    assert weight.shape == (400, 12, 4, 4)
    assert abs(float(weight.std()) / (2 / (16 * 3)) ** 0.5 - 1) < 0.03
