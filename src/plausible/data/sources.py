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
    "register",
]

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


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
        views: the arguments that the loader takes: the views header and target; schema, the run's; columns, the types
            asked for; drop, columns to leave out.

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
        "a folder of images of one size; its sub-folders are the labels",
        "(1 or 3, height, width)",
        "unit",
        f"{_HERE}.images:read_folder",
        folder=True,
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
        "in Python: a list of PIL images of one size",
        "(1 or 3, height, width)",
        "unit",
        f"{_HERE}.memory:from_images",
        accepts=f"{_HERE}.memory:is_images",
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
