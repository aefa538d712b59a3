"""A scene on the line against closed forms: the grid, the push-forward and what is said of D."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, Uniform

from plausible.course.snapshot import Line

DRAWN = True

LINE = Line(Normal(0.0, 1.0), -8, 8, bins=4_000)


def seen(mean, deviation, logit):
    """G(z) = mean + deviation·z of standard normal noise, and D by its logit."""
    return LINE.observe(
        Normal(0.0, 1.0), lambda z: mean + deviation * z, lambda x: logit(x.squeeze(1)), tick=3
    )


@pytest.mark.parametrize(
    ("mean", "deviation", "jsd"),
    [(1, 1, 0.111421482), (2, 1, 0.336830820), (3, 1, 0.526777307), (0, 2, 0.092733382), (1, 2, 0.128174973)],
)
def test_the_push_forward_of_a_linear_generator_has_the_closed_jsd(mean, deviation, jsd):
    scene = seen(mean, deviation, lambda x: 0 * x)
    assert scene.jsd == pytest.approx(jsd, abs=3e-4)  # the outermost cells of normal noise are wide
    assert scene.criterion == pytest.approx(-math.log(4) + 2 * jsd, abs=6e-4)
    assert 0 <= scene.grid_error < 2e-4
    assert (scene.tick, scene.p_g.sum()) == (3, pytest.approx(1, abs=1e-12))


def test_a_discriminator_at_its_optimum_is_at_no_distance_and_reaches_the_criterion():
    scene = seen(2, 1, lambda x: 2 - 2 * x)  # logit D* = m²/2 − m·x
    assert scene.distance < 2e-3
    assert scene.value == pytest.approx(scene.criterion, abs=1e-3)
    assert scene.value <= scene.criterion


def test_a_discriminator_that_cannot_tell_is_at_the_distance_of_one_half():
    scene = seen(2, 1, lambda x: 0 * x)
    assert scene.value == pytest.approx(-math.log(4), abs=1e-12)
    assert scene.distance == pytest.approx(
        float((scene.mixture * np.abs(scene.d_star - 0.5)).sum()), abs=1e-12
    )
    assert scene.distance > 0.2


def test_the_same_distribution_is_at_no_distance():
    scene = seen(0, -1, lambda x: 0 * x)
    assert scene.jsd < 2e-4
    assert scene.distance < 2e-3


def test_arrows_start_at_equal_steps_of_probability_and_end_where_g_puts_them():
    scene = Line(Normal(0.0, 1.0), -8, 8).observe(
        Uniform(-1.0, 1.0), lambda z: 3 * z**3, lambda x: x.squeeze(1), tick=0
    )
    assert np.diff(scene.z) == pytest.approx(np.full(16, 2 / 17), abs=1e-6)
    assert scene.generated == pytest.approx(3 * scene.z**3, abs=1e-5)
    assert scene.d == pytest.approx(torch.from_numpy(scene.x).sigmoid().numpy(), abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0])
def test_shifted_uniforms_are_exact(shift):
    line = Line(Uniform(0.0, 1.0, validate_args=False), -1, 3, bins=400)
    scene = line.observe(Uniform(0.0, 1.0), lambda z: z + shift, lambda x: 0 * x.squeeze(1), tick=0)
    assert scene.jsd == pytest.approx(shift * math.log(2), abs=1e-4)
