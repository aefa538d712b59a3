"""`.csv`: a table of numbers, read once, a block of rows at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from plausible.data.checks import table_of
from plausible.data.rows import Table
from plausible.data.spool import Spool
from plausible.errors import PlausibleError

CELLS = 1 << 16
Record = tuple[int, list[str]]


def csv_table(path: str) -> Table:
    """Comma-separated numbers, UTF-8, in (rows, columns); blank lines are passed over.

    The first line is a header if none of its cells is a number.

    Raises:
        PlausibleError: with line and column: text, a missing value, NaN, infinity, a line of another length;
            a column without a name or with another's; an empty file; a file that is not text.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream, Spool(path) as spool:
            records = _records(path, csv.reader(stream, strict=True))
            names, width, records = _header(path, records)
            rows = 0
            for block in _blocks(path, records, names, width):
                spool.write(block)
                rows += len(block)
            if not rows:
                raise PlausibleError(f"{path} has a header and no rows: check how it was saved")
            array = spool.mapped(np.float32, (rows, width))
    except OSError as error:
        raise PlausibleError(
            f"{path} cannot be read ({error}): check the file and its permissions"
        ) from error
    return replace(table_of(path, {path: array}), columns=names)


def _records(path: str, reader) -> Iterator[Record]:
    """(line, cells), blank lines left out."""
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
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


def _header(path: str, records: Iterator[Record]) -> tuple[tuple[str, ...] | None, int, Iterable[Record]]:
    """The names, if there are any, the number of columns, and the records left to read."""
    first = next(records, None)
    if first is None:
        raise PlausibleError(f"{path} is empty: check how it was saved")
    line, cells = first
    numbers = [_is_number(cell) for cell in cells]
    if all(numbers):
        return None, len(cells), chain([first], records)
    if any(numbers):
        i = numbers.index(False)
        raise _bad_cell(path, line, cells, i, None, " (in a header, no name may be a number)")
    names = tuple(cell.strip() for cell in cells)
    for i, name in enumerate(names):
        if not name:
            raise PlausibleError(f"{path}, line {line}: column {i + 1} has no name: give it one, or drop it")
        if name in names[:i]:
            other = names.index(name) + 1
            raise PlausibleError(
                f"{path}, line {line}: columns {other} and {i + 1} are both {name!r}: rename one"
            )
    return names, len(names), records


def _blocks(
    path: str, records: Iterable[Record], names: tuple[str, ...] | None, width: int
) -> Iterator[np.ndarray]:
    """Rows as numbers, (n, width), float32, a few hundred kilobytes at a time."""
    rows: list[list[float]] = []
    lines: list[int] = []
    for line, cells in records:
        rows.append(_numbers(path, line, cells, names, width))
        lines.append(line)
        if len(rows) * width >= CELLS:
            yield _float32(path, rows, lines, names)
            rows, lines = [], []
    if rows:
        yield _float32(path, rows, lines, names)


def _numbers(
    path: str, line: int, cells: list[str], names: tuple[str, ...] | None, width: int
) -> list[float]:
    if len(cells) != width:
        raise PlausibleError(f"{path}, line {line} has {len(cells)} cells and not {width}: mend the line")
    try:
        if "_" not in "".join(cells):  # Python reads 1_000 as a number; a table does not mean it
            return [float(cell) for cell in cells]
    except ValueError:
        pass  # which cell it was is found below
    i = [_is_number(cell) for cell in cells].index(False)
    raise _bad_cell(path, line, cells, i, names)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _bad_cell(
    path: str, line: int, cells: list[str], i: int, names: tuple[str, ...] | None, note: str = ""
) -> PlausibleError:
    where = f"{path}, line {line}, {_column(i, names)}"
    if not cells[i].strip():
        return PlausibleError(f"{where} is empty{note}: fill in the value, or drop the row or the column")
    if len(cells) == 1 and (";" in cells[0] or "\t" in cells[0]):
        return PlausibleError(f"{where} is {cells[0]!r}: separate the columns by commas")
    return PlausibleError(
        f"{where}: {cells[i]!r} is not a number{note}: drop the column, or encode it as numbers"
    )


def _column(i: int, names: tuple[str, ...] | None) -> str:
    return f"column {names[i]!r}" if names else f"column {i + 1}"


def _float32(
    path: str, rows: list[list[float]], lines: list[int], names: tuple[str, ...] | None
) -> np.ndarray:
    exact = np.array(rows, np.float64)
    with np.errstate(over="ignore"):
        block = exact.astype(np.float32)
    if not np.isfinite(block).all():
        row, column = np.argwhere(~np.isfinite(block))[0]
        value = exact[row, column]
        fix = (
            "too large for float32: rescale it" if np.isfinite(value) else "drop the row or fill the value in"
        )
        raise PlausibleError(f"{path}, line {lines[row]}, {_column(column, names)} is {value}: {fix}")
    return block
