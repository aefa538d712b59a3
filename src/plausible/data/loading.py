"""Load data of any kind as rows with a domain, three splits, a schema and a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from plausible.data.binarization import GENERATOR
from plausible.data.columns import parse_types
from plausible.data.domains import Decision, build_schema, column_decimals, column_offsets, decide_domain
from plausible.data.labels import encode_labels
from plausible.data.matching import match_schema
from plausible.data.mixed import check_numbers, described, is_mixed, read_mixed
from plausible.data.raw import Raw
from plausible.data.reading import read, split_note, split_rows
from plausible.data.rows import BLOCK_BYTES, Rows, StoredRows
from plausible.data.scan import scan_values
from plausible.data.spec import Spec, split_spec
from plausible.errors import PlausibleError
from plausible.schema import Schema

if TYPE_CHECKING:
    from plausible.schema import Domain

__all__ = ["Data", "load", "load_rows"]


@dataclass(frozen=True, eq=False)
class Data:
    """A data set with its views applied.

    Attributes:
        spec: the SPEC as the user wrote it; for data in memory a description, "array of 60 × 3".
        shape: shape of one example, (d,) or (channels, height, width).
        domain: the values the examples take.
        train, valid, test: the splits.
        rows: all rows in their original order.
        hash: SHA-256 of the values and the splits after the views; equal values give equal hashes, however they are
            passed.
        schema: what a run stores about the data.
        source: the SPEC with an absolute path; None for data in memory.
        labels: the name of each class in `y`; None without labels.
        columns: the names of the features, if they have names.
        types: column → the type that the user asked for.
        dropped: the columns that the user left out.
        notes: what the user should know of how the data were read, a line each.
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
    types: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def base(self) -> str | None:
        """The named data set or path the rows come from; None for data in memory."""
        return None if self.source is None else split_spec(self.source).base


