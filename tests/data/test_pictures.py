"""Folders and zips of pictures as people have them: splits, labels, sizes, turned photos, what is passed over."""

import os
import shutil
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from plausible.data import decoding, load, load_rows
from plausible.data.cache import cache_folder
from plausible.errors import PlausibleError

RNG = np.random.default_rng(31)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path_factory.mktemp("cache")))


def noise(height=6, width=5, channels=3):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def written(root, names, make=noise):
    """A folder of pictures; returns the pixels of each."""
    found = {}
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        found[name] = make()
        Image.fromarray(found[name]).save(path)
    return found


def numbered(where, count):
    return [f"{where}/{i:02}.png" for i in range(count)]


def both(root, tmp_path):
    """The folder, and the same as a zip."""
    return [root, shutil.make_archive(str(tmp_path / "zipped"), "zip", root)]


def refused(given, **more):
    with pytest.raises(PlausibleError) as caught:
        load(given, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sizes(data):
    return tuple(len(rows) for rows in (data.train, data.valid, data.test))


def files_of(rows):
    heading, names = rows.names
    assert heading == "file"
    return names


@pytest.mark.parametrize("wrapper", ["", "pets/", "a/b/"])
@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("train", "test"), (18, 2, 10)),
        (("Train", "val"), (18, 10, 2)),
        (("training", "validation", "testing"), (20, 10, 10)),
    ],
)
def test_train_and_test_folders_are_splits_and_the_level_below_labels(tmp_path, wrapper, names, wanted):
    root = tmp_path / "root"
    for name in names:
        count = 10 if name.lower().startswith("train") else 5
        for label in ("cat", "dog"):
            written(root, numbered(f"{wrapper}{name}/{label}", count))
    for given in both(root, tmp_path):
        data = load(given)
        assert (data.labels, sizes(data)) == (("cat", "dog"), wanted)
        for split, rows in (("train", data.train), ("test", data.test)):
            if any(name.lower().startswith(split) for name in names):
                files = files_of(rows)
                assert all(file.lower().startswith(f"{wrapper}{split}") for file in files)
                assert [data.labels[i] for i in rows.y] == [file.split("/")[-2] for file in files]


def test_a_class_may_be_called_train(tmp_path):
    for label in ("car", "plane", "train"):
        written(tmp_path, numbered(label, 10))
    assert load(tmp_path).labels == ("car", "plane", "train")
    shutil.rmtree(tmp_path / "car")
    shutil.rmtree(tmp_path / "plane")
    assert load(tmp_path).labels is None


@pytest.mark.parametrize("beside", ["unlabelled/0.png", "0.png"])
def test_pictures_beside_the_splits_are_refused(tmp_path, beside):
    for split in ("train", "test"):
        written(tmp_path, numbered(split, 10))
    written(tmp_path, [beside])
    message = refused(tmp_path)
    assert "test, train are splits" in message
    assert str(tmp_path) in message


def test_splits_without_train_are_refused(tmp_path):
    for split in ("valid", "test"):
        written(tmp_path, numbered(split, 10))
    assert "no folder train" in refused(tmp_path)


def test_a_single_folder_is_no_label(tmp_path):
    written(tmp_path, numbered("train/images", 20) + numbered("test/images", 5))
    data = load(tmp_path)
    assert (data.labels, len(data.test)) == (None, 5)


def test_pictures_outside_the_class_folders_leave_no_labels_and_it_is_said(tmp_path):
    written(tmp_path, numbered("a", 10) + numbered("b", 10) + ["loose.png"])
    data = load(tmp_path)
    assert data.labels is None
    assert any("no labels" in note for note in data.notes)


def test_what_is_passed_over_is_counted(tmp_path):
    root = tmp_path / "root"
    written(root, numbered("a", 12))
    for name in ("a/1.heic", "a/2.heic", "notes.txt", "README", ".hidden.txt"):
        (root / name).write_text("no picture")
    for given in both(root, tmp_path):
        wanted = "4 files passed over, not read as pictures: 2 .heic, 1 .txt, 1 no ending"
        assert load(given).notes == (wanted,)


