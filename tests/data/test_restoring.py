"""New rows have the range and the digits of the training columns; rows of the user's own are left alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import opened, tiny_options, train

from plausible.data import load, restore
from plausible.models.registry import MODELS, model_class

RNG = np.random.default_rng(0)
N = 400
COLUMNS = {
    "age": (RNG.integers(18, 90, N), 0),
    "owner": (RNG.integers(0, 2, N), 0),
    "income": (np.exp(RNG.normal(10, 0.6, N)).round(2), 2),
    "thousands": (RNG.integers(1, 60, N) * 1000.0, 0),
    "time": (1.7e9 + RNG.integers(0, 10**6, N), 0),  # float32 alone would merge these
    "weight": (RNG.normal(70, 9, N), None),
}
TABLE = np.column_stack([values for values, _ in COLUMNS.values()])


def as_csv(folder):
    pd.DataFrame({name: values for name, (values, _) in COLUMNS.items()}).to_csv(
        folder / "t.csv", index=False
    )
    return str(folder / "t.csv")


KINDS = {
    "csv": as_csv,
    "float64 array": lambda _: TABLE,
    "DataFrame": lambda _: pd.DataFrame({name: values for name, (values, _) in COLUMNS.items()}),
}


def check(rows):
    """Whether rows, (n, columns), could be rows of the table."""
    for (name, (values, digits)), found in zip(COLUMNS.items(), np.asarray(rows, np.float64).T, strict=True):
        assert values.min() - 1e-9 <= found.min(), name
        assert found.max() <= values.max() + 1e-9, name
        if digits is not None:
            np.testing.assert_array_equal(found, found.round(digits), name)
            assert not np.signbit(found[found == 0]).any(), "no -0"
        else:
            assert (found != found.round(3)).any(), "a real value keeps its digits"


@pytest.mark.parametrize("kind", KINDS)
def test_digits_are_found(kind, tmp_path):
    data = load(KINDS[kind](tmp_path))
    assert [column.decimals for column in data.schema.columns] == [digits for _, digits in COLUMNS.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_new_rows_keep_range_and_digits_and_the_users_own_do_not(kind, tmp_path):
    schema = load(KINDS[kind](tmp_path)).schema
    wild = RNG.normal(0, 1e5, (100, len(COLUMNS))).astype(np.float32)
    check(restore(wild, schema, generated=True))
    own = np.asarray(restore(wild, schema), np.float64)
    weight = list(COLUMNS).index("weight")
    np.testing.assert_allclose(own[:, weight], wild[:, weight], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in MODELS if "real" in model_class(name).domains])
def test_samples_of_every_model_keep_range_and_digits(name, tmp_path):
    options = tiny_options(name, "default")
    more = {"epochs": 1, "batch": 64} if model_class(name).recipe else {}
    run = opened(train(name, load(as_csv(tmp_path)), out=tmp_path / "run", **options, **more))
    check(run.sample(200))
    written = pd.read_csv(run.sample(200, out=tmp_path / "s.csv"))
    check(written)
    assert all("." not in cell for cell in (tmp_path / "s.csv").read_text().splitlines()[1].split(",")[:2])


@given(st.integers(0, 6), st.floats(1, 1e4), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=40, deadline=None)
def test_digits_of_any_column(digits, scale, dtype):
    values = np.random.default_rng(1).normal(0, scale, (300, 2)).round(digits).astype(dtype)
    found = {
        column.decimals
        for column in load(values.round(digits) if dtype == np.float64 else values).schema.columns
    }
    largest = np.abs(values).max() * 10.0**digits * 4 * np.finfo(dtype).eps
    assert found <= ({digits} if largest < 0.01 else {digits, None})
