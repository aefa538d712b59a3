"""What the pictures of the theory page share: a picture with its words, a row of panels, labels beside curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from plausible.plotting import COLOURS, INK, MUTED, REAL, new_figure, style_axes
from plausible.probability import Table

DATA, GENERATED, BEST = REAL, COLOURS[1], COLOURS[0]  # p_data, p_g and D* in every picture
LEVEL = (0, (5, 3))  # the dashes of a horizontal or vertical line that marks a value
FACES = tuple(range(1, 7))
FAIR = Table.uniform(die=FACES)
LOADED = Table.of("die", {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1, 6: 0.5})


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its words. anchor: its id on the page. formula: one line. caption: with the figure's numbers."""

    anchor: str
    title: str
    formula: str
    caption: str
    figure: Figure


def row(*widths: float) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side, of these relative widths."""
    figure = new_figure(9.0, 3.2)
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    panels = [figure.add_subplot(grid[0, column]) for column in range(len(widths))]
    for axes in panels:
        style_axes(axes)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06, wspace=0.05)
    return figure, panels


def name(axes: Axes, title: str, x: str, y: str) -> None:
    """A panel's title and the words on its axes."""
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)


def label(
    axes: Axes, x: float, y: float, words: str, colour: str = MUTED, *, ha: str = "left", va: str = "center"
) -> None:
    """Words beside what they name, at (x, y) in the data's units."""
    axes.text(x, y, words, color=colour, fontsize=9, ha=ha, va=va, linespacing=1.3)


def level(axes: Axes, height: float) -> None:
    """A dashed horizontal line."""
    axes.axhline(height, color=INK, linewidth=1.0, linestyle=LEVEL)


def dot(axes: Axes, x: float, y: float, colour: str) -> None:
    """A marked point, ringed in white so that it stands out on a curve."""
    axes.plot([x], [y], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)


def bars(
    axes: Axes, x: np.ndarray, heights: np.ndarray, width: float, colour: str, words: str = ""
) -> BarContainer:
    """Bars of one colour, with a thin gap between neighbours."""
    return axes.bar(x, heights, width, color=colour, edgecolor="white", linewidth=0.6, label=words)


def above(axes: Axes, drawn: BarContainer, words: Sequence[str]) -> None:
    """Each bar's value above it."""
    axes.bar_label(drawn, list(words), fontsize=8, padding=2, color=INK)


def signed(value: float, digits: int) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
