"""The event log: one line per event, readable after any kill, and rewritten atomically when ticks are undone."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from plausible.errors import PlausibleError
from plausible.runs.events import EVENT
from plausible.runs.files import write_whole
from plausible.runs.records import first_problem, one_line, parse_json

__all__ = ["END_EVENTS", "EventLog", "now"]

END_EVENTS = ("warning", "stop", "report")
"""Events of the end of a training, which are removed when it continues."""


def now() -> str:
    """The current time as written in the log."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _line_of(event: str, values: Mapping[str, Any]) -> bytes:
    """One event as a line of the log."""
    return (json.dumps({"event": event, "time": now(), **values}, ensure_ascii=False) + "\n").encode()


class EventLog:
    """events.jsonl.

    The log describes the training, not the process: resuming removes the events it undoes and adds none of its own, so
    a run that was stopped and resumed has the same log as one that was not.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen: tuple[object, list[dict[str, Any]]] | None = None

    def append(self, event: str, **values: Any) -> None:
        """Add one line, in one write.

        Raises:
            PlausibleError: it cannot be written.
        """
        line = _line_of(event, values)
        record = EVENT.validate_json(line, strict=True).model_dump(exclude_unset=True)
        seen = self._seen if self._seen is not None and self._seen[0] == self._mark() else None
        try:
            with self.file.open("ab") as file:
                torn = file.tell() and not _ends_with_newline(self.file)
                # a line truncated by a kill stays on a line of its own
                file.write((b"\n" if torn else b"") + line)
        except OSError as error:
            raise PlausibleError(f"could not write {self.file}: {error.strerror or error}") from error
        if seen is not None:
            self._seen = (self._mark(), [*seen[1], record] if event != "ticks" else seen[1])

    def landmarks(self) -> list[dict[str, Any]]:
        """All events but `ticks`: these are few, and cached until another process writes.

        Raises:
            PlausibleError: the file cannot be read.
        """
        mark = self._mark()
        if self._seen is None or self._seen[0] != mark:
            self._seen = (mark, [event for _, event in self._lines() if event["event"] != "ticks"])
        return self._seen[1]

    def _mark(self) -> object:
        """What changes when the file does."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def sync(self) -> None:
        """Wait until everything appended is on disk."""
        try:
            with self.file.open("ab") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise PlausibleError(f"could not write {self.file}: {error.strerror or error}") from error

    def events(self) -> list[dict[str, Any]]:
        """All events, validated, in order; damaged lines are skipped with one warning.

        Raises:
            PlausibleError: the file cannot be read.
        """
        return [event for _, event in self._lines()]

    def rewrite(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Remove damaged lines and events for which `keep` is false; the other lines are unchanged, byte for byte.

        A missing `start` is added. The file is written atomically, and only if it changes.

        Raises:
            PlausibleError: it cannot be written.
        """
        kept = [(line, event["event"]) for line, event in self._lines() if keep(event)]
        start = [line for line, kind in kept if kind == "start"][:1] or [_line_of("start", {"tick": 0})]
        content = b"".join([*start, *(line for line, kind in kept if kind != "start")])
        if content != self._content():
            write_whole(self.file, content)

    def _content(self) -> bytes:
        try:
            return self.file.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise PlausibleError(f"{self.file} cannot be read: {error.strerror or error}") from error

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """(the line as written, its event)."""
        lines = self._content().split(b"\n")
        damaged: list[tuple[int, str]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                text = line.decode()
                event = EVENT.validate_json(text, strict=True)
                parse_json(text)
            except (ValidationError, ValueError, RecursionError) as error:
                if number < len(lines):  # the last line may be truncated by a kill
                    damaged.append((number, first_problem(error)))
                continue
            yield line + b"\n", event.model_dump(exclude_unset=True)
        if damaged:
            number, problem = damaged[0]
            others = f", and {len(damaged) - 1} more lines," if len(damaged) > 1 else ""
            warnings.warn(
                one_line(f"{self.file}, line {number}{others} cannot be read and was skipped: {problem}"),
                stacklevel=4,
            )


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
