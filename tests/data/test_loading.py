"""`load`: splits, views, hashes, and the data sets that need no file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.data import load, load_rows
from plausible.errors import PlausibleError


def save(path, array):
    np.save(path, array)
    return str(path)


def values(n=40, d=3, seed=0):
    return np.random.default_rng(seed).random((n, d), dtype=np.float32)


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    data = load("digits")
    x, y = load_digits(return_X_y=True)
    np.testing.assert_array_equal(data.rows.array().reshape(1797, 64) * 16, x)
    np.testing.assert_array_equal(data.rows.y, y)
    assert (data.shape, data.domain, data.labels) == ((1, 8, 8), "unit", tuple("0123456789"))
    assert [len(rows) for rows in (data.train, data.valid, data.test)] == [1437, 180, 180]


@pytest.mark.parametrize(
    ("name", "modes", "sigma", "radius"), [("ring", 8, 0.01, {1.0}), ("grid", 25, 0.05, None)]
)
def test_toys_have_the_modes_they_promise(name, modes, sigma, radius):
    data = load(name)
    x, y = data.rows.array().astype(np.float64), data.rows.y
    assert x.shape == (100_000, 2)
    assert data.domain == "real"
    assert data.labels == tuple(str(i) for i in range(modes))
    centres = np.stack([x[y == mode].mean(axis=0) for mode in range(modes)])
    spread = np.stack([x[y == mode].std(axis=0) for mode in range(modes)])
    share = np.bincount(y, minlength=modes) / len(y)
    np.testing.assert_allclose(spread, sigma, rtol=0.1)
    np.testing.assert_allclose(share, 1 / modes, rtol=0.1)
    if radius:
        np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-3)
        np.testing.assert_allclose(
            np.linalg.norm(centres - np.roll(centres, 1, 0), axis=1), 0.765367, atol=1e-3
        )
    else:
        line = [-4.0, -2.0, 0.0, 2.0, 4.0]
        np.testing.assert_allclose(centres, [(a, b) for a in line for b in line], atol=0.01)
    assert load(name).hash == data.hash


@given(n=st.integers(10, 300))
@settings(max_examples=25, deadline=None)
def test_splits_share_out_all_rows_80_10_10(tmp_path_factory, n):
    path = tmp_path_factory.mktemp("splits") / "x.npy"
    data = load(save(path, np.arange(n, dtype=np.float32)[:, None]))
    parts = [data.train, data.valid, data.test]
    taken = np.concatenate([part.array()[:, 0] for part in parts])
    assert sorted(taken) == list(range(n))
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(part) - share * n) <= 1
        assert len(part) >= 1
    np.testing.assert_array_equal(data.rows.array()[:, 0], np.arange(n))


def test_the_permutation_does_not_depend_on_the_values(tmp_path):
    a, b = load(save(tmp_path / "a.npy", values(seed=1))), load(save(tmp_path / "b.npy", values(seed=2)))
    np.testing.assert_array_equal(a.train.ids, b.train.ids)
    assert (a.train.ids != np.arange(32)).any()


def test_a_class_keeps_its_rows_in_their_splits():
    whole, threes = load("digits"), load("digits:class=3")
    for name in ("train", "valid", "test"):
        part, of_class = getattr(whole, name), getattr(threes, name)
        np.testing.assert_array_equal(part.array()[part.y == 3], of_class.array())
        assert set(of_class.y) == {3}
    assert len(threes.rows) == (whole.rows.y == 3).sum()
    assert threes.labels == whole.labels


@pytest.mark.parametrize("spec", ["digits", "digits:class=3", "digits:binary", "digits:fixed"])
def test_rows_alone_are_the_rows_of_the_data(spec):
    data, rows = load(spec), load_rows(spec)
    np.testing.assert_array_equal(rows.array(), data.rows.array())
    np.testing.assert_array_equal(rows.ids, data.rows.ids)
    assert (rows.shape, rows.domain) == (data.shape, data.domain)


def test_rows_alone_need_no_splits_and_may_be_constant(tmp_path):
    path = save(tmp_path / "one.npy", np.ones((1, 3), np.float32))
    assert load_rows(path).array().tolist() == [[1, 1, 1]]
    with pytest.raises(PlausibleError, match="1 rows"):
        load(path)
    with pytest.raises(PlausibleError, match="column 1"):
        load_rows(save(tmp_path / "nan.npy", np.array([[0, np.nan]])))


def test_binary_draws_train_afresh_and_the_rest_once():
    grey, binary, fixed = load("digits"), load("digits:binary"), load("digits:fixed")
    some = np.arange(100)
    assert binary.domain == fixed.domain == "binary"
    assert (binary.train.take(some, seed=1)[0] != binary.train.take(some, seed=2)[0]).any()
    assert (fixed.train.take(some, seed=1)[0] == fixed.train.take(some, seed=2)[0]).all()
    for name in ("valid", "test", "rows"):
        a, b = getattr(binary, name), getattr(fixed, name)
        np.testing.assert_array_equal(a.take(some, seed=1)[0], a.take(some, seed=2)[0])
        np.testing.assert_array_equal(a.array(), b.array())
    np.testing.assert_array_equal(fixed.rows.array()[fixed.train.ids], fixed.train.array())
    mean = np.mean([binary.train.take(some, seed=seed)[0] for seed in range(400)], axis=0)
    assert np.abs(mean - grey.train.take(some)[0]).max() < 6 * 0.5 / 20


def test_every_view_has_its_own_hash_however_it_is_written():
    specs = [
        "digits",
        "digits:binary",
        "digits:fixed",
        "digits:class=3",
        "digits:class=4",
        "digits:class=3:binary",
    ]
    hashes = [load(spec).hash for spec in specs]
    assert len(set(hashes)) == len(specs)
    assert load("digits:binary:class=3").hash == hashes[-1]
    assert all(len(found) == 64 for found in hashes)


def test_the_hash_is_of_the_content_not_of_the_path(tmp_path):
    x = values()
    a, b = load(save(tmp_path / "a.npy", x)), load(save(tmp_path / "b.npy", x))
    assert a.hash == b.hash
    fortran = load(save(tmp_path / "f.npy", np.asfortranarray(x)))
    assert fortran.hash == a.hash
    changed = x.copy()
    changed[-1, -1] += 1e-3
    assert load(save(tmp_path / "c.npy", changed)).hash != a.hash
    assert load(save(tmp_path / "d.npy", x.reshape(40, 3, 1))).hash != a.hash
    np.savez(tmp_path / "e.npz", x=x, y=np.arange(40) % 2)
    np.savez(tmp_path / "g.npz", x=x, y=np.arange(40) // 20)
    with_y = [load(str(tmp_path / name)).hash for name in ("e.npz", "g.npz")]
    assert len({a.hash, *with_y}) == 3


def test_own_splits_and_the_same_rows_split_anew_hash_apart(tmp_path):
    x = values()
    np.savez(tmp_path / "a.npz", train=x[:32], valid=x[32:36], test=x[36:])
    np.savez(tmp_path / "b.npz", train=x[:30], valid=x[30:36], test=x[36:])
    assert (
        len(
            {load(str(tmp_path / f"{name}.npz")).hash for name in "ab"}
            | {load(save(tmp_path / "c.npy", x)).hash}
        )
        == 3
    )


@pytest.mark.parametrize(
    ("view", "array", "says"),
    [
        ("", np.ones((9, 2)) * np.arange(9)[:, None], "at least 10"),
        ("", np.full((40, 3), 0.25), "every value is 0.25"),
        ("", np.zeros((40, 3), np.uint8), "every value is 0"),
        (":binary", np.arange(80).reshape(40, 2) % 2, "binary already"),
        (":fixed", np.arange(80.0).reshape(40, 2), "train a model of real values, such as rnade, vae or gan"),
        (":class=3", np.arange(80.0).reshape(40, 2), "has no labels"),
    ],
)
def test_unfit_data_and_views_are_refused(tmp_path, view, array, says):
    path = save(tmp_path / "x.npy", array)
    with pytest.raises(PlausibleError) as caught:
        load(path + view)
    assert says in str(caught.value)
    assert path in str(caught.value)


def test_ten_rows_are_enough(tmp_path):
    data = load(save(tmp_path / "x.npy", values(10)))
    assert [len(data.train), len(data.valid), len(data.test)] == [8, 1, 1]


def test_a_label_nobody_has_and_one_too_rare(tmp_path):
    with pytest.raises(PlausibleError, match=r"no label '10': there is 0, 1, 2"):
        load("digits:class=10")
    np.savez(tmp_path / "x.npz", x=values(), y=np.arange(40) == 0)
    with pytest.raises(PlausibleError, match="no rows are left"):
        load(f"{tmp_path}/x.npz:class=1")


def test_a_class_of_constant_rows_is_refused(tmp_path):
    x = values(200)
    y = np.arange(200) % 2
    x[y == 1] = 0.5
    np.savez(tmp_path / "x.npz", x=x, y=y)
    assert len(load(f"{tmp_path}/x.npz:class=0").rows) == 100
    with pytest.raises(PlausibleError, match=r"every value is 0\.5"):
        load(f"{tmp_path}/x.npz:class=1")
