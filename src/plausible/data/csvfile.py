"""`.csv`: a table of numbers, read once, a block of rows at a time."""

from __future__ import annotations

import csv as csvs
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from plausible.data.csvheader import Form, form_of, is_number
from plausible.data.labels import of_text
from plausible.data.matching import check_names
from plausible.data.raw import Raw
from plausible.data.spool import Spool
from plausible.errors import PlausibleError
from plausible.schema import Schema

CELLS = 1 << 16
Record = tuple[int, list[str]]


def csv(
    path: str, *, header: str | None = None, target: str | None = None, schema: Schema | None = None
) -> Raw:
    """Comma-separated numbers, UTF-8, in (rows, columns), float64; blank lines are passed over.

    Args:
        path: the file.
        header: "yes" or "no": whether the first line holds the columns' names; None: see `csvheader`.
        target: the column that is the label; it may hold text.
        schema: of the run that the rows are for; its target column, if there is one, is the label.

    Raises:
        PlausibleError: with line and column: text, a missing value, NaN, infinity, a line of another length;
            a column without a name or with another's; an empty file; a file that is not text; no such target.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream, Spool(path) as spool:
            records = _records(path, csvs.reader(stream, strict=True))
            first = next(records, None)
            if first is None:
                raise PlausibleError(f"{path} is empty: check how it was saved")
            form = form_of(path, first, header, target, schema)
            if form.names and schema is not None:
                check_names(path, form.names, schema)
            table = _Reading(path, form)
            for block in table.blocks(records if form.header else chain([first], records)):
                spool.write(block)
            if not table.rows:
                raise PlausibleError(f"{path} has a header and no rows: check how it was saved")
            array = spool.mapped(np.float64, (table.rows, form.features))
    except OSError as error:
        raise PlausibleError(
            f"{path} cannot be read ({error}): check the file and its permissions"
        ) from error
    names = form.names
    if form.doubt is not None and form.doubt.is_header() and table.rows > 1:
        names, array = form.doubt.names, array[1:]
        some = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        warnings.warn(
            f"{path}: the first row ({some}) is read as the names of the columns; :header=no reads it as data",
            stacklevel=2,
        )
    return Raw(
        path,
        {path: array},
        y=of_text(table.labels) if form.target is not None else None,
        columns=names,
        dtypes=tuple("int64" if whole else "float64" for whole in table.whole),
        target=form.target_name,
    )


def _records(path: str, reader) -> Iterator[Record]:
    """(line, cells), blank lines left out."""
    while True:
        try:
            cells = next(reader, None)
        except csvs.Error as error:
            raise PlausibleError(
                f"{path}, line {reader.line_num}: {error}: check the quotes there"
            ) from error
        except UnicodeDecodeError as error:
            raise PlausibleError(
                f"{path} is not UTF-8 text after line {reader.line_num} ({error.reason}): save it as UTF-8 .csv"
            ) from error
        if cells is None:
            return
        if cells:
            yield reader.line_num, cells


class _Reading:
    """What is found while the lines are read.

    Attributes:
        rows: how many so far.
        labels: the cells of the target column.
        whole: which columns hold only whole numbers, written without a point, (features,).
    """

    def __init__(self, path: str, form: Form) -> None:
        self.path, self.form = path, form
        self.rows = 0
        self.labels: list[str] = []
        self.whole = np.ones(form.features, bool)

    def blocks(self, records: Iterable[Record]) -> Iterator[np.ndarray]:
        """Rows as numbers, (n, features), float64, some hundred kilobytes at a time."""
        rows: list[list[float]] = []
        lines: list[int] = []
        for line, cells in records:
            rows.append(self._numbers(line, cells))
            if not lines:
                self.whole &= [not set(cell) & set(".eE") for cell in cells]
            lines.append(line)
            if len(rows) * self.form.features >= CELLS:
                yield self._block(rows, lines)
                rows, lines = [], []
        if rows:
            yield self._block(rows, lines)

    def _numbers(self, line: int, cells: list[str]) -> list[float]:
        """The numbers of a line; its label is kept, and taken out of the cells."""
        form = self.form
        if len(cells) != form.width:
            raise PlausibleError(
                f"{self.path}, line {line} has {len(cells)} cells and not {form.width}: mend the line"
            )
        if form.target is not None:
            label = cells.pop(form.target)
            if not label.strip():
                raise PlausibleError(
                    f"{self.path}, line {line}, column {form.target_name!r} is empty: fill it in, or drop the row"
                )
            self.labels.append(label)
        try:
            if "_" not in "".join(cells):  # Python reads 1_000 as a number; a table does not mean it
                return [float(cell) for cell in cells]
        except ValueError:
            pass  # which cell it was is found below
        i = [is_number(cell) for cell in cells].index(False)
        raise form.bad_cell(line, cells, i)

    def _block(self, rows: list[list[float]], lines: list[int]) -> np.ndarray:
        block = np.array(rows, np.float64)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise PlausibleError(
                f"{self.path}, line {lines[row]}, {self.form.column(column)} is {block[row, column]}: "
                "drop the row or fill the value in"
            )
        self.whole &= (block == np.rint(block)).all(axis=0) & (np.abs(block) < 2**53).all(axis=0)
        if self.form.doubt is not None:
            self.form.doubt.see(block[1:] if not self.rows else block)
        self.rows += len(block)
        return block
