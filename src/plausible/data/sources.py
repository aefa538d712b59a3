"""The table of data sources: named data sets, kinds of files, kinds of Python objects. Does not import NumPy.

A loader is given as text, "module:function", and imported when it is needed, so that listing the table is fast.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from plausible.errors import PlausibleError

__all__ = [
    "IMAGE_ENDINGS",
    "SOURCES",
    "Source",
    "dataset_names",
    "file_endings",
    "find_source",
    "import_function",
    "own_data",
    "own_names",
    "register",
]

IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif"),
)
"""Endings of the files that are read as pictures; what a file is, its content decides."""


@dataclass(frozen=True)
class Source:
    """A named data set, or a kind of file or Python object that data come in.

    Attributes:
        name: what the user writes ("digits"), or a placeholder in the list ("FILE.csv").
        about: a description of one line.
        shape: shape of one example, in words.
        domain: binary, unit or real, or how it is found.
        loader: "module:function"; the function takes the name, the path or the object, and the `views` given,
            and returns a `plausible.data.Raw`.
        ending: the ending of the files it reads, with the dot.
        folder: whether it reads folders.
        accepts: "module:function"; the function says whether an object is of this kind.
        views: the arguments that the loader takes: the views header, target, size and fit; schema, the run's;
            columns, the types asked for; drop, columns to leave out.

    A source without ending, folder and accepts is a data set that is asked for by name.
    """

    name: str
    about: str
    shape: str
    domain: str
    loader: str
    ending: str = ""
    folder: bool = False
    accepts: str = ""
    views: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether it is asked for by name."""
        return not (self.ending or self.folder or self.accepts)


SOURCES: dict[str, Source] = {}
"""name → source, in the order of the list."""


def register(source: Source) -> None:
    """Add a data set, a kind of file or a kind of object.

    Raises:
        PlausibleError: the name or the ending is taken, the name holds a colon, or the loader is not
            "module:function".
    """
    if source.name in SOURCES:
        raise PlausibleError(f"there is a data source {source.name!r} already: choose another name")
    if ":" in source.name or not source.name:
        raise PlausibleError(f"{source.name!r} cannot name a data source: a colon begins a view")
    if source.ending and source.ending in file_endings():
        raise PlausibleError(f"files that end in {source.ending} have a loader already")
    for text in filter(None, (source.loader, source.accepts)):
        if not all(text.partition(":")[::2]):
            raise PlausibleError(f"data source {source.name!r}: write {text!r} as module:function")
    SOURCES[source.name] = source


