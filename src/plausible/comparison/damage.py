"""Rows that are not of the data, made from rows that are: what a score of plausibility should find."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plausible.comparison.entries import levels_of
from plausible.data import Data
from plausible.data.restoring import in_units
from plausible.metrics import Result
from plausible.metrics.anomaly import auroc
from plausible.metrics.scores import subset

__all__ = ["DAMAGE", "anomaly_results", "damaged_rows", "interval_of_area"]

ROWS = 1000
NOISE = 0.5
"""Standard deviations of the training values."""
FLIPPED = 0.1
Z = 1.959964
"""The 97.5 % point of the normal distribution."""

DAMAGE = {
    "shuffled columns": "every column shuffled by itself: each value is real, their dependence is gone",
    "noise": f"Gaussian noise of {NOISE:g} standard deviations of the training values, brought back to the values "
    f"that the data take; of binary rows {FLIPPED:.0%} of the values flipped, of columns of levels {FLIPPED:.0%} "
    "replaced by a random level",
    "uniform rows": "every value uniform over the range of its column in the training rows",
}
"""Name of a kind of damage → what is done to the rows."""


def damaged_rows(data: Data, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """At most ROWS test rows, (n, *shape), and as many of each kind of DAMAGE, of the same values and shape.

    Damaged rows keep to the data's domain and, where they are known, its levels: rounding gives nothing away. The scale
    of the noise and the range of the values are those of the training rows.
    """
    rng = np.random.default_rng([seed, 77])
    real = data.test.take(subset(np.arange(len(data.test)), ROWS, seed))[0]
    train = data.train.take(subset(np.arange(len(data.train)), 10 * ROWS, seed))[0]
    flat = real.reshape(len(real), -1)
    made = {
        "shuffled columns": rng.permuted(flat, axis=0),
        "noise": _noisy(flat, train.reshape(len(train), -1), data, rng),
        "uniform rows": _uniform(flat.shape, train.reshape(len(train), -1), data, rng),
    }
    return real, {name: rows.reshape(real.shape).astype(np.float32) for name, rows in made.items()}


def anomaly_results(
    score: Callable[[np.ndarray], np.ndarray], data: Data, seed: int, words: str
) -> list[Result]:
    """AUROC of test rows against each kind of damaged rows, and against all of them together, which comes first.

    The interval is DeLong's, 95 %. Noisy rows are made from the same test rows that they are told from, which makes it
    too wide rather than too narrow there.

    Args:
        score: rows, (n, *shape) → (n,), higher for more plausible.
        data: with its splits.
        seed: random seed of the damage: the same rows for every score.
        words: what the score is.

    Raises:
        PlausibleError: fewer than two test rows, or a score that is NaN.
    """
    real, damaged = damaged_rows(data, seed)
    normal = score(real)
    found = {name: score(rows) for name, rows in damaged.items()}
    everything = {"AUROC, all three": np.concatenate(list(found.values()))} | found
    note = (
        f"AUROC of {len(real):,} test rows against as many damaged ones: how often a test row scores higher (chance: "
        f"0.5); the score is {words}. " + "; ".join(f"{name}: {what}" for name, what in DAMAGE.items()) + "."
    )
    return [_result(name, normal, scores, note) for name, scores in everything.items()]


def interval_of_area(value: float, standard_error: float, rows: int) -> tuple[float, float]:
    """95 % confidence interval of an AUROC, within [0, 1]: DeLong's.

    Where the two kinds hardly overlap DeLong's error is too small, and 0 where they do not: an area nearer to 0 or 1
    than 3 over the smaller number of rows has an interval that reaches at least as far (the rule of three).
    """
    half, least = Z * standard_error, 3 / rows
    if min(value, 1 - value) < least:
        half = max(half, least)
    return max(0.0, value - half), min(1.0, value + half)


def _result(name: str, normal: np.ndarray, anomalous: np.ndarray, note: str) -> Result:
    area = auroc(normal, anomalous)
    rows = min(len(normal), len(anomalous))
    return Result(
        name,
        area.value,
        area.standard_error,
        "DeLong standard error over test rows",
        details={"test rows": len(normal), "damaged rows": len(anomalous)},
        note=note,
        interval=interval_of_area(area.value, area.standard_error, rows),
    )


def _noisy(rows: np.ndarray, train: np.ndarray, data: Data, rng: np.random.Generator) -> np.ndarray:
    if data.domain == "binary":
        return np.where(rng.random(rows.shape) < FLIPPED, 1 - rows, rows)
    if data.domain == "mixed":
        return _noisy_table(rows, train, data, rng)
    scale = train.std(0) if data.domain == "real" else train.std()
    return _as_the_data(rows + NOISE * scale * rng.standard_normal(rows.shape), data)


def _uniform(shape: tuple[int, ...], train: np.ndarray, data: Data, rng: np.random.Generator) -> np.ndarray:
    if data.domain == "binary":
        return rng.integers(2, size=shape)
    if data.domain == "mixed":
        return _uniform_table(shape, train, data, rng)
    low, high = train.min(0), train.max(0)
    return _as_the_data(low + (high - low) * rng.random(shape), data)


def _noisy_table(rows: np.ndarray, train: np.ndarray, data: Data, rng: np.random.Generator) -> np.ndarray:
    """Noise on a mixed table's numbers, random levels in some cells; what is missing stays so."""
    levels = np.array(data.schema.levels)
    noisy = rows + NOISE * np.nanstd(train, 0) * rng.standard_normal(rows.shape)
    other = np.where(rng.random(rows.shape) < FLIPPED, _random_levels(rows.shape, levels, rng), rows)
    found = _as_the_table(np.where(levels > 0, other, noisy), data)
    return np.where(np.isnan(rows), np.nan, found)


def _uniform_table(
    shape: tuple[int, ...], train: np.ndarray, data: Data, rng: np.random.Generator
) -> np.ndarray:
    """Uniform numbers and levels; as many missing cells in each column as in the training rows."""
    levels, low, high = np.array(data.schema.levels), np.nanmin(train, 0), np.nanmax(train, 0)
    numbers = low + (high - low) * rng.random(shape)
    found = _as_the_table(np.where(levels > 0, _random_levels(shape, levels, rng), numbers), data)
    return np.where(rng.random(shape) < np.isnan(train).mean(0), np.nan, found)


def _random_levels(shape: tuple[int, ...], levels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A level of each column, all alike probable; 0 of numbers."""
    return np.floor(rng.random(shape) * levels)


def _as_the_table(rows: np.ndarray, data: Data) -> np.ndarray:
    """Numbers in the range and with the digits of their columns."""
    offsets = np.array([column.offset for column in data.schema.columns or ()])
    return in_units(rows, data.schema, generated=True) - offsets


def _as_the_data(rows: np.ndarray, data: Data) -> np.ndarray:
    """Values brought back to the data's domain and levels."""
    if data.domain == "real":
        return rows
    rows, levels = np.clip(rows, 0, 1), levels_of(data)
    return rows if levels is None else np.round(rows * (levels - 1)) / (levels - 1)
