"""Train the models of a comparison: two at a time, in processes of their own with one thread each.

A model or data that only this process knows (a class, an array) is trained here instead, one after another. Either way
the run is an ordinary run folder, and one that was stopped or killed goes on where it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import torch

from plausible import jobs
from plausible.comparison.entries import Entry
from plausible.errors import PlausibleError
from plausible.jobs.steps import is_reported
from plausible.runs import RunFolder

__all__ = ["Tell", "train_all", "why_failed"]

AT_A_TIME = 2
SPENT = ("finished", "minutes", "core-minutes")
Tell = Callable[[str, float], None]
"""Told (the entry's name, the share of its budget that is spent)."""


def train_all(entries: Sequence[Entry], folder: Path, core_minutes: float, seed: int, tell: Tell) -> None:
    """Train each entry that is a model into folder/NAME; what is trained already stays as it is.

    A diverged training is not an error here: `why_failed` says so afterwards.

    Raises:
        PlausibleError: a training failed for another reason; the others are stopped, after saving.
        KeyboardInterrupt: likewise.
    """
    waiting = [entry for entry in entries if entry.model is not None and not _is_done(folder / entry.name)]
    apart = [entry for entry in waiting if isinstance(entry.model, str) and entry.data.source is not None]
    _train_apart(apart, folder, core_minutes, seed, tell)
    for entry in waiting:
        if entry not in apart:
            _train_here(entry, folder / entry.name, core_minutes, seed, tell)


def why_failed(path: Path) -> str:
    """Why a run has nothing to measure: its training diverged; empty where it ended well."""
    ended = RunFolder(path).stopped()
    if ended is None or ended["reason"] != "diverged":
        return ""
    return str(ended.get("message") or "its training diverged")


def _is_done(path: Path) -> bool:
    run = RunFolder(path)
    if not run.config_file.is_file():
        return False
    ended = run.stopped()
    return ended is not None and (
        ended["reason"] == "diverged" or (ended["reason"] in SPENT and is_reported(run))
    )


# ------------------------------------------------------------------ in this process
def _train_here(entry: Entry, path: Path, core_minutes: float, seed: int, tell: Tell) -> None:
    """One thread, as in a process of its own."""
    watch = lambda report: tell(entry.name, report.done)  # noqa: E731
    with _one_thread():
        try:
            if RunFolder(path).config_file.is_file():
                jobs.resume(path, data=entry.data, model=entry.model, watch=watch)
            else:
                options = dict(entry.options)
                jobs.train(
                    entry.model,
                    entry.data,
                    core_minutes=core_minutes,
                    seed=seed,
                    out=path,
                    watch=watch,
                    **options,
                )
        except PlausibleError:
            if not (RunFolder(path).config_file.is_file() and why_failed(path)):
                raise
    tell(entry.name, 1.0)


@contextmanager
def _one_thread() -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ------------------------------------------------------------------ in processes of their own
class _Children:
    """The processes that are training, so that all of them can be stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def start(self, command: Sequence[str], errors: int) -> subprocess.Popen[str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        with self._lock:
            if self._stopped:
                raise PlausibleError("the comparison was stopped")
            child = subprocess.Popen(  # noqa: S603 - our own command, with the user's model and SPEC as arguments
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            )
            self._running.add(child)
        return child

    def ended(self, child: subprocess.Popen[str]) -> None:
        with self._lock:
            self._running.discard(child)

    def stop(self) -> None:
        """SIGTERM to all: each finishes its tick and saves."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                child.terminate()


def _train_apart(entries: Sequence[Entry], folder: Path, core_minutes: float, seed: int, tell: Tell) -> None:
    children = _Children()
    at_a_time = min(AT_A_TIME, os.cpu_count() or 1)
    with ThreadPoolExecutor(at_a_time) as pool:
        jobs_of = [
            pool.submit(
                _train_in_child, children, entry, _command(entry, folder, core_minutes, seed), folder, tell
            )
            for entry in entries
        ]
        try:
            for each in as_completed(jobs_of):
                each.result()
        except BaseException:
            for each in jobs_of:
                each.cancel()
            children.stop()
            raise


def _command(entry: Entry, folder: Path, core_minutes: float, seed: int) -> list[str]:
    path = folder / entry.name
    begin = [sys.executable, "-m", "plausible"]
    if RunFolder(path).config_file.is_file():
        named = ["--model", str(entry.model)] if ":" in str(entry.model) else []
        return [*begin, "resume", str(path), "--json", *named]
    options = [word for name, value in entry.options.items() for word in (f"--{name}", str(value))]
    budget = ["--core-minutes", repr(float(core_minutes)), "--seed", str(seed)]
    data = ["--data", str(entry.data.source)]
    data += [word for name, kind in entry.data.types.items() for word in ("--column", f"{name}={kind}")]
    data += [word for name in entry.data.dropped for word in ("--drop", name)]
    return [*begin, "train", str(entry.model), *data, *budget, "--out", str(path), "--json", *options]


def _train_in_child(
    children: _Children, entry: Entry, command: Sequence[str], folder: Path, tell: Tell
) -> None:
    """Wait for one training, telling its progress; its pipe ends it if this process dies.

    Raises:
        PlausibleError: it ended with an error that is no divergence, or was stopped.
    """
    with TemporaryFile("w+") as errors:
        with children.start(command, errors.fileno()) as child:
            try:
                for line in child.stdout or ():
                    done = _share_done(line)
                    if done is not None:
                        tell(entry.name, done)
                status = child.wait()
            finally:
                children.ended(child)
        errors.seek(0)
        said = [line.strip() for line in errors if line.strip()]
    path = folder / entry.name
    if status == 0 or (RunFolder(path).config_file.is_file() and why_failed(path)):
        tell(entry.name, 1.0)
        return
    reason = said[-1].removeprefix("plausible: error: ") if said else f"exit status {status}"
    raise PlausibleError(f"training {entry.name} failed: {reason}; give the same command again to go on")


def _share_done(line: str) -> float | None:
    """The share of the budget in a line of progress; None in other lines."""
    try:
        found = json.loads(line).get("done")
    except (ValueError, AttributeError):
        return None
    return float(found) if isinstance(found, int | float) else None
