"""What a loader returns: values as they came, before anybody has decided how models see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from plausible.data.checks import check_form, layout
from plausible.errors import PlausibleError
from plausible.schema import Container, Domain

BLOCK_BYTES = 1 << 20
"""How much a scan holds at a time: what fits into a processor's cache."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Rows as they came.

    Attributes:
        name: what errors call them: a path, the name of a data set, "array of 60 × 3".
        parts: what errors call each array → (n, *stored), of one dtype, not copied.
        y: labels as they came, (N,) or (N, 1), of whole numbers, bools or text; None without.
        labels: what each number in y stands for, where y is 0 … K-1 already.
        columns: the names of the features, of a table whose columns have names.
        numbered: the names are whole numbers, as pandas gives them.
        dtypes: of the columns, in their library's words.
        counts: split → rows, in the order of the rows, where the data bring splits of their own.
        container: what the data came in.
        dtype: of the values as they came, where it is not that of the parts.
        domain, scale: where the source knows them: what the values divided by `scale` are.
        target: the column that y came from.
        last: whether channels are stored last, where the source knows it.
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

    def __post_init__(self) -> None:
        """Check the arrays' form.

        Raises:
            PlausibleError: an array that is no rows of numbers, or arrays that do not fit together.
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
        """One array, (n, d), (n, h, w) or (n, h, w, c); further attributes by name."""
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
        """Of an example as models see it: (d,) or (channels, height, width)."""
        if self.last:
            return (self.stored[-1], *self.stored[:-1])
        return layout(self.name, (1, *self.stored))[0]

    @property
    def channels_last(self) -> bool:
        """Stored (h, w, c), handed out (c, h, w)."""
        return layout(self.name, (1, *self.stored))[1] if self.last is None else self.last

    @property
    def picture(self) -> bool:
        """Whether an example is a picture."""
        return len(self.shape) == 3

    def blocks(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """(what errors call the array, first row in it, (≤ size, *stored)): slices, C-contiguous, in order."""
        size = max(1, BLOCK_BYTES // max(1, self.values_dtype.itemsize * int(np.prod(self.stored))))
        for what, part in self.parts.items():
            for start in range(0, len(part), size):
                yield what, start, np.ascontiguousarray(part[start : start + size])

    def first(self, wrong: Callable[[np.ndarray], np.ndarray]) -> tuple[str, Any] | None:
        """Where the first value lies for which `wrong` is true of its block, in words, and the value."""
        for what, start, block in self.blocks():
            bad = wrong(block)
            if bad.any():
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                return f"{what}: row {start + place[0]}, {self.where(place[1:])}", block[place]
        return None

    def where(self, place: tuple[int, ...]) -> str:
        """A column or pixel in words."""
        if self.picture:
            return f"pixel {place} (counted from 0)"
        if self.columns is not None:
            return f"column {self.columns[place[0]]!r} (rows counted from 0)"
        return f"column {place[0]} (counted from 0)"


def text_of_shape(shape: tuple[int, ...]) -> str:
    """(60, 3) → "60 × 3"."""
    return " × ".join(str(side) for side in shape) or "no axes"
