"""Curves: the line at −log 4 stands exactly where V(D,G) is shown, and thinning loses no peak."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.formatting import number_of
from plausible.models.objectives import OBJECTIVES
from plausible.report.curves import Panel, describe, panels, plot_panel, smooth, thin, ticks_an_epoch
from plausible.runs import Evaluation

DRAWN = True


def log(
    count: int = 30, shown: tuple[str, ...] = (), losses: tuple[str, ...] = ("nll/nats",)
) -> list[dict[str, Any]]:
    """An event log of so many lines."""
    ticks = [
        {
            "event": "ticks",
            "tick": 10 * (i + 1),
            "epoch": (i + 1) / 2,
            "losses": dict.fromkeys(losses, 1 / (i + 1)),
            "shown": dict.fromkeys(shown, 0.5),
        }
        for i in range(count)
    ]
    return [
        {"event": "start", "tick": 0},
        *ticks,
        {"event": "stop", "tick": 10 * count, "reason": "finished"},
    ]


def heights(panel: Panel) -> list[float]:
    """Where the panel's horizontal lines stand."""
    (axes,) = plot_panel(panel, 20.0).axes
    return [float(line.get_ydata()[0]) for line in axes.lines if len(line.get_ydata()) == 2]


@pytest.mark.parametrize(
    "shown", [(), ("D(x)",), ("V(D,G)",), ("V(D, G)", "D(x)"), ("D(x)", "D(G(z))", "V(D,G)")]
)
def test_the_line_at_minus_log_4_is_there_exactly_when_the_value_is_shown(shown):
    lines = [height for panel in panels(log(shown=shown)) for height in heights(panel)]
    assert any(math.isclose(height, -math.log(4)) for height in lines) == any("V" in name for name in shown)
    assert (0.5 in lines) == any(name.startswith("D(") for name in shown)


def test_the_line_is_in_words_and_within_the_picture():
    (panel, _) = panels(log(shown=("V(D,G)",)))
    figure = plot_panel(panel)
    axes = figure.axes[0]
    assert axes.get_ylim()[0] < -math.log(4) < axes.get_ylim()[1]
    words = [entry.get_text() for legend in figure.legends for entry in legend.get_texts()]
    assert any("−log 4" in word and "D = ½" in word for word in words)
    assert "−log 4" in describe(panel)


def test_a_panel_for_each_turn_and_one_for_the_beliefs():
    events = log(
        shown=("D(x)", "D(G(z))", "grad norm"),
        losses=("discriminator/real", "discriminator/fake", "generator/fool"),
    )
    found = {panel.title: [curve.name for curve in panel.curves] for panel in panels(events)}
    assert found == {
        "What the discriminator believes": ["D(x)", "D(G(z))"],
        "Loss of the discriminator turn": ["real", "fake"],
        "Loss of the generator turn": ["fool"],
        "grad norm": ["grad norm"],
    }


def test_a_critic_that_is_no_probability_gets_no_line_at_one_half():
    events = log(shown=("D(x)",))
    events[3]["shown"]["D(x)"] = -4.0
    panel = panels(events)[0]
    assert panel.title == "What the critic answers"
    assert panel.level is None


def test_epochs_stand_above_the_ticks():
    panel = panels(log())[0]
    assert ticks_an_epoch(log()) == 20.0
    assert len(plot_panel(panel, 20.0).axes[0].child_axes) == 1
    assert len(plot_panel(panel, None).axes[0].child_axes) == 0
    assert ticks_an_epoch([{"event": "ticks", "tick": 3}]) is None


@pytest.mark.parametrize(
    "bad", [math.nan, math.inf, -math.inf, None, "0.3", True, 1e300, pytest.param(10**400, id="huge")]
)
@pytest.mark.parametrize("count", [1, 60])
def test_odd_values_are_gaps_never_a_crash(bad, count):
    events = log(count)
    events[1]["losses"] = {"nll/nats": bad, "$odd_{name": 1.0}
    events.insert(2, {"event": "ticks", "tick": None, "losses": {"nll/nats": 1.0}})
    events.insert(3, {"event": "ticks", "tick": 11, "losses": "torn"})
    for panel in panels(events):
        plot_panel(panel, ticks_an_epoch(events)).canvas.draw()
        assert describe(panel)


