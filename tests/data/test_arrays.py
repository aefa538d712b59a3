"""`.npy` and `.npz`: mapped, laid out, given a domain; whatever is unfit is named."""

import io
import zipfile

import numpy as np
import pytest

from plausible.data import arrays, load, raw
from plausible.errors import PlausibleError

RNG = np.random.default_rng(3)
UNIT = RNG.random((20, 4))
PICTURES = RNG.random((20, 2, 3))


def save(path, array):
    np.save(path, array)
    return str(path)


def values(table):
    return next(iter(table.parts.values()))


def refused(spec):
    with pytest.raises(PlausibleError) as caught:
        load(str(spec))
    assert str(spec) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stored", "shape"),
    [
        ((20, 4), (4,)),
        ((20, 5, 6), (1, 5, 6)),
        ((20, 1, 5, 6), (1, 5, 6)),
        ((20, 3, 5, 6), (3, 5, 6)),
        ((20, 5, 6, 1), (1, 5, 6)),
        ((20, 5, 6, 3), (3, 5, 6)),
        ((20, 3, 5, 3), (3, 5, 3)),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_layouts(tmp_path, stored, shape, order):
    x = RNG.random(stored)
    data = load(save(tmp_path / "x.npy", np.asarray(x, order=order)))
    assert data.shape == shape
    moved = np.moveaxis(x, -1, 1) if len(stored) == 4 and stored[1] not in (1, 3) else x
    np.testing.assert_array_equal(data.rows.array(), moved.reshape(20, *shape).astype(np.float32))


@pytest.mark.parametrize(
    ("array", "domain", "scale"),
    [
        (UNIT, "real", 1),
        (UNIT.astype(np.float16), "real", 1),
        (UNIT.astype(">f4"), "real", 1),
        (UNIT * 2, "real", 1),
        (UNIT - 0.5, "real", 1),
        ((UNIT > 0.5).astype(np.float64), "binary", 1),
        (UNIT > 0.5, "binary", 1),
        ((UNIT > 0.5).astype(np.uint8), "binary", 1),
        ((UNIT * 255).astype(np.uint8), "real", 1),
        (PICTURES, "unit", 1),
        (PICTURES.astype(np.float16), "unit", 1),
        (PICTURES * 2, "real", 1),
        ((PICTURES > 0.5).astype(np.float64), "binary", 1),
        (PICTURES > 0.5, "binary", 1),
        ((PICTURES > 0.5).astype(np.uint8), "binary", 1),
        ((PICTURES * 255).astype(np.uint8), "unit", 255),
        ((PICTURES * 3).astype(np.uint8), "unit", 255),
        ((PICTURES * 255).astype(np.int16), "real", 1),
        ((UNIT * 255).astype(np.int16), "real", 1),
        ((UNIT > 0.5).astype(np.int64) * -1, "real", 1),
    ],
)
def test_domains_are_found(tmp_path, array, domain, scale):
    data = load(save(tmp_path / "x.npy", array))
    assert data.domain == domain
    expected = array.astype(np.float32) / np.float32(scale)
    np.testing.assert_array_equal(data.rows.array(), expected.reshape(20, *data.shape))
    assert data.schema.rule.startswith(domain)


@pytest.mark.parametrize("last", [0.5, 2.0])
def test_the_last_block_counts_too(tmp_path, monkeypatch, last):
    monkeypatch.setattr(raw, "_BLOCK_BYTES", 64)
    x = (PICTURES > 0.5).astype(np.float32)
    x[-1, -1, -1] = last
    assert load(save(tmp_path / "x.npy", x)).domain == ("unit" if last == 0.5 else "real")
    x[-1, -1, -1] = np.nan
    assert "row 19, pixel (1, 2)" in refused(save(tmp_path / "y.npy", x))


def test_npy_and_stored_npz_are_mapped_and_compressed_npz_reads_the_same(tmp_path):
    x = UNIT.astype(np.float32)
    np.savez(tmp_path / "stored.npz", x=x, y=np.arange(20) % 3)
    np.savez_compressed(tmp_path / "packed.npz", x=x, y=np.arange(20) % 3)
    npy = arrays.read_npy(save(tmp_path / "x.npy", x))
    stored, packed = (arrays.read_npz(str(tmp_path / f"{name}.npz")) for name in ("stored", "packed"))
    assert isinstance(values(npy), np.memmap)
    assert isinstance(values(stored), np.memmap)
    for table in (npy, stored, packed):
        np.testing.assert_array_equal(values(table), x)
    assert load(f"{tmp_path}/stored.npz").hash == load(f"{tmp_path}/packed.npz").hash


def test_a_map_larger_than_the_machine_allows_in_float32_is_still_scanned_in_blocks(tmp_path):
    import tracemalloc

    path = tmp_path / "big.npy"
    big = np.lib.format.open_memmap(path, "w+", np.uint8, (3000, 64, 64, 3))
    big[-1] = 9
    del big
    load("ring")  # imports are not what is measured
    tracemalloc.start()
    try:
        data = load(str(path))
        assert data.train.take(np.arange(8))[0].shape == (8, 3, 64, 64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6  # 37 MB as bytes, 147 MB as float32


def test_own_splits(tmp_path):
    parts = {"test": UNIT[:3], "train": UNIT[3:15], "valid": UNIT[15:]}
    np.savez(tmp_path / "x.npz", **parts)
    data = load(f"{tmp_path}/x.npz")
    for name, part in parts.items():
        np.testing.assert_array_equal(getattr(data, name).array(), part.astype(np.float32))
    whole = np.concatenate([parts["train"], parts["valid"], parts["test"]])
    np.testing.assert_array_equal(data.rows.array(), whole.astype(np.float32))
    assert data.labels is None


def test_the_domain_is_that_of_all_splits(tmp_path):
    ones = (PICTURES > 0.5).astype(np.float64)
    np.savez(tmp_path / "x.npz", train=ones, valid=ones, test=ones * 0.5)
    assert load(f"{tmp_path}/x.npz").domain == "unit"


def test_labels_are_any_integers(tmp_path):
    y = np.array([7, -2, 300, 7] * 50, np.int16)
    np.savez(tmp_path / "x.npz", x=RNG.random((200, 4)), y=y)
    data = load(f"{tmp_path}/x.npz")
    assert data.labels == ("-2", "7", "300")
    assert [int(data.labels[i]) for i in data.rows.y] == list(y)
    assert data.rows.y.dtype == np.int64
    assert len(load(f"{tmp_path}/x.npz:class=7").rows) == 100


def test_one_array_of_any_name_will_do(tmp_path):
    np.savez(tmp_path / "x.npz", UNIT)
    np.testing.assert_array_equal(load(f"{tmp_path}/x.npz").rows.array(), UNIT.astype(np.float32))


@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test"),
        ("X_train", "y_train", "X_val", "y_val", "X_test", "y_test"),
        ("train", "y_train", "valid", "y_valid", "test", "y_test"),
        ("train_x", "train_y", "validation_x", "validation_y", "test_x", "test_y"),
        ("train", "train_y", "val", "val_y", "test", "test_y"),
    ],
)
@pytest.mark.parametrize("kind", [int, float, str, bool])
def test_splits_with_labels_under_the_names_that_people_use(tmp_path, keys, kind):
    y = (np.arange(20) % 2).astype(kind)[:, None]
    parts = [slice(0, 12), slice(12, 16), slice(16, 20)]
    members = {}
    for (x_key, y_key), part in zip(zip(keys[::2], keys[1::2], strict=True), parts, strict=True):
        members |= {x_key: UNIT[part], y_key: y[part]}
    np.savez(tmp_path / "x.npz", **members)
    data = load(f"{tmp_path}/x.npz")
    for rows, part in zip((data.train, data.valid, data.test), parts, strict=True):
        np.testing.assert_array_equal(rows.array(), UNIT[part].astype(np.float32))
        np.testing.assert_array_equal(rows.y, (np.arange(20) % 2)[part])
    del members[keys[2]], members[keys[3]]
    np.savez(tmp_path / "x.npz", **members)
    data = load(f"{tmp_path}/x.npz")
    assert [len(rows) for rows in (data.train, data.valid, data.test)] == [11, 1, 4]


