"""New rows for a run: read as its schema says, whatever they look like by themselves."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from plausible.data import load, load_rows
from plausible.errors import PlausibleError

RNG = np.random.default_rng(17)
UNIT = pd.DataFrame(RNG.random((40, 3)), columns=list("abc"))
GREY = RNG.integers(0, 256, (20, 6, 5), dtype=np.uint8)


def refused(data, schema, **more):
    with pytest.raises(PlausibleError) as caught:
        load_rows(data, schema, **more)
    return str(caught.value)


@given(row=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_scoring_refuses_no_finite_value_of_a_real_column(row):
    rows = load_rows(np.array([row], np.float32), load(UNIT).schema)
    assert rows.domain == "real"
    np.testing.assert_array_equal(rows.array(), np.array([row], np.float32))


def test_values_beyond_float32_are_taken_for_its_limits_with_a_warning():
    new = UNIT.iloc[:2].copy()
    new.loc[0, "b"], new.loc[1, "c"] = 1e300, -1e39
    with pytest.warns(UserWarning, match="'b', 'c'"):
        rows = load_rows(new, load(UNIT).schema)
    x = rows.array()
    assert np.isfinite(x).all()
    assert x[0, 1] == np.finfo(np.float32).max == -x[1, 2]
    assert "is inf" in refused(np.array([[0, np.inf, 0]]), load(UNIT).schema)


def test_columns_are_matched_by_name_and_what_differs_is_named():
    schema = load(UNIT).schema
    assert load_rows(UNIT[["c", "a", "b"]], schema).shape == (3,)
    message = refused(UNIT[["c", "a"]].assign(z=0.0, word="x"), schema)
    assert "missing: b" in message
    assert "z, word" in message
    assert "missing" not in refused(UNIT.assign(z=0.0), schema)
    assert "not among" not in refused(UNIT[["a", "b"]], schema)


def test_columns_of_a_csv_are_matched_by_name_too(tmp_path):
    data = load(UNIT)
    UNIT[["b", "c", "a"]].to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(load_rows(tmp_path / "t.csv", data.schema).array(), data.rows.array())
    UNIT[["b", "c"]].assign(word="x").to_csv(tmp_path / "u.csv", index=False)
    assert "missing: a; not among the run's: word" in refused(tmp_path / "u.csv", data.schema)
    UNIT.assign(kind="x").to_csv(tmp_path / "v.csv", index=False)
    labelled = load(UNIT.assign(kind=["x", "y"] * 20), target="kind")
    rows = load_rows(tmp_path / "v.csv", labelled.schema)
    np.testing.assert_array_equal(rows.array(), labelled.rows.array())
    assert set(rows.y) == {0}


def test_rows_without_names_are_matched_by_position_if_their_count_agrees():
    schema = load(UNIT).schema
    for x in (UNIT.to_numpy(), torch.tensor(UNIT.to_numpy()), pd.DataFrame(UNIT.to_numpy())):
        np.testing.assert_array_equal(load_rows(x, schema).array(), UNIT.to_numpy(np.float32))
    assert "has 2 columns, and the run was trained on 3" in refused(UNIT.to_numpy()[:, :2], schema)
    unnamed = load(UNIT.to_numpy()).schema
    np.testing.assert_array_equal(load_rows(UNIT, unnamed).array(), UNIT.to_numpy(np.float32))


@pytest.mark.parametrize(
    ("x", "one"),
    [
        (UNIT.to_numpy(), UNIT.to_numpy()[0]),
        (GREY, GREY[0]),
        (np.stack([GREY] * 3, 1), np.stack([GREY] * 3, 1)[0]),
        (np.stack([GREY] * 3, -1), np.stack([GREY] * 3, -1)[0]),
        (GREY[:, None], GREY[0]),
    ],
)
def test_a_single_example_is_told_to_get_an_axis_of_rows(x, one):
    schema = load(x).schema
    for single in (one, torch.tensor(one)):
        assert "x[None]" in refused(single, schema)
    assert len(load_rows(one[None], schema)) == 1


def test_a_square_of_rows_is_rows():
    x = RNG.normal(size=(20, 5))
    assert len(load_rows(x[:5], load(x).schema)) == 5


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (GREY[:, :5], ["5 × 5 pixels", "5 × 6 pixels"]),
        (np.stack([GREY] * 3, -1), ["RGB", "L (grey)"]),
        ([Image.fromarray(GREY[0].T)], ["6 × 5 pixels", "5 × 6 pixels"]),
        (GREY.reshape(20, 30), ["rows of 30 numbers", "(rows, 6, 5)"]),
        (GREY.astype(np.float32), ["row 0", "divide them by 255"]),
        (GREY / 255 - 0.01, ["is -0.0"]),
    ],
)
def test_pictures_that_differ_are_refused_with_both(new, says):
    message = refused(new, load(GREY).schema)
    assert all(text in message for text in says), message


def test_grey_levels_in_every_form_are_one_run_s_rows(tmp_path):
    for i, image in enumerate(GREY):
        Image.fromarray(image).save(tmp_path / f"{i:02}.png")
    images = [Image.fromarray(image) for image in GREY]
    unit = GREY.astype(np.float32) / np.float32(255)
    ways = [GREY, unit, images, tmp_path, torch.tensor(unit)[:, None]]
    for trained in ways:
        schema = load(trained).schema
        for new in ways:
            np.testing.assert_array_equal(load_rows(new, schema).array()[:, 0], unit)


def test_a_dark_picture_is_not_taken_for_a_binary_one():
    schema = load(GREY).schema
    dark = np.ones((1, 6, 5), np.uint8)
    np.testing.assert_allclose(load_rows(dark, schema).array(), 1 / 255)
    assert load_rows(dark, schema).domain == "unit"


def test_a_binary_run_takes_zeros_and_ones_and_names_the_rest():
    schema = load(UNIT > 0.5).schema
    for new in (UNIT > 0.5, (UNIT > 0.5).astype(float), (UNIT > 0.5).to_numpy(np.uint8), np.zeros((1, 3))):
        assert load_rows(new, schema).domain == "binary"
    message = refused((UNIT > 0.5) * 2.0, schema)
    assert "row" in message
    assert "is 2.0" in message
    assert "column" in message


def test_a_run_of_a_binary_view_takes_the_same_view():
    for view in ("binary", "fixed"):
        data = load("digits", view=view)
        rows = load_rows(f"digits:{view}", data.schema)
        np.testing.assert_array_equal(rows.array(), data.rows.array())
        assert ":binary" in refused("digits", data.schema)
        grey = load(GREY, view=view)
        np.testing.assert_array_equal(load_rows(GREY, grey.schema, view=view).array(), grey.rows.array())
        np.testing.assert_array_equal(load_rows(GREY // 255, grey.schema).array()[:, 0], GREY // 255)


def test_a_unit_table_names_the_value_outside():
    schema = load(UNIT, view="domain=unit").schema
    assert load_rows(np.array([[0, 0.5, 1]]), schema).domain == "unit"
    assert "column 1 (counted from 0) is 1.5" in refused(np.array([[0, 1.5, 1]]), schema)
    levels = load(GREY.reshape(20, 30), view="domain=unit")
    np.testing.assert_array_equal(load_rows(GREY.reshape(20, 30), levels.schema).array(), levels.rows.array())


def test_labels_go_by_the_run_s_names():
    data = load(UNIT, y=["x", "y", "z", "y"] * 10)
    np.testing.assert_array_equal(load_rows(UNIT[:2], data.schema, y=["z", "y"]).y, [2, 1])
    assert "does not know the label w" in refused(UNIT[:2], data.schema, y=["z", "w"])
    named = load(UNIT.assign(kind=["x", "y"] * 20), target="kind")
    with pytest.warns(UserWarning, match="label w"):
        assert load_rows(UNIT.assign(kind="w"), named.schema).y is None


def test_a_centred_column_is_read_with_the_run_s_offset():
    start = 1_700_000_000.0
    data = load(np.arange(start, start + 40)[:, None])
    offset = data.schema.columns[0].offset
    new = load_rows(np.array([[start + 1000], [0.0]]), data.schema).array()
    np.testing.assert_array_equal(new[:, 0], np.float32([start + 1000 - offset, -offset]))


def test_one_row_is_enough_and_constant_rows_are_rows():
    schema = load(UNIT).schema
    assert load_rows(UNIT[:1], schema).array().shape == (1, 3)
    assert load_rows(np.zeros((5, 3)), schema).domain == "real"


def test_bytes_for_a_run_of_digits_are_its_seventeen_levels():
    digits = load("digits")
    levels = (digits.rows.array()[:, 0] * 16).astype(np.uint8)
    np.testing.assert_array_equal(load_rows(levels, digits.schema).array(), digits.rows.array())
    assert "is 200" in refused(np.full((1, 8, 8), 200, np.uint8), digits.schema)


def test_rows_of_whole_numbers_without_a_header_stay_rows_for_a_run_that_knows_its_names(tmp_path):
    (tmp_path / "t.csv").write_text("5,6,7\n8,9,10\n")
    rows = load_rows(tmp_path / "t.csv", load(UNIT).schema)
    assert rows.array().tolist() == [[5, 6, 7], [8, 9, 10]]
