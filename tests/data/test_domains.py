"""The domain: decided once, by a rule that is stated; centring; and views that decide otherwise."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import load, raw
from plausible.errors import PlausibleError
from plausible.models.registry import MODELS, model_class

RNG = np.random.default_rng(19)
UNIT = RNG.random((40, 3))
BITS = RNG.integers(0, 2, (40, 3))
GREY = RNG.integers(0, 256, (40, 4, 4), dtype=np.uint8)


def refused(data, **more):
    with pytest.raises(PlausibleError) as caught:
        load(data, **more)
    return str(caught.value)


@given(columns=st.lists(st.sampled_from(["bits", "unit", "wide"]), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_table_is_binary_if_every_column_is_and_never_unit(columns):
    kinds = {"bits": BITS[:, 0], "unit": UNIT[:, 0], "wide": UNIT[:, 1] * 9 - 4}
    table = pd.DataFrame({f"c{i}": kinds[kind] for i, kind in enumerate(columns)})
    schema = load(table).schema
    assert schema.domain == ("binary" if set(columns) == {"bits"} else "real")
    assert [column.kind for column in schema.columns] == [
        "binary" if kind == "bits" else "real" for kind in columns
    ]
    assert schema.rule.startswith(schema.domain)


def test_ranges_are_of_the_training_rows_alone():
    x = UNIT.copy()
    probe = load(x)
    x[probe.train.ids, 1] += 5
    x[probe.test.ids[0]] = 1000
    schema = load(x).schema
    train = x[probe.train.ids]
    for i, column in enumerate(schema.columns):
        assert (column.low, column.high) == (train[:, i].min(), train[:, i].max())
    assert (schema.low, schema.high) == (train.min(), train.max())
    grey = load(GREY)
    seen = GREY[grey.train.ids]
    assert (grey.schema.low, grey.schema.high) == (seen.min() / 255, seen.max() / 255)


@pytest.mark.parametrize(
    ("x", "view", "domain", "scale"),
    [
        (UNIT, "domain=unit", "unit", 1),
        (GREY.reshape(40, 16), "domain=unit", "unit", 255),
        (GREY.reshape(40, 16), "domain=real", "real", 1),
        (GREY, "domain=real", "real", 255),
        (GREY > 99, "domain=unit", "unit", 1),
        (BITS, "domain=real", "real", 1),
        (BITS, "domain=binary", "binary", 1),
        (BITS.astype(float), "domain=unit", "unit", 1),
        (UNIT, "binary", "binary", 1),
        (UNIT, "domain=real:binary", "binary", 1),
        (GREY.reshape(40, 16), "domain=unit:fixed", "binary", 255),
    ],
)
def test_a_view_decides_otherwise_where_the_values_allow_it(x, view, domain, scale):
    data = load(x, view=view)
    assert (data.domain, data.schema.domain, data.schema.scale) == (domain, domain, scale)
    if "binary" not in view and "fixed" not in view:
        expected = x.reshape(40, *data.shape).astype(np.float32) / np.float32(scale)
        np.testing.assert_array_equal(data.rows.array(), expected)
    else:
        assert set(np.unique(data.rows.array())) == {0, 1}


@pytest.mark.parametrize(
    ("x", "view", "says"),
    [
        (UNIT, "domain=binary", "column 0 (counted from 0) is 0."),
        (UNIT * 2, "domain=unit", "unit values lie in [0, 1]"),
        (GREY, "domain=binary", "pixel (0, 0)"),
        (BITS, "binary", "binary already"),
        (BITS, "domain=binary:fixed", "binary already"),
        (UNIT * 2, "binary", "rnade, vae or gan"),
        (GREY.reshape(40, 16), "binary", ":domain=unit:binary"),
    ],
)
def test_a_view_that_the_values_do_not_allow_is_refused(x, view, says):
    assert says in refused(x, view=view)


def test_the_advice_of_a_refused_view_works():
    message = refused(GREY.reshape(40, 16), view="binary")
    assert ":domain=unit:binary" in message
    assert load(GREY.reshape(40, 16), view="domain=unit:binary").domain == "binary"


@pytest.mark.parametrize("start", [0.0, 1e6, 1.7e9, -3e12])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_a_column_that_float32_would_merge_is_centred(start, dtype):
    x = np.column_stack([np.arange(200) + start, RNG.normal(size=200) * 100]).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(x)
    rows = data.rows.array().astype(np.float64)
    offsets = np.array([column.offset for column in data.schema.columns])
    np.testing.assert_array_equal((rows + offsets)[:, 0], x[:, 0])
    assert (offsets[0] != 0) == (abs(start) > 2**24)
    assert offsets[1] == 0


def test_where_centring_does_not_help_the_column_is_named():
    x = pd.DataFrame({"a": np.r_[np.arange(100) + 1e12, np.arange(100) - 1e12], "b": RNG.normal(size=200)})
    with pytest.warns(UserWarning, match="column 'a'"):
        load(x)


def test_ordinary_columns_are_never_centred():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in (RNG.normal(size=(3000, 4)), RNG.random((3000, 4)), np.exp(RNG.normal(size=(3000, 4)) * 5)):
            assert all(column.offset == 0 for column in load(x).schema.columns)


def test_ranges_and_places_do_not_depend_on_the_size_of_a_block(monkeypatch):
    x = np.arange(1200.0).reshape(400, 3)
    whole = load(x).schema
    monkeypatch.setattr(raw, "_BLOCK_BYTES", 100)
    assert load(x).schema == whole
    assert load(x).hash == load(np.asfortranarray(x)).hash
    x[333, 2] = np.nan
    assert "row 333, column 2" in refused(x)


def test_the_models_that_errors_advise_take_such_values():
    for domain, advised in (("real", ("rnade", "vae", "gan")), ("binary", ("made", "nade", "vae"))):
        for model in map(model_class, MODELS):
            if domain not in model.domains:
                with pytest.raises(PlausibleError) as caught:
                    model((4,), domain)
                assert all(word in str(caught.value) for word in advised)
                assert ":binary" not in str(caught.value)
        assert all(domain in model_class(name).domains for name in advised)
    with pytest.raises(PlausibleError, match=":binary"):
        model_class("made")((1, 4, 4), "unit")
