"""Whether the first line of a .csv holds names."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import load
from plausible.errors import PlausibleError

RNG = np.random.default_rng(23)
X = RNG.normal(size=(40, 3))


def written(path, head, x=X, fmt="%.5f"):
    np.savetxt(path, x, delimiter=",", header=head, comments="", fmt=fmt)
    return str(path)


@pytest.mark.parametrize("head", ["0,1,2", "1,2,3", "10,20,30", "2019,2020,2021", "2021,2020,2019"])
def test_whole_numbers_that_no_column_holds_are_names(tmp_path, head):
    path = written(tmp_path / "t.csv", head)
    with pytest.warns(UserWarning, match="read as the names"):
        data = load(path)
    assert data.columns == tuple(head.split(","))
    np.testing.assert_array_equal(data.rows.array(), X.round(5).astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(f"{path}:header=yes").columns == data.columns
        assert len(load(f"{path}:header=no").rows) == 41


@pytest.mark.parametrize(
    ("head", "x"),
    [
        ("0,1,2", np.tile([[0, 5, 5], [9, 1, 5]], (20, 1))),
        ("2,1,0", X),
        ("0,0,1", X),
        ("0,1,-2", X),
        ("0.0,1.0,2.0", X),
        ("1e0,2e0,3e0", X),
        ("2021,2020,2019", RNG.integers(1950, 2030, (40, 3))),
        ("5", RNG.integers(10, 90, (40, 1))),
    ],
)
def test_other_numbers_are_a_row(tmp_path, head, x):
    path = written(tmp_path / "t.csv", head, x, "%d" if x.dtype.kind == "i" else "%.5f")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(path)
    assert len(data.rows) == 41
    assert data.columns is None
    assert load(f"{path}:header=no").hash == data.hash


@given(
    rows=st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=12, max_size=30),
    head=st.lists(st.integers(0, 9), min_size=3, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_the_rule_by_columns(tmp_path_factory, rows, head):
    path = tmp_path_factory.mktemp("head") / "t.csv"
    x = np.array(rows)
    if (x == x[0, 0]).all():
        return
    written(path, ",".join(map(str, head)), x, "%d")
    expected = head[0] < head[1] < head[2] and not any((x[:, i] == head[i]).any() for i in range(3))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = load(path)
    assert (data.columns is not None) == expected == bool(said)
    assert len(data.rows) == len(rows) + (not expected)


def test_a_first_row_of_decimal_commas_is_a_row(tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(f"{i},5;{i % 7},25" for i in range(20)))
    data = load(tmp_path / "t.csv")
    assert (data.columns, len(data.rows)) == (None, 20)
    assert data.rows.array()[3].tolist() == [3.5, 3.25]


def test_a_target_column_may_hold_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,kind,b\n" + "".join(f"{i},{'xy'[i % 2]},{i / 4}\n" for i in range(20)))
    data = load(f"{path}:target=kind")
    assert (data.columns, data.labels, data.schema.target) == (("a", "b"), ("x", "y"), "kind")
    assert load(path, target="kind").hash == data.hash
    assert load(path, target="kind").source == f"{path}:target=kind"
    np.testing.assert_array_equal(data.rows.y, np.arange(20) % 2)
    assert load(f"{path}:label=kind").source == data.source
    with pytest.warns(UserWarning, match="left out 'a', which counts the rows"):
        assert load(path).columns == ("kind", "b")
    for view, says in (
        (":target=kin", "no column 'kin'"),
        (":target=kind:header=no", "no column names"),
        (":target=", "needs a column"),
    ):
        with pytest.raises(PlausibleError, match=says):
            load(f"{path}{view}")
    numbers = written(tmp_path / "n.csv", "a,b,c", np.c_[X[:, :2], np.arange(40) % 3])
    assert load(f"{numbers}:target=c").labels == ("0", "1", "2")


def test_whole_columns_are_known_as_such(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(f"{i},{i}.0,{i / 4}\n" for i in range(20)))
    assert [column.dtype for column in load(tmp_path / "t.csv").schema.columns] == [
        "int64",
        "float64",
        "float64",
    ]
