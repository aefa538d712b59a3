"""Outlier detection: a model of ordinary rows scores new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from plausible.capabilities import Autoregressive, LogProbShares, in_place, lacks, require, supports
from plausible.data.frameparts import take
from plausible.errors import PlausibleError
from plausible.metrics.calibration import conformal_p_values
from plausible.metrics.scoring import SCORES, How, reconstruction_errors, scorer
from plausible.metrics.selection import can_judge
from plausible.sklearn.base import Estimator
from plausible.sklearn.distances import Distances

__all__ = ["PlausibleDetector"]

LEVEL = 0.05
"""The share of ordinary rows that contamination="auto" calls outliers, at most."""
BITS = 40
"""Of a score, of float64's 53."""
SEED = 0
"""Of the training rows that `Distances` keeps."""
CALIBRATION_FRACTION = 0.2
"""Of the rows, for the conformal p-values."""

READ_ROWS = ("distances", "reconstruction", "features", "typicality", "latent")
"""Scores that may read the run's rows after the training."""
OPTIONS: dict[Any, dict[str, Any]] = {"autoencoder": {"encoder": (128,), "decoder": (128,)}}
"""Model → its options where none are given: see docs/how-to/sklearn.md for what they were chosen by."""


class PlausibleDetector(OutlierMixin, Estimator):
    """Detect outliers by how plausible a row is under a model of the rows X.

    X is an array of numbers, or a frame of pandas, polars or pyarrow. With a model that takes mixed tables
    (autoencoder, aae, vae, mixed, …) a frame may hold words, booleans and dates, and cells may be missing.

    With `contamination="auto"` a row is an outlier where its conformal p-value is at most 0.05: of new rows like those
    of X, at most 5 % are called outliers, on average, whatever the model. A fifth of the rows are held out for it. With
    a number that share of the rows X are outliers, and no rows are held out unless `calibrate` asks for p-values.

    Args:
        model: name of a model that scores rows (`plausible models`): autoencoder, rnade, vae, …; or a class.
        by: the score: distances, the distance to the row's reconstruction plus that to its nearest training rows (see
            `Distances`); or reconstruction, log_prob, bound, typicality, features or latent (see `Run.score`). None:
            distances where the model reconstructs and has no density, else the model's default.
        contamination: "auto", or the share of outliers in X, in (0, 0.5].
        calibrate: hold rows out for `p_values` also where contamination is a number.
        options: the model's own options and those of its recipe, such as {"encoder": (100,), "lr": 1e-3}. None: the
            model's defaults, but 128 units in each hidden layer of an autoencoder.
        epochs: passes over the training rows, at most; None: no limit.
        core_minutes: minutes of processor time, at most; fits are then not exactly repeatable. None: no limit. One of
            the two is needed, or the library's default of 5 minutes holds.
        patience: stop after so many judgements on the validation rows without a better one; None: the library's
            default, 5; 0: never.
        validation_fraction: share of the rows that judge the states of a trained model, from which the best is kept.
            A model that is counted, not trained, has none.
        random_state: seed: a whole number gives the same fit again.

    Attributes:
        offset_, threshold_: score below which a row is an outlier; `decision_function` is `score_samples − offset_`.
        calibration_scores_: scores of the rows held out, (n_held,), sorted; None where none were.
        n_features_in_, feature_names_in_: of X.
        run_: the run, held in memory.
    """

    def __init__(
        self,
        model: Any = "autoencoder",
        *,
        by: str | None = None,
        contamination: Any = "auto",
        calibrate: bool = False,
        options: Mapping[str, Any] | None = None,
        epochs: float | None = 150,
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
        self.by = by
        self.contamination = contamination
        self.calibrate = calibrate

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the model on the rows X, (n, d), few of which may be outliers; y is ignored.

        Raises:
            ValueError: an array with infinite values, or with missing ones for a model that takes none.
            PlausibleError: words or missing cells in a frame for a model that takes none, or a contamination,
                score or option that cannot be, or a model that scores no rows.
        """
        X = self._checked(X, reset=True)
        share = self._checked_contamination()
        self._check_by()
        held = max(1, round(CALIBRATION_FRACTION * len(X))) if share is None or self.calibrate else 0
        options = OPTIONS.get(self.model, {}) if self.options is None else dict(self.options)
        self.by_ = self._chosen_score()
        self.run_, splits = self._train(X, options, held_out=held, keep=self.by_ in READ_ROWS)
        self._distances = None
        if self.by_ == "distances":
            self._distances = Distances(self.run_, take(X, splits["train"]), take(X, splits["valid"]), SEED)
            self.run_.forget()
        known = np.sort(self._scores(take(X, splits["test"])))
        self.calibration_scores_ = known if held else None
        lowest = _lowest_ordinary(known) if share is None else np.percentile(self._scores(X), 100 * share)
        self.offset_ = float(lowest)
        return self

    @property
    def threshold_(self) -> float:
        """`offset_` by its other name."""
        return self.offset_

    def score_samples(self, X: Any) -> np.ndarray:
        """The score of each row, (n,), float64: higher is more ordinary; −∞ where it is too low for a number.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other columns, or values that are not finite.
        """
        check_is_fitted(self)
        return self._scores(self._checked(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples(X) − offset_`, (n,): negative for outliers. Raises as `score_samples`."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """+1 for ordinary rows and −1 for outliers, (n,), integers. Raises as `score_samples`."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """Conformal p-values, (n,): p = (1 + number of rows held out with a score as low or lower)/(held out + 1).

        For a row like those of X, P(p ≤ α) ≤ α. No p is below 1/(held out + 1). See `conformal_p_values`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other columns, or values that are not finite.
            PlausibleError: no rows were held out.
        """
        scores = self.score_samples(X)
        if self.calibration_scores_ is None:
            raise PlausibleError(
                "p_values needs rows that were held out: fit with calibrate=True, or with contamination='auto'"
            )
        return conformal_p_values(scores, self.calibration_scores_)

    def explain(self, X: Any) -> np.ndarray:
        """What each column contributes to the score, (n, d): rows sum to `score_samples(X)`.

        The lowest values say why a row is an outlier. For distances minus each column's share of them; for a
        reconstruction minus the squared error of the column, in variances of the training rows, of mixed tables
        log p(x_i | code), nats; for a density log p(x_i | x_<i), nats, in the model's order of the columns, or a mean
        over its orders. A column that the fit left out, such as an id, contributes 0.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other columns, or values that are not finite.
            PlausibleError: a score that is no sum over columns.
        """
        check_is_fitted(self)
        X = self._checked(X)
        if self._distances is not None:
            return self._all_columns(-self._distances.parts(self.run_, X))
        return self._all_columns(self.run_.applied(self._contributions(), X))

    # ------------------------------------------------------------------ parts
    def _contributions(self) -> Callable[[Tensor], Tensor]:
        """x, (B, d) → what each column contributes to a score of the library's, (B, d)."""
        model = self.run_.precise
        if self.by_ == "reconstruction":
            errors = reconstruction_errors(model, self.run_.data)
            return lambda x: -errors(x)
        if self.by_ != "log_prob":
            raise PlausibleError(
                f"explain: the score {self.by_} is no sum over columns: fit with by='distances' or by='log_prob'"
            )
        if supports(model, LogProbShares):
            return model.log_prob_shares
        chain = require(model, Autoregressive)
        return lambda x: in_place(model, chain.log_prob_terms(x))

    def _all_columns(self, found: np.ndarray) -> np.ndarray:
        """Contributions of the run's columns, in the places of X's columns; 0 for those that the run left out."""
        schema = self.run_.schema
        if not schema.dropped:
            return found
        names = self.feature_names_in_.tolist()
        everywhere = np.zeros((len(found), len(names)))
        everywhere[:, [names.index(name) for name in schema.names or ()]] = found
        return everywhere

    def _scores(self, X: Any) -> np.ndarray:
        if self._distances is not None:
            return _steady(-self._distances.parts(self.run_, X).sum(1))
        score = scorer(self.run_.precise, self.by_, How(), self.run_.data)
        found = self.run_.applied(score, X)
        return _steady(np.nan_to_num(found, nan=-np.inf, posinf=np.inf, neginf=-np.inf))

    def _checked_contamination(self) -> float | None:
        """The share of outliers; None for "auto"."""
        share = self.contamination
        if isinstance(share, str) and share == "auto":
            return None
        if isinstance(share, str) or not 0 < share <= 0.5:
            raise PlausibleError(f"contamination must be 'auto' or in (0, 0.5], not {share!r}")
        return float(share)

    def _chosen_score(self) -> str:
        """The score asked for, or the default of the model's class."""
        if self.by is not None:
            return self.by
        has = [name for name, score in SCORES.items() if score.default and score.fits(self._kind)]
        return "distances" if has[0] == "reconstruction" else has[0]

    def _check_by(self) -> None:
        """Refuse a score that cannot be before anything is trained."""
        of_rows = (name for name, score in SCORES.items() if score.directed and not score.pictures)
        directed = ["distances", *of_rows]
        kind = self._kind
        if self.by is None and not can_judge(kind):
            raise PlausibleError(
                f"{kind.__name__} has no score of its own: give by='latent' or by='features', or take a model with a "
                "density, such as rnade, or a reconstruction, such as autoencoder"
            )
        if self.by is not None and self.by not in directed:
            raise PlausibleError(f"by must be one of {', '.join(directed)}, or None, not {self.by!r}")
        by = "reconstruction" if self.by == "distances" else self.by
        if by in ("log_prob", "bound", "reconstruction") and not SCORES[by].fits(kind):
            raise lacks(kind, SCORES[by].needs[0])


def _steady(scores: np.ndarray) -> np.ndarray:
    """Scores to BITS binary digits: a row's does not depend on the rounding of the rows that it is scored with.

    The threshold is the score of a row held out, which must not fall below it by a rounding error.
    """
    mantissa, exponent = np.frexp(scores)
    return np.ldexp(np.round(np.ldexp(mantissa, BITS)), exponent - BITS)


def _lowest_ordinary(known: np.ndarray) -> float:
    """The lowest score with p > LEVEL by the sorted scores of rows held out; of too few rows for that, their lowest."""
    return float(known[max(0, int(LEVEL * (len(known) + 1) + 1e-9) - 1)])
