"""What needs no training: kernel density, Gaussian mixture, isolation forest, nearest neighbours, PCA, marginals.

Where the data are k/(K − 1), k = 0 … K − 1, kernels and mixture have a density of y = k + u, u uniform on [0, 1). By
Jensen's inequality E_u log p(y) ≤ log P(k): a lower bound of the log-probability of the levels, which compares with the
bound of a model of levels (Theis, van den Oord & Bethge, *A note on the evaluation of generative models*, 2016, section
3.1). Other data are standardised by the training rows; log p is then of the original units.

Mixed tables are seen as `EncodedRows`: levels one-hot, numbers standardised, missing cells marked. A density of such
points is none of rows, so there kernels and mixture have no log p(x); they sample, and score rows by it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, NearestNeighbors
from torch import Tensor

from plausible.comparison.entries import levels_of
from plausible.comparison.measuring import OF_ROWS, Contender, log_prob_results
from plausible.data import Data
from plausible.metrics.encoded import EncodedRows
from plausible.metrics.scores import subset
from plausible.models.independent import Independent

__all__ = ["BASELINES", "Fitted", "Space", "fit_baseline", "kernel_density"]

TRAIN_ROWS, VALID_ROWS, TEST_ROWS = 5000, 500, 1000
BANDWIDTHS = tuple(float(b) for b in np.geomspace(0.02, 2, 13))
"""Of the kernel density, in root mean squares of the columns' standard deviations."""
COMPONENTS = (1, 2, 5, 10, 20)
FULL_UP_TO = 100
"""Columns up to which full covariances are tried beside diagonal ones."""
RIDGE = 1e-3
"""Added to the mixture's variances, in squared levels, or standard deviations."""
TREES = 200
NEIGHBOURS = 5
VARIANCE = 0.95
"""Share of the training variance that PCA keeps."""


@dataclass(frozen=True, eq=False)
class Space:
    """Where baselines see the rows: levels made continuous, or standardised columns.

    Attributes:
        levels: K, if the data are in levels.
        mean, scale: (d,); the coordinates are (values − mean)/scale.
    """

    levels: int | None
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, data: Data, train: np.ndarray) -> Space:
        """The space of some data, from training rows, (n, d)."""
        levels, d = levels_of(data), train.shape[1]
        if levels is not None:
            return cls(levels, np.zeros(d), np.full(d, 1 / (levels - 1)))
        if data.domain != "real":
            return cls(None, np.zeros(d), np.ones(d))
        scale = train.std(0, dtype=np.float64)
        return cls(None, train.mean(0, dtype=np.float64), np.where(scale > 0, scale, 1.0))

    def enter(self, rows: np.ndarray, seed: int | None = None) -> np.ndarray:
        """(n, d) values → coordinates, float64; levels get noise of the seed, or ½ without one."""
        found = (rows.reshape(len(rows), -1).astype(np.float64) - self.mean) / self.scale
        if self.levels is None:
            return found
        noise = 0.5 if seed is None else np.random.default_rng([seed, 5]).random(found.shape)
        return found.round() + noise

    def leave(self, points: np.ndarray, shape: tuple[int, ...], domain: str) -> np.ndarray:
        """Coordinates → values, (n, *shape), float32, in the data's domain."""
        if self.levels is not None:
            points = np.clip(np.floor(points), 0, self.levels - 1)
        values = points * self.scale + self.mean
        return (values if domain == "real" else np.clip(values, 0, 1)).reshape(-1, *shape).astype(np.float32)

    @property
    def log_volume(self) -> float:
        """log of the values' volume in coordinates, nats: log p(values) = log p(coordinates) + this."""
        return 0.0 if self.levels is not None else -float(np.log(self.scale).sum())

    @property
    def of_what(self) -> str:
        """Of what a density is a probability here, see `measuring.density_of`."""
        return "a density of continuous values" if self.levels is None else f"values in {self.levels} levels"


@dataclass(frozen=True, eq=False)
class TableSpace:
    """Where baselines see the rows of a mixed table: `EncodedRows`, with the methods of `Space`."""

    rows: EncodedRows

    @classmethod
    def of(cls, data: Data) -> TableSpace:
        """The space of some data, from their training rows."""
        return cls(EncodedRows(data.schema.levels, data.train))

    def enter(self, rows: np.ndarray, seed: int | None = None) -> np.ndarray:
        """(n, d) values → coordinates, (n, W), float64."""
        return self.rows.enter(rows.reshape(len(rows), -1))

    def leave(self, points: np.ndarray, shape: tuple[int, ...], domain: str) -> np.ndarray:
        """Coordinates → values, (n, d), float32: the largest of a column's levels."""
        return self.rows.leave(points)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that baselines are fitted on, flat: training rows, valid rows and test rows."""

    data: Data
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    space: Space | TableSpace
    seed: int

    @classmethod
    def of(cls, data: Data, seed: int) -> Rows:
        """At most so many of each split, chosen by the seed."""
        parts = ((data.train, TRAIN_ROWS), (data.valid, VALID_ROWS), (data.test, TEST_ROWS))
        train, valid, test = (
            rows.take(subset(np.arange(len(rows)), most, seed))[0].reshape(min(len(rows), most), -1)
            for rows, most in parts
        )
        space = TableSpace.of(data) if data.domain == "mixed" else Space.of(data, train)
        return cls(data, train, valid, test, space, seed)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A baseline that is fitted: what to measure, how it was fitted in words, and the seconds that took."""

    contender: Contender
    about: str
    cpu_seconds: float
    seconds: float


