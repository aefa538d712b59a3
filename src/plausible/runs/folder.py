"""The run folder: where everything of one training lies, and how it is read back."""

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
from plausible.runs.log import ENDING, EventLog
from plausible.runs.manifest import Checkpoint, discard, sweep, verify
from plausible.runs.records import Best, Config, Evaluation, read_record


class RunFolder:
    """One run.

    ```
    config.json          everything needed to repeat it, with schema, data's path and hash, changes, versions
    weights.safetensors  the weights it starts from, if they are another run's
    events.jsonl         the story of the training: start, ticks, checkpoint, valid, samples, pictures, stop, report
    checkpoints/         000001200/ …: safetensors + JSON + manifest.json
    samples/             000001200.png …: the same noise each time
    best.json            the checkpoint that is best on the valid rows, and by what
    pictures/            000001200/ …, of models with a code: reconstructions, the code's plane, walks through it
    evaluation.json      what `evaluate` found
    report.html          all of it on one page
    .lock                who writes into it, while somebody does
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
        """Whether a new run may be made here.

        Raises:
            PlausibleError: there is a run with checkpoints in it already, or the path holds something else.
        """
        check_target(self.path)

    @contextmanager
    def creating(self, config: Config, weights: Path | None = None) -> Generator[None]:
        """Make the folder with all that the run starts from, whole or not at all, and hold its lock.

        Args:
            config: its configuration.
            weights: a file of initial weights to take over.

        Raises:
            PlausibleError: there is a run with checkpoints in it already, the path holds something else, or it cannot
                be written.
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
        """`creating`, without staying in it."""
        with self.creating(config, weights):
            pass

    @contextmanager
    def writing(self) -> Generator[None]:
        """Hold the lock of a run that is there.

        Raises:
            PlausibleError: somebody else writes into it.
        """
        with locked(self.path):
            yield

    def config(self) -> Config:
        """The configuration.

        Raises:
            PlausibleError: this is no run folder, or its configuration is damaged or of a newer plausible.
        """
        try:
            return read_record(Config, self.config_file, "restore the file, or train the run again")
        except FileNotFoundError as error:
            raise PlausibleError(
                f"{self.path} is no run: it has no config.json. A run is the folder that `plausible train` wrote."
            ) from error

    def reconfigure(self, config: Config) -> None:
        """Write a changed configuration, whole or not at all.

        Raises:
            PlausibleError: it cannot be written.
        """
        write_json(self.config_file, config.as_json())

    def evaluation(self) -> Evaluation | None:
        """What `evaluate` found; None before it.

        Raises:
            PlausibleError: it is damaged or of a newer plausible.
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
        """The story of the training so far: every line of the log, validated; a damaged one is passed over."""
        return self.log.events()

    def stopped(self) -> dict[str, Any] | None:
        """The last `stop` event: tick, reason and perhaps message; None while the run goes on, or was killed."""
        return next((event for event in reversed(self.log.landmarks()) if event["event"] == "stop"), None)

    def logged(self, kind: str, tick: int) -> bool:
        """Whether the log has such an event of a tick."""
        return any(event["event"] == kind and event["tick"] == tick for event in self.log.landmarks())

    def take_back(self, tick: int, *, goes_on: bool, partial: bool = False) -> None:
        """Take back whatever lies after a tick, and what was said of the training's end.

        Args:
            tick: of the checkpoint that training stands at.
            goes_on: more ticks will be played: pictures of the end go too.
            partial: … and the report at that tick, which counts a part of what the next one will count.
        """

        def keep(event: dict[str, Any]) -> bool:
            if event["event"] in ENDING or event["tick"] > tick:
                return False
            part = partial and event["event"] == "ticks" and event["tick"] == tick
            return not (goes_on and (event["event"] == "pictures" or part))

        if goes_on:
            for event in self.log.landmarks():
                if event["event"] == "pictures":
                    discard(self.pictures_dir / f"{event['tick']:09d}")
        self.log.rewrite(keep)
        for file in _numbered(self.samples_dir, ".png"):
            if int(file.stem) > tick:
                file.unlink(missing_ok=True)
        for folder in [*_numbered(self.pictures_dir), *_numbered(self.checkpoints_dir)]:
            if int(folder.name) > tick:  # a checkpoint: damaged, or it would be the newest
                discard(folder)
        self.point_at_best()
        self.sweep()

    # ------------------------------------------------------------- checkpoints
    def checkpoint_path(self, tick: int) -> Path:
        """The folder of a tick's checkpoint."""
        return self.checkpoints_dir / f"{tick:09d}"

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, oldest first; unfinished ones have other names and are not among them."""
        return [Checkpoint(path) for path in _numbered(self.checkpoints_dir)]

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

    def point_at_best(self) -> None:
        """Write `best.json`: the first of the best logged judgements; of those at a stop only the newest counts.

        Nothing is written where nothing changes; without a judgement there is no `best.json`.
        """
        best = _best_of(self.log.landmarks())
        if best is None:
            self.best_file.unlink(missing_ok=True)
            return
        try:
            current = self.judgement()
        except PlausibleError:
            current = None  # damaged: written anew
        if current != best:
            write_json(self.best_file, best.model_dump(mode="json"))

    def judgement(self) -> Best | None:
        """What `best.json` says; None where nothing was judged.

        Raises:
            PlausibleError: it is damaged or of a newer plausible.
        """
        try:
            return read_record(Best, self.best_file, "remove it, and the newest checkpoint is used")
        except FileNotFoundError:
            return None

    def best(self) -> Checkpoint | None:
        """The checkpoint that `best.json` names, or None; passed over with a warning if it is damaged."""
        best = self.judgement()
        if best is None:
            return None
        try:
            return self.at(best.tick)
        except PlausibleError as error:
            warnings.warn(f"the best checkpoint was passed over: {error}", stacklevel=2)
            return None

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` checkpoints and the best one; 0 keeps all.

        Where training stopped between two checkpoints that are due, the best of the others stays as well: it will be
        needed when training goes on and that one goes.
        """
        if keep > 0:
            events = self.log.landmarks()
            stops = _stops(events)
            others = [event for event in events if event["tick"] not in stops]
            kept = {found.tick for found in (_best_of(events), _best_of(others)) if found is not None}
            for checkpoint in self.checkpoints()[:-keep]:
                if checkpoint.tick not in kept:
                    discard(checkpoint.path)

    def forget_stops(self, tick: int) -> None:
        """Once a checkpoint is saved, remove those before it where training had stopped, with all that is theirs."""
        stops = {stop for stop in _stops(self.log.landmarks()) if stop < tick}
        if not stops:
            return
        for stop in sorted(stops):
            discard(self.checkpoint_path(stop))
            (self.samples_dir / f"{stop:09d}.png").unlink(missing_ok=True)
        self.log.rewrite(
            lambda event: (
                event["tick"] not in stops or event["event"] not in ("checkpoint", "valid", "samples")
            )
        )

    def sweep(self) -> None:
        """Remove what killed writers left; the caller holds the lock."""
        for folder in (self.path, self.checkpoints_dir, self.samples_dir, self.pictures_dir):
            sweep(folder)


def _stops(events: list[dict[str, Any]]) -> set[int]:
    """Ticks of the checkpoints that were saved because training stopped there."""
    return {event["tick"] for event in events if event["event"] == "checkpoint" and event["at"] == "stop"}


def _best_of(events: list[dict[str, Any]]) -> Best | None:
    """The first of the largest judgements; one where training had stopped and went on no longer counts."""
    saved = [event["tick"] for event in events if event["event"] == "checkpoint"]
    passed = {tick for tick in _stops(events) if tick < max(saved)}
    judged = [
        event
        for event in events
        if event["event"] == "valid" and event["tick"] not in passed and not math.isnan(event["value"])
    ]
    if not judged:
        return None
    best = max(judged, key=lambda event: event["value"])
    return Best(tick=best["tick"], by=best["by"], value=best["value"])


def _numbered(folder: Path, ending: str = "") -> list[Path]:
    """What is named by a tick in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix == ending)
    named = [path for path in found if path.stem.isascii() and path.stem.isdecimal() and len(path.stem) < 17]
    return sorted(named, key=lambda path: int(path.stem))
