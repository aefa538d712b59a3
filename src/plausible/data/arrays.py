"""`.npy` and `.npz`: mapped where they lie, never unpickled."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from plausible.data.checks import SPLITS, check_form, table_of
from plausible.data.rows import Table
from plausible.errors import PlausibleError

BROKEN = (OSError, ValueError, EOFError, TypeError, OverflowError, SyntaxError, TokenError)
BROKEN_ZIP = (*BROKEN, zipfile.BadZipFile, zlib.error, struct.error, KeyError, RuntimeError)
KEYS = "either train, valid and test; or x, with or without y; or one array"


def npy_table(path: str) -> Table:
    """A `.npy` file: (rows, columns) or images, see `checks.LAYOUTS`; mapped, so it may exceed memory.

    Raises:
        PlausibleError: not a `.npy` file, cut short, or unfit (see `checks.table_of`).
    """
    try:
        with Path(path).open("rb") as stream:
            array = _mapped(path, path, stream)
    except BROKEN as error:
        raise PlausibleError(
            f"{path} cannot be read as .npy ({error}): save it again with np.save"
        ) from error
    return table_of(path, {path: array})


def npz_table(path: str) -> Table:
    """A `.npz` file; members saved by `np.savez` are mapped, compressed ones are read into memory.

    Raises:
        PlausibleError: not a zip file, damaged, keys that say nothing, or unfit (see `checks.table_of`).
    """
    try:
        with zipfile.ZipFile(path) as archive, Path(path).open("rb") as stream:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            names = _chosen(path, set(members))
            arrays = {name: _member(path, name, archive, stream, members[name]) for name in members}
    except BROKEN_ZIP as error:
        raise PlausibleError(
            f"{path} cannot be read as .npz ({error}): save it again with np.savez"
        ) from error
    except MemoryError as error:
        raise PlausibleError(
            f"{path} does not fit into memory unpacked: save it with np.savez, which leaves it unpacked, not "
            "np.savez_compressed: then it is mapped"
        ) from error
    return table_of(path, {f"{path}[{name}]": arrays[name] for name in names}, y=arrays.get("y"))


def _chosen(path: str, keys: set[str]) -> tuple[str, ...]:
    """Which members are the rows, in order."""
    if keys == set(SPLITS):
        return SPLITS
    if keys in ({"x"}, {"x", "y"}):
        return ("x",)
    if len(keys) == 1 and not keys & {"y", *SPLITS}:
        return tuple(keys)
    found = ", ".join(sorted(keys)) or "nothing"
    raise PlausibleError(f"{path} holds {found}: save {KEYS}, and nothing else")


def _member(
    path: str, name: str, archive: zipfile.ZipFile, stream: BinaryIO, info: zipfile.ZipInfo
) -> np.ndarray:
    what = f"{path}[{name}]"
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 and name != "y":
        stream.seek(info.header_offset)
        lengths = struct.unpack("<HH", stream.read(30)[26:30])  # of the name and of the extra field
        stream.seek(sum(lengths), 1)
        return _mapped(path, what, stream, info.file_size)
    with archive.open(info) as member:
        if name != "y":
            check_form(what, *_header(member))
            member.seek(0)
        return npy.read_array(member, allow_pickle=False)


def _mapped(path: str, what: str, stream: BinaryIO, length: int | None = None) -> np.ndarray:
    """The array that begins here in the file, as a read-only map; `length` bytes long, header included."""
    start = stream.tell()
    version = npy.read_magic(stream)
    shape, fortran, dtype = _header_of(stream, version)
    check_form(what, shape, dtype)
    offset = stream.tell()
    if length is not None and offset - start + dtype.itemsize * int(np.prod(shape, dtype=object)) != length:
        raise ValueError(f"{what} is not as long as its header says")
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _header(stream) -> tuple[tuple[int, ...], np.dtype]:
    shape, _, dtype = _header_of(stream, npy.read_magic(stream))
    return shape, dtype


def _header_of(stream, version: tuple[int, int]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"version {version} of the format, which only arrays with field names need")
