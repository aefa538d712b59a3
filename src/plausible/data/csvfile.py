"""Read a `.csv` file: numbers, words and missing cells, a block of rows at a time.

Python's `csv` cuts the lines into cells; the rest is here. Measured on 100,000 rows of 30 mixed columns (19 MB), in
seconds of processor time and memory on top of NumPy's, with everything read as text where types come later:

| | read | memory | installed | what it says of a broken line |
|---|---|---|---|---|
| csv, and the conversion below | 1.5 s | 67 MiB | 0 | line and column of everything, all in one pass |
| pandas 3.1, typed / as text | 0.1 s / 0.8 s | 234 MiB | 84 MB | the first line that is too long, none that is short |
| polars 2.1, typed / as text | 0.2 s / 0.1 s | 151 MiB | 180 MB | that one is too long, not which |
| pyarrow 26, typed / as text | 0.2 s / 0.1 s | 132 MiB | 170 MB | each line of another length, no cells |

A faster reader would not shorten a training noticeably. The line and column of every problem, bounded memory and no
further dependency matter more. The cells of a column become numbers if all of them are (or missing), else words.
"""

from __future__ import annotations

import csv as csvs
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from plausible.data.cells import MISSING, Cells, Words, parse_number, to_number
from plausible.data.csvdialect import decimal_marks, find_delimiter, find_encoding, read_sample
from plausible.data.csvheader import Header, read_header
from plausible.data.labels import parse_labels
from plausible.data.mapped import MappedWriter
from plausible.data.matching import check_names
from plausible.data.raw import Raw
from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = ["read_csv"]

_CELLS = 1 << 16
_SHOWN = 8
"""Problems of a file that are listed."""
_NAN = dict.fromkeys(MISSING, "nan")
_Record = tuple[int, list[str]]


