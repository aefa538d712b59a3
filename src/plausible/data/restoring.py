"""Convert a model's samples back to the form of its data: the same container, names, types, layout and scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from plausible.data.building import FrameColumn, to_frame
from plausible.data.cells import BOOLS
from plausible.data.columns import UNITS
from plausible.data.dtypes import as_dtype, check_finite, holds_numbers, numpy_dtype
from plausible.data.frames import LIBRARIES
from plausible.errors import PlausibleError
from plausible.schema import CONTAINERS, Column, Schema

__all__ = ["holds_words", "in_units", "level_values", "restore", "restore_columns"]


def restore(values: np.ndarray, schema: Schema, as_: str | None = None, *, generated: bool = False) -> Any:
    """Convert rows in the model's domain to the container, types and units of its data.

    Args:
        values: (n, *schema.shape), float32.
        schema: the schema of the data that the model was trained on.
        as_: "numpy", "pandas", "polars", "pyarrow" or "images"; None: the container of the data. For files, named
            columns are returned as a pandas table, everything else as float32, (n, *schema.shape). For tensors: NumPy.
        generated: whether the rows are new ones. Columns of real values are then limited to the range of the training
            rows and rounded to their digits; a reconstruction of the user's own rows must not be.

    Returns: a table with the original column names, order and types, of a mixed one with its words, dates and missing
        cells; an array with the original layout, dtype and scale (pictures of bytes: 0 … 255), of a mixed table with
        words or dates one of objects; or a list of PIL images.

    Raises:
        PlausibleError: values of another shape, a container that cannot hold them, or a library that is missing.
    """
    values = np.asarray(values)
    if values.shape[1:] != schema.shape:
        raise PlausibleError(f"values of shape {values.shape} are not rows of shape {schema.shape}")
    if as_ is not None and as_ not in CONTAINERS:
        raise PlausibleError(f"as_={as_!r} is not one of {', '.join(CONTAINERS)}")
    into = as_ or schema.container
    if into == "file":
        into = "pandas" if schema.columns is not None and schema.named else "numpy"
    if into in LIBRARIES:
        return _frame(values, schema, into, generated=generated)
    return _images(values, schema) if into == "images" else _array(values, schema, generated=generated)


def _frame(values: np.ndarray, schema: Schema, library: str, *, generated: bool) -> Any:
    if schema.columns is None:
        raise PlausibleError(
            f'pictures are not a table: ask for as_="numpy" or as_="images", not as_="{library}"'
        )
    names: list[Any] = [column.name for column in schema.columns]
    if library == "pandas" and schema.numbered:
        names = [int(name) for name in names] if schema.named else [None] * len(names)
    restored = restore_columns(values, schema, generated=generated)
    if schema.domain != "mixed":
        for column, x in zip(schema.columns, restored, strict=True):
            check_finite(x, numpy_dtype(column.dtype))
    return to_frame(
        library,
        [
            FrameColumn(name, column.dtype, x, column.levels, column.kind == "ordinal")
            for name, column, x in zip(names, schema.columns, restored, strict=True)
        ],
    )


def restore_columns(values: np.ndarray, schema: Schema, *, generated: bool) -> list[np.ndarray]:
    """Each column of a table in its original form, (n,).

    float64, NaN where a cell is missing (False and True as 0 and 1); words as objects, None where one is missing; or
    times as datetime64, NaT where one is.

    Args:
        values: (n, d), float32, as models see them.
        schema: of the data that the model was trained on.
        generated: as in `restore`.
    """
    table = in_units(values, schema, generated=generated)
    return [_restored(table[:, i], column) for i, column in enumerate(schema.columns or ())]


def _restored(x: np.ndarray, column: Column) -> np.ndarray:
    there = ~np.isnan(x)
    if column.unit is not None:
        times = np.full(len(x), np.datetime64("NaT"), "datetime64[us]")
        times[there] = np.rint(x[there] * (UNITS[column.unit] * 1e6)).astype("datetime64[us]")
        return times
    if column.levels is None:
        return x
    codes = np.clip(np.rint(x[there]), 0, len(column.levels) - 1).astype(np.int64)
    if _levels_are_numbers(column):
        found = np.full(len(x), np.nan)
        found[there] = np.array(level_values(column))[codes]
    else:
        found = np.full(len(x), None, object)
        found[there] = np.array(column.levels, object)[codes]
    return found


def _levels_are_numbers(column: Column) -> bool:
    """Whether the levels of a column were numbers, or False and True, in the table."""
    return holds_numbers(column.dtype) or numpy_dtype(column.dtype).kind == "b"


def holds_words(schema: Schema) -> bool:
    """Whether a table has columns that are no numbers: words, or dates."""
    return any(
        column.unit is not None or (column.levels is not None and not _levels_are_numbers(column))
        for column in schema.columns or ()
    )


def level_values(column: Column) -> list[float]:
    """The numbers that a column's levels are, if they were numbers; False and True are 0 and 1."""
    return [float(BOOLS.index(level)) if level in BOOLS else float(level) for level in column.levels or ()]


