"""Pictures of a code: reconstructions of rows, and where their codes lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from PIL import Image

from plausible.plotting import COLOURS, INK, MUTED, escaped, house_style, new_figure, style_axes
from plausible.report.images import grid

__all__ = [
    "Plane",
    "columns_for",
    "pair_images",
    "plot_columns",
    "plot_plane",
    "project_codes",
    "stack_images",
]

ACROSS, BANDS, BAND_GAP = 16, 2, 10
WIDEST = 1200
"""Pixels of one row of images, before they are enlarged."""
COLUMNS = 8
# Petroff, *Accessible Color Sequences for Data Visualization*, 2021: ten that colour-blind readers tell apart.
CLASSES = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
           "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")  # fmt: skip
MARKS = ("o", "^")
HALF, MOST = 1.1774, 2.4477
"""Radii, in standard deviations, that hold 50% and 95% of a normal distribution in the plane: √(−2·log(1 − p))."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Codes in a plane.

    Attributes:
        points: (n, 2); codes of one dimension get a second that means nothing.
        axes: what the two axes are.
        description: how they came about.
        origin: where the code 0 falls.
    """

    points: np.ndarray
    axes: tuple[str, str]
    description: str
    origin: np.ndarray | None = None


def project_codes(codes: np.ndarray) -> Plane:
    """Codes, (n, features), as points: two dimensions as they are, more by their first two principal components.

    Each component points where its largest entry is positive, so that pictures of a run do not flip.
    """
    n, features = codes.shape
    if features == 1:
        height = np.random.default_rng(0).uniform(-0.5, 0.5, n)
        points = np.column_stack([codes[:, 0], height])
        return Plane(points, ("z", "a random height, without meaning"), "1 dimension")
    if features == 2:
        return Plane(codes, ("z₁", "z₂"), "2 dimensions, as they are", np.zeros(2))
    mean = codes.mean(0)
    _, lengths, components = np.linalg.svd(codes - mean, full_matrices=False)
    components = components[:2]
    largest = np.abs(components).argmax(1)[:, None]
    components = components * np.sign(np.take_along_axis(components, largest, 1))
    total = float(np.square(lengths).sum())
    first, second = np.square(lengths[:2]) / total if total else (0.0, 0.0)
    names = (f"first component, {first:.1%} of the variance", f"second component, {second:.1%}")
    description = (
        f"{features} dimensions: the first two principal components, {first + second:.1%} of their variance"
    )
    return Plane((codes - mean) @ components.T, names, description, -mean @ components.T)


def plot_plane(
    found: Plane,
    title: str,
    y: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    deviation: float | None = None,
) -> Figure:
    """The plane as a scatter, coloured by label, with a legend; one colour without labels or with more than twenty.

    Args:
        found: the points.
        title: what they are of; how the plane came about stands beneath it.
        y: labels, (n,).
        names: what each number in y stands for.
        deviation: s, where the codes' prior is N(0, s²·I): circles mark where 50% and 95% of it lie.
    """
    kinds = [] if y is None else np.unique(y).tolist()
    coloured = 0 < len(kinds) <= len(CLASSES) * len(MARKS)
    with house_style():
        figure = new_figure(7.2, 6.4)
        axes = figure.add_subplot()
        style_axes(axes)
        axes.grid(visible=True, axis="both")
        size = float(np.clip(16_000 / len(found.points), 9, 36))
        if not coloured or y is None:
            _scatter(axes, found.points, size, COLOURS[0], "o", None)
        else:
            for place, kind in enumerate(kinds):
                colour, mark = CLASSES[place % len(CLASSES)], MARKS[place // len(CLASSES)]
                name = str(names[kind] if names else kind)
                _scatter(axes, found.points[y == kind], size, colour, mark, name)
            _name_classes(axes, found.points, y, kinds, names)
        if deviation is not None and found.origin is not None:
            _circles(axes, found.origin, deviation)
        axes.set_aspect("equal" if found.origin is not None else "auto", adjustable="datalim")
        axes.set(xlabel=found.axes[0], ylabel=found.axes[1])
        many = f"; {len(kinds)} labels are too many to colour" if kinds and not coloured else ""
        axes.set_title(f"{escaped(title)}\n{found.description}{many}", fontsize=10, loc="left")
        if axes.get_legend_handles_labels()[0]:
            figure.legend(
                loc="outside right upper", fontsize=9, markerscale=float(np.sqrt(60 / size)), handlelength=1.4
            )
    return figure


def pair_images(rows: np.ndarray, decoded: np.ndarray) -> tuple[Image.Image, int]:
    """Images (n, c, h, w) above their reconstructions, in at most two bands; and how many are shown."""
    across = min(len(rows), columns_for(rows))
    bands = min(BANDS, len(rows) // across)
    bands_shown = []
    for start in range(0, across * bands, across):
        here = slice(start, start + across)
        bands_shown.append(grid(np.concatenate([rows[here], decoded[here]]), across, like=rows))
    return stack_images(bands_shown), across * bands


def columns_for(images: np.ndarray) -> int:
    """How many images (n, c, h, w) go side by side."""
    return max(4, min(ACROSS, WIDEST // images.shape[-1]))


def plot_columns(rows: np.ndarray, decoded: np.ndarray, names: Sequence[str]) -> Figure:
    """Rows of numbers, (n, d): reconstructions against the rows, for the first eight columns.

    Each is titled with its share of variance explained, R² = 1 − Σ(x − x̂)²/Σ(x − x̄)², over the rows shown.
    """
    shown = min(rows.shape[1], COLUMNS)
    across = min(4, shown)
    down = -(-shown // across)
    with house_style():
        figure = new_figure(max(4.2, 2.5 * across), 0.6 + 2.5 * down)
        for column in range(shown):
            axes = figure.add_subplot(down, across, column + 1)
            style_axes(axes)
            x, back = rows[:, column].astype(np.float64), decoded[:, column].astype(np.float64)
            axes.scatter(x, back, s=7, color=COLOURS[0], alpha=0.5, linewidths=0)
            ends = _range(np.concatenate([x, back]))
            axes.plot(ends, ends, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
            axes.set(xlim=ends, ylim=ends, aspect="equal")
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.xaxis.set_major_locator(MaxNLocator(5))
            spread = float(np.square(x - x.mean()).sum())
            explained = f"R² {1 - np.square(x - back).sum() / spread:.3f}" if spread else "constant"
            title = f"{escaped(names[column])}: {explained.replace('-', '−')}"
            axes.set_title(title, fontsize=9, loc="left")
        figure.supxlabel("row", fontsize=9, color=MUTED)
        figure.supylabel("reconstruction", fontsize=9, color=MUTED)
    return figure


def stack_images(bands: Sequence[Image.Image]) -> Image.Image:
    """Images beneath each other, with white between."""
    width, height = max(band.width for band in bands), sum(band.height + BAND_GAP for band in bands)
    whole = Image.new("RGB", (width, height - BAND_GAP), "white")
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height + BAND_GAP
    return whole


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _scatter(axes: Axes, points: np.ndarray, size: float, colour: str, mark: str, name: str | None) -> None:
    label = escaped(name) if name else None
    axes.scatter(*points.T, s=size, color=colour, marker=mark, alpha=0.75, linewidths=0, label=label)


def _name_classes(
    axes: Axes, points: np.ndarray, y: np.ndarray, kinds: Sequence[int], names: Sequence[str] | None
) -> None:
    """Each class's name at the median of its points."""
    for place, kind in enumerate(kinds):
        x, height = np.median(points[y == kind], axis=0)
        axes.text(
            x, height, escaped(names[kind] if names else kind), color=CLASSES[place % len(CLASSES)],
            ha="center", va="center", fontsize=12, fontweight="bold",
            path_effects=[withStroke(linewidth=3.5, foreground="white")],
        )  # fmt: skip


def _circles(axes: Axes, centre: np.ndarray, deviation: float) -> None:
    turn = np.linspace(0, 2 * np.pi, 181)
    around = np.column_stack([np.cos(turn), np.sin(turn)])
    for radius, style, share in ((HALF, "-", "50%"), (MOST, (0, (4, 3)), "95%")):
        ring = centre + radius * deviation * around
        axes.plot(
            *ring.T, color=MUTED, linewidth=1.0, linestyle=style, label=f"{share} of the prior", zorder=1
        )
