"""A folder of images: decoded as they are, or refused by name."""

import numpy as np
import pytest
from PIL import Image

from plausible.data import load
from plausible.errors import PlausibleError

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (12, 6, 5), dtype=np.uint8)
RGB = RNG.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)


def folder(root, pixels, ending="png", names=None):
    for i, image in enumerate(pixels):
        path = root / (names[i] if names else f"{i:02}.{ending}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def refused(root, file):
    with pytest.raises(PlausibleError) as caught:
        load(str(root))
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "tif", "tiff", "gif"])
def test_grey_images_come_back(tmp_path, ending):
    data = load(str(folder(tmp_path, GREY, ending)))
    assert (data.shape, data.domain, data.labels) == ((1, 6, 5), "unit", None)
    np.testing.assert_array_equal(data.rows.array()[:, 0], GREY.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_colour_images_come_back(tmp_path, ending):
    data = load(str(folder(tmp_path, RGB, ending)))
    assert data.shape == (3, 6, 5)
    expected = np.moveaxis(RGB, -1, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(data.rows.array(), expected)
    x = data.train.take(np.array([3, 1]))[0]
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, expected[data.train.ids[[3, 1]]])


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "webp"])
def test_lossy_images_come_back_nearly(tmp_path, ending):
    smooth = np.broadcast_to(np.linspace(0, 240, 16, dtype=np.uint8)[:, None], (10, 16, 16)).copy()
    smooth += np.arange(10, dtype=np.uint8)[:, None, None]
    data = load(str(folder(tmp_path, smooth, ending)))
    assert data.shape == ((3 if ending == "webp" else 1), 16, 16)  # WebP has no grey
    assert np.abs(data.rows.array()[:, 0] * 255 - smooth).max() < 12


def test_one_colour_image_makes_the_folder_colour(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(RGB[0]).save(tmp_path / "05.png")
    data = load(str(tmp_path))
    assert data.shape == (3, 6, 5)
    np.testing.assert_array_equal(data.rows.array()[4, 1] * 255, GREY[4])


def test_one_bit_palettes_and_opaque_alpha_are_pixels_like_any(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(GREY[0] > 128).save(tmp_path / "00.png")
    Image.fromarray(GREY[1]).convert("P").save(tmp_path / "01.png")
    Image.fromarray(GREY[2]).convert("LA").save(tmp_path / "02.png")
    data = load(str(tmp_path))
    assert data.shape == (1, 6, 5)
    x = np.rint(data.rows.array()[:, 0] * 255)
    np.testing.assert_array_equal(x[0], (GREY[0] > 128) * 255)
    np.testing.assert_array_equal(x[1:], GREY[1:])


def test_sub_folders_are_labels_if_every_image_is_in_one(tmp_path):
    names = [f"{'dog' if i % 3 else 'cat=a'}/deep/{i:02}.png" for i in range(12)]
    data = load(str(folder(tmp_path, GREY, names=names)))
    assert data.labels == ("cat=a", "dog")
    order = sorted(range(12), key=lambda i: names[i])
    np.testing.assert_array_equal(data.rows.array()[:, 0] * 255, GREY[order])
    assert [data.labels[label] for label in data.rows.y] == [names[i].split("/")[0] for i in order]
    Image.fromarray(GREY[0]).save(tmp_path / "loose.png")
    assert load(str(tmp_path)).labels is None


def test_a_class_by_its_folder(tmp_path):
    many = RNG.integers(0, 256, (200, 2, 2), dtype=np.uint8)
    names = [f"{'dog' if i % 2 else 'cat'}/{i:03}.png" for i in range(200)]
    folder(tmp_path, many, names=names)
    assert len(load(f"{tmp_path}:class=dog").rows) == 100
    with pytest.raises(PlausibleError, match="there is cat, dog"):
        load(f"{tmp_path}:class=cow")


def test_other_and_hidden_files_are_passed_over_and_links_followed_once(tmp_path):
    folder(tmp_path / "a", GREY)
    (tmp_path / "a" / "README.md").write_text("no image")
    (tmp_path / "a" / "._00.png").write_text("no image")
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "00.png").write_text("no image")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(load(str(tmp_path)).rows) == 12
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "linked").symlink_to(tmp_path / "a")
    assert len(load(f"{tmp_path}/b").rows) == 12


def test_the_hash_is_of_the_pixels(tmp_path):
    a, b = folder(tmp_path / "a", GREY, "png"), folder(tmp_path / "b", GREY, "bmp")
    c = folder(tmp_path / "c", GREY[::-1], "png")
    assert load(str(a)).hash == load(str(b)).hash != load(str(c)).hash


def test_an_empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert "no image" in refused(tmp_path, tmp_path)


def test_sizes_that_differ_name_both_files(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(GREY[0].T).save(tmp_path / "07.png")
    message = refused(tmp_path, tmp_path / "07.png")
    assert str(tmp_path / "00.png") in message
    assert "5 × 6" in message
    assert "6 × 5" in message


@pytest.mark.parametrize("keep", [0, 20, 60, -20])
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "tif", "webp"])
def test_a_truncated_image_is_named(tmp_path, ending, keep):
    folder(tmp_path, RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8), ending)
    bad = tmp_path / f"04.{ending}"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: keep if keep >= 0 else len(whole) // 2])
    assert "cannot be decoded" in refused(tmp_path, bad)


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder(tmp_path, GREY)
    (tmp_path / "03.png").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    assert "cannot be decoded" in refused(tmp_path, tmp_path / "03.png")


@pytest.mark.parametrize("limit", [20, 10])  # Pillow warns above the limit and raises above twice the limit
def test_a_decompression_bomb_is_named_with_the_limit(tmp_path, monkeypatch, limit):
    folder(tmp_path, GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert f"{limit} pixels, the limit" in refused(tmp_path, tmp_path / "00.png")


def test_what_would_be_lost_is_refused(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(GREY[0].astype(np.float32)).save(tmp_path / "05.tif")
    assert "8 or 16 bits" in refused(tmp_path, tmp_path / "05.tif")
    (tmp_path / "05.tif").unlink()
    frames = [Image.fromarray(frame) for frame in GREY[:3]]
    frames[0].save(tmp_path / "05.gif", save_all=True, append_images=frames[1:])
    assert "holds 3 pictures" in refused(tmp_path, tmp_path / "05.gif")


def test_transparent_pictures_lie_on_white(tmp_path):
    folder(tmp_path, RGB)
    alpha = np.zeros((6, 5, 1), np.uint8)
    alpha[0] = 255
    Image.fromarray(np.concatenate([RGB[5], alpha], axis=-1)).save(tmp_path / "05.png")
    found = load(str(tmp_path)).rows.array()[5] * 255
    np.testing.assert_allclose(found[:, 0], np.moveaxis(RGB[5], -1, 0)[:, 0], atol=1e-4)
    assert (found[:, 1:] == 255).all()


def test_the_upper_8_of_16_bits_are_kept(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(GREY[5].astype(np.uint16) * 256 + 200).save(tmp_path / "05.png")
    data = load(str(tmp_path))
    np.testing.assert_array_equal(data.rows.array()[:, 0], GREY.astype(np.float32) / np.float32(255))


def test_too_few_and_constant(tmp_path):
    assert "at least 10" in refused(folder(tmp_path / "few", GREY[:9]), tmp_path)
    assert "every value is 7" in refused(folder(tmp_path / "same", np.full_like(GREY, 7)), tmp_path)
