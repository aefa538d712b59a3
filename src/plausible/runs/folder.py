"""The run folder: where everything of one training lies, and how it is read back."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plausible.errors import PlausibleError
from plausible.runs.files import write_json
from plausible.runs.manifest import Checkpoint, verify


class RunFolder:
    """One run.

    ```
    config.json      everything needed to repeat it, with versions and the data's hash
    events.jsonl     append-only: start, resume, ticks, checkpoint, samples, stop
    checkpoints/     000001200/ …: safetensors + JSON + manifest.json
    samples/         000001200.png …: the same noise each time
    best.json        the checkpoint that is best on the valid rows, and by what
    pictures/        000001200/ …, of models with a code: reconstructions, the code's plane, walks through it
    evaluation.json  what `evaluate` found
    report.html      all of it on one page
    ```
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.events_file = self.path / "events.jsonl"
        self.best_file = self.path / "best.json"
        self.evaluation_file = self.path / "evaluation.json"
        self.report_file = self.path / "report.html"
        self.checkpoints_dir = self.path / "checkpoints"
        self.samples_dir = self.path / "samples"

    def create(self, config: dict[str, Any]) -> None:
        """Make the folder and write its configuration.

        Raises:
            PlausibleError: there is a run in it already, or the path holds something else.
        """
        if self.config_file.exists():
            raise PlausibleError(
                f"{self.path} already holds a run: continue it with `plausible resume {self.path}`, "
                "or choose another --out"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise PlausibleError(f"{self.path} exists and is not an empty folder: choose another --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.checkpoints_dir.mkdir()
            self.samples_dir.mkdir()
        except OSError as error:
            raise PlausibleError(
                f"could not create the run {self.path}: {error.strerror or error}"
            ) from error
        try:
            write_json(self.config_file, config)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def config(self) -> dict[str, Any]:
        """The configuration.

        Raises:
            PlausibleError: this is no run folder, or its configuration is damaged.
        """
        try:
            return json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise PlausibleError(
                f"{self.path} is no run: it has no config.json. A run is the folder that `plausible train` wrote."
            ) from error
        except (OSError, ValueError) as error:
            raise PlausibleError(f"{self.config_file} cannot be read: {error}") from error

    # ------------------------------------------------------------------ events
    def append(self, event: str, **values: Any) -> None:
        """Add one line to the event log, in one write."""
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
        try:
            with self.events_file.open("ab") as file:
                if file.tell() and not _ends_with_newline(self.events_file):
                    file.write(b"\n")  # a line cut short by a kill stays alone on its line
                file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise PlausibleError(f"could not write {self.events_file}: {error.strerror or error}") from error

    def events(self) -> list[dict[str, Any]]:
        """The log as it counts: a `resume` at tick t takes back what was logged after t."""
        kept: list[dict[str, Any]] = []
        for event in self._lines():
            if event["event"] == "resume":
                kept = [earlier for earlier in kept if earlier.get("tick", 0) <= event["tick"]]
            kept.append(event)
        return kept

    def stopped(self) -> dict[str, Any] | None:
        """The last `stop` event: tick, reason and perhaps message; None while the run goes on, or was killed."""
        events = self.events()
        return events[-1] if events and events[-1]["event"] == "stop" else None

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.events_file.exists():
            return
        for line in self.events_file.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                event = json.loads(line)
            except ValueError:
                continue  # cut short by a kill
            if isinstance(event, dict) and "event" in event:
                yield event

    # ------------------------------------------------------------- checkpoints
    def checkpoint_path(self, tick: int) -> Path:
        return self.checkpoints_dir / f"{tick:09d}"

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, oldest first; unfinished ones have other names and are not among them."""
        if not self.checkpoints_dir.is_dir():
            return []
        found = (path for path in self.checkpoints_dir.iterdir() if path.name.isdecimal())
        return sorted((Checkpoint(path) for path in found), key=lambda checkpoint: checkpoint.tick)

    def newest_valid(self) -> Checkpoint | None:
        """The newest checkpoint whose manifest holds; a damaged one is passed over with a warning naming why."""
        for checkpoint in reversed(self.checkpoints()):
            try:
                verify(checkpoint.path)
            except PlausibleError as error:
                warnings.warn(
                    f"checkpoint {checkpoint.path.name} is damaged and was passed over: {error}", stacklevel=2
                )
            else:
                return checkpoint
        return None

    def at(self, tick: int) -> Checkpoint:
        """The checkpoint of one tick, verified.

        Raises:
            PlausibleError: there is none (the message lists the nearest), or it is damaged.
        """
        path = self.checkpoint_path(tick)
        if not path.is_dir():
            ticks = [checkpoint.tick for checkpoint in self.checkpoints()]
            near = sorted(sorted(ticks, key=lambda other: abs(other - tick))[:5])
            raise PlausibleError(
                f"{self.path} has no checkpoint at tick {tick}; the nearest: {near or 'none'}"
            )
        verify(path)
        return Checkpoint(path)

    def judged(self, tick: int, by: str, value: float) -> None:
        """Log what a checkpoint is worth on the valid rows, and point `best.json` at it if none was worth more.

        A best that lies in the future of a run that was taken back no longer counts.
        """
        self.append("valid", tick=tick, by=by, value=value)
        best = self.judgement()
        if best is None or value > best["value"] or best["tick"] >= tick:
            write_json(self.best_file, {"tick": tick, "by": by, "value": value})

    def best(self) -> Checkpoint | None:
        """The checkpoint that `best.json` names, or None; passed over with a warning if it is damaged."""
        best = self.judgement()
        if best is None:
            return None
        try:
            return self.at(best["tick"])
        except PlausibleError as error:
            warnings.warn(f"the best checkpoint was passed over: {error}", stacklevel=2)
            return None

    def judgement(self) -> dict[str, Any] | None:
        """What `best.json` says: tick, by, value; None where nothing was judged.

        Raises:
            PlausibleError: it cannot be read.
        """
        try:
            return json.loads(self.best_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise PlausibleError(f"{self.best_file} cannot be read: {error}: remove it") from error

    def prune(self, keep: int) -> None:
        """Remove all but the best and the newest `keep` checkpoints, and what killed writers left; 0 keeps all."""
        if keep > 0:
            best = self.judgement()
            for checkpoint in self.checkpoints()[:-keep]:
                if best is None or checkpoint.tick != best["tick"]:
                    shutil.rmtree(checkpoint.path, ignore_errors=True)
        for leftover in (path for end in ("part", "old") for path in self.checkpoints_dir.glob(f".*.{end}")):
            shutil.rmtree(leftover, ignore_errors=True)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