def test_a_few_points_far_off_do_not_flatten_the_curve_and_are_counted():
    events = log(300)
    events[50]["losses"]["nll/nats"] = 1e9
    axes = plot_panel(panels(events)[0]).axes[0]
    assert axes.get_ylim()[1] < 10
    assert "lie outside" in axes.get_xlabel()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4000), st.sampled_from([100, 1200]))
@settings(max_examples=30, deadline=None)
def test_thinning_keeps_the_ends_and_the_extremes(values, most):
    values = np.array(values)
    ticks = np.arange(len(values)) * 7.0
    x, y = thin(ticks, values, most)
    assert len(x) == len(y) <= most
    assert (x[0], x[-1]) == (ticks[0], ticks[-1])
    assert (y.min(), y.max()) == (values.min(), values.max())
    assert (np.diff(x) > 0).all()


def test_smoothing_is_an_average_that_gaps_do_not_spread_in():
    values = np.ones(100)
    values[10] = np.nan
    np.testing.assert_allclose(smooth(values), 1.0)
    assert np.isnan(smooth(np.full(5, np.nan))).all()
    assert len(smooth(np.ones(2))) == 2


def test_numbers():
    assert number_of(3) == 3.0
    assert math.isnan(number_of("3"))
    assert math.isnan(number_of(True))
    assert number_of(-(10**400)) == -math.inf


OWN = "custom"
EVERY_OBJECTIVE = [None, "minimax", "non-saturating", "authors-code", "relativistic", OWN]


def notes(objective=None, evaluation=None, more=()):
    """The captions of a GAN's value and beliefs."""
    events = [*log(shown=("D(x)", "D(G(z))", "V(D,G)")), *more]
    return [panel.note for panel in panels(events, objective, evaluation)[:2]]


def evaluated(accuracy, tick=100):
    line = {
        "metric": "two-sample",
        "name": "told apart",
        "value": accuracy,
        "interval": (accuracy - 0.01, 1.0),
    }
    return Evaluation.model_validate_json(
        json.dumps({"tick": tick, "weights": "ema", "split": "test", "metrics": [line]})
    )


def test_no_caption_takes_the_word_of_the_runs_own_discriminator():
    for objective in EVERY_OBJECTIVE:
        for note in notes(objective):
            assert "cannot tell" not in note
            assert "told apart" in note
            assert "plausible evaluate" in note
        words = " ".join(
            level for panel in panels(log(shown=("D(x)",))) if panel.level for level in panel.level[1:]
        )
        assert "cannot tell" not in words


def test_what_v_says_depends_on_the_objective():
    value = {objective: notes(objective)[0] for objective in EVERY_OBJECTIVE}
    assert value["minimax"] == value["non-saturating"] == value["authors-code"]
    assert len({value["minimax"], value["relativistic"], value[OWN]}) == 3
    assert "shows a difference" in value["minimax"]
    for other in ("relativistic", OWN, None):
        assert "shows a difference" not in value[other]
    assert "pairs" in value["relativistic"]
    assert "R1 + R2" in notes("relativistic")[1]


def test_every_objective_has_a_caption_of_its_own_kind():
    """A new objective must be put among those that train a probability, or get words of its own."""
    known = [objective for objective in OBJECTIVES if notes(objective) != notes(OWN)]
    assert known == list(OBJECTIVES)


def test_the_newest_two_sample_test_is_said():
    judged = {
        "event": "judged",
        "tick": 80,
        "two_sample": {"accuracy": 0.75, "interval": [0.7, 0.8], "rows": 100},
    }
    for note in notes("relativistic", evaluated(0.991)):
        assert "99.1 % right answers (98.1 to 100.0 %, 50 % = indistinguishable)" in note
        assert "tested on test rows and samples" in note
        assert "plausible evaluate" not in note
    for note in notes("minimax", None, [judged]):
        assert "At tick 80" in note
        assert "75.0 % right answers (70.0 to 80.0 %" in note
    assert "99.1 %" in notes("minimax", evaluated(0.991), [judged])[0]
    assert "75.0 %" in notes("minimax", evaluated(0.991, tick=60), [judged])[0]
