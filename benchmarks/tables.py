"""New rows, and filled cells, of tables: `mixed` beside a copula, independent columns and real rows.

`python benchmarks/tables.py --out tables.json`: each table is cut into halves by the seed; models train on one, and the
other judges. It can be stopped and goes on where it was: every figure is a line of the file. `--show` prints what
the file holds. The tables are in $PLAUSIBLE_DATA/tables.

auc     how well HistGradientBoosting (defaults, categories as categories, 5-fold) tells as many samples, at most 5,000,
        from rows of the other half: .5 is not at all.
tstr    it is trained on as many samples as the half has rows, and predicts a target of the other half: accuracy or R².
impute  20 % of the other half's cells are removed at random and filled: share of levels that are right, and root mean
        squared error of numbers in standard deviations of their column, each a mean over columns.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from machine import table as as_markdown
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - sklearn asks for it
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import plausible

TARGETS = {
    "penguins": ("species",),
    "credit_data": ("Status",),
    "diamonds": ("cut", "price"),
    "acs12": ("employment",),
}
MODELS = ("mixed", "copula", "independent", "real")
FILLERS = ("mixed", "mode or median", "KNNImputer", "IterativeImputer", "chained ExtraTrees")
MOST = 5000
REMOVED = 0.2
DRAWS = 100


# ---------------------------------------------------------------------- tables
@cache
def whole(name: str) -> pd.DataFrame:
    found = pd.read_csv(Path(os.environ["PLAUSIBLE_DATA"]) / "tables" / f"{name}.csv")
    words = [column for column in found if not pd.api.types.is_numeric_dtype(found[column])]
    return found.astype(dict.fromkeys(words, "category"))


def halves(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The half that trains, and the half that judges."""
    frame = whole(name)
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = len(frame) // 2
    return frame.iloc[order[:cut]].reset_index(drop=True), frame.iloc[order[cut:]].reset_index(drop=True)


def codes(frame: pd.DataFrame, like: pd.DataFrame) -> np.ndarray:
    """Levels as codes of the whole table's categories, missing cells as NaN, (n, d), float64."""
    columns = []
    for name in like:
        if isinstance(like[name].dtype, pd.CategoricalDtype):
            code = pd.Categorical(frame[name], categories=like[name].cat.categories).codes.astype(float)
            columns.append(np.where(code < 0, np.nan, code))
        else:
            columns.append(pd.to_numeric(frame[name]).to_numpy(np.float64, na_value=np.nan))
    return np.stack(columns, 1)


def level_columns(frame: pd.DataFrame) -> list[int]:
    return [i for i, name in enumerate(frame) if isinstance(frame[name].dtype, pd.CategoricalDtype)]


# ---------------------------------------------------------------------- models
@cache
def trained(name: str, seed: int, model: str, minutes: float) -> tuple[Any, dict[str, Any]]:
    """A run on the half that trains, and what it took."""
    words = halves(name, seed)[0]
    begun = time.process_time()
    folder = tempfile.mkdtemp(prefix=f"{model}-{name}-")
    budget: dict[str, Any] = {"core_minutes": minutes} if model == "mixed" else {}
    run = plausible.train(model, words, out=f"{folder}/run", seed=seed, progress=False, show=False, **budget)
    stopped = run.stopped() or {}
    return run, {
        "train core-seconds": round(time.process_time() - begun, 1),
        "best tick": run.tick,
        "last tick": stopped.get("tick"),
        "stopped by": stopped.get("reason"),
    }


@cache
def rows_of(name: str, seed: int, model: str, n: int, minutes: float) -> tuple[np.ndarray, dict[str, Any]]:
    """n new rows of a model, as codes, and what they took; `real`: rows of the half that trains."""
    train, like = halves(name, seed)[0], whole(name)
    if model == "real":
        return codes(train, like)[:n], {}
    run, took = trained(name, seed, model, minutes)
    begun = time.process_time()
    found = codes(run.sample(n, seed=seed, as_="pandas"), like)
    return found, took | {"sample core-seconds": round(time.process_time() - begun, 1)}


