"""Closed forms against the general computation, and the two slopes against autograd of the project's objectives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_tables import laws
from torch.distributions import Uniform

from plausible.errors import PlausibleError
from plausible.models.objectives import Logits, minimax, non_saturating
from plausible.probability import jsd, kl
from plausible.theory import (
    GLOBAL_OPTIMUM,
    criterion,
    mode_dropping,
    non_saturating_gradient,
    optimal_discriminator,
    saturating_gradient,
    uniform_shift_jsd,
)


@pytest.mark.parametrize(
    ("modes", "kept", "divergence"), [(8, 1, 0.4969291266), (64, 8, 0.4969291266), (10, 5, 0.2157615543)]
)
def test_mode_dropping_oracles(modes, kept, divergence):
    assert mode_dropping(modes, kept).jsd == pytest.approx(divergence, abs=5e-11)


@laws
@given(st.integers(1, 40), st.data())
def test_mode_dropping_against_the_sums(modes, data):
    kept = data.draw(st.integers(1, modes))
    found = mode_dropping(modes, kept)
    p, q = np.full(modes, 1 / modes), np.array([1 / kept] * kept + [0] * (modes - kept))
    assert found.jsd == pytest.approx(jsd(p, q), abs=1e-12)
    assert found.criterion == pytest.approx(criterion(p, q), abs=1e-12)
    assert found.reverse_kl == pytest.approx(kl(q, p), abs=1e-12)
    assert math.isinf(found.kl) == (kept < modes)
    assert found.kl == pytest.approx(kl(p, q), abs=1e-12)
    assert found.discriminator_kept == pytest.approx(optimal_discriminator(p, q)[0], abs=1e-12)


def test_nothing_dropped():
    found = mode_dropping(7, 7)
    assert (found.jsd, found.kl, found.reverse_kl, found.discriminator_kept) == (0, 0, 0, 0.5)
    assert found.criterion == GLOBAL_OPTIMUM


@pytest.mark.parametrize("a", [-0.75, -0.25, 0.0, 0.125, 0.5, 1.0, 7.0])
def test_uniform_shift(a):
    assert uniform_shift_jsd(a) == pytest.approx(min(abs(a), 1) * math.log(2), abs=1e-15)
    assert uniform_shift_jsd(a) == pytest.approx(float(jsd(Uniform(0.0, 1.0), Uniform(a, 1 + a))), abs=1e-8)


@pytest.mark.parametrize(
    ("objective", "gradient"), [(minimax, saturating_gradient), (non_saturating, non_saturating_gradient)]
)
def test_slopes_against_autograd(objective, gradient):
    logits = torch.linspace(-15, 15, 61, dtype=torch.float64, requires_grad=True)
    (terms,) = objective("generator", Logits(lambda x: x, lambda: logits, logits)).values()
    (slope,) = torch.autograd.grad(terms.sum(), logits)
    np.testing.assert_allclose(gradient(torch.sigmoid(logits)), slope.numpy(), rtol=0, atol=1e-12)


def test_slopes_at_the_ends():
    d = np.array([[0.0, 0.5, 1.0]])
    np.testing.assert_array_equal(saturating_gradient(d), [[0, -0.5, -1]])
    np.testing.assert_array_equal(non_saturating_gradient(d), [[-1, -0.5, 0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mode_dropping(3, 4), "kept = 4"),
        (lambda: mode_dropping(3, 0), "kept = 0"),
        (lambda: mode_dropping(3.0, 1), "modes = 3.0"),
        (lambda: uniform_shift_jsd(math.nan), "NaN"),
        (lambda: saturating_gradient(1.5), "saturating_gradient: give probabilities"),
        (lambda: non_saturating_gradient(-0.5), "non_saturating_gradient: give probabilities"),
    ],
)
def test_errors(call, message):
    with pytest.raises(PlausibleError, match=message):
        call()
