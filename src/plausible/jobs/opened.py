"""A run that is open: its folder, what it stores of its data, its model, and the way of rows in and out of it."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data, Rows, split_spec, load_rows, restore
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import load_at, rows_of
from plausible.runs import Checkpoint, Config, RunFolder
from plausible.schema import CONTAINERS, Schema

__all__ = ["Opened"]


class Opened:
    """What every verb needs of a run. The model is read when it is first asked for.

    Args:
        path: the run folder.
        at: the tick of a checkpoint; default the best on the valid rows, else the newest.
        model: the class of a model that is not part of plausible, or its "module:Class".
        data: the run's data, where they are at hand already.

    Raises:
        PlausibleError: this is no run, or its configuration is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        at: int | None = None,
        model: type | str | None = None,
        data: Data | None = None,
    ) -> None:
        self.folder = RunFolder(path)
        self.at = at
        self._class = model
        self._data = data
        self.config: Config = self.folder.config()

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def schema(self) -> Schema:
        """What the run stores of its data: names, types, domain, labels."""
        return self.config.rows

    @cached_property
    def _read(self) -> tuple[GenerativeModel, Checkpoint]:
        return load_at(self.folder, self.at, self._class)

    @property
    def model(self) -> GenerativeModel:
        """The torch module, with its averaged weights if it has any, in evaluation mode.

        Raises:
            PlausibleError: no such checkpoint, a damaged one, or a model that is foreign code and was not given.
        """
        return self._read[0]

    @property
    def tick(self) -> int:
        """How far the model is trained."""
        return self._read[1].tick

    def reread(self) -> None:
        """Forget the model and the configuration as they were read: the run has gone on."""
        self.__dict__.pop("_read", None)
        self.config = self.folder.config()

    # ------------------------------------------------------------------ rows in
    def data(self, given: Any = None, **labels: Any) -> Data:
        """The run's own data with its splits, or other data of the same kind.

        Raises:
            PlausibleError: the run's data are not at hand, or are not what they were.
        """
        if given is not None:
            return load_data(given, schema=self.schema, view=self._view(given), **labels)
        if self._data is None:
            self._data = rows_of(self.folder)
        return self._data

    def rows(self, given: Any, **labels: Any) -> Rows:
        """All rows of the data, in their own order, as the run's schema reads them.

        Raises:
            PlausibleError: rows that do not fit the run: columns that are missing, another shape, values that the model
                does not know.
        """
        return load_rows(given, self.schema, view=self._view(given), **labels)

    def _view(self, given: Any) -> str:
        """How the run binarizes grey levels that are handed over in memory: as those that it was trained on."""
        if isinstance(given, str | os.PathLike) or self.config.data.source is not None:
            return ""
        return split_spec(self.config.data.spec).binarization or ""

    def test_rows(self, places: list[int], option: str) -> np.ndarray:
        """Some rows of the test split, (n, *shape), float32.

        Raises:
            PlausibleError: there are no such rows.
        """
        test = self.data().test
        if bad := [place for place in places if not 0 <= place < len(test)]:
            raise PlausibleError(f"{option} {bad[0]}: the test split has rows 0 to {len(test) - 1}")
        return test.take(np.array(places))[0]

    def classes(self, label: Any) -> list[int]:
        """The numbers of classes by their names, or by their numbers where no name is so.

        Raises:
            PlausibleError: none is given, or the run's data have no labels, or not this one.
        """
        labels = [label] if isinstance(label, str | int) else list(label)
        names = self.schema.labels
        if not labels:
            raise PlausibleError("label needs one label or more: name them")
        if names is None:
            raise PlausibleError(
                f"label {labels[0]}: the data {self.config.data.spec} have no labels: sample without"
            )
        places = {str(place): place for place in range(len(names))} | {
            name: i for i, name in enumerate(names)
        }
        for each in labels:
            if str(each) not in places:
                some = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
                raise PlausibleError(
                    f"label {each}: the data {self.config.data.spec} have no such label: there is {some}"
                )
        return [places[str(each)] for each in labels]

    # ------------------------------------------------------------------ rows out
    def give(self, values: Tensor | np.ndarray, like: Rows | None = None, as_: str | None = None) -> Any:
        """Examples, (n, *shape), in a container: `as_`, else what the rows `like` came in, else the run's own data.

        Raises:
            PlausibleError: an unknown `as_`, one that does not hold such examples, or a library that is not installed.
        """
        if as_ is not None and as_ not in CONTAINERS:
            raise PlausibleError(f"as_={as_!r}: choose one of {', '.join(CONTAINERS)}")
        values = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        came = "file" if like is None else like.container
        kind = as_ or (self.schema.container if came == "file" else came)
        if kind == "torch":
            return torch.from_numpy(np.ascontiguousarray(restore(values, self.schema, "numpy")))
        return restore(values, self.schema, None if kind == "file" else kind)

    def numbers(self, values: Tensor | np.ndarray, given: Any = None) -> Any:
        """Numbers that are not examples — scores, codes: an array, or a tensor where a tensor was given."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        return torch.from_numpy(array) if isinstance(given, Tensor) else array
