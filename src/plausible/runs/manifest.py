"""Write folders atomically, with a manifest of SHA-256 hashes, and verify them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from plausible.errors import PlausibleError
from plausible.runs.records import Manifest, read_record

__all__ = ["Checkpoint", "commit", "discard", "remove_leftovers", "verify"]

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A saved checkpoint.

    Attributes:
        path: a folder named by its tick in nine digits.
        best: the tick of the best state so far, if that is meant, whose weights are in the folder too.
    """

    path: Path
    best: int | None = None

    @property
    def tick(self) -> int:
        """The tick of the state that is meant."""
        return int(self.path.name) if self.best is None else self.best


@contextlib.contextmanager
def commit(target: Path) -> Generator[Path]:
    """Yield a temporary folder to fill; at the end of the block, hash, fsync and rename it to `target` in one step.

    If anything fails — a full disk, an interrupt — the temporary folder is removed and `target` is unchanged.

    Raises:
        PlausibleError: the folder could not be written; the message names it and the operating system's reason.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        files = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
        (temporary / _MANIFEST).write_text(json.dumps({"sha256": files}, indent=1) + "\n")
        for path in temporary.iterdir():
            _fsync(path)
        _fsync(temporary)
        _replace(temporary, target)
        _fsync(target.parent)
    except OSError as error:
        raise PlausibleError(
            f"could not save {target}: {error.strerror or error}. What was saved before is intact; "
            "free some space (or choose another --out) and continue with `plausible resume`."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def verify(folder: Path) -> None:
    """Check every file of a committed folder against its manifest.

    Raises:
        PlausibleError: the manifest is missing or unreadable, a file is missing or not listed, or a file's hash
            differs.
    """
    try:
        remedy = "restore it, or remove the folder"
        expected = read_record(Manifest, folder / _MANIFEST, remedy).sha256
        for name, digest in expected.items():
            if not (folder / name).is_file():
                raise PlausibleError(f"{folder / name} is missing")
            if _digest(folder / name) != digest:
                raise PlausibleError(f"{folder / name} is not what was saved (its SHA-256 differs)")
        if strangers := {path.name for path in folder.iterdir()} - {*expected, _MANIFEST}:
            raise PlausibleError(f"{folder / _MANIFEST} does not list {', '.join(sorted(strangers))}")
    except OSError as error:
        raise PlausibleError(f"{folder / _MANIFEST} cannot be read: {error.strerror or error}") from error


def discard(folder: Path) -> None:
    """Remove a committed folder. It is renamed first, so that a reader never finds part of it."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder; the caller holds the run's lock, so no process is writing."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") and path.name.endswith((".part", ".old")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _replace(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    try:
        temporary.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
