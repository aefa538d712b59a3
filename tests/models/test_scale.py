"""The scale of a column of numbers: ascending, its own inverse's inverse, and even where the values are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plausible.models.scale import KNOTS, find_on_scale, fit_knots, from_scale

columns = st.one_of(
    arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32)),
    arrays(np.float32, st.integers(1, 200), elements=st.integers(0, 3).map(float)),
    arrays(np.float32, st.integers(1, 200), elements=st.sampled_from([0.0, 1e7, 1e7 + 1])),
)


@given(columns)
@settings(max_examples=80, deadline=None)
def test_knots_ascend_in_float32_and_places_give_their_values_back(values):
    knots = torch.from_numpy(fit_knots(values)).float()
    assert len(knots) == KNOTS
    assert (knots.diff() > 0).all()
    x = torch.from_numpy(values)
    u, slope = find_on_scale(x[:, None].double(), knots[None].double())
    assert (slope > 0).all()
    back = from_scale(u[:, 0], knots.double())
    assert torch.allclose(back, x.double(), atol=1e-6 * float(knots[-1] - knots[0]))


def test_values_are_spread_evenly_over_it():
    values = np.random.default_rng(0).lognormal(0, 2, 4000)
    u, _ = find_on_scale(torch.from_numpy(values)[:, None], torch.from_numpy(fit_knots(values))[None])
    counts, _ = np.histogram(u.numpy(), 8, (0, 1))
    assert counts == pytest.approx(np.full(8, 500), abs=40)


def test_a_value_of_half_of_the_rows_leaves_room_for_the_others():
    values = np.where(np.arange(1000) % 2 == 0, 0.0, np.arange(1000) + 1)
    knots = fit_knots(values)
    assert (knots < 10).sum() <= 3


def test_the_slope_is_the_derivative():
    knots = torch.from_numpy(np.sort(np.random.default_rng(1).normal(size=KNOTS)))[None]
    x = torch.linspace(-3, 3, 41, dtype=torch.float64)[:, None].requires_grad_()
    u, slope = find_on_scale(x, knots)
    u.sum().backward()
    assert torch.allclose(x.grad, slope)
