"""Read anything a user calls data as `Raw`, with the loader from the table of sources, and split its rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plausible.data.matching import check_not_single
from plausible.data.raw import Raw
from plausible.data.sources import SOURCES, Source, dataset_names, import_function
from plausible.data.spec import Spec, check_views, known_data, parse_spec, views_of
from plausible.errors import PlausibleError
from plausible.schema import Schema

__all__ = ["read", "split_note", "split_rows"]


def read(
    data: Any,
    *,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    schema: Schema | None = None,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> tuple[Spec, str | None, Raw]:
    """Find the loader of some data and call it.

    Args:
        data: a SPEC, a path, or anything that the table of sources accepts.
        y: labels, if the data have none.
        target: the column of a table that is the label.
        view: further views.
        schema: the schema of the run the rows are for.
        columns: column → the type that the user asks for.
        drop: columns of a table to leave out.

    Returns:
        the SPEC, or for data in memory a description with the views; the SPEC with an absolute path, or None for data
        in memory; and the rows.

    Raises:
        PlausibleError: no loader reads such data, or the loader refuses them.
    """
    if isinstance(data, (str, os.PathLike)):
        spec = parse_spec(_text(data, target, view))
        raw = _call_loader(spec.source, spec.place, spec, schema=schema, columns=columns, drop=drop)
        where = spec.absolute
    else:
        source = _source_of_object(data)
        views = views_of(view) + ((f"target={target}",) if target is not None else ())
        check_views(view, views_of(view), source)
        if target is not None and "target" not in source.views:
            raise PlausibleError(f"target= names a column of a table, and this is: {source.name}: give y=")
        if schema is not None and source.name in ("array", "tensor"):
            check_not_single(tuple(data.shape), schema)
        raw = _call_loader(source, data, Spec(source.name, views), schema=schema, columns=columns, drop=drop)
        spec, where = Spec(raw.name, views), None
    if y is not None:
        if raw.y is not None:
            raise PlausibleError(f"{raw.name} has labels already: drop y=")
        raw = replace(raw, y=y)
    return spec, where, raw


def _text(data: str | os.PathLike[Any], target: str | None, view: str) -> str:
    text = os.fsdecode(os.fspath(data))
    if isinstance(data, os.PathLike) and text in dataset_names():
        text = f"./{text}"  # "ring" is the data set, Path("ring") the folder
    views = views_of(view)
    if target is not None:
        if ":" in target:
            raise PlausibleError(f"target={target!r}: a SPEC cannot name a column with a colon: rename it")
        views += (f"target={target}",)
    return ":".join((text, *views))


def _call_loader(source: Source, data: Any, spec: Spec, **more: Any) -> Raw:
    """Call a source's loader with the views and the other arguments that it takes."""
    if more["drop"] and "drop" not in source.views:
        raise PlausibleError(
            f"drop: {spec} has no columns with names: leave them out of {source.name} itself"
        )
    more = {name: value for name, value in more.items() if value and name in source.views}
    return import_function(source.loader)(data, **spec.options, **more)


def _source_of_object(data: Any) -> Source:
    """The first source that accepts an object.

    Raises:
        PlausibleError: no source does.
    """
    for source in SOURCES.values():
        if source.accepts and import_function(source.accepts)(data):
            return source
    raise PlausibleError(
        f"data of type {type(data).__module__}.{type(data).__qualname__} cannot be read: give "
        f"{', '.join(name for name, source in SOURCES.items() if source.accepts)}, a path or a SPEC "
        f"({known_data()}){_hint(data)}"
    )


def _hint(data: Any) -> str:
    if isinstance(data, tuple) and len(data) == 2:
        return "; of a pair (x, y) give x, and y=y"
    if isinstance(data, (list, tuple)):
        return "; of a list of rows, numpy.asarray(rows) makes an array"
    if hasattr(data, "collect"):
        return "; call .collect() first"
    if hasattr(data, "to_frame"):
        return "; .to_frame() makes a table of it"
    if hasattr(data, "toarray") or hasattr(data, "todense"):
        return "; .toarray() makes it dense"
    return ""


def split_rows(raw: Raw) -> dict[str, np.ndarray]:
    """Row indices of the splits, int64: the data's own splits, or 80/10/10 by a permutation with random seed 0.

    A missing valid or test split is a tenth of the train rows, by a permutation with random seed 0.

    Raises:
        PlausibleError: too few rows to split.
    """
    n, counts = len(raw), raw.counts
    if counts is None:
        _check_enough(raw, n, "train, valid and test need at least {} together")
        order = np.random.default_rng(0).permutation(n)
        return {
            "train": order[: n * 8 // 10],
            "valid": order[n * 8 // 10 : n * 9 // 10],
            "test": order[n * 9 // 10 :],
        }
    found, start = {}, 0
    for name, rows in counts.items():
        found[name] = np.arange(start, start + rows)
        start += rows
    missing = [name for name in ("valid", "test") if name not in found]
    if missing:
        train = found["train"]
        _check_enough(raw, len(train), f"splitting {' and '.join(missing)} off train takes at least {{}}")
        order, share = np.random.default_rng(0).permutation(train), len(train) // 10
        for name in reversed(missing):
            order, found[name] = order[:-share], order[-share:]
        found["train"] = order
    return {name: found[name] for name in ("train", "valid", "test")}


def split_note(raw: Raw) -> tuple[str, ...]:
    """Where the splits come from, a line, if the data have any of their own."""
    if raw.counts is None:
        return ()
    cut = [name for name in ("valid", "test") if name not in raw.counts]
    more = f"; {' and '.join(cut)}: a tenth of train{' each' if len(cut) > 1 else ''}" if cut else ""
    return (f"splits: {', '.join(raw.counts)} as in the data{more}",)


_FEWEST = 10


def _check_enough(raw: Raw, n: int, needs: str) -> None:
    if n < _FEWEST:
        raise PlausibleError(f"data {raw.name} has {n} rows: {needs.format(_FEWEST)}")
