"""Conditions on the rows of a table, such as `age > 60 and income == ">50K"`: parsed here, never evaluated as code.

    condition  = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" condition ")" | comparison
    comparison = column ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value
               | column [ "not" ] "in" "(" value { "," value } ")"
               | column "is" [ "not" ] "missing"
    column     = a name of letters, digits, _ and . | any name in `backticks`
    value      = a number | "words" | 'words'

A comparison with a missing cell is false, `!=` and `not in` too. Words are compared with < and > only in a column of
ordered levels, by their order; dates as text: "2024-05-31".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plausible.data.restoring import level_values, restore_columns
from plausible.errors import PlausibleError
from plausible.schema import Column, Schema

__all__ = ["parse_where"]

Condition = Callable[[Sequence[np.ndarray]], np.ndarray]
"""Columns in their original form, (n,) each → which rows meet it, (n,), bool."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))|"(?P<double>[^"]*)"|'(?P<single>[^']*)'"""
    r"""|`(?P<quoted>[^`]+)`|(?P<name>[^\W\d][\w.]*)|(?P<sign>==|!=|<=|>=|[<>(),]))"""
)
_COMPARED = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class _Token:
    """A piece of a condition: number, words, column (a name in backticks), name or sign; or the end."""

    kind: str
    text: str
    at: int


def parse_where(text: str, schema: Schema) -> Callable[[np.ndarray], np.ndarray]:
    """A condition as a function of samples, (n, d) as models see them → which meet it, (n,), bool.

    Args:
        text: the condition.
        schema: of the run: its columns.

    Raises:
        PlausibleError: it is not of the grammar above, names no column, or compares what cannot be compared; the
            message says where.
    """
    if schema.columns is None:
        raise PlausibleError("--where needs a table: pictures have no columns")
    condition = _Parser(text, schema.columns).parsed()
    return lambda values: condition(restore_columns(values, schema, generated=True))


class _Parser:
    def __init__(self, text: str, columns: Sequence[Column]) -> None:
        self.text, self.columns = text, columns
        self.tokens, self.next = self._cut(), 0

    def _cut(self) -> list[_Token]:
        found, at = [], 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise self._error("this is no number, name, words in quotes or sign", _Token("", "", at))
            kind, start = str(match.lastgroup), match.start(match.lastgroup or 0)
            kind = {"double": "words", "single": "words", "quoted": "column"}.get(kind, kind)
            found.append(_Token(kind, match.group(match.lastgroup or 0), start))
            at = match.end()
        return [*found, _Token("end", "the end", len(self.text))]

    def _error(self, what: str, token: _Token) -> PlausibleError:
        rest = self.text[token.at :].strip()
        where = f"at {rest[:20]!r}" if rest else "at its end"
        return PlausibleError(f"--where {self.text!r}, {where}: {what}")

    def _take(self, *texts: str) -> bool:
        """Whether the next token is one of these words or signs; if so it is passed."""
        token = self.tokens[self.next]
        if token.kind not in ("name", "sign") or token.text not in texts:
            return False
        self.next += 1
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"{text!r} is missing here", self.tokens[self.next])

    def parsed(self) -> Condition:
        found = self._any()
        if self.tokens[self.next].kind != "end":
            raise self._error("expected and, or, or the end", self.tokens[self.next])
        return found

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return lambda columns: np.logical_or.reduce([part(columns) for part in parts])

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return lambda columns: np.logical_and.reduce([part(columns) for part in parts])

    def _one(self) -> Condition:
        if self._take("not"):
            part = self._one()
            return lambda columns: ~part(columns)
        if self._take("("):
            part = self._any()
            self._need(")")
            return part
        return self._comparison()

    def _comparison(self) -> Condition:
        i = self._column()
        if self._take("is"):
            wanted = not self._take("not")
            self._need("missing")
            return lambda columns: _missing(columns[i]) == wanted
        negated = self._take("not")
        if negated or self.tokens[self.next].text == "in":
            self._need("in")
            return self._membership(i, negated=negated)
        token = self.tokens[self.next]
        if not self._take(*_COMPARED):
            raise self._error(f"expected one of {' '.join(_COMPARED)}, in, or is missing", token)
        compare, value = _COMPARED[token.text], self._value(i, ordered=token.text not in ("==", "!="))
        return lambda columns: _compared(columns[i], self.columns[i], compare, value)

    def _membership(self, i: int, *, negated: bool) -> Condition:
        self._need("(")
        values = [self._value(i)]
        while self._take(","):
            values.append(self._value(i))
        self._need(")")

        def within(columns: Sequence[np.ndarray]) -> np.ndarray:
            each = [_compared(columns[i], self.columns[i], operator.eq, value) for value in values]
            found = np.logical_or.reduce(each)
            return ~found & ~_missing(columns[i]) if negated else found

        return within

    def _column(self) -> int:
        token, names = self.tokens[self.next], [column.name for column in self.columns]
        if token.kind not in ("name", "column"):
            raise self._error("expected the name of a column", token)
        if token.text not in names:
            raise self._error(f"there is no column {token.text!r}: the columns are {', '.join(names)}", token)
        self.next += 1
        return names.index(token.text)

    def _value(self, i: int, *, ordered: bool = False) -> Any:
        """A value that a column's cells can be compared with: a number, a date, or words."""
        token, column = self.tokens[self.next], self.columns[i]
        if token.kind not in ("number", "words"):
            raise self._error("expected a number, or words in quotes", token)
        self.next += 1
        if column.unit is not None:
            try:
                return np.datetime64(token.text, "us")
            except ValueError:
                raise self._error(f'{column.name!r} holds dates: write "2024-05-31"', token) from None
        if column.levels is None:
            if token.kind != "number":
                raise self._error(f"{column.name!r} holds numbers: write one without quotes", token)
            return float(token.text)
        if ordered and column.kind != "ordinal":
            raise self._error(f"the levels of {column.name!r} have no order: use ==, != or in", token)
        if token.text not in column.levels:
            some = ", ".join(map(repr, column.levels[:10])) + (", …" if len(column.levels) > 10 else "")
            raise self._error(f"{column.name!r} has no level {token.text!r}: there is {some}", token)
        return token.text


def _missing(cells: np.ndarray) -> np.ndarray:
    if cells.dtype == object:
        return np.array([cell is None for cell in cells], bool)
    return np.isnat(cells) if cells.dtype.kind == "M" else np.isnan(cells)


def _compared(
    cells: np.ndarray, column: Column, compare: Callable[[Any, Any], Any], value: Any
) -> np.ndarray:
    there = ~_missing(cells)
    found = np.zeros(len(cells), bool)
    if column.levels is not None:
        codes = _codes(cells[there], column)
        found[there] = compare(codes, column.levels.index(value))
    else:
        found[there] = compare(cells[there], value)
    return found


def _codes(cells: np.ndarray, column: Column) -> np.ndarray:
    """The codes of levels, given as they stand in the table: words, numbers, or False and True."""
    levels = list(column.levels or ()) if cells.dtype == object else level_values(column)
    places = {level: code for code, level in enumerate(levels)}
    return np.array([places[cell] for cell in cells.tolist()], np.int64)
