"""Explain rows: how unexpected each cell is, given the others of its row."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from plausible.capabilities import Surprises, require
from plausible.errors import PlausibleError
from plausible.jobs.loading import checked_out
from plausible.jobs.opened import Opened
from plausible.metrics.scores import blockwise
from plausible.runs import write_whole

__all__ = ["explain"]


def explain(run: Opened, data: Any, *, out: str | os.PathLike[str] | None = None) -> Any:
    """−log p(x_i | all other cells of the row) of each cell, in nats: high where a cell does not fit the rest.

    They do not add up to −log p(x): each conditions on all others. Of numbers it is that of a density, so it depends on
    the column's unit: compare it with other rows' figures in the same column.

    Args:
        run: the run whose model explains.
        data: anything that `train` takes; columns with names are matched by name.
        out: write to FILE.csv: row, counted from 0; the column that stands out most, by the distance to that column's
            median over these rows; then the figures of each column.

    Returns: (n, columns), float32, in the order of the columns; or the path.

    Raises:
        PlausibleError: a model without conditionals of each column, rows that are no table, unfit data, or a file that
            cannot be written.
    """
    path = None if out is None else checked_out(out, (".csv",))
    model = require(run.model, Surprises)
    names = run.schema.names
    if names is None:
        raise PlausibleError("explain needs a table: pictures have no columns")
    blocks = blockwise(lambda x: model.surprises(x).cpu(), run.rows(data), seed=0)
    found = np.concatenate([block for _, block in blocks])
    return run.numbers(found, data) if path is None else _write(found, names, path)


def _write(found: np.ndarray, names: tuple[str, ...], path: Path) -> Path:
    worst = (found - np.median(found, 0)).argmax(1)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["row", "reason", *names])
    for row, (cells, i) in enumerate(zip(found.tolist(), worst.tolist(), strict=True)):
        writer.writerow([row, names[i], *(f"{cell:.4f}" for cell in cells)])
    return write_whole(path, file.getvalue().encode())