def test_a_jfif_is_a_jpeg(tmp_path):
    written(tmp_path, numbered(".", 11))
    Image.fromarray(noise()).save(tmp_path / "photo.JFIF", format="JPEG")
    data = load(tmp_path)
    assert (len(data.rows), data.notes) == (12, ())


def test_pipes_and_broken_links_are_passed_over(tmp_path):
    written(tmp_path, numbered(".", 12))
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    data = load(tmp_path)
    assert len(data.rows) == 12
    assert data.notes == (
        "3 files passed over, not read as pictures: 2 pipes, sockets or devices, 1 links to nothing",
    )


@pytest.mark.parametrize("turn", range(2, 9))
def test_turned_photos_are_read_upright(tmp_path, turn):
    upright = {name: noise(8, 4) for name in numbered(".", 12)}
    back = {5: 5, 6: Image.Transpose.ROTATE_90, 7: 6, 8: Image.Transpose.ROTATE_270}
    back |= {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
    }
    exif = Image.Exif()
    exif[0x0112] = turn
    for i, (name, pixels) in enumerate(upright.items()):
        image = Image.fromarray(pixels)
        if i % 2:
            image = image.transpose(Image.Transpose(back[turn]))
        image.save(tmp_path / name, exif=exif if i % 2 else b"")
    data = load(tmp_path)
    assert data.shape == (3, 8, 4)
    wanted = np.stack([np.moveaxis(pixels, -1, 0) for pixels in upright.values()])
    np.testing.assert_array_equal(data.rows.array() * 255, wanted.astype(np.float32))
    opened = [Image.open(tmp_path / name) for name in upright]
    np.testing.assert_array_equal(load(opened).rows.array(), data.rows.array())
    assert [image.size for image in opened] == [(8, 4) if i % 2 and turn > 4 else (4, 8) for i in range(12)]


