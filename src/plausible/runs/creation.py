"""Making a run folder: staged in a hidden sibling and renamed into place, so that a kill leaves a whole run or none."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

from plausible.errors import PlausibleError
from plausible.runs import lock

FILES = ("config.json", "events.jsonl", "best.json", "evaluation.json", "report.html", "weights.safetensors")
OWN = frozenset((*FILES, "checkpoints", "samples", "pictures", lock.LOCK))
"""All that a run folder holds."""


@contextlib.contextmanager
def creating(target: Path, fill: Callable[[Path], None]) -> Generator[None]:
    """Make a run folder and hold its lock.

    A run without a checkpoint, and what an older kill left half-made, is replaced; an empty folder will do.

    Args:
        target: the run folder.
        fill: writes the new run's files into the folder it is given.

    Raises:
        PlausibleError: there is a run with checkpoints, or something else, or somebody writes there; or the folder
            cannot be made (nothing is left behind then).
    """
    check_target(target)
    staged = target.with_name(f".{target.name}.{os.getpid()}.part")
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
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
    """Whether a run may be made here.

    Raises:
        PlausibleError: not so: it holds a run with checkpoints, or anything that is not a run's.
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
    if any(name not in OWN and not _is_litter(name) for name in names):
        raise PlausibleError(f"{target} exists and is not an empty folder: choose another --out")
    if "config.json" not in names and not all(_is_empty(target / name) for name in names):
        raise PlausibleError(f"{target} exists and is not an empty folder: choose another --out")


def sweep(target: Path) -> None:
    """Remove what dead processes left beside a run folder while they made or replaced it."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d{{1,10}})\.(part|old)")
    for path in target.parent.iterdir():
        found = pattern.fullmatch(path.name)
        if not found or not path.is_dir() or not lock.is_free(path):
            continue
        if int(found[1]) == os.getpid() or not lock.alive(int(found[1])):  # ours: of a namesake that died
            shutil.rmtree(path, ignore_errors=True)


def _into_place(staged: Path, target: Path) -> None:
    if not target.exists():
        staged.rename(target)
        return
    descriptor = lock.acquire(target)  # nobody else may be training there
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
    """Remove what was made; of the folders above only those that are still empty."""
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
    """A folder of a run that nothing lies in yet, or litter."""
    if path.name == lock.LOCK or _is_litter(path.name):
        return True
    return path.name in ("checkpoints", "samples") and path.is_dir() and not any(path.iterdir())
