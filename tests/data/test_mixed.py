"""Tables with words, dates and missing cells: types are found or asked for, rows go in and come out as they were."""

import csv
import datetime as dt
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import load, load_rows, restore
from plausible.data.columns import LEVELS
from plausible.errors import PlausibleError
from plausible.report.writers import write_samples

RNG = np.random.default_rng(5)
N = 60
WORDS = ("clerk", "cook", "smith")


def table(**more):
    """A table that is mixed by its column `job`."""
    columns = {"job": [WORDS[i % 3] for i in range(N)], "pay": RNG.normal(1000, 90, N).round(2)}
    return pd.DataFrame(columns | more)


def written(path, frame, **how):
    frame.to_csv(path, index=False, **how)
    return str(path)


def loaded(data, **how):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = load(data, **how)
    return found, [str(warning.message) for warning in said]


def kinds(data):
    return {column.name: column.kind for column in data.schema.columns}


def refused(data, **how):
    with pytest.raises(PlausibleError) as caught:
        load(data, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------ types
COLUMNS = {
    "integer": (RNG.integers(0, 90, N), "integer"),
    "real": (RNG.normal(size=N), "real"),
    "gaps": ([None if i % 7 == 3 else 10.0 * i for i in range(N)], "integer"),
    "cents": ([None if i % 7 == 3 else i / 100 for i in range(N)], "real"),
    "two numbers": ([1 + i % 2 for i in range(N)], "binary"),
    "two words": (["no" if i % 5 else "yes" for i in range(N)], "binary"),
    "words": ([f"w{i % 9}" for i in range(N)], "category"),
    "few words": ([f"w{i // 2}" for i in range(N)], None),
    "names": ([f"person {i}" for i in range(N)], None),
    "one number": ([7] * N, "constant"),
    "one word": (["x"] * N, "constant"),
    "nothing": ([None] * N, None),
    "row": (list(range(1, N + 1)), None),
    "not quite": (list(range(2, N + 2)), "integer"),
    "day": ([f"2024-01-{1 + i % 28:02}" for i in range(N)], "date"),
    "time": ([f"2024-01-01 10:{i:02}:30" for i in range(N)], "date"),
    "no day": ([f"2024-02-{20 + i % 12}" for i in range(N)], "category"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_types_are_found_in_files_and_tables_alike(tmp_path, name):
    values, kind = COLUMNS[name]
    frame = table(**{name: values})
    for data, said in (loaded(frame), loaded(written(tmp_path / "t.csv", frame))):
        assert data.domain == "mixed"
        assert kinds(data).get(name) == kind
        assert (name in data.schema.dropped) == (kind is None) == any(repr(name) in line for line in said)


def test_what_a_column_stores():
    frame = table(
        age=[None if i % 6 == 0 else float(20 + i) for i in range(N)],
        day=[f"2024-01-{1 + i % 28:02}" for i in range(N)],
        owner=[i % 3 == 0 for i in range(N)],
    )
    data = load(frame)
    assert data.schema.levels == (3, 0, 0, 0, 2)
    job, pay, age, day, owner = data.schema.columns
    assert job.levels == WORDS
    assert (pay.decimals, age.decimals, day.unit) == (2, 0, "day")
    assert owner.levels == ("False", "True")
    values, train = frame["age"].to_numpy()[data.train.ids], data.train.array()
    assert age.missing == np.isnan(values).mean() == np.isnan(train[:, 2]).mean() > 0
    assert (age.low, age.high) == (np.nanmin(values), np.nanmax(values))
    assert (job.low, job.high, job.missing) == (0, 2, 0)
    assert train.dtype == np.float32
    np.testing.assert_array_equal(train[:, 0], [WORDS.index(word) for word in frame["job"][data.train.ids]])


def test_what_reads_without_words_or_gaps_is_as_before(tmp_path):
    x = RNG.normal(size=(N, 2)).round(3)
    real, binary = pd.DataFrame(x, columns=["a", "b"]), pd.DataFrame({"a": [0, 1] * 30, "b": [0, 0, 1] * 20})
    for frame, domain in ((real, "real"), (binary, "binary")):
        data = load(written(tmp_path / "t.csv", frame))
        assert data.domain == domain
        assert not any(data.schema.levels)
        assert load(written(tmp_path / "t.csv", frame), columns={"a": "real"}).hash == data.hash


def test_one_level_too_many_is_text():
    n = 12 * LEVELS
    for more, kept in ((0, True), (1, False)):
        words = [f"w{i % (LEVELS + more)}" for i in range(n)]
        data, said = loaded(pd.DataFrame({"w": words, "x": RNG.normal(size=n)}))
        assert ("w" in kinds(data)) == kept
        assert kept or f"{LEVELS + 1:,} different words in {len(data.train):,} rows" in said[0]


# ------------------------------------------------------------------ as the user says
@pytest.mark.parametrize(
    ("values", "asked", "kind", "levels"),
    [
        ([i % 4 for i in range(N)], "category", "category", ("0", "1", "2", "3")),
        ([10 * (i % 4) for i in range(N)], "ordinal", "ordinal", ("0", "10", "20", "30")),
        ([i % 2 for i in range(N)], "integer", "integer", None),
        ([f"{9 + i % 3}" for i in range(N)], "ordinal", "ordinal", ("9", "10", "11")),
        (["abc"[i % 3] for i in range(N)], "ordinal:c<a<b<d", "ordinal", ("c", "a", "b", "d")),
        ([f"person {i}" for i in range(N)], "category", "category", ...),
        (list(range(N)), "integer", "integer", None),
    ],
)
def test_the_user_decides(tmp_path, values, asked, kind, levels):
    frame = table(c=values)
    for data in (frame, written(tmp_path / "t.csv", frame)):
        found, _ = loaded(data, columns={"c": asked})
        column = next(column for column in found.schema.columns if column.name == "c")
        assert column.kind == kind
        assert levels is ... or column.levels == levels
        assert found.types == {"c": asked}


def test_leading_zeros_stay(tmp_path):
    frame = table(zip=[f"0{i % 5}" for i in range(N)])
    data = load(written(tmp_path / "t.csv", frame), columns={"zip": "category"})
    assert restore(data.rows.array(), data.schema)["zip"].tolist() == frame["zip"].tolist()
    new = load_rows(written(tmp_path / "new.csv", frame.tail(7)), data.schema)
    np.testing.assert_array_equal(new.array(), data.rows.array()[-7:])


def test_asking_for_levels_makes_a_table_mixed_and_asking_for_numbers_does_not():
    frame = pd.DataFrame({"a": np.arange(N) % 5, "b": RNG.normal(size=N)})
    assert load(frame, columns={"a": "integer"}).domain == "real"
    assert load(frame, columns={"a": "category"}).domain == "mixed"
    assert load(frame, view="domain=mixed").domain == "mixed"
    assert load(frame.to_numpy(), columns={"x0": "category"}).schema.levels == (5, 0)


def test_categories_without_rows_are_no_levels():
    sizes = pd.Categorical(["M", "L", "XL"] * 20, categories=["S", "M", "L", "XL"], ordered=True)
    data = load(table(size=sizes))
    assert data.schema.columns[2].levels == ("M", "L", "XL")
    assert restore(data.rows.array(), data.schema)["size"].tolist() == sizes.tolist()


def test_arrays_have_missing_cells_if_asked():
    x = RNG.normal(size=(N, 2))
    x[3, 1] = np.nan
    with pytest.raises(PlausibleError, match=r'is nan: .* view="domain=mixed"'):
        load(x)
    data = load(x, view="domain=mixed")
    np.testing.assert_array_equal(data.rows.array(), x.astype(np.float32))
    np.testing.assert_array_equal(restore(data.rows.array(), data.schema), x.astype(np.float32))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"pay": "number"}, "there is no type 'number': choose from real, integer"),
        ({"pay": "ordinal:a"}, "levels are written in their order"),
        ({"pay": "category:a<b"}, "levels are written in their order"),
        ({"wage": "real"}, "no column 'wage' for --column: there is job, pay"),
        ({"pay": "integer"}, "column 'pay' cannot be integer"),
        ({"job": "real"}, "column 'job' cannot be real: 'clerk' is no number"),
        ({"job": "date"}, "column 'job' cannot be a date: 'clerk' is none: write 2024-05-31"),
        ({"pay": "date"}, "column 'pay' cannot be a date"),
        ({"job": "binary"}, "column 'job' has 3 different values"),
        ({"job": "ordinal"}, "say their order, --column job=ordinal:clerk<cook<smith"),
        ({"job": "ordinal:clerk<cook"}, "levels that are not in the order given: smith"),
        (
            {"job": "real", "pay": "integer"},
            "'job' cannot be real: 'clerk' is no number; column 'pay' cannot",
        ),
    ],
)
def test_types_that_cannot_be_are_refused(tmp_path, columns, says):
    frame = table()
    for data in (frame, written(tmp_path / "t.csv", frame)):
        assert says in refused(data, columns=columns)