def read_csv(
    path: str,
    *,
    header: str | None = None,
    target: str | None = None,
    schema: Schema | None = None,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> Raw:
    """Read a table as (rows, columns), float64: numbers, the places of words in a list, NaN where a cell is missing.

    Blank lines are skipped. How the file is written is found (`csvdialect`); missing is what `cells.MISSING` lists.

    Args:
        path: the file.
        header: "yes" or "no": whether the first line holds the column names; None: decided as in `csvheader`.
        target: the column that is the label; it may hold text.
        schema: the schema of the run the rows are for; its target column, if present, is the label.
        columns: column → the type that the user asks for; what is to have levels is read as words.
        drop: columns to leave out.

    Raises:
        PlausibleError: lines of another length, infinite numbers, missing labels: all in one message, with line and
            column; a column without a name or two with the same name; an empty file; a file that is not text; an
            unknown target.
    """
    try:
        encoding = find_encoding(path)
        for each in (encoding, "cp1252", "latin-1"):
            try:
                raw = _read(path, each, header, target, schema, _as_words(schema, columns or {}), drop)
            except UnicodeDecodeError as error:
                if each == "utf-16":
                    raise PlausibleError(
                        f"{path} is not UTF-16 text ({error.reason}): save it as UTF-8 .csv"
                    ) from error
                continue
            if each != encoding:
                warnings.warn(
                    f"{path} is not UTF-8 and is read as {'Windows-1252' if each == 'cp1252' else 'Latin-1'}: save it "
                    "as UTF-8 if letters come out wrong",
                    stacklevel=2,
                )
            return raw
    except OSError as error:
        raise PlausibleError(
            f"{path} cannot be read ({error}): check the file and its permissions"
        ) from error
    raise AssertionError("every byte is a letter of Latin-1")


def _as_words(schema: Schema | None, columns: Mapping[str, str]) -> set[str]:
    """The columns that are to be read as words, whatever they look like."""
    asked = {name for name, kind in columns.items() if kind.partition(":")[0] in ("category", "ordinal")}
    known = schema.columns or () if schema is not None and schema.domain == "mixed" else ()
    return asked | {column.name for column in known if column.levels is not None and column.dtype == "str"}


def _read(
    path: str,
    encoding: str,
    header: str | None,
    target: str | None,
    schema: Schema | None,
    words: set[str],
    drop: Sequence[str],
) -> Raw:
    """Read a file in an encoding. Where words follow numbers in a column it is read again, as words."""
    sample = read_sample(path, encoding)
    delimiter = find_delimiter(sample)
    marks = decimal_marks(sample, delimiter)
    while True:
        with (
            Path(path).open(newline="", encoding=encoding) as stream,
            MappedWriter(path) as writer,
        ):
            records = _records(path, csvs.reader(stream, delimiter=delimiter, strict=True))
            first = next(records, None)
            if first is None:
                raise PlausibleError(f"{path} is empty: check how it was saved")
            columns = read_header(
                path, first, header, number=_name_as_number, target=target, drop=drop, schema=schema
            )
            if columns.names and schema is not None:
                check_names(path, columns.names, schema)
            table = _Table(columns, marks, words)
            for block in table.blocks(records if columns.present else chain([first], records)):
                writer.write(block)
            if not table.late:
                table.check()
                return _raw(table, writer.mapped(np.float64, (table.rows, columns.features)))
            words = words | table.late


def _name_as_number(cell: str) -> float | None:
    """A cell of the first line as a number, with either decimal mark."""
    numbers = (to_number(cell.strip(), mark) for mark in ".,")
    return next((number for number in numbers if number is not None), None)


def _raw(table: _Table, array: np.ndarray) -> Raw:
    header, path = table.header, table.header.path
    names, lines, y = header.names, np.concatenate(table.lines), table.labels
    if header.guess is not None and header.guess.is_header() and table.rows > 1:
        names, array, lines = header.guess.names, array[1:], lines[1:]
        some = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        warnings.warn(
            f"{path}: the first row ({some}) is read as the names of the columns; :header=no reads it as data",
            stacklevel=4,
        )
    if header.index:
        warnings.warn(
            f"{path}: the first column has no name and is left out, as an index; name it to keep it",
            stacklevel=4,
        )
    return Raw(
        path,
        {path: array},
        y=parse_labels(y) if header.target is not None else None,
        columns=names,
        dtypes=tuple(column.dtype for column in table.columns),
        target=header.target_name,
        names=None if header.key is None else (header.key_name, table.keys),
        cells=tuple(column.cells for column in table.columns) if table.mixed else None,
        lines=lines,
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
        if cells is None:
            return
        if cells:
            yield reader.line_num, cells


class _Column:
    """Converts the cells of one column.

    Args:
        mark: the decimal mark.
        words: whether it is to be read as words.

    Attributes:
        words: the words so far; None of a column of numbers.
        late: whether words followed numbers.
        missing: whether a cell was missing.
    """

    def __init__(self, mark: str, *, words: bool) -> None:
        self.mark = mark
        self.words = Words() if words else None
        self.late = self.missing = False
        self._whole, self._started = True, False

    @property
    def cells(self) -> Cells:
        return Cells(None if self.words is None else tuple(self.words.words))

    @property
    def dtype(self) -> str:
        """int64 of whole numbers, written without a decimal point, float64 of others and with missing ones."""
        if self.words is not None:
            return "str"
        return "int64" if self._whole and not self.missing else "float64"

    def read(self, cells: Sequence[str]) -> np.ndarray:
        """The values of some cells, (n,), float64."""
        if self.words is None:
            values = _numbers(cells, self.mark)
            if values is not None:
                self._look(values, cells[0])
                return values
            if self._started:
                self.late = True
                return np.zeros(len(cells))
            self.words = Words()
        values = self.words.encode(cells)
        self.missing = self.missing or bool(np.isnan(values).any())
        return values

    def _look(self, values: np.ndarray, first: str) -> None:
        self._started = True
        gaps = np.isnan(values)
        if gaps.any():
            self.missing, values = True, values[~gaps]
        whole = (values == np.rint(values)) & (np.abs(values) < 2**53)
        self._whole = self._whole and bool(whole.all()) and not set(first) & set(".eE")


def _numbers(cells: Sequence[str], mark: str) -> np.ndarray | None:
    """Cells as numbers, (n,), float64; None if one of them is none."""
    if mark == "." and "_" not in "".join(
        cells
    ):  # Python reads 1_000 as a number, other readers of tables do not
        for each in (cells, map(_NAN.get, cells, cells)):
            try:
                return np.fromiter(map(float, each), np.float64, len(cells))
            except ValueError:
                continue  # some cell is missing, has its digits grouped, or is a word
    found = [parse_number(cell, mark) for cell in cells]
    return None if None in found else np.array(found, np.float64)


class _Table:
    """Converts lines to rows, and collects the labels and the problems on the way.

    Attributes:
        rows: rows read so far.
        lines: where each row stands in the file, block by block.
        labels: the cells of the target column.
        keys: what the rows are called.
    """

    def __init__(self, header: Header, marks: Sequence[str], words: set[str]) -> None:
        self.header = header
        names = header.names or tuple(f"x{i}" for i in range(header.features))
        self.columns = [
            _Column(marks[i] if i < len(marks) else ".", words=name in words)
            for i, name in zip(header.picked, names, strict=True)
        ]
        self._names = names
        self.rows = 0
        self.labels: list[str] = []
        self.keys: list[str] = []
        self.lines: list[np.ndarray] = []
        self._problems: list[tuple[int, str, str]] = []

    @property
    def late(self) -> set[str]:
        """The columns in which words followed numbers."""
        return {name for name, column in zip(self._names, self.columns, strict=True) if column.late}

    @property
    def mixed(self) -> bool:
        """Whether there are words or missing cells."""
        return any(column.words is not None or column.missing for column in self.columns)

    def blocks(self, records: Iterator[_Record]) -> Iterator[np.ndarray]:
        """Rows, (n, features), float64, a few hundred kilobytes at a time."""
        rows: list[list[str]] = []
        lines: list[int] = []
        size = max(1, _CELLS // self.header.features)
        for line, cells in records:
            if len(cells) != self.header.width:
                found = f"has {len(cells)} cells and not {self.header.width}"
                self._problems.append((line, found, "correct the line"))
                continue
            rows.append(cells)
            lines.append(line)
            if len(rows) == size:
                yield self._block(rows, lines)
                rows, lines = [], []
        if rows:
            yield self._block(rows, lines)

    def _block(self, rows: list[list[str]], lines: list[int]) -> np.ndarray:
        cells = list(zip(*rows, strict=True))
        block = np.empty((len(rows), self.header.features))
        for i, (place, column) in enumerate(zip(self.header.picked, self.columns, strict=True)):
            block[:, i] = column.read(cells[place])
        for row, i in np.argwhere(np.isinf(block)):
            where = f"{self.header.column(i)} is {block[row, i]}"
            self._problems.append((lines[row], where, "drop the row or fill the value in"))
        if self.header.target is not None:
            self._collect(cells[self.header.target], lines)
        if self.header.key is not None:
            self.keys += cells[self.header.key]
        if self.header.guess is not None:
            numbers = np.where([column.words is None for column in self.columns], block, np.nan)
            self.header.guess.update(numbers[1:] if not self.rows else numbers)
        self.rows += len(block)
        self.lines.append(np.array(lines))
        return block

    def _collect(self, labels: Sequence[str], lines: list[int]) -> None:
        for line, label in zip(lines, labels, strict=True):
            if not label.strip():
                where = f"column {self.header.target_name!r} is empty"
                self._problems.append((line, where, "fill it in, or drop the row"))
        self.labels += labels

    def check(self) -> None:
        """Check that there are rows, and no problems.

        Raises:
            PlausibleError: not so; the message lists all problems, the first _SHOWN in full.
        """
        path, problems = self.header.path, self._problems
        if len(problems) == 1:
            line, what, remedy = problems[0]
            raise PlausibleError(
                f"{path}, line {line}{'' if what.startswith('has') else ','} {what}: {remedy}"
            )
        if problems:
            shown = "; ".join(f"line {line}: {what}" for line, what, _ in sorted(problems)[:_SHOWN])
            more = f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
            remedies = dict.fromkeys(remedy for *_, remedy in problems)
            raise PlausibleError(f"{path}: {len(problems):,} problems: {shown}{more}: {', '.join(remedies)}")
        if not self.rows:
            raise PlausibleError(f"{path} has a header and no rows: check how it was saved")
