"""New rows like those given: an estimator that samples, scores and imputes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from plausible.capabilities import Completion, Density, Filling, require
from plausible.data import restore
from plausible.data.frameparts import filled_in, library_of, numbers_in
from plausible.data.frames import is_frame
from plausible.errors import PlausibleError
from plausible.jobs.complete import fillings, typical
from plausible.jobs.loading import applied
from plausible.jobs.sampling import sample_model
from plausible.models.registry import model_class
from plausible.sklearn.base import Estimator
from plausible.training.seeding import hash32

__all__ = ["PlausibleSampler"]


def _can(capability: type) -> Callable[[Any], bool]:
    """Whether the estimator's model has a capability: methods that need it exist only then."""
    return lambda self: issubclass(model_class(self.model), capability)


class PlausibleSampler(Estimator):
    """Sample rows from a model of X.

    A model with a density has `score_samples` and `score` too, so that it can be chosen by `GridSearchCV`; one that
    completes has `impute`.

    Args:
        model: name of any model that takes such rows: copula, rnade, vae, gan, …; or a class.
        options: the model's own options and those of its recipe.
        epochs, core_minutes, patience, validation_fraction, random_state: see `PlausibleDetector`.

    Attributes:
        n_features_in_, feature_names_in_: of X.
        run_: the run, held in memory.
    """

    def __init__(
        self,
        model: Any = "copula",
        *,
        options: Mapping[str, Any] | None = None,
        epochs: float | None = 200,
        core_minutes: float | None = None,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            model,
            options=options,
            epochs=epochs,
            core_minutes=core_minutes,
            patience=patience,
            validation_fraction=validation_fraction,
            random_state=random_state,
        )

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the model on the rows X, (n, d), an array or a frame; y is ignored.

        Raises:
            ValueError: an array with infinite values, or with missing ones for a model that takes none.
            PlausibleError: an option or data that cannot be, such as words for a model that takes none.
        """
        X = self._checked(X, reset=True)
        self.run_, _ = self._train(X, dict(self.options or {}))
        return self

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """New rows, (n_samples, d), float64; a frame with the columns and types of X if X was one.

        A column of X that the fit left out, such as an id, is not among them.

        Args:
            n_samples: how many.
            random_state: seed; None: the estimator's own `random_state`.

        Raises:
            NotFittedError: before `fit`.
            PlausibleError: n_samples < 1.
        """
        check_is_fitted(self)
        found = sample_model(self.run_.model, n_samples, seed=self._seed(random_state))
        return self.run_.back(found, generated=True)

    @available_if(_can(Density))
    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of each row, (n,), nats; −∞ where it is too small for a number.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other columns, or values that are not finite.
        """
        check_is_fitted(self)
        X = self._checked(X)
        found = self.run_.applied(require(self.run_.precise, Density).log_prob, X)
        return np.nan_to_num(found, nan=-np.inf, posinf=np.inf, neginf=-np.inf)

    @available_if(_can(Density))
    def score(self, X: Any, y: Any = None) -> float:
        """The mean log p(x) of the rows, nats; y is ignored."""
        return float(self.score_samples(X).mean())

    @available_if(_can(Completion))
    def impute(self, X: Any, *, draws: int = 20, random_state: Any = None) -> Any:
        """X with its missing values (NaN) filled in, (n, d), an array or a frame; what is given is left as it is.

        Each is the mean of `draws` samples from p(missing | given), of a mixed table their median, of words the most
        frequent one; with `draws=1` it is one sample, which keeps the spread of the data (for multiple imputation ask
        again with another seed). What is sampled for a row depends on the seed and the row's place.

        Args:
            X: rows, (n, d), NaN where a value is missing.
            draws: samples for each row.
            random_state: seed; None: the estimator's own `random_state`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other columns, or infinite values.
            PlausibleError: draws < 1, or a model whose order forbids such gaps; the message says which would do.
        """
        check_is_fitted(self)
        if draws < 1:
            raise PlausibleError(f"draws must be at least 1, not {draws}")
        seed = self._seed(random_state)
        return (self._impute_mixed if self._is_mixed else self._impute_numbers)(X, draws, seed)

    def _impute_mixed(self, X: Any, draws: int, seed: int) -> Any:
        """Fill the gaps of a mixed table's rows, all at once."""
        X, schema = self._checked(X), self.run_.schema
        model = require(self.run_.model, Filling)
        each = fillings(model, torch.from_numpy(self.run_.rows(X).array()), draws, seed)
        found = typical(each, schema.levels) if draws > 1 else each[:, 0]
        if is_frame(X):
            return filled_in(X, restore(found.numpy(), schema, library_of(X), generated=True))
        return np.where(np.isnan(X), self.run_.back(found, generated=True), X)

    def _impute_numbers(self, X: Any, draws: int, seed: int) -> Any:
        """Fill the gaps of rows of numbers, row by row."""
        given_as = X
        X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan", copy=True)
        gaps = np.isnan(X)
        rows = torch.from_numpy(self.run_.rows(np.where(gaps, 0.0, X)).array())
        model = require(self.run_.model, Completion)
        for place in np.flatnonzero(gaps.any(1)):
            given = torch.from_numpy(~gaps[place])
            drawn = applied(
                lambda x, given=given: model.complete(x, given, draws),
                rows[place],
                hash32(seed, "impute", int(place)),
            )
            found = np.asarray(self.run_.give(drawn, as_="numpy", generated=True), np.float64)
            X[place, gaps[place]] = found.mean(0)[gaps[place]]
        return numbers_in(given_as, X) if is_frame(given_as) else X

    def _view(self, X: Any) -> str:
        """Rows of 0 and 1 alone are binary where the model takes such: what is sampled is then 0 or 1, too."""
        binary = not self._is_mixed and "binary" in self._kind.domains and bool(np.isin(X, (0, 1)).all())
        return "domain=binary" if binary else super()._view(X)

    def _seed(self, random_state: Any) -> int:
        chosen = self.random_state if random_state is None else random_state
        return int(check_random_state(chosen).randint(np.iinfo(np.int32).max))
