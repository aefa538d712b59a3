"""A SPEC becomes data: the table it names, its views, its three splits and its hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plausible.data import draws
from plausible.data.rows import BLOCK_BYTES, Rows, Table
from plausible.data.spec import NAMED, Spec, parse
from plausible.errors import PlausibleError
from plausible.schema import Column, Schema

if TYPE_CHECKING:
    from plausible.game import Domain

FEWEST = 10


@dataclass(frozen=True, eq=False)
class Data:
    """A data set through its views.

    Attributes:
        spec: as the user wrote it.
        shape: of one example, (d,) or (channels, height, width).
        domain: what values the examples take.
        train, valid, test: the splits.
        rows: all rows in their own order.
        hash: SHA-256 of what the view holds and of its splits; the same for any way to write the same view.
        labels: what each number in `y` stands for; None without labels.
        columns: the features' names, where the file has a header.
    """

    spec: str
    shape: tuple[int, ...]
    domain: Domain
    train: Rows
    valid: Rows
    test: Rows
    rows: Rows
    hash: str
    labels: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None

    @property
    def base(self) -> str | None:
        """The named data set or path that the rows are from; None for data that were handed over in memory."""
        return None if self.source is None else parse(self.source).base

    @property
    def source(self) -> str | None:
        """The SPEC with an absolute path; None for data that were handed over in memory."""
        parsed = parse(self.spec)
        base = parsed.base if parsed.base in NAMED else os.path.abspath(parsed.base)  # noqa: PTH100
        return ":".join((base, *parsed.views))

    @property
    def schema(self) -> Schema:
        """What the run stores of the rows."""
        names = self.columns or tuple(f"x{i}" for i in range(self.shape[0]))
        columns = tuple(Column(name=name, kind="real", low=0, high=1) for name in names)
        return Schema(
            shape=self.shape,
            domain=self.domain,
            layout=self.shape,
            columns=columns if len(self.shape) == 1 else None,
            named=self.columns is not None,
            labels=self.labels,
        )


def load(spec: str) -> Data:
    """Read what a SPEC names and check it.

    Rows keep their split under every view: `digits:class=3` tests on the threes among `digits`' test rows.

    Raises:
        PlausibleError: the SPEC or the data are unfit: the message names file, row or column, and the fix.
    """
    parsed, table, everything = _read(spec)
    splits = {name: ids[np.isin(ids, everything)] for name, ids in _splits(table).items()}
    for name, ids in splits.items():
        if not len(ids):
            raise PlausibleError(f"data {spec}: no row is left for {name}: give more rows, or drop the view")
    _check_varies(spec, table, everything)
    hashed = _hash(table, everything, splits, parsed.drawn)
    others = "fixed" if parsed.drawn else None
    fresh = "fresh" if parsed.drawn == "binary" else others
    return Data(
        spec,
        table.shape,
        "binary" if parsed.drawn else table.domain,
        Rows(table, splits["train"], fresh),
        Rows(table, splits["valid"], others),
        Rows(table, splits["test"], others),
        Rows(table, everything, others),
        hashed,
        table.labels,
        table.columns,
    )


def load_rows(spec: str) -> Rows:
    """All rows of what a SPEC names, in their own order; where nothing is split or learnt, one row is enough.

    They are the rows that `load(spec).rows` has.

    Raises:
        PlausibleError: the SPEC or the data are unfit: the message names file, row or column, and the fix.
    """
    parsed, table, ids = _read(spec)
    return Rows(table, ids, "fixed" if parsed.drawn else None)


def _read(spec: str) -> tuple[Spec, Table, np.ndarray]:
    """The SPEC in parts, its table, and the row numbers that its views leave, in order."""
    parsed = parse(spec)
    table = _table(parsed)
    ids = np.arange(len(table))
    if parsed.label is not None:
        ids = ids[_with_label(spec, table, parsed.label)]
    if parsed.drawn:
        _check_drawable(spec, table, parsed.drawn)
    return parsed, table, ids


def _table(spec: Spec) -> Table:
    """Read the base. Each reader is imported when it is needed: digits know nothing of Pillow."""
    match spec.kind:
        case "digits" | "ring" | "grid" as name:
            from plausible.data import builtin

            return {"digits": builtin.digits, "ring": builtin.ring, "grid": builtin.grid}[name]()
        case "mnist":
            from plausible.data.mnist import mnist

            return mnist()
        case "npy":
            from plausible.data.arrays import npy_table

            return npy_table(spec.base)
        case "npz":
            from plausible.data.arrays import npz_table

            return npz_table(spec.base)
        case "csv":
            from plausible.data.csvfile import csv_table

            return csv_table(spec.base)
        case "folder":
            from plausible.data.images import folder_table

            return folder_table(spec.base)


def _splits(table: Table) -> dict[str, np.ndarray]:
    """Row numbers of the splits, int64: the data's own, or 80/10/10 by one permutation of seed 0."""
    n = len(table)
    if table.ends is not None:
        order, (first, second, end) = np.arange(n), table.ends
    else:
        if n < FEWEST:
            raise PlausibleError(
                f"data {table.name} has {n} rows: train, valid and test need at least {FEWEST} together"
            )
        order, first, second, end = np.random.default_rng(0).permutation(n), n * 8 // 10, n * 9 // 10, n
    return {"train": order[:first], "valid": order[first:second], "test": order[second:end]}


