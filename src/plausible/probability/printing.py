"""Tables as aligned text for the terminal and as HTML for a notebook."""

from __future__ import annotations

import html
import itertools
import unicodedata
from collections.abc import Hashable, Mapping

import numpy as np

__all__ = ["as_html", "as_text", "conditional_grid", "table_grid"]

_ROWS, _COLUMNS = 40, 12  # the most that is printed of a table; the rest is counted

_Grid = tuple[list[str], list[list[str]], int]  # header, rows, how many columns label the row


def table_grid(values: Mapping[str, tuple[Hashable, ...]], numbers: np.ndarray) -> _Grid:
    """The cells of a joint table.

    One variable: one row per outcome. More: the last variable's outcomes as columns, with sums of rows and columns.

    Args:
        values: variable → its outcomes.
        numbers: the probabilities, one axis per variable.
    """
    names = list(values)
    if len(names) == 1:
        return _grid(values, {"P": ("P",)}, numbers[:, None], bare=True)
    labels = {name: values[name] for name in names[:-1]}
    header, rows, width = _grid(labels, {names[-1]: values[names[-1]]}, numbers)
    sums = _sums(numbers.reshape(-1, numbers.shape[-1]), len(header) - width, len(rows) < _size(labels))
    for row, total in zip(rows, [*sums[1], ""][: len(rows)], strict=True):
        row.append(total)
    return [*header, "sum"], [*rows, ["sum", *[""] * (width - 1), *sums[0]]], width


def conditional_grid(
    targets: Mapping[str, tuple[Hashable, ...]],
    given: Mapping[str, tuple[Hashable, ...]],
    numbers: np.ndarray,
) -> _Grid:
    """The cells of P(targets | given): one row per outcome of the given variables, the targets' outcomes as columns.

    NaN where P(condition) = 0.
    """
    return _grid(given, targets, numbers)


def _sums(numbers: np.ndarray, columns: int, cut: bool) -> tuple[list[str], list[str]]:
    across = [_probability(p) for p in numbers.sum(axis=0)]
    down = [_probability(p) for p in numbers.sum(axis=1)]
    return [*_cut(across, columns), _probability(numbers.sum())], [*down[:_ROWS], ""] if cut else down


def _grid(
    labels: Mapping[str, tuple[Hashable, ...]],
    across: Mapping[str, tuple[Hashable, ...]],
    numbers: np.ndarray,
    bare: bool = False,
) -> _Grid:
    title = ",".join(across)
    heads = [", ".join(map(str, outcome)) for outcome in itertools.product(*across.values())]
    heads = heads if bare else [f"{title}={head}" if i == 0 else head for i, head in enumerate(heads)]
    flat = numbers.reshape(_size(labels), len(heads))
    shown = itertools.islice(itertools.product(*labels.values()), _ROWS)
    keep = min(len(heads), _COLUMNS + 1)
    rows = [
        [*map(str, outcome), *_cut([_probability(p) for p in row], keep)]
        for outcome, row in zip(shown, flat, strict=False)
    ]
    if len(flat) > _ROWS:
        rows.append([f"… {len(flat) - _ROWS} more", *[""] * (len(labels) - 1 + keep)])
    return [*labels, *_cut(heads, keep)], rows, len(labels)


def _cut(cells: list[str], keep: int) -> list[str]:
    """At most `keep` cells; if there are more, the last one counts those left out."""
    return cells if len(cells) <= keep else [*cells[: keep - 1], f"… {len(cells) - keep + 1} more"]


def _size(values: Mapping[str, tuple[Hashable, ...]]) -> int:
    return int(np.prod([len(outcomes) for outcomes in values.values()]))


def _probability(p: float) -> str:
    """Four decimals, or an exponent for small numbers, so that only a true zero is shown as 0."""
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
