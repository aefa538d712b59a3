"""Decide whether the first line of a `.csv` file holds the column names.

It does if none of its cells is a number. If only some are, that is an error. A line of numbers is a header if they are
whole, written as such, and

- ascend, and no column contains its own number (0, 1, 2, …: what pandas writes for columns without names); or
- are years, 1900 to 2100, and no column consists of such years alone.

A single number is a name only if it is 0 or a year. `:header=yes` and `:header=no` override this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = ["Header", "is_number", "read_header"]

_YEARS = (1900, 2100)


class _HeaderGuess:
    """A first line of whole numbers that may be a header, depending on the rows that follow.

    Attributes:
        names: the numbers as written.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._numbers = np.array([float(name) for name in names])
        ascend = bool((np.diff(self._numbers) > 0).all()) and (len(names) > 1 or names == ("0",))
        self._unheld = np.full(len(names), ascend)
        self._years = np.full(len(names), bool(_years(self._numbers).all()))
        self._only_years = np.ones(len(names), bool)

    @classmethod
    def about(cls, cells: list[str]) -> _HeaderGuess | None:
        """None if the line cannot be a header."""
        names = tuple(cell.strip() for cell in cells)
        if len(set(names)) < len(names) or not all(name.isascii() and name.isdigit() for name in names):
            return None
        guess = cls(names)
        return guess if guess._unheld.all() or guess._years.all() else None

    def update(self, block: np.ndarray) -> None:
        """Take rows after the first into account, (n, columns)."""
        self._unheld &= (block != self._numbers).all(axis=0)
        self._only_years &= _years(block).all(axis=0)

    def is_header(self) -> bool:
        """The decision, given all rows seen."""
        return bool(self._unheld.all() or (self._years.all() and not self._only_years.any()))


def _years(x: np.ndarray) -> np.ndarray:
    return (x == np.rint(x)) & (x >= _YEARS[0]) & (x <= _YEARS[1])


@dataclass(frozen=True)
class Header:
    """The columns, as the first line describes them.

    Attributes:
        path: of the file.
        width: cells per line.
        present: whether the first line certainly holds names.
        names: the names of the features, in order; None without names.
        target: the index of the label in a line; None without one.
        target_name: its name.
        guess: set if the first line may be a header, to be decided by the rows.
    """

    path: str
    width: int
    present: bool
    names: tuple[str, ...] | None = None
    target: int | None = None
    target_name: str | None = None
    guess: _HeaderGuess | None = None

    @property
    def features(self) -> int:
        """The number of columns without the label."""
        return self.width - (self.target is not None)

    def column(self, i: int) -> str:
        """The i-th feature, for error messages."""
        return f"column {self.names[i]!r}" if self.names else f"column {i + 1}"

    def bad_cell(self, line: int, cells: list[str], i: int, note: str = "") -> PlausibleError:
        """The error for a cell, the i-th feature of a line, that is not a number."""
        where = f"{self.path}, line {line}, {self.column(i)}"
        if not cells[i].strip():
            return PlausibleError(f"{where} is empty{note}: fill in the value, or drop the row or the column")
        if len(cells) == 1 and (";" in cells[0] or "\t" in cells[0]):
            return PlausibleError(f"{where} is {cells[0]!r}: separate the columns by commas")
        label = f"; if it is the label, write :target={self.names[i]}" if self.names else ""
        return PlausibleError(
            f"{where}: {cells[i]!r} is not a number{note}: drop the column, or encode it as numbers{label}"
        )


def read_header(
    path: str,
    first: tuple[int, list[str]],
    header: str | None,
    target: str | None,
    schema: Schema | None,
) -> Header:
    """Read the first line, given as (line number, cells).

    Raises:
        PlausibleError: names and numbers mixed, a column without a name, two with one name, an unknown target.
    """
    line, cells = first
    names = tuple(cell.strip() for cell in cells)
    numbers = [is_number(cell) for cell in cells]
    known = target in names or (schema is not None and schema.named and set(schema.names or ()) <= set(names))
    if header == "no" or (header is None and all(numbers) and not known):
        if target is not None:
            raise PlausibleError(
                f"{path} has no column names, so no column {target!r}: write :header=yes if it has"
            )
        uncertain = header is None and not (schema is not None and schema.named)
        guess = _HeaderGuess.about(cells) if uncertain else None
        return Header(path, len(cells), False, guess=guess)
    if header is None and any(numbers) and not all(numbers):
        bare = Header(path, len(cells), False)
        raise bare.bad_cell(
            line, cells, numbers.index(False), " (in a header, no column name may be a number)"
        )
    _check_names(path, line, names)
    if target is not None and target not in names:
        raise PlausibleError(f"{path} has no column {target!r} for :target=: there is {', '.join(names)}")
    if target is None and schema is not None and schema.target in names:
        target = schema.target
    if target is None:
        return Header(path, len(cells), True, names)
    features = tuple(name for name in names if name != target)
    if not features:
        raise PlausibleError(f"{path} has no column but the target {target!r}: add the features")
    return Header(path, len(cells), True, features, names.index(target), target)


def _check_names(path: str, line: int, names: tuple[str, ...]) -> None:
    for i, name in enumerate(names):
        if not name:
            raise PlausibleError(f"{path}, line {line}: column {i + 1} has no name: give it one, or drop it")
        if name in names[:i]:
            other = names.index(name) + 1
            raise PlausibleError(
                f"{path}, line {line}: columns {other} and {i + 1} are both {name!r}: rename one"
            )


def is_number(cell: str) -> bool:
    """Whether a cell is a number; 1_000 is not."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
