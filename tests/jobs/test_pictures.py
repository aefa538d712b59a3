"""Pictures of the code in the run folder: of what they say, the same for the same model, whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from support import config_of, opened, restored, tiny_options, train
from torch import nn

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.pictures import PICTURES, PictureSubject, picture, write_pictures
from plausible.plotting import new_figure
from plausible.report import write_report
from plausible.report.images import Layout
from plausible.runs import RunFolder

DRAWN = True

DIGITS = load_data("digits")


class Model(nn.Module):
    """Codes are `width` numbers, by default all pixels; what is decoded is up to `decoding`."""

    def __init__(self, width: int = 64, decoding=None) -> None:
        super().__init__()
        self.width = self.latent = width
        self.decoding = decoding or (lambda z: z.reshape(-1, 1, 8, 8))

    def encode(self, x):
        return x.flatten(1)[:, -self.width :]

    def decode(self, z):
        return self.decoding(z)

    def reconstruct(self, x):
        return self.decode(self.encode(x))


def tiles(path, count: int, columns: int) -> np.ndarray:
    """The first images of a grid, (count, 8, 8), bytes, from the pixels of a picture of digits."""
    layout = Layout.of((count, 1, 8, 8), columns)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    found = []
    for x, y in (layout.corner(index) for index in range(count)):
        found.append(pixels[y : y + 8 * layout.scale : layout.scale, x : x + 8 * layout.scale : layout.scale])
    return np.stack(found)


def as_bytes(x: np.ndarray) -> np.ndarray:
    return np.round(255 * x.astype(np.float64)).astype(np.uint8)


def said(path) -> str:
    with Image.open(path) as image:
        return image.text["Description"]


@pytest.fixture
def run(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.create(of_options(prior="normal"))
    return made


def of_options(**options):
    """A configuration of a run of digits, with these options of its model alone."""
    return config_of(model={"options": options}, data={"hash": DIGITS.hash})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of tiny models: vae with 2 codes, gan, and a vae of a table."""
    folder = tmp_path_factory.mktemp("pictures")
    options = tiny_options("vae", "normal") | {"batch": 100, "latent": 2}
    train("vae", out=folder / "vae", epochs=0.2, **options)
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(40, 3)))
    train("vae", str(folder / "x.npy"), out=folder / "table", epochs=1, **options | {"batch": 16})
    train("gan", out=folder / "gan", epochs=0.2, **tiny_options("gan", "default") | {"batch": 100})
    train("independent", "digits:binary", out=folder / "independent")
    return folder


def test_an_identity_shows_each_row_above_itself(run):
    folder = write_pictures(run, Model(), DIGITS, 7)
    assert folder == run.path / "pictures" / "000000007"
    shown, x = tiles(folder / "reconstructions.png", 32, 16), DIGITS.test.take(np.arange(16))[0]
    np.testing.assert_array_equal(shown[:16], shown[16:])
    np.testing.assert_array_equal(shown[:16], as_bytes(x[:, 0]))
    assert "The first 32 test rows" in said(folder / "reconstructions.png")
    assert "over the first 180 test rows: 0 a value" in said(folder / "reconstructions.png")
    assert "64 dimensions: the first two principal components" in said(folder / "plane.png")
    assert not (folder / "manifold.png").exists()


def test_the_errors_are_those_of_the_rows(run):
    folder = write_pictures(run, Model(decoding=lambda z: 0 * z.reshape(-1, 1, 8, 8)), DIGITS, 7)
    x = DIGITS.test.array().astype(np.float64)
    words = said(folder / "reconstructions.png")
    assert f"{np.square(x).mean():.3g} a value" in words
    assert f"in place of each, {np.square(x - x.mean(0)).mean():.3g}." in words