@pytest.mark.parametrize(
    "y", [np.arange(20)[:, None] % 3, np.arange(20) % 3 * 1.0, np.array(["a", "b"] * 10)]
)
def test_capital_x_and_labels_of_other_kinds(tmp_path, y):
    np.savez(tmp_path / "x.npz", X=UNIT, y=y)
    data = load(f"{tmp_path}/x.npz")
    assert [data.labels[i] for i in data.rows.y] == [
        str(int(v) if y.dtype.kind == "f" else v) for v in y.ravel()
    ]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.float64(3), "reshape it"),
        (np.arange(20.0), ".reshape(-1, 1)"),
        (np.ones((20, 2, 3, 4)), "1 or 3 channels"),
        (np.ones((20, 1, 2, 3, 4)), "1 or 3 channels"),
        (np.empty((0, 4)), "no rows"),
        (np.empty((20, 0)), "has empty rows"),
        (UNIT.astype(complex), "complex128"),
        (UNIT.astype(str), "not real numbers"),
        (UNIT.astype("S4"), "not real numbers"),
        (UNIT.astype("datetime64[s]"), "not real numbers"),
        (np.zeros(20, [("a", "f4"), ("b", "f4")]), "not real numbers"),
        (np.where(UNIT > 2, 0, np.array(None)), "pickled Python objects"),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "npz", "packed.npz"])