@pytest.mark.parametrize(
    ("data", "how", "says"),
    [
        (
            table(),
            {"view": "domain=real"},
            ":domain=real is for numbers, and there are words, dates or missing",
        ),
        (table(), {"view": "domain=unit:binary"}, ":binary is for numbers"),
        (table(), {"drop": ["wage"]}, "no column 'wage' for drop="),
        (table(), {"drop": "pay", "target": "job"}, "no columns left"),
        (RNG.normal(size=(N, 2)), {"drop": ["x0"]}, "has no columns with names"),
        (RNG.normal(size=(N, 2)), {"columns": {"x0": "integer"}}, "is not a whole number"),
        (RNG.normal(size=(N, 2)), {"columns": {"x7": "integer"}}, "no column 'x7'"),
        ("digits", {"view": "domain=mixed"}, "pictures have no columns"),
        ("digits", {"columns": {"x0": "real"}}, "pictures have no columns"),
        (table()[["job"]].assign(job=[f"p{i}" for i in range(N)]), {}, "no column to learn from"),
        (table(pay=[np.inf] * N), {}, "column 'pay' is inf in row 0"),
    ],
)
def test_what_cannot_be_a_mixed_table_is_refused(data, how, says):
    assert says in refused(data, **how)


def test_words_among_numbers_are_named_all_together(tmp_path):
    frame = table(a=[str(i) for i in range(N)], b=[str(i % 50) for i in range(N)])
    frame.loc[7, "a"], frame.loc[[5, 6], "b"] = "4O", "n.a."
    message = refused(written(tmp_path / "t.csv", frame))
    assert "column 'a' holds 59 numbers and 1 other cell ('4O' in line 9)" in message
    assert "column 'b' holds 58 numbers and 2 other cells ('n.a.' in line 7)" in message
    assert "--column b=category" in message
    found, _ = loaded(written(tmp_path / "t.csv", frame), columns={"b": "category"}, drop=["a"])
    assert found.schema.columns[-1].kind == "category"
    assert found.schema.dropped == ("a",)


