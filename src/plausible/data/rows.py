"""Rows of a data set: stored as they came (uint8, a memory map), float32 when taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from plausible.data import draws

if TYPE_CHECKING:
    from plausible.schema import Container, Domain

BLOCK_BYTES = 1 << 22
"""How much a scan holds at a time, as float32."""
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Table:
    """All rows of a data set as they are stored, in one array or in several one after the other.

    Attributes:
        name: what errors call it: a path, or the name of a data set.
        parts: each (n, *stored), of one dtype; memory maps stay maps.
        shape: of an example as it is handed out: (d,) or (channels, height, width).
        domain: what values the examples take after division by `scale`.
        scale: what stored values are divided by.
        channels_last: stored (h, w, c), handed out (c, h, w).
        y: labels, (N,), int64, or None.
        labels: what each number in y stands for.
        columns: the names of the features.
        offset: subtracted from each column in float64, (d,), or None.
        limited: values beyond float32's range are taken for its limits.
        container: what the rows came in.
    """

    name: str
    parts: tuple[np.ndarray, ...]
    shape: tuple[int, ...]
    domain: Domain
    scale: float = 1.0
    channels_last: bool = False
    y: np.ndarray | None = None
    labels: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    offset: np.ndarray | None = None
    limited: bool = False
    container: Container = "file"

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def stored(self, ids: np.ndarray) -> np.ndarray:
        """Rows as they are stored, (B, *stored): a copy, in the order of ids."""
        return stored(self.parts, ids)

    def read(self, ids: np.ndarray) -> np.ndarray:
        """Rows as they are handed out, (B, *shape), float32, C-contiguous, writable."""
        raw = self.stored(ids)
        if self.channels_last:
            raw = np.moveaxis(raw, -1, 1)
        out = np.empty((len(ids), *self.shape), np.float32)
        raw = raw.reshape(out.shape)
        if self.offset is not None:
            raw = raw - self.offset
        if self.limited:
            raw = np.clip(raw, -LARGEST, LARGEST)
        if self.scale == 1.0:
            np.copyto(out, raw, casting="unsafe")
        else:
            np.divide(raw, np.float32(self.scale), out=out, casting="unsafe", dtype=np.float32)
        return out


def stored(parts: tuple[np.ndarray, ...], ids: np.ndarray) -> np.ndarray:
    """Rows of arrays that lie one after the other, (B, *stored): a copy, in the order of ids."""
    if len(parts) == 1:
        return parts[0][ids]
    out = np.empty((len(ids), *parts[0].shape[1:]), parts[0].dtype)
    start = 0
    for part in parts:
        here = np.flatnonzero((ids >= start) & (ids < start + len(part)))
        out[here] = part[ids[here] - start]
        start += len(part)
    return out


class Rows:
    """One split: which rows of a table, and what is done to them on the way out.

    Attributes:
        shape: of an example, (d,) or (channels, height, width).
        ids: the rows' places in the whole data set, (n,), int64.
    """

    def __init__(self, table: Table, ids: np.ndarray, drawn: Literal["fresh", "fixed"] | None = None) -> None:
        self.shape = table.shape
        self.ids = ids
        self._table = table
        self._drawn = drawn
        self._size = max(1, BLOCK_BYTES // (4 * int(np.prod(table.shape))))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def domain(self) -> Domain:
        """What values the rows take."""
        return "binary" if self._drawn else self._table.domain

    @property
    def container(self) -> Container:
        """What the rows came in."""
        return self._table.container

    @property
    def y(self) -> np.ndarray | None:
        """The rows' labels, (n,), int64, or None."""
        return None if self._table.y is None else self._table.y[self.ids]

    def take(self, rows: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """Some rows and their labels.

        Args:
            rows: places in this split, (B,), integers in 0 … len-1, any order, repeats allowed.
            seed: what a view that draws afresh draws from; the draw of a row depends on (seed, row) alone.

        Returns:
            x, (B, *shape), float32, C-contiguous and the caller's own; y, (B,), int64, or None.
        """
        ids = self.ids[rows]
        x = self._table.read(ids)
        if self._drawn is not None:
            draws.binarize(x, draws.FIXED if self._drawn == "fixed" else draws.fresh(seed), ids)
        return x, (None if self._table.y is None else self._table.y[ids])

    def blocks(self, size: int = 1000) -> Iterator[np.ndarray]:
        """All rows in order, (≤ size, *shape), float32; a view that draws afresh draws from seed 0."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))[0]

    def array(self) -> np.ndarray:
        """All rows in order, (n, *shape), float32; a view that draws afresh draws from seed 0."""
        out = np.empty((len(self), *self.shape), np.float32)
        start = 0
        for block in self.blocks(self._size):
            out[start : start + len(block)] = block
            start += len(block)
        return out
