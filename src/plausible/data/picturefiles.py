"""List the pictures of a folder or a zip: which files are read, in which order, with which split and label.

The layout says what is what. One folder that wraps all others is looked through. Folders named train, valid (val,
validation) and test are splits, if there is no other folder beside them; the level below them, or else the first
level, are the labels, if every picture is in such a folder and there are at least two.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from plausible.data.checks import SPLITS
from plausible.data.sources import IMAGE_ENDINGS
from plausible.errors import PlausibleError

__all__ = ["Listing", "list_folder", "list_zip"]

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}
_MACOS = "__MACOSX"
_SHOWN = 6
"""Kinds of files passed over that are named."""


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder or a zip.

    Attributes:
        root: path of the folder or zip.
        zipped: whether it is a zip.
        names: the pictures below it, with slashes, in the order of the rows.
        stamp: SHA-256 of where they are and of what tells that one has changed.
        counts: split → number of pictures, in the order of the rows; None if the folders are no splits.
        y: labels, (N,), int64, or None.
        labels: their names.
        notes: what was passed over and what was concluded from the layout, a line each.
    """

    root: str
    zipped: bool
    names: list[str]
    stamp: str
    counts: Mapping[str, int] | None = None
    y: np.ndarray | None = None
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    """Pictures, what identifies the state of each, and what was passed over: reason → number of files."""

    stamps: dict[str, tuple[int, ...]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, stamp: tuple[int, ...]) -> None:
        """Take a file if its ending is that of a picture."""
        ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of 100,000 files takes seconds
        if ending in IMAGE_ENDINGS:
            self.stamps[name] = stamp
        else:
            self.skipped[ending or "no ending"] += 1


def list_folder(path: str) -> Listing:
    """List a folder and all below it. Links to folders are followed, and each folder is entered once.

    Hidden files are ignored. Pipes, sockets and devices, links to nothing, and files without one of `IMAGE_ENDINGS`
    are passed over, and `notes` counts them.

    Raises:
        PlausibleError: a folder cannot be listed, there is no picture, or the layout contradicts itself.
    """
    found = _Found()
    for name, file in _walk(path):
        try:
            about = os.stat(file)  # noqa: PTH116 - as above
        except OSError:
            found.skipped["links to nothing"] += 1
            continue
        if stat.S_ISREG(about.st_mode):
            found.add(name, (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino))
        else:
            found.skipped["pipes, sockets or devices"] += 1
    return _listing(path, found, zipped=False)


def _walk(root: str) -> Iterator[tuple[str, str]]:
    """All files that are not hidden: the name below the root, with slashes, and the path."""
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
        below = Path(here).relative_to(root).as_posix()
        start = "" if below == "." else f"{below}/"
        yield from ((start + name, f"{here}/{name}") for name in names if not name.startswith("."))


def list_zip(path: str) -> Listing:
    """List the pictures in a zip, as `list_folder` does; nothing is unpacked.

    Raises:
        PlausibleError: it is damaged or encrypted, there is no picture, or the layout contradicts itself.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        about = Path(path).stat()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise PlausibleError(f"{path} cannot be read as a zip ({error}): replace it") from error
    found, state = _Found(), (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    for entry in entries:
        parts = entry.filename.split("/")
        if entry.is_dir() or any((part.startswith(".") and part != ".") or part == _MACOS for part in parts):
            continue
        if entry.flag_bits & 1:
            raise PlausibleError(f"{path}: {entry.filename} is encrypted: unpack it and give the folder")
        found.add(entry.filename, state)
    return _listing(path, found, zipped=True)


def _listing(path: str, found: _Found, *, zipped: bool) -> Listing:
    passed = _passed_over(found.skipped)
    if not found.stamps:
        raise PlausibleError(
            f"there is no image under {path}: it needs files ending in {', '.join(IMAGE_ENDINGS)}"
            + (f" ({passed})" if passed else "")
        )
    parts = {name: tuple(name.split("/")) for name in found.stamps}
    depth = _wrapping(parts)
    inner = {name: each[depth:] for name, each in parts.items()}
    splits = _splits(path, inner)
    order = sorted(inner, key=lambda name: (SPLITS.index(splits[name]) if splits else 0, parts[name]))
    below = [inner[name][1 if splits else 0 :] for name in order]
    y, labels = _labels(below)
    counts = Counter(splits.values()) if splits else None
    notes = [passed] if passed else []
    if labels is None and any(len(part) > 1 for part in below) and len({part[0] for part in below}) > 1:
        notes.append("no labels: some pictures are in no folder of their class")
    return Listing(
        path,
        zipped,
        order,
        _stamp(path, order, found.stamps),
        {split: counts[split] for split in SPLITS if counts[split]} if counts else None,
        y,
        labels,
        tuple(notes),
    )


def _passed_over(skipped: Counter[str]) -> str:
    """ "18 files passed over: 12 .txt, 6 .heic"; empty if there are none."""
    if not skipped:
        return ""
    common = sorted(skipped.items(), key=lambda each: (-each[1], each[0]))[:_SHOWN]
    kinds = [f"{count:,} {kind}" for kind, count in common]
    some = ", ".join(kinds) + (", …" if len(skipped) > _SHOWN else "")
    total = skipped.total()
    return f"{total:,} {'file' if total == 1 else 'files'} passed over, not read as pictures: {some}"


def _wrapping(parts: Mapping[str, tuple[str, ...]]) -> int:
    """How many folders wrap all pictures; a folder named train is none."""
    depth = 0
    while all(len(each) > depth + 1 for each in parts.values()):
        here = {each[depth] for each in parts.values()}
        if len(here) > 1 or _SPLIT_NAMES.get(next(iter(here)).lower()) == "train":
            break
        depth += 1
    return depth


def _splits(path: str, inner: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Picture → split; empty if the folders are no splits.

    Raises:
        PlausibleError: other pictures are beside the splits, or there is no train.
    """
    tops = {parts[0] if len(parts) > 1 else "" for parts in inner.values()}
    named = {top: _SPLIT_NAMES[top.lower()] for top in tops if top.lower() in _SPLIT_NAMES}
    others = sorted(tops - set(named))
    if len(set(named.values())) < 2 and (others or "train" not in named.values()):
        return {}
    if others:
        beside = f"the folder {others[-1]!r} is" if others[-1] else "some pictures are"
        raise PlausibleError(
            f"{path}: {', '.join(sorted(named))} are splits, and {beside} beside them: move it into one of them, or "
            "elsewhere"
        )
    if "train" not in named.values():
        raise PlausibleError(f"{path}: there is {', '.join(sorted(named))}, and no folder train: add it")
    return {name: named[parts[0]] for name, parts in inner.items()}


def _labels(below: list[tuple[str, ...]]) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """Labels, (N,), int64, and their names from the first level of folders, if every picture is in one of several."""
    names = sorted({parts[0] for parts in below})
    if any(len(parts) == 1 for parts in below) or len(names) < 2:
        return None, None
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[parts[0]] for parts in below], np.int64), tuple(names)


def _stamp(path: str, order: list[str], stamps: Mapping[str, tuple[int, ...]]) -> str:
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path)))
    for name in order:
        digest.update(os.fsencode(f"{name}\0{stamps[name]}\0"))
    return digest.hexdigest()
