"""How a .csv file is written is found from its first lines."""

import numpy as np
import pytest

from plausible.data import load
from plausible.data.cells import parse_number, parse_times, to_number
from plausible.data.csvdialect import find_delimiter


@pytest.mark.parametrize(
    ("row", "first"),
    [
        ("1,5{}", 1),
        ("1;5{}", 1),
        ("1\t5{}", 1),
        ("1|5{}", 1),
        ("1,234;{}", 1.234),  # in a file of semicolons a comma is a decimal mark
        ('"1,234",{}', 1234),  # in one of commas it groups digits
        ("1.234;2,{}", 1234),  # as another column says
        ("1.234;{}", 1.234),
        ("1.234,5;{}", 1234.5),
        ('"1,234.5",{}', 1234.5),
        ("1'234.5;{}", 1234.5),
        ("1\u00a0234,5;{}", 1234.5),
        ("+,5;{}", 0.5),
        ("-1,5e3;{}", -1500),
    ],
)
def test_numbers_are_read_as_their_file_writes_them(tmp_path, row, first):
    lines = [
        "a" + next(mark for mark in "\t|;," if mark in row) + "b",
        *(row.format(i % 7) for i in range(20)),
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    x = load(tmp_path / "t.csv").rows.array()
    assert x.shape == (20, 2)
    assert x[0, 0] == np.float32(first)


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["a;b", "1,5;2,5"], ";"),
        (["name;note", "x;a, b", "y;c, d"], ";"),
        (["a\tb", "Doe, J.\t1"], "\t"),
        (["a,b", "x;y,1", "z;w,2"], ","),
        (['a,"b;c"', '1,"2;3"'], ","),
        (["a", "1"], ","),
        (["a,b", "1,2", "3"], ","),
        (["a|b|c", "1|2;5|3"], "|"),
    ],
)
def test_the_delimiter_leaves_the_others_uncut(lines, delimiter):
    assert find_delimiter([line + "\n" for line in lines]) == delimiter


@pytest.mark.parametrize(
    ("cell", "mark", "number"),
    [
        ("1_000", ".", None),
        ("1,00", ".", None),
        ("1,2345", ".", None),
        ("0,123", ".", None),  # no group of digits begins with 0
        ("1,234,567.8", ".", 1234567.8),
        ("-1 234", ".", -1234),
        ("1e3", ".", 1000),
        ("1.5", ",", None),
        ("1.234.567,8", ",", 1234567.8),
        ("12", ",", 12),
        ("x", ",", None),
        ("", ",", None),
    ],
)
def test_what_is_a_number(cell, mark, number):
    assert to_number(cell, mark) == number


def test_blanks_do_not_count_and_missing_is_nan():
    assert parse_number(" 7 ") == 7
    assert all(np.isnan(parse_number(cell)) for cell in ("", " ", "NA", "?", "None", "NaN", "null", "N/A"))


@pytest.mark.parametrize(
    "words",
    [
        ["2024-02-30"],
        ["2024-2-3"],
        ["03.02.2024"],
        ["2024-01-01 25:00"],
        ["2024"],
        ["2024-01-01", "soon"],
        [],
    ],
)
def test_what_is_no_date(words):
    assert parse_times(words) is None


def test_dates_are_seconds():
    words = ["1970-01-02", "1970-01-01T00:01", "1970-01-01 00:00:07.5", "1970-01-01T01:00:00Z"]
    assert parse_times(words).tolist() == [86400, 60, 7.5, 3600]
