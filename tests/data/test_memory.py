"""Data that are in Python already: whatever they come in, the same rows, splits, labels and hash; or a plain error."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from plausible.data import load, load_rows, restore
from plausible.errors import PlausibleError

RNG = np.random.default_rng(11)
TABLE = RNG.normal(size=(40, 3)).astype(np.float32)
GREY = RNG.integers(0, 256, (20, 6, 5), dtype=np.uint8)
WORDS = ["cat", "dog"] * 20


class Items(Dataset):
    """A map-style Dataset of given items."""

    def __init__(self, items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Stream(IterableDataset):
    def __iter__(self):
        yield torch.zeros(3)


def saved(path, x):
    np.save(path, x)
    return path


def refused(data, **more):
    with pytest.raises(PlausibleError) as caught:
        load(data, **more)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "bool", "int64"])
@pytest.mark.parametrize("shape", [(40, 3), (40, 4, 5), (40, 4, 5, 3), (40, 1, 4, 5)])
def test_every_way_to_hand_over_the_same_values_gives_the_same_rows_and_hash(tmp_path, dtype, shape):
    x = (RNG.random(shape) * (255 if dtype in ("uint8", "int64") else 1)).round(1).astype(dtype)
    path = saved(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    ways = [
        str(path),
        path,
        tmp_path / "x.npz",
        x,
        np.asfortranarray(x),
        torch.tensor(x),
        TensorDataset(torch.tensor(x)),
        Items(x),
    ]
    found = [load(way) for way in ways]
    assert len({data.hash for data in found}) == 1
    assert len({(data.shape, data.domain, data.schema.rule) for data in found}) == 1
    for data in found:
        for split in ("train", "valid", "test", "rows"):
            np.testing.assert_array_equal(getattr(data, split).array(), getattr(found[0], split).array())
    assert [data.source for data in found] == [str(path), str(path), str(tmp_path / "x.npz"), *[None] * 5]


def test_pictures_in_memory_are_those_of_the_folder(tmp_path):
    images = [Image.fromarray(image) for image in GREY]
    for i, image in enumerate(images):
        image.save(tmp_path / f"{i:02}.png")
    folder, listed, items = load(tmp_path), load(images), load(Items(images))
    assert folder.hash == listed.hash == items.hash
    assert folder.schema.mode == listed.schema.mode == "L"
    assert listed.schema.container == items.schema.container == "images"


def test_the_same_table_is_the_same_in_every_library_and_in_a_file(tmp_path):
    table = pd.DataFrame(TABLE.astype(float), columns=list("abc"))
    table.to_csv(tmp_path / "t.csv", index=False)
    ways = [table, pl.from_pandas(table), pa.Table.from_pandas(table), tmp_path / "t.csv"]
    assert len({load(way).hash for way in ways}) == 1
    assert load(ways[0]).hash != load(table.rename(columns={"a": "z"})).hash


def test_a_float32_array_is_not_copied():
    x = RNG.random((100, 7), dtype=np.float32)
    for data in (load(x), load(torch.from_numpy(x)), load({"train": x})):
        assert all(np.shares_memory(part, x) for part in data.rows._table.parts)


LABELS = {
    "list of words": WORDS,
    "array of words": np.array(WORDS),
    "objects": np.array(WORDS, object),
    "pandas": pd.Series(WORDS),
    "pandas category": pd.Series(WORDS, dtype="category"),
    "polars": pl.Series(WORDS),
    "pyarrow": pa.array(WORDS),
    "column": np.array(WORDS)[:, None],
    "table": pd.DataFrame({"y": WORDS}),
}
NUMBERS = {
    "bools": np.arange(40) % 2 == 1,
    "whole floats": np.arange(40) % 2 * 1.0,
    "list": [i % 2 for i in range(40)],
    "bytes": (np.arange(40) % 2).astype(np.uint8),
    "tensor": torch.arange(40)[:, None] % 2,
    "nullable": pd.Series(pd.array([i % 2 for i in range(40)], "Int64")),
}


@pytest.mark.parametrize("name", [*LABELS, *NUMBERS])
def test_labels_of_every_kind(name):
    data = load(TABLE, y=(LABELS | NUMBERS)[name])
    assert data.labels == (("cat", "dog") if name in LABELS else ("0", "1"))
    np.testing.assert_array_equal(data.rows.y, np.arange(40) % 2)
    assert data.schema.labels == data.labels
    one = load_rows(TABLE, y=(LABELS | NUMBERS)[name], view=f"class={data.labels[0]}")
    np.testing.assert_array_equal(one.array(), TABLE[::2])


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (WORDS[:5], "40 rows and y 5 labels"),
        ([None, *WORDS[1:]], "row 0 (counted from 0) is missing"),
        ([*WORDS[1:], float("nan")], "row 39 (counted from 0) is missing"),
        (np.full(40, 0.5), "is 0.5"),
        (np.array([np.nan] * 40), "missing"),
        (np.zeros((40, 2)), "shape (40, 2)"),
        (["cat", 1] * 20, "numbers and text"),
        (3, "shape ()"),
        (np.array(["2020-01-01"] * 40, "M8[D]"), "datetime64"),
        ([[1], [1, 2]] * 20, "cannot be read"),
    ],
)
def test_labels_that_are_none(y, says):
    assert says in refused(TABLE, y=y)


def test_labels_twice_and_a_target_of_what_has_no_columns():
    assert "labels already" in refused("digits", y=np.arange(1797))
    assert "give y=" in refused(TABLE, target="a")


def test_datasets_give_x_and_labels_in_index_order():
    tensor = torch.tensor(TABLE)
    for items in (
        Items((x, word) for x, word in zip(TABLE, WORDS, strict=True)),
        Items([x, word] for x, word in zip(tensor, WORDS, strict=True)),
    ):
        data = load(items)
        np.testing.assert_array_equal(data.rows.array(), TABLE)
        assert [data.labels[i] for i in data.rows.y] == WORDS
    numbered = TensorDataset(tensor, torch.arange(40) % 4)
    assert load(numbered).labels == ("0", "1", "2", "3")
    np.testing.assert_array_equal(load(Subset(numbered, range(39, 9, -1))).rows.array(), TABLE[39:9:-1])
    assert len(load(ConcatDataset([numbered, numbered])).rows) == 80
    assert load(TensorDataset(tensor)).labels is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (Stream(), "iterable Dataset"),
        (Items([]), "no items"),
        (Items([{"x": 1}] * 20), "an item is of type dict"),
        (Items([(1, 2, 3)] * 20), "neither all x nor all pairs"),
        (Items([(TABLE[0], 1), TABLE[0]] * 10), "neither all x nor all pairs"),
        (Items([TABLE[0], TABLE[0, :2]] * 10), "differ in form"),
        (TensorDataset(torch.tensor(TABLE), torch.tensor(TABLE)), "one label per row"),
        (torch.zeros(20, 3).to_sparse(), "dense tensor"),
        (torch.zeros(20, 3, dtype=torch.complex64), "complex64"),
        (torch.zeros(20), "reshape it"),
        (TABLE.astype(object), "Python objects"),
        (np.ma.masked_greater(TABLE, 1), "masked values"),
        (TABLE[:0], "no rows"),
        (np.where(TABLE > 1, np.nan, TABLE), "is nan"),
        ([[1.0, 2.0]] * 20, "type builtins.list cannot be read"),
        ((TABLE, WORDS), "give x, and y=y"),
        ([], "builtins.list"),
        (None, "NoneType"),
        (3, "builtins.int"),
        (b"digits", "builtins.bytes"),
        (iter([1]), "cannot be read"),
        (pd.Series([1.0, 2.0]), ".to_frame()"),
        (pl.LazyFrame({"a": [1.0]}), ".collect()"),
        ([Image.new("L", (4, 4))] * 10 + [Image.new("L", (5, 4))], "differ in size"),
        ([Image.new("F", (4, 4))] * 10, "pixels of kind F"),
        ({}, "this one has nothing"),
        ({"train": TABLE, "val": TABLE}, "train, val"),
        ({"train": TABLE, "test": TABLE[:, :2]}, "one shape and one dtype"),
        ({"train": (TABLE, WORDS), "test": TABLE}, "test has no labels"),
        ({"train": TABLE[:9]}, "at least 10"),
        ({"train": "digits:class=3"}, "its own views or splits"),
        ({"train": GREY, "test": [Image.new("L", (5, 6), 3)] * 3}, "in one form"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_read_is_named_with_what_can(data, says):
    assert says in refused(data)


def test_splits_of_their_own_and_what_is_missing_is_cut_from_train():
    whole = load(
        {
            "train": (TABLE[:20], WORDS[:20]),
            "valid": (TABLE[20:30], WORDS[20:30]),
            "test": (TABLE[30:], WORDS[30:]),
        }
    )
    assert [len(rows) for rows in (whole.train, whole.valid, whole.test)] == [20, 10, 10]
    np.testing.assert_array_equal(whole.test.array(), TABLE[30:])
    assert [whole.labels[i] for i in whole.rows.y] == WORDS
    for given, sizes in (
        ({"test": TABLE[30:]}, (27, 3, 10)),
        ({"valid": TABLE[30:]}, (27, 10, 3)),
        ({}, (24, 3, 3)),
    ):
        data = load({"train": TABLE[:30], **given})
        assert tuple(len(rows) for rows in (data.train, data.valid, data.test)) == sizes
        ids = np.concatenate([data.train.ids, data.valid.ids, data.test.ids])
        assert sorted(ids) == list(range(len(data.rows)))
        assert (np.sort(data.train.ids) != data.train.ids).any()


def test_splits_of_tables_are_put_in_trains_order():
    table = pd.DataFrame(TABLE, columns=list("abc")).assign(kind=WORDS)
    data = load({"train": table[:30], "test": table[["kind", "c", "a", "b"]][30:]}, target="kind")
    np.testing.assert_array_equal(data.rows.array(), TABLE)
    assert data.labels == ("cat", "dog")
    assert data.schema.target == "kind"
    assert "the columns" in refused({"train": table[:30], "test": table[["a", "kind"]]}, target="kind")


def test_a_path_is_never_a_named_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlausibleError, match="no file or folder"):
        load(Path("ring"))


def test_a_view_for_data_in_memory_is_the_view_of_a_spec(tmp_path):
    path = saved(tmp_path / "x.npy", GREY)
    for view in ("binary", "fixed", "domain=real", "domain=unit:fixed"):
        in_memory, in_file, apart = load(GREY, view=view), load(f"{path}:{view}"), load(path, view=f":{view}")
        assert in_memory.hash == in_file.hash == apart.hash
        assert in_file.source == apart.source == f"{path}:{view}"
        assert in_memory.domain == in_file.domain
    assert load(GREY).spec == "array of 20 × 6 × 5"
    assert "unknown view" in refused(GREY, view="binry")
    assert "is for FILE.csv" in refused(GREY, view="header=yes")


@pytest.mark.parametrize(
    "x",
    [TABLE, GREY, np.stack([GREY] * 3, -1), TABLE > 0, (TABLE * 99).astype(np.int16), GREY > 99, GREY / 255],
)
def test_arrays_and_tensors_come_back_as_they_were(x):
    for data in (load(x), load(torch.tensor(x))):
        back = restore(data.rows.array(), data.schema)
        assert back.dtype == x.dtype
        np.testing.assert_allclose(back.astype(float), x.astype(float), rtol=1e-6)
        np.testing.assert_array_equal(load_rows(x, data.schema).array(), data.rows.array())


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pil_images_come_back_as_they_were(mode):
    images = [Image.fromarray(image).convert(mode) for image in GREY]
    data = load(images)
    back = restore(data.rows.array(), data.schema)
    assert [image.mode for image in back] == [mode] * 20
    assert all(np.array_equal(a, b) for a, b in zip(back, images, strict=True))
    pixels = restore(data.rows.array(), data.schema, "numpy")
    assert (pixels.dtype, pixels.shape) == (np.uint8, (20, 6, 5) if mode == "L" else (20, 6, 5, 3))