def mixed(root):
    """Photos of mixed sizes, each with a dark middle third."""
    for i in range(20):
        pixels = np.full((20 + i, 40 - i, 3), 250, np.uint8)
        pixels[:, (40 - i) // 3 : (40 - i) * 2 // 3] = 10
        path = root / f"{i:02}.{'jpg' if i % 2 else 'png'}"
        Image.fromarray(pixels).save(path, **({"quality": 95} if i % 2 else {}))
    return root


def test_photos_of_mixed_sizes_need_a_size_and_the_error_says_which_option(tmp_path):
    message = refused(mixed(tmp_path))
    assert ":size=64" in message
    assert "--size 64" in message
    for size, shape in (("8", (3, 8, 8)), ("6x9", (3, 9, 6))):
        data = load(f"{tmp_path}:size={size}")
        assert data.shape == shape
        assert data.schema.fit == "crop"
        assert data.rows.array()[:, :, shape[1] // 2, shape[2] // 2].max() < 0.3


def test_padding_adds_white_borders_and_keeps_the_whole_picture(tmp_path):
    for i in range(12):
        Image.fromarray(np.full((10, 20 + i, 3), i, np.uint8)).save(tmp_path / f"{i:02}.png")
    x = load(f"{tmp_path}:size=8:fit=pad").rows.array() * 255
    assert (x[:, :, 0] == 255).all()
    assert (x[:, :, -1] == 255).all()
    np.testing.assert_allclose(x[:, :, 4].mean((1, 2)), np.arange(12), atol=1e-3)


def test_a_pixel_of_a_smaller_picture_is_the_mean_of_its_area(tmp_path):
    pixels = written(tmp_path, numbered(".", 12), lambda: noise(12, 12))
    x = load(f"{tmp_path}:size=3").rows.array() * 255
    means = np.stack([each.reshape(3, 4, 3, 4, 3).mean((1, 3)) for each in pixels.values()])
    np.testing.assert_allclose(x, np.moveaxis(means, -1, 1), atol=1)  # rounded in each direction


def test_the_same_pixels_whatever_the_size_of_the_pictures_that_have_it(tmp_path):
    written(tmp_path, numbered(".", 12))
    plain, asked = load(tmp_path), load(f"{tmp_path}:size=5x6")
    np.testing.assert_array_equal(plain.rows.array(), asked.rows.array())
    assert plain.hash == asked.hash


def test_pictures_for_a_run_are_brought_to_its_size(tmp_path):
    schema = load(f"{mixed(tmp_path)}:size=8").schema
    new = tmp_path / "new"
    written(new, ["one.png", "two.png"], lambda: noise(30, 17, 3))
    rows = load_rows(str(new), schema)
    assert rows.shape == (3, 8, 8)
    assert files_of(rows) == ["one.png", "two.png"]
    grey = tmp_path / "grey"
    written(grey, ["one.png"], lambda: noise(30, 17)[..., 0])
    assert load_rows(str(grey), schema).shape == (3, 8, 8)


def test_pictures_of_another_size_than_the_runs_are_told_the_view(tmp_path):
    written(tmp_path, numbered("a", 12))
    schema = load(tmp_path).schema
    written(tmp_path, ["b/large.png"], lambda: noise(30, 17))
    with pytest.raises(PlausibleError, match=":size=5x6"):
        load_rows(str(tmp_path / "b"), schema)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("size=", "for instance :size=64"),
        ("size=0", "side of 1 to"),
        ("size=x", "side of 1 to"),
        ("size=64x", "side of 1 to"),
        ("size=99999", "side of 1 to"),
        ("size=8:size=9", "one size"),
        ("size=8:fit=stretch", "crop, pad"),
        ("fit=pad", "add :size=64"),
    ],
)
def test_views_that_cannot_be(tmp_path, view, says):
    assert says in refused(f"{tmp_path}:{view}")
    assert "is for FOLDER/, FILE.zip, PIL images" in refused("digits:size=8")


# ---------------------------------------------------------------------- zips
def test_a_zip_is_read_as_its_folder(tmp_path):
    root = tmp_path / "root"
    written(root, numbered("wrap/a", 10) + numbered("wrap/b", 10))
    folder, archive = (load(given) for given in both(root, tmp_path))
    assert folder.hash == archive.hash
    assert archive.labels == ("a", "b")
    assert files_of(folder.rows) == files_of(archive.rows)


def test_damaged_zips_are_named(tmp_path):
    path = tmp_path / "x.zip"
    path.write_text("no zip")
    assert f"{path} cannot be read as a zip" in refused(path)
    with ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "no image" in refused(path)
    written(tmp_path / "root", numbered("a", 12))
    whole = shutil.make_archive(str(tmp_path / "y"), "zip", tmp_path / "root")
    with ZipFile(whole) as archive:
        entry = archive.infolist()[-1]
    with open(whole, "r+b") as file:  # noqa: PTH123
        file.seek(entry.header_offset + 60)
        file.write(b"\xff" * 30)
    message = refused(whole)
    assert whole in message
    assert entry.filename in message


# ---------------------------------------------------------------------- names under PLAUSIBLE_DATA
def test_data_are_found_by_name(tmp_path, monkeypatch):
    root = tmp_path / "data"
    written(root / "pictures" / "faces", numbered(".", 12))
    (root / "tables").mkdir()
    (root / "tables" / "plants.csv").write_text("a,b\n" + "\n".join(f"{i},{i % 7}" for i in range(30)))
    monkeypatch.setenv("PLAUSIBLE_DATA", str(root))
    faces = load("faces:size=4")
    assert (faces.shape, faces.spec) == ((3, 4, 4), "faces:size=4")
    assert faces.source == f"{root}/pictures/faces:size=4"
    assert load(faces.source).hash == faces.hash
    assert load("plants").shape == (2,)
    assert "did you mean faces" in refused("facs")
    shutil.copy(root / "tables" / "plants.csv", root / "plants.csv")
    assert "give the path" in refused("plants")
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "faces", numbered(".", 12))
    assert load("faces").source == f"{tmp_path}/faces"