def load(
    data: Any,
    *,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    schema: Schema | None = None,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> Data:
    """Read data and check them.

    A row stays in its split under every view: `digits:class=3` tests on the threes among the test rows of `digits`.
    A float32 array is not copied: do not modify it while the data are in use.

    Args:
        data: a SPEC ("digits:class=3", "table.csv"), a path, a NumPy array, a torch tensor or map-style Dataset, a
            pandas, polars or pyarrow table, a list of PIL images, or a dict {"train": …, "valid": …, "test": …}
            of these or of pairs (x, y); missing "valid" and "test" splits are split off train.
        y: labels, one per row: whole numbers, bools or text, (n,) or (n, 1).
        target: the column of a table that is the label, not a feature.
        view: views for data without a SPEC, such as "binary", "class=3:binary" or "domain=unit".
        schema: the schema of the run the data are for; they are then read as `load_rows` reads them.
        columns: column of a table → its type, instead of the one found: real, integer, binary, category, ordinal,
            ordinal:LOW<…<HIGH or date. One with levels makes the table mixed.
        drop: columns of a table to leave out.

    Returns: the data; a `Data` is returned unchanged.

    Raises:
        PlausibleError: the data cannot be used: the message names file, row or column, and the fix.
    """
    if isinstance(data, Data):
        return data
    asked = parse_types(columns or {})
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    spec, source, raw = read(
        data, y=y, target=target, view=view, schema=schema, columns=columns or {}, drop=drop
    )
    numbers, names = _encoded_labels(raw)
    ids = _selected_ids(spec, raw, numbers, names)
    splits = split_rows(raw)
    if spec.label is not None:
        splits = {name: rows[np.isin(rows, ids)] for name, rows in splits.items()}
    for name, rows in splits.items():
        if not len(rows):
            raise PlausibleError(
                f"data {spec}: no rows are left for {name}: give more rows, or drop the view"
            )
    train = np.zeros(len(raw), bool)
    train[splits["train"]] = True
    digest = hashlib.sha256()
    whole = digest if spec.label is None else None
    if schema is not None:
        if schema.domain != "mixed" and raw.cells is None:
            scan_values(raw, train, whole)
        table = match_schema(raw, schema, spec, numbers, names, given=y is not None)
    elif is_mixed(raw, spec, asked):
        raw, schema = read_mixed(raw, spec, train, asked, drop, names)
        table = _stored_rows(raw, Decision("mixed", schema.rule), numbers, names)
    else:
        check_numbers(raw, asked)
        found = scan_values(raw, train, whole)
        decision = decide_domain(raw, found, spec)
        table = _stored_rows(raw, decision, numbers, names, column_offsets(raw, train, decision))
        decimals = column_decimals(raw, train, decision)
        schema = build_schema(raw, found, decision, table, spec.binarization, decimals, drop)
    _check_varies(spec, table, ids)
    if spec.label is not None or schema.domain == "mixed":
        for block in _blocks(table, ids):
            digest.update(block.reshape(-1).view(np.uint8).data)
    if schema.domain == "mixed":
        digest.update(described(schema))
    _hash_rest(digest, table, ids, splits, spec.binarization)
    others = "fixed" if spec.binarization else None
    return Data(
        str(spec),
        table.shape,
        "binary" if spec.binarization else table.domain,
        Rows(table, splits["train"], "fresh" if spec.binarization == "binary" else others),
        Rows(table, splits["valid"], others),
        Rows(table, splits["test"], others),
        Rows(table, ids, others),
        digest.hexdigest(),
        schema,
        source,
        table.labels,
        table.columns,
        dict(columns or {}),
        drop,
        split_note(raw) + raw.notes,
    )


def load_rows(
    data: Any, schema: Schema | None = None, *, y: Any = None, target: str | None = None, view: str = ""
) -> Rows:
    """Read all rows of some data in their original order, without splitting them; one row is enough.

    Args:
        data, y, target, view: as in `load`.
        schema: the schema of the run the rows are for. They are then read as the run's own rows were: columns in its
            order, values in its domain, labels by its names. None: as `load` reads them.

    Raises:
        PlausibleError: the data cannot be used, or do not match the schema: the message names file, row or column,
            and the fix.
    """
    spec, _, raw = read(data, y=y, target=target, view=view, schema=schema)
    numbers, names = _encoded_labels(raw)
    ids = _selected_ids(spec, raw, numbers, names)
    if schema is None and is_mixed(raw, spec, {}):
        raw, schema = read_mixed(raw, spec, np.ones(len(raw), bool), {}, (), names)
        table = _stored_rows(raw, Decision("mixed", schema.rule), numbers, names)
    elif schema is None:
        found = scan_values(raw)
        table = _stored_rows(raw, decide_domain(raw, found, spec), numbers, names)
    else:
        table = match_schema(raw, schema, spec, numbers, names, given=y is not None)
    return Rows(table, ids, "fixed" if spec.binarization else None)


def _encoded_labels(raw: Raw) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """The labels as class numbers, (N,), int64, and the class names; or None and None."""
    if raw.y is None or raw.labels is not None:
        return raw.y, raw.labels
    return encode_labels(raw.name, raw.y, len(raw))


def _stored_rows(
    raw: Raw,
    decision: Decision,
    y: np.ndarray | None,
    labels: tuple[str, ...] | None,
    offset: np.ndarray | None = None,
) -> StoredRows:
    """The rows, to be read as the decision says."""
    return StoredRows(
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
        names=raw.names,
    )


def _selected_ids(spec: Spec, raw: Raw, y: np.ndarray | None, labels: tuple[str, ...] | None) -> np.ndarray:
    """Indices of the rows that the view `class` keeps, in order, int64."""
    label = spec.label
    if label is None:
        return np.arange(len(raw))
    if y is None or labels is None:
        raise PlausibleError(f"data {spec}: {raw.name} has no labels: drop :class={label}")
    if label not in labels:
        some = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        raise PlausibleError(f"data {spec}: there is no label {label!r}: there is {some}")
    return np.flatnonzero(y == labels.index(label))


def _check_varies(spec: Spec, table: StoredRows, ids: np.ndarray) -> None:
    """Refuse constant data. Two different values are usually found in the first block."""
    first = None
    for block in _blocks(table, ids):
        first = block.flat[0] if first is None else first
        if (block != first).any():
            return
    raise PlausibleError(f"data {spec}: every value is {first}: nothing can be learned from constant data")


def _hash_rest(
    digest: Any, table: StoredRows, ids: np.ndarray, splits: dict[str, np.ndarray], binarization: str | None
) -> None:
    """Add to the hash, after the values: how they are converted, the labels, and the splits."""
    how = (
        table.shape,
        table.domain,
        table.scale,
        table.parts[0].dtype.str,
        table.channels_last,
        table.columns,
    )
    digest.update(repr((how, binarization and (binarization, GENERATOR))).encode())
    if table.y is not None:
        digest.update(repr(table.labels).encode())
        digest.update(table.y[ids].astype("<i8").tobytes())
    for name, rows in splits.items():
        digest.update(f"{name} {len(rows)}".encode())
        digest.update(rows.astype("<i8", copy=False).tobytes())


def _blocks(table: StoredRows, ids: np.ndarray) -> Iterator[np.ndarray]:
    """The stored rows in order, a few megabytes at a time."""
    size = max(1, BLOCK_BYTES // (4 * int(np.prod(table.shape))))
    for start in range(0, len(ids), size):
        yield table.stored(ids[start : start + size])
