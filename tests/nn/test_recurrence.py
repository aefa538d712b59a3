"""The LSTM over an image against PyTorch's own, and its gradients against finite differences."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plausible.nn.recurrence import cell, diagonal, lstm, moved, rows

F, INPUTS, B = 3, 4, 2  # units, inputs, examples
WALKS = {"diagonal": (diagonal, 2), "rows": (rows, 3)}


def operands(taps, cells, *, directions=1, batch=B, biases=1, seed=0):
    torch.manual_seed(seed)
    sizes = [(directions, 4 * F, INPUTS), (directions, 4 * F, biases), (directions, taps, 4 * F, F)]
    sizes += [(INPUTS, cells, batch)] * directions
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


def torchs(into, bias, weight):
    """torch.nn.LSTM with the same weights; its gates are i, f, g, o."""

    def reordered(x):
        i, f, o, g = x.chunk(4)
        return torch.cat([i, f, g, o])

    module = torch.nn.LSTM(INPUTS, F).double()
    with torch.no_grad():
        for name, value in (("weight_ih_l0", into), ("weight_hh_l0", weight), ("bias_ih_l0", bias)):
            getattr(module, name).copy_(reordered(value))
        module.bias_hh_l0.zero_()
    return module


@pytest.mark.parametrize(
    ("walk", "tap"),
    [(rows(5, 1), 1), (diagonal(1, 5), 0)],
    ids=["down one column", "along one row"],
)
def test_on_a_line_it_is_torchs_lstm(walk, tap):
    into, bias, weight, x = operands(len(walk.steps[0].taps), 5)
    (found,) = lstm(walk, (x,), into, bias, weight)
    expected, _ = torchs(into[0], bias[0, :, 0], weight[0, tap])(x.permute(1, 2, 0))
    torch.testing.assert_close(found, expected.permute(2, 0, 1))


@given(
    kind=st.sampled_from(sorted(WALKS)),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_each_cell_follows_from_its_neighbours(kind, height, width, seed):
    """h of pixel (r, c), from c of one neighbour and h of all, as section 3 of the paper has it."""
    make, taps = WALKS[kind]
    walk = make(height, width)
    into, bias, weight, x = operands(taps, height * width, seed=seed)
    (found,) = lstm(walk, (x,), into, bias, weight)
    place = {int(cell): n for n, cell in enumerate(walk.cells)}
    assert sorted(place) == list(range(height * width))
    h, c, nothing = {}, {}, torch.zeros(B, F, dtype=torch.float64)
    for r in range(height):
        for column in range(width):
            near = {
                "diagonal": [(r, column - 1), (r - 1, column)],
                "rows": [(r - 1, column - 1), (r - 1, column), (r - 1, column + 1)],
            }[kind]
            u = (into[0] @ x[:, place[r * width + column]] + bias[0]).t()
            for tap, neighbour in enumerate(near):
                u = u + h.get(neighbour, nothing) @ weight[0, tap].t()
            carried = c.get(near[0] if kind == "diagonal" else near[1], nothing)
            h[r, column], c[r, column] = cell(u, carried)
            torch.testing.assert_close(found[:, place[r * width + column]].t(), h[r, column])


@pytest.mark.parametrize("biases", [1, B])
@pytest.mark.parametrize(
    ("kind", "height", "width"), [("diagonal", 2, 3), ("diagonal", 3, 1), ("rows", 3, 2)]
)
def test_its_gradients_are_finite_differences(kind, height, width, biases):
    make, taps = WALKS[kind]
    walk = make(height, width)
    given = operands(taps, height * width, directions=2, biases=biases)
    assert torch.autograd.gradcheck(lambda W, b, U, *x: lstm(walk, x, W, b, U), given)


def test_directions_do_not_meet():
    walk = diagonal(3, 3)
    into, bias, weight, x, other = operands(2, 9, directions=2)
    both = lstm(walk, (x, other), into, bias, weight)
    for n, each in enumerate((x, other)):
        (alone,) = lstm(walk, (each,), into[n : n + 1], bias[n : n + 1], weight[n : n + 1])
        torch.testing.assert_close(both[n], alone)


def test_what_is_moved_goes_back_the_same_way():
    source, target = torch.tensor([3, 0, 1]), torch.tensor([1, 2, 3])  # 3: none
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    found = moved(x, source, target)
    torch.testing.assert_close(found[:, 1:], x[:, :2])
    assert not found[:, 0].any()
    assert torch.autograd.gradcheck(lambda x: moved(x, source, target), x)
