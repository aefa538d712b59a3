"""Orderings are permutations; the paths among them are what they are called."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plausible.errors import PlausibleError
from plausible.models.ordering import PATHS, permutation

NAMES = [*PATHS, "random"]
SHAPES = st.one_of(
    st.tuples(st.integers(1, 20)), st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
)


@pytest.mark.parametrize("name", NAMES)
@given(shape=SHAPES, seed=st.integers(0, 9))
def test_it_is_a_permutation(name, shape, seed):
    order = permutation(name, shape, seed)
    assert sorted(order.tolist()) == list(range(torch.Size(shape).numel()))
    assert torch.equal(order, permutation(name, shape, seed))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raster", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("column", [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]),
        ("zigzag", [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11]),
        ("spiral", [0, 1, 2, 3, 7, 11, 10, 9, 8, 4, 5, 6]),
    ],
)
def test_of_three_rows_and_four_columns(name, expected):
    assert permutation(name, (1, 3, 4)).tolist() == expected


@pytest.mark.parametrize("name", ["zigzag", "spiral"])
@given(height=st.integers(1, 8), width=st.integers(1, 8))
def test_every_step_is_to_a_neighbour(name, height, width):
    places = [divmod(place, width) for place in permutation(name, (1, height, width)).tolist()]
    for (row, column), (next_row, next_column) in itertools.pairwise(places):
        assert abs(row - next_row) + abs(column - next_column) == 1


@pytest.mark.parametrize("name", PATHS)
def test_the_channels_of_a_pixel_follow_one_another_and_a_vector_stays_as_it_is(name):
    order = permutation(name, (3, 2, 2)).view(4, 3)
    assert (order % 4 == order[:, :1] % 4).all()
    assert order[0].tolist() == [0, 4, 8]
    assert torch.equal(permutation(name, (7,)), torch.arange(7))


def test_random_orders_follow_from_their_seed():
    assert not torch.equal(permutation("random", (30,), 0), permutation("random", (30,), 1))


def test_a_given_permutation_is_taken_and_anything_else_refused():
    assert permutation((2, 0, 1), (3,)).tolist() == [2, 0, 1]
    for wrong in ((0, 1), (0, 1, 1), (1, 2, 3), ()):
        with pytest.raises(PlausibleError, match=r"0 … 2 once.*zigzag"):
            permutation(wrong, (3,))
