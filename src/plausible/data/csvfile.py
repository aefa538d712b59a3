"""Read a `.csv` file: a table of numbers, in one pass, a block of rows at a time."""

from __future__ import annotations

import csv as csvs
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from plausible.data.csvheader import Header, is_number, read_header
from plausible.data.labels import parse_labels
from plausible.data.mapped import MappedWriter
from plausible.data.matching import check_names
from plausible.data.raw import Raw
from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = ["read_csv"]

_CELLS = 1 << 16
_Record = tuple[int, list[str]]


def read_csv(
    path: str, *, header: str | None = None, target: str | None = None, schema: Schema | None = None
) -> Raw:
    """Read comma-separated numbers in UTF-8 as (rows, columns), float64; blank lines are skipped.

    Args:
        path: the file.
        header: "yes" or "no": whether the first line holds the column names; None: decided as in `csvheader`.
        target: the column that is the label; it may hold text.
        schema: the schema of the run the rows are for; its target column, if present, is the label.

    Raises:
        PlausibleError: with line and column: text, a missing value, NaN, infinity, or a line of another length;
            a column without a name or two with the same name; an empty file; a file that is not text; an unknown
            target.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream, MappedWriter(path) as writer:
            records = _records(path, csvs.reader(stream, strict=True))
            first = next(records, None)
            if first is None:
                raise PlausibleError(f"{path} is empty: check how it was saved")
            columns = read_header(path, first, header, target, schema)
            if columns.names and schema is not None:
                check_names(path, columns.names, schema)
            table = _Rows(path, columns)
            for block in table.blocks(records if columns.present else chain([first], records)):
                writer.write(block)
            if not table.rows:
                raise PlausibleError(f"{path} has a header and no rows: check how it was saved")
            array = writer.mapped(np.float64, (table.rows, columns.features))
    except OSError as error:
        raise PlausibleError(
            f"{path} cannot be read ({error}): check the file and its permissions"
        ) from error
    names = columns.names
    if columns.guess is not None and columns.guess.is_header() and table.rows > 1:
        names, array = columns.guess.names, array[1:]
        some = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        warnings.warn(
            f"{path}: the first row ({some}) is read as the names of the columns; :header=no reads it as data",
            stacklevel=2,
        )
    return Raw(
        path,
        {path: array},
        y=parse_labels(table.labels) if columns.target is not None else None,
        columns=names,
        dtypes=tuple("int64" if whole else "float64" for whole in table.whole),
        target=columns.target_name,
    )


def _records(path: str, reader) -> Iterator[_Record]:
    """(line number, cells) of each line that is not blank."""
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


class _Rows:
    """Converts lines to numbers, and collects the labels and the columns' types on the way.

    Attributes:
        rows: rows read so far.
        labels: the cells of the target column.
        whole: which columns hold only whole numbers, written without a decimal point, (features,).
    """

    def __init__(self, path: str, header: Header) -> None:
        self.path, self.header = path, header
        self.rows = 0
        self.labels: list[str] = []
        self.whole = np.ones(header.features, bool)

    def blocks(self, records: Iterable[_Record]) -> Iterator[np.ndarray]:
        """Rows as numbers, (n, features), float64, a few hundred kilobytes at a time."""
        rows: list[list[float]] = []
        lines: list[int] = []
        for line, cells in records:
            rows.append(self._numbers(line, cells))
            if not lines:
                self.whole &= [not set(cell) & set(".eE") for cell in cells]
            lines.append(line)
            if len(rows) * self.header.features >= _CELLS:
                yield self._block(rows, lines)
                rows, lines = [], []
        if rows:
            yield self._block(rows, lines)

    def _numbers(self, line: int, cells: list[str]) -> list[float]:
        """The numbers of a line; the label is removed from the cells and kept."""
        header = self.header
        if len(cells) != header.width:
            raise PlausibleError(
                f"{self.path}, line {line} has {len(cells)} cells and not {header.width}: correct the line"
            )
        if header.target is not None:
            label = cells.pop(header.target)
            if not label.strip():
                raise PlausibleError(
                    f"{self.path}, line {line}, column {header.target_name!r} is empty: fill it in, or drop the row"
                )
            self.labels.append(label)
        try:
            if "_" not in "".join(cells):  # Python reads 1_000 as a number, other readers of tables do not
                return [float(cell) for cell in cells]
        except ValueError:
            pass  # which cell it was is found below
        i = [is_number(cell) for cell in cells].index(False)
        raise header.bad_cell(line, cells, i)

    def _block(self, rows: list[list[float]], lines: list[int]) -> np.ndarray:
        block = np.array(rows, np.float64)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise PlausibleError(
                f"{self.path}, line {lines[row]}, {self.header.column(column)} is {block[row, column]}: "
                "drop the row or fill the value in"
            )
        self.whole &= (block == np.rint(block)).all(axis=0) & (np.abs(block) < 2**53).all(axis=0)
        if self.header.guess is not None:
            self.header.guess.update(block[1:] if not self.rows else block)
        self.rows += len(block)
        return block
