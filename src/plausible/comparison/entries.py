"""What is to be compared: models to train and trained runs, each with the view of the data that it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plausible.data import Data, load
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import Own, build_model
from plausible.jobs.opened import Opened
from plausible.jobs.settings import configuration
from plausible.models.build import check_takes, options_of
from plausible.models.registry import model_class, name_of

__all__ = ["Entry", "Views", "is_run", "levels_of", "read_entries"]

Compared = str | os.PathLike[str] | type | Opened
VIEWS = {"binary": "binary", "real": "domain=real"}
"""Domain of a model → the view of unit or binary data that it can be trained on."""


class Views:
    """One data set, and its views as they are needed, each loaded once.

    Args:
        given: anything that `plausible.data.load` takes.
        how: `y`, `target`, `view`, `columns` and `drop`, handed to it.
    """

    def __init__(self, given: Any, how: Mapping[str, Any]) -> None:
        self._given, self._how = given, dict(how)
        self.data = load(given, **self._how)
        self._loaded = {"": self.data}

    def of(self, view: str) -> Data:
        """The data under one more view; "" for the data as they are.

        Raises:
            PlausibleError: data that were loaded already and lie in memory only.
        """
        if view not in self._loaded:
            before = str(self._how.get("view") or "")
            if isinstance(self._given, Data):
                if self._given.source is None:
                    raise PlausibleError(
                        f"data: {self._given.spec} is loaded already, and has no view :{view}: hand over the array or "
                        "table itself"
                    )
                given = self._given
                self._loaded[view] = load(f"{given.source}:{view}", columns=given.types, drop=given.dropped)
            else:
                how: dict[str, Any] = self._how | {"view": f"{before}:{view}" if before else view}
                self._loaded[view] = load(self._given, **how)
        return self._loaded[view]

    def for_model(self, model: str | type) -> Data:
        """The data as they are if the model takes such values, else the view of them that it takes.

        Raises:
            PlausibleError: the model takes no view of them; the message says what it takes.
        """
        domains = model_class(model).domains
        check_takes(model, self.data.schema)
        if self.data.domain in domains or self.data.domain == "real":
            return self.data
        view = next((VIEWS[domain] for domain in domains if domain in VIEWS), None)
        return self.data if view is None else self.of(view)

    def with_hash(self, digest: str) -> Data | None:
        """The data, or the view of unit data, with that hash; None if there is none."""
        if self.data.hash == digest:
            return self.data
        in_memory = isinstance(self._given, Data) and self._given.source is None
        views = VIEWS.values() if self.data.domain == "unit" and not in_memory else ()
        return next((found for view in views if (found := self.of(view)).hash == digest), None)


@dataclass(frozen=True, eq=False)
class Entry:
    """One model or run to compare.

    Attributes:
        name: in tables; a file name too.
        data: the view of the data that it sees.
        model: what to train; None for a run that is trained.
        options: of the model, where the data decide them.
        opened: the run, if it is trained already.
    """

    name: str
    data: Data
    model: str | type | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    opened: Opened | None = None


def read_entries(models: Sequence[Compared], data: Any, seed: int, **how: Any) -> tuple[Views, list[Entry]]:
    """What is to be compared, checked before anything is trained.

    Args:
        models: names of models, "module:Class", classes, runs or their folders.
        data: anything that `plausible.data.load` takes; None: the data of the first run, else digits.
        seed: random seed.
        how: handed to `plausible.data.load`.

    Raises:
        PlausibleError: no models, the same one twice, one that does not take such data, or a run of other data.
    """
    if isinstance(models, str | os.PathLike) or not models:
        raise PlausibleError(
            "compare needs a list of models or run folders, such as ['gan', 'vae', 'runs/a']"
        )
    runs = {i: _open(each) for i, each in enumerate(models) if is_run(each)}
    if data is None:
        if how.get("columns") or how.get("drop"):
            raise PlausibleError(
                "--column and --drop say how a table is read: name it with --data; a run's own data are read as it was "
                "trained on them"
            )
        first = next(iter(runs.values()), None)
        data = "digits" if first is None else first.data()
    views = Views(data, how)
    entries: list[Entry] = []
    taken: set[str] = set()
    for i, each in enumerate(models):
        if i in runs:
            entries.append(_entry_of_run(runs[i], views, taken))
        else:
            entries.append(_entry_of_model(each, views, seed, taken))  # ty: ignore[invalid-argument-type]
    return views, entries


def is_run(each: Compared) -> bool:
    """Whether it names a run's folder, not a model: it exists as a path or looks like one."""
    if isinstance(each, Opened | os.PathLike):
        return True
    return isinstance(each, str) and (os.sep in each or (Path(each) / "config.json").is_file())


def levels_of(data: Data) -> int | None:
    """K where the values are k/(K − 1), known from how they were stored; 2 for binary data; else None."""
    if data.domain == "binary":
        return 2
    scale = data.schema.scale
    return int(scale) + 1 if data.domain == "unit" and scale > 1 and float(scale).is_integer() else None


def _open(each: Compared) -> Opened:
    return each if isinstance(each, Opened) else Opened(os.fspath(each))  # ty: ignore[no-matching-overload]


def _entry_of_run(run: Opened, views: Views, taken: set[str]) -> Entry:
    config = run.config
    rows = views.with_hash(config.data.hash)
    if rows is None:
        raise PlausibleError(
            f"{run.path} was trained on {config.data.spec}, not on {views.data.spec} or a view of it: figures of "
            "different data do not compare. Give its data with --data, or leave the run out"
        )
    name = _file_name(run.path.resolve().name)
    number = 2
    while name in taken:
        name, number = f"{_file_name(run.path.resolve().name)}-{number}", number + 1
    taken.add(name)
    return Entry(name, rows, opened=run)


def _entry_of_model(model: str | type, views: Views, seed: int, taken: set[str]) -> Entry:
    name = _file_name(name_of(model))
    if name in taken:
        raise PlausibleError(
            f"{name_of(model)} is named twice: to compare two settings of one model, train them first and give their "
            "run folders"
        )
    taken.add(name)
    rows = views.for_model(model)
    options = _options(model, rows)
    try:
        _checked(model, rows, options, seed)
    except PlausibleError as error:
        raise PlausibleError(f"{name_of(model)} cannot be compared on {rows.spec}: {error}") from error
    return Entry(name, rows, model, options)


def _options(model: str | type, rows: Data) -> dict[str, Any]:
    """What the data decide: how many levels their values have, for a model that asks."""
    levels = levels_of(rows)
    return {"levels": levels} if levels and rows.domain == "unit" and "levels" in options_of(model) else {}


def _checked(model: str | type, rows: Data, options: Mapping[str, Any], seed: int) -> GenerativeModel:
    """The model with its defaults, as its training will make it."""
    config = configuration(model, "default", options, rows, {"seed": seed})
    made = build_model(config, own=Own(model))
    made.prepare(rows.train)
    return made


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.=+-]+", "-", name).strip("-.") or "run"
