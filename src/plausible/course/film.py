"""A GAN on the line in pictures: Figure 1 of the paper, the whole run as an animation, runs side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from plausible.course.line import Scene
from plausible.plotting import COLOURS, INK, MUTED, house_style, new_figure, style_axes, to_png
from plausible.report.images import gif
from plausible.theory import GLOBAL_OPTIMUM

DATA, FAKE, D, D_STAR = INK, COLOURS[2], COLOURS[0], COLOURS[5]
FRAME_SECONDS, LAST_SECONDS = 0.15, 3.0
LOW, HIGH = -3.6, 3.6
LEGEND = (
    Line2D([], [], color=DATA, linestyle=":", linewidth=2, label="p_data"),
    Line2D([], [], color=FAKE, linewidth=2, label="p_g"),
    Line2D([], [], color=D, linestyle="--", linewidth=1.8, label="D"),
    Line2D([], [], color=D_STAR, linewidth=1.0, label="D* = p_data/(p_data + p_g)"),
)


@dataclass(frozen=True, eq=False)
class Course:
    """A run of some setting, as scenes along its ticks."""

    name: str
    scenes: Sequence[Scene]

    @property
    def ticks(self) -> list[int]:
        """The ticks it was seen at."""
        return [scene.tick for scene in self.scenes]


def figure_1(panels: Sequence[Scene]) -> Figure:
    """The four panels of the paper's Figure 1, from scenes of a real run: densities and D above, z → x below."""
    said = (
        "a pair on its way",
        "from there: D at its optimum",
        "and then: G moves where D is higher",
        "the end",
    )
    with house_style():
        figure = new_figure(12.0, 4.2)
        grid = figure.add_gridspec(2, 4, height_ratios=(3, 1), hspace=0.0)
        top = _height(panels)
        for column, (scene, words) in enumerate(zip(panels, said, strict=True)):
            above, below = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
            _Players(above, below, scene, top, first=column == 0, last=column == len(panels) - 1)
            above.set_title(
                f"({'abcd'[column]})  {words}\ntick {scene.tick:,}, JSD {scene.jsd:.3f}",
                fontsize=9,
                loc="left",
            )
        figure.legend(handles=LEGEND, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def animation(film: Sequence[Scene]) -> bytes:
    """The whole run as a GIF: a panel of Figure 1 on the left, V and C against ticks on the right."""
    with house_style():
        figure = new_figure(8.0, 3.8, dpi=80)
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 1), width_ratios=(3, 2), hspace=0.0)
        above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
        players = _Players(above, below, film[-1], _height(film), first=True, last=True)
        title = above.set_title(f"tick {film[-1].tick:,}", fontsize=10, loc="left")
        value, criterion = _values(figure.add_subplot(grid[:, 1]), film)
        figure.legend(handles=LEGEND, loc="outside lower left", ncols=4, fontsize=8)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        frames = []
        for index, scene in enumerate(film):
            players.show(scene)
            title.set_text(f"tick {scene.tick:,}")
            past = film[: index + 1]
            ticks = [each.tick for each in past]
            value.set_data(ticks, [each.value for each in past])
            criterion.set_data(ticks, [each.criterion for each in past])
            frames.append(Image.open(io.BytesIO(to_png(figure, 80))).convert("RGB"))
    return gif(frames, FRAME_SECONDS, LAST_SECONDS)


def course_of(film: Sequence[Scene]) -> Figure:
    """JSD, and V with C(G), over the ticks of a run."""
    with house_style():
        figure = new_figure(9.0, 3.2)
        left, right = figure.subplots(1, 2)
        style_axes(left)
        left.plot([scene.tick for scene in film], [scene.jsd for scene in film], color=FAKE)
        left.set(yscale="log", xlabel="tick", ylabel="JSD(p_data, p_g) [nats]")
        _values(right, film)
    return figure


def side_by_side(courses: Sequence[Course], *, log: bool = True) -> Figure:
    """JSD of several runs against ticks, and what each one's generator looks like at the end."""
    with house_style():
        figure = new_figure(9.0, 3.4)
        left, right = figure.subplots(1, 2)
        style_axes(left)
        for number, course in enumerate(courses):
            left.plot(
                course.ticks, [scene.jsd for scene in course.scenes], color=COLOURS[number], label=course.name
            )
            last = course.scenes[-1]
            right.plot(last.x, last.p_g / last.width, color=COLOURS[number], linewidth=1.4)
        last = courses[0].scenes[-1]
        right.plot(last.x, last.p_data / last.width, color=DATA, linestyle=":", linewidth=2)
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
def _values(axes: Axes, film: Sequence[Scene]) -> tuple[Line2D, Line2D]:
    """V of the trained D and C(G) against ticks."""
    ticks = [scene.tick for scene in film]
    (criterion,) = axes.plot(
        ticks, [scene.criterion for scene in film], color=FAKE, linewidth=1.4, label="C(G) = V(D*, G)"
    )
    (value,) = axes.plot(ticks, [scene.value for scene in film], color=D, linewidth=1.4, label="V(D, G)")
    axes.axhline(GLOBAL_OPTIMUM, color=INK, linestyle=(0, (5, 3)), linewidth=1, label="−log 4")
    axes.set(xlim=(0, ticks[-1]), ylim=(GLOBAL_OPTIMUM - 0.15, -0.9), xlabel="tick")
    axes.set_title("nats", fontsize=9, loc="left")
    axes.legend(loc="upper right", fontsize=8)
    style_axes(axes)
    return value, criterion


def _height(scenes: Sequence[Scene]) -> float:
    return max(1.08, 2.4 * max(float(scene.p_data.max() / scene.width) for scene in scenes))


class _Players:
    """One panel of Figure 1, drawn once and then moved from scene to scene."""

    def __init__(
        self, above: Axes, below: Axes, scene: Scene, top: float, *, first: bool, last: bool
    ) -> None:
        self.lines = (
            *above.plot(scene.x, scene.p_data, color=DATA, linestyle=":", linewidth=2),
            *above.plot(scene.x, scene.p_g, color=FAKE, linewidth=2),
            *above.plot(scene.x, scene.d_star, color=D_STAR, linewidth=1.0),
            *above.plot(scene.x, scene.d, color=D, linestyle="--", linewidth=1.8),
        )
        above.set(xlim=(LOW, HIGH), ylim=(0, top), xticks=[])
        above.spines["bottom"].set_color(INK)
        above.tick_params(length=3, labelsize=8, labelleft=first)
        if last:
            above.axhline(0.5, color=MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
        self.places = scene.z / 3**0.5 * 0.9 * HIGH
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
                below.text(LOW - 0.15, height, name, ha="right", va="center", fontsize=10)
        below.set(xlim=(LOW, HIGH), ylim=(0, 1.0))
        below.axis("off")
        if first:
            above.set_ylabel("density; D", fontsize=9)
        self.show(scene)

    def show(self, scene: Scene) -> None:
        """Move everything to another scene."""
        seen = np.where(scene.middle / scene.width > 1e-4, scene.d_star, np.nan)
        curves = (scene.p_data / scene.width, scene.p_g / scene.width, seen, scene.d)
        for line, values in zip(self.lines, curves, strict=True):
            line.set_ydata(values)
        inside = np.where((scene.moved >= LOW) & (scene.moved <= HIGH), scene.moved, np.nan)
        self.arrows.set_UVC(inside - self.places, np.ones_like(inside))