def test_a_traversal_goes_through_the_mean_and_three_deviations(run):
    folder = write_pictures(run, Model(), DIGITS, 7)
    shown = tiles(folder / "traversal.png", 110, 11)
    codes = DIGITS.train.take(np.arange(1000))[0].reshape(1000, -1).astype(np.float64)
    mean, deviation = codes.mean(0), codes.std(0, ddof=1)
    for row, dimension in enumerate(np.argsort(-deviation)[:10]):
        for column, along in ((0, -3), (5, 0), (10, 3)):
            expected = mean.copy()
            expected[dimension] += along * deviation[dimension]
            difference = shown[11 * row + column].astype(int).ravel() - as_bytes(np.clip(expected, 0, 1))
            assert np.abs(difference).max() <= 1
    assert "the 10 widest of 64 code dimensions" in said(folder / "traversal.png")


def test_interpolations_begin_and_end_at_the_rows_named(run):
    folder = write_pictures(run, Model(), DIGITS, 7)
    shown, x = tiles(folder / "interpolations.png", 22, 11), as_bytes(DIGITS.test.take(np.arange(2))[0][:, 0])
    np.testing.assert_array_equal(shown[[0, 10]], x)
    np.testing.assert_array_equal(shown[[11, 21]], x)
    half = as_bytes(DIGITS.test.take(np.arange(2))[0][:, 0].mean(0))
    assert np.abs(shown[5].astype(int) - half).max() <= 1  # along the line
    assert np.abs(shown[16].astype(int) - half).max() > 3  # along the sphere
    assert "rows 0 and 1, 2 and 3, 4 and 5" in said(folder / "interpolations.png")


@pytest.mark.parametrize("deviation", [1.0, 5.0])
def test_the_manifold_is_spaced_by_the_priors_quantiles(run, deviation):
    """Decoding z to its share of the prior below gives (i + ½)/20 at place i: left to right, and upwards."""
    run.reconfigure(of_options(prior="normal", prior_deviation=deviation))
    for axis in (0, 1):

        def share(z, axis=axis):
            return torch.special.ndtr(z[:, axis] / deviation).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)

        folder = write_pictures(run, Model(2, share), DIGITS, axis)
        shown = tiles(folder / "manifold.png", 400, 20)[:, 0, 0].reshape(20, 20).astype(float)
        places = 255 * (np.arange(20) + 0.5) / 20
        expected = np.tile(places, (20, 1)) if axis == 0 else np.tile(places[::-1, None], (1, 20))
        assert np.abs(shown - expected).max() <= 1
    assert "20 × 20 codes" in said(folder / "manifold.png")


@pytest.mark.parametrize("options", [{}, {"prior": "mixture", "prior_deviation": 1.0}])
def test_without_a_normal_prior_there_is_no_manifold(run, options):
    run.reconfigure(of_options(**options))
    folder = write_pictures(
        run, Model(2, lambda z: z.sum(1).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)), DIGITS, 7
    )
    assert {path.stem for path in folder.glob("*.png")} == {
        "reconstructions",
        "plane",
        "traversal",
        "interpolations",
    }
    assert "prior" not in said(folder / "plane.png")


