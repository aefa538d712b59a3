"""The curves of a run, from its event log: one panel a question, each against ticks with epochs above.

Losses stand in a panel for each turn (a generator's loss and a discriminator's are unlike figures, and share no
axis). What a model merely shows gets its own panels: V(D,G) with the value the theory promises at the optimum,
the discriminator's beliefs with the line at ½, anything else by itself. What they can say depends on the objective:
see `plausible.report.captions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from plausible.formatting import number_of
from plausible.plotting import COLOURS, INK, MUTED, escaped, house_style, new_figure, style_axes
from plausible.report.captions import about_beliefs, about_value, verdict
from plausible.runs import Evaluation

__all__ = [
    "Curve",
    "Panel",
    "describe",
    "judgement_panels",
    "panels",
    "plot_panel",
    "smooth",
    "thin",
    "ticks_an_epoch",
]

AT_THE_OPTIMUM = "−log 4  (p_g = p_data, D = ½)"
AT_HALF = "½: this D does not separate them"
MOST_POINTS = 1200


@dataclass(frozen=True, eq=False)
class Curve:
    """One logged number over the run: `values[i]` is the mean over the ticks up to `ticks[i]`."""

    name: str
    ticks: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Panel:
    """Curves that may share an axis.

    `note` says how to read them, `level` is a horizontal line with its words, `limits` the axis, if fixed.
    """

    title: str
    curves: Sequence[Curve]
    note: str = ""
    level: tuple[float, str] | None = None
    limits: tuple[float, float] | None = None


def panels(
    events: Sequence[Mapping[str, Any]], objective: str | None = None, evaluation: Evaluation | None = None
) -> list[Panel]:
    """What there is to plot, in the order of reading: the value and the beliefs first, then the losses.

    Args:
        events: the run's event log.
        objective: what the discriminator was trained with, if there is one.
        evaluation: the run's evaluation, if there is one; the captions say its two-sample test.
    """
    said = verdict(evaluation, events)
    shown = _curves(events, "shown")
    losses = _curves(events, "losses")
    found: list[Panel] = []
    value = [curve for curve in shown if _bare(curve.name) == "V(D,G)"]
    if value:
        found.append(
            Panel(
                "Value function V(D,G)", value, about_value(objective, said), (-math.log(4), AT_THE_OPTIMUM)
            )
        )
    beliefs = [curve for curve in shown if _bare(curve.name).startswith("D(")]
    if beliefs:
        found.append(_beliefs(beliefs, about_beliefs(objective, said)))
    for turn in dict.fromkeys(_turn(curve.name) for curve in losses):
        terms = [curve for curve in losses if _turn(curve.name) == turn]
        renamed = [
            Curve(curve.name.partition("/")[2] or curve.name, curve.ticks, curve.values) for curve in terms
        ]
        found.append(Panel(f"Loss of the {turn} turn" if turn else "Loss", renamed))
    rest = [curve for curve in shown if curve not in value and curve not in beliefs]
    return found + [Panel(curve.name, [curve]) for curve in rest]


def judgement_panels(events: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """What the judgements on the valid rows showed: the two-sample test first, then what selects, then variety."""
    watched = [event for event in events if event.get("event") == "judged"]
    valid = [event for event in events if event.get("event") == "valid"]

    def curve(
        name: str, found: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], Any]
    ) -> Curve:
        pairs = [(number_of(event.get("tick")), number_of(value(event))) for event in found]
        known = np.array([pair for pair in pairs if not math.isnan(pair[1])]).reshape(-1, 2)
        return Curve(name, known[:, 0], known[:, 1])

    def accuracy(event: Mapping[str, Any]) -> Any:
        test = event.get("two_sample")
        return test.get("accuracy") if isinstance(test, Mapping) else None

    told = curve("told apart", watched, accuracy)
    note = (
        "How often a classifier, fitted to training rows and samples, tells valid rows from samples: 1 is always, ½ is "
        "not at all."
    )
    found = [Panel("Told apart", [told], note, (0.5, "indistinguishable"), (0.0, 1.0))]
    by = str(valid[-1].get("by", "")) if valid else ""
    note = f"Judged by: {by}; higher is better. The best state is the one that samples, scores and codes come from."
    found.append(Panel("On the valid rows", [curve("valid", valid, lambda event: event.get("value"))], note))
    variety = [
        curve(name, watched, lambda event, key=name: event.get(key)) for name in ("distinctness", "coverage")
    ]
    note = "How much samples vary; valid rows in their place are near 1. Copies have distinctness 0."
    found.append(Panel("Variety of the samples", variety, note, (1.0, "real rows")))
    return [panel for panel in found if all(len(each.ticks) for each in panel.curves)]


def plot_panel(panel: Panel, ticks_an_epoch: float | None = None) -> Figure:
    """One panel: the raw curve light, a smoothed one over it, ticks below and (when known) epochs above."""
    with house_style():
        figure = new_figure(5.4, 3.2)
        axes = figure.add_subplot()
        style_axes(axes)
        for number, curve in enumerate(panel.curves):
            _plot_curve(axes, curve, COLOURS[number % len(COLOURS)])
        outside = _set_limits(axes, panel)
        if panel.level is not None:
            _plot_level(axes, *panel.level)
        axes.set_xlabel(f"tick{outside}")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,.0f}"))
        if ticks_an_epoch:
            _plot_epochs(axes, ticks_an_epoch)
        if len(panel.curves) > 1 or panel.curves[0].name != panel.title:
            figure.legend(loc="outside lower left", ncols=3, fontsize=9)
    return figure


def describe(panel: Panel) -> str:
    """The panel in words, for those who cannot see it: where each curve starts and ends."""
    parts = []
    for curve in panel.curves:
        finite = np.isfinite(curve.values)
        if not finite.any():
            parts.append(f"{curve.name}: no finite value")
            continue
        first, last = curve.values[finite][[0, -1]]
        parts.append(f"{curve.name} from {first:.4g} to {last:.4g} (tick {curve.ticks[finite][-1]:,.0f})")
    level = f"; horizontal line at {panel.level[0]:.4g}, {panel.level[1]}" if panel.level else ""
    return f"{panel.title} against ticks: {', '.join(parts)}{level}."


def ticks_an_epoch(events: Sequence[Mapping[str, Any]]) -> float | None:
    """Ticks in an epoch, from the last line that gives both; None when no line does."""
    for event in reversed(events):
        tick, epoch = number_of(event.get("tick")), number_of(event.get("epoch"))
        if event.get("event") == "ticks" and tick > 0 and epoch > 0:
            return tick / epoch
    return None


def thin(ticks: np.ndarray, values: np.ndarray, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` points that look the same: of each stretch the smallest and the largest value, in order."""
    if len(ticks) <= most:
        return ticks, values
    keep = [0, len(ticks) - 1]
    for stretch in np.array_split(np.arange(len(ticks)), most // 2 - 1):
        part = values[stretch]
        if np.isfinite(part).any():
            keep += [stretch[np.nanargmin(part)], stretch[np.nanargmax(part)]]
    chosen = np.unique(keep)
    return ticks[chosen], values[chosen]


def smooth(values: np.ndarray) -> np.ndarray:
    """A centred moving average over a fortieth of the curve; at the ends over what there is."""
    window = min(max(3, len(values) // 40) | 1, len(values))
    known = np.isfinite(values)
    weights = np.ones(window)
    total = np.convolve(np.where(known, values, 0.0), weights, mode="same")
    count = np.convolve(known.astype(float), weights, mode="same")
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _curves(events: Sequence[Mapping[str, Any]], kind: str) -> list[Curve]:
    points: dict[str, list[tuple[float, float]]] = {}
    for event in events:
        entries, tick = event.get(kind), number_of(event.get("tick"))
        if event.get("event") != "ticks" or not isinstance(entries, Mapping) or math.isnan(tick):
            continue
        for name, value in entries.items():
            points.setdefault(str(name), []).append((tick, number_of(value)))
    return [Curve(name, *np.array(pairs, dtype=np.float64).T) for name, pairs in points.items()]


def _beliefs(curves: Sequence[Curve], note: str) -> Panel:
    values = np.concatenate([curve.values for curve in curves])
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() >= 0 and finite.max() <= 1:
        return Panel("What the discriminator believes", curves, note, (0.5, AT_HALF), (0.0, 1.0))
    return Panel("What the critic answers", curves)


def _plot_curve(axes: Axes, curve: Curve, colour: str) -> None:
    name = escaped(curve.name)
    if len(curve.ticks) < 20:
        axes.plot(curve.ticks, curve.values, "o-", color=colour, markersize=3.5, linewidth=1.6, label=name)
        return
    axes.plot(*thin(curve.ticks, curve.values), color=colour, alpha=0.28, linewidth=0.8)
    axes.plot(*thin(curve.ticks, smooth(curve.values)), color=colour, linewidth=1.9, label=name)


def _set_limits(axes: Axes, panel: Panel) -> str:
    """The vertical limits; a few points far off must not flatten the rest, so they are cut, and counted."""
    if panel.limits is not None:
        low, high = panel.limits
        axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        return ""
    values = np.concatenate([curve.values for curve in panel.curves])
    values = values[np.isfinite(values)]
    if len(values) < 20:
        return ""
    low, high = np.percentile(values, [1, 99])
    if panel.level is not None:
        low, high = min(low, panel.level[0]), max(high, panel.level[0])
    margin = 0.5 * (high - low)
    cut = int(((values < low - margin) | (values > high + margin)).sum())
    if not cut or not margin:
        return ""
    axes.set_ylim(low - margin / 5, high + margin / 5)
    cut = int(((values < low - margin / 5) | (values > high + margin / 5)).sum())
    return f"   ({cut:,} of {len(values):,} points lie outside the picture)"


def _plot_level(axes: Axes, height: float, words: str) -> None:
    axes.axhline(height, color=INK, linewidth=1.1, linestyle=(0, (5, 3)), label=escaped(words))
    low, high = axes.get_ylim()
    margin = 0.08 * (high - low)
    axes.set_ylim(min(low, height - margin), max(high, height + margin))


def _plot_epochs(axes: Axes, ticks_in_one: float) -> None:
    def to_epochs(tick: Any) -> Any:
        return tick / ticks_in_one

    def to_ticks(epoch: Any) -> Any:
        return epoch * ticks_in_one

    above = axes.secondary_xaxis("top", functions=(to_epochs, to_ticks))
    above.tick_params(length=3, labelsize=8)
    above.spines["top"].set_visible(True)
    above.set_xlabel("epoch", fontsize=8, color=MUTED)
    above.xaxis.set_major_locator(MaxNLocator(6))


def _bare(name: str) -> str:
    return name.replace(" ", "")


def _turn(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""
