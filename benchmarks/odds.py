"""Outlier detection on ODDS sets: PlausibleDetector beside k-NN and LOF (columns standardised) and isolation forest.

`python benchmarks/odds.py --seeds 3`: 60 % of the normal rows train, the others and all outliers are scored. Labels are
read for the AUROC alone. The sets are in $PLAUSIBLE_DATA/odds (Rayana 2016).
"""

from __future__ import annotations

import argparse
import json
import os
import time
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


class Nearest:
    """Minus the mean distance to the 5 nearest training rows, columns standardised by these."""

    def fit(self, X: np.ndarray) -> Nearest:
        self.scaler = StandardScaler().fit(X)
        self.known = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(self.scaler.transform(X))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -self.known.kneighbors(self.scaler.transform(X))[0].mean(1)


def split(file: Path, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 % of the normal rows; the other rows; which of these are outliers."""
    with np.load(file) as found:
        X, y = found["X"].astype(np.float64), found["y"].ravel().astype(bool)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~y))
    cut = int(0.6 * len(normal))
    rest = np.r_[normal[cut:], np.flatnonzero(y)]
    return X[normal[:cut]], X[rest], y[rest]


def detectors(seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """What is compared, by name. No rows are held out for p-values, as none are asked for."""
    return {
        "plausible": PlausibleDetector(random_state=seed, contamination=0.05, **options),
        "k-NN": Nearest(),
        "LOF": make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)),
        "isolation forest": IsolationForest(n_estimators=200, random_state=seed),
    }


def measure(name: str, seed: int, options: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Detector → (AUROC, core-seconds of the fit)."""
    train, rest, outlier = split(Path(os.environ["PLAUSIBLE_DATA"]) / "odds" / f"{name}.npz", seed)
    found = {}
    for which, detector in detectors(seed, options).items():
        begun = time.process_time()
        detector.fit(train)
        spent = time.process_time() - begun
        found[which] = float(roc_auc_score(outlier, -detector.score_samples(rest))), spent
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--options", type=json.loads, default={}, help="arguments of the detector, as JSON")
    asked = parser.parse_args()
    means: dict[str, list[float]] = {}
    for name in asked.sets:
        runs = [measure(name, seed, asked.options) for seed in range(asked.seeds)]
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