def _with_label(spec: str, table: Table, label: str) -> np.ndarray:
    """Which rows have the label, (N,), bool."""
    if table.y is None or table.labels is None:
        raise PlausibleError(f"data {spec}: {table.name} has no labels: drop :class={label}")
    if label not in table.labels:
        some = ", ".join(table.labels[:20]) + (", …" if len(table.labels) > 20 else "")
        raise PlausibleError(f"data {spec}: there is no label {label!r}: there is {some}")
    return table.y == table.labels.index(label)


def _check_varies(spec: str, table: Table, ids: np.ndarray) -> None:
    """There must be two different values somewhere; most data show them in the first block."""
    first = None
    for block in _blocks(table, ids):
        first = block.flat[0] if first is None else first
        if (block != first).any():
            return
    raise PlausibleError(f"data {spec}: every value is {first}: nothing can be learnt from constant data")


def _check_drawable(spec: str, table: Table, view: str) -> None:
    if table.domain == "binary":
        raise PlausibleError(f"data {spec}: {table.name} is binary already: drop :{view}")
    if table.domain == "real":
        raise PlausibleError(
            f"data {spec}: :{view} draws from grey levels in [0, 1] and {table.name} has values outside: "
            f"drop :{view}, or rescale the values to [0, 1]"
        )


def _hash(table: Table, ids: np.ndarray, splits: dict[str, np.ndarray], drawn: str | None) -> str:
    """SHA-256 of the stored values and labels in order, of how they are handed out, and of the splits."""
    how = (
        table.shape,
        table.domain,
        table.scale,
        table.parts[0].dtype.str,
        table.channels_last,
        table.columns,
    )
    digest = hashlib.sha256(repr((how, drawn and (drawn, draws.NAME))).encode())
    for block in _blocks(table, ids):
        digest.update(block.tobytes())
    if table.y is not None:
        digest.update(repr(table.labels).encode())
        digest.update(table.y[ids].astype("<i8").tobytes())
    for name, rows in splits.items():
        digest.update(f"{name} {len(rows)}".encode())
        digest.update(rows.astype("<i8").tobytes())
    return digest.hexdigest()


def _blocks(table: Table, ids: np.ndarray) -> Iterator[np.ndarray]:
    """Stored rows a few megabytes at a time, in order."""
    size = max(1, BLOCK_BYTES // (4 * int(np.prod(table.shape))))
    for start in range(0, len(ids), size):
        yield table.stored(ids[start : start + size])
