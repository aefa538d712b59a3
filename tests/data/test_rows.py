"""Rows come out as float32, whichever way they are stored and asked for; draws belong to rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import Rows, binarization
from plausible.data.rows import StoredRows

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (50, 5, 4, 3), dtype=np.uint8)


def table(cuts=(), channels_last=True):
    """GREY cut into parts, as channels-last or channels-first storage of the same examples."""
    stored = GREY if channels_last else np.ascontiguousarray(np.moveaxis(GREY, -1, 1))
    parts = tuple(np.split(stored, cuts))
    return StoredRows("t", parts, (3, 5, 4), "unit", 255.0, channels_last, y=np.arange(50) % 7)


@given(
    ids=st.lists(st.integers(0, 49), max_size=60),
    cuts=st.lists(st.integers(0, 50), max_size=3).map(sorted),
    channels_last=st.booleans(),
)
@settings(max_examples=50)
def test_take_is_the_stored_rows_over_255(ids, cuts, channels_last):
    rows = Rows(table(cuts, channels_last), np.arange(50)[::-1])
    x, y = rows.take(np.array(ids, np.int64))
    expected = np.moveaxis(GREY[::-1][ids], -1, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, (np.arange(50) % 7)[::-1][ids])
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert x.flags.c_contiguous
    assert x.flags.writeable


def test_what_is_taken_is_the_callers_own():
    rows = Rows(table(), np.arange(50))
    x, y = rows.take(np.arange(3))
    x[:] = -1
    y[:] = -1
    assert rows.array().min() >= 0
    assert rows.y.min() >= 0


def test_float32_rows_are_copied_too():
    stored = np.zeros((4, 2), np.float32)
    x, y = Rows(StoredRows("t", (stored,), (2,), "real"), np.arange(4)).take(np.arange(4))
    x += 1
    assert stored.max() == 0
    assert y is None


@pytest.mark.parametrize("binarization", [None, "fresh", "fixed"])
@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_blocks_array_and_take_agree(binarization, size):
    rows = Rows(table((20,)), RNG.permutation(50)[:33], binarization)
    whole = rows.take(np.arange(33))[0]
    np.testing.assert_array_equal(rows.array(), whole)
    blocks = list(rows.blocks(size))
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert max(map(len, blocks)) <= size
    assert len(rows) == 33


def test_a_fresh_draw_is_of_the_seed_and_a_fixed_one_is_not():
    fresh, fixed = Rows(table(), np.arange(50), "fresh"), Rows(table(), np.arange(50), "fixed")
    some = np.array([4, 9, 9, 30])
    a, b = fresh.take(some, seed=1)[0], fresh.take(some, seed=2)[0]
    assert (a != b).any()
    np.testing.assert_array_equal(a, fresh.take(some, seed=1)[0])
    np.testing.assert_array_equal(fixed.take(some, seed=1)[0], fixed.take(some, seed=2)[0])
    assert (fixed.take(some, seed=0)[0] != fresh.take(some, seed=0)[0]).any()
    assert set(np.unique(a)) == {0.0, 1.0}


def test_a_fixed_draw_follows_its_row():
    everything = Rows(table(), np.arange(50), "fixed").array()
    ids = RNG.permutation(50)[:20]
    np.testing.assert_array_equal(Rows(table(), ids, "fixed").array(), everything[ids])


@pytest.mark.parametrize(
    "stream",
    [
        binarization.FIXED_STREAM,
        binarization.stream_of_seed(0),
        binarization.stream_of_seed(-5),
        binarization.stream_of_seed(2**80 + 3),
    ],
)
def test_pixels_are_drawn_with_their_grey_level(stream):
    levels = np.linspace(0, 1, 11, dtype=np.float32)
    x = np.repeat(levels, 4000)[None].repeat(10, axis=0)
    binarization.binarize(x, stream, np.arange(10))
    found = x.reshape(10, 11, 4000).mean(axis=(0, 2))
    assert found[0] == 0  # never, and always: not just nearly
    assert found[-1] == 1
    sigma = np.sqrt(levels * (1 - levels) / 40_000)
    assert (np.abs(found - levels) <= 6 * sigma).all()


def test_uniform_numbers_are_uniform_and_unlike_their_neighbours():
    u = binarization.uniform(3, np.arange(400), 501).astype(np.float64)
    assert u.shape == (400, 501)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, 64, (0, 1))[0]
    chi2 = ((counts - u.size / 64) ** 2 / (u.size / 64)).sum()
    assert 20 < chi2 < 130  # 63 degrees of freedom: p about 1e-6 on either side
    centred = u - 0.5
    limit = 6 / 12 / np.sqrt(u.size)
    for other in (
        np.roll(centred, 1, 0),
        np.roll(centred, 1, 1),
        binarization.uniform(4, np.arange(400), 501) - 0.5,
    ):
        assert abs((centred * other).mean()) < limit
