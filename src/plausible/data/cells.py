"""The cells of a table's columns before the columns' types are decided: numbers, words or times."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

__all__ = ["BOOLS", "MISSING", "Cells", "Words", "name_number", "parse_number", "parse_times", "to_number"]

MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "NaT", "<NA>", "?")
)
"""What a file may write for a missing cell."""

BOOLS = ("False", "True")
"""The words of a column of bools."""

_GROUP = "[1-9][0-9]{0,2}(?:[%s' \u00a0\u202f][0-9]{3})+"
_POINT = re.compile(rf"[+-]?{_GROUP % ','}(?:\.[0-9]*)?")
_COMMA = re.compile(rf"[+-]?(?:[0-9]+|{_GROUP % '.'})(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?|[+-]?,[0-9]+")
_GROUPING = str.maketrans("", "", "' \u00a0\u202f")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?")


@dataclass(frozen=True)
class Cells:
    """What the values of a column stand for; NaN is always a missing cell.

    Attributes:
        words: the value k stands for words[k]; None: the values are themselves meant.
        ordered: whether the words come in an order of their own.
        time: whether the values are seconds since 1970-01-01.
    """

    words: tuple[str, ...] | None = None
    ordered: bool = False
    time: bool = False

    @property
    def plain(self) -> bool:
        """Whether the values are numbers, or False and True as 0 and 1."""
        return not self.time and self.words in (None, BOOLS)


class Words(dict[str, float]):
    """Cells of text → 0, 1, 2, … in order of appearance, and NaN where they are missing.

    Args:
        missing: cells that count as missing.
        blanks: whether blanks around a cell are part of it.

    Attributes:
        words: the distinct cells.
    """

    def __init__(self, missing: Collection[str] = MISSING, *, blanks: bool = False) -> None:
        super().__init__()
        self.words: list[str] = []
        self._missing, self._blanks = missing, blanks

    def __missing__(self, cell: str) -> float:
        word = cell if self._blanks else cell.strip()
        if word in self._missing:
            code = np.nan
        elif word != cell:
            code = self[word]
        else:
            code = float(len(self.words))
            self.words.append(word)
        self[cell] = code
        return code

    def encode(self, cells: Iterable[str]) -> np.ndarray:
        """The codes of cells, (n,), float64."""
        return np.fromiter(map(self.__getitem__, cells), np.float64)


def to_number(cell: str, mark: str = ".") -> float | None:
    """The number that a cell is; None if it is none. 1_000 is none.

    Args:
        cell: without blanks around it. Digits may be grouped in threes: 1,234,567.8 or, with a decimal comma, 1.234,5.
        mark: the decimal point, or a comma.
    """
    if mark == ",":
        if not _COMMA.fullmatch(cell):
            return None
        return float(cell.translate(_GROUPING).replace(".", "").replace(",", "."))
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return float(cell.translate(_GROUPING).replace(",", "")) if _POINT.fullmatch(cell) else None


def parse_number(cell: str, mark: str = ".") -> float | None:
    """The same, with blanks around it, and NaN for a missing cell."""
    word = cell.strip()
    return np.nan if word in MISSING else to_number(word, mark)


def name_number(value: float) -> str:
    """A number as the name of a level: 3 for 3.0."""
    return str(int(value)) if value == int(value) else repr(float(value))


def parse_times(words: Iterable[str]) -> np.ndarray | None:
    """Dates and times as ISO 8601 writes them, 2024-05-31 or 2024-05-31 18:30:00, in seconds since 1970, (n,), float64.

    None if one of the words is none. A T may stand between date and time, a Z (for UTC) after it.
    """
    plain = [word.removesuffix("Z") for word in words]
    if not plain or not all(map(_ISO.fullmatch, plain)):
        return None
    try:
        return np.array(plain, "datetime64[us]").astype(np.int64) / 1e6
    except ValueError:  # the 31st of February
        return None
