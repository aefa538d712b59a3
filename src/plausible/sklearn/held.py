"""A run held in memory: what an estimator keeps when the run's folder is gone."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from plausible.data import Data
from plausible.data.frames import LIBRARIES
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.opened import Opened
from plausible.metrics.scores import blockwise
from plausible.run import Run
from plausible.runs import RunFolder
from plausible.runs.creation import creating

__all__ = ["Held"]


class Held(Opened):
    """A finished run without a folder: its model, its configuration and the bytes of its files.

    It can be pickled and copied. The model computes in float64 where rows are scored or encoded (`precise`), so that a
    row's result does not depend, beyond rounding at 1e-16, on the rows that it is computed with.

    Args:
        run: the run; read whole.
        data: the run's data, where something that is asked for later reads them; None: they are not kept.
    """

    def __init__(self, run: Run, data: Data | None = None) -> None:
        # not Opened's own: that keeps the path of a folder
        self.at, self._own, self._data, self.config = None, run._own, data, run.config
        self._model, self._tick = run.model, run.tick
        self.precise: GenerativeModel = deepcopy(run.model).double()
        self.files = {
            file.relative_to(run.path).as_posix(): file.read_bytes()
            for file in sorted(run.path.rglob("*"))
            if file.is_file() and file.name != ".lock"
        }

    @property
    def model(self) -> GenerativeModel:
        """The torch module, in evaluation mode."""
        return self._model

    @property
    def tick(self) -> int:
        """The tick of the checkpoint that the model is of."""
        return self._tick

    def data(self, given: Any = None, **labels: Any) -> Data:
        """The run's own data, or other data of the same kind.

        Raises:
            PlausibleError: the run's own, which were not kept.
        """
        if given is None and self._data is None:
            raise PlausibleError(
                "this estimator did not keep its training rows: fit it with what asks for them"
            )
        return super().data(given, **labels)

    def forget(self) -> None:
        """Keep the data no longer."""
        self._data = None

    def applied(self, function: Any, x: Any, seed: int = 0) -> np.ndarray:
        """function of each block of rows, (n, d) or a frame → (n, …), float64; torch's random state is kept."""
        blocks = blockwise(lambda block: function(block).double(), self.rows(x), seed)
        return np.concatenate([block for _, block in blocks])

    def back(self, values: Tensor, *, generated: bool = False) -> Any:
        """Examples in the model's domain as rows like the estimator's X: a frame of a frame, else (n, d), float64.

        With generated=True they are new rows, in the range and the digits of X's columns.
        """
        if self.schema.container in LIBRARIES:
            return self.give(values, generated=generated)
        return np.asarray(self.give(values, as_="numpy", generated=generated), np.float64)

    def write(self, path: Path) -> RunFolder:
        """Write the run folder; it is there whole or not at all.

        Raises:
            PlausibleError: the folder holds another run or other files, or it cannot be written.
        """

        def fill(staged: Path) -> None:
            for name, content in self.files.items():
                file = staged / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

        with creating(path, fill):
            pass
        return RunFolder(path)
