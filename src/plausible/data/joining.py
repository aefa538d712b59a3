"""Give the tables of several splits one list of words a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from plausible.data.cells import Cells
from plausible.data.raw import Raw
from plausible.errors import PlausibleError

__all__ = ["join_cells"]


def join_cells(raws: Mapping[str, Raw]) -> dict[str, Raw]:
    """The splits of one table, with columns in one order, such that the same value stands for the same word in all.

    Raises:
        PlausibleError: a column holds words in one split, and numbers or dates in another.
    """
    if all(raw.cells is None for raw in raws.values()):
        return dict(raws)
    arrays = {
        name: {what: np.array(part, np.float64) for what, part in raw.parts.items()}
        for name, raw in raws.items()
    }
    first = next(iter(raws.values()))
    joined = []
    for i, column in enumerate(first.feature_names):
        kinds = {}
        for name, raw in raws.items():
            if not all(np.isnan(part[:, i]).all() for part in arrays[name].values()):
                kinds[name] = Cells() if raw.cells is None else raw.cells[i]
        joined.append(_join_column(column, i, kinds, arrays))
    return {
        name: replace(raw, parts=arrays[name], cells=tuple(joined), dtypes=first.dtypes)
        for name, raw in raws.items()
    }


def _join_column(
    column: str, i: int, kinds: Mapping[str, Cells], arrays: Mapping[str, Mapping[str, np.ndarray]]
) -> Cells:
    """What the i-th column of all splits stands for; the codes of its words are changed in place."""
    what = {
        name: "words" if cells.words is not None else "dates" if cells.time else "numbers"
        for name, cells in kinds.items()
    }
    if len(set(what.values())) > 1:
        said = ", ".join(f"{held} in {name}" for name, held in what.items())
        raise PlausibleError(f"column {column!r} holds {said}: give all splits the same")
    cells = next(iter(kinds.values()), Cells())
    if cells.words is None:
        return cells
    codes: dict[str, int] = {}
    for each in kinds.values():
        for word in each.words or ():
            codes.setdefault(word, len(codes))
    for name, each in kinds.items():
        new = np.array([codes[word] for word in each.words or ()], np.float64)
        for part in arrays[name].values():
            there = ~np.isnan(part[:, i])
            part[there, i] = new[part[there, i].astype(np.int64)]
    return Cells(tuple(codes), cells.ordered)
