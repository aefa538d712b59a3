"""Shared by the plots of the theory page: the `Picture` record, rows of panels, labels next to curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from plausible.plotting import COLOURS, INK, MUTED, REAL, new_figure, style_axes
from plausible.probability import Table

__all__ = [
    "BEST",
    "DASHES",
    "DATA",
    "FACES",
    "FAIR",
    "GENERATED",
    "LOADED",
    "Picture",
    "bars",
    "label",
    "label_axes",
    "label_bars",
    "listing",
    "marked_point",
    "panel_row",
    "signed",
    "value_line",
]

DATA, GENERATED, BEST = REAL, COLOURS[1], COLOURS[0]  # p_data, p_g and D* in every picture
DASHES = (0, (5, 3))  # the dashes of a horizontal or vertical line that marks a value
FACES = tuple(range(1, 7))
FAIR = Table.uniform(die=FACES)
LOADED = Table.of("die", {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1, 6: 0.5})


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its text.

    Attributes:
        anchor: the id on the page.
        title: the heading.
        formula: one line.
        caption: a text with the figure's numbers.
        figure: the figure.
    """

    anchor: str
    title: str
    formula: str
    caption: str
    figure: Figure


def panel_row(*widths: float) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, with these relative widths."""
    figure = new_figure(9.0, 3.2)
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    panels = [figure.add_subplot(grid[0, column]) for column in range(len(widths))]
    for axes in panels:
        style_axes(axes)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06, wspace=0.05)
    return figure, panels


def label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Set a panel's title and axis labels."""
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)


def label(
    axes: Axes, x: float, y: float, words: str, colour: str = MUTED, *, ha: str = "left", va: str = "center"
) -> None:
    """Write a label at (x, y) in data coordinates."""
    axes.text(x, y, words, color=colour, fontsize=9, ha=ha, va=va, linespacing=1.3)


def value_line(axes: Axes, height: float) -> None:
    """A dashed horizontal line that marks a value."""
    axes.axhline(height, color=INK, linewidth=1.0, linestyle=DASHES)


def marked_point(axes: Axes, x: float, y: float, colour: str) -> None:
    """A marked point with a white edge, so that it stands out on a curve."""
    axes.plot([x], [y], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)


def bars(
    axes: Axes, x: np.ndarray, heights: np.ndarray, width: float, colour: str, words: str = ""
) -> BarContainer:
    """Bars of one colour with thin gaps."""
    return axes.bar(x, heights, width, color=colour, edgecolor="white", linewidth=0.6, label=words)


def label_bars(axes: Axes, drawn: BarContainer, words: Sequence[str]) -> None:
    """Write a text above each bar."""
    axes.bar_label(drawn, list(words), fontsize=8, padding=2, color=INK)


def signed(value: float, digits: int) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def listing(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
