"""Tables of pandas, polars and pyarrow: names, order and types go in and come out; what is no number is named."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import load, load_rows, restore
from plausible.errors import PlausibleError

RNG = np.random.default_rng(13)
N = 20
DTYPES = {
    "pandas": [
        "float64",
        "float32",
        "int64",
        "int8",
        "uint16",
        "bool",
        "Int64",
        "boolean",
        "Float64",
        "int32[pyarrow]",
    ],
    "polars": ["Float64", "Float32", "Int64", "Int8", "UInt16", "Boolean"],
    "pyarrow": ["double", "float", "int64", "int8", "uint16", "bool"],
}
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=5)


def column(dtype, seed):
    rng = np.random.default_rng(seed)
    word = dtype.lower()
    if "bool" in word:
        return rng.random(N) < 0.5
    return (
        rng.integers(0, 100, N) if "int" in word else rng.normal(size=N).astype(np.float32).astype(np.float64)
    )


def built(library, names, dtypes, seed):
    values = {
        name: column(dtype, seed + i) for i, (name, dtype) in enumerate(zip(names, dtypes, strict=True))
    }
    if library == "pandas":
        return pd.DataFrame(
            {
                name: pd.Series(x).astype(dtype)
                for (name, x), dtype in zip(values.items(), dtypes, strict=True)
            }
        )
    if library == "polars":
        return pl.DataFrame(
            {
                name: pl.Series(x).cast(getattr(pl, dtype))
                for (name, x), dtype in zip(values.items(), dtypes, strict=True)
            }
        )
    return pa.table(
        {
            name: pa.array(x).cast(pa.type_for_alias(dtype))
            for (name, x), dtype in zip(values.items(), dtypes, strict=True)
        }
    )


def same(a, b):
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    elif isinstance(a, pl.DataFrame):
        polars.testing.assert_frame_equal(a, b)
    else:
        assert a.equals(b)


@st.composite
def tables(draw):
    library = draw(st.sampled_from(list(DTYPES)))
    dtypes = draw(st.lists(st.sampled_from(DTYPES[library]), min_size=1, max_size=5))
    names = draw(st.lists(NAMES, min_size=len(dtypes), max_size=len(dtypes), unique=True))
    return built(library, names, dtypes, draw(st.integers(0, 99)))


@given(table=tables(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_table_comes_back_as_it_was_and_its_columns_may_come_in_any_order(table, data):
    loaded = load(table)
    same(restore(loaded.rows.array(), loaded.schema), table)
    names = list(table.column_names if isinstance(table, pa.Table) else table.columns)
    shuffled = data.draw(st.permutations(names))
    again = table.select(shuffled) if isinstance(table, (pa.Table, pl.DataFrame)) else table[shuffled]
    np.testing.assert_array_equal(load_rows(again, loaded.schema).array(), loaded.rows.array())
    for library in DTYPES:
        other = restore(loaded.rows.array(), loaded.schema, library)
        np.testing.assert_array_equal(load_rows(other, loaded.schema).array(), loaded.rows.array())
    values = restore(loaded.rows.array(), loaded.schema, "numpy")
    np.testing.assert_array_equal(load_rows(values, loaded.schema).array(), loaded.rows.array())


@pytest.mark.parametrize("names", [None, [2019, 2020, 2021], [2, 0, 1], ["a", "b", "c"]])
def test_pandas_names_that_are_numbers_come_back_as_numbers(names):
    table = pd.DataFrame(RNG.normal(size=(N, 3)).round(2), columns=names)
    data = load(table)
    pd.testing.assert_frame_equal(restore(data.rows.array(), data.schema), table, rtol=1e-6)
    assert data.schema.named == (names is not None)
    if names is not None:
        np.testing.assert_array_equal(load_rows(table[names[::-1]], data.schema).array(), data.rows.array())


def test_samples_beyond_a_type_are_kept_within_it():
    table = pd.DataFrame({"u": np.arange(N, dtype=np.uint8), "b": [True, False] * 10, "i": np.arange(N)})
    schema = load(table).schema
    odd = np.array([[-3.4, 0.49, 1e30], [255.6, 0.5, -1e30], [7.5, -9, 2.6]], np.float32)
    back = restore(odd, schema)
    assert back["u"].tolist() == [0, 255, 8]
    assert back["b"].tolist() == [False, True, False]
    assert back["i"].tolist() == [2**63 - 1, -(2**63), 3]
    with pytest.raises(PlausibleError, match="not finite"):
        restore(np.full((1, 3), np.nan, np.float32), schema)


def test_a_column_of_large_numbers_comes_back_exactly():
    start = 1_700_000_000
    for values in (np.arange(start, start + N), np.arange(start, start + N) + 0.25):
        table = pl.DataFrame({"time": values, "x": RNG.normal(size=N).astype(np.float32)})
        data = load(table)
        assert len(np.unique(data.rows.array()[:, 0])) == N
        assert data.schema.columns[1].offset == 0
        polars.testing.assert_frame_equal(restore(data.rows.array(), data.schema), table)


@pytest.mark.parametrize("library", list(DTYPES))
def test_the_target_is_taken_out_and_may_stay_in_new_rows(library):
    values = {"a": RNG.normal(size=N), "kind": ["x", "y"] * 10, "b": RNG.normal(size=N)}
    table = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library](values)
    data = load(table, target="kind")
    assert (data.labels, data.columns, data.schema.target) == (("x", "y"), ("a", "b"), "kind")
    assert load(table, view="target=kind").hash == data.hash
    rows = load_rows(table, data.schema)
    np.testing.assert_array_equal(rows.array(), data.rows.array())
    np.testing.assert_array_equal(rows.y, data.rows.y)
    assert list(restore(data.rows.array()[:3], data.schema, "polars").columns) == ["a", "b"]


def refused(table, **more):
    with pytest.raises(PlausibleError) as caught:
        load(table, **more)
    return str(caught.value)


def test_all_columns_that_cannot_be_read_are_named_in_one_message():
    table = pd.DataFrame(
        {
            "size": RNG.normal(size=N),
            "lists": [[1, 2]] * N,
            "lasted": pd.to_timedelta(np.arange(N), unit="s"),
            "thing": pd.Series([1, "x"] * 10, dtype=object),
        }
    )
    for way in (table, pl.from_pandas(table.drop(columns="thing"))):
        message = refused(way)
        assert all(name in message for name in ("lists", "lasted", "drop=["))
        assert "size" not in message
    assert "thing (Python objects: int, str)" in refused(table)
    assert "no column 'kid'" in refused(table, target="kid")
    assert "no column 'kid' for drop=" in refused(table, drop=["kid"])
    assert load(table, drop=["lists", "lasted", "thing"]).columns == ("size",)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pd.DataFrame(np.zeros((N, 2)), columns=["a", "a"]), "two columns are called a"),
        (pd.DataFrame(np.zeros((N, 2)), columns=[["a", "a"], ["b", "c"]]), "several levels"),
        (pd.DataFrame({"a": []}), "no rows"),
        (pd.DataFrame(index=range(N)), "no columns left"),
        (pd.DataFrame({"a": RNG.normal(size=N), "b": [np.inf] * N}), "column 'b'"),
        (
            pl.DataFrame({"a": [1e300] * 10 + [0.0] * 10}),
            "column 'a' (rows counted from 0) is 1e+300: too large",
        ),
    ],
)
def test_tables_that_cannot_be_read(table, says):
    assert says in refused(table)


def test_a_table_from_a_file_comes_back_as_pandas_or_says_what_else_there_is(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("age,height\n" + "".join(f"{i},{i / 4}\n" for i in range(N)))
    data = load(tmp_path / "t.csv")
    back = restore(data.rows.array(), data.schema)
    pd.testing.assert_frame_equal(back, pd.read_csv(tmp_path / "t.csv"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PlausibleError, match=r'pandas is not installed.*as_="numpy"'):
        restore(data.rows.array(), data.schema)
    assert restore(data.rows.array(), data.schema, "numpy").dtype == np.float32
    assert restore(data.rows.array(), data.schema, "polars").columns == ["age", "height"]


def test_containers_that_cannot_hold_the_rows():
    digits, ring = load("digits"), load("ring")
    assert restore(digits.rows.array()[:2], digits.schema).shape == (2, 1, 8, 8)
    for rows, schema, as_, says in (
        (digits, digits.schema, "pandas", "not a table"),
        (ring, ring.schema, "images", "not pictures"),
        (ring, ring.schema, "excel", "not one of"),
    ):
        with pytest.raises(PlausibleError, match=says):
            restore(rows.rows.array()[:2], schema, as_)
    with pytest.raises(PlausibleError, match="not rows of"):
        restore(np.zeros((2, 3), np.float32), ring.schema)
    assert list(restore(ring.rows.array()[:2], ring.schema, "pandas").columns) == ["x0", "x1"]
