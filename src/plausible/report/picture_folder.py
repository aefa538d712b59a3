"""Write samples as a folder of PNGs of their own size, one file each, so that a killed job goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plausible.data import restore
from plausible.errors import PlausibleError
from plausible.runs import write_json
from plausible.schema import Schema

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["RECORD", "check_pictures", "write_folder"]

RECORD = "samples.json"
"""What the samples of a folder follow from."""


def check_pictures(schema: Schema, out: Path) -> None:
    """Check that samples can be written as pictures.

    Raises:
        PlausibleError: they are rows of a table, or of real values, which are not grey levels.
    """
    if not schema.picture:
        raise PlausibleError(
            f"--out {out}: a folder of PNGs is for pictures: name a .csv, .npy or .npz for rows of a table"
        )
    if schema.domain == "real":
        raise PlausibleError(f"--out {out}: real values are not grey levels: name a .npy or .npz")


def write_folder(
    blocks: Callable[[int], Iterator[tuple[int, np.ndarray]]],
    n: int,
    schema: Schema,
    folder: Path,
    record: Mapping[str, Any],
) -> Path:
    """Write n samples as 000000.png, 000001.png, … of their own size, and `RECORD`.

    A folder that an earlier call with the same record left unfinished is continued: its files are then the same, bit
    for bit, as those of a call that was never stopped. Each file is written whole or not at all.

    Args:
        blocks: called with the number of the first missing sample; returns blocks that cover it and all after it: the
            number of a block's first sample, and its samples, (B, *shape).
        n: how many in all.
        schema: of the run.
        folder: made if need be.
        record: what the samples follow from.

    Raises:
        PlausibleError: the samples are no pictures, or the folder holds something else or cannot be written.
    """
    check_pictures(schema, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _claim(folder, dict(record))
        missing = next((i for i in range(n) if not _there(folder / _name(i))), n)
        for start, block in blocks(missing) if missing < n else ():
            for i, image in enumerate(restore(block, schema, "images", generated=True), start):
                if not _there(folder / _name(i)):
                    _save(image, folder / _name(i))
    except OSError as error:
        raise PlausibleError(f"could not write into {folder}: {error.strerror or error}") from error
    return folder


def _name(i: int) -> str:
    return f"{i:06}.png"


def _there(path: Path) -> bool:
    """Whether a sample is written; a file that a crash of the machine left empty is not."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _save(image: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all, without waiting for the disk: there may be many."""
    part = path.with_name(f".{path.name}.part")
    try:
        image.save(part, "PNG")
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _claim(folder: Path, record: dict[str, Any]) -> None:
    """Write the record into an empty folder, or check that the folder's is the same.

    Raises:
        PlausibleError: the folder holds other samples, or other files.
    """
    path = folder / RECORD
    if not path.exists():
        others = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
        if others:
            raise PlausibleError(f"{folder} holds other files, such as {others[0]}: name a new folder")
        write_json(path, record)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PlausibleError(f"{path} cannot be read ({error}): name a new folder") from error
    if found != record:
        differs = [key for key in record if not isinstance(found, dict) or found.get(key) != record[key]]
        raise PlausibleError(
            f"{folder} holds samples of another {' and '.join(differs) or 'kind'}: name a new folder, or remove it"
        )
