"""Read a folder or a zip of pictures as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plausible.data.decoding import decoded
from plausible.data.images import Fit
from plausible.data.picturefiles import Listing, list_folder, list_zip
from plausible.data.raw import Raw

if TYPE_CHECKING:
    from plausible.schema import Schema

__all__ = ["fit_for", "read_folder", "read_zip"]


def read_folder(
    path: str, *, size: str | None = None, fit: str | None = None, schema: Schema | None = None
) -> Raw:
    """Read all pictures under a folder, (1 or 3, height, width), levels 0 … 255, in the order of their paths.

    `picturefiles` says which files are read and what their folders mean, `images` how a picture is decoded. One channel
    if every picture is grey, otherwise three.

    Args:
        path: the folder.
        size: "64" or "48x64", width × height; None: the pictures' own, or that of the run.
        fit: "crop" (default) or "pad".
        schema: of the run that the pictures are for: if its own were brought to a size, so are these.

    Raises:
        PlausibleError: no picture, sizes that differ although no size is asked for, or a picture that cannot be
            decoded; the message names the file.
    """
    return _read(list_folder(path), fit_for(size, fit, schema), schema)


def read_zip(
    path: str, *, size: str | None = None, fit: str | None = None, schema: Schema | None = None
) -> Raw:
    """Read all pictures in a zip, as `read_folder` does; nothing is unpacked to the disk."""
    return _read(list_zip(path), fit_for(size, fit, schema), schema)


def fit_for(size: str | None, fit: str | None, schema: Schema | None) -> Fit | None:
    """The size asked for, or else the one that the run's own pictures were brought to; None: as they are."""
    asked = Fit.parsed(size, fit)
    if asked is None and schema is not None and schema.fit is not None and schema.picture:
        return Fit(schema.shape[2], schema.shape[1], schema.fit)
    return asked


def _read(listing: Listing, fit: Fit | None, schema: Schema | None) -> Raw:
    pixels = decoded(listing, fit)
    colour = pixels.ndim == 4
    if not colour and schema is not None and schema.mode == "RGB":
        pixels, colour = np.broadcast_to(pixels[..., None], (*pixels.shape, 3)), True
    return Raw.of(
        listing.root,
        pixels,
        y=listing.y,
        labels=listing.labels,
        counts=listing.counts,
        domain="unit",
        scale=255.0,
        last=colour,
        names=("file", listing.names),
        fit=None if fit is None else fit.how,
        notes=listing.notes,
    )
