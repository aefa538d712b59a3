"""Read a folder of images: decoded once into an unnamed temporary file, which is memory-mapped."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plausible.data.mapped import MappedWriter
from plausible.data.raw import Raw
from plausible.data.sources import IMAGE_ENDINGS
from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["common_size_and_mode", "image_array", "read_folder"]

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
_GREY = ("1", "L", "LA", "La")
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_BROKEN = (  # what Pillow's decoders raise for damaged files
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def read_folder(path: str) -> Raw:
    """Read all images under a folder in the order of their paths, (1 or 3, height, width), levels 0 … 255.

    One channel if every image is grey, otherwise three. The first level of sub-folders gives the labels if every image
    is in one. Hidden files and files without one of `IMAGE_ENDINGS` are ignored. Pixels are used as stored: EXIF
    orientation and colour profiles are not applied.

    Raises:
        PlausibleError: no image, sizes that differ, or an image that is damaged, too large, animated, transparent
            or deeper than 8 bits; the message names the file.
    """
    root = Path(path)
    files = _files(root)
    if not files:
        raise PlausibleError(
            f"there is no image under {path}: it needs files ending in {', '.join(IMAGE_ENDINGS)}"
        )
    size, grey = common_size_and_mode([(str(file), lambda file=file: _opened(file)) for file in files])
    with MappedWriter(path) as writer:
        for file in files:
            with _opened(file) as image:
                writer.write(image_array(str(file), image, "L" if grey else "RGB"))
        stored = (len(files), size[1], size[0], *(() if grey else (3,)))
        array = writer.mapped(np.uint8, stored)
    places = [file.relative_to(root) for file in files]
    y, labels = _labels([place.parts for place in places])
    names = ("file", [place.as_posix() for place in places])
    return Raw.of(path, array, y=y, labels=labels, domain="unit", scale=255.0, last=not grey, names=names)


def _files(root: Path) -> list[Path]:
    """The images, sorted by path. Links to folders are followed, and each folder is visited once."""
    found: list[Path] = []
    entered: set[str] = set()

    def failed(error: OSError) -> None:
        raise PlausibleError(f"{error.filename} cannot be listed ({error}): check its permissions") from error

    for here, folders, names in os.walk(root, followlinks=True, onerror=failed):
        entered.add(os.path.realpath(here))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(Path(here) / name) not in entered
        )
        found += [Path(here) / name for name in names if not name.startswith(".") and _is_image(name)]
    return sorted(found, key=lambda file: file.relative_to(root).parts)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def common_size_and_mode(
    images: Sequence[tuple[str, Callable[[], AbstractContextManager[Image.Image]]]],
) -> tuple[tuple[int, int], bool]:
    """(width, height) of all images and whether all are grey, from their headers.

    Args:
        images: for each image its name in errors, and a function that opens it.

    Raises:
        PlausibleError: sizes that differ, no pixels, pixels deeper than 8 bits, several frames.
    """
    size, all_grey = None, True
    for name, opened in images:
        with opened() as image:
            size = size or image.size
            if image.size != size:
                raise PlausibleError(
                    f"the images differ in size: {images[0][0]} is {size[0]} × {size[1]} and {name} "
                    f"{image.size[0]} × {image.size[1]}: crop or resize them to one size"
                )
            if image.mode not in _GREY + _COLOUR:
                raise PlausibleError(
                    f"{name} has pixels of kind {image.mode}: convert it to 8-bit grey or RGB"
                )
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if frames > 1:
                raise PlausibleError(f"{name} holds {frames} pictures: save each as a separate file")
            all_grey = all_grey and _is_grey(image)
    if size is None or min(size) < 1:
        raise PlausibleError(f"{images[0][0]} has no pixels: remove it")
    return size, all_grey


def _is_grey(image: Image.Image) -> bool:
    """Whether an image is grey by its mode, or has a palette of grey colours only."""
    palette = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    if palette:
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY


def image_array(name: str, image: Image.Image, mode: str) -> np.ndarray:
    """Decode an image, (height, width) or (height, width, 3), uint8.

    Raises:
        PlausibleError: it is partly transparent.
    """
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise PlausibleError(f"{name} is partly transparent: save it on a background of your choice")
    return np.asarray(image.convert(mode))


@contextmanager
def _opened(file: Path) -> Generator[Image.Image, None, None]:
    """Open an image; errors while it is read, here or in the `with` block, name the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about odd metadata, which is not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PlausibleError(
            f"{file} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, the limit: remove it or shrink it"
        ) from error
    except _BROKEN as error:
        raise PlausibleError(f"{file} cannot be decoded ({error}): replace it or remove it") from error


def _labels(parts: list[tuple[str, ...]]) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Labels, (N,), int64, and their names from the first level of folders, if every image is in one."""
    if any(len(part) == 1 for part in parts):
        return None, None
    names = sorted({part[0] for part in parts})
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[part[0]] for part in parts], np.int64), tuple(names)
