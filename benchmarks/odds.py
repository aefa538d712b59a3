"""Outlier detection on ODDS sets: PlausibleDetector beside scikit-learn's detectors and PyOD's.

`python benchmarks/odds.py --seeds 3`: 60 % of the normal rows train, the others and all outliers are scored. Labels are
read for the AUROC alone. The sets are in $PLAUSIBLE_DATA/odds (Rayana 2016). `--detectors` runs only those it names.

PyOD is no dependency of plausible. In a folder of its own it touches no environment:

    pip install --target build/pyod --no-deps pyod==3.6.7
    PYTHONPATH=build/pyod python benchmarks/odds.py --seeds 3

Without it its detectors are left out, and a line says so. They have PyOD's defaults, on standardised columns. Where one
gives scores that are no finite numbers (PCA does, where a component has no variance), its AUROC is nan.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plausible.sklearn import PlausibleDetector

SETS = ("cardio", "letter", "satellite", "wbc")
NEIGHBOURS = 5
PYOD = {
    "KNN": "knn",
    "LOF": "lof",
    "ECOD": "ecod",
    "COPOD": "copod",
    "IForest": "iforest",
    "HBOS": "hbos",
    "OCSVM": "ocsvm",
    "PCA": "pca",
}
"""PyOD's classical detectors: class → its module in pyod.models. Its networks are left out."""


class Nearest:
    """Minus the mean distance to the 5 nearest training rows, columns standardised by these."""

    def fit(self, X: np.ndarray) -> Nearest:
        self.scaler = StandardScaler().fit(X)
        self.known = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(self.scaler.transform(X))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.known.kneighbors(self.scaler.transform(X))[0].mean(1)


class OfPyod:
    """A detector of PyOD's, columns standardised; PyOD's scores are high for outliers."""

    def __init__(self, name: str, seed: int) -> None:
        kind = getattr(importlib.import_module(f"pyod.models.{PYOD[name]}"), name)
        self.detector = kind(**({"random_state": seed} if "random_state" in kind().get_params() else {}))

    def fit(self, X: np.ndarray) -> OfPyod:
        self.scaler = StandardScaler().fit(X)
        self.detector.fit(self.scaler.transform(X))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.detector.decision_function(self.scaler.transform(X))


def split(file: Path, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 % of the normal rows; the other rows; which of these are outliers."""
    with np.load(file) as found:
        X, y = found["X"].astype(np.float64), found["y"].ravel().astype(bool)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~y))
    cut = int(0.6 * len(normal))
    rest = np.r_[normal[cut:], np.flatnonzero(y)]
    return X[normal[:cut]], X[rest], y[rest]


def detectors(options: dict[str, Any]) -> dict[str, Callable[[int], Any]]:
    """What is compared: name → how it is made, given a seed. No rows are held out, as no p-values are asked for."""
    found: dict[str, Callable[[int], Any]] = {
        "plausible": lambda seed: PlausibleDetector(random_state=seed, contamination=0.05, **options),
        "k-NN": lambda seed: Nearest(),
        "LOF": lambda seed: make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)),
        "isolation forest": lambda seed: IsolationForest(n_estimators=200, random_state=seed),
    }
    if find_spec("pyod") is not None:
        found |= {f"PyOD {name}": lambda seed, name=name: OfPyod(name, seed) for name in PYOD}
    return found


def measure(
    name: str, seed: int, compared: Mapping[str, Callable[[int], Any]]
) -> dict[str, tuple[float, float]]:
    """Detector → (AUROC, core-seconds of the fit)."""
    train, rest, outlier = split(Path(os.environ["PLAUSIBLE_DATA"]) / "odds" / f"{name}.npz", seed)
    found = {}
    for which, make in compared.items():
        detector = make(seed)
        begun = time.process_time()
        detector.fit(train)
        spent = time.process_time() - begun
        scores = detector.score_samples(rest)
        area = roc_auc_score(outlier, -scores) if np.isfinite(scores).all() else np.nan
        found[which] = float(area), spent
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--options", type=json.loads, default={}, help="arguments of the detector, as JSON")
    parser.add_argument("--detectors", nargs="+", help="only these, such as k-NN 'PyOD ECOD'; default all")
    asked = parser.parse_args()
    compared = detectors(asked.options)
    if asked.detectors:
        unknown = [which for which in asked.detectors if which not in compared]
        if unknown:
            parser.error(f"--detectors {' '.join(unknown)}: there are {', '.join(compared)}")
        compared = {which: compared[which] for which in asked.detectors}
    if find_spec("pyod") is None:
        print("PyOD is not installed, so its detectors are left out: see the head of this file", flush=True)
    elif any(which.startswith("PyOD") for which in compared):
        print(f"PyOD {version('pyod')}, scikit-learn {version('scikit-learn')}", flush=True)
    means: dict[str, list[float]] = {}
    for name in asked.sets:
        runs = [measure(name, seed, compared) for seed in range(asked.seeds)]
        for which in runs[0]:
            areas, seconds = np.array([run[which] for run in runs]).T
            means.setdefault(which, []).append(float(areas.mean()))
            print(
                f"{name:10} {which:17} AUROC {areas.mean():.3f} ({areas.min():.3f} to {areas.max():.3f}), "
                f"{seconds.mean():.1f} core-seconds a fit (at most {seconds.max():.1f})",
                flush=True,
            )
    for which, areas in means.items():
        print(f"{'mean':10} {which:17} AUROC {np.mean(areas):.3f}", flush=True)


if __name__ == "__main__":
    main()
