"""Read tables of pandas, polars and pyarrow through narwhals, and Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from plausible.data.cells import Cells
from plausible.data.raw import Raw, format_shape
from plausible.errors import PlausibleError
from plausible.schema import Container, Schema

__all__ = ["LIBRARIES", "from_frame", "is_frame", "read_parquet"]

LIBRARIES = ("pandas", "polars", "pyarrow")


def is_frame(data: Any) -> bool:
    """Whether data are an in-memory table of one of `LIBRARIES`."""
    import narwhals as nw

    try:
        table = nw.from_native(data, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        return True  # `from_frame` raises the error
    return isinstance(table, nw.DataFrame) and nw.get_native_namespace(data).__name__ in LIBRARIES


def from_frame(
    data: Any,
    *,
    target: str | None = None,
    schema: Schema | None = None,
    drop: Sequence[str] = (),
    name: str | None = None,
) -> Raw:
    """Read a table as (n, d), float64: numbers, the places of words in a list, seconds of times, NaN where missing.

    float32 if every column is, and no cell is missing.

    Args:
        data: the table.
        target: the column that is the label.
        schema: the schema of the run the rows are for; its target column, if present, is the label.
        drop: columns to leave out.
        name: how errors refer to a table that was read from a file.

    Raises:
        PlausibleError: an unknown target, two columns of one name, columns of lists, durations or of several kinds of
            objects (the message names all of them).
    """
    import narwhals as nw

    what = name or f"DataFrame of {format_shape(data.shape)}"
    names, numbered = _names(what, data)
    table = nw.from_native(data, eager_only=True)
    library = cast(Container, nw.get_native_namespace(data).__name__)
    for option, wanted in (("target=", [target] if target is not None else []), ("drop=", drop)):
        if unknown := [column for column in wanted if column not in names]:
            raise PlausibleError(
                f"{what} has no column {unknown[0]!r} for {option}: there is {', '.join(names)}"
            )
    if target is None and schema is not None and schema.target in names:
        target = schema.target
    left_out = {*drop, *(schema.dropped if schema is not None else ())}
    features = [i for i, column in enumerate(names) if column != target and column not in left_out]
    if not features or not len(table):
        raise PlausibleError(f"{what} has no {'rows' if features else 'columns left'}: check how it was made")
    series = {names[i]: table[:, i] for i in features}
    if schema is not None and schema.named and library in LIBRARIES:
        from plausible.data.matching import check_names

        if not (numbered and list(series) == [str(i) for i in range(len(features))]):
            check_names(what, list(series), schema)
    columns = _read_columns(what, series)
    mixed = any(not cells.plain or np.isnan(values).any() for values, cells in columns)
    single = all(values.dtype == np.float32 for values, _ in columns) and not mixed
    kind = np.float32 if single else np.float64
    own = not (numbered and target is None and names == [str(i) for i in range(len(names))])
    return Raw.of(
        what,
        np.column_stack([values.astype(kind, copy=False) for values, _ in columns]),
        y=None if target is None else _labels(table[:, names.index(target)]),
        columns=tuple(series) if own else None,
        numbered=numbered,
        dtypes=tuple(_dtype(one, library) for one in series.values()),
        container="file" if name else library,
        target=target,
        names=_keys(table, [name for name in names if name in left_out and name != target])
        or (_index(data) if library == "pandas" else None),
        cells=tuple(cells for _, cells in columns) if mixed else None,
    )


def _dtype(series: Any, library: str) -> str:
    native = series.to_native()
    return str(native.type if library == "pyarrow" else native.dtype)


def _read_columns(name: str, series: dict[str, Any]) -> list[tuple[np.ndarray, Cells]]:
    """The columns; those that cannot be read are named together."""
    from plausible.data.framecells import read_column

    found, problems = [], []
    for column, one in series.items():
        try:
            found.append(read_column(one))
        except PlausibleError as error:
            problems.append(f"{column} ({error})")
    if problems:
        raise PlausibleError(
            f"{name}: not numbers, words or dates: {', '.join(problems)}: leave these columns out, drop=[…], or "
            "convert them"
        )
    return found


def read_parquet(
    path: str, *, target: str | None = None, schema: Schema | None = None, drop: Sequence[str] = ()
) -> Raw:
    """Read a `.parquet` file, as `from_frame`.

    Raises:
        PlausibleError: pyarrow is not installed, or this is no Parquet file.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PlausibleError(
            f"{path}: reading Parquet needs pyarrow: pip install 'plausible[parquet]', or save the table as .csv"
        ) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        said = " ".join(str(error).split())
        raise PlausibleError(f"{path} cannot be read as Parquet ({said}): save it again") from error
    return from_frame(table, target=target, schema=schema, drop=drop, name=path)


def _keys(table: Any, left_out: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """What the rows are called by the first column that is left out; None if none is."""
    return (left_out[0], [str(value) for value in table[left_out[0]]]) if left_out else None


def _index(data: Any) -> tuple[str, list[str]] | None:
    """The name and the entries of a pandas index as text; None where it only counts the rows from 0."""
    import pandas

    if isinstance(data.index, pandas.RangeIndex) and (data.index.start, data.index.step) == (0, 1):
        return None
    names = [str(name) for name in data.index.names if name is not None]
    return "/".join(names) or "index", [
        "/".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in data.index
    ]


def _names(name: str, data: Any) -> tuple[list[str], bool]:
    """The column names as text, and whether they are integers in the table.

    Raises:
        PlausibleError: two columns of one name, or names with several levels.
    """
    keys = list(data.column_names if hasattr(data, "column_names") else data.columns)
    if getattr(getattr(data, "columns", None), "nlevels", 1) > 1:
        raise PlausibleError(f"{name}: its column names have several levels: give each column one name")
    names = [str(key) for key in keys]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise PlausibleError(f"{name}: two columns are called {', '.join(twice)}: rename one")
    whole = all(isinstance(key, (int, np.integer)) and not isinstance(key, bool) for key in keys)
    return names, bool(keys) and whole


def _labels(series: Any) -> list[Any]:
    values = series.to_list()
    return [
        value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
        for value in values
    ]
