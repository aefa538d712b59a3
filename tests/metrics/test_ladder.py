"""The ladder: every estimate at its value, and Parzen never in a table with the others."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from plausible.metrics import Result
from plausible.metrics.ladder import plot_ladder, show_ladder

ESTIMATES = [
    Result("IWAE-1", -33.2, 0.8, unit="nats", details={"rows": 100, "k": 1}),
    Result("IWAE-50", -31.1, 0.7, unit="nats", details={"rows": 100, "k": 50}),
    Result("AIS", -31.0, 0.7, unit="nats", details={"rows": 100}),
    Result("exact", -30.9, 0.7, unit="nats", details={"rows": 100}),
]
PARZEN = Result("Parzen", -4.1, 2.1, unit="nats", note="No likelihood.", details={"rows": 100})


def points(axes) -> list[tuple[float, float]]:
    return [tuple(float(end) for end in np.ravel(bar.lines[0].get_data())) for bar in axes.containers]


def test_parzen_shares_no_table_with_the_others():
    tables = show_ladder([*ESTIMATES, PARZEN]).tables
    assert [results for _, results in tables] == [ESTIMATES, [PARZEN]]
    assert "not comparable" in tables[1][0]


def test_the_figure_is_described_for_those_who_cannot_see_it():
    shown = show_ladder([*ESTIMATES, PARZEN])
    assert "IWAE-1 −33.20 ± 0.80 nats" in shown.alt
    assert "Parzen −4.1 ± 2.1 nats. Parzen is set apart." in shown.alt
    assert "the same 100, by each estimate" in shown.title
    assert "Theis" in shown.caption
    assert "same" not in show_ladder([replace(ESTIMATES[0], details={"rows": 7}), *ESTIMATES[1:]]).title


def test_every_estimate_is_plotted_at_its_value():
    left, right = plot_ladder([*ESTIMATES, PARZEN]).axes
    estimates = [(result.value, float(row)) for row, result in enumerate(ESTIMATES)]
    assert points(left) == estimates  # Parzen is off this axis, which says so
    assert ["−4.1: another kind of number" in words.get_text() for words in left.texts] == [True]
    assert points(right) == [*estimates, (-4.1, 4.0)]
    assert [label.get_text() for label in left.get_yticklabels()][-1] == "Parzen (another kind)"
    for bar, result in zip(right.containers, [*ESTIMATES, PARZEN], strict=True):
        (segment,) = bar.lines[2][0].get_segments()
        np.testing.assert_allclose(
            segment[:, 0], [result.value - result.spread, result.value + result.spread]
        )


def test_parzen_looks_like_nothing_else():
    bars = plot_ladder([*ESTIMATES, PARZEN]).axes[1].containers
    looks = [(bar.lines[0].get_marker(), bar.lines[0].get_markerfacecolor()) for bar in bars]
    assert looks[-1] not in looks[:-1]
    assert looks[0] != looks[3]  # a bound, and the value itself


def test_real_data_have_no_parzen_and_one_panel():
    assert len(plot_ladder(ESTIMATES).axes) == 1
    assert len(show_ladder(ESTIMATES).tables) == 1


@pytest.mark.parametrize(
    "damage",
    [{"value": None}, {"value": math.inf}, {"spread": None}, {"spread": math.nan}, {"spread": -1.0},
     {"details": {}}, {"details": {"rows": []}}],
)  # fmt: skip
def test_odd_estimates_are_left_out_of_the_figure_alone(damage):
    odd = replace(ESTIMATES[0], **damage)
    shown = show_ladder([odd, *ESTIMATES[1:], PARZEN])
    assert shown.figure is not None
    assert shown.tables[0][1][0] is odd
    assert (show_ladder([odd]).figure is None) == ("value" in damage)
