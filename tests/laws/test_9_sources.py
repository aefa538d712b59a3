"""Law 9: every data source loads, lists, splits, has the labels it says and a schema, and fails alike.

A new source needs an entry in EXAMPLES, or this fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, TensorDataset

from plausible.data import SOURCES, Data, Rows, datasets, load, load_rows, restore
from plausible.data.sources import Source, dataset_names, import_function, register
from plausible.errors import PlausibleError
from plausible.schema import Schema

RNG = np.random.default_rng(29)
X = RNG.normal(size=(60, 3))
BAD = np.where(X > 1.5, np.nan, X)
Y = np.arange(60) % 3
GREY = RNG.integers(0, 256, (60, 6, 5), dtype=np.uint8)
TABLE = pd.DataFrame(X, columns=list("abc"))


@dataclass(frozen=True)
class Example:
    """How to make data of a source, and such as are damaged or missing."""

    make: Callable[[Path], Any]
    broken: tuple[Callable[[Path], Any], ...] = ()
    labels: bool = False
    shape: tuple[int, ...] = (3,)


def file(name: str, write: Callable[[Path], Any]) -> Callable[[Path], str]:
    """A file that `write` writes."""

    def make(folder: Path) -> str:
        write(folder / name)
        return str(folder / name)

    return make


def cut(name: str, write: Callable[[Path], Any]) -> Callable[[Path], str]:
    """The same, cut in the middle."""

    def make(folder: Path) -> str:
        path = folder / name
        write(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return str(path)

    return make


def missing(name: str) -> Callable[[Path], str]:
    return lambda folder: str(folder / name)


def pictures(folder: Path, *, damaged: bool = False) -> str:
    for i, image in enumerate(GREY):
        path = folder / "images" / "uv"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    if damaged:
        path.write_bytes(path.read_bytes()[:40])
    return str(folder / "images")


def zipped(folder: Path, *, damaged: bool = False) -> str:
    return shutil.make_archive(str(folder / "images"), "zip", pictures(folder, damaged=damaged))


class Stream(IterableDataset):
    def __iter__(self):
        yield torch.zeros(3)


EXAMPLES: dict[str, Example] = {
    "digits": Example(lambda _: "digits", labels=True, shape=(1, 8, 8)),
    "mnist": Example(lambda _: "mnist", labels=True, shape=(1, 28, 28)),
    "ring": Example(lambda _: "ring", labels=True, shape=(2,)),
    "grid": Example(lambda _: "grid", labels=True, shape=(2,)),
    "FOLDER/": Example(
        pictures,
        (lambda folder: pictures(folder, damaged=True), missing("gone/")),
        labels=True,
        shape=(1, 6, 5),
    ),
    "FILE.zip": Example(
        zipped,
        (
            lambda folder: zipped(folder, damaged=True),
            cut("images.zip", lambda path: zipped(path.parent)),
            file("x.zip", lambda path: path.write_bytes(b"")),
            missing("x.zip"),
        ),
        labels=True,
        shape=(1, 6, 5),
    ),
    "FILE.npy": Example(
        file("x.npy", lambda path: np.save(path, X)),
        (
            cut("x.npy", lambda path: np.save(path, X)),
            file("x.npy", lambda path: np.save(path, BAD)),
            file("x.npy", lambda path: path.write_bytes(b"")),
            missing("x.npy"),
        ),
    ),
    "FILE.npz": Example(
        file("x.npz", lambda path: np.savez(path, x=X, y=Y)),
        (
            cut("x.npz", lambda path: np.savez(path, x=X, y=Y)),
            file("x.npz", lambda path: np.savez(path, x=BAD)),
            file("x.npz", lambda path: np.savez(path, x=X, y=Y[:5])),
            missing("x.npz"),
        ),
        labels=True,
    ),
    "FILE.csv": Example(
        file("t.csv", lambda path: TABLE.to_csv(path, index=False)),
        (
            file("t.csv", lambda path: TABLE.assign(b=np.inf).to_csv(path, index=False)),
            file("t.csv", lambda path: path.write_bytes(b"\xff\xfe\x00")),
            file("t.csv", lambda path: path.write_text("a,b\n1,2\n3\n")),
            missing("t.csv"),
        ),
    ),
    "FILE.parquet": Example(
        file("t.parquet", TABLE.to_parquet),
        (
            cut("t.parquet", TABLE.to_parquet),
            file("t.parquet", TABLE.assign(b=np.inf).to_parquet),
            file("t.parquet", lambda path: path.write_bytes(b"")),
            missing("t.parquet"),
        ),
    ),
    "array": Example(lambda _: X, (lambda _: BAD, lambda _: X[:0], lambda _: X.astype(object))),
    "tensor": Example(
        lambda _: torch.tensor(X), (lambda _: torch.tensor(BAD), lambda _: torch.zeros(3, 2, 2, 2, 2))
    ),
    "Dataset": Example(
        lambda _: TensorDataset(torch.tensor(X), torch.tensor(Y)), (lambda _: Stream(),), labels=True
    ),
    "DataFrame": Example(
        lambda _: TABLE, (lambda _: TABLE.assign(b=np.inf), lambda _: TABLE.assign(b=[[1, 2]] * 60))
    ),
    "PIL images": Example(
        lambda _: [Image.fromarray(image) for image in GREY],
        (lambda _: [Image.new("L", (4, 4)), Image.new("L", (5, 4))],),
        shape=(1, 6, 5),
    ),
    "dict of splits": Example(
        lambda _: {"train": (X[:40], Y[:40]), "test": (X[40:], Y[40:])},
        (lambda _: {"test": X}, lambda _: {"train": X, "test": BAD}, lambda _: {"train": (X, Y), "test": X}),
        labels=True,
    ),
}
BROKEN = [(name, i) for name, example in EXAMPLES.items() for i in range(len(example.broken))]


def made(name: str, folder: Path) -> Any:
    if name == "mnist" and not (Path(os.environ.get("PLAUSIBLE_DATA", "/nowhere")) / "mnist").is_dir():
        pytest.skip("MNIST is not here: set PLAUSIBLE_DATA")
    return EXAMPLES[name].make(folder)


def test_every_source_has_an_example():
    assert list(EXAMPLES) == list(SOURCES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_listed_and_says_what_it_is(name):
    row = next(row for row in datasets() if row[0] == name)
    source = SOURCES[name]
    assert row == (name, source.about, source.shape, source.domain)
    assert all(row)
    assert callable(import_function(source.loader))
    assert (source.ending != "") + source.folder + (source.accepts != "") + (name in dataset_names()) == 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_loads_splits_and_has_a_schema(name, tmp_path):
    given = made(name, tmp_path)
    data = load(given)
    assert isinstance(data, Data)
    assert data.shape == EXAMPLES[name].shape
    parts = [data.train, data.valid, data.test]
    ids = np.concatenate([rows.ids for rows in parts])
    assert sorted(ids) == list(range(len(data.rows)))
    assert all(isinstance(rows, Rows) and len(rows) and rows.domain == data.domain for rows in parts)
    some = np.arange(min(20, len(data.test)))
    x, y = data.test.take(some)
    assert (x.dtype, x.shape) == (np.float32, (len(some), *data.shape))
    assert np.isfinite(x).all()
    assert (y is not None) == EXAMPLES[name].labels == (data.labels is not None)
    assert load(given).hash == data.hash
    _check_schema(data)
    rows = load_rows(given, data.schema)
    np.testing.assert_array_equal(rows.take(data.test.ids[some])[0], x)
    back = restore(x, data.schema, "numpy")
    again = load_rows(back, data.schema) if data.schema.container != "file" else None
    assert again is None or np.array_equal(again.array(), x)


def _check_schema(data: Data) -> None:
    schema = data.schema
    assert isinstance(schema, Schema)
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    assert (schema.shape, schema.domain, schema.labels) == (data.shape, data.domain, data.labels)
    assert schema.rule
    train = data.train.take(np.arange(min(500, len(data.train))))[0]
    assert schema.low <= train.min() + 1e-6
    assert train.max() <= schema.high + 1e-6
    assert (schema.columns is None) == schema.picture == (schema.mode is not None)
    if data.source is not None:
        assert load(data.source).hash == data.hash
    assert (data.source is None) == (schema.container != "file" or data.spec.startswith("dict"))


@pytest.mark.parametrize(("name", "i"), BROKEN)
def test_what_is_damaged_or_missing_is_one_clear_error(name, i, tmp_path):
    given = EXAMPLES[name].broken[i](tmp_path)
    with pytest.raises(PlausibleError) as caught:
        load(given)
    message = str(caught.value)
    assert "\n" not in message
    if isinstance(given, str):
        assert str(tmp_path) in message


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if not example.labels])
def test_where_there_are_no_labels_a_class_is_refused(name, tmp_path):
    with pytest.raises(PlausibleError, match="has no labels"):
        load(made(name, tmp_path), view="class=1")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Source("digits", "again", "(2,)", "real", "a:b"), "already"),
        (Source("FILE.tsv", "again", "(2,)", "real", "a:b", ending=".csv"), "loader already"),
        (Source("a:b", "colon", "(2,)", "real", "a:b"), "colon"),
        (Source("new", "no loader", "(2,)", "real", "module"), "module:function"),
    ],
)
def test_a_source_that_cannot_be_is_refused(source, says):
    before = list(SOURCES)
    with pytest.raises(PlausibleError, match=says):
        register(source)
    assert list(SOURCES) == before
