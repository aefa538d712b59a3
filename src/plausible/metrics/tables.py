"""Samples of a table beside real rows: told apart by trees, column by column, pair by pair, and as training data.

Samples are compared as a user gets them: whole numbers, digits and ranges as in the table. Beside each figure stands
that of training rows in the place of the samples, and that of rows whose columns are drawn independently.

Sources: Lopez-Paz & Oquab, *Revisiting Classifier Two-Sample Tests*, 2017; Esteban, Hyland & Rätsch, *Real-valued
(Medical) Time Series Generation with Recurrent Conditional GANs*, 2017, for training on samples and testing on real
rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from plausible.data.restoring import in_units
from plausible.errors import PlausibleError
from plausible.metrics.anomaly import DELONG, auroc
from plausible.metrics.association import associations
from plausible.metrics.fidelity import independent_rows
from plausible.metrics.registry import Result, Shown, Subject, metric
from plausible.plotting import COLOURS, REAL, house_style, new_figure, style_axes
from plausible.schema import Column

__all__ = ["column_distance", "measure_table", "plot_columns", "show_table", "told_apart_by_trees"]

ROWS = 5000
"""Real rows, and samples, at most."""
FEWEST = 20
FOLDS = 5
MOST_COLUMNS = 100
TARGETS = 4
"""Columns that are predicted, at most."""
WORST = 8
"""Columns that the report lists and plots."""
SEED = 3
MOST_LEVELS = 255
"""Of a categorical column, by scikit-learn's trees; of more the codes count as numbers."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Rows in their own units, (n, D) each, NaN where a cell is missing, codes of levels."""

    real: np.ndarray
    samples: np.ndarray
    train: np.ndarray
    independent: np.ndarray


def _has_columns(subject: Subject) -> None:
    columns = subject.data.schema.columns
    if columns is None or not subject.data.schema.named:
        raise PlausibleError(
            f"it compares named columns, and {subject.data.spec} has none: take --metrics fidelity"
        )
    if len(columns) > MOST_COLUMNS:
        raise PlausibleError(
            f"it compares at most {MOST_COLUMNS} columns, and {subject.data.spec} has {len(columns)}"
        )
    if len(subject.data.test) < FEWEST:
        raise PlausibleError(
            f"it needs {FEWEST} test rows, and there are {len(subject.data.test)}: give more data"
        )


@metric(
    "table",
    needs=(_has_columns,),
    mixed=True,
    reads=("train", "test"),
    show=lambda results: show_table(results),
)
def measure_table(subject: Subject) -> list[Result]:
    """AUC of trees that tell samples from real rows, distances of columns and pairs, what is learned from samples."""
    data = subject.data
    columns, levels = data.schema.columns or (), data.schema.levels
    rows = compared(subject)
    found = [_trees(rows, levels)]
    each = [
        [column_distance(rows.real[:, i], other[:, i], level=levels[i] > 0) for i in range(len(columns))]
        for other in (rows.samples, rows.train, rows.independent)
    ]
    found += _pairs(rows, levels)
    found += _predictions(rows, columns, levels)
    order = np.argsort(each[0])[::-1]
    note = (
        "column distance: of numbers Kolmogorov and Smirnov's, the largest difference of the distribution functions; "
        "of levels total variation, half the sum of the differences of shares; a missing cell is a value of its own. "
        f"The largest of {len(columns)} columns first."
    )
    mean = [float(np.mean(of)) for of in each]
    found.append(
        Result(
            "column distance, mean",
            mean[0],
            None,
            "",
            "",
            False,
            {"rows": len(rows.real)},
            note,
            floor=mean[1],
            independent=mean[2],
        )
    )
    found += [
        Result(
            f"column distance, {columns[i].name}",
            each[0][i],
            None,
            "",
            "",
            False,
            {"type": columns[i].kind, **_marginal(rows, columns[i], i)},
            "",
            floor=each[1][i],
            independent=each[2][i],
        )
        for i in order[:WORST]
    ]
    return found


def compared(subject: Subject) -> Compared:
    """Test rows; training rows, and as many samples and rows of independent columns. At most ROWS of each."""
    data, rng = subject.data, np.random.default_rng(SEED)
    n, m = min(ROWS, len(data.test)), min(ROWS, len(data.train), len(subject.samples))
    test, train = (
        np.sort(rng.permutation(len(part))[:size]) for part, size in ((data.test, n), (data.train, m))
    )
    return Compared(
        in_units(data.test.take(test)[0], data.schema),
        in_units(subject.samples[:m].numpy(), data.schema, generated=True),
        in_units(data.train.take(train)[0], data.schema),
        in_units(independent_rows(data, m).numpy(), data.schema),
    )


