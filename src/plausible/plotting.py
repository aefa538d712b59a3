"""What all plots share: colours, matplotlib settings without pyplot, and figures as bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = [
    "COLOURS",
    "INK",
    "MUTED",
    "REAL",
    "RULE",
    "escaped",
    "house_style",
    "new_figure",
    "style_axes",
    "to_image",
    "to_png",
    "to_svg",
]

# Okabe–Ito, reordered: told apart by colour-blind readers, and dark enough on the white card that holds them.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b4b9a", "#444444")
INK = "#1f2430"
MUTED = "#6b7280"
RULE = "#e3e6ec"
REAL = "#8490a3"

_FALLBACK_FONTS = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def _settings() -> dict[Any, Any]:
    installed = set(font_manager.get_font_names())
    return {
        "font.family": ["DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed)],
        "font.size": 10.0,
        "text.color": INK,
        "axes.edgecolor": "#b6bcc8",
        "axes.labelcolor": MUTED,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": "#b6bcc8",
        "ytick.color": "#b6bcc8",
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "grid.color": RULE,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "savefig.facecolor": "white",
        "svg.hashsalt": "plausible",
        "path.simplify": True,
    }


@contextmanager
def house_style() -> Generator[None]:
    """Our matplotlib settings while a figure is made or saved; the caller's own are restored.

    A character that no installed font has becomes an empty box, without matplotlib's warning for each.
    """
    with matplotlib.rc_context(_settings()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width: float, height: float, dpi: int = 100) -> Figure:
    """A white figure of so many inches, on an Agg canvas, with a constrained layout."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes) -> None:
    """The look of all plots: horizontal grid lines only, small ticks."""
    axes.grid(visible=True, axis="y")
    axes.tick_params(length=3, labelsize=9)


def escaped(text: object) -> str:
    """Text from outside, for matplotlib: a dollar sign starts no formula."""
    return str(text).replace("$", r"\$")


def to_svg(figure: Figure) -> bytes:
    """The figure as a self-contained SVG (letters as outlines: it needs no font)."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "plausible"})
    return buffer.getvalue()


def to_image(figure: Figure) -> Image.Image:
    """The figure in pixels."""
    return Image.open(io.BytesIO(to_png(figure, dpi=110))).convert("RGB")


def to_png(figure: Figure, dpi: int = 100) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
