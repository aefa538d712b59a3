"""What a loader returns: the values as they came, before it is decided how models see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from plausible.data.cells import Cells
from plausible.data.checks import check_form, layout
from plausible.errors import PlausibleError
from plausible.schema import Container, Domain

__all__ = ["Raw", "format_shape"]

_BLOCK_BYTES = 1 << 20
"""Size of a block in a pass over the values; it fits into a processor's cache."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Rows as they came.

    Attributes:
        name: how errors refer to them: a path, the name of a data set, "array of 60 × 3".
        parts: name of each array in errors → the array, (n, *stored), all of one dtype, not copied.
        y: labels as they came, (N,) or (N, 1), of whole numbers, bools or text; None without labels.
        labels: the class names, if y is 0 … K-1 already.
        columns: the names of the features of a table with column names.
        numbered: whether the names are integers, as pandas numbers columns.
        dtypes: dtypes of the columns, as named by their library.
        counts: split → number of rows, in the order of the rows, if the data have their own splits.
        container: the container the data came in.
        dtype: dtype of the values as they came, if it differs from that of the parts.
        domain, scale: the domain of the values divided by `scale`, if the source knows it.
        target: the column that y came from.
        last: whether channels are stored last, if the source knows it.
        names: what the rows are called ("file", or the name of an index), and the name of each, (N,); None: numbers do.
        cells: what the values of each column of a table with words or missing cells stand for; None: for themselves,
            and none is missing.
        lines: where each row stands in its file, (N,); None: not known.
        dropped: columns of the table that were left out.
        fit: how pictures were brought to a size, if they were.
        notes: what the user should know of how the data were read, a line each.
    """

    name: str
    parts: Mapping[str, np.ndarray]
    y: Any = None
    labels: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    numbered: bool = False
    dtypes: tuple[str, ...] | None = None
    counts: Mapping[str, int] | None = None
    container: Container = "file"
    dtype: str = ""
    domain: Domain | None = None
    scale: float = 1.0
    target: str | None = None
    last: bool | None = None
    names: tuple[str, Sequence[str]] | None = None
    cells: tuple[Cells, ...] | None = None
    lines: np.ndarray | None = None
    dropped: tuple[str, ...] = ()
    fit: Literal["crop", "pad"] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the shapes and dtypes of the arrays.

        Raises:
            PlausibleError: an array that cannot be rows of numbers, or arrays that do not fit together.
        """
        first_name, first = next(iter(self.parts.items()))
        for what, part in self.parts.items():
            check_form(what, part.shape, part.dtype)
            if (part.shape[1:], part.dtype) != (first.shape[1:], first.dtype):
                raise PlausibleError(
                    f"{first_name} holds rows of {first.shape[1:]} {first.dtype} and {what} rows of "
                    f"{part.shape[1:]} {part.dtype}: save the splits with one shape and one dtype"
                )

    @classmethod
    def of(cls, name: str, x: np.ndarray, **more: Any) -> Raw:
        """Rows from one array, (n, d), (n, h, w) or (n, h, w, c); further attributes by name."""
        return cls(name, {name: x}, **more)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of an example as it came."""
        return next(iter(self.parts.values())).shape[1:]

    @property
    def values_dtype(self) -> np.dtype:
        """The dtype of the parts."""
        return next(iter(self.parts.values())).dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an example as models see it: (d,) or (channels, height, width)."""
        if self.last:
            return (self.stored[-1], *self.stored[:-1])
        return layout(self.name, (1, *self.stored))[0]

    @property
    def channels_last(self) -> bool:
        """Whether examples are stored (h, w, c) and converted to (c, h, w)."""
        return layout(self.name, (1, *self.stored))[1] if self.last is None else self.last

    @property
    def picture(self) -> bool:
        """Whether an example is a picture."""
        return len(self.shape) == 3

    def blocks(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """Consecutive slices: (name of the array in errors, index of the first row, (≤ size, *stored))."""
        size = max(1, _BLOCK_BYTES // max(1, self.values_dtype.itemsize * int(np.prod(self.stored))))
        for what, part in self.parts.items():
            for start in range(0, len(part), size):
                yield what, start, np.ascontiguousarray(part[start : start + size])

    def first(self, wrong: Callable[[np.ndarray], np.ndarray]) -> tuple[str, Any] | None:
        """The position, in words, and the value of the first entry that `wrong` marks; None if there is none."""
        for what, start, block in self.blocks():
            bad = wrong(block)
            if bad.any():
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                return f"{what}: row {start + place[0]}, {self.where(place[1:])}", block[place]
        return None

    def reordered(self, order: Sequence[int]) -> Raw:
        """The rows with these columns, in this order."""

        def picked(each: Sequence[Any] | None) -> Any:
            return None if each is None else tuple(each[i] for i in order)

        return replace(
            self,
            parts={what: part[:, order] for what, part in self.parts.items()},
            columns=picked(self.columns),
            dtypes=picked(self.dtypes),
            cells=picked(self.cells),
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of a table's columns; x0, x1, … where it has none."""
        return self.columns or tuple(f"x{i}" for i in range(self.shape[0]))

    def where_row(self, row: int) -> str:
        """A row, for error messages: its line in the file, or its number."""
        return f"row {row} (counted from 0)" if self.lines is None else f"line {self.lines[row]}"

    def where(self, place: tuple[int, ...]) -> str:
        """A column or pixel, for error messages."""
        if self.picture:
            return f"pixel {place} (counted from 0)"
        if self.columns is not None:
            return f"column {self.columns[place[0]]!r} (rows counted from 0)"
        return f"column {place[0]} (counted from 0)"


def format_shape(shape: tuple[int, ...]) -> str:
    """(60, 3) → "60 × 3"."""
    return " × ".join(str(side) for side in shape) or "no axes"
