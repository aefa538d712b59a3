"""Pictures out of a run: a folder of PNGs that can be continued, one picture, a sheet of the least plausible files."""

import csv
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

import plausible
from plausible import cli
from plausible.errors import PlausibleError
from plausible.jobs import sampling
from plausible.report import picture_folder
from plausible.report.writers import write_array

RNG = np.random.default_rng(41)
SIZE = (7, 6)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for i in range(40):
        pixels = RNG.integers(100, 156, (8 + i % 3, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{i:02}.png")
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(root / "odd one.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory, photos):
    out = tmp_path_factory.mktemp("runs") / "vae"
    return plausible.train(
        "vae", f"{photos}:size=7x6", epochs=2, encoder=(8,), decoder=(8,), latent=2, out=out, progress=False
    )


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (sampling, sys.modules["plausible.jobs.sample"]):
        monkeypatch.setattr(module, "BLOCK", 4)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_has_a_png_of_each_sample_in_its_own_size(run, tmp_path):
    assert run.sample(5, out=tmp_path / "new") == tmp_path / "new"
    found = sorted((tmp_path / "new").glob("*.png"))
    assert [path.name for path in found] == [f"{i:06}.png" for i in range(5)]
    for path, image in zip(found, run.sample(5, as_="images"), strict=True):
        written = Image.open(path)
        assert written.size == SIZE
        np.testing.assert_array_equal(written, image)


@pytest.mark.parametrize("stopped", [0, 1, 4, 6, 9])
def test_a_folder_that_was_left_unfinished_is_continued_bit_for_bit(
    run, tmp_path, monkeypatch, small_blocks, stopped
):
    whole = contents(run.sample(10, seed=3, out=tmp_path / "whole"))
    left, save = tmp_path / "left", picture_folder._save

    def killed(image, path):
        if path.name == f"{stopped:06}.png":
            raise KeyboardInterrupt
        save(image, path)

    with monkeypatch.context() as patch:
        patch.setattr(picture_folder, "_save", killed)
        with pytest.raises(KeyboardInterrupt):
            run.sample(10, seed=3, out=left)
    assert len(list(left.glob("*.png"))) == stopped
    sampled = []
    draw = run.model.sample
    monkeypatch.setattr(run.model, "sample", lambda n, **how: sampled.append(n) or draw(n, **how))
    run.sample(10, seed=3, out=left)
    assert contents(left) == whole
    assert sum(sampled) == 10 - stopped // 4 * 4
    sampled.clear()
    run.sample(10, seed=3, out=left)
    assert sampled == []


def test_an_empty_file_that_a_crash_left_is_written_again(run, tmp_path):
    whole = contents(run.sample(5, out=tmp_path / "new"))
    (tmp_path / "new" / "000002.png").write_bytes(b"")
    assert contents(run.sample(5, out=tmp_path / "new")) == whole


def test_a_folder_with_anything_else_is_left_alone(run, photos, tmp_path):
    before = contents(photos)
    with pytest.raises(PlausibleError, match=r"holds other files, such as 00\.png"):
        run.sample(5, out=photos)
    assert contents(photos) == before
    run.sample(5, out=tmp_path / "new")
    for how in ({"n": 6}, {"n": 5, "seed": 1}):
        with pytest.raises(PlausibleError, match=r"another (n|seed)"):
            run.sample(out=tmp_path / "new", **how)
    (tmp_path / "new" / "samples.json").write_text("[")
    with pytest.raises(PlausibleError, match=r"samples\.json cannot be read"):
        run.sample(5, out=tmp_path / "new")


def test_rows_of_a_table_and_real_values_are_no_pngs(tmp_path):
    ring = plausible.train("gan", "ring", epochs=0.01, out=tmp_path / "ring", progress=False)
    with pytest.raises(PlausibleError, match=r"name a \.csv"):
        ring.sample(5, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_samples_of_a_folder_are_data_again(run, tmp_path):
    folder = run.sample(20, out=tmp_path / "new")
    again = plausible.load(run.path).score(folder, by="reconstruction")
    assert again.shape == (20,)


def test_one_sample_is_a_picture_of_its_own_size_and_more_are_a_contact_sheet(run, tmp_path):
    with Image.open(run.sample(1, out=tmp_path / "one.png")) as one:
        assert one.size == SIZE
        np.testing.assert_array_equal(one, run.sample(1, as_="images")[0])
    with Image.open(run.sample(2, out=tmp_path / "two.png")) as two:
        assert two.width >= 600


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_many_samples_are_never_in_memory_together(run, tmp_path, monkeypatch, name):
    monkeypatch.setattr(sampling, "BLOCK", 50)
    run.sample(50, out=tmp_path / name)  # imports
    few, many = (traced(lambda n=n: run.sample(n, out=tmp_path / name)) for n in (500, 4000))
    assert many < few + 500_000 < 4000 * 3 * 7 * 6 * 4 * 2


def traced(work):
    """The most memory of Python and NumPy while a function works, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_codes_carry_the_names_of_the_files(run, photos, tmp_path):
    codes = run.encode(photos)
    for path in (run.encode(photos, out=tmp_path / "z.csv"), run.features(photos, out=tmp_path / "f.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["row", "file", "z0", "z1"]
        assert [row["file"] for row in rows] == sorted(each.name for each in photos.iterdir())
        found = np.array([[row["z0"], row["z1"]] for row in rows], np.float32)
        np.testing.assert_allclose(found, codes, rtol=1e-6)


def test_the_least_plausible_files_come_first(run, photos, tmp_path):
    scores = run.score(photos, by="reconstruction")
    path = run.score(photos, by="reconstruction", top=3, calibrate=True, out=tmp_path / "s.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == np.argsort(scores)[:3].tolist()
    assert rows[0]["file"] == "odd one.png"
    assert "p" in rows[0]
    sheet = Image.open(run.score(photos, by="reconstruction", top=3, out=tmp_path / "s.png"))
    assert sheet.text["kind"] == "sheet"
    assert "the 3 least plausible of 41" in sheet.text["Description"]
    assert sheet.text["Description"].index("odd one.png") < sheet.text["Description"].index(rows[1]["file"])


def test_maps_of_the_least_plausible_rows(tmp_path):
    binary = plausible.train("independent", "digits:fixed", out=tmp_path / "r", progress=False)
    x = (RNG.random((30, 8, 8)) < 0.1).astype(np.float32)
    x[17] = 1
    said = []
    binary.score(x, per_pixel=True, top=2, out=tmp_path / "s.png", say=said.append)
    assert "of the 2 rows with the lowest log p" in said[0]
    both, whole = (
        Image.open(path)
        for path in (
            tmp_path / "s.png",
            binary.score(x[17:18], per_pixel=True, top=1, out=tmp_path / "t.png"),
        )
    )
    assert both.text["n"] == "2"
    assert whole.text["n"] == "1"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"top": 3}, "name a file"),
        ({"top": 0, "out": "s.csv"}, "at least 1"),
        ({"out": "s.png"}, "--top 10"),
        ({"top": 3, "out": "s.npy"}, "ending must be"),
    ],
)
def test_what_top_cannot_do(run, photos, how, says):
    with pytest.raises(PlausibleError, match=says):
        run.score(photos, **how)


def test_the_option_size_is_the_view(run, photos, tmp_path, capsys):
    words = [
        "--data",
        str(photos),
        "--size",
        "7x6",
        "--epochs",
        "1",
        "--encoder",
        "8",
        "--decoder",
        "8",
        "--latent",
        "2",
        "--quiet",
    ]
    assert cli.main(["train", "vae", *words, "--out", str(tmp_path / "r")]) == 0
    assert plausible.load(tmp_path / "r").config.data.spec == f"{photos}:size=7x6"
    assert cli.main(["train", "vae", "--size", "8"]) == 2
    assert "give --data" in capsys.readouterr().err
    words = ["--data", str(photos), "--size", "7x6", "--fit", "crop", "--by", "reconstruction"]
    assert (
        cli.main(["score", str(tmp_path / "r"), *words, "--top", "2", "--out", str(tmp_path / "s.csv")]) == 0
    )


def test_write_array_streams(tmp_path):
    blocks = (np.zeros((100, 1000), np.float32) for _ in range(50))
    assert traced(lambda: write_array(blocks, 5000, tmp_path / "x.npy")) < 5e6
    assert np.load(tmp_path / "x.npy").shape == (5000, 1000)
