"""What the estimators share: they train by `plausible.train` in a temporary folder and hold the run in memory."""

from __future__ import annotations

import os
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
from plausible.data.cells import BOOLS
from plausible.data.frameparts import take
from plausible.data.frames import from_frame, is_frame
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
    feature_names_in_: np.ndarray

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

    @property
    def _takes_mixed(self) -> bool:
        """Whether the model takes words and missing cells."""
        return "mixed" in self._kind.domains

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_mixed
        return tags

    def _checked(self, X: Any, *, reset: bool = False) -> Any:
        """X as the run reads it: numbers as float64, (n, d); a frame with words, dates or missing cells as it is.

        Raises:
            ValueError: other columns than those fitted, too few rows, or values that the fit did not know: missing
                ones, or infinite ones.
            PlausibleError: a frame that cannot be read.
        """
        if reset:
            self._is_mixed = is_frame(X) and self._found_mixed(X)
        if self._is_mixed and is_frame(X):
            return self._checked_frame(X, reset=reset)
        least = LEAST_ROWS if reset else 1
        gaps = self._takes_mixed if reset else self._is_mixed
        finite = "allow-nan" if gaps else True
        how: dict[str, Any] = {"dtype": np.float64, "ensure_min_samples": least, "ensure_all_finite": finite}
        try:
            found = validate_data(self, X, reset=reset, **how)
        except ValueError:
            if not reset and is_frame(X):
                self.run_.rows(X)  # its error names the column
            raise
        if reset:
            self._is_mixed = bool(np.isnan(found).any())
        return found

    def _found_mixed(self, X: Any) -> bool:
        """Whether a frame is a mixed table; keeps the types of its columns.

        Booleans are numbers to a model that takes no words.
        """
        read = from_frame(X)
        self._frame = read.container, read.dtypes or ()
        values = next(iter(read.parts.values()))
        plain = all(cells.plain or cells.words == BOOLS for cells in read.cells or ())
        if self._takes_mixed:
            return read.cells is not None
        return not plain or bool(np.isnan(values).any())  # the training's error names the columns

    def _checked_frame(self, X: Any, *, reset: bool) -> Any:
        least = LEAST_ROWS if reset else 1
        if len(X) < least:
            raise ValueError(f"Found array with {len(X)} sample(s) while a minimum of {least} is required.")
        return validate_data(self, X, reset=reset, skip_check_array=True)

    def _train(
        self, X: Any, options: Mapping[str, Any], *, held_out: int = 0, keep: bool = False
    ) -> tuple[Held, dict[str, np.ndarray]]:
        """Train a model; returns its run, and the places of the rows of each split.

        Args:
            X: all rows, (n, d), or a frame of them.
            options: the model's own, and its recipe's.
            held_out: rows that are kept from the training: the run's test split.
            keep: whether the run's data are read after the training.

        Raises:
            PlausibleError: an option, a budget or data that cannot be.
        """
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        splits = self._splits(len(X), held_out, seed)
        tables = {name: self._table(take(X, rows)) for name, rows in splits.items()}
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

    def _table(self, X: Any) -> Any:
        """Rows as they are trained on: of a frame of numbers a frame again, with its columns' names and types."""
        names = getattr(self, "feature_names_in_", None)
        if names is None or is_frame(X):
            return X
        library, dtypes = self._frame
        columns = [
            FrameColumn(name, "float64" if "bool" in dtype.lower() else dtype, column)
            for name, dtype, column in zip(names, dtypes, X.T, strict=True)
        ]
        return to_frame(library, columns)

    def _view(self, X: Any) -> str:
        """How the model sees the rows: as real values, if it takes such, so that any number may come later."""
        if self._is_mixed:
            return "" if is_frame(X) else "domain=mixed"
        return "domain=real" if "real" in self._kind.domains else ""

    def _check_names(self, options: Mapping[str, Any]) -> None:
        """Refuse options that are the estimator's own arguments."""
        own = {"epochs", "core_minutes", "patience", "seed", "out", "keep", "show", "progress", "data", "y"}
        if taken := sorted(own & set(options)):
            raise PlausibleError(
                f"options: {', '.join(taken)} is not an option of the model: use the estimator's own arguments"
            )
