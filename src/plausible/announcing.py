"""Say before the first tick what was read, which model is trained on it, and how far the budget goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from plausible.formatting import format_number
from plausible.progress import is_main_process

if TYPE_CHECKING:
    from plausible.data import Data
    from plausible.jobs.plan import Plan
    from plausible.schema import Column

__all__ = ["announce"]

_COLUMNS = 50
"""Columns of a table that are listed."""
_LEVELS = 4
"""Levels of a column that are listed."""
_CLASSES = 12
"""Classes that are listed with their counts."""
_PARTS = 4
"""Parts of a model that are listed with their parameters."""
_UNITS: Mapping[str, Any] = {"day": "D", "hour": "h", "minute": "m", "second": "s"}


def announce(plan: Plan) -> None:
    """Print on standard error what is trained on what: rows, splits, classes, columns, parameters, budget."""
    if not is_main_process():
        return
    data = plan.data
    for line in (_rows(data), *_classes(data), *data.notes):
        print(line, file=sys.stderr)
    if data.schema.named and data.schema.columns is not None:
        _print_columns(data.schema.columns)
    if plan.codes_of is not None:
        print(f"codes of {plan.codes_of}", file=sys.stderr)
    print(_model(plan), file=sys.stderr, flush=True)
    if plan.precision != "float32":
        words = f"trains in {plan.precision}; for float32: --precision float32"
        print(words, file=sys.stderr, flush=True)


def _rows(data: Data) -> str:
    """How many rows of what form, and the domain with the reason for it."""
    shape = data.shape
    form = f"{shape[0]:,} columns"
    if len(shape) == 3:
        form = f"pictures of {shape[2]} × {shape[1]}, {'grey' if shape[0] == 1 else 'colour'}"
        form += {"crop": ", middle cropped", "pad": ", padded", None: ""}[data.schema.fit]
    labels = f"; {len(data.labels):,} labels" if data.labels else ""
    rows = f"{len(data.train):,} rows to train on, {len(data.valid):,} valid, {len(data.test):,} test"
    return f"{data.spec}: {rows}; {form}; {data.schema.rule or data.domain}{labels}"


def _classes(data: Data) -> Iterator[str]:
    """The classes with the number of rows of each."""
    y = data.rows.y
    if y is None or data.labels is None:
        return
    counts = np.bincount(y, minlength=len(data.labels)).tolist()
    some = [f"{name} {count:,}" for name, count in zip(data.labels, counts, strict=True)][:_CLASSES]
    yield f"labels: {', '.join(some)}{', …' if len(counts) > _CLASSES else ''}"


def _model(plan: Plan) -> str:
    """The model's size, and what its budget is."""
    total = sum(plan.parameters.values())
    parts = ", ".join(f"{name} {count:,}" for name, count in plan.parameters.items())
    inside = f" ({parts})" if 1 < len(plan.parameters) <= _PARTS else ""
    named = plan.model + ("" if plan.preset == "default" else f", preset {plan.preset}")
    said = f"{named}: {total:,} parameters{inside}"
    if not plan.epoch_ticks:
        return f"{said}; fitted at once, without ticks"
    budget = " or ".join(
        f"{amount:g} {name.removesuffix('s') if amount == 1 else name}"
        for name, amount in plan.budget.items()
    )
    ticks = f"{plan.epoch_ticks:,} {'tick' if plan.epoch_ticks == 1 else 'ticks'} an epoch"
    changed = f"; augmented by {' and '.join(plan.augment)}" if plan.augment else ""
    return f"{said}; batch size {plan.batch:,}, {ticks}{changed}; until {budget}"


def _print_columns(columns: Sequence[Column]) -> None:
    """Print the type of each column of a table, which `--column NAME=TYPE` can correct."""
    table = Table("column", "type", "values", "missing", box=None, header_style="bold")
    for column in columns[:_COLUMNS]:
        missing = f"{column.missing:.1%}" if column.missing else ""
        table.add_row(escape(column.name), column.kind, escape(_values(column)), missing)
    console = Console(stderr=True)
    console.print(table)
    if len(columns) > _COLUMNS:
        console.print(f"… and {len(columns) - _COLUMNS:,} more columns")


def _values(column: Column) -> str:
    """The levels of a column, or its range, in words."""
    if column.levels is not None:
        some = ", ".join(column.levels[:_LEVELS]) + (", …" if len(column.levels) > _LEVELS else "")
        return f"{len(column.levels):,}: {some}"
    if column.unit is not None:
        ends = [
            str(np.datetime64(int(end), _UNITS[column.unit])).replace("T", " ")
            for end in (column.low, column.high)
        ]
    else:
        ends = [format_number(end) for end in (column.low, column.high)]
    digits = ""
    if column.kind == "real" and column.decimals:
        digits = f", {column.decimals} {'decimal' if column.decimals == 1 else 'decimals'}"
    return " to ".join(dict.fromkeys(ends)) + digits
