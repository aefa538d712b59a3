"""The sentences follow from the figures and their intervals."""

import pytest

from plausible.comparison.advice import advise, headline
from plausible.report.compare import comparison_tables
from plausible.runs import MetricRecord
from plausible.runs.comparison import Compared, Comparison, ComparisonPlan


def generated(name, value, interval, *, kind="model", metric="coverage", better=True, view="digits"):
    figure = MetricRecord(name=metric, value=value, interval=interval, higher_is_better=better)
    return Compared(name=name, kind=kind, view=view, generate=(figure,))


def bits(name, value, kind, of, view="digits"):
    figure = MetricRecord(
        name="bits per dimension", value=value, interval=(value - 0.1, value + 0.1), higher_is_better=False
    )
    return Compared(name=name, kind="model", view=view, density=(figure,), density_kind=kind, density_of=of)


def text_of(*results):
    (found,) = advise(results)
    return found.text


def test_a_best_apart_from_all_others_is_taken():
    text = text_of(generated("a", 0.5, (0.4, 0.6)), generated("b", 0.9, (0.8, 0.95)))
    assert text.startswith("take b (coverage 0.9, 95 % interval 0.8 to 0.95)")
    assert "apart from all others" in text


def test_overlapping_intervals_are_not_told_apart():
    text = text_of(
        generated("a", 0.85, (0.78, 0.9)), generated("b", 0.9, (0.8, 0.95)), generated("c", 0.1, (0, 0.2))
    )
    assert "overlaps with a:" in text
    assert "take" not in text


def test_of_a_distance_the_smallest_is_best():
    results = [
        generated(n, v, (v - 1, v + 1), metric="kid", better=False) for n, v in (("a", 10.0), ("b", 2.0))
    ]
    assert text_of(*results).startswith("take b")


def test_intervals_that_touch_overlap():
    assert "overlaps" in text_of(generated("a", 0.5, (0.4, 0.6)), generated("b", 0.7, (0.6, 0.8)))


def test_a_baseline_that_is_best_is_said_to_be_one():
    text = text_of(generated("kde", 0.9, (0.85, 0.95), kind="baseline"), generated("a", 0.5, (0.4, 0.6)))
    assert "No model beats it here; the best of them is a" in text


def test_a_figure_without_an_interval_may_be_chance():
    assert "may be chance" in text_of(generated("a", 0.5, None), generated("b", 0.9, None))


def test_what_has_no_value_or_failed_is_left_out():
    failed = Compared(name="f", kind="model", view="digits", failed="diverged")
    text = text_of(
        generated("a", float("nan"), None), generated("n", None, None), generated("b", 0.1, (0, 0.2)), failed
    )
    assert "b (coverage" in text
    assert "only one" in text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["precision", "coverage", "kid"], "kid"),
        (["coverage", "told apart", "KID"], "KID"),
        (["coverage", "told apart"], "told apart"),
        (["precision", "recall"], "precision"),
    ],
)
def test_the_headline_is_the_first_in_order(names, expected):
    figures = tuple(MetricRecord(name=name, value=1.0, higher_is_better=True) for name in names)
    assert headline([Compared(name="a", kind="model", view="v", generate=figures)]) == expected


def comparison(*results):
    plan = ComparisonPlan(data="digits", hash="0" * 64, core_minutes=1, seed=0)
    return Comparison(plausible="0", plan=plan, train=1, valid=1, test=1, results=results, advice=())


UNLIKE = (
    bits("a", 1.0, "exact", "values in 17 levels"),
    bits("b", 0.5, "lower bound", "values in 17 levels"),
    bits("c", 0.1, "exact", "values in 2 levels", view="digits:binary"),
    bits("d", -3.0, "exact", "a density of continuous values"),
    bits("e", 0.9, "exact", "values in 17 levels"),
)


def test_unlike_densities_are_never_ranked_together():
    found = {(each.view, each.job): each.text for each in advise(UNLIKE)}
    assert len(found) == 4
    assert "overlaps with a" in found["digits", "For probabilities (exact, values in 17 levels)"]


def test_unlike_densities_share_no_table():
    tables = comparison_tables(comparison(*UNLIKE))
    rows = sorted([name for name, _, _ in table.rows] for table in tables)
    assert rows == [["a", "e"], ["b"], ["c"], ["d"]]
    assert len({table.title for table in tables}) == 4


def test_views_share_no_table():
    tables = comparison_tables(
        comparison(generated("a", 0.5, None), generated("b", 0.9, None, view="digits:binary"))
    )
    assert [[name for name, _, _ in table.rows] for table in tables] == [["a"], ["b"]]


def test_the_best_and_what_overlaps_with_it_lead():
    results = [
        generated("a", 3.0, (2.0, 4.0), better=False),
        generated("b", 5.0, (3.9, 6.0), better=False),
        generated("c", 9.0, (8.0, 10.0), better=False),
    ]
    (table,) = comparison_tables(comparison(*results))
    assert [cells[0].leads for _, _, cells in table.rows] == [True, True, False]


def trees(name, value, interval):
    figure = MetricRecord(
        name="AUC of trees", value=value, interval=interval, higher_is_better=False, chance=0.5
    )
    return Compared(name=name, kind="model", view="t", generate=(figure,))


def test_below_chance_is_no_better_than_chance():
    lucky, same, worse = (
        trees("lucky", 0.38, (0.3, 0.46)),
        trees("same", 0.5, (0.48, 0.54)),
        trees("worse", 0.7, (0.65, 0.75)),
    )
    text = text_of(worse, lucky, same)
    assert text.startswith("lucky (AUC of trees 0.38")
    assert "overlaps with same:" in text
    assert text_of(worse, same, lucky).startswith("same (AUC of trees 0.5")
    (table,) = comparison_tables(comparison(worse, lucky, same))
    assert [cells[0].leads for _, _, cells in table.rows] == [False, True, True]
    assert table.rows[1][2][0].value == "0.38"


def test_only_a_figure_that_has_a_chance_is_capped():
    plain = MetricRecord(name="kid", value=0.1, interval=(0.0, 0.2), higher_is_better=False)
    assert plain.capped() == plain
    above = MetricRecord(name="a", value=0.6, interval=(0.4, 0.8), higher_is_better=False, chance=0.5)
    assert (above.capped().value, above.capped().interval) == (0.6, (0.5, 0.8))
