"""`.csv`: what was written comes back; what cannot be read is named by line and column."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import csvfile, load
from plausible.errors import PlausibleError

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff"), min_size=1, max_size=6
)
TEN = "\n".join(f"{i},{i * 0.5}" for i in range(10))


def refused(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding, newline="")
    with pytest.raises(PlausibleError) as caught:
        load(str(path))
    assert str(path) in str(caught.value)
    return str(caught.value)


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=10, max_size=30))
    names = draw(st.lists(NAMES.map(str.strip).filter(bool), min_size=width, max_size=width, unique=True))
    return rows, [f"c {name}" for name in names]  # never a number


@given(table=tables(), header=st.booleans(), end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, table, header, end, bom):
    rows, names = table
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", newline="", encoding="utf-8-sig" if bom else "utf-8") as stream:
        writer = csv.writer(stream, lineterminator=end)
        writer.writerows([names, *rows] if header else rows)
    expected = np.array(rows, np.float32)
    if (expected == expected.flat[0]).all():
        with pytest.raises(PlausibleError, match="constant"):
            load(str(path))
        return
    data = load(str(path))
    np.testing.assert_array_equal(data.rows.array(), expected)
    assert data.columns == (tuple(names) if header else None)
    assert data.shape == (len(names),)
    assert data.labels is None


def test_many_blocks_keep_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(csvfile, "_CELLS", 7)
    (tmp_path / "t.csv").write_text(TEN)
    expected = [(i, i / 2) for i in range(10)]
    np.testing.assert_array_equal(load(f"{tmp_path}/t.csv").rows.array(), np.array(expected, np.float32))
    text = TEN.replace("9,4.5", "9,inf")
    assert "line 10, column 2 is inf" in refused(tmp_path / "u.csv", text)


@pytest.mark.parametrize(
    ("cell", "domain"), [("1", "binary"), ("0.5", "real"), ("1.5", "real"), ("-1", "real")]
)
def test_domains_are_found(tmp_path, cell, domain):
    (tmp_path / "t.csv").write_text("a,b\n" + "0,1\n" * 10 + f"1,{cell}\n")
    assert load(f"{tmp_path}/t.csv").domain == domain


def test_the_names_of_the_columns_are_in_the_hash_and_blank_lines_are_not(tmp_path):
    for name, text in {"a": "p,q\n" + TEN, "b": "p,r\n" + TEN, "c": "\np,q\n\n" + TEN + "\n\n"}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    a, b, c = (load(f"{tmp_path}/{name}.csv").hash for name in "abc")
    assert a != b
    assert a == c


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n\n\n", "is empty"),
        ("a,b\n", "a header and no rows"),
        ("a,b\n1,2\n", "at least 10"),
        ("a,b\n" + TEN + "\n1,2,3\n", "line 12 has 3 cells and not 2"),
        ("a,b\n1,2\n3\n" + TEN, "line 3 has 1 cells and not 2"),
        (
            "a,b\n" + TEN + "\n1,red\n",
            "column 'b' holds 10 numbers and 1 other cell ('red' in line 12): correct",
        ),
        (TEN + "\n1,red\n", "column 'x1' holds 10 numbers and 1 other cell ('red' in line 11)"),
        ("a,b\n" + TEN + "\n1_000,2\n", "column 'a' holds 10 numbers and 1 other cell ('1_000' in line"),
        ("a,b\n" + TEN + "\n1,inf\n", "line 12, column 'b' is inf: drop the row or fill"),
        ("a,b\n-inf,1\n" + TEN, "line 2, column 'a' is -inf"),
        ("a,b\n1e39,1\n" + TEN, "row 0, column 'a' (rows counted from 0) is 1e+39: too large"),
        ("a,b,a\n1,2,3\n", "columns 1 and 3 are both 'a'"),
        ("a, a\n1,2\n", "columns 1 and 2 are both 'a'"),
        ("a,,c\n1,2,3\n", "column 2 has no name"),
        (",0,1\n0,1,2\n", "line 1 holds numbers (0) and words (an empty cell): write :header=yes"),
        ("5.1,3.5,setosa\n", "line 1 holds numbers (5.1) and words (setosa): write :header=yes"),
        ("a,b\n1\n" + TEN + "\n1,2,3\n-inf,1\n", "3 problems: line 2: has 1 cells and not 2; line 13: has 3"),
        ('a,b\n1,"2\n3,4\n', "check the quotes"),
        ("a,b\n" + "7,7\n" * 10, "every value is 7.0"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, says):
    assert says in refused(tmp_path / "t.csv", text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_other_encodings(tmp_path, encoding):
    bom = "\ufeff" if encoding == "utf-16-le" else ""
    (tmp_path / "t.csv").write_text(f"{bom}gewählt,b\n" + TEN, encoding=encoding)
    if encoding.startswith("utf"):
        data = load(tmp_path / "t.csv")
    else:
        with pytest.warns(UserWarning, match="is not UTF-8 and is read as Windows-1252"):
            data = load(tmp_path / "t.csv")
    assert data.columns == ("gewählt", "b")


def test_not_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\0\1\2\3")
    with pytest.raises(PlausibleError, match="is not text"):
        load(tmp_path / "t.csv")
    (tmp_path / "u.csv").write_bytes(b"\xff\xfea")
    with pytest.raises(PlausibleError, match="is not UTF-16 text"):
        load(tmp_path / "u.csv")


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    import tempfile

    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    (tmp_path / "t.csv").write_text(TEN)
    data = load(f"{tmp_path}/t.csv")
    assert list(spool.iterdir()) == []
    assert data.rows.array().shape == (10, 2)
    refused(tmp_path / "bad.csv", TEN + "\nx,y\n")
    assert list(spool.iterdir()) == []


def test_no_room_for_the_spool_is_said(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert "set TMPDIR" in refused(tmp_path / "t.csv", TEN)