def test_words_that_come_late_are_words(tmp_path, monkeypatch):
    from plausible.data import csvfile

    monkeypatch.setattr(csvfile, "_CELLS", 20)
    frame = table(code=[str(i % 3) if i < 40 else "ab"[i % 2] for i in range(N)])
    data = load(written(tmp_path / "t.csv", frame))
    assert restore(data.rows.array(), data.schema)["code"].tolist() == frame["code"].tolist()


# ------------------------------------------------------------------ new rows
def test_new_rows_are_read_by_the_schema(tmp_path):
    frame = table(code=["a", "1", "2"] * 20, flag=[0, 1] * 30, day=pd.date_range("2024", periods=N))
    path = written(tmp_path / "t.csv", frame)
    data, new = load(path), frame.iloc[[4, 1, 7]]
    new = new.assign(code=["1", "2", "2"])[["day", "flag", "code", "pay", "job"]]  # all numbers now
    given = {
        "csv": written(tmp_path / "new.csv", new, sep=";", decimal=","),
        "pandas": new,
        "polars": pl.from_pandas(new),
        "pyarrow": pa.Table.from_pandas(new, preserve_index=False),
    }
    expected = data.rows.array()[[4, 1, 7]]
    expected[:, 2] = [data.schema.columns[2].levels.index(code) for code in new["code"]]
    for name, rows in given.items():
        np.testing.assert_array_equal(load_rows(rows, data.schema).array(), expected, name)


