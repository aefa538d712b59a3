"""What the estimators share: they train by `plausible.train` in a temporary folder and hold the run in memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from plausible.data import load
from plausible.data.building import FrameColumn, to_frame
from plausible.data.frames import LIBRARIES
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.selection import can_judge
from plausible.models.registry import model_class
from plausible.report import write_report
from plausible.run import train
from plausible.sklearn.held import Held

__all__ = ["Estimator"]

LEAST_ROWS = 4
"""One to judge, one to calibrate, and two to train on."""


class Estimator(BaseEstimator):
    """A model of the library behind scikit-learn's interface.

    scikit-learn reads the parameters off each constructor's signature, so a subclass names all of them there, with
    its defaults, and hands these on; what they mean: `PlausibleDetector`.
    """

    run_: Held

    def __init__(
        self,
        model: Any,
        *,
        options: Mapping[str, Any] | None,
        epochs: float | None,
        core_minutes: float | None,
        patience: int | None,
        validation_fraction: float,
        random_state: Any,
    ) -> None:
        self.model = model
        self.options = options
        self.epochs = epochs
        self.core_minutes = core_minutes
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a run folder that `plausible.load` opens, with its report; returns its path.

        The rows are not in it: `plausible.load(path).evaluate(data)` needs data.

        Args:
            path: a folder that does not exist, or is empty.

        Raises:
            NotFittedError: before `fit`.
            PlausibleError: the folder holds a run or other files, or it cannot be written.
        """
        check_is_fitted(self)
        folder = self.run_.write(Path(path))
        write_report(folder)
        return folder.path

    # ------------------------------------------------------------------ for subclasses
    @property
    def _kind(self) -> type[GenerativeModel]:
        """The model's class.

        Raises:
            PlausibleError: there is no such model.
        """
        return model_class(self.model)

    def _checked(self, X: Any, *, reset: bool = False) -> np.ndarray:
        """X as float64, (n, d), with the columns that were fitted."""
        least = LEAST_ROWS if reset else 1
        return validate_data(self, X, reset=reset, dtype=np.float64, ensure_min_samples=least)

    def _train(
        self, X: np.ndarray, options: Mapping[str, Any], *, held_out: int = 0, keep: bool = False
    ) -> tuple[Held, dict[str, np.ndarray]]:
        """Train a model; returns its run, and the places of the rows of each split.

        Args:
            X: all rows, (n, d).
            options: the model's own, and its recipe's.
            held_out: rows that are kept from the training: the run's test split.
            keep: whether the run's data are read after the training.

        Raises:
            PlausibleError: an option, a budget or data that cannot be.
        """
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        splits = self._splits(len(X), held_out, seed)
        tables = {name: self._table(X[rows]) for name, rows in splits.items()}
        data = load(tables, view=self._view(X))
        given = {"epochs": self.epochs, "core_minutes": self.core_minutes, "patience": self.patience}
        self._check_names(options)
        with TemporaryDirectory(prefix="plausible-") as folder:
            how: dict[str, Any] = {"out": Path(folder) / "run", "seed": seed, "keep": 1}
            run = train(self.model, data, progress=False, show=False, **how, **given, **options)
            return Held(run, data if keep else None), splits

    def _splits(self, n: int, held_out: int, seed: int) -> dict[str, np.ndarray]:
        """Which rows train, which judge the states of the model (valid), and which are held out (test).

        Rows are only kept from training for somebody who reads them. Where nobody does, a split repeats others' rows.
        """
        share = self.validation_fraction
        if not 0 < share < 1:
            raise PlausibleError(f"validation_fraction must be between 0 and 1, not {share!r}")
        order = np.random.default_rng(seed).permutation(n)
        test, rest = np.sort(order[:held_out]), order[held_out:]
        if self._kind.recipe is None or not can_judge(self._kind):
            train = valid = np.sort(rest)
        else:
            judged = min(max(1, round(share * len(rest))), len(rest) - 2)
            valid, train = np.sort(rest[:judged]), np.sort(rest[judged:])
        return {"train": train, "valid": valid, "test": test if held_out else valid}

    def _table(self, X: np.ndarray) -> Any:
        """Rows with their columns' names, if they have names: a frame of the library that X came from."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return X
        library = next(name for name in LIBRARIES if name in sys.modules)  # X came from one
        return to_frame(
            library, [FrameColumn(name, "float64", column) for name, column in zip(names, X.T, strict=True)]
        )

    def _view(self, X: np.ndarray) -> str:
        """How the model sees the rows: as real values, if it takes such, so that any number may come later."""
        return "domain=real" if "real" in self._kind.domains else ""

    def _check_names(self, options: Mapping[str, Any]) -> None:
        """Refuse options that are the estimator's own arguments."""
        own = {"epochs", "core_minutes", "patience", "seed", "out", "keep", "show", "progress", "data", "y"}
        if taken := sorted(own & set(options)):
            raise PlausibleError(
                f"options: {', '.join(taken)} is not an option of the model: use the estimator's own arguments"
            )
