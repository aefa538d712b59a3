"""Figures written as fingerprints of what they show, for tests of other things: drawing is most of a tiny training.

Two figures have the same fingerprint if they show the same: lines, points, images, texts, limits. The bytes are a valid
PNG or SVG, so whatever reads them can.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def savefig(figure: Figure, file: io.BytesIO | str | Path, *, format: str | None = None, **_: object) -> None:
    """In place of `Figure.savefig`."""
    found = fingerprint(figure)
    kind = format or Path(str(file)).suffix.removeprefix(".")
    content = _svg(found) if kind == "svg" else _png(found)
    if isinstance(file, io.IOBase):
        file.write(content)
    else:
        Path(file).write_bytes(content)


def fingerprint(figure: Figure) -> str:
    """SHA-256 of what a figure shows."""
    digest = hashlib.sha256(repr(tuple(figure.get_size_inches())).encode())
    for artist in figure.findobj():
        digest.update(type(artist).__name__.encode() + _content(artist))
    return digest.hexdigest()


def _content(artist: Artist) -> bytes:
    if isinstance(artist, Line2D):
        return _bytes(artist.get_xydata())
    if isinstance(artist, AxesImage):
        return _bytes(artist.get_array()) + repr(artist.get_extent()).encode()
    if isinstance(artist, Collection):
        colours = artist.get_facecolor(), artist.get_edgecolor()
        return b"".join(map(_bytes, (artist.get_offsets(), *colours, *(p.vertices for p in artist.get_paths()))))
    if isinstance(artist, Patch):
        return _bytes(artist.get_path().vertices) + repr(artist.get_facecolor()).encode()
    if isinstance(artist, Text):
        return artist.get_text().encode()
    if isinstance(artist, Axes):
        return repr((artist.get_xlim(), artist.get_ylim())).encode()
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