def test_levels_that_the_run_does_not_know_count_as_missing(tmp_path):
    data = load(table())
    new = table().head(3).assign(job=["cook", "pilot", None])
    for rows in (new, written(tmp_path / "new.csv", new)):
        with pytest.warns(
            UserWarning, match="not known to the run, and counted as missing: 'pilot' of 'job'"
        ):
            found = load_rows(rows, data.schema).array()[:, 0]
        np.testing.assert_array_equal(found, [1, np.nan, np.nan])


def test_levels_of_no_training_row_count_as_missing():
    frame = table()
    frame.loc[load(frame).test.ids[0], "job"] = "pilot"
    data, said = loaded(frame)
    assert data.schema.columns[0].levels == WORDS
    assert np.isnan(data.test.array()[0, 0])
    assert "not known to the training rows, and counted as missing: 'pilot' of 'job'" in said[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pay": "much"}, "column 'pay' holds 'much' in line 2, and the run was trained on numbers (real)"),
        ({"day": "soon"}, "column 'day' holds 'soon' in line 2, and the run was trained on dates, in days"),
        ({"day": 7}, "column 'day' holds the number 7 in line 2"),
        ({"pay": "2024-01-01"}, "column 'pay' holds '2024-01-01'"),
        ({"pay": np.inf}, "column 'pay' is inf"),
        ({"more": 1}, "not among the run's: more"),
    ],
)
def test_new_rows_of_another_type_are_refused(tmp_path, change, says):
    frame = table(day=[f"2024-01-{1 + i % 28:02}" for i in range(N)])
    schema = load(frame).schema
    with pytest.raises(PlausibleError) as caught:
        load_rows(written(tmp_path / "new.csv", frame.head(2).assign(**change)), schema)
    assert says in str(caught.value)
    with pytest.raises(PlausibleError, match="missing: job"):
        load_rows(frame.drop(columns="job"), schema)


def test_a_run_of_numbers_refuses_words_and_gaps(tmp_path):
    frame = pd.DataFrame(RNG.normal(size=(N, 2)), columns=["a", "b"])
    schema = load(frame).schema
    new = frame.head(3).astype(object)
    new.loc[1, "a"], new.loc[2, "b"] = np.nan, "x"
    for rows in (new.astype({"b": str}), written(tmp_path / "new.csv", new)):
        with pytest.raises(
            PlausibleError, match=r"without missing cells, and 'a' is missing in .*; 'b' holds"
        ):
            load_rows(rows, schema)


def test_columns_that_were_dropped_may_be_there_or_not():
    frame = table(name=[f"person {i}" for i in range(N)], note=["x"] * N)
    data, _ = loaded(frame, drop=["note"])
    assert data.schema.dropped == ("note", "name")
    for rows in (frame, frame.drop(columns=["name"]), frame.drop(columns=["name", "note"])):
        np.testing.assert_array_equal(load_rows(rows, data.schema).array(), data.rows.array())


def test_splits_share_their_words():
    frame = table()
    parts = {"train": frame.iloc[:40], "test": frame.iloc[40:].assign(job=frame["job"][40:].tolist())}
    data = load(parts)
    np.testing.assert_array_equal(data.rows.array(), load(frame).rows.array())
    with pytest.raises(PlausibleError, match="'job' holds words in train, numbers in test"):
        load({"train": frame.iloc[:40], "test": frame.iloc[40:].assign(job=1.5)})


