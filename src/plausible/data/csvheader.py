"""Decide whether the first line of a `.csv` file holds the column names.

It does if none of its cells is a number. If only some are, `:header=` must say. A line of numbers is a header if they
are whole, written as such, and

- ascend, and no column contains its own number (0, 1, 2, …: what pandas writes for columns without names); or
- are years, 1900 to 2100, and no column consists of such years alone.

A single number is a name only if it is 0 or a year. `:header=yes` and `:header=no` override this. A first column
without a name is an index, as pandas and R write one, and is left out with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = ["Header", "read_header"]

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
        picked: where the features stand in a line.
        names: the names of the features, in order; None without names.
        target: the index of the label in a line; None without one.
        target_name: its name.
        index: whether the first column is left out since it has no name.
        key: the column that says what each row is called: that index, else the first left out; None without.
        key_name: its name.
        guess: set if the first line may be a header, to be decided by the rows.
    """

    path: str
    width: int
    present: bool
    picked: tuple[int, ...]
    names: tuple[str, ...] | None = None
    target: int | None = None
    target_name: str | None = None
    index: bool = False
    key: int | None = None
    key_name: str = "index"
    guess: _HeaderGuess | None = None

    @property
    def features(self) -> int:
        """The number of columns that are read as features."""
        return len(self.picked)

    def column(self, i: int) -> str:
        """The i-th feature, for error messages."""
        return f"column {self.names[i]!r}" if self.names else f"column {self.picked[i] + 1}"


def read_header(
    path: str,
    first: tuple[int, list[str]],
    header: str | None,
    *,
    number: Callable[[str], float | None],
    target: str | None = None,
    drop: Sequence[str] = (),
    schema: Schema | None = None,
) -> Header:
    """Read the first line, given as (line number, cells).

    Args:
        path: of the file.
        first: the line's number and its cells.
        header: "yes", "no" or None, as the view says.
        number: the number that a cell is, or None.
        target: the column that is the label.
        drop: columns to leave out.
        schema: of the run the rows are for.

    Raises:
        PlausibleError: names and numbers mixed, a column without a name, two with one name, an unknown target.
    """
    line, cells = first
    names = tuple(cell.strip() for cell in cells)
    numbers = [number(cell) is not None for cell in cells]
    asked = {*drop, *((target,) if target is not None else ())}
    known = bool(asked & set(names))
    if schema is not None and schema.named:
        known = known or set(schema.names or ()) <= set(names)
    if header == "no" or (header is None and all(numbers) and not known):
        if asked:
            raise PlausibleError(
                f"{path} has no column names, so no column {min(asked)!r}: write :header=yes if it has"
            )
        uncertain = header is None and not (schema is not None and schema.named)
        guess = _HeaderGuess.about(cells) if uncertain else None
        return Header(path, len(cells), False, tuple(range(len(cells))), guess=guess)
    if header is None and any(numbers) and not known:
        raise PlausibleError(
            f"{path}, line {line} holds numbers ({names[numbers.index(True)]}) and words "
            f"({names[numbers.index(False)] or 'an empty cell'}): write "
            ":header=yes if these are names, :header=no if it is a row"
        )
    index = _check_names(path, line, names)
    if target is None and schema is not None and schema.target in names:
        target = schema.target
    left_out = {*drop, *(schema.dropped if schema is not None else ())} - {target}
    unknown = [name for name in (*drop, *((target,) if target else ())) if name not in names]
    if unknown:
        what = ":target=" if unknown[0] == target else "--drop"
        raise PlausibleError(f"{path} has no column {unknown[0]!r} for {what}: there is {', '.join(names)}")
    picked = tuple(
        i
        for i, name in enumerate(names)
        if name != target and name not in left_out and not (index and i == 0)
    )
    if not picked:
        raise PlausibleError(
            f"{path} has no column but {', '.join(map(repr, asked or names))}: add the features"
        )
    place = None if target is None else names.index(target)
    key = next((i for i in range(len(names)) if i not in picked and i != place), None)
    return Header(
        path,
        len(cells),
        True,
        picked,
        tuple(names[i] for i in picked),
        place,
        target,
        index,
        key,
        "index" if key is None else names[key] or "index",
    )


def _check_names(path: str, line: int, names: tuple[str, ...]) -> bool:
    """Whether the first of several columns is an index, without a name; all others have one of their own."""
    problems = []
    for i, name in enumerate(names):
        if not name and (i or len(names) == 1):
            problems.append(f"column {i + 1} has no name: give it one, or drop it")
        elif name in names[:i]:
            problems.append(f"columns {names.index(name) + 1} and {i + 1} are both {name!r}: rename one")
    if problems:
        raise PlausibleError(f"{path}, line {line}: {'; '.join(problems)}")
    return not names[0]
