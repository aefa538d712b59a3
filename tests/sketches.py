"""Figures written as fingerprints of what they show, for tests of other things: drawing is most of a tiny training.

Two figures have the same fingerprint if they show the same: lines, points, images, texts, limits. The bytes are a valid
PNG or SVG, so whatever reads them can.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from plausible.report.curves import Panel


def savefig(figure: Figure, file: io.BytesIO | str | Path, *, format: str | None = None, **_: object) -> None:  # noqa: A002 - as matplotlib's
    """In place of `Figure.savefig`."""
    found = fingerprint(figure)
    kind = format or Path(str(file)).suffix.removeprefix(".")
    content = _svg(found) if kind == "svg" else _png(found)
    if isinstance(file, io.IOBase):
        file.write(content)
    else:
        Path(file).write_bytes(content)


def plot_panel(panel: Panel, ticks_an_epoch: float | None = None) -> Figure:
    """In place of `report.curves.plot_panel`: a figure without axes, whose text says what the panel shows."""
    figure = Figure()
    digest = hashlib.sha256(
        repr((panel.title, panel.note, panel.level, panel.limits, ticks_an_epoch)).encode()
    )
    for curve in panel.curves:
        digest.update(curve.name.encode() + _bytes(curve.ticks) + _bytes(curve.values))
    figure.text(0, 0, digest.hexdigest())
    return figure


def fingerprint(figure: Figure) -> str:
    """SHA-256 of what a figure shows."""
    digest = hashlib.sha256(repr(tuple(figure.get_size_inches())).encode())
    for artist in _parts(figure):
        digest.update(type(artist).__name__.encode() + _content(artist))
    return digest.hexdigest()


def _parts(artist: Artist) -> Iterator[Artist]:
    """Everything in it; an axis as one, for its ticks are made only to be drawn, which takes as long as all else."""
    yield artist
    if not isinstance(artist, Axis):
        for child in artist.get_children():
            yield from _parts(child)


def _content(artist: Artist) -> bytes:
    if isinstance(artist, Line2D):
        return _bytes(artist.get_xydata())
    if isinstance(artist, AxesImage):
        return _bytes(artist.get_array()) + repr(artist.get_extent()).encode()
    if isinstance(artist, Collection):
        colours = artist.get_facecolor(), artist.get_edgecolor()
        return b"".join(
            map(_bytes, (artist.get_offsets(), *colours, *(p.vertices for p in artist.get_paths())))
        )
    if isinstance(artist, Patch):
        placed = artist.get_path().transformed(artist.get_patch_transform())
        return _bytes(placed.vertices) + repr(artist.get_facecolor()).encode()
    if isinstance(artist, Text):
        return artist.get_text().encode()
    if isinstance(artist, Axis):
        places = artist.get_major_locator()()
        words = artist.get_major_formatter().format_ticks(places)
        shown = (
            artist.get_label_text(),
            artist.get_scale(),
            tuple(artist.get_view_interval()),
            tuple(places),
            words,
        )
        return repr(shown).encode()
    return b""


def _bytes(values: object) -> bytes:
    return np.ascontiguousarray(np.ma.filled(values, np.nan) if np.ma.isMA(values) else values).tobytes()


def _svg(found: str) -> bytes:
    start = '<?xml version="1.0" encoding="utf-8"?>'
    return f'{start}\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><title>{found}</title></svg>'.encode()


def _png(found: str) -> bytes:
    text, file = PngInfo(), io.BytesIO()
    text.add_text("shows", found)
    Image.new("L", (1, 1)).save(file, "PNG", pnginfo=text)
    return file.getvalue()