# ---------------------------------------------------------------------- told apart by trees
def told_apart_by_trees(
    real: np.ndarray, other: np.ndarray, levels: Sequence[int], seed: int = SEED
) -> tuple[float, float]:
    """AUC, and its standard error, of boosted trees that tell two tables apart, by cross-validation in FOLDS parts.

    Args:
        real, other: rows, (n, D) and (m, D), NaN where a cell is missing.
        levels: the number of levels of each column, 0 for numbers.
        seed: random seed.
    """
    x = np.concatenate([real, other])
    y = np.repeat([1, 0], [len(real), len(other)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(categorical_features=_categorical(levels), random_state=seed)
    score = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]
    area = auroc(score[y == 1], score[y == 0])
    return area.value, area.standard_error


def _categorical(levels: Sequence[int]) -> np.ndarray:
    return np.array([0 < count <= MOST_LEVELS for count in levels])


def _trees(rows: Compared, levels: Sequence[int]) -> Result:
    areas = [
        told_apart_by_trees(rows.real, other[: len(rows.real)], levels)
        for other in (rows.samples, rows.train, rows.independent)
    ]
    note = (
        "AUC of trees: how often boosted trees (scikit-learn's, their defaults) give a real row a higher score than a "
        f"sample, by {FOLDS}-fold cross-validation on {len(rows.real):,} test rows and as many samples; 0.5, or "
        "less by chance: they cannot tell them apart. Fewer rows are harder to tell apart: compare at equal counts."
    )
    return Result(
        "AUC of trees",
        areas[0][0],
        areas[0][1],
        DELONG,
        "",
        False,
        {"rows": len(rows.real)},
        note,
        floor=areas[1][0],
        independent=areas[2][0],
        chance=0.5,
    )


# ---------------------------------------------------------------------- columns and pairs
def column_distance(real: np.ndarray, other: np.ndarray, *, level: bool) -> float:
    """How far apart two samples of one column are, in [0, 1]; a missing cell is a value below all others.

    Numbers: max |F(x) − G(x)|, Kolmogorov and Smirnov's statistic. Levels: ½ Σ |p(k) − q(k)|, total variation.

    Args:
        real, other: (n,) and (m,), NaN where a cell is missing.
        level: whether these are codes of levels.
    """
    a, b = (np.nan_to_num(x, nan=-np.inf) for x in (real, other))
    values = np.unique(np.concatenate([a, b]))
    if level:
        shares = [np.bincount(np.searchsorted(values, x), minlength=len(values)) / len(x) for x in (a, b)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    reached = [np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (a, b)]
    return float(np.abs(reached[0] - reached[1]).max())


def _pairs(rows: Compared, levels: Sequence[int]) -> list[Result]:
    if len(levels) < 2:
        return []
    pairs = np.tril_indices(len(levels), -1)
    known, *others = (
        associations(x, levels)[pairs] for x in (rows.real, rows.samples, rows.train, rows.independent)
    )
    means = [float(np.abs(known - of).mean()) for of in others]
    note = (
        "pair distance: mean over all pairs of columns of the difference of their association: the absolute rank "
        "correlation of numbers, Cramér's V of levels, the correlation ratio of one of each."
    )
    return [
        Result(
            "pair distance, mean",
            means[0],
            None,
            "",
            "",
            False,
            {"pairs": len(known)},
            note,
            floor=means[1],
            independent=means[2],
        )
    ]


# ---------------------------------------------------------------------- samples as training data
def _predictions(rows: Compared, columns: Sequence[Column], levels: Sequence[int]) -> list[Result]:
    """At most TARGETS columns of levels, else the last column: learned from samples, tested on real rows."""
    if len(columns) < 2:
        return []
    targets = [i for i, count in enumerate(levels) if 2 <= count <= 20][:TARGETS] or [len(columns) - 1]
    found = []
    for i in targets:
        values = [_prediction(x, rows.real, i, levels) for x in (rows.samples, rows.train, rows.independent)]
        if values[0] is None or values[1] is None:
            continue
        what = "accuracy" if levels[i] else "R²"
        note = (
            "accuracy, R² of a column learned from samples: boosted trees that predict it from the other columns, "
            f"fitted to {len(rows.samples):,} samples and tested on {len(rows.real):,} test rows; real: fitted to as "
            "many training rows."
        )
        found.append(
            Result(
                f"{what} of {columns[i].name} learned from samples",
                values[0],
                None,
                "",
                "",
                True,
                {},
                note,
                floor=values[1],
                independent=values[2],
            )
        )
    return found


def _prediction(fitted: np.ndarray, tested: np.ndarray, i: int, levels: Sequence[int]) -> float | None:
    """Accuracy, or R² of a number, of column i; None where the rows to fit to have one value of it."""
    fitted, tested = (x[~np.isnan(x[:, i])] for x in (fitted, tested))
    if not len(tested) or len(np.unique(fitted[:, i])) < 2:
        return None
    kind = HistGradientBoostingClassifier if levels[i] else HistGradientBoostingRegressor
    trees = kind(categorical_features=np.delete(_categorical(levels), i), random_state=SEED)
    trees.fit(np.delete(fitted, i, 1), fitted[:, i])
    predicted = trees.predict(np.delete(tested, i, 1))
    return float((predicted == tested[:, i]).mean() if levels[i] else r2_score(tested[:, i], predicted))


# ---------------------------------------------------------------------- the report
def _marginal(rows: Compared, column: Column, i: int) -> dict[str, object]:
    """Shares of real rows and samples in bins or levels: what the report plots."""
    real, samples = rows.real[:, i], rows.samples[:, i]
    gaps = [round(float(np.isnan(x).mean()), 4) for x in (real, samples)]
    if column.levels is not None:
        counts = [
            np.bincount(x[~np.isnan(x)].astype(int), minlength=len(column.levels)) / len(x)
            for x in (real, samples)
        ]
        top = np.argsort(-np.maximum(*counts), kind="stable")[:12]
        return {
            "values": [column.levels[k] for k in top],
            "real": [round(float(counts[0][k]), 4) for k in top],
            "samples": [round(float(counts[1][k]), 4) for k in top],
            "missing": gaps,
        }
    there = np.concatenate([real[~np.isnan(real)], samples[~np.isnan(samples)]])
    edges = (
        np.linspace(there.min(), there.max(), 31)
        if len(there) and there.min() < there.max()
        else np.array([0.0, 1.0])
    )
    shares = [np.histogram(x[~np.isnan(x)], edges)[0] / len(x) for x in (real, samples)]
    return {
        "edges": [float(edge) for edge in edges],
        "real": [round(float(share), 4) for share in shares[0]],
        "samples": [round(float(share), 4) for share in shares[1]],
        "missing": gaps,
    }


def show_table(results: Sequence[Result]) -> Shown:
    """The figures of the whole table, and its worst columns with their marginals."""
    per_column = [each for each in results if "real" in each.details]
    whole = [each for each in results if "real" not in each.details]
    tables = [("Samples as a user gets them, beside real rows.", whole)]
    if not per_column:
        return Shown("As a table", tables)
    briefly = [
        replace(
            each,
            details={
                "type": each.details["type"],
                "missing": "{:.1%} of rows, {:.1%} of samples".format(*each.details["missing"]),
            },
        )
        for each in per_column
    ]
    tables.append((f"The {len(per_column)} columns that are furthest from the real ones.", briefly))
    names = ", ".join(f"{each.name.partition(', ')[2]} ({each.value:.2f})" for each in per_column)
    return Shown(
        "As a table",
        tables,
        plot_columns(per_column),
        f"Marginals of real rows and samples, worst columns first: {names}.",
        "Grey: real rows; blue: samples. Shares of all rows; missing cells are left out of the bars.",
    )


def plot_columns(results: Sequence[Result]) -> Figure:
    """The marginals of columns, real rows behind samples, worst first."""
    across = min(4, len(results))
    down = -(-len(results) // across)
    with house_style():
        figure = new_figure(2.4 * across + 0.2, 2.0 * down + 0.2)
        for place, each in enumerate(results):
            axes = figure.add_subplot(down, across, place + 1)
            style_axes(axes)
            _plot_column(axes, each)
    return figure


def _plot_column(axes, each: Result) -> None:
    shown = each.details
    axes.set_title(f"{each.name.partition(', ')[2]}  {each.value:.2f}", fontsize=9)
    if "edges" in shown:
        axes.stairs(shown["real"], shown["edges"], fill=True, color=REAL, alpha=0.5)
        axes.stairs(shown["samples"], shown["edges"], color=COLOURS[0], linewidth=1.4)
        return
    places = np.arange(len(shown["values"]))
    axes.barh(places, shown["real"], 0.8, color=REAL, alpha=0.5)
    axes.barh(places, shown["samples"], 0.35, color=COLOURS[0])
    axes.set_yticks(places, [str(value)[:14] for value in shown["values"]], fontsize=7)
    axes.invert_yaxis()
