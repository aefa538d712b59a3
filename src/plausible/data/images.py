"""A folder of images: decoded once, kept as bytes in a nameless temporary file that is mapped."""

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

from plausible.data.raw import Raw
from plausible.data.sources import IMAGE_ENDINGS
from plausible.data.spool import Spool
from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
GREY = ("1", "L", "LA", "La")
COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
BROKEN = (  # what Pillow's decoders raise on bytes they cannot make sense of
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


def folder(path: str) -> Raw:
    """All images under a folder, in the order of their paths, (1 or 3, height, width), levels 0 … 255.

    One channel if every image is grey, else three. The first level of sub-folders is the labels if every image
    lies in one. Names that begin with a dot are passed over; so is what has none of `IMAGE_ENDINGS`. Pixels
    are taken as stored: no turning by EXIF, no colour profiles.

    Raises:
        PlausibleError: no image, sizes that differ, an image that is damaged, too large, animated, transparent
            or deeper than 8 bits: with the file's name.
    """
    root = Path(path)
    files = _files(root)
    if not files:
        raise PlausibleError(
            f"there is no image under {path}: it needs files ending in {', '.join(IMAGE_ENDINGS)}"
        )
    size, grey = common_form([(str(file), lambda file=file: _opened(file)) for file in files])
    with Spool(path) as spool:
        for file in files:
            with _opened(file) as image:
                spool.write(pixels(str(file), image, "L" if grey else "RGB"))
        stored = (len(files), size[1], size[0], *(() if grey else (3,)))
        array = spool.mapped(np.uint8, stored)
    y, labels = _labels([file.relative_to(root).parts for file in files])
    return Raw.of(path, array, y=y, labels=labels, domain="unit", scale=255.0, last=not grey)


def _files(root: Path) -> list[Path]:
    """The images, sorted by path; links to folders are followed, each folder is entered once."""
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


def common_form(
    images: Sequence[tuple[str, Callable[[], AbstractContextManager[Image.Image]]]],
) -> tuple[tuple[int, int], bool]:
    """(width, height) and whether all are grey, from the headers.

    Args:
        images: what errors call each, and how to open it.

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
            if image.mode not in GREY + COLOUR:
                raise PlausibleError(
                    f"{name} has pixels of kind {image.mode}: convert it to 8-bit grey or RGB"
                )
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if frames > 1:
                raise PlausibleError(f"{name} holds {frames} pictures: save each as a file of its own")
            all_grey = all_grey and _is_grey(image)
    if size is None or min(size) < 1:
        raise PlausibleError(f"{images[0][0]} has no pixels: remove it")
    return size, all_grey


def _is_grey(image: Image.Image) -> bool:
    """By mode; a palette is grey if all its colours are."""
    palette = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    if palette:
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in GREY


def pixels(name: str, image: Image.Image, mode: str) -> np.ndarray:
    """The image decoded, (height, width) or (height, width, 3), uint8."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise PlausibleError(f"{name} is partly transparent: save it on a background of your choice")
    return np.asarray(image.convert(mode))


@contextmanager
def _opened(file: Path) -> Generator[Image.Image, None, None]:
    """An open image; whatever goes wrong with its bytes, in here or in the caller's block, names the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of odd metadata: the pixels alone are used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PlausibleError(
            f"{file} unpacks to more than {Image.MAX_IMAGE_PIXELS:,} pixels, the limit: remove it or shrink it"
        ) from error
    except BROKEN as error:
        raise PlausibleError(f"{file} cannot be decoded ({error}): replace it or remove it") from error


def _labels(parts: list[tuple[str, ...]]) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """First-level folders as labels, (N,), int64, and their names, if every image is in one."""
    if any(len(part) == 1 for part in parts):
        return None, None
    names = sorted({part[0] for part in parts})
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[part[0]] for part in parts], np.int64), tuple(names)
