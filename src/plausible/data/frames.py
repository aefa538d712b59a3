"""Read tables of pandas, polars and pyarrow through narwhals, and build them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from plausible.data.raw import Raw, format_shape
from plausible.errors import PlausibleError
from plausible.schema import Container, Schema

__all__ = ["LIBRARIES", "as_dtype", "from_frame", "is_frame", "numpy_dtype", "to_frame"]

LIBRARIES = ("pandas", "polars", "pyarrow")


def is_frame(data: Any) -> bool:
    """Whether data are an in-memory table of one of `LIBRARIES`."""
    import narwhals as nw

    try:
        table = nw.from_native(data, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        return True  # `from_frame` raises the error
    return isinstance(table, nw.DataFrame) and nw.get_native_namespace(data).__name__ in LIBRARIES


def from_frame(data: Any, *, target: str | None = None, schema: Schema | None = None) -> Raw:
    """Read a table as rows of numbers, (n, d), float64, or float32 if every column is.

    Args:
        data: the table.
        target: the column that is the label.
        schema: the schema of the run the rows are for; its target column, if present, is the label.

    Raises:
        PlausibleError: an unknown target, two columns of one name, columns that are not numbers or have missing
            cells (the message names all of them).
    """
    import narwhals as nw

    name = f"DataFrame of {format_shape(data.shape)}"
    names, numbered = _names(name, data)
    table = nw.from_native(data, eager_only=True)
    library = cast(Container, nw.get_native_namespace(data).__name__)
    if target is not None and target not in names:
        raise PlausibleError(f"{name} has no column {target!r} for target=: there is {', '.join(names)}")
    if target is None and schema is not None and schema.target in names:
        target = schema.target
    features = [i for i, column in enumerate(names) if column != target]
    if not features or not len(table):
        raise PlausibleError(f"{name} has no {'rows' if features else 'columns left'}: check how it was made")
    series = [table[:, i] for i in range(len(names))]
    if schema is not None and schema.named and library in LIBRARIES:
        from plausible.data.matching import check_names

        if not (numbered and [names[i] for i in features] == [str(i) for i in range(len(features))]):
            check_names(name, [names[i] for i in features], schema)
    _check_numbers(name, {names[i]: series[i] for i in features})
    dtypes = tuple(
        str(series[i].to_native().type if library == "pyarrow" else series[i].to_native().dtype)
        for i in features
    )
    columns = [_numbers(series[i]) for i in features]
    kind = np.float32 if all(column.dtype == np.float32 for column in columns) else np.float64
    x = np.column_stack([column.astype(kind, copy=False) for column in columns])
    own = not (numbered and target is None and names == [str(i) for i in range(len(names))])
    return Raw.of(
        name,
        x,
        y=None if target is None else _labels(series[names.index(target)]),
        columns=tuple(names[i] for i in features) if own else None,
        numbered=numbered,
        dtypes=dtypes,
        container=library,
        target=target,
        names=_index(data) if library == "pandas" else None,
    )


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


def _check_numbers(name: str, series: dict[str, Any]) -> None:
    """Refuse columns that are not numbers or have missing cells; the message names all of them."""
    words = [
        f"{column} ({one.dtype})"
        for column, one in series.items()
        if not (one.dtype.is_numeric() or str(one.dtype) == "Boolean")
    ]
    if words:
        raise PlausibleError(
            f"{name}: not numbers: {', '.join(words)}: drop these columns, or encode each as numbers; if one is the "
            "label, name it: target="
        )
    gaps = [column for column, one in series.items() if one.null_count() or _has_nan(one)]
    if gaps:
        raise PlausibleError(
            f"{name}: cells are missing in {', '.join(gaps)}: fill them in, or drop the rows or the columns"
        )


def _has_nan(series: Any) -> bool:
    return bool(series.dtype.is_float() and series.is_nan().any())


def _numbers(series: Any) -> np.ndarray:
    """A column, (n,), float32 or float64."""
    import narwhals as nw

    if series.dtype == nw.Float32:
        return np.asarray(series.to_numpy(), np.float32)
    return np.asarray(series.cast(nw.Float64).to_numpy(), np.float64)


def _labels(series: Any) -> list[Any]:
    values = series.to_list()
    return [
        value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
        for value in values
    ]


def to_frame(library: str, columns: Sequence[tuple[Any, str, np.ndarray]]) -> Any:
    """Build a table of a library.

    Args:
        library: one of `LIBRARIES`.
        columns: (name, or None for pandas' default numbering; dtype as named by the library the column came from;
            values, (n,), float64).

    Raises:
        PlausibleError: the library is not installed.
    """
    try:
        if library == "pandas":
            import pandas

            data = {i: pandas.Series(_cast(x, dtype)) for i, (_, dtype, x) in enumerate(columns)}
            table = pandas.DataFrame({i: _as_pandas(one, columns[i][1]) for i, one in data.items()})
            if columns[0][0] is not None:
                table.columns = pandas.Index([name for name, *_ in columns])
            return table
        if library == "polars":
            import polars

            return polars.DataFrame(
                {str(name): _as_polars(polars, _cast(x, dtype), dtype) for name, dtype, x in columns}
            )
        import pyarrow

        return pyarrow.table(
            {str(name): _as_arrow(pyarrow, _cast(x, dtype), dtype) for name, dtype, x in columns}
        )
    except ImportError as error:
        others = ", ".join(f'as_="{name}"' for name in ("numpy", *LIBRARIES) if name != library)
        raise PlausibleError(
            f"{library} is not installed, and a table with named columns is returned as a {library} table: install "
            f"{library}, or ask for {others}"
        ) from error


def _cast(x: np.ndarray, dtype: str) -> np.ndarray:
    """Values of a column, (n,), as the NumPy dtype that matches its library's dtype."""
    return as_dtype(x, numpy_dtype(dtype))


