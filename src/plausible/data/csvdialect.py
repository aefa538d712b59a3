"""Find how a `.csv` file is written: its encoding, the delimiter, and the decimal mark of each column.

- The encoding is UTF-16 if the file begins with its byte order mark, else UTF-8, else (with a warning) Windows-1252.
- The delimiter is the one of `,` `;` tab `|` that cuts nearly all of the first lines into equally many cells, at least
  two, and leaves the fewest of the others (apart from commas) and of quotes within them.
- A column has decimal commas if each of its first cells can be read so and not all can be read with a decimal point.
  Where both are possible (1,234) it is as the other columns are; without any, a comma is a decimal mark unless the
  cells are separated by commas, and a point is one.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from plausible.data.cells import MISSING, to_number
from plausible.errors import PlausibleError

__all__ = ["decimal_marks", "find_delimiter", "find_encoding", "read_sample"]

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 1 << 17
_ROWS = 500
_AGREE = 0.9
"""The share of the first lines that must have as many cells."""


def find_encoding(path: str) -> str:
    """UTF-16 or UTF-8, by the first bytes.

    Raises:
        PlausibleError: the file is not text.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as stream:
        start = stream.read(_SAMPLE)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in start:
        raise PlausibleError(f"{path} is not text (it holds NUL bytes): save it as UTF-8 .csv")
    return "utf-8-sig"


def read_sample(path: str, encoding: str) -> list[str]:
    """The first whole lines of a file."""
    with Path(path).open(newline="", encoding=encoding) as stream:
        text = stream.read(_SAMPLE)
    lines = text.splitlines(keepends=True)
    return lines if len(text) < _SAMPLE else lines[:-1] or lines


def find_delimiter(sample: Sequence[str]) -> str:
    """The character that separates the cells; a comma where none does."""
    found: list[tuple[bool, float, str]] = []
    for delimiter in DELIMITERS:
        rows = _rows(sample, delimiter)
        if not rows:
            continue
        width, count = Counter(map(len, rows)).most_common(1)[0]
        if width < 2:
            continue
        others = {*DELIMITERS, '"'} - {delimiter, ","}
        cells = [cell for row in rows for cell in row]
        crossed = sum(1 for cell in cells if others & set(cell)) / len(cells)
        found.append((count < _AGREE * len(rows), crossed, delimiter))
    return min(found, key=lambda one: one[:2])[2] if found else ","


def decimal_marks(sample: Sequence[str], delimiter: str) -> tuple[str, ...]:
    """The decimal mark of each column, "." or ",", by the first lines but the very first one."""
    rows = _rows(sample, delimiter)[1:]
    if not rows:
        return ()
    width = max(map(len, rows))
    columns = [[row[i].strip() for row in rows if i < len(row)] for i in range(width)]
    columns = [[cell for cell in cells if cell not in MISSING] for cells in columns]
    decided = [_mark(cells) for cells in columns]
    return tuple(
        mark or _mark_like_others(cells, decided, delimiter)
        for cells, mark in zip(columns, decided, strict=True)
    )


def _mark(cells: list[str]) -> str:
    """The only decimal mark that all the cells can be read with; empty where there are two, or none."""
    marks = [mark for mark in ".," if all(to_number(cell, mark) is not None for cell in cells)]
    return marks[0] if len(marks) == 1 else ""


def _mark_like_others(cells: list[str], decided: list[str], delimiter: str) -> str:
    if "," in decided and "." not in decided:
        return ","
    if "." in decided or delimiter == ",":
        return "."
    return "," if any("," in cell for cell in cells) else "."


def _rows(sample: Sequence[str], delimiter: str) -> list[list[str]]:
    """The first lines, cut; [] if their quotes do not close."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO("".join(sample), newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > _ROWS:
                break
    except csv.Error:
        return []
    return rows
