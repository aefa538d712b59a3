"""The metrics of `evaluation.json` for the report: a common table, and what metrics show in a way of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from plausible.formatting import COMPARED, flatten, metric_cells
from plausible.metrics import METRICS, Result, Shown
from plausible.plotting import to_svg
from plausible.report.page import PageImage
from plausible.runs import Evaluation

__all__ = ["metrics_context"]

WEIGHTS = {"ema": "averaged weights (EMA)", "trained": "trained weights"}
BETTER = {True: "↑ higher", False: "↓ lower", None: "–"}


def metrics_context(evaluation: Evaluation) -> dict[str, Any]:
    """The variables of templates/metrics.html."""
    common, shown = _split(evaluation)
    weights = WEIGHTS[evaluation.weights]
    caption = f"Measured on the {evaluation.split} split at tick {evaluation.tick:,}, with the {weights}."
    return {
        "tables": [_table(caption, common)] if common else [],
        "shown": [
            {
                "title": each.title,
                "image": _image(each),
                "tables": [_table(caption, results) for caption, results in each.tables],
            }
            for each in shown
        ],
    }


def _split(evaluation: Evaluation) -> tuple[list[Result], list[Shown]]:
    """The results of the common table, and what the other metrics make of theirs."""
    common: list[Result] = []
    shown: list[Shown] = []
    results = [Result(**dict(record)) for record in evaluation.metrics]
    for name, group in groupby(results, lambda result: result.metric):
        metric = METRICS.get(name)
        if metric is None or metric.show is None:
            common += group
        else:
            shown.append(metric.show(list(group)))
    return common, shown


def _image(shown: Shown) -> PageImage | None:
    if shown.figure is None:
        return None
    return PageImage(to_svg(shown.figure), shown.alt, caption=shown.caption, kind="svg+xml")


def _table(caption: str, results: Sequence[Result]) -> dict[str, Any]:
    """A table; a column of intervals or comparisons only where a result has one."""
    compared = {
        key: head
        for key, head in COMPARED.items()
        if any(getattr(result, key) is not None for result in results)
    }
    return {"caption": caption, "compared": compared, "rows": _rows(results)}


def _rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "name": result.name,
            **metric_cells(vars(result)),
            "unit": result.unit or "–",
            "better": BETTER[result.higher_is_better],
            "notes": notes,
        }
        for result, notes in zip(results, _notes(results), strict=True)
    ]


def _notes(results: Sequence[Result]) -> list[list[str]]:
    """What stands beneath each row: note, what ± is, details. What neighbours share stands beneath the last of them."""
    parts = [_beneath(result) for result in results]
    following = [*parts[1:], ("", "")]
    return [
        [part for part, later in zip(own, after, strict=True) if part and part != later]
        for own, after in zip(parts, following, strict=True)
    ]


def _beneath(result: Result) -> tuple[str, str]:
    """A result's note with what its ± is, and its details."""
    spread = f"± is the {result.spread_is}." if result.spread_is else ""
    details = " · ".join(f"{name} {value}" for name, value in flatten(result.details))
    return f"{result.note} {spread}".strip(), details
