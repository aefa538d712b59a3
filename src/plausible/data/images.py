"""Decode one picture: upright, on white, 8 bits a channel, and of one size if a size is asked for.

The rule, for files and for PIL images in Python alike:

- the orientation that a camera stored (EXIF) is applied, so pictures are as viewers show them;
- transparent pictures are laid on white;
- of 16-bit pictures the upper 8 bits are kept; other depths are refused;
- a size is reached by cropping the middle to the shape asked for, or with `pad` by white borders, and then resampling:
  where the picture shrinks each pixel is the mean of the area it covers, where it grows it is bicubic.

Colour profiles are not applied.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Fit", "as_rgb", "check_size", "opened", "prepared", "upright_size"]

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
_GREY = ("1", "L", "LA", "La")
_COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
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


@dataclass(frozen=True)
class Fit:
    """The size that pictures are brought to.

    Attributes:
        width, height: in pixels.
        how: "crop" keeps the middle and loses what does not fit; "pad" keeps all and adds white borders.
    """

    width: int
    height: int
    how: Literal["crop", "pad"] = "crop"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    @classmethod
    def parsed(cls, size: str | None, fit: str | None = None) -> Fit | None:
        """ "64" is 64 × 64, "48x64" 48 wide and 64 high; None without a size. The text was checked by `check_views`."""
        if size is None:
            return None
        width, _, height = size.partition("x")
        return cls(int(width), int(height or width), "pad" if fit == "pad" else "crop")


@contextmanager
def opened(name: str, file: Any) -> Generator[Image.Image, None, None]:
    """Open an image file or stream; errors while it is read, here or in the `with` block, name it.

    Raises:
        PlausibleError: it is damaged, or has too many pixels.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about odd metadata, which is not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PlausibleError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, the limit: remove it or shrink it"
        ) from error
    except _BROKEN as error:
        raise PlausibleError(f"{name} cannot be decoded ({error}): replace it or remove it") from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) as viewers show it, from the header alone."""
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _TURNED else (width, height)


def check_size(first: tuple[str, tuple[int, int]], name: str, size: tuple[int, int]) -> None:
    """Check that a picture has the size of the first one.

    Raises:
        PlausibleError: it has another, or no pixels.
    """
    other, (width, height) = first
    if min(size) < 1:
        raise PlausibleError(f"{name} has no pixels: remove it")
    if size != (width, height):
        raise PlausibleError(
            f"the images differ in size: {other} is {width} × {height} and {name} {size[0]} × {size[1]}: "
            "bring all to one size with the view :size=64 (--size 64), which crops the middle; with :fit=pad "
            "it adds white borders instead"
        )


def prepared(name: str, image: Image.Image, fit: Fit | None = None) -> tuple[Image.Image, bool]:
    """The picture by the rule above, of mode L or RGB, and whether it is grey. The image given is not changed.

    Raises:
        PlausibleError: it holds several frames, or is of a kind that 8 bits a channel cannot hold.
    """
    from PIL import Image, ImageOps

    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise PlausibleError(f"{name} holds {frames} pictures: save each as a separate file")
    kind = image.format
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    image = _eight_bits(name, image, kind)
    grey = _is_grey(image)
    image = _on_white(image).convert("L" if grey else "RGB")
    if fit is None or image.size == fit.size:
        return image, grey
    scale = (fit.width / image.width, fit.height / image.height)
    shrinks = (max(scale) if fit.how == "crop" else min(scale)) < 1
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    if fit.how == "crop":
        return ImageOps.fit(image, fit.size, method), grey
    return ImageOps.pad(image, fit.size, method, color="white"), grey


def as_rgb(name: str, file: Any, fit: Fit | None) -> tuple[np.ndarray, bool]:
    """Decode a file or stream, (height, width, 3), uint8, and whether it is grey.

    A JPEG that is to shrink is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 of its size that is at least twice the
    size asked for.

    Raises:
        PlausibleError: as `opened` and `prepared`.
    """
    with opened(name, file) as image:
        if fit is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * max(fit.size), 2 * max(fit.size)))
        picture, grey = prepared(name, image, fit)
        return np.asarray(picture.convert("RGB")), grey


def _eight_bits(name: str, image: Image.Image, kind: str | None) -> Image.Image:
    """The picture with 8 bits a channel.

    Raises:
        PlausibleError: it is of another depth than 1, 8 or 16 bits.
    """
    from PIL import Image

    if image.mode in _DEEP or (image.mode == "I" and kind == "PNG"):  # older Pillows call 16-bit PNGs I
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    if image.mode not in _GREY + _COLOUR:
        raise PlausibleError(
            f"{name} has pixels of kind {image.mode}, and pictures of 8 or 16 bits are read: convert it to 8-bit "
            "grey or RGB"
        )
    return image


def _is_grey(image: Image.Image) -> bool:
    """Whether an image is grey by its mode, or has a palette of grey colours only."""
    palette = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    if palette:
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY


def _on_white(image: Image.Image) -> Image.Image:
    """The picture without transparency: laid on white where it has any."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
