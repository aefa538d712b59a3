"""The ladder: every estimate where its value is, and Parzen never in a column with the others."""

from __future__ import annotations

import re

import numpy as np
import pytest

from plausible.report.ladder import draw_ladder, split
from plausible.report.metrics import metrics_table

RUNGS = [
    {"name": "IWAE-1", "value": -33.2, "spread": 0.8, "unit": "nats", "details": {"rows": 100, "k": 1}},
    {"name": "IWAE-50", "value": -31.1, "spread": 0.7, "unit": "nats", "details": {"rows": 100, "k": 50}},
    {"name": "AIS", "value": -31.0, "spread": 0.7, "unit": "nats", "details": {"rows": 100}},
    {"name": "exact", "value": -30.9, "spread": 0.7, "unit": "nats", "details": {"rows": 100}},
]
PARZEN = {
    "name": "Parzen",
    "value": -4.1,
    "spread": 2.1,
    "unit": "nats",
    "note": "No likelihood.",
    "details": {"rows": 100},
}
OTHER = {"name": "density", "value": 0.9, "unit": "share"}


def tables(metrics: list[dict]) -> list[str]:
    page = metrics_table({"split": "test", "metrics": metrics}, "plausible evaluate RUN")
    return re.findall(r"<table>.*?</table>", page, re.DOTALL)


def points(axes) -> list[tuple[float, float]]:
    return [tuple(float(end) for end in np.ravel(bar.lines[0].get_data())) for bar in axes.containers]


def test_parzen_shares_no_table_with_the_others():
    found = tables([OTHER, *RUNGS, PARZEN])
    names = [re.findall(r'<th scope="row">(.*?)</th>', table) for table in found]
    assert names == [["density"], ["IWAE-1", "IWAE-50", "AIS", "exact"], ["Parzen"]]
    assert "not to be compared" in found[2]


def test_the_figure_is_described_for_those_who_cannot_see_it():
    page = metrics_table({"metrics": [*RUNGS, PARZEN]}, "")
    assert "IWAE-1 −33.20 ± 0.80 nats" in page
    assert "Parzen −4.1 ± 2.1 nats. Parzen stands apart." in page
    assert "the same 100, by each estimate" in page
    assert page.count("<img") == 1


def test_without_a_ladder_nothing_changes():
    lone = {"name": "Parzen", "value": 1.0}
    assert split([OTHER, lone]) == ([OTHER, lone], [], [])
    page = metrics_table({"metrics": [OTHER, lone]}, "")
    assert "<img" not in page
    assert page.count("<table>") == 1


def test_every_estimate_stands_at_its_value():
    figure = draw_ladder([*RUNGS, PARZEN])
    left, right = figure.axes
    rungs = [(metric["value"], float(row)) for row, metric in enumerate(RUNGS)]
    assert points(left) == rungs  # Parzen is off this axis, and said so
    assert ["−4.1: another kind of figure" in words.get_text() for words in left.texts] == [True]
    assert points(right) == [*rungs, (-4.1, 4.0)]
    assert [label.get_text() for label in left.get_yticklabels()][-1] == "Parzen (another kind)"
    for bar, metric in zip(right.containers, [*RUNGS, PARZEN], strict=True):
        (segment,) = bar.lines[2][0].get_segments()
        np.testing.assert_allclose(
            segment[:, 0], [metric["value"] - metric["spread"], metric["value"] + metric["spread"]]
        )


def test_parzen_looks_like_nothing_else():
    bars = draw_ladder([*RUNGS, PARZEN]).axes[1].containers
    looks = [(bar.lines[0].get_marker(), bar.lines[0].get_markerfacecolor()) for bar in bars]
    assert looks[-1] not in looks[:-1]
    assert looks[0] != looks[3]  # a bound, and the value itself


def test_real_data_have_no_parzen_and_one_panel():
    assert len(draw_ladder(RUNGS).axes) == 1
    assert len(tables(RUNGS)) == 1


DAMAGES = [
    *({"value": None}, {"value": "?"}, {"spread": None}, {"spread": float("nan")}, {"spread": -1}),
    *({"details": 3}, {"details": {"rows": []}}),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_odd_estimates_are_passed_over(damage):
    page = metrics_table({"metrics": [RUNGS[0] | damage, *RUNGS[1:], PARZEN]}, "")
    assert page.count("<img") == 1
    assert metrics_table({"metrics": [RUNGS[0] | damage]}, "").count("<img") == ("value" not in damage)
