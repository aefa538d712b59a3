"""Tables as aligned text for the terminal and as HTML for a notebook."""

from __future__ import annotations

import html
import itertools
import unicodedata
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from plausible.probability.tables import Conditional, Table

ROWS, COLUMNS = 40, 12  # what is printed of a large table; the rest is counted

Grid = tuple[list[str], list[list[str]], int]  # header, rows, how many columns label the row


def table_grid(table: Table) -> Grid:
    """One variable: a row an outcome. More: the last variable across, with the sums of rows and columns."""
    numbers = table.probabilities
    if len(table.names) == 1:
        return _grid(table.values, {"P": ("P",)}, numbers[:, None], bare=True)
    labels = dict(list(table.values.items())[:-1])
    header, rows, width = _grid(labels, {table.names[-1]: table.values[table.names[-1]]}, numbers)
    sums = _sums(numbers.reshape(-1, numbers.shape[-1]), len(header) - width, len(rows) < _size(labels))
    for row, total in zip(rows, [*sums[1], ""][: len(rows)], strict=True):
        row.append(total)
    return [*header, "sum"], [*rows, ["sum", *[""] * (width - 1), *sums[0]]], width


def conditional_grid(conditional: Conditional) -> Grid:
    """A row for each outcome of the given variables, the targets' outcomes across; NaN where P(condition) = 0."""
    return _grid(conditional.given, conditional.targets, conditional.probabilities)


def _sums(numbers: np.ndarray, columns: int, cut: bool) -> tuple[list[str], list[str]]:
    across = [_probability(p) for p in numbers.sum(axis=0)]
    down = [_probability(p) for p in numbers.sum(axis=1)]
    return [*_cut(across, columns), _probability(numbers.sum())], [*down[:ROWS], ""] if cut else down


def _grid(
    labels: Mapping[str, tuple[Hashable, ...]],
    across: Mapping[str, tuple[Hashable, ...]],
    numbers: np.ndarray,
    bare: bool = False,
) -> Grid:
    title = ",".join(across)
    heads = [", ".join(map(str, outcome)) for outcome in itertools.product(*across.values())]
    heads = heads if bare else [f"{title}={head}" if i == 0 else head for i, head in enumerate(heads)]
    flat = numbers.reshape(_size(labels), len(heads))
    shown = itertools.islice(itertools.product(*labels.values()), ROWS)
    keep = min(len(heads), COLUMNS + 1)
    rows = [
        [*map(str, outcome), *_cut([_probability(p) for p in row], keep)]
        for outcome, row in zip(shown, flat, strict=False)
    ]
    if len(flat) > ROWS:
        rows.append([f"… {len(flat) - ROWS} more", *[""] * (len(labels) - 1 + keep)])
    return [*labels, *_cut(heads, keep)], rows, len(labels)


def _cut(cells: list[str], keep: int) -> list[str]:
    """The first cells, and a last one that counts what is left out, when there are more than `keep`."""
    return cells if len(cells) <= keep else [*cells[: keep - 1], f"… {len(cells) - keep + 1} more"]


def _size(values: Mapping[str, tuple[Hashable, ...]]) -> int:
    return int(np.prod([len(outcomes) for outcomes in values.values()]))


def _probability(p: float) -> str:
    """Four decimals; smaller ones with their exponent, so that only a true zero reads 0."""
    if p == 0:
        return "0"
    return f"{p:.1e}" if p < 5e-5 else f"{p:.4f}"


def as_text(header: list[str], rows: list[list[str]], labels: int) -> str:
    """Columns aligned, labels to the left and numbers to the right; Korean letters count two places."""
    widths = [max(map(_width, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["─" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) if i < labels else " " * (width - _width(cell)) + cell
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def as_html(header: list[str], rows: list[list[str]], labels: int) -> str:
    """An HTML table; every cell is escaped."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>"
        + "".join(
            f"<{'th' if i < labels else 'td'}>{html.escape(cell)}</{'th' if i < labels else 'td'}>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
