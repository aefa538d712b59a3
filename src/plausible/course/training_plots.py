"""Pictures of a one-dimensional GAN in training: Figure 1 of the paper, an animation, training curves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from plausible.course.snapshot import Snapshot
from plausible.plotting import COLOURS, INK, MUTED, house_style, new_figure, style_axes, to_png
from plausible.report.images import gif
from plausible.theory import GLOBAL_OPTIMUM

__all__ = ["Trajectory", "animation", "figure_1", "side_by_side", "training_curves"]

_DATA, _GENERATED, _D, _D_STAR = INK, COLOURS[2], COLOURS[0], COLOURS[5]
_FRAME_SECONDS, _LAST_SECONDS = 0.15, 3.0
_LOW, _HIGH = -3.6, 3.6
_LEGEND = (
    Line2D([], [], color=_DATA, linestyle=":", linewidth=2, label="p_data"),
    Line2D([], [], color=_GENERATED, linewidth=2, label="p_g"),
    Line2D([], [], color=_D, linestyle="--", linewidth=1.8, label="D"),
    Line2D([], [], color=_D_STAR, linewidth=1.0, label="D* = p_data/(p_data + p_g)"),
)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A run with certain options, as snapshots in the order of ticks."""

    name: str
    snapshots: Sequence[Snapshot]

    @property
    def ticks(self) -> list[int]:
        """The ticks of the snapshots."""
        return [snapshot.tick for snapshot in self.snapshots]


def figure_1(panels: Sequence[Snapshot]) -> Figure:
    """The four panels of the paper's Figure 1, from snapshots of a real run: densities and D above, z → x below."""
    titles = (
        "during training",
        "then D at its optimum",
        "then G moves where D is higher",
        "the end",
    )
    with house_style():
        figure = new_figure(12.0, 4.2)
        grid = figure.add_gridspec(2, 4, height_ratios=(3, 1), hspace=0.0)
        top = _height(panels)
        for column, (snapshot, words) in enumerate(zip(panels, titles, strict=True)):
            above, below = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
            _Players(above, below, snapshot, top, first=column == 0, last=column == len(panels) - 1)
            above.set_title(
                f"({'abcd'[column]})  {words}\ntick {snapshot.tick:,}, JSD {snapshot.jsd:.3f}",
                fontsize=9,
                loc="left",
            )
        figure.legend(handles=_LEGEND, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def animation(film: Sequence[Snapshot]) -> bytes:
    """The whole run as a GIF: a panel of Figure 1 on the left, V and C against ticks on the right."""
    with house_style():
        figure = new_figure(8.0, 3.8, dpi=80)
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 1), width_ratios=(3, 2), hspace=0.0)
        above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
        players = _Players(above, below, film[-1], _height(film), first=True, last=True)
        title = above.set_title(f"tick {film[-1].tick:,}", fontsize=10, loc="left")
        value, criterion = _values(figure.add_subplot(grid[:, 1]), film)
        figure.legend(handles=_LEGEND, loc="outside lower left", ncols=4, fontsize=8)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        frames = []
        for index, snapshot in enumerate(film):
            players.show(snapshot)
            title.set_text(f"tick {snapshot.tick:,}")
            past = film[: index + 1]
            ticks = [each.tick for each in past]
            value.set_data(ticks, [each.value for each in past])
            criterion.set_data(ticks, [each.criterion for each in past])
            frames.append(Image.open(io.BytesIO(to_png(figure, 80))).convert("RGB"))
    return gif(frames, _FRAME_SECONDS, _LAST_SECONDS)


def training_curves(film: Sequence[Snapshot]) -> Figure:
    """JSD on the left, V and C(G) on the right, against the ticks of a run."""
    with house_style():
        figure = new_figure(9.0, 3.2)
        left, right = figure.subplots(1, 2)
        style_axes(left)
        left.plot([snapshot.tick for snapshot in film], [snapshot.jsd for snapshot in film], color=_GENERATED)
        left.set(yscale="log", xlabel="tick", ylabel="JSD(p_data, p_g) [nats]")
        _values(right, film)
    return figure


