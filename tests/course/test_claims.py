"""The table of `plausible theory`: it holds for any seed, and a wrong number does not."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from torch.distributions import Normal

from plausible.course.claims import Claim, probability_claims, theory_claims, training_claims
from plausible.course.snapshot import Line

DRAWN = True

CLAIM = Claim("die", "mean", 3.5, "Σ x P(x)", 3.49, "samples", 0.01, 0.02)


@pytest.mark.parametrize("seed", range(5))
def test_every_line_of_probability_and_theory_holds(seed):
    wrong = [line for line in probability_claims(seed) + theory_claims(seed) if not line.holds]
    assert wrong == []


def test_samples_differ_between_seeds_and_exact_lines_do_not():
    first, second = (probability_claims(seed) + theory_claims(seed) for seed in (0, 1))
    for a, b in zip(first, second, strict=True):
        assert (a.measured != b.measured) == ("samples" in a.method), a.quantity
        assert a.expected == b.expected


def test_intervals_hold_as_often_as_they_say():
    lines = [line for seed in range(40) for line in probability_claims(seed) if "samples" in line.method]
    inside = [abs(line.measured - line.expected) <= line.error for line in lines]
    assert len(inside) == 40 * 8
    assert 0.90 <= sum(inside) / len(inside) <= 0.985


@pytest.mark.parametrize(
    ("expected", "measured", "holds"),
    [
        (3.5, 3.52, True),
        (3.5, 3.53, False),
        (math.inf, math.inf, True),
        (math.inf, 9e9, False),
        (0, math.nan, False),
    ],
)
def test_a_line_holds_within_its_tolerance(expected, measured, holds):
    assert replace(CLAIM, expected=expected, measured=measured, tolerance=0.0201).holds is holds


def test_a_line_as_json_is_json_also_where_it_is_infinite():
    record = json.loads(
        json.dumps(replace(CLAIM, expected=-math.inf, measured=-math.inf).as_json(), allow_nan=False)
    )
    assert (record["expected"], record["holds"], record["quantity"]) == ("-inf", True, "mean")


def test_a_discriminator_at_its_optimum_is_not_taken_for_one_that_cannot_tell():
    """E D is ½ for D* of any generator, so D → ½ is judged by E|D − ½|."""
    line, noise = Line(Normal(0.0, 1.0), -8, 8), Normal(0.0, 1.0)
    far = line.observe(noise, lambda z: 2 + z, lambda x: 2 - 2 * x.squeeze(1), tick=1)
    assert float((far.mixture * far.d).sum()) == pytest.approx(0.5, abs=1e-3)
    assert [claim.holds for claim in training_claims([], far)] == [False, False]
    near = line.observe(noise, lambda z: z, lambda x: 0 * x.squeeze(1), tick=1)
    assert [claim.holds for claim in training_claims([], near)] == [True, True]
    told = training_claims([], far)[-1]
    assert told.measured == pytest.approx(float((far.mixture * np.abs(far.d - 0.5)).sum()), abs=1e-12)
