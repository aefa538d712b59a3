"""Write samples and arrays to files, atomically and one block at a time."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from plausible.data import Rows, restore
from plausible.data.restoring import holds_words, level_values, restore_columns
from plausible.errors import PlausibleError
from plausible.report.images import plot_samples, png
from plausible.runs import write_whole, writing_whole
from plausible.schema import Column, Schema

__all__ = ["SAMPLE_WRITERS", "row_names", "write_array", "write_blocks", "write_named", "write_samples"]

PICTURED = 4096
"""At most so many examples go into one picture."""


def _npy(blocks: Iterable[np.ndarray], n: int, schema: Schema, path: Path, *, generated: bool) -> None:
    with writing_whole(path) as file:
        _write_npy(file, (_values(block, schema, generated=generated) for block in blocks), n)


def _npz(blocks: Iterable[np.ndarray], n: int, schema: Schema, path: Path, *, generated: bool) -> None:
    with (
        writing_whole(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(zipfile.ZipInfo("x.npy"), "w", force_zip64=True) as member,
    ):
        _write_npy(member, (_values(block, schema, generated=generated) for block in blocks), n)


def _csv(blocks: Iterable[np.ndarray], n: int, schema: Schema, path: Path, *, generated: bool) -> None:
    names = schema.names or tuple(f"x{i}" for i in range(int(np.prod(schema.shape))))
    with writing_whole(path) as file:
        file.write((",".join(map(_quoted, names)) + "\n").encode())
        for block in blocks:
            if schema.domain == "mixed":
                file.write(_mixed_lines(block, schema, generated=generated).encode())
                continue
            values = _values(block, schema, generated=generated).reshape(len(block), -1)
            form = _forms(values, schema) if generated else _form(values.dtype)
            text = io.StringIO()
            np.savetxt(text, values, delimiter=",", fmt=form)
            file.write(text.getvalue().encode())


def _mixed_lines(block: np.ndarray, schema: Schema, *, generated: bool) -> str:
    """Rows of a mixed table as lines: words as they were, numbers with their digits, a missing cell empty."""
    columns = restore_columns(block, schema, generated=generated)
    cells = [_cells(x, column) for x, column in zip(columns, schema.columns or (), strict=True)]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(zip(*cells, strict=True))
    return text.getvalue()


def _cells(x: np.ndarray, column: Column) -> list[str]:
    """The cells of a column, as text."""
    if x.dtype.kind == "O":
        return ["" if word is None else word for word in x]
    if x.dtype.kind == "M":
        unit: Any = "D" if column.unit == "day" else "us" if column.decimals is None else "s"
        times = np.datetime_as_string(x, unit=unit)
        return ["" if time == "NaT" else time.replace("T", " ") for time in times.tolist()]
    if column.levels is not None:
        names = dict(zip(level_values(column), column.levels, strict=True))
        return [names.get(value, "") for value in x.tolist()]
    form = "%.8g" if column.decimals is None and not column.offset else "%.17g"
    form = form if column.decimals is None else f"%.{column.decimals}f"
    return ["" if gap else form % value for value, gap in zip(x.tolist(), np.isnan(x).tolist(), strict=True)]


def _form(dtype: np.dtype) -> str:
    return "%.8g" if dtype == np.float32 else "%.17g" if dtype.kind == "f" else "%d"


def _forms(values: np.ndarray, schema: Schema) -> list[str]:
    """How the values of each column are written: with the digits of the data, where these are known."""
    float32 = np.dtype(np.float32)  # what a model gives: more digits would be its rounding
    kind = (
        float32
        if values.dtype.kind == "f" and not any(c.offset for c in schema.columns or ())
        else values.dtype
    )
    digits = [column.decimals for column in schema.columns or ()] or [None] * values.shape[1]
    return [_form(kind) if each is None or values.dtype.kind != "f" else f"%.{each}f" for each in digits]


def _png(blocks: Iterable[np.ndarray], n: int, schema: Schema, path: Path, *, generated: bool) -> None:
    samples = np.concatenate(list(_first(blocks, PICTURED)))
    if len(samples) == 1 and schema.picture and schema.domain != "real":
        image = restore(samples, schema, "images", generated=generated)[0]
        write_whole(
            path, png(image, {"kind": "picture", "n": "1", "Description": "one image, in its own size"})
        )
        return
    plot_samples(samples, path, columns=schema.names if schema.named else None, levels=schema.level_names)


SAMPLE_WRITERS: dict[str, Callable[..., None]] = {
    ".png": _png,
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
}


def write_blocks(
    blocks: Iterable[np.ndarray], n: int, schema: Schema, path: Path, *, generated: bool = False
) -> Path:
    """Write n examples, blocks of (B, *shape), in the form that the path's ending names.

    Args:
        blocks: in the values that the model sees.
        n: how many in all.
        schema: of the run: column names, offsets.
        path: FILE.png (one picture in its own size, or at most PICTURED on a contact sheet), .npy, .npz (key x) or
            .csv.
        generated: as in `plausible.data.restore`.

    Raises:
        PlausibleError: the file cannot be written, or cannot hold a table with words.
    """
    if path.suffix in (".npy", ".npz") and holds_words(schema):
        raise PlausibleError(
            f"--out {path}: the table has words or dates, which are no numbers: write a .csv"
        )
    SAMPLE_WRITERS[path.suffix](blocks, n, schema, path, generated=generated)
    return path


def write_samples(samples: np.ndarray, schema: Schema, path: Path, *, generated: bool = False) -> Path:
    """`write_blocks` of one block, (n, *shape)."""
    return write_blocks([samples], len(samples), schema, path, generated=generated)


def write_array(blocks: Iterable[np.ndarray], n: int, path: Path) -> Path:
    """Write n rows of numbers, blocks of (B, …), as one .npy of float32.

    Raises:
        PlausibleError: the file cannot be written.
    """
    with writing_whole(path) as file:
        _write_npy(file, (block.astype(np.float32) for block in blocks), n)
    return path


def write_named(blocks: Iterable[np.ndarray], rows: Rows, path: Path) -> Path:
    """Write codes of rows, blocks of (B, d), as a .csv: what the rows are called, then z0, z1, ….

    Raises:
        PlausibleError: the file cannot be written.
    """
    called, start = row_names(rows), 0
    with writing_whole(path) as file:
        for block in blocks:
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            if start == 0:
                writer.writerow([*called, *(f"z{i}" for i in range(block.shape[1]))])
            names = zip(*(each[start : start + len(block)] for each in called.values()), strict=True)
            writer.writerows(
                [*name, *(f"{z:.9g}" for z in code)] for name, code in zip(names, block, strict=True)
            )
            file.write(text.getvalue().encode())
            start += len(block)
    return path


def row_names(rows: Rows) -> dict[str, Any]:
    """What tells rows apart, for the first columns of a table: their numbers, and file or index if there is one."""
    heading, names = rows.names or ("", ())
    return {"row": rows.ids} | ({heading: names} if names else {})


def _write_npy(file: IO[bytes], blocks: Iterable[np.ndarray], n: int) -> None:
    blocks = iter(blocks)
    first = next(blocks)
    dtype = first.dtype.newbyteorder("<")
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (n, *first.shape[1:])}
    npy.write_array_header_1_0(file, header)
    for block in chain([first], blocks):
        file.write(np.ascontiguousarray(block, dtype).tobytes())


def _values(block: np.ndarray, schema: Schema, *, generated: bool) -> np.ndarray:
    """Examples as the data had them: offsets added back."""
    return np.asarray(restore(block, schema, "numpy", generated=generated))


def _first(blocks: Iterable[np.ndarray], most: int) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block[:most]
        most -= len(block)
        if most <= 0:
            return


def _quoted(name: str) -> str:
    """A column's name as a cell of a CSV file."""
    if not set(name) & set(',"\n\r'):
        return name
    return '"' + name.replace('"', '""') + '"'
