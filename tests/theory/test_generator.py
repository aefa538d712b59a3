"""The generator's side over random tables: Proposition 2, and what goes wrong when D stands still."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tables import laws, pairs, probabilities, tables

from plausible.errors import PlausibleError
from plausible.probability import Table, jsd, kl
from plausible.theory import (
    GLOBAL_OPTIMUM,
    best_for_discriminator,
    best_for_generator,
    convexity_gap,
    criterion,
    criterion_gradient,
    descend,
    mode_dropping,
    optimal_discriminator,
    value,
)

inner = st.lists(st.floats(0.05, 1), min_size=4, max_size=4).map(lambda w: np.array(w) / sum(w))
rates = st.one_of(st.floats(0.05, 1), st.just(1.0))


# --- best responses ----------------------------------------------------------------------------


@laws
@given(tables(), st.data())
def test_the_best_generator_against_a_fixed_discriminator_is_a_point(p, data):
    size = p.probabilities.size
    d = np.array(data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))).reshape(p.shape)
    best = best_for_generator(p, d)
    assert best.p_g.shape == p.shape
    assert sorted(best.p_g.ravel())[-1] == best.p_g.sum() == 1
    assert best.value == value(p.probabilities, best.p_g, d)
    other = data.draw(probabilities(size)).reshape(p.shape)
    assert best.value <= value(p.probabilities, other, d) + 1e-12
    if d.min() > 0 and d.max() < 1 and p.probabilities.min() > 0:
        expected = (p.probabilities * np.log(d)).sum() + math.log1p(-d.max())
        assert best.value == pytest.approx(expected, abs=1e-12)


def test_a_certain_discriminator_is_worth_minus_infinity_to_the_generator():
    best = best_for_generator([0.5, 0.5, 0.0], [0.9, 0.8, 1.0])
    assert best.value == -math.inf
    np.testing.assert_array_equal(best.p_g, [0, 0, 1])


@laws
@given(pairs(), st.data())
def test_the_best_discriminator_is_worth_the_criterion(pair, data):
    p, q = pair
    best = best_for_discriminator(p, q)
    d = data.draw(st.lists(st.floats(0, 1), min_size=p.probabilities.size, max_size=p.probabilities.size))
    assert value(p, q, np.reshape(d, p.shape)) <= best + 1e-12
    assert best == criterion(p, q)
    disjoint = not ((p.probabilities > 0) & (q.probabilities > 0)).any()
    assert not disjoint or best == 0


# --- the criterion's shape ---------------------------------------------------------------------


@laws
@given(inner, inner)
def test_gradient_against_finite_differences(p, q):
    """Along the simplex: C(q + h(eᵢ − eⱼ)) − C(q − h(eᵢ − eⱼ)) ≈ 2h (gᵢ − gⱼ)."""
    gradient, h = criterion_gradient(p, q), 1e-5
    for i in range(3):
        step = np.zeros(4)
        step[i], step[3] = h, -h
        slope = (criterion(p, q + step) - criterion(p, q - step)) / (2 * h)
        assert slope == pytest.approx(gradient[i] - gradient[3], abs=1e-6)
    np.testing.assert_allclose(gradient, np.log(1 - optimal_discriminator(p, q)), atol=1e-12)


@laws
@given(st.data())
def test_the_tangent_lies_below(data):
    """C(r) ≥ C(q) + g·(r − q): convexity, with zeros among the masses."""
    p, q, r = (data.draw(probabilities(4)) for _ in range(3))
    gradient = criterion_gradient(p, q)
    assert (gradient <= 0).all()
    np.testing.assert_array_equal(np.isneginf(gradient), (q == 0) & (p > 0))
    moved = r != q
    assert criterion(p, r) >= criterion(p, q) + (gradient[moved] * (r - q)[moved]).sum() - 1e-9


def test_gradient_where_there_is_no_data():
    """From p_g = p_data towards an outcome that neither has: C rises with slope 0 − (−log 2)."""
    p, target, h = np.array([0.3, 0.7, 0.0]), np.array([0.0, 0.0, 1.0]), 1e-7
    gradient = criterion_gradient(p, p)
    np.testing.assert_allclose(gradient, [-math.log(2), -math.log(2), 0], atol=1e-15)
    slope = (criterion(p, (1 - h) * p + h * target) - criterion(p, p)) / h
    assert slope == pytest.approx(gradient @ (target - p), abs=1e-6)


@laws
@given(st.data(), st.floats(0, 1))
def test_the_criterion_is_convex(data, t):
    p, q, r = (data.draw(probabilities(4)) for _ in range(3))
    gap = convexity_gap(p, q, r, t)
    assert gap >= -1e-12
    chord = (1 - t) * criterion(p, q) + t * criterion(p, r)
    assert gap == pytest.approx(chord - criterion(p, (1 - t) * q + t * r), abs=1e-12)
    assert convexity_gap(p, q, r, 0) == convexity_gap(p, q, r, 1) == 0
    assert gap == pytest.approx(convexity_gap(p, r, q, 1 - t), abs=1e-9)


def test_two_one_sided_generators_mix_to_a_perfect_one():
    one_sided = -math.log(4) + 2 * 0.2157615543
    arrays = np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert convexity_gap(*arrays, 0.5) == pytest.approx(one_sided + math.log(4), abs=1e-9)
    coin = Table.of("x", {"H": 0.5, "T": 0.5}), Table.of("x", {"H": 1.0}), Table.of("x", {"T": 1.0})
    assert convexity_gap(*coin, 0.5) == pytest.approx(convexity_gap(*arrays, 0.5), abs=1e-15)
    assert convexity_gap(*coin, 0.25) == pytest.approx(convexity_gap(*arrays, 0.25), abs=1e-15)


# --- Proposition 2 -----------------------------------------------------------------------------


@laws
@given(pairs(), rates)
def test_descent_never_raises_the_criterion(pair, rate):
    p, q = pair
    path = descend(p, q, steps=12, rate=rate)
    assert path.p_g.shape == path.discriminator.shape == (13, *p.shape)
    np.testing.assert_array_equal(path.p_g[0], q.probabilities)
    np.testing.assert_allclose(path.p_g.reshape(13, -1).sum(axis=1), 1, atol=1e-12)
    assert (np.diff(path.criterion) <= 1e-12).all()
    for k in (0, 5, 12):
        assert path.criterion[k] == pytest.approx(criterion(p.probabilities, path.p_g[k]), abs=1e-12)
        assert path.jsd[k] == pytest.approx(jsd(p.probabilities, path.p_g[k]), abs=1e-12)
        optimal = optimal_discriminator(p.probabilities, path.p_g[k])
        np.testing.assert_array_equal(path.discriminator[k], optimal)
    divergence = kl(p, q)
    if math.isfinite(divergence):
        excess = path.criterion[1:] - GLOBAL_OPTIMUM
        assert (excess <= divergence / (rate * np.arange(1, 13)) + 1e-12).all()


@laws
@given(inner, inner, st.floats(0.05, 1))
def test_a_step_is_the_exponentiated_gradient(p, q, rate):
    raised = q * np.exp(-rate * criterion_gradient(p, q))
    np.testing.assert_allclose(descend(p, q, steps=1, rate=rate).p_g[1], raised / raised.sum(), atol=1e-12)


@laws
@given(pairs())
def test_rate_one_halves_the_gap(pair):
    p, q = pair
    path = descend(p, q, steps=40)
    gaps = p.probabilities - path.p_g
    halves = 0.5 ** np.arange(41).reshape(-1, *[1] * len(p.shape))
    np.testing.assert_allclose(gaps, gaps[0] * halves, atol=1e-15)
    assert path.criterion[-1] == pytest.approx(GLOBAL_OPTIMUM, abs=1e-12)
    assert np.abs(path.discriminator[-1] - 0.5)[p.probabilities > 1e-3].max() < 1e-6


@settings(laws, max_examples=20)
@given(inner, inner, st.floats(0.5, 1))
def test_full_support_converges_to_the_data(p, q, rate):
    path = descend(p, q, steps=90, rate=rate)
    np.testing.assert_allclose(path.p_g[-1], p, atol=1e-9)
    assert path.criterion[-1] == pytest.approx(GLOBAL_OPTIMUM, abs=1e-12)


@pytest.mark.parametrize("rate", [0.5, 0.99])
def test_a_missing_mode_never_comes_back_for_a_rate_below_one(rate):
    """p_g ends at the data restricted to its modes: the closed form of dropped modes."""
    data, start = np.full(8, 1 / 8), np.array([0.7, 0.2, 0.1, 0, 0, 0, 0, 0])
    path = descend(data, start, steps=300, rate=rate)
    assert (path.p_g[:, 3:] == 0).all()
    np.testing.assert_allclose(path.p_g[-1, :3], 1 / 3, atol=1e-9)
    closed = mode_dropping(8, 3)
    assert path.criterion[-1] == pytest.approx(closed.criterion, abs=1e-12)
    assert path.discriminator[-1] == pytest.approx([closed.discriminator_kept] * 3 + [1] * 5, abs=1e-9)
    assert (descend(data, start, steps=1, rate=1).p_g[1, 3:] == 1 / 16).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_for_generator([0.5, 0.5], [0.5]), r"shape \(1,\) for outcomes of shape \(2,\)"),
        (lambda: best_for_generator([0.5, 0.5], [0.5, 1.5]), "between 0 and 1"),
        (lambda: best_for_generator([0.5, 0.5], "half"), "best_for_generator, the discriminator"),
        (lambda: criterion_gradient([0.5, 0.5], [1.0]), "one probability for each"),
        (lambda: convexity_gap(np.ones(1), np.ones(1), np.ones(1), 1.5), "t = 1.5"),
        (lambda: descend([1.0], [1.0], rate=0), "rate = 0"),
        (lambda: descend([1.0], [1.0], rate=1.1), "rate = 1.1"),
        (lambda: descend([1.0], [1.0], rate=math.nan), "rate = nan"),
        (lambda: descend([1.0], [1.0], steps=-1), "steps = -1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(PlausibleError, match=message):
        call()
