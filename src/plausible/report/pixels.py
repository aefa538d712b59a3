"""Images of models that give each pixel a probability: −log p of each, and completion step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from plausible.plotting import INK
from plausible.report.images import Layout, as_shades, grid, png

__all__ = ["captioned", "film", "strip", "surprise_map"]

UNKNOWN = (64, 105, 158)
"""The colour of a pixel that is not there yet."""

LINE = 22
ACROSS, TEXT = 5, 13
"""Pictures in a row of a sheet, and the size of their captions."""
BAR = 256
CLIP = 99.8
"""The percentile of surprise at which its colours end: a few wild pixels would darken all others."""


def _tinted(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Images with what is not known in one colour, (…, c, h, w) and bool of the same shape → (…, 3, h, w) in [0, 1]."""
    grey = as_shades(images.reshape(-1, *images.shape[-3:])).reshape(
        *images.shape[:-3], -1, *images.shape[-2:]
    )
    unknown = np.divide(UNKNOWN, 255)[:, None, None]
    return np.where(known.any(-3, keepdims=True), grey, unknown)


def strip(images: np.ndarray, known: np.ndarray, names: Mapping[int, str], description: str) -> bytes:
    """Rows of images as a PNG, with a name above some of the columns.

    Args:
        images: (rows, columns, c, h, w), c = 1 or 3.
        known: bool, of the same shape: which pixels are given; the rest have the colour UNKNOWN.
        names: column → what stands above it.
        description: what the picture shows, for its PNG text.
    """
    n, columns, _, height, width = images.shape
    layout = Layout.of((n * columns, 3, height, width), columns)
    body = grid(_tinted(images, known).reshape(-1, 3, height, width), columns)
    page = Image.new("RGB", (body.width, body.height + LINE), "white")
    page.paste(body, (0, LINE))
    for column, name in names.items():
        _write(page, layout.corner(column)[0], LINE - 6, name)
    return png(page, {"kind": "strip", "n": str(n * columns), "Description": description})


def captioned(images: np.ndarray, captions: Sequence[Sequence[str]], description: str) -> bytes:
    """A sheet of images as a PNG, with lines of text above each; those too long lose their middle.

    Args:
        images: (n, c, h, w), c = 1 or 3.
        captions: the lines of each image, as many of all.
        description: what the picture shows, for its PNG text, which lists the captions in full.
    """
    head = LINE * len(captions[0])
    rows = [images[start : start + ACROSS] for start in range(0, len(images), ACROSS)]
    bodies = [grid(row, min(ACROSS, len(images)), like=images) for row in rows]
    width = bodies[0].width // min(ACROSS, len(images))
    step = bodies[0].height + head
    page = Image.new("RGB", (bodies[0].width, step * len(bodies)), "white")
    for number, body in enumerate(bodies):
        page.paste(body, (0, number * step + head))
    for i, lines in enumerate(captions):
        for number, line in enumerate(lines):
            y = i // ACROSS * step + (number + 1) * LINE - 6
            _write(page, 2 + i % ACROSS * width, y, _shortened(line, width - 6))
    listed = "; ".join(", ".join(lines) for lines in captions)
    return png(page, {"kind": "sheet", "n": str(len(images)), "Description": f"{description}: {listed}"})


def _shortened(text: str, width: int) -> str:
    """The text, or its beginning and end, so that it is at most so many pixels wide."""
    font, kept, found = ImageFont.load_default(TEXT), len(text), text
    while font.getlength(found) > width and kept > 1:
        kept -= 1
        found = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
    return found


def film(images: np.ndarray, known: Sequence[np.ndarray]) -> list[Image.Image]:
    """A grid of images, (n, c, h, w), at each of the moments that `known` tells, each bool (c, h, w)."""
    return [grid(_tinted(images, np.broadcast_to(at, images.shape))) for at in known]


def surprise_map(images: np.ndarray, surprise: np.ndarray) -> bytes:
    """Images beside −log p of each of their pixels, as a PNG with one scale of colours beneath.

    Above each pair stands its sum, −log p(x).

    Args:
        images: (n, c, h, w), c = 1 or 3.
        surprise: (n, c, h, w), nats; summed over the channels of a pixel.
    """
    heat = surprise.sum(1)
    low, high = min(0.0, float(heat.min())), float(np.percentile(heat, CLIP))
    high = high if high > low else low + 1.0
    colours = matplotlib.colormaps["inferno"]
    warm = np.moveaxis(colours((heat - low) / (high - low))[..., :3], -1, 1)
    pairs = np.stack([_tinted(images, np.ones_like(images, dtype=bool)), warm], 1)
    rows = [pairs[start : start + 4] for start in range(0, len(pairs), 4)]
    bodies = [grid(row.reshape(-1, *row.shape[2:]), 2 * len(pairs[:4])) for row in rows]
    step = bodies[0].height + LINE
    page = Image.new("RGB", (bodies[0].width, step * len(bodies) + 2 * LINE), "white")
    for number, (row, body) in enumerate(zip(rows, bodies, strict=True)):
        page.paste(body, (0, number * step + LINE))
        for pair in range(len(row)):
            total = float(heat[4 * number + pair].sum())
            _write(
                page, 2 + pair * body.width // len(pairs[:4]), number * step + LINE - 6, f"{total:.1f} nats"
            )
    _scale(page, f"{low:.2g}", f"{high:.2g} nats and more: -log p of a pixel")
    description = (
        f"{len(images)} images, each beside −log p(x_i | those before it) of its pixels, from {low:.3g} (black) to "
        f"{high:.3g} nats and more (bright), one scale for all; above each their sum"
    )
    return png(page, {"kind": "surprise", "n": str(len(images)), "Description": description})


def _scale(page: Image.Image, low: str, high: str) -> None:
    """The colours from left to right at the foot of a page, and what their ends mean."""
    bar = matplotlib.colormaps["inferno"](np.linspace(0, 1, BAR), bytes=True)[None, :, :3].repeat(12, axis=0)
    top, left = page.height - LINE - 4, 30
    _write(page, left - 8, top + 11, low, anchor="rs")
    page.paste(Image.fromarray(np.ascontiguousarray(bar)), (left, top))
    _write(page, left + BAR + 8, top + 11, high)


def _write(page: Image.Image, x: int, y: int, text: str, anchor: str = "ls") -> None:
    ImageDraw.Draw(page).text((x, y), text, INK, ImageFont.load_default(TEXT), anchor=anchor)