# ---------------------------------------------------------------------- figures
def auc(name: str, seed: int, model: str, minutes: float) -> dict[str, Any]:
    like, judge = whole(name), codes(halves(name, seed)[1], whole(name))
    n = min(MOST, len(judge), len(halves(name, seed)[0]))
    made, took = rows_of(name, seed, model, n, minutes)
    x, y = np.concatenate([judge[:n], made]), np.repeat([1, 0], [n, len(made)])
    teller = HistGradientBoostingClassifier(categorical_features=level_columns(like), random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    p = cross_val_predict(teller, x, y, cv=folds, method="predict_proba")[:, 1]
    return {"auc": float(roc_auc_score(y, p)), "rows": 2 * n} | took


def tstr(name: str, seed: int, model: str, minutes: float) -> dict[str, Any]:
    like, (train, judge) = whole(name), halves(name, seed)
    made, _ = rows_of(name, seed, model, len(train), minutes)
    found, test = {}, codes(judge, like)
    for target in TARGETS[name]:
        place, levels = list(like).index(target), level_columns(like)
        kind = HistGradientBoostingClassifier if place in levels else HistGradientBoostingRegressor
        others = [i for i in range(len(like.columns)) if i != place]
        learner = kind(
            categorical_features=[others.index(i) for i in levels if i != place], random_state=seed
        )
        known, asked = ~np.isnan(made[:, place]), ~np.isnan(test[:, place])
        learner.fit(made[known][:, others], made[known, place])
        found[target] = float(learner.score(test[asked][:, others], test[asked, place]))
        if place in levels:
            found[f"{target} ±"] = float(np.sqrt(found[target] * (1 - found[target]) / asked.sum()))
    return found


def impute(name: str, seed: int, filler: str, minutes: float) -> dict[str, Any]:
    like, (train, judge) = whole(name), halves(name, seed)
    x, true, levels = codes(train, like), codes(judge, like)[:MOST], level_columns(like)
    removed = (np.random.default_rng(seed).random(true.shape) < REMOVED) & ~np.isnan(true)
    begun = time.process_time()
    filled = _filled(name, seed, filler, minutes)(x, np.where(removed, np.nan, true), levels, seed)
    right, errors = [], []
    for i in range(x.shape[1]):
        at = removed[:, i]
        if i in levels:
            right.append((filled[at, i].round() == true[at, i]).mean())
        else:
            errors.append(np.sqrt(((filled[at, i] - true[at, i]) ** 2).mean()) / np.nanstd(x[:, i]))
    took = round(time.process_time() - begun, 1)
    return {"accuracy": float(np.mean(right)), "nrmse": float(np.mean(errors)), "core-seconds": took}


Filler = Callable[[np.ndarray, np.ndarray, list[int], int], np.ndarray]


def _filled(name: str, seed: int, filler: str, minutes: float) -> Filler:
    if filler == "mixed":
        return lambda x, gaps, levels, seed: _fill_mixed(name, seed, minutes, gaps, levels)
    fillers: dict[str, Filler] = {
        "mode or median": lambda x, gaps, levels, seed: np.where(np.isnan(gaps), _middle(x, levels), gaps),
        "KNNImputer": lambda x, gaps, levels, seed: _scaled(KNNImputer(), x, gaps),
        "IterativeImputer": lambda x, gaps, levels, seed: _scaled(
            IterativeImputer(random_state=seed, max_iter=20), x, gaps
        ),
        "chained ExtraTrees": _chained,
    }
    return fillers[filler]


def _fill_mixed(name: str, seed: int, minutes: float, gaps: np.ndarray, levels: list[int]) -> np.ndarray:
    """The most frequent level, or the mean, of DRAWS completions."""
    run, _ = trained(name, seed, "mixed", minutes)
    like = whole(name)
    words = pd.DataFrame(
        {
            column: pd.Categorical.from_codes(
                np.where(np.isnan(gaps[:, i]), -1, gaps[:, i]).astype(int), like[column].cat.categories
            )
            if i in levels
            else gaps[:, i]
            for i, column in enumerate(like)
        }
    )
    drawn = codes(run.complete(words, DRAWS, given="known", seed=seed, as_="pandas"), like)
    each = drawn.reshape(len(gaps), DRAWS, -1).swapaxes(0, 1)
    found = np.nanmean(each, 0)
    for i in levels:
        found[:, i] = [_most_frequent(column) for column in each[:, :, i].T]
    return np.where(np.isnan(gaps), found, gaps)


def _most_frequent(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(np.bincount(values.astype(int)).argmax()) if len(values) else 0.0


def _middle(x: np.ndarray, levels: list[int]) -> np.ndarray:
    return np.array(
        [_most_frequent(x[:, i]) if i in levels else np.nanmedian(x[:, i]) for i in range(x.shape[1])]
    )


def _scaled(imputer: Any, x: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """An imputer of numbers on standardised codes, fitted on the half that trains."""
    mean, deviation = np.nanmean(x, 0), np.nanstd(x, 0) + 1e-9
    imputer.fit((x - mean) / deviation)
    return imputer.transform((gaps - mean) / deviation) * deviation + mean


def _chained(x: np.ndarray, gaps: np.ndarray, levels: list[int], seed: int) -> np.ndarray:
    """Each column by trees on all others, in three rounds that begin at mode and median (as missForest)."""
    both = np.concatenate([x, gaps])
    missing = np.isnan(both)
    filled = np.where(missing, _middle(x, levels), both)
    for _ in range(3):
        for i in range(x.shape[1]):
            if not missing[len(x) :, i].any():
                continue
            trees = (ExtraTreesClassifier if i in levels else ExtraTreesRegressor)(100, random_state=seed)
            others = np.delete(filled, i, 1)
            trees.fit(others[~missing[:, i]], filled[~missing[:, i], i])
            filled[missing[:, i], i] = trees.predict(others[missing[:, i]])
    return filled[len(x) :]


# ---------------------------------------------------------------------- the file
PARTS: dict[str, tuple[Callable[[str, int, str, float], dict[str, Any]], tuple[str, ...]]] = {
    "auc": (auc, MODELS),
    "tstr": (tstr, MODELS),
    "impute": (impute, FILLERS),
}


def measure(asked: argparse.Namespace) -> None:
    found = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for seed in range(asked.seeds):
        for name in asked.tables:
            for part in asked.parts:
                measure_one, contenders = PARTS[part]
                for who in contenders:
                    key = f"{part}/{name}/{who}/{seed}"
                    if key in found:
                        continue
                    found[key] = measure_one(name, seed, who, asked.core_minutes)
                    print(key, json.dumps(found[key]), flush=True)
                    part_file = asked.out.with_suffix(".part")
                    part_file.write_text(json.dumps(found, indent=1))
                    part_file.replace(asked.out)
            trained.cache_clear()
            rows_of.cache_clear()


def show(found: dict[str, dict[str, Any]]) -> str:
    """Tables of the means over seeds, with how many there are."""
    cells: dict[tuple[str, str], dict[str, list[float]]] = {}
    for key, figures in found.items():
        part, name, who, _ = key.split("/")
        for figure, value in figures.items():
            if isinstance(value, float) and "core-seconds" not in figure and not figure.endswith("±"):
                row = (
                    f"{name}, {figure}"
                    if part == "tstr"
                    else f"{name}, {figure}"
                    if part == "impute"
                    else name
                )
                cells.setdefault((part, row), {}).setdefault(who, []).append(value)
    lines = []
    for part, (_, contenders) in PARTS.items():
        rows = [
            [row, *(_told(values.get(who, [])) for who in contenders)]
            for (of, row), values in cells.items()
            if of == part
        ]
        if rows:
            lines += [as_markdown([part, *contenders], rows), ""]
    return "\n".join(lines)


def _told(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({len(values)})" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=list(TARGETS))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--core-minutes", type=float, default=2.0, help="of training `mixed`, at most")
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.show:
        measure(asked)
    print(show(json.loads(asked.out.read_text())))


if __name__ == "__main__":
    main()