def test_training_and_evaluation_draw_the_same_pictures(trained):
    run = RunFolder(trained / "vae")
    (event,) = [event for event in run.events() if event["event"] == "pictures"]
    folder = run.path / event["folder"]
    assert folder.name == f"{run.best().tick:09d}"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {f"{name}.png" for name in (
        "reconstructions", "plane", "manifold", "traversal", "interpolations", "neighbours",
    )} | {"manifest.json"}  # fmt: skip
    opened(run).evaluate(metrics=["fidelity"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run.stopped() is not None
    report = run.report_file.read_text()
    for name in ("reconstructions", "plane", "manifold", "traversal", "interpolations"):
        assert (
            said(folder / f"{name}.png").split(";")[0].replace("&", "&amp;").replace("'", "&#39;") in report
        )


def test_a_model_without_any_such_capability_shows_its_samples_neighbours_alone(trained):
    run = RunFolder(trained / "independent")
    (folder,) = (run.path / "pictures").iterdir()
    assert {path.name for path in folder.iterdir()} == {"neighbours.png", "manifest.json"}
    shown = tiles(folder / "neighbours.png", 50, 5).reshape(10, 5, 8, 8)
    train = as_bytes(load_data(run.config().data.spec).train.array()[:, 0])
    for sample, nearest, *_ in shown.astype(float):
        distances = np.square(train - sample).sum((1, 2))
        assert np.square(nearest - sample).sum() == pytest.approx(distances.min(), rel=0.02)


def test_a_gan_shows_walks_and_its_discriminator(trained):
    run = RunFolder(trained / "gan")
    (folder,) = (run.path / "pictures").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "walks.png",
        "critic.png",
        "neighbours.png",
        "manifest.json",
    }
    shown = tiles(folder / "walks.png", 66, 11)
    np.testing.assert_array_equal(shown[10:55:11], shown[11:56:11])  # each row ends where the next begins
    assert "D's logit of 180 rows of each kind" in said(folder / "critic.png")
    page = run.report_file.read_text()
    assert "Walks through the noise" in page
    assert "The discriminator&#39;s scores" in page


def test_a_gan_of_a_table_shows_its_discriminator_alone(tmp_path):
    run = train("gan", "ring", out=tmp_path / "run", epochs=0.1, **tiny_options("gan", "default"))
    (folder,) = (run.path / "pictures").iterdir()
    assert {path.name for path in folder.iterdir()} == {"critic.png", "manifest.json"}


@pytest.fixture
def own():
    """Registers a picture of the test's own, and forgets it."""
    with restored(PICTURES):
        yield picture


@pytest.mark.parametrize("beside", [False, True])
def test_a_registered_picture_shows_up_in_the_report(own, run, beside):
    @own("ink", "How dark the rows are", needs=(Model,), beside=beside)
    def ink(subject: PictureSubject):
        figure = new_figure(3, 2)
        figure.add_subplot().hist(subject.data.test.array().mean((1, 2, 3)))
        return figure, "Means of <test> rows."

    @own("other", "Of another class", needs=(GenerativeModel,))
    def other(_subject):
        raise AssertionError

    folder = write_pictures(run, Model(), DIGITS, 7)
    assert (folder / "ink.png").is_file()
    assert not (folder / "other.png").exists()
    page = write_report(run).read_text()
    assert page.index("Reconstructions") < page.index("How dark the rows are")
    assert "Means of &lt;test&gt; rows." in page


def test_unknown_pictures_appear_under_their_file_name(run):
    folder = write_pictures(run, Model(), DIGITS, 7)
    Image.new("RGB", (8, 8)).save(folder / "my own picture.png")
    page = write_report(run).read_text()
    assert page.index("Between two rows") < page.index("my own picture")


def test_a_table_is_drawn_as_columns(trained):
    (folder,) = (trained / "table" / "pictures").iterdir()
    assert {path.name for path in folder.iterdir()} == {"reconstructions.png", "plane.png", "manifest.json"}
    assert "for each column" in said(folder / "reconstructions.png")


def test_other_data_than_the_runs_own_are_not_drawn(run):
    assert write_pictures(run, Model(), load_data("digits:binary"), 7) is None
    assert not (run.path / "pictures").exists()


def test_codes_that_are_not_finite_are_left_out(run):
    class Broken(Model):
        def encode(self, x):
            z = super().encode(x)
            return torch.where(torch.arange(len(z))[:, None] == 3, torch.nan, z)

    folder = write_pictures(run, Broken(), DIGITS, 7)
    assert said(folder / "plane.png").startswith("Codes of 179 test rows (1 more are not finite)")


def test_an_error_leaves_nothing_half_written(run, monkeypatch):
    calls = []

    def failing(z):
        calls.append(len(z))
        if len(calls) > 2:
            raise RuntimeError("no more")
        return z.reshape(-1, 1, 8, 8)

    with pytest.raises(RuntimeError, match="no more"):
        write_pictures(run, Model(decoding=failing), DIGITS, 7)
    assert len(calls) == 3
    assert list((run.path / "pictures").iterdir()) == []
    whole = write_pictures(run, Model(), DIGITS, 7)
    before = {path.name: path.read_bytes() for path in whole.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plausible.runs.manifest.os.fsync", full)
    with pytest.raises(PlausibleError, match="No space left"):
        write_pictures(run, Model(), DIGITS, 7)
    assert [path.name for path in (run.path / "pictures").iterdir()] == ["000000007"]
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before