def in_units(values: np.ndarray, schema: Schema, *, generated: bool = False) -> np.ndarray:
    """Columns in their original units, (n, d), float64; codes of levels, and missing cells, as they are.

    Args:
        values: (n, d), float32, as models see them.
        schema: of the data that the model was trained on.
        generated: as in `restore`.
    """
    columns = schema.columns or ()
    x = values.astype(np.float64) * schema.scale + np.array([column.offset for column in columns])
    if generated and schema.domain in ("real", "mixed"):
        for i, column in enumerate(columns):
            x[:, i] = x[:, i].clip(column.low, column.high)
            if column.decimals is not None:
                x[:, i] = x[:, i].round(column.decimals) + 0.0  # no -0
    return x


def _mixed_array(values: np.ndarray, schema: Schema, *, generated: bool) -> np.ndarray:
    """The rows of a mixed table, (n, d): float64 where all columns were numbers, else objects."""
    columns = restore_columns(values, schema, generated=generated)
    if all(column.dtype.kind == "f" for column in columns):
        return np.column_stack(columns)
    found = np.empty((len(values), len(columns)), object)
    for i, column in enumerate(columns):
        found[:, i] = column.astype(object)
    return found


def _array(values: np.ndarray, schema: Schema, *, generated: bool) -> np.ndarray:
    if schema.domain == "mixed":
        return _mixed_array(values, schema, generated=generated)
    if schema.columns is None:
        if schema.container == "file":
            return values.astype(np.float32, copy=False)
        x = values * np.float32(schema.scale) if schema.scale != 1 else values
        return as_dtype(_laid_out(x, schema), numpy_dtype(schema.dtype))
    kept = schema.domain != "real" or not (generated or any(column.offset for column in schema.columns))
    if schema.container == "file":
        return (
            values.astype(np.float32, copy=False) if kept else in_units(values, schema, generated=generated)
        )
    if schema.container in LIBRARIES:
        kinds = {numpy_dtype(column.dtype) for column in schema.columns}
        dtype = next(iter(kinds)) if len(kinds) == 1 else np.dtype(np.float64)
        x = in_units(values, schema, generated=generated)
        for i, column in enumerate(schema.columns):
            x[:, i] = as_dtype(x[:, i], numpy_dtype(column.dtype))
        return as_dtype(x, dtype)
    return as_dtype(in_units(values, schema, generated=generated), numpy_dtype(schema.dtype))


def _laid_out(x: np.ndarray, schema: Schema) -> np.ndarray:
    """(n, channels, height, width) → (n, *layout)."""
    channels, *sides = schema.shape
    if schema.layout == (*sides, channels) and schema.layout != schema.shape:
        x = np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(x).reshape(len(x), *schema.layout)


def _images(values: np.ndarray, schema: Schema) -> list[Any]:
    from PIL import Image

    if schema.mode is None or schema.domain == "real":
        what = "real values are not grey levels" if schema.mode else "rows of a table are not pictures"
        raise PlausibleError(f'{what}: ask for as_="numpy", not as_="images"')
    grey = as_dtype(values.astype(np.float64) * 255, np.dtype(np.uint8))
    if schema.mode == "RGB":
        return [Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1))) for image in grey]
    return [Image.fromarray(image[0]) for image in grey]
