"""Does the first line of a .csv hold the columns' names?

It does if none of its cells is a number, and it does not if some are (an error says so). Of a line of numbers it
does if they are whole, written as such, and

- ascend, and no column holds its own (0, 1, 2, …: what pandas writes for columns without names); or
- are years, 1900 to 2100, and no column holds only such years.

A single number is a name only if it is 0 or a year. `:header=yes` and `:header=no` decide otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plausible.errors import PlausibleError
from plausible.schema import Schema

YEARS = (1900, 2100)


class Doubt:
    """A first line of whole numbers that may be a header: the columns decide.

    Attributes:
        names: the numbers as they are written.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._numbers = np.array([float(name) for name in names])
        ascend = bool((np.diff(self._numbers) > 0).all()) and (len(names) > 1 or names == ("0",))
        self._unheld = np.full(len(names), ascend)
        self._years = np.full(len(names), bool(_years(self._numbers).all()))
        self._only_years = np.ones(len(names), bool)

    @classmethod
    def about(cls, cells: list[str]) -> Doubt | None:
        """None if the line cannot be a header."""
        names = tuple(cell.strip() for cell in cells)
        if len(set(names)) < len(names) or not all(name.isascii() and name.isdigit() for name in names):
            return None
        doubt = cls(names)
        return doubt if doubt._unheld.all() or doubt._years.all() else None

    def see(self, block: np.ndarray) -> None:
        """Rows after the first, (n, columns)."""
        self._unheld &= (block != self._numbers).all(axis=0)
        self._only_years &= _years(block).all(axis=0)

    def is_header(self) -> bool:
        """What all rows say."""
        return bool(self._unheld.all() or (self._years.all() and not self._only_years.any()))


def _years(x: np.ndarray) -> np.ndarray:
    return (x == np.rint(x)) & (x >= YEARS[0]) & (x <= YEARS[1])


@dataclass(frozen=True)
class Form:
    """What the first line says of the columns.

    Attributes:
        path: of the file.
        width: cells in a line.
        header: whether the first line is certainly no row.
        names: of the features, in order; None without.
        target: the place of the label in a line; None without.
        target_name: its name.
        doubt: whether the first line is names after all.
    """

    path: str
    width: int
    header: bool
    names: tuple[str, ...] | None = None
    target: int | None = None
    target_name: str | None = None
    doubt: Doubt | None = None

    @property
    def features(self) -> int:
        """How many columns are not the label."""
        return self.width - (self.target is not None)

    def column(self, i: int) -> str:
        """The i-th feature in words."""
        return f"column {self.names[i]!r}" if self.names else f"column {i + 1}"

    def bad_cell(self, line: int, cells: list[str], i: int, note: str = "") -> PlausibleError:
        """The error that the i-th feature of a line is no number."""
        where = f"{self.path}, line {line}, {self.column(i)}"
        if not cells[i].strip():
            return PlausibleError(f"{where} is empty{note}: fill in the value, or drop the row or the column")
        if len(cells) == 1 and (";" in cells[0] or "\t" in cells[0]):
            return PlausibleError(f"{where} is {cells[0]!r}: separate the columns by commas")
        label = f"; if it is the label, write :target={self.names[i]}" if self.names else ""
        return PlausibleError(
            f"{where}: {cells[i]!r} is not a number{note}: drop the column, or encode it as numbers{label}"
        )


def form_of(
    path: str,
    first: tuple[int, list[str]],
    header: str | None,
    target: str | None,
    schema: Schema | None,
) -> Form:
    """Read the first line, (line, cells).

    Raises:
        PlausibleError: names and numbers mixed, a column without a name, two of one name, no such target.
    """
    line, cells = first
    names = tuple(cell.strip() for cell in cells)
    numbers = [is_number(cell) for cell in cells]
    known = target in names or (schema is not None and schema.named and set(schema.names or ()) <= set(names))
    if header == "no" or (header is None and all(numbers) and not known):
        if target is not None:
            raise PlausibleError(
                f"{path} has no names of columns, so none called {target!r}: write :header=yes if it has"
            )
        guess = header is None and not (schema is not None and schema.named)
        doubt = Doubt.about(cells) if guess else None
        return Form(path, len(cells), False, doubt=doubt)
    if header is None and any(numbers) and not all(numbers):
        bare = Form(path, len(cells), False)
        raise bare.bad_cell(line, cells, numbers.index(False), " (in a header, no name may be a number)")
    _check_names(path, line, names)
    if target is not None and target not in names:
        raise PlausibleError(f"{path} has no column {target!r} for :target=: there is {', '.join(names)}")
    if target is None and schema is not None and schema.target in names:
        target = schema.target
    if target is None:
        return Form(path, len(cells), True, names)
    features = tuple(name for name in names if name != target)
    if not features:
        raise PlausibleError(f"{path} has no column but the target {target!r}: add the features")
    return Form(path, len(cells), True, features, names.index(target), target)


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
    """Whether a cell is one; 1_000 is not."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
