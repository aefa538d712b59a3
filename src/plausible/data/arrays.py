"""Read `.npy` and `.npz` files: memory-mapped, never unpickled."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
from numpy.lib import format as formats

from plausible.data.checks import SPLITS, check_form
from plausible.data.labels import label_array
from plausible.data.raw import Raw
from plausible.errors import PlausibleError

__all__ = ["read_npy", "read_npz"]

_BROKEN = (OSError, ValueError, EOFError, TypeError, OverflowError, SyntaxError, TokenError)
_BROKEN_ZIP = (*_BROKEN, zipfile.BadZipFile, zlib.error, struct.error, KeyError, RuntimeError)
_KEYS = (
    "x, with or without y; or one array; or splits, x_train and x_valid and x_test (or train, valid, test), all "
    "with labels y_train … or none"
)
_SPLIT_WORDS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}

_Role = tuple[str, str]
"""What a member holds: "x" or "y", and of which split ("": of all rows)."""


def read_npy(path: str) -> Raw:
    """Read a `.npy` file of shape (rows, columns) or of images, see `checks.layout`; it may exceed memory.

    Raises:
        PlausibleError: not a `.npy` file, truncated, or unsuitable (see `Raw`).
    """
    try:
        with Path(path).open("rb") as stream:
            array = _mapped(path, path, stream)
    except _BROKEN as error:
        raise PlausibleError(
            f"{path} cannot be read as .npy ({error}): save it again with np.save"
        ) from error
    return Raw(path, {path: array})


def read_npz(path: str) -> Raw:
    """Read a `.npz` file; members saved by `np.savez` are memory-mapped, compressed ones are read into memory.

    Raises:
        PlausibleError: not a zip file, damaged, unknown keys, or unsuitable (see `Raw`).
    """
    try:
        with zipfile.ZipFile(path) as archive, Path(path).open("rb") as stream:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            roles = _roles(path, set(members))
            arrays = {
                role: _member(path, role, archive, stream, members[name]) for role, name in roles.items()
            }
    except _BROKEN_ZIP as error:
        raise PlausibleError(
            f"{path} cannot be read as .npz ({error}): save it again with np.savez"
        ) from error
    except MemoryError as error:
        raise PlausibleError(
            f"{path} does not fit into memory uncompressed: save it with np.savez instead of np.savez_compressed, so "
            "that it can be memory-mapped"
        ) from error
    splits = [split for split in ("", *SPLITS) if ("x", split) in roles]
    parts = {f"{path}[{roles['x', split]}]": arrays["x", split] for split in splits}
    counts = None if splits == [""] else {split: len(arrays["x", split]) for split in splits}
    return Raw(path, parts, y=_labels(path, splits, roles, arrays), counts=counts)


def _labels(
    path: str, splits: list[str], roles: dict[_Role, str], arrays: dict[_Role, np.ndarray]
) -> np.ndarray | None:
    """The labels of all splits, concatenated, (N,)."""
    if ("y", splits[0]) not in roles:
        return None
    found = []
    for split in splits:
        name, y = roles["y", split], label_array(f"{path}[{roles['y', split]}]", arrays["y", split])
        if len(y) != len(arrays["x", split]):
            raise PlausibleError(
                f"{path}: {roles['x', split]} has {len(arrays['x', split])} rows and {name} {len(y)} labels: "
                "save one label per row"
            )
        found.append(y)
    if len({y.dtype.kind for y in found}) > 1:
        raise PlausibleError(
            f"{path}: the labels are numbers in one split and text in another: save one kind"
        )
    return np.concatenate(found)


def _roles(path: str, keys: set[str]) -> dict[_Role, str]:
    """What each member holds; every key must be known, and they must fit together."""
    if len(keys) == 1 and _role(next(iter(keys))) in (None, ("x", "")):
        return {("x", ""): next(iter(keys))}
    roles: dict[_Role, str] = {}
    for key in sorted(keys):
        role = _role(key)
        if role is None or role in roles:
            raise _unclear(path, keys)
        roles[role] = key
    x, y = ({split for kind, split in roles if kind == which} for which in "xy")
    if not (x == {""} or ("train" in x and "" not in x)) or (y and y != x):
        raise _unclear(path, keys)
    return roles


def _unclear(path: str, keys: set[str]) -> PlausibleError:
    found = ", ".join(sorted(keys)) or "nothing"
    return PlausibleError(f"{path} holds {found}: save {_KEYS}, and nothing else")


def _role(key: str) -> _Role | None:
    """X_train → ("x", "train"), train_y → ("y", "train"), y → ("y", ""), train → ("x", "train")."""
    words = key.lower().split("_")
    kinds = [word for word in words if word in ("x", "y")]
    splits = [_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS]
    if len(kinds) > 1 or len(splits) > 1 or len(kinds) + len(splits) != len(words):
        return None
    return (kinds or ["x"])[0], (splits or [""])[0]


def _member(
    path: str, role: _Role, archive: zipfile.ZipFile, stream: BinaryIO, info: zipfile.ZipInfo
) -> np.ndarray:
    what, labels = f"{path}[{info.filename.removesuffix('.npy')}]", role[0] == "y"
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 and not labels:
        stream.seek(info.header_offset)
        lengths = struct.unpack("<HH", stream.read(30)[26:30])  # of the name and of the extra field
        stream.seek(sum(lengths), 1)
        return _mapped(path, what, stream, info.file_size)
    with archive.open(info) as member:
        if not labels:
            check_form(what, *_header(member))
            member.seek(0)
        return formats.read_array(member, allow_pickle=False)


def _mapped(path: str, what: str, stream: BinaryIO, length: int | None = None) -> np.ndarray:
    """The array that begins at the stream's position, as a read-only map; `length`: its bytes, header included."""
    start = stream.tell()
    version = formats.read_magic(stream)
    shape, fortran, dtype = _header_of(stream, version)
    check_form(what, shape, dtype)
    offset = stream.tell()
    if length is not None and offset - start + dtype.itemsize * int(np.prod(shape, dtype=object)) != length:
        raise ValueError(f"{what} is not as long as its header says")
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _header(stream) -> tuple[tuple[int, ...], np.dtype]:
    shape, _, dtype = _header_of(stream, formats.read_magic(stream))
    return shape, dtype


def _header_of(stream, version: tuple[int, int]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if version == (1, 0):
        return formats.read_array_header_1_0(stream)
    if version == (2, 0):
        return formats.read_array_header_2_0(stream)
    raise ValueError(f"version {version} of the format, which only arrays with field names need")
