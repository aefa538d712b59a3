"""Samples as one image: a grid of images, a scatter plot of points, or histograms of columns, chosen by shape.

The PNG says what it is: its text chunks hold its `kind`, the number `n` of samples, a `Description` in words, and for a
grid the `tile` layout, from which the report crops the same few samples of each picture of a run.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from plausible.errors import PlausibleError
from plausible.plotting import house_style
from plausible.report.tables import plot_histograms, plot_scatter
from plausible.runs import write_whole

__all__ = ["Layout", "as_shades", "frames", "gif", "grid", "plot_samples", "png", "tick_of"]

WIDTH = 600  # a grid is at least this many pixels wide
FRAME = 320  # a frame of a film strip is at most this many
GAP = 2
GAP_GREY = 200
NOT_FINITE = (214, 40, 57)
ROUNDING = 1e-3  # beyond [0, 1] by less than this is rounding, and clipped


def plot_samples(
    samples: np.ndarray,
    path: Path,
    *,
    real: np.ndarray | None = None,
    columns: Sequence[str] | None = None,
    levels: Sequence[Sequence[str] | None] = (),
) -> Path:
    """Plot samples into a PNG, by their shape, and return its path.

    (n, c, h, w), c = 1 or 3: a grid of images. (n, 2): a scatter over the real points. (n, d): a histogram a
    column over the real ones (the first 16). `real` gives images their value range, the others their limits.
    `levels` has the names of the levels of a mixed table's columns. The file appears whole or not at all.

    Raises:
        PlausibleError: there is nothing to plot, the shapes do not fit, or the file could not be written.
    """
    samples = np.asarray(samples)
    real = None if real is None else np.asarray(real)
    _check(samples, real, columns)
    info = {"n": str(len(samples))}
    if samples.ndim == 4:
        low, high = _range(samples if real is None else real)
        layout = Layout.of(samples.shape)
        image = _lay_out(_bytes(samples, low, high), layout)
        scaled = "" if (low, high) == (0.0, 1.0) else f", values from {low:.3g} (black) to {high:.3g} (white)"
        info |= {"kind": "grid", "tile": layout.as_text(), "Description": f"{len(samples):,} images{scaled}"}
    else:
        names = list(columns or (f"column {i}" for i in range(samples.shape[1])))
        two = samples.shape[1] == 2 and not levels
        with house_style():
            figure = (
                plot_scatter(samples, real, names) if two else plot_histograms(samples, real, names, levels)
            )
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110)
        image = Image.open(buffer).convert("RGB")
        over = "" if real is None else f" over {len(real):,} real rows"
        info |= {"kind": "scatter" if two else "histograms", "Description": f"{len(samples):,} rows{over}"}
    return write_whole(Path(path), png(image, info))


def grid(images: np.ndarray, columns: int | None = None, *, like: np.ndarray | None = None) -> Image.Image:
    """Images (n, c, h, w) in rows, `columns` across (near-square when None), enlarged by a whole factor.

    Values are taken as [0, 1]; where they leave it, they are scaled by their minimum and maximum, or by those of
    `like`. A value that is not finite is red.
    """
    images = np.asarray(images)
    _check(images, like, None)
    if images.ndim != 4:
        raise PlausibleError(f"a grid needs images (n, channels, height, width), not an array {images.shape}")
    low, high = _range(images if like is None else like)
    return _lay_out(_bytes(images, low, high), Layout.of(images.shape, columns))


def as_shades(images: np.ndarray) -> np.ndarray:
    """Values as [0, 1]: as they are, or scaled by their minimum and maximum where they leave it."""
    low, high = _range(images)
    return np.clip((images - low) / (high - low), 0.0, 1.0)


def png(image: Image.Image, info: Mapping[str, str]) -> bytes:
    """An image as a PNG that carries what it is as text chunks."""
    text = PngInfo()
    for key, value in {**info, "Software": "plausible"}.items():
        text.add_text(key, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=text, optimize=False)
    return buffer.getvalue()


def gif(frames: Sequence[Image.Image], seconds: float, last: float) -> bytes:
    """Images of one size as a GIF that begins again: each for so many seconds, the last one longer."""
    palette = frames[len(frames) // 2].quantize(64)
    shrunk = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    buffer = io.BytesIO()
    times = [int(1000 * seconds)] * (len(shrunk) - 1) + [int(1000 * last)]
    shrunk[0].save(
        buffer, "GIF", save_all=True, append_images=shrunk[1:], duration=times, loop=0, optimize=True
    )
    return buffer.getvalue()


def frames(paths: Sequence[Path], count: int = 8, side: int = 4) -> list[tuple[Path, Image.Image]]:
    """At most `count` pictures evenly spaced over `paths`, the first and the last among them, made small.

    Of a grid: the top-left `side` × `side` samples. Of another picture: the whole, scaled down.
    A file that is not there or is no picture is left out.
    """
    if count < 1:
        raise PlausibleError(f"a film strip needs at least one picture, not {count}")
    readable = [path for path in map(Path, paths) if path.is_file()]
    steps = np.linspace(0, len(readable) - 1, min(count, len(readable))).round().astype(int)
    chosen = [readable[step] for step in steps[::-1]][::-1] if count > 1 else readable[-1:]
    small = ((path, _small(path, side)) for path in chosen)
    return [(path, image) for path, image in small if image is not None]


def tick_of(path: Path) -> str:
    """What a sample picture is called: its tick with thousands marked, or its bare name."""
    return f"{int(path.stem):,}" if path.stem.isdecimal() else path.stem


@dataclass(frozen=True)
class Layout:
    """How a grid lies: n images of h × w pixels, `columns` across, each pixel enlarged to `scale` × `scale`."""

    n: int
    height: int
    width: int
    columns: int
    scale: int

    @classmethod
    def of(cls, shape: tuple[int, ...], columns: int | None = None) -> Layout:
        n, _, height, width = shape
        if columns is None:
            columns = min(n, max(1, int(np.ceil(np.sqrt(n * height / width)))))
        if columns < 1:
            raise PlausibleError(f"a grid needs at least one column, not {columns}")
        scale = max(1, -(-(WIDTH - GAP * (columns + 1)) // (columns * width)))
        return cls(n, height, width, columns, scale)

    @property
    def rows(self) -> int:
        return -(-self.n // self.columns)

    @property
    def step(self) -> tuple[int, int]:
        """From one image's corner to the next one's: across, down."""
        return self.width * self.scale + GAP, self.height * self.scale + GAP

    @property
    def size(self) -> tuple[int, int]:
        return self.columns * self.step[0] + GAP, self.rows * self.step[1] + GAP

    def corner(self, index: int) -> tuple[int, int]:
        """The top-left pixel of one image: x, y."""
        row, column = divmod(index, self.columns)
        return GAP + column * self.step[0], GAP + row * self.step[1]

    def as_text(self) -> str:
        return " ".join(map(str, (self.n, self.height, self.width, self.columns, self.scale)))

    @classmethod
    def from_text(cls, text: str) -> Layout:
        return cls(*map(int, text.split()))


def _check(samples: np.ndarray, real: np.ndarray | None, columns: Sequence[str] | None) -> None:
    if samples.ndim not in (2, 4) or 0 in samples.shape:
        raise PlausibleError(
            f"samples of shape {samples.shape} cannot be plotted: give rows (n, columns) "
            "or images (n, channels, height, width), and at least one"
        )
    if samples.ndim == 4 and samples.shape[1] not in (1, 3):
        raise PlausibleError(f"images have 1 or 3 channels, not {samples.shape[1]} (shape {samples.shape})")
    if real is not None and (real.shape[1:] != samples.shape[1:] or not len(real)):
        raise PlausibleError(f"samples {samples.shape} and real data {real.shape} do not fit together")
    if columns is not None and samples.ndim == 2 and len(columns) != samples.shape[1]:
        raise PlausibleError(f"{len(columns)} column names for {samples.shape[1]} columns")


def _range(values: np.ndarray) -> tuple[float, float]:
    """The values shown black and white: 0 and 1, or the smallest and largest when they lie outside."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0


