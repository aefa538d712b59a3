"""Samples that are rows of numbers, over the real ones: a scatter for two columns, histograms for others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plausible.plotting import COLOURS, MUTED, REAL, escaped, house_style, new_figure, style_axes

__all__ = ["plot_histograms", "plot_scatter"]

MOST_COLUMNS = 16


def plot_scatter(samples: np.ndarray, real: np.ndarray | None, names: Sequence[str]) -> Figure:
    """Two columns: samples over real points, equal axes.

    The limits are those of the real data (of the samples, when there are none) with a margin, so that the
    pictures of one run can be laid side by side; how many samples fall outside is said in the title.
    """
    finite = samples[np.isfinite(samples).all(axis=1)]
    low, high = _limits(finite if real is None else real)
    inside = ((finite >= low) & (finite <= high)).all(axis=1)
    with house_style():
        figure = new_figure(6.4, 6.4)
        axes = figure.add_subplot()
        if real is not None:
            axes.scatter(*real.T, s=9, color=REAL, alpha=_alpha(len(real)), linewidths=0, label="real")
        axes.scatter(
            *finite.T, s=9, color=COLOURS[1], alpha=_alpha(len(finite)), linewidths=0, label="samples"
        )
        axes.set(
            xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=escaped(names[0]), ylabel=escaped(names[1])
        )
        axes.set_aspect("equal")
        style_axes(axes)
        axes.grid(visible=True, axis="both")
        title = f"{len(samples):,} samples" + ("" if real is None else f" over {len(real):,} real points")
        axes.set_title(title + _lost(len(samples), len(finite), int(inside.sum())), fontsize=10, loc="left")
        legend = axes.legend(
            loc="upper left", bbox_to_anchor=(0, -0.09), ncols=2, markerscale=2.2, borderaxespad=0
        )
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1)
    return figure


def plot_histograms(
    samples: np.ndarray,
    real: np.ndarray | None,
    names: Sequence[str],
    levels: Sequence[Sequence[str] | None] = (),
) -> Figure:
    """Any number of columns: one histogram each, as densities, samples in outline over the real ones filled.

    At most 16 columns are plotted; the heading says when there are more. Of a mixed table `levels` has the names of
    each column's levels, None of numbers; NaN is then a missing cell.
    """
    total = samples.shape[1]
    shown = min(total, MOST_COLUMNS)
    across = min(4, int(np.ceil(np.sqrt(shown))))
    down = -(-shown // across)
    with house_style():
        figure = new_figure(max(6.4, 2.6 * across), 0.9 + 1.9 * down)
        for column in range(shown):
            axes = figure.add_subplot(down, across, column + 1)
            values = samples[:, column]
            if levels:
                values = values[~np.isnan(values)]
            _histogram(axes, values, None if real is None else real[:, column])
            if levels and (words := levels[column]):
                _name_levels(axes, words)
            axes.set_title(escaped(names[column]), fontsize=9, loc="left")
        heading = f"{len(samples):,} samples" + ("" if real is None else f", {len(real):,} real rows")
        heading += f"; the first {shown} of {total} columns" if shown < total else ""
        figure.suptitle(heading, fontsize=10, x=0.01, ha="left")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return figure


def _histogram(axes: Axes, values: np.ndarray, real: np.ndarray | None) -> None:
    finite = values[np.isfinite(values)].astype(np.float64)
    style_axes(axes)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    base = finite if real is None else real[np.isfinite(real)].astype(np.float64)
    if not len(base):
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=MUTED)
        return
    edges = _edges(base)
    if real is not None:
        axes.hist(
            base,
            edges,
            weights=np.full(len(base), _weight(len(base), edges)),
            color=REAL,
            alpha=0.6,
            label="real",
        )
    weights = np.full(len(finite), _weight(len(values), edges))
    axes.hist(
        finite, edges, weights=weights, color=COLOURS[1], histtype="step", linewidth=1.6, label="samples"
    )
    outside = len(values) - int(((finite >= edges[0]) & (finite <= edges[-1])).sum())
    if outside:
        axes.set_title(f"{outside:,} outside", fontsize=8, loc="right", color=COLOURS[1])


def _name_levels(axes: Axes, words: Sequence[str]) -> None:
    """The first levels' names, as far as there is room for them."""
    shown = min(len(words), 5)
    length = max(3, 26 // shown)
    names = [word if len(word) <= length else word[: length - 1] + "…" for word in words[:shown]]
    axes.set_xticks(range(shown), [escaped(name) for name in names], fontsize=7)


def _weight(count: int, edges: list[float]) -> float:
    """One value's weight, so that the bars' area is the share of all values that lie inside."""
    return 1.0 / (count * (edges[1] - edges[0]))


def _edges(values: np.ndarray) -> list[float]:
    """Bins: one a value for few whole numbers, else 40 over the range with a margin."""
    low, high = float(values.min()), float(values.max())
    if high - low <= 40 and np.all(values == np.round(values)):
        return np.arange(low - 0.5, high + 1.0).tolist()
    margin = 0.1 * (high - low) or max(abs(low), 1.0) * 0.5
    return np.linspace(low - margin, high + margin, 41).tolist()


def _limits(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    margin = np.maximum(0.12 * (high - low), 0.02 * float((high - low).max()))
    margin = np.where(margin > 0, margin, 1.0)
    return low - margin, high + margin


def _lost(total: int, finite: int, inside: int) -> str:
    parts = [f"{total - finite:,} not finite"] if finite < total else []
    parts += [f"{finite - inside:,} outside the picture"] if inside < finite else []
    return f" ({', '.join(parts)})" if parts else ""


def _alpha(count: int) -> float:
    return float(np.clip(800 / max(count, 1), 0.3, 0.9))
