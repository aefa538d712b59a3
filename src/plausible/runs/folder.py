"""The run folder: the paths of everything one training writes, and how it is read back."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plausible.errors import PlausibleError
from plausible.runs.creation import check_target, creating
from plausible.runs.files import write_json
from plausible.runs.lock import locked
from plausible.runs.log import END_EVENTS, EventLog
from plausible.runs.manifest import Checkpoint, discard, remove_leftovers, verify
from plausible.runs.records import STATE, Best, Config, Evaluation, State, read_record

__all__ = ["RunFolder"]


class RunFolder:
    """One run.

    ```
    config.json          everything needed to repeat it, with schema, data's path and hash, changes, versions
    weights.safetensors  the initial weights, if they are another run's
    events.jsonl         the training log: start, ticks, valid, checkpoint, samples, pictures, warning, stop, report
    checkpoints/         000001200/ …: safetensors + JSON + manifest.json
    samples/             000001200.png …: from the same noise each time
    best.json            the state that is best on the valid rows, by which criterion, and which checkpoint holds it
    pictures/            000001200/ …, for models with a code: reconstructions, the code's plane, walks through it
    evaluation.json      the result of `evaluate`
    report.html          all of it on one page
    .lock                the process that writes into it, while one does
    ```
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.weights_file = self.path / "weights.safetensors"
        self.log = EventLog(self.path / "events.jsonl")
        self.events_file = self.log.file
        self.best_file = self.path / "best.json"
        self.evaluation_file = self.path / "evaluation.json"
        self.report_file = self.path / "report.html"
        self.checkpoints_dir = self.path / "checkpoints"
        self.samples_dir = self.path / "samples"
        self.pictures_dir = self.path / "pictures"

    # ---------------------------------------------------------------- the run
    def check_vacant(self) -> None:
        """Check that a new run may be created here.

        Raises:
            PlausibleError: it holds a run with checkpoints already, or other files.
        """
        check_target(self.path)

    @contextmanager
    def creating(self, config: Config, weights: Path | None = None) -> Generator[None]:
        """Create the folder atomically, with everything the run starts from, and hold its lock.

        Args:
            config: its configuration.
            weights: a file of initial weights to copy.

        Raises:
            PlausibleError: it holds a run with checkpoints already, or other files, or it cannot be written.
        """

        def fill(staged: Path) -> None:
            (staged / self.checkpoints_dir.name).mkdir()
            (staged / self.samples_dir.name).mkdir()
            if weights is not None:
                shutil.copyfile(weights, staged / self.weights_file.name)
            write_json(staged / self.config_file.name, config.as_json())

        with creating(self.path, fill):
            yield

    def create(self, config: Config, weights: Path | None = None) -> None:
        """Create the folder and release its lock."""
        with self.creating(config, weights):
            pass

    @contextmanager
    def writing(self) -> Generator[None]:
        """Hold the lock of an existing run.

        Raises:
            PlausibleError: another process writes into it.
        """
        with locked(self.path):
            yield

    def config(self) -> Config:
        """The configuration.

        Raises:
            PlausibleError: this is not a run folder, or its configuration is damaged or from a newer plausible.
        """
        try:
            return read_record(Config, self.config_file, "restore the file, or train the run again")
        except FileNotFoundError as error:
            raise PlausibleError(
                f"{self.path} is not a run: it has no config.json. A run is the folder that `plausible train` wrote."
            ) from error

    def reconfigure(self, config: Config) -> None:
        """Write a changed configuration atomically.

        Raises:
            PlausibleError: it cannot be written.
        """
        write_json(self.config_file, config.as_json())

    def evaluation(self) -> Evaluation | None:
        """The result of `evaluate`; None if it has not run.

        Raises:
            PlausibleError: it is damaged or from a newer plausible.
        """
        try:
            return read_record(Evaluation, self.evaluation_file, f"run `plausible evaluate {self.path}`")
        except FileNotFoundError:
            return None

    # ------------------------------------------------------------------ events
    def append(self, event: str, **values: Any) -> None:
        """Add one line to the event log, in one write."""
        self.log.append(event, **values)

    def events(self) -> list[dict[str, Any]]:
        """The training log so far: every line, validated; damaged lines are skipped."""
        return self.log.events()

    def stopped(self) -> dict[str, Any] | None:
        """The last `stop` event: tick, reason and perhaps message; None while the run is training, or was killed."""
        return next((event for event in reversed(self.log.landmarks()) if event["event"] == "stop"), None)

    def logged(self, kind: str, tick: int) -> bool:
        """Whether the log has an event of this kind at a tick."""
        return any(event["event"] == kind and event["tick"] == tick for event in self.log.landmarks())

    def take_back(self, tick: int, *, goes_on: bool, partial: bool = False) -> None:
        """Remove everything after a tick, and the events of the training's end.

        Args:
            tick: the tick of the checkpoint to continue from.
            goes_on: whether more ticks will be played; if so, the pictures of the end are removed too.
            partial: whether to remove the progress report at that tick as well, since the next one will include it.
        """

        def keep(event: dict[str, Any]) -> bool:
            if event["event"] in END_EVENTS or event["tick"] > tick:
                return False
            part = partial and event["event"] == "ticks" and event["tick"] == tick
            return not (goes_on and (event["event"] == "pictures" or part))

        if goes_on:
            for event in self.log.landmarks():
                if event["event"] == "pictures":
                    discard(self.pictures_dir / Path(event["folder"]).name)
        self.log.rewrite(keep)
        for file in _numbered(self.samples_dir, ".png"):
            if int(file.stem) > tick:
                file.unlink(missing_ok=True)
        for folder in [*_numbered(self.pictures_dir), *_numbered(self.checkpoints_dir)]:
            if int(folder.name) > tick:  # of the checkpoints, these are damaged: else one would be the newest
                discard(folder)
        self.point_at_best()
        self.sweep()

    # ------------------------------------------------------------- checkpoints
    def checkpoint_path(self, tick: int) -> Path:
        """The folder of the checkpoint at a tick."""
        return self.checkpoints_dir / f"{tick:09d}"

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, oldest first; unfinished ones have other names and are not included."""
        return [Checkpoint(path) for path in _numbered(self.checkpoints_dir)]

    def newest_valid(self) -> Checkpoint | None:
        """The newest checkpoint that matches its manifest; damaged ones are skipped with a warning that says why."""
        for checkpoint in reversed(self.checkpoints()):
            try:
                verify(checkpoint.path)
            except PlausibleError as error:
                warnings.warn(
                    f"checkpoint {checkpoint.path.name} is damaged and was skipped: {error}", stacklevel=2
                )
            else:
                return checkpoint
        return None

    def at(self, tick: int) -> Checkpoint:
        """The checkpoint at a tick, verified; or the best state, if it is of that tick.

        Raises:
            PlausibleError: there is none (the message lists the nearest), or it is damaged.
        """
        path = self.checkpoint_path(tick)
        if not path.is_dir():
            best = self.judgement()
            if best is not None and best.tick == tick:
                return self._holding(best)
            ticks = [checkpoint.tick for checkpoint in self.checkpoints()]
            near = sorted(sorted(ticks, key=lambda other: abs(other - tick))[:5])
            raise PlausibleError(
                f"{self.path} has no checkpoint at tick {tick}; the nearest: {near or 'none'}"
            )
        verify(path)
        return Checkpoint(path)

    def _holding(self, best: Best) -> Checkpoint:
        """The checkpoint that holds the weights of the best state, verified."""
        held = self.at(best.checkpoint)
        return held if best.tick == best.checkpoint else Checkpoint(held.path, best.tick)

    def point_at_best(self) -> None:
        """Write `best.json`: the best state that the newest checkpoint knows of, or its own if that is better.

        The file is written only if it changes, and removed if nothing was judged.
        """
        best = self._best_of_newest()
        if best is None:
            self.best_file.unlink(missing_ok=True)
            return
        try:
            current = self.judgement()
        except PlausibleError:
            current = None  # damaged: written anew
        if current != best:
            write_json(self.best_file, best.model_dump(mode="json"))

    def _best_of_newest(self) -> Best | None:
        points = self.checkpoints()
        if not points:
            return None
        tick, found = points[-1].tick, None
        known = read_record(
            State, points[-1].path / STATE, "remove the checkpoint, and the one before it is used"
        ).selection
        if known is not None and known.tick is not None and known.value is not None:
            found = Best(tick=known.tick, checkpoint=tick, by=known.by, value=known.value)
        for event in self.log.landmarks():
            final = event["event"] == "valid" and event["tick"] == tick and event.get("final", False)
            if final and not math.isnan(event["value"]) and (found is None or event["value"] > found.value):
                found = Best(tick=tick, checkpoint=tick, by=event["by"], value=event["value"])
        return found

    def judgement(self) -> Best | None:
        """The content of `best.json`; None if there is none.

        Raises:
            PlausibleError: it is damaged or from a newer plausible.
        """
        try:
            return read_record(Best, self.best_file, "remove it, and the newest checkpoint is used")
        except FileNotFoundError:
            return None

    def best(self) -> Checkpoint | None:
        """The checkpoint with the state that `best.json` names, or None; skipped with a warning if it is damaged."""
        best = self.judgement()
        if best is None:
            return None
        try:
            return self._holding(best)
        except PlausibleError as error:
            warnings.warn(f"the best checkpoint was skipped: {error}", stacklevel=2)
            return None

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` checkpoints, each of which holds the best weights so far; 0 keeps all."""
        if keep > 0:
            for checkpoint in self.checkpoints()[:-keep]:
                discard(checkpoint.path)

    def forget_stops(self, tick: int) -> None:
        """After a checkpoint is saved, remove older ones where training had stopped, with their samples and events."""
        stops = {stop for stop in _stops(self.log.landmarks()) if stop < tick}
        if not stops:
            return
        for stop in sorted(stops):
            discard(self.checkpoint_path(stop))
            (self.samples_dir / f"{stop:09d}.png").unlink(missing_ok=True)
        self.log.rewrite(lambda event: event["tick"] not in stops or not _of_a_stop(event))

    def sweep(self) -> None:
        """Remove what killed processes left; the caller holds the lock."""
        for folder in (self.path, self.checkpoints_dir, self.samples_dir, self.pictures_dir):
            remove_leftovers(folder)


def _stops(events: list[dict[str, Any]]) -> set[int]:
    """Ticks of the checkpoints that were saved because training stopped there."""
    return {event["tick"] for event in events if event["event"] == "checkpoint" and event["at"] == "stop"}


def _of_a_stop(event: dict[str, Any]) -> bool:
    """Whether an event at a tick where training stopped would not be there if it had gone on."""
    return event["event"] in ("checkpoint", "samples") or event.get("final", False)


def _numbered(folder: Path, ending: str = "") -> list[Path]:
    """Files or folders named by a tick, oldest first."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix == ending)
    named = [path for path in found if path.stem.isascii() and path.stem.isdecimal() and len(path.stem) < 17]
    return sorted(named, key=lambda path: int(path.stem))
