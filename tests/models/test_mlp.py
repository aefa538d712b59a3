"""The perceptron's parts against their definitions."""

import pytest
import torch
from torch import nn

from plausible.nn.mlp import Maxout, init_uniform, mlp


def kinds(net):
    return [type(layer).__name__ for layer in net]


def test_a_maxout_unit_is_the_largest_of_its_linear_pieces(float64):
    layer, x = Maxout(4, 3, pieces=5), torch.randn(7, 4)
    weight, bias = layer.linear.weight.view(3, 5, 4), layer.linear.bias.view(3, 5)
    for unit in range(3):
        pieces = torch.stack([x @ weight[unit, j] + bias[unit, j] for j in range(5)])
        assert torch.allclose(layer(x)[:, unit], pieces.amax(0))


def test_a_maxout_of_one_piece_is_linear_and_of_two_can_be_an_absolute_value(float64):
    one = Maxout(2, 3, pieces=1)
    x = torch.randn(5, 2)
    assert torch.allclose(one(x), one.linear(x))
    two = Maxout(1, 1, pieces=2)
    two.linear.weight.data.copy_(torch.tensor([[1.0], [-1.0]]))
    two.linear.bias.data.zero_()
    assert torch.allclose(two(x[:, :1]), x[:, :1].abs())


def test_the_layers_of_each_kind_are_in_order():
    assert kinds(mlp((4, 3, 2, 1), activation="relu")) == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    tutorial = mlp((4, 3, 2, 1), activation="leaky_relu", batch_norm=0.8, slope=0.1)
    assert kinds(tutorial) == ["Linear", "LeakyReLU", "Linear", "BatchNorm1d", "LeakyReLU", "Linear"]
    assert (tutorial[3].eps, tutorial[1].negative_slope) == (0.8, 0.1)
    dropped = mlp((4, 3, 2, 1), activation="maxout", input_dropout=0.2, hidden_dropout=0.5)
    assert kinds(dropped) == ["Dropout", "Maxout", "Dropout", "Maxout", "Dropout", "Linear"]
    assert [layer.p for layer in dropped if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]


def test_without_hidden_layers_it_is_linear():
    assert kinds(mlp((4, 1), activation="relu")) == ["Linear"]
    assert kinds(mlp((4, 1), activation="relu", input_dropout=0.2, hidden_dropout=0.5)) == [
        "Dropout",
        "Linear",
    ]
    assert mlp((4, 1), activation="relu", input_dropout=0.2, hidden_dropout=0.5)[0].p == 0.2


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_dropout_keeps_the_mean_while_training_and_everything_afterwards(share):
    torch.manual_seed(0)
    net = mlp((4000, 1), activation="relu", input_dropout=share)
    nn.init.ones_(net[1].weight)
    nn.init.zeros_(net[1].bias)
    x = torch.ones(50, 4000)
    kept = net[0](x)
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / (1 - share))]
    assert float((kept == 0).float().mean()) == pytest.approx(share, abs=0.01)
    assert float(net(x).detach().mean()) == pytest.approx(4000, rel=0.01)
    assert torch.equal(net.eval()(x).detach(), torch.full((50, 1), 4000.0))


def test_init_uniform_fills_its_range_and_zeroes_biases():
    net = mlp((40, 50, 30), activation="maxout")
    init_uniform(net, 0.005)
    for layer in (m for m in net.modules() if isinstance(m, nn.Linear)):
        assert 0.0049 < float(layer.weight.detach().max()) <= 0.005
        assert -0.005 <= float(layer.weight.detach().min()) < -0.0049
        assert abs(float(layer.weight.detach().mean())) < 3e-4
        assert not layer.bias.any()
