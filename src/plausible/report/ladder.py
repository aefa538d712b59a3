"""The ladder of `evaluate --metrics ladder`: estimates of log p(x) on the same rows, and Parzen kept apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plausible.report import markup
from plausible.report.canvas import COLOURS, INK, MUTED, RULE, frame, house_style, new_figure, plain, to_svg
from plausible.report.figures import number
from plausible.report.markup import text

Metric = Mapping[str, Any]
APART = "Parzen"
"""The estimate that is none of the model's log p(x)."""
RUNGS = ("AIS", "exact")
ABOUT_BOUNDS = "Triangles: lower bounds in expectation, log p(x) lies to their right. "
ABOUT_EXACT = "Square: log p(x) itself, by quadrature. "
ABOUT_BARS = (
    "Bars: one standard error over the rows. All stand on the same rows, so differences between them are known better "
    "than the bars say. "
)
ABOUT_APART = (
    "Diamond, apart: Parzen, the log-density of the same rows under Gaussians round samples of the model. It estimates "
    "nothing that the others do: it may lie above log p(x) or below, and move against it (Theis et al. 2016). Where "
    "the others are probabilities (of binary values, of grey levels) and it a density, not even the unit is theirs."
)


def split(metrics: Sequence[Metric]) -> tuple[list[Metric], list[Metric], list[Metric]]:
    """Metrics that are no part of a ladder, its rungs, and Parzen beside them (one, or none)."""
    if not any(_name(metric).startswith("IWAE-") for metric in metrics):
        return list(metrics), [], []
    rungs = [each for each in metrics if _name(each).startswith("IWAE-") or _name(each) in RUNGS]
    apart = [each for each in metrics if _name(each) == APART]
    return [each for each in metrics if each not in rungs and each not in apart], rungs, apart


def ladder_figure(rungs: Sequence[Metric], apart: Sequence[Metric]) -> str:
    """The estimates on an axis of nats as an HTML figure; empty when none is a finite number."""
    drawn = [metric for metric in (*rungs, *apart) if math.isfinite(number(metric.get("value")))]
    if not [metric for metric in drawn if metric not in apart]:
        return ""
    words = "; ".join(f"{_name(each)} {markup.measured(*_measured(each))} nats" for each in drawn)
    has_apart = any(metric in apart for metric in drawn)
    alt = f"Estimates of log p(x) on one axis: {words}." + (" Parzen stands apart." if has_apart else "")
    exact = ABOUT_EXACT if any(_name(metric) == "exact" for metric in drawn) else ""
    caption = ABOUT_BOUNDS + exact + ABOUT_BARS + (ABOUT_APART if has_apart else "")
    picture = markup.image(to_svg(draw_ladder(drawn)), alt, "svg+xml")
    return f'<figure class="ladder">{picture}<figcaption>{text(caption)}</figcaption></figure>'


def draw_ladder(metrics: Sequence[Metric]) -> Figure:
    """A row for each estimate; on the left the scale of the rungs, on the right one that Parzen fits in."""
    apart = [metric for metric in metrics if _name(metric) == APART]
    with house_style():
        figure = new_figure(9.6 if apart else 6.4, 1.3 + 0.34 * len(metrics))
        panels = figure.subplots(1, 2 if apart else 1, sharey=True, squeeze=False)[0]
        for axes, whole in zip(panels, (False, True), strict=False):
            _draw_rows(axes, metrics, whole)
        names = [plain(_name(metric)) + (" (another kind)" if metric in apart else "") for metric in metrics]
        panels[0].set_yticks(range(len(metrics)), names)
        panels[0].set_ylim(len(metrics) - 0.4, -0.6)
        panels[0].set_title("log p(x) of the model", fontsize=10, loc="left")
        if apart:
            panels[1].set_title("the same axis, wide enough for Parzen", fontsize=10, loc="left")
    return figure


def _draw_rows(axes: Axes, metrics: Sequence[Metric], whole: bool) -> None:
    """One panel; unless `whole`, its limits are those of the rungs."""
    frame(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("nats per example")
    low, high = _limits([metric for metric in metrics if whole or _name(metric) != APART])
    axes.set_xlim(low, high)
    for row, metric in enumerate(metrics):
        value, spread = _measured(metric)
        apart = _name(metric) == APART
        if apart:
            axes.axhspan(row - 0.5, row + 0.5, color=RULE, alpha=0.6, linewidth=0)
        if not low <= value <= high:
            right = value > high
            axes.annotate(
                f"{markup.decimal(float(f'{value:.4g}'))}: another kind of figure, off this axis",
                (0.98 if right else 0.02, row), xycoords=("axes fraction", "data"), fontsize=8.5, color=MUTED,
                ha="right" if right else "left", va="center",
            )  # fmt: skip
            continue
        mark = "D" if apart else "s" if _name(metric) == "exact" else ">"
        colour = COLOURS[1] if apart else INK if _name(metric) == "exact" else COLOURS[0]
        axes.errorbar(
            value, row, xerr=spread, fmt=mark, color=colour, markersize=7, capsize=3, elinewidth=1.3,
            markerfacecolor="white" if apart else colour,
        )  # fmt: skip


def _limits(metrics: Sequence[Metric]) -> tuple[float, float]:
    ends = [value + sign * (spread or 0.0) for value, spread in map(_measured, metrics) for sign in (-1, 1)]
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or max(1.0, 0.1 * abs(high))
    return low - margin, high + margin


def _measured(metric: Metric) -> tuple[float, float | None]:
    """A value and its spread, where that is a number."""
    spread = number(metric.get("spread"))
    return number(metric.get("value")), float(spread) if np.isfinite(spread) and spread >= 0 else None


def _name(metric: Metric) -> str:
    return str(metric.get("name"))
