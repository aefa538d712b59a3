"""Rows of a data set: stored in their original dtype (uint8, a memory map), converted to float32 when taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from plausible.data.binarization import FIXED_STREAM, binarize, stream_of_seed

if TYPE_CHECKING:
    from plausible.schema import Container, Domain

__all__ = ["BLOCK_BYTES", "FLOAT32_MAX", "Rows", "StoredRows", "take_rows"]

BLOCK_BYTES = 1 << 22
"""Size of a block in a pass over the rows, as float32."""
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class StoredRows:
    """All rows of a data set in their original dtype and layout, as one array or several consecutive ones.

    Attributes:
        name: how errors refer to it: a path, or the name of a data set.
        parts: arrays (n, *stored) of one dtype; memory maps stay memory maps.
        shape: shape of an example as returned, (d,) or (channels, height, width).
        domain: the values examples take after division by `scale`.
        scale: stored values are divided by this.
        channels_last: examples are stored (h, w, c) and returned (c, h, w).
        y: labels, (N,), int64, or None.
        labels: the name of each class in y.
        columns: the names of the features.
        offset: subtracted from each column in float64, (d,), or None.
        limited: whether values beyond float32's range are clipped to it.
        container: the container the rows came in.
        names: what the rows are called ("file", or the name of an index), and the name of each, (N,); or None.
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
    names: tuple[str, Sequence[str]] | None = None

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def stored(self, ids: np.ndarray) -> np.ndarray:
        """Rows in their stored dtype and layout, (B, *stored): a copy, in the order of ids."""
        return take_rows(self.parts, ids)

    def read(self, ids: np.ndarray) -> np.ndarray:
        """Rows as models see them, (B, *shape), float32, C-contiguous, writable."""
        raw = self.stored(ids)
        if self.channels_last:
            raw = np.moveaxis(raw, -1, 1)
        out = np.empty((len(ids), *self.shape), np.float32)
        raw = raw.reshape(out.shape)
        if self.offset is not None:
            raw = raw - self.offset
        if self.limited:
            raw = np.clip(raw, -FLOAT32_MAX, FLOAT32_MAX)
        if self.scale == 1.0:
            np.copyto(out, raw, casting="unsafe")
        else:
            np.divide(raw, np.float32(self.scale), out=out, casting="unsafe", dtype=np.float32)
        return out


def take_rows(parts: tuple[np.ndarray, ...], ids: np.ndarray) -> np.ndarray:
    """Index into consecutive arrays as if they were concatenated, (B, *stored): a copy, in the order of ids."""
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
    """One split: a selection of the stored rows, and how they are binarized when taken.

    Attributes:
        shape: shape of an example, (d,) or (channels, height, width).
        ids: indices of the rows in the whole data set, (n,), int64.
    """

    def __init__(
        self, table: StoredRows, ids: np.ndarray, binarization: Literal["fresh", "fixed"] | None = None
    ) -> None:
        self.shape = table.shape
        self.ids = ids
        self._table = table
        self._binarization = binarization
        self._size = max(1, BLOCK_BYTES // (4 * int(np.prod(table.shape))))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def domain(self) -> Domain:
        """The values the rows take."""
        return "binary" if self._binarization else self._table.domain

    @property
    def container(self) -> Container:
        """The container the rows came in."""
        return self._table.container

    @property
    def names(self) -> tuple[str, list[str]] | None:
        """What the rows are called ("file", or the name of an index), and the name of each; None without names."""
        if self._table.names is None:
            return None
        heading, names = self._table.names
        return heading, [names[row] for row in self.ids]

    @property
    def y(self) -> np.ndarray | None:
        """The rows' labels, (n,), int64, or None."""
        return None if self._table.y is None else self._table.y[self.ids]

    def take(self, rows: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """Some rows and their labels.

        Args:
            rows: indices into this split, (B,), integers in 0 … len-1, in any order; repeats are allowed.
            seed: random seed of the view `:binary`; the binarized row depends on (seed, row) alone.

        Returns:
            x, (B, *shape), float32, C-contiguous, a copy; and y, (B,), int64, or None.
        """
        ids = self.ids[rows]
        x = self._table.read(ids)
        if self._binarization is not None:
            binarize(x, FIXED_STREAM if self._binarization == "fixed" else stream_of_seed(seed), ids)
        return x, (None if self._table.y is None else self._table.y[ids])

    def blocks(self, size: int = 1000) -> Iterator[np.ndarray]:
        """All rows in order, (≤ size, *shape), float32; the view `:binary` is sampled with random seed 0."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))[0]

    def array(self) -> np.ndarray:
        """All rows in order, (n, *shape), float32; the view `:binary` is sampled with random seed 0."""
        out = np.empty((len(self), *self.shape), np.float32)
        start = 0
        for block in self.blocks(self._size):
            out[start : start + len(block)] = block
            start += len(block)
        return out