def fit_baseline(name: str, data: Data, seed: int) -> Fitted:
    """Fit one of BASELINES on the training rows; what is chosen is chosen on the valid rows."""
    wall, cpu = time.perf_counter(), time.process_time()
    contender, about = BASELINES[name](Rows.of(data, seed))
    return Fitted(contender, about, time.process_time() - cpu, time.perf_counter() - wall)


def kernel_density(points: np.ndarray, bandwidth: float) -> KernelDensity:
    """Gaussian kernels of one bandwidth around points, (n, d), summed directly.

    The tree has one leaf, and no tolerance: with more leaves scikit-learn's log p of rows far from all points is wrong,
    by up to 80 % in 64 dimensions, whatever `rtol` is.
    """
    return KernelDensity(bandwidth=bandwidth, kernel="gaussian", rtol=0, leaf_size=len(points)).fit(points)


def _kde(rows: Rows) -> tuple[Contender, str]:
    """log p(y) = log 1/n Σ_i N(y; y_i, h² I), h with the highest mean log p of the valid rows."""
    train, valid = rows.space.enter(rows.train, rows.seed), rows.space.enter(rows.valid, rows.seed + 1)
    spread = float(np.sqrt(train.var(0).mean()))
    fits = [kernel_density(train, spread * b) for b in BANDWIDTHS]
    best = max(fits, key=lambda fit: float(fit.score_samples(valid).mean()))
    about = f"Gaussian kernels around {len(train):,} training rows, bandwidth {best.bandwidth:.3g} chosen on valid"
    return _density_contender("kde", rows, best.score_samples, _sampler(rows, best), about)


def _gmm(rows: Rows) -> tuple[Contender, str]:
    """A mixture of Gaussians by EM; components and kind of covariance with the highest mean log p of the valid rows."""
    train, valid = rows.space.enter(rows.train, rows.seed), rows.space.enter(rows.valid, rows.seed + 1)
    kinds = ("diag", "full") if train.shape[1] <= FULL_UP_TO else ("diag",)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # a fit that stops at 100 steps is judged as it is
        fits = [
            GaussianMixture(k, covariance_type=kind, reg_covar=RIDGE, random_state=rows.seed % 2**32).fit(
                train
            )
            for kind in kinds
            for k in COMPONENTS
            if k < len(train)
        ]
    best = max(fits, key=lambda fit: float(fit.score(valid)))
    about = (
        f"{best.n_components} Gaussians with {best.covariance_type} covariance, chosen on valid, by EM on "
        f"{len(train):,} training rows"
    )
    sampler = lambda n: best.sample(n)[0]  # noqa: E731
    return _density_contender("gmm", rows, best.score_samples, sampler, about)


def _sampler(rows: Rows, fit: KernelDensity) -> Callable[[int], np.ndarray]:
    return lambda n: fit.sample(n, random_state=rows.seed % 2**32)


def _density_contender(
    name: str,
    rows: Rows,
    log_prob: Callable[[np.ndarray], np.ndarray],
    sample: Callable[[int], np.ndarray],
    about: str,
) -> tuple[Contender, str]:
    space, data = rows.space, rows.data
    samples = lambda n: torch.from_numpy(space.leave(sample(n), data.shape, data.domain))  # noqa: E731
    if isinstance(space, TableSpace):
        score = lambda x: log_prob(space.enter(x)), "its log p of the encoded row"
        return Contender(name, data, samples, score=score), about

    def log_probs() -> np.ndarray:
        return log_prob(space.enter(rows.test, rows.seed + 2)) + space.log_volume

    note = f"log p(x) of {len(rows.test):,} test rows. " + (
        "A lower bound: levels are made continuous by uniform noise." if space.levels else "Exact."
    )
    contender = Contender(
        name,
        data,
        samples,
        (
            lambda: log_prob_results(log_probs(), data, note),
            "exact" if space.levels is None else "lower bound",
            space.of_what,
        ),
        (lambda x: log_prob(space.enter(x)), "its log p(x)"),
    )
    return contender, about


