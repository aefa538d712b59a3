"""Create run folders: staged in a hidden sibling folder and renamed, so that a kill leaves a whole run or none."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

from plausible.errors import PlausibleError
from plausible.runs import lock

__all__ = ["check_target", "creating"]

_FILES = ("config.json", "events.jsonl", "best.json", "evaluation.json", "report.html", "weights.safetensors")
_KNOWN = frozenset((*_FILES, "checkpoints", "samples", "pictures", lock.LOCK))
"""Everything that a run folder may contain."""


@contextlib.contextmanager
def creating(target: Path, fill: Callable[[Path], None]) -> Generator[None]:
    """Create a run folder and hold its lock.

    An empty folder, a run without a checkpoint, and the remains of a killed process are replaced.

    Args:
        target: the run folder.
        fill: writes the new run's files into the folder it is given.

    Raises:
        PlausibleError: the folder holds a run with checkpoints or other files, or another process writes into it, or it
            cannot be created (nothing is left behind then).
    """
    check_target(target)
    staged = target.with_name(f".{target.name}.{os.getpid()}.part")
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        staged.mkdir()
        descriptor = lock.acquire(staged)
        try:
            fill(staged)
            _into_place(staged, target)
        except BaseException:
            lock.release(staged, descriptor)
            raise
    except OSError as error:
        _undo(staged, made)
        raise PlausibleError(f"could not create the run {target}: {error.strerror or error}") from error
    except BaseException:
        _undo(staged, made)
        raise
    try:
        yield
    finally:
        lock.release(target, descriptor)


def check_target(target: Path) -> None:
    """Check that a run may be created here.

    Raises:
        PlausibleError: the folder holds a run with checkpoints, or files that are not a run's.
    """
    try:
        if not target.exists():
            return
        names = {path.name for path in target.iterdir()} if target.is_dir() else {""}
        trained = "config.json" in names and _checkpoints(target)
    except OSError as error:
        raise PlausibleError(f"{target} cannot be read: {error.strerror or error}") from error
    if trained:
        raise PlausibleError(
            f"{target} already holds a run: continue it with `plausible resume {target}`, or choose another --out"
        )
    if any(name not in _KNOWN and not _is_litter(name) for name in names):
        raise PlausibleError(f"{target} exists and is not an empty folder: choose another --out")
    if "config.json" not in names and not all(_is_empty(target / name) for name in names):
        raise PlausibleError(f"{target} exists and is not an empty folder: choose another --out")


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes left next to a run folder while they created or replaced it."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d{{1,10}})\.(part|old)")
    for path in target.parent.iterdir():
        found = pattern.fullmatch(path.name)
        if not found or not path.is_dir() or not lock.is_free(path):
            continue
        dead = not lock.is_alive(int(found[1]))
        if dead or int(found[1]) == os.getpid():  # our own number: left by a dead process that had it
            shutil.rmtree(path, ignore_errors=True)


def _into_place(staged: Path, target: Path) -> None:
    if not target.exists():
        staged.rename(target)
        return
    descriptor = lock.acquire(target)  # no other process may be training there
    try:
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        shutil.rmtree(old, ignore_errors=True)
        check_target(target)
        target.rename(old)
        try:
            staged.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        lock.release(target.with_name(f".{target.name}.{os.getpid()}.old"), descriptor)


def _undo(staged: Path, made: list[Path]) -> None:
    """Remove what was created; parent folders only if they are still empty."""
    shutil.rmtree(staged, ignore_errors=True)
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _checkpoints(run: Path) -> bool:
    folder = run / "checkpoints"
    return folder.is_dir() and any(path.name.isdecimal() for path in folder.iterdir())


def _is_litter(name: str) -> bool:
    return name.startswith(".") and name.endswith((".part", ".old"))


def _is_empty(path: Path) -> bool:
    """Whether a path is an empty folder of a run, or left by a killed process."""
    if path.name == lock.LOCK or _is_litter(path.name):
        return True
    return path.name in ("checkpoints", "samples") and path.is_dir() and not any(path.iterdir())
