"""Codes as features: a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from plausible.capabilities import Code, Decoder, require
from plausible.errors import PlausibleError
from plausible.sklearn.base import Estimator

__all__ = ["PlausibleEncoder"]


class PlausibleEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Encode rows by a model with codes: `transform` gives z, (n, latent), and `inverse_transform` E[x|z].

    Args:
        model: name of a model with codes: autoencoder, vae, aae; or a class.
        n_components: dimensions of the code; None: the model's default.
        options: the model's own options and those of its recipe, such as {"encoder": (100,), "lr": 1e-3}.
        epochs, core_minutes, patience, validation_fraction, random_state: see `PlausibleDetector`.

    Attributes:
        n_features_in_, feature_names_in_: of X.
        run_: the run, held in memory.
    """

    def __init__(
        self,
        model: Any = "autoencoder",
        *,
        n_components: int | None = None,
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
        self.n_components = n_components

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the model on the rows X, (n, d), an array or a frame; y is ignored.

        Raises:
            ValueError: an array with infinite values, or with missing ones for a model that takes none.
            PlausibleError: a model without codes, or an option or data that cannot be.
        """
        X = self._checked(X, reset=True)
        options = dict(self.options or {})
        if self.n_components is not None:
            options["latent"] = self.n_components
        run, _ = self._train(X, options)
        require(run.model, Code)
        self.run_ = run
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The code of each row, (n, latent), float64.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other columns, or values that are not finite.
        """
        check_is_fitted(self)
        X = self._checked(X)
        return self.run_.applied(require(self.run_.precise, Code).encode, X)

    def inverse_transform(self, Z: Any) -> Any:
        """E[x|z] of each code, (n, latent) → (n, d), float64, in the units of X; a frame if X was one.

        In a frame with words or missing cells each cell is the most probable level, or the mean of the numbers.

        Raises:
            NotFittedError: before `fit`.
            PlausibleError: codes of another width.
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=np.float64)
        model = require(self.run_.precise, Decoder)
        if Z.shape[1] != model.latent:
            raise PlausibleError(f"codes have {model.latent} columns, not {Z.shape[1]}")
        with torch.no_grad():
            return self.run_.back(model.decode(torch.tensor(Z), None))

    @property
    def _n_features_out(self) -> int:
        """The number of columns that `transform` returns."""
        return require(self.run_.model, Decoder).latent