def _isolation_forest(rows: Rows) -> tuple[Contender, str]:
    space = rows.space
    seen = space.enter if isinstance(space, TableSpace) else lambda x: x.reshape(len(x), -1)
    forest = IsolationForest(n_estimators=TREES, random_state=rows.seed % 2**32).fit(seen(rows.train))
    score = lambda x: forest.score_samples(seen(x))  # noqa: E731
    words = "minus the anomaly score of Liu et al. 2008"
    return Contender("isolation forest", rows.data, score=(score, words)), f"{TREES} trees"


def _nearest(rows: Rows) -> tuple[Contender, str]:
    """Raw values: the distance to the k-th nearest training row, and classifiers of the values themselves."""
    space = rows.space
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(rows.train))).fit(space.enter(rows.train))
    score = lambda x: -near.kneighbors(space.enter(x))[0][:, -1]  # noqa: E731
    words = f"minus the distance to the {NEIGHBOURS}th nearest of {len(rows.train):,} training rows"
    represent = lambda x: torch.from_numpy(space.enter(x.numpy()))  # noqa: E731
    contender = Contender("k-NN", rows.data, score=(score, words), represent=(represent, "the raw values"))
    return contender, f"the {NEIGHBOURS} nearest training rows, on the values themselves"


def _pca(rows: Rows) -> tuple[Contender, str]:
    """Principal components that keep VARIANCE of the training variance: their error and their coordinates."""
    space = rows.space
    pca = PCA(n_components=VARIANCE, svd_solver="full").fit(space.enter(rows.train))

    def score(x: np.ndarray) -> np.ndarray:
        points = space.enter(x)
        return -np.square(points - pca.inverse_transform(pca.transform(points))).sum(1)

    represent = lambda x: torch.from_numpy(pca.transform(space.enter(x.numpy())))  # noqa: E731
    words = "minus the squared error of the projection"
    count = pca.n_components_
    contender = Contender(
        "PCA", rows.data, score=(score, words), represent=(represent, f"{count} principal components")
    )
    return contender, f"the {count} principal components that keep {VARIANCE:.0%} of the training variance"


def _marginals(rows: Rows) -> tuple[Contender, str]:
    """Every value by itself: drawn from its column of the training rows; P(k) = (count + 1)/(n + K) of K levels."""
    data, train = rows.data, rows.train

    def sample(n: int) -> Tensor:
        rng = np.random.default_rng([rows.seed, 9])
        places = rng.integers(len(train), size=(n, train.shape[1]))
        drawn = np.take_along_axis(train, places, 0)
        return torch.from_numpy(drawn.reshape(n, *data.shape))

    about = "every value drawn from its own column of the training rows: no dependence at all"
    if isinstance(rows.space, TableSpace):
        return _marginals_of_table(rows, sample), about
    levels = rows.space.levels
    if levels is None:
        return Contender("independent marginals", data, sample), about
    logs = _log_frequencies(train, levels)
    log_prob = lambda x: _sum_of_levels(logs, x.reshape(len(x), -1), levels)  # noqa: E731
    note = f"Exact: log p(x) of {len(rows.test):,} test rows."
    density = (lambda: log_prob_results(log_prob(rows.test), data, note)), "exact", rows.space.of_what
    return Contender("independent marginals", data, sample, density, (log_prob, "its log p(x)")), about


def _marginals_of_table(rows: Rows, sample: Callable[[int], Tensor]) -> Contender:
    """log p(x) of a mixed table's rows by the counted columns of the model `independent`."""
    model = Independent(rows.data.shape, "mixed", column_levels=rows.data.schema.levels)
    model.prepare(rows.data.train)
    log_prob = lambda x: model.log_prob(torch.from_numpy(x)).double().numpy()  # noqa: E731
    note = f"Exact: log p(x) of {len(rows.test):,} test rows."
    density = (lambda: log_prob_results(log_prob(rows.test), rows.data, note)), "exact", OF_ROWS
    return Contender("independent marginals", rows.data, sample, density, (log_prob, "its log p(x)"))


def _log_frequencies(train: np.ndarray, levels: int) -> np.ndarray:
    """log P(k) of each column, (d, K), with one count added to each level (Laplace)."""
    places = np.round(train * (levels - 1)).astype(int)
    counts = np.stack([np.bincount(column, minlength=levels) for column in places.T])
    return np.log((counts + 1) / (len(train) + levels))


def _sum_of_levels(logs: np.ndarray, rows: np.ndarray, levels: int) -> np.ndarray:
    places = np.round(rows * (levels - 1)).astype(int)
    return logs[np.arange(rows.shape[1]), places].sum(1)


BASELINES: dict[str, Callable[[Rows], tuple[Contender, str]]] = {
    "independent marginals": _marginals,
    "kde": _kde,
    "gmm": _gmm,
    "isolation forest": _isolation_forest,
    "k-NN": _nearest,
    "PCA": _pca,
}
"""Name → the function that fits it: (what to measure, how it was fitted)."""