def _bytes(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """(n, c, h, w) numbers → (n, h, w) or (n, h, w, 3) bytes; what is not finite turns red."""
    values = np.moveaxis(images.astype(np.float64), 1, -1)
    finite = np.isfinite(values)
    shades = np.clip((np.where(finite, values, low) - low) / (high - low), 0.0, 1.0)
    shades = np.round(255 * shades).astype(np.uint8)
    if finite.all():
        return shades[..., 0] if shades.shape[-1] == 1 else shades
    shades = np.broadcast_to(shades, (*shades.shape[:-1], 3)).copy()
    shades[~finite.all(axis=-1)] = NOT_FINITE
    return shades


def _lay_out(shades: np.ndarray, layout: Layout) -> Image.Image:
    width, height = layout.size
    canvas = np.full((height, width, *shades.shape[3:]), GAP_GREY, np.uint8)
    for index, tile in enumerate(shades):
        x, y = layout.corner(index)
        large = tile.repeat(layout.scale, axis=0).repeat(layout.scale, axis=1)
        canvas[y : y + large.shape[0], x : x + large.shape[1]] = large
    for index in range(layout.n, layout.rows * layout.columns):  # places left over: white, not grey
        x, y = layout.corner(index)
        canvas[y : y + layout.step[1], x : x + layout.step[0]] = 255
    return Image.fromarray(canvas)


def _small(path: Path, side: int) -> Image.Image | None:
    """One frame of the film strip, at most FRAME pixels wide; None when the file is no picture."""
    try:
        with Image.open(path) as opened:
            opened.load()
            tile = getattr(opened, "text", {}).get("tile")
            whole = opened.convert("RGB")
    except OSError:  # Pillow's UnidentifiedImageError is one
        return None
    if tile is None:
        whole.thumbnail((FRAME, FRAME), Image.Resampling.LANCZOS)
        return whole
    small = _corner(np.asarray(whole), Layout.from_text(tile), side)
    if small.width > FRAME:
        small.thumbnail((FRAME, FRAME), Image.Resampling.LANCZOS)
    return small


def _corner(pixels: np.ndarray, layout: Layout, side: int) -> Image.Image:
    """The top-left samples of a grid as a smaller grid, from the samples' own pixels: nothing is blurred."""
    columns, rows, scale = min(side, layout.columns), min(side, layout.rows), layout.scale
    wanted = [row * layout.columns + column for row in range(rows) for column in range(columns)]
    tiles = []
    for x, y in (layout.corner(index) for index in wanted if index < layout.n):
        tiles.append(pixels[y : y + layout.height * scale : scale, x : x + layout.width * scale : scale])
    enlarged = max(1, (FRAME - GAP * (columns + 1)) // (columns * layout.width))
    return _lay_out(np.stack(tiles), Layout(len(tiles), layout.height, layout.width, columns, enlarged))