def numpy_dtype(word: str) -> np.dtype:
    """ "Int64", "int64[pyarrow]", "Boolean", "double" → a NumPy dtype; float64 if the name is unknown."""
    plain = word.split("[")[0].lower()
    plain = {
        "boolean": "bool",
        "double": "float64",
        "float": "float32",
        "halffloat": "float16",
        "bfloat16": "float32",
    }.get(plain, plain)
    try:
        found = np.dtype(plain)
    except (TypeError, ValueError):
        return np.dtype(np.float64)
    return found if found.kind in "buif" else np.dtype(np.float64)


def as_dtype(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values as a dtype: bools are True from ½ on, integers are rounded and clipped to the dtype's range.

    Raises:
        PlausibleError: a value that is not finite, and an integer or bool dtype.
    """
    if dtype.kind == "f":
        return x.astype(dtype, copy=False)
    if not np.isfinite(x).all():
        raise PlausibleError(
            f'a value is not finite and cannot be {dtype}: ask for as_="numpy" of a float column'
        )
    if dtype.kind == "b":
        return x >= 0.5
    ends = np.iinfo(dtype)
    low, high = float(ends.min), float(ends.max)
    whole = np.rint(x)
    inside = np.clip(whole, low, np.nextafter(high, 0) if dtype.itemsize == 8 else high).astype(dtype)
    return np.where(whole >= high, dtype.type(ends.max), inside)


def _as_pandas(series: Any, dtype: str) -> Any:
    try:
        return series.astype(dtype)
    except (TypeError, ValueError):
        return series  # another library's dtype: the values have the matching NumPy dtype already


def _as_polars(polars: Any, x: np.ndarray, dtype: str) -> Any:
    kind = getattr(polars, dtype, None)
    return (
        polars.Series(x, dtype=kind)
        if isinstance(kind, type) and numpy_dtype(dtype) == x.dtype
        else polars.Series(x)
    )


def _as_arrow(pyarrow: Any, x: np.ndarray, dtype: str) -> Any:
    try:
        return pyarrow.array(x, type=pyarrow.type_for_alias(dtype))
    except (ValueError, pyarrow.ArrowInvalid):
        return pyarrow.array(x)