def test_unfit_arrays_are_refused(tmp_path, array, says, ending):
    path = tmp_path / f"x.{ending}"
    if ending == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        {"npz": np.savez, "packed.npz": np.savez_compressed}[ending](path, x=array)
    assert says in refused(path)


@pytest.mark.parametrize(
    ("value", "dtype", "says"),
    [
        (np.nan, np.float32, "is nan"),
        (-np.inf, np.float16, "is -inf"),
        (1e300, np.float64, "too large for float32"),
    ],
)
def test_a_value_that_is_no_number_is_found(tmp_path, value, dtype, says):
    x = UNIT.astype(dtype)
    x[17, 2] = value
    message = refused(save(tmp_path / "x.npy", x))
    assert says in message
    assert "row 17, column 2" in message
    images = UNIT.astype(dtype).reshape(20, 2, 2)
    images[5, 1, 0] = value
    np.savez(tmp_path / "x.npz", train=images, valid=images[:2], test=images[:2])
    message = refused(tmp_path / "x.npz")
    assert "[train]: row 5, pixel (1, 0)" in message


@pytest.mark.parametrize("keep", [0, 5, 60, 127, 300])
def test_npy_cut_short(tmp_path, keep):
    path = tmp_path / "x.npy"
    np.save(path, UNIT)
    path.write_bytes(path.read_bytes()[:keep])
    assert "np.save" in refused(path)


@pytest.mark.parametrize(
    "content", [b"hello", b"\x93NUMPY\x09\x00" + b"{" * 200, b"\x93NUMPY\x01\x00\x0a\x00{'shape':,}"]
)
def test_npy_that_is_none(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    assert "cannot be read as .npy" in refused(path)


@pytest.mark.parametrize("save_with", [np.savez, np.savez_compressed])
def test_npz_with_any_byte_flipped_or_cut_is_read_or_refused(tmp_path, save_with):
    path = tmp_path / "x.npz"
    save_with(path, x=UNIT, y=np.arange(20) % 2)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for place in rng.choice(len(whole), 150, replace=False):
        bad = bytearray(whole)
        bad[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad if place % 5 else whole[:place])
        try:
            load(str(path))
        except PlausibleError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert all(str(path) in message for message in messages)


def test_a_member_whose_header_promises_more_than_it_holds(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (20, 4)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue() + UNIT[:10].tobytes())
        archive.writestr("y.npy", bytes(1000))
    assert "not as long as its header says" in refused(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"valid": UNIT, "test": UNIT}, "holds test, valid"),
        ({"x": UNIT, "train": UNIT}, "holds train, x"),
        ({"x": UNIT, "X": UNIT}, "holds X, x"),
        ({"x_train": UNIT, "x_test": UNIT, "y_train": np.arange(20)}, "holds x_test, x_train, y_train"),
        ({"train": UNIT, "valid": UNIT, "test": UNIT, "more": UNIT}, "holds more, test"),
        ({"a": UNIT, "b": UNIT}, "holds a, b"),
        ({"y": UNIT}, "holds y"),
        ({}, "holds nothing"),
        ({"x": UNIT, "y": np.arange(19)}, "20 rows and y 19 labels"),
        ({"x": UNIT, "y": UNIT[:, 0]}, "one label per row"),
        ({"x": UNIT, "y": UNIT[:, :2]}, "one label per row"),
        ({"train": UNIT, "valid": UNIT[:, :3], "test": UNIT}, "one shape and one dtype"),
        ({"train": UNIT, "valid": UNIT, "test": UNIT.astype("f4")}, "one shape and one dtype"),
        ({"train": UNIT, "valid": UNIT[:0], "test": UNIT}, "[valid] has no rows"),
    ],
)
def test_npz_members_that_do_not_fit(tmp_path, members, says):
    np.savez(tmp_path / "x.npz", **members)
    assert says in refused(tmp_path / "x.npz")


def test_pickled_labels_are_never_loaded(tmp_path):
    np.savez(tmp_path / "x.npz", x=UNIT, y=np.array(["a", None] * 10, object))
    assert "cannot be read as .npz" in refused(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"hello"])
def test_npz_that_is_none(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    assert "np.savez" in refused(tmp_path / "x.npz")