def side_by_side(courses: Sequence[Trajectory], *, log: bool = True) -> Figure:
    """JSD of several runs against ticks, and p_g of each at the end."""
    with house_style():
        figure = new_figure(9.0, 3.4)
        left, right = figure.subplots(1, 2)
        style_axes(left)
        for number, course in enumerate(courses):
            left.plot(
                course.ticks,
                [snapshot.jsd for snapshot in course.snapshots],
                color=COLOURS[number],
                label=course.name,
            )
            last = course.snapshots[-1]
            right.plot(last.x, last.p_g / last.width, color=COLOURS[number], linewidth=1.4)
        last = courses[0].snapshots[-1]
        right.plot(last.x, last.p_data / last.width, color=_DATA, linestyle=":", linewidth=2)
        right.set_ylim(0, 2.6 * float(last.p_data.max() / last.width))
        if log:
            left.set_yscale("log")
        left.axhline(np.log(2), color=MUTED, linewidth=0.8)
        left.annotate(
            "log 2", (0, np.log(2)), xytext=(2, 3), textcoords="offset points", fontsize=8, color=MUTED
        )
        left.set_xlabel("tick (one move of D)")
        left.set_ylabel("JSD(p_data, p_g) [nats]")
        left.legend(fontsize=9)
        right.set_title(f"p_g at tick {last.tick:,}; dotted: p_data", fontsize=9, loc="left")
        right.set_xlabel("x")
        style_axes(right)
    return figure


# ---------------------------------------------------------------------- parts
def _values(axes: Axes, film: Sequence[Snapshot]) -> tuple[Line2D, Line2D]:
    """Plot V of the trained D and C(G) against ticks."""
    ticks = [snapshot.tick for snapshot in film]
    (criterion,) = axes.plot(
        ticks,
        [snapshot.criterion for snapshot in film],
        color=_GENERATED,
        linewidth=1.4,
        label="C(G) = V(D*, G)",
    )
    (value,) = axes.plot(
        ticks, [snapshot.value for snapshot in film], color=_D, linewidth=1.4, label="V(D, G)"
    )
    axes.axhline(GLOBAL_OPTIMUM, color=INK, linestyle=(0, (5, 3)), linewidth=1, label="−log 4")
    axes.set(xlim=(0, ticks[-1]), ylim=(GLOBAL_OPTIMUM - 0.15, -0.9), xlabel="tick")
    axes.set_title("nats", fontsize=9, loc="left")
    axes.legend(loc="upper right", fontsize=8)
    style_axes(axes)
    return value, criterion


def _height(snapshots: Sequence[Snapshot]) -> float:
    return max(1.08, 2.4 * max(float(snapshot.p_data.max() / snapshot.width) for snapshot in snapshots))


class _Players:
    """One panel of Figure 1, plotted once and then updated from snapshot to snapshot."""

    def __init__(
        self, above: Axes, below: Axes, snapshot: Snapshot, top: float, *, first: bool, last: bool
    ) -> None:
        self.lines = (
            *above.plot(snapshot.x, snapshot.p_data, color=_DATA, linestyle=":", linewidth=2),
            *above.plot(snapshot.x, snapshot.p_g, color=_GENERATED, linewidth=2),
            *above.plot(snapshot.x, snapshot.d_star, color=_D_STAR, linewidth=1.0),
            *above.plot(snapshot.x, snapshot.d, color=_D, linestyle="--", linewidth=1.8),
        )
        above.set(xlim=(_LOW, _HIGH), ylim=(0, top), xticks=[])
        above.spines["bottom"].set_color(INK)
        above.tick_params(length=3, labelsize=8, labelleft=first)
        if last:
            above.axhline(0.5, color=MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
        self.places = snapshot.z / 3**0.5 * 0.9 * _HIGH
        ends = np.zeros_like(self.places)
        self.arrows = below.quiver(
            self.places,
            ends,
            ends,
            ends + 1,
            color=MUTED,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.004,
            headwidth=5,
            headlength=6,
            headaxislength=5,
        )
        for height, name in ((0.0, "z"), (1.0, "x")):
            below.axhline(height, color=INK, linewidth=1)
            if first:
                below.text(_LOW - 0.15, height, name, ha="right", va="center", fontsize=10)
        below.set(xlim=(_LOW, _HIGH), ylim=(0, 1.0))
        below.axis("off")
        if first:
            above.set_ylabel("density; D", fontsize=9)
        self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        """Update the curves and arrows to another snapshot."""
        seen = np.where(snapshot.mixture / snapshot.width > 1e-4, snapshot.d_star, np.nan)
        curves = (snapshot.p_data / snapshot.width, snapshot.p_g / snapshot.width, seen, snapshot.d)
        for line, values in zip(self.lines, curves, strict=True):
            line.set_ydata(values)
        inside = np.where(
            (snapshot.generated >= _LOW) & (snapshot.generated <= _HIGH), snapshot.generated, np.nan
        )
        self.arrows.set_UVC(inside - self.places, np.ones_like(inside))