# ------------------------------------------------------------------ out again
FRAMES = {
    "pandas": pd.DataFrame(
        {
            "word": ["a", None, "b"] * 20,
            "kind": pd.Categorical(["u", "v", None] * 20),
            "size": pd.Categorical(["S", "L", "M"] * 20, categories=["S", "M", "L"], ordered=True),
            "number": pd.Categorical([1, 2, 5] * 20),
            "int": pd.array([1, None, 3] * 20, "Int64"),
            "float": [0.5, None, 2.25] * 20,
            "flag": pd.array([True, None, False] * 20, "boolean"),
            "bool": [True, False, False] * 20,
            "when": pd.to_datetime(["2024-01-01 10:00", None, "2024-03-01 12:30"] * 20),
            "zone": pd.to_datetime(["2024-01-01", None, "2024-03-01"] * 20).tz_localize("Europe/Berlin"),
        }
    ),
    "polars": pl.DataFrame(
        {
            "word": ["a", None, "b"] * 20,
            "kind": pl.Series(["u", "v", None] * 20, dtype=pl.Categorical),
            "size": pl.Series(["S", "L", "M"] * 20, dtype=pl.Enum(["S", "M", "L"])),
            "int": [1, None, 3] * 20,
            "small": pl.Series([1, None, 3] * 20, dtype=pl.UInt8),
            "float": [0.5, None, 2.25] * 20,
            "flag": [True, None, False] * 20,
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 3, 1)] * 20,
            "when": [dt.datetime(2024, 1, 1, 10), None, dt.datetime(2024, 3, 1, 12, 30)] * 20,
        }
    ),
    "pyarrow": pa.table(
        {
            "word": ["a", None, "b"] * 20,
            "kind": pa.array(["u", "v", None] * 20).dictionary_encode(),
            "int": pa.array([1, None, 3] * 20, pa.int16()),
            "float": [0.5, None, 2.25] * 20,
            "flag": [True, None, False] * 20,
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 3, 1)] * 20,
            "when": pa.array(
                [dt.datetime(2024, 1, 1, 10), None, dt.datetime(2024, 3, 1)] * 20, pa.timestamp("us")
            ),
        }
    ),
}


@pytest.mark.parametrize("library", FRAMES)
def test_a_table_comes_back_with_its_types_and_gaps(library, tmp_path):
    frame = FRAMES[library]
    data = load(frame)
    for generated in (False, True):
        back = restore(data.rows.array(), data.schema, generated=generated)
        if library == "pandas":
            pd.testing.assert_frame_equal(back, frame)
        else:
            assert back.equals(frame)
            assert back.schema == frame.schema
    for other in FRAMES:
        again = restore(data.rows.array(), data.schema, other)
        np.testing.assert_array_equal(load_rows(again, data.schema).array(), data.rows.array(), other)
    write_samples(data.rows.array(), data.schema, tmp_path / "t.csv")
    np.testing.assert_array_equal(load_rows(f"{tmp_path}/t.csv", data.schema).array(), data.rows.array())
    assert data.schema.columns[0].levels == ("a", "b")


def test_a_parquet_file_is_read_like_its_table(tmp_path):
    import pyarrow.parquet

    pyarrow.parquet.write_table(FRAMES["pyarrow"], tmp_path / "t.parquet")
    data = load(tmp_path / "t.parquet")
    np.testing.assert_array_equal(data.rows.array(), load(FRAMES["pyarrow"]).rows.array())
    assert data.source == f"{tmp_path}/t.parquet"
    with pytest.raises(PlausibleError, match="the label of row 2"):
        load(tmp_path / "t.parquet", target="kind")
    assert load(tmp_path / "t.parquet", drop=["word"]).columns[:2] == ("kind", "int")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    import sys

    FRAMES["pandas"].to_parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'plausible[parquet]'" in refused(tmp_path / "t.parquet")


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_words_are_no_numbers(tmp_path, ending):
    data = load(table())
    with pytest.raises(PlausibleError, match=r"has words or dates.*write a \.csv"):
        write_samples(data.rows.array(), data.schema, tmp_path / f"x{ending}")
    assert not list(tmp_path.iterdir())
    objects = restore(data.rows.array(), data.schema, "numpy")
    assert objects[:3, 0].tolist() == list(WORDS)


