"""Data of any kind become rows with a domain, three splits, a schema and a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plausible.data import draws
from plausible.data.domains import Decision, decide, offsets, schema_of
from plausible.data.labels import numbered
from plausible.data.matching import conformed
from plausible.data.raw import Raw
from plausible.data.reading import numbered_splits, read
from plausible.data.rows import BLOCK_BYTES, Rows, Table
from plausible.data.scan import survey
from plausible.data.spec import Spec, cut
from plausible.errors import PlausibleError
from plausible.schema import Schema

if TYPE_CHECKING:
    from plausible.schema import Domain


@dataclass(frozen=True, eq=False)
class Data:
    """A data set through its views.

    Attributes:
        spec: as the user wrote it; of data in memory a description, "array of 60 × 3".
        shape: of one example, (d,) or (channels, height, width).
        domain: what values the examples take.
        train, valid, test: the splits.
        rows: all rows in their own order.
        hash: SHA-256 of what the view holds and of its splits; the same for any way to hand over the same values.
        schema: what a run stores of the data.
        source: the SPEC with an absolute path; None for data in memory.
        labels: what each number in `y` stands for; None without labels.
        columns: the features' names, where they have some.
    """

    spec: str
    shape: tuple[int, ...]
    domain: Domain
    train: Rows
    valid: Rows
    test: Rows
    rows: Rows
    hash: str
    schema: Schema
    source: str | None = None
    labels: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None

    @property
    def base(self) -> str | None:
        """The named data set or path that the rows are from; None for data that were handed over in memory."""
        return None if self.source is None else cut(self.source).base


def load(
    data: Any, *, y: Any = None, target: str | None = None, view: str = "", schema: Schema | None = None
) -> Data:
    """Read data and check them.

    Rows keep their split under every view: `digits:class=3` tests on the threes among `digits`' test rows.
    A float32 array is not copied: leave it as it is while the data are in use.

    Args:
        data: a SPEC ("digits:class=3", "table.csv"), a path, a NumPy array, a torch tensor or map-style Dataset, a
            pandas, polars or pyarrow table, a list of PIL images, or a dict {"train": …, "valid": …, "test": …}
            of these or of pairs (x, y); "valid" and "test" may be missing and are then cut from train.
        y: labels, one a row: whole numbers, bools or text, (n,) or (n, 1).
        target: the column of a table that is the label, not a feature.
        view: views for data without a SPEC, such as "binary", "class=3:binary" or "domain=unit".
        schema: of the run that the data are for: they are then read as its own were, see `load_rows`.

    Returns: the data; `Data` come back as they are.

    Raises:
        PlausibleError: the data are unfit: the message names file, row or column, and the fix.
    """
    if isinstance(data, Data):
        return data
    spec, source, raw = read(data, y=y, target=target, view=view, schema=schema)
    numbers, names = labelled(raw)
    ids = _chosen(spec, raw, numbers, names)
    splits = numbered_splits(raw)
    if spec.label is not None:
        splits = {name: rows[np.isin(rows, ids)] for name, rows in splits.items()}
    for name, rows in splits.items():
        if not len(rows):
            raise PlausibleError(f"data {spec}: no row is left for {name}: give more rows, or drop the view")
    train = np.zeros(len(raw), bool)
    train[splits["train"]] = True
    digest = hashlib.sha256()
    found = survey(raw, train, digest if spec.label is None else None)
    if schema is None:
        decision = decide(raw, found, spec)
        table = table_of(raw, decision, numbers, names, offsets(raw, train, decision))
        schema = schema_of(raw, found, decision, table, spec.drawn)
    else:
        table = conformed(raw, schema, spec, numbers, names, given=y is not None)
    _check_varies(spec, table, ids)
    if spec.label is not None:
        for block in _blocks(table, ids):
            digest.update(block.reshape(-1).view(np.uint8).data)
    _hash_rest(digest, table, ids, splits, spec.drawn)
    others = "fixed" if spec.drawn else None
    return Data(
        str(spec),
        table.shape,
        "binary" if spec.drawn else table.domain,
        Rows(table, splits["train"], "fresh" if spec.drawn == "binary" else others),
        Rows(table, splits["valid"], others),
        Rows(table, splits["test"], others),
        Rows(table, ids, others),
        digest.hexdigest(),
        schema,
        source,
        table.labels,
        table.columns,
    )


def load_rows(
    data: Any, schema: Schema | None = None, *, y: Any = None, target: str | None = None, view: str = ""
) -> Rows:
    """All rows of some data, in their own order; where nothing is split or learnt, one row is enough.

    Args:
        data, y, target, view: as of `load`.
        schema: of the run that the rows are for. They are then read as its own rows were: columns in its order,
            values in its domain, labels by its names. None: as `load` reads them.

    Raises:
        PlausibleError: the data are unfit, or not such as the schema describes: the message names file, row or
            column, and the fix.
    """
    spec, _, raw = read(data, y=y, target=target, view=view, schema=schema)
    numbers, names = labelled(raw)
    ids = _chosen(spec, raw, numbers, names)
    if schema is None:
        found = survey(raw)
        table = table_of(raw, decide(raw, found, spec), numbers, names)
    else:
        table = conformed(raw, schema, spec, numbers, names, given=y is not None)
    return Rows(table, ids, "fixed" if spec.drawn else None)


def labelled(raw: Raw) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """The labels as numbers, (N,), int64, and their names; or None and None."""
    if raw.y is None or raw.labels is not None:
        return raw.y, raw.labels
    return numbered(raw.name, raw.y, len(raw))


def table_of(
    raw: Raw,
    decision: Decision,
    y: np.ndarray | None,
    labels: tuple[str, ...] | None,
    offset: np.ndarray | None = None,
) -> Table:
    """The rows ready to be taken, as the decision says."""
    return Table(
        raw.name,
        tuple(raw.parts.values()),
        raw.shape,
        decision.domain,
        decision.scale,
        raw.channels_last,
        y=y,
        labels=labels,
        columns=raw.columns,
        offset=offset,
        container=raw.container,
    )


def _chosen(spec: Spec, raw: Raw, y: np.ndarray | None, labels: tuple[str, ...] | None) -> np.ndarray:
    """The row numbers that the view `class` leaves, in order, int64."""
    label = spec.label
    if label is None:
        return np.arange(len(raw))
    if y is None or labels is None:
        raise PlausibleError(f"data {spec}: {raw.name} has no labels: drop :class={label}")
    if label not in labels:
        some = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        raise PlausibleError(f"data {spec}: there is no label {label!r}: there is {some}")
    return np.flatnonzero(y == labels.index(label))


def _check_varies(spec: Spec, table: Table, ids: np.ndarray) -> None:
    """There must be two different values somewhere; most data show them in the first block."""
    first = None
    for block in _blocks(table, ids):
        first = block.flat[0] if first is None else first
        if (block != first).any():
            return
    raise PlausibleError(f"data {spec}: every value is {first}: nothing can be learnt from constant data")


def _hash_rest(
    digest: Any, table: Table, ids: np.ndarray, splits: dict[str, np.ndarray], drawn: str | None
) -> None:
    """After the values: how they are handed out, the labels, and the splits."""
    how = (
        table.shape,
        table.domain,
        table.scale,
        table.parts[0].dtype.str,
        table.channels_last,
        table.columns,
    )
    digest.update(repr((how, drawn and (drawn, draws.NAME))).encode())
    if table.y is not None:
        digest.update(repr(table.labels).encode())
        digest.update(table.y[ids].astype("<i8").tobytes())
    for name, rows in splits.items():
        digest.update(f"{name} {len(rows)}".encode())
        digest.update(rows.astype("<i8", copy=False).tobytes())


def _blocks(table: Table, ids: np.ndarray) -> Iterator[np.ndarray]:
    """Stored rows a few megabytes at a time, in order."""
    size = max(1, BLOCK_BYTES // (4 * int(np.prod(table.shape))))
    for start in range(0, len(ids), size):
        yield table.stored(ids[start : start + size])
