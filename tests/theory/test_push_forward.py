"""p_g in bins: against exact distribution functions, and against a reference that loops over cells and bins."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tables import laws, probabilities
from scipy import stats

from plausible.errors import PlausibleError
from plausible.theory import push_forward

points = st.one_of(
    st.floats(-3, 3), st.sampled_from([-1.0, 0.0, 1.0, 1e-13, -1e-13, 5e-324, -5e-324, 1 - 1e-16])
)
steps = st.sampled_from([0.01, 0.1, 0.5, 1.0])  # widths of bins


def reference(x, edges, weights):
    """Cell by cell and bin by bin, the outer bins open-ended."""
    bounds = [-math.inf, *edges[1:-1], math.inf]
    masses = [0.0] * (len(edges) - 1)
    for a, b, w in zip(x[:-1], x[1:], weights, strict=True):
        low, high = min(a, b), max(a, b)
        for j, (left, right) in enumerate(itertools.pairwise(bounds)):
            if low == high:
                masses[j] += w * (left <= low < right)
            else:
                masses[j] += w * (max(min(high, right) - max(low, left), 0.0) / (high - low))
    return masses


@given(st.data())
@settings(laws, max_examples=150)
def test_against_the_loops(data):
    x = np.array(data.draw(st.lists(points, min_size=2, max_size=12)))
    edges = np.cumsum(
        [data.draw(st.sampled_from([-2.0, -1.0, 0.0])), *data.draw(st.lists(steps, min_size=1, max_size=8))]
    )
    weights = data.draw(probabilities(len(x) - 1))
    found = push_forward(x, edges, weights=weights)
    np.testing.assert_allclose(found, reference(x, edges, weights), rtol=0, atol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found.min() >= 0
    even = push_forward(x, edges)
    np.testing.assert_allclose(even, reference(x, edges, [1 / (len(x) - 1)] * (len(x) - 1)), atol=1e-12)
    np.testing.assert_allclose(push_forward(x[::-1], edges), even, atol=1e-12)


@laws
@given(st.data())
def test_a_batch_is_its_rows(data):
    rows = data.draw(st.integers(1, 4))
    n = data.draw(st.integers(1, 6))
    x = np.array(data.draw(st.lists(points, min_size=rows * (n + 1), max_size=rows * (n + 1)))).reshape(
        rows, n + 1
    )
    edges, weights = np.array([-1.0, 0.0, 0.5, 2.0]), data.draw(probabilities(n))
    found = push_forward(x, edges, weights=weights)
    each = [push_forward(row, edges, weights=weights) for row in x]
    np.testing.assert_allclose(found, each, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(push_forward(x[:, None], edges, weights=weights), found[:, None])


def test_the_normal_quantile_function_makes_a_normal():
    n = 2_000
    z = np.linspace(0, 1, n + 1)
    x = stats.norm.ppf(np.clip(z, 1e-9, 1 - 1e-9))
    at_ends = x[::125]  # where an edge is an end of a cell, the masses are exact
    np.testing.assert_allclose(push_forward(x, at_ends), np.diff(z[::125]), rtol=0, atol=1e-12)
    edges = np.linspace(-2, 2, 41)
    expected = np.diff(stats.norm.cdf(edges))
    expected[0], expected[-1] = stats.norm.cdf(edges[1]), stats.norm.sf(edges[-2])
    np.testing.assert_allclose(push_forward(x, edges), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cells", [20, 4_000])
def test_a_u_shaped_generator(cells):
    """x = z², z uniform on [−1, 1]: P(x ≤ e) = √e. Not monotone: two values of z for each x."""
    z = np.linspace(-1, 1, cells + 1)
    at_ends = np.linspace(0, 1, 11) ** 2
    np.testing.assert_allclose(push_forward(z**2, at_ends), np.full(10, 0.1), rtol=0, atol=1e-12)
    edges = np.linspace(0, 1, 6)
    gap = np.abs(push_forward(z**2, edges) - np.diff(np.sqrt(edges))).max()
    assert gap <= (4 / cells**2) / (1 / cells) / 2  # what linear pieces of this G are off by, at most


def test_outside_and_points():
    edges = [0, 1, 2, 3]
    np.testing.assert_allclose(push_forward([-5, -4], edges), [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(push_forward([7, 9], edges), [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(push_forward([-2, 6], edges), [3 / 8, 1 / 8, 4 / 8], atol=1e-15)
    np.testing.assert_array_equal(push_forward([1, 1], edges), [0, 1, 0])  # [low, high), as numpy.histogram
    np.testing.assert_array_equal(push_forward([3, 3], edges), [0, 0, 1])
    np.testing.assert_array_equal(push_forward([0.3, 0.3, 2.5], [0, 3]), [1])


def test_memory_grows_with_the_sum_of_cells_and_bins():
    x = np.random.default_rng(0).normal(size=20_001)  # jumps about: each cell crosses some 700 bins
    tracemalloc.start()
    found = push_forward(x, np.linspace(-3, 3, 2_001))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert peak < 20e6  # cells × bins would be 320 MB


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: push_forward([0, 1], [0, 1, 1]), "edges must be"),
        (lambda: push_forward([0, 1], [1, 0]), "edges must be"),
        (lambda: push_forward([0, 1], [0]), "edges must be"),
        (lambda: push_forward([0, 1], [0, math.inf]), "edges must be"),
        (lambda: push_forward([0, math.nan], [0, 1]), "finite values of G"),
        (lambda: push_forward([0, math.inf], [0, 1]), "finite values of G"),
        (lambda: push_forward([0], [0, 1]), r"x of shape \(1,\)"),
        (lambda: push_forward([0, 1, 2], [0, 1], weights=[1.0]), r"weights of shape \(1,\) for 2 cells"),
        (lambda: push_forward([0, 1, 2], [0, 1], weights=[1.0, 1.0]), "sum to 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(PlausibleError, match=message):
        call()
