"""An opened run: its folder, schema and model, and how rows get in and out of the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plausible.data import Data, Rows, load_rows, restore, split_spec
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import Own, load_at, rows_of
from plausible.runs import Checkpoint, Config, RunFolder
from plausible.schema import CONTAINERS, Schema

__all__ = ["Opened"]


class Opened:
    """What every verb needs from a run. The model is loaded on first use.

    Args:
        path: the run folder.
        at: tick of the checkpoint to load. Default: the best on the validation rows, or else the newest.
        model: the class of a model that is not part of plausible, or its "module:Class".
        data: the run's data, if they are loaded already.
        networks: networks of the user's own that the model was trained with, by option name.

    Raises:
        PlausibleError: this is not a run folder, or its configuration is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        at: int | None = None,
        model: type | str | None = None,
        data: Data | None = None,
        networks: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.folder = RunFolder(path)
        self.at = at
        self._own = Own(model, networks or {})
        self._data = data
        self.config: Config = self.folder.config()

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def schema(self) -> Schema:
        """What the run stores about its data: names, types, domain, labels."""
        return self.config.rows

    @cached_property
    def _read(self) -> tuple[GenerativeModel, Checkpoint]:
        return load_at(self.folder, self.at, self._own)

    @property
    def model(self) -> GenerativeModel:
        """The torch module, with averaged weights if there are any, in evaluation mode.

        Raises:
            PlausibleError: there is no such checkpoint, it is damaged, or the model is not part of plausible and was
                not given.
        """
        return self._read[0]

    @property
    def tick(self) -> int:
        """The tick of the loaded checkpoint."""
        return self._read[1].tick

    def reread(self) -> None:
        """Reload model and configuration on next use: the run has gone on."""
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
            PlausibleError: the rows do not fit the run: missing columns, another shape, or values outside its domain.
        """
        return load_rows(given, self.schema, view=self._view(given), **labels)

    def _view(self, given: Any) -> str:
        """The view that binarizes grey levels given in memory the way the training data were binarized."""
        if isinstance(given, str | os.PathLike) or self.config.data.source is not None:
            return ""
        return split_spec(self.config.data.spec).binarization or ""

    def test_rows(self, places: list[int], option: str) -> np.ndarray:
        """Rows of the test split by their numbers, (n, *shape), float32.

        Raises:
            PlausibleError: there are no such rows.
        """
        test = self.data().test
        if bad := [place for place in places if not 0 <= place < len(test)]:
            raise PlausibleError(f"{option} {bad[0]}: the test split has rows 0 to {len(test) - 1}")
        return test.take(np.array(places))[0]

    def classes(self, label: Any) -> list[int]:
        """The numbers of classes given by name, or by number where no name matches.

        Raises:
            PlausibleError: none is given, or the run's data have no labels, or not this one.
        """
        labels = [label] if isinstance(label, str | int) else list(label)
        names = self.schema.labels
        if not labels:
            raise PlausibleError("label needs at least one label")
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
    def give(
        self,
        values: Tensor | np.ndarray,
        like: Rows | None = None,
        as_: str | None = None,
        *,
        generated: bool = False,
    ) -> Any:
        """Examples, (n, *shape), in a container: `as_`, or that of the rows `like`, or that of the training data.

        With generated=True they are new rows, see `plausible.data.restore`.

        Raises:
            PlausibleError: an unknown `as_`, one that does not hold such examples, or a library that is not installed.
        """
        if as_ is not None and as_ not in CONTAINERS:
            raise PlausibleError(f"as_={as_!r}: choose one of {', '.join(CONTAINERS)}")
        values = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        came = "file" if like is None else like.container
        kind = as_ or (self.schema.container if came == "file" else came)
        if kind == "torch":
            return torch.from_numpy(
                np.ascontiguousarray(restore(values, self.schema, "numpy", generated=generated))
            )
        return restore(values, self.schema, None if kind == "file" else kind, generated=generated)

    def numbers(self, values: Tensor | np.ndarray, given: Any = None) -> Any:
        """Scores or codes as an array, or as a tensor if a tensor was given."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        return torch.from_numpy(array) if isinstance(given, Tensor) else array