# ---------------------------------------------------------------------- the cache
def cached():
    return sorted((cache_folder() / "pictures").iterdir())


def test_pictures_are_decoded_once_and_again_when_they_change(tmp_path, monkeypatch):
    written(tmp_path, numbered(".", 12))
    first = load(tmp_path)
    assert len(cached()) == 1

    def never(*_):
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "as_rgb", never)
        assert load(tmp_path).hash == first.hash
    assert isinstance(first.rows._table.parts[0], np.memmap)
    written(tmp_path, ["05.png"])
    changed = load(tmp_path)
    assert changed.hash != first.hash
    (tmp_path / "06.png").unlink()
    assert len(load(tmp_path).rows) == 11


def test_a_damaged_cache_is_decoded_again(tmp_path):
    written(tmp_path, numbered(".", 12))
    first = load(tmp_path).hash
    cached()[0].write_bytes(b"damaged")
    assert load(tmp_path).hash == first


def test_what_a_killed_process_left_is_deleted_after_a_day(tmp_path):
    written(tmp_path / "a", numbered(".", 12))
    load(tmp_path / "a")
    old, new = (cached()[0].with_name(f".plausible-{name}.part") for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    written(tmp_path / "b", numbered(".", 12))
    load(tmp_path / "b")
    assert (old.exists(), new.exists()) == (False, True)


def test_the_cache_has_a_limit(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        written(folder, numbered(".", 12))
    size = 12 * 6 * 5 * 3 + 128
    monkeypatch.setenv("PLAUSIBLE_CACHE_GB", str(2.5 * size / 1e9))
    hashes = [load(folder).hash for folder in folders]
    assert len(cached()) == 2
    monkeypatch.setenv("PLAUSIBLE_CACHE_GB", "0")
    assert load(folders[0]).hash == hashes[0]
    assert len(cached()) == 2
    monkeypatch.setenv("PLAUSIBLE_CACHE_GB", "many")
    assert "PLAUSIBLE_CACHE_GB=many" in refused(folders[0])


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    written(tmp_path / "a", numbered(".", 12))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "file"))
    assert "set PLAUSIBLE_CACHE" in refused(tmp_path / "a")


@pytest.mark.parametrize("zipped", [False, True])
def test_several_processes_decode_the_same(tmp_path, monkeypatch, zipped):
    root = tmp_path / "root"
    written(root, numbered("a", 20) + numbered("b", 21), lambda: noise()[..., 0])
    given = both(root, tmp_path)[zipped]
    alone = load(f"{given}:size=4x5")
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(decoding, "PARALLEL_FROM", 10)
    monkeypatch.setattr(decoding, "_workers", lambda: 3)
    assert load(f"{given}:size=4x5").hash == alone.hash
    assert alone.shape == (1, 5, 4)
    assert len(list((tmp_path / "other" / "pictures").iterdir())) == 1


def test_what_a_process_cannot_decode_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    written(tmp_path / "a", numbered(".", 41))
    (tmp_path / "a" / "30.png").write_bytes(b"no picture")
    monkeypatch.setattr(decoding, "PARALLEL_FROM", 10)
    monkeypatch.setattr(decoding, "_workers", lambda: 3)
    message = refused(tmp_path / "a")
    assert f"{tmp_path}/a/30.png cannot be decoded" in message
    assert cached() == []


def test_splits_given_as_folders_keep_the_names_of_their_files(tmp_path):
    written(tmp_path, numbered("x", 20) + numbered("y", 5))
    data = load({"train": tmp_path / "x", "test": tmp_path / "y"})
    assert files_of(data.test) == [f"{i:02}.png" for i in range(5)]