def import_function(text: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, function = text.partition(":")
    return getattr(importlib.import_module(module), function)


def dataset_names() -> list[str]:
    """The data sets that are asked for by name."""
    return [name for name, source in SOURCES.items() if source.named]


def file_endings() -> list[str]:
    """The endings of files that can be read."""
    return [source.ending for source in SOURCES.values() if source.ending]


def find_source(base: str) -> Source | None:
    """The source that reads a name, folder or file, by its name and ending alone; None if there is none."""
    if base in SOURCES and SOURCES[base].named:
        return SOURCES[base]
    folder = os.path.isdir(base)  # noqa: PTH112 - Path.is_dir raises on names too long or with a NUL
    ending = PurePath(base).suffix.lower()
    for source in SOURCES.values():
        if source.folder if folder else source.ending and source.ending == ending:
            return source
    return None


def own_data(name: str) -> str | None:
    """The file or folder that a bare name means under `$PLAUSIBLE_DATA` or one of its folders; None if there is none.

    Raises:
        PlausibleError: several have that name.
    """
    found = _own().get(name, [])
    if len(found) > 1:
        raise PlausibleError(f"{name} is {' and '.join(found)}: give the path of one of them")
    return found[0] if found else None


def own_names() -> list[str]:
    """The names that `own_data` finds."""
    return sorted(_own())


def _own() -> dict[str, list[str]]:
    """Name → paths of the files that can be read in `$PLAUSIBLE_DATA` and its folders, and of the latter's folders."""
    root = os.environ.get("PLAUSIBLE_DATA")
    if not root or not os.path.isdir(root):  # noqa: PTH112 - see find_source
        return {}
    found: dict[str, list[str]] = {}
    with os.scandir(root) as entries:
        top = sorted(
            (entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name
        )
    for entry in top:
        inner = []
        if entry.is_dir():
            with os.scandir(entry.path) as entries:
                inner = sorted(
                    (each for each in entries if not each.name.startswith(".")), key=lambda each: each.name
                )
        for each in [entry, *inner]:
            name, ending = os.path.splitext(each.name)  # noqa: PTH122 - of a name
            if ending.lower() in file_endings() and each.is_file():
                found.setdefault(name, []).append(each.path)
            elif each is not entry and each.is_dir():
                found.setdefault(each.name, []).append(each.path)
    return found


_HERE = "plausible.data"

for _source in (
    Source(
        "digits",
        "1,797 real handwritten digits of scikit-learn, 17 grey levels, labels",
        "(1, 8, 8)",
        "unit",
        f"{_HERE}.builtin:digits",
    ),
    Source(
        "mnist",
        "70,000 handwritten digits, labels; downloaded once if need be",
        "(1, 28, 28)",
        "unit",
        f"{_HERE}.mnist:mnist",
    ),
    Source(
        "ring",
        "8 Gaussians on a circle of radius 1, 100,000 points, label = mode",
        "(2,)",
        "real",
        f"{_HERE}.builtin:ring",
    ),
    Source(
        "grid",
        "25 Gaussians on a 5 × 5 grid, 100,000 points, label = mode",
        "(2,)",
        "real",
        f"{_HERE}.builtin:grid",
    ),
    Source(
        "FOLDER/",
        "a folder of images; its sub-folders are splits (train, valid, test) and labels",
        "(1 or 3, height, width)",
        "unit",
        f"{_HERE}.pictures:read_folder",
        folder=True,
        views=("size", "fit", "schema"),
    ),
    Source(
        "FILE.zip",
        "such a folder, zipped",
        "(1 or 3, height, width)",
        "unit",
        f"{_HERE}.pictures:read_zip",
        ending=".zip",
        views=("size", "fit", "schema"),
    ),
    Source(
        "FILE.npy",
        "an array, one row per example; memory-mapped",
        "of the array",
        "by its values",
        f"{_HERE}.arrays:read_npy",
        ending=".npy",
    ),
    Source(
        "FILE.npz",
        "one array; x and labels y; or train, valid, test and their labels",
        "of the array",
        "by its values",
        f"{_HERE}.arrays:read_npz",
        ending=".npz",
    ),
    Source(
        "FILE.csv",
        "a table, with or without a header",
        "(columns,)",
        "by its values",
        f"{_HERE}.csvfile:read_csv",
        ending=".csv",
        views=("header", "target", "schema", "columns", "drop"),
    ),
    Source(
        "FILE.parquet",
        "a table; needs pyarrow",
        "(columns,)",
        "by its values",
        f"{_HERE}.frames:read_parquet",
        ending=".parquet",
        views=("target", "schema", "drop"),
    ),
    Source(
        "array",
        "in Python: a NumPy array, one row per example; not copied",
        "of the array",
        "by its values",
        f"{_HERE}.memory:from_array",
        accepts=f"{_HERE}.memory:is_array",
    ),
    Source(
        "tensor",
        "in Python: a torch tensor, one row per example",
        "of the tensor",
        "by its values",
        f"{_HERE}.memory:from_tensor",
        accepts=f"{_HERE}.memory:is_tensor",
    ),
    Source(
        "Dataset",
        "in Python: a torch Dataset with a length, of x or of pairs (x, y); read once",
        "of its items",
        "by its values",
        f"{_HERE}.memory:from_dataset",
        accepts=f"{_HERE}.memory:is_dataset",
    ),
    Source(
        "DataFrame",
        "in Python: a table of pandas, polars or pyarrow",
        "(columns,)",
        "by its values",
        f"{_HERE}.frames:from_frame",
        accepts=f"{_HERE}.frames:is_frame",
        views=("target", "schema", "drop"),
    ),
    Source(
        "PIL images",
        "in Python: a list of PIL images",
        "(1 or 3, height, width)",
        "unit",
        f"{_HERE}.memory:from_images",
        accepts=f"{_HERE}.memory:is_images",
        views=("size", "fit", "schema"),
    ),
    Source(
        "dict of splits",
        "in Python: {'train': …, 'valid': …, 'test': …} of any of these, or pairs (x, y)",
        "of its values",
        "by its values",
        f"{_HERE}.memory:from_splits",
        accepts=f"{_HERE}.memory:is_splits",
        views=("target", "schema", "columns", "drop"),
    ),
):
    register(_source)