def test_new_rows_keep_decimals_ranges_and_levels(tmp_path):
    frame = table(
        age=[None if i % 9 == 0 else 20.0 + i for i in range(N)], day=["2024-01-01", "2024-01-09"] * 30
    )
    schema = load(written(tmp_path / "t.csv", frame)).schema
    wild = np.array([[-3, 1e9, 7.4, 0.0], [9, 1000.123, np.nan, 1e9], [1.2, -5, 1e9, np.nan]], np.float32)
    write_samples(wild, schema, tmp_path / "new.csv", generated=True)
    rows = (tmp_path / "new.csv").read_text().splitlines()
    low, high = (f"{end:.2f}" for end in (schema.columns[1].low, schema.columns[1].high))
    assert rows == [
        "job,pay,age,day",
        f"clerk,{high},{schema.columns[2].low:.0f},2024-01-01",
        "smith,1000.12,,2024-01-09",
        f"cook,{low},{schema.columns[2].high:.0f},",
    ]


# ------------------------------------------------------------------ any table, written in any way
TEXT = ["red", "blü e", 'say "hi"', "x;y", "p,q", "a|b", "tab\there", "two\nlines", "1st", "ß", "-"]


@st.composite
def files(draw):
    """(columns as they should come back, delimiter, decimal mark, encoding, line end)."""
    n = draw(st.integers(40, 60))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    columns = {"anchor": [TEXT[i] for i in rng.integers(0, 2, n)]}
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["integer", "real", "large", "words", "day", "time"]))
        gaps = rng.random(n) < draw(st.sampled_from([0, 0.2]))
        values = {
            "integer": lambda: rng.integers(-50, 50, n).tolist(),
            "real": lambda: (rng.integers(-9999, 9999, n) / 100).tolist(),
            "large": lambda: (rng.integers(-(10**6), 10**6, n) / 10).tolist(),
            "words": lambda: rng.choice(rng.permutation(TEXT)[:6], n).tolist(),
            "day": lambda: (np.datetime64("2023-01-01") + rng.integers(0, 900, n)).tolist(),
            "time": lambda: (np.datetime64("2023-01-01T00:00:00") + rng.integers(0, 10**6, n)).tolist(),
        }[kind]()
        columns[f"{kind} {i}"] = [None if gap else value for gap, value in zip(gaps, values, strict=True)]
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    return (
        columns,
        delimiter,
        draw(st.sampled_from(".,")),
        draw(st.sampled_from(["utf-8", "utf-16", "cp1252"])),
    )


def cell(value, mark, grouped):
    if value is None:
        return ""
    if isinstance(value, float | int):
        text = f"{value:,}" if grouped else f"{value}"
        return text.translate(str.maketrans(".,", ",.")) if mark == "," else text
    return str(value)


@given(file=files(), missing=st.sampled_from(["", "NA", "?", "null"]), grouped=st.booleans())
@settings(max_examples=80, deadline=None)
def test_round_trip(tmp_path_factory, file, missing, grouped):
    columns, delimiter, mark, encoding = file
    path = tmp_path_factory.mktemp("mixed") / "t.csv"
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(cell(value, mark, grouped) or missing for value in row)
    data, said = loaded(path)
    assert not data.schema.dropped
    back = restore(data.rows.array(), data.schema)
    for column in data.schema.columns:
        values, expected = back[column.name].tolist(), columns[column.name]
        for found, value in zip(values, expected, strict=True):
            if value is None or (column.levels is not None and str(value) not in column.levels):
                assert pd.isna(found)
            elif isinstance(value, float | int):
                assert np.float32(found) == np.float32(value)
            else:
                assert str(found).removesuffix(" 00:00:00") == str(value).removesuffix(" 00:00:00")
    write_samples(data.rows.array(), data.schema, path.with_name("again.csv"))
    again = load_rows(path.with_name("again.csv"), data.schema)
    np.testing.assert_array_equal(again.array(), data.rows.array())
    assert all("not UTF-8" in line or "not known to the training rows" in line for line in said)
