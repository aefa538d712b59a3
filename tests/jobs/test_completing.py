"""`complete`, `sampling-order`, `score --per-pixel`: pictures of what a density says of pixels."""

import numpy as np
import pytest
import torch
from PIL import Image
from support import opened, train

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.jobs.complete import known
from plausible.jobs.sample import _moments, probabilities
from plausible.report.images import GAP, Layout
from plausible.report.pixels import LINE, UNKNOWN

pytestmark = pytest.mark.filterwarnings("ignore:log p.x. of a picture")
DATA = "digits:binary"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on digits:binary: independent and markov (column by column), nade, orderless, two (their mean); gan."""
    folder = tmp_path_factory.mktemp("completing")
    train("independent", DATA, out=folder / "independent", ordering="column")
    train("markov", DATA, out=folder / "markov", ordering="column")
    train("nade", DATA, out=folder / "nade", epochs=1, hidden=20)
    train("orderless", DATA, out=folder / "orderless", epochs=0.1, hidden=(8,))
    train("orderless", DATA, out=folder / "two", epochs=0.1, hidden=(8,), orders=2)
    train("gan", out=folder / "gan", epochs=0.1, generator=(8,), discriminator=(8,), latent=4)
    rows = (np.random.default_rng(0).random((300, 6)) < 0.4).astype(np.uint8)
    np.save(folder / "bits.npy", rows)
    train("markov", str(folder / "bits.npy"), out=folder / "bits")
    return folder


def five():
    return load_data(DATA).test.take(np.arange(5))[0]


def tiles(path, columns):
    """The images of a strip, (rows, columns, height, width, 3) bytes."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))[LINE:]
    layout = Layout.of((columns, 3, 8, 8), columns)
    across, down = layout.step
    rows = (len(pixels) - GAP) // down
    corners = [
        [(GAP + row * down, GAP + column * across) for column in range(columns)] for row in range(rows)
    ]
    scale = layout.scale
    return np.array(
        [[pixels[y : y + 8 * scale : scale, x : x + 8 * scale : scale] for y, x in row] for row in corners]
    )


# ---------------------------------------------------------------------- completion
@pytest.mark.parametrize(
    ("run", "given"), [("nade", "top"), ("markov", "right"), ("orderless", "left"), ("independent", "bottom")]
)
def test_completions_keep_what_is_given_and_draw_the_rest(folder, tmp_path, run, given):
    out = tmp_path / "x.npy"
    drawn = np.load(opened(folder / run).complete((3, 1), 6, out=out, given=given))
    drawn, mask = drawn.reshape(2, 6, 1, 8, 8), known(given, (1, 8, 8))
    original = five()[[3, 1]][:, None].repeat(6, 1)
    np.testing.assert_array_equal(drawn[:, :, mask], original[:, :, mask])
    assert (drawn[:, :, ~mask] != original[:, :, ~mask]).any()
    assert (drawn != drawn[:, :1]).any(axis=(1, 2, 3, 4)).all()
    alone = np.load(opened(folder / run).complete((1,), 6, out=out, given=given))
    np.testing.assert_array_equal(alone, drawn[1])  # its draws are its own
    np.testing.assert_array_equal(opened(folder / run).complete(1, 6, given=given), alone)
    mine = opened(folder / run).complete(five()[:1], 6, given=mask)  # rows of one's own, and a mask
    np.testing.assert_array_equal(mine[:, mask], five()[:1][:, mask].repeat(6, 0))


def test_a_completion_follows_the_conditional(folder, tmp_path):
    """Given the left half, a chain column by column goes on from its last pixel: p(1) is counted beside it."""
    drawn = np.load(opened(folder / "markov").complete((0,), 4000, out=tmp_path / "x.npy", given="left"))
    model = opened(folder / "markov").model
    last = int(five()[0, 0, 7, 3])
    p = float(model.logits[32, last].sigmoid())
    assert abs(drawn[:, 0, 0, 4].mean() - p) < 6 * np.sqrt(p * (1 - p) / 4000)


def test_the_strip_shows_the_original_what_is_given_and_completions(folder, tmp_path):
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[2:5, ::2] = 1
    np.save(tmp_path / "mask.npy", mask)
    given = str(tmp_path / "mask.npy")
    path = opened(folder / "orderless").complete((0, 2), 4, out=tmp_path / "c.png", given=given)
    found, truth = tiles(path, 6), 255 * five()[[0, 2], 0, :, :, None]
    assert found.shape[:2] == (2, 6)
    np.testing.assert_array_equal(found[:, 0], truth.repeat(3, -1))
    np.testing.assert_array_equal(found[:, 1], np.where(mask[..., None], truth, UNKNOWN))
    assert (found[:, 2:][..., mask == 1, :] == truth[:, None][..., mask == 1, :]).all()
    with Image.open(path) as picture:
        assert picture.text["Description"] == "rows 0, 2, the given part of each, and 4 completions"
    again = opened(folder / "orderless").complete((0, 2), 4, out=tmp_path / "d.png", given=given)
    assert path.read_bytes() == again.read_bytes()


def test_rows_of_features_are_completed_too(folder, tmp_path):
    out = tmp_path / "x.csv"
    opened(folder / "bits").complete((2,), 7, out=out, given="left")
    drawn = np.loadtxt(out, delimiter=",", skiprows=1)
    row = load_data(str(folder / "bits.npy")).test.take(np.array([2]))[0]
    np.testing.assert_array_equal(drawn[:, :3], row[:, :3].repeat(7, 0))


# ---------------------------------------------------------------------- steps
@pytest.mark.parametrize("run", ["independent", "nade"])
def test_pixels_appear_in_the_models_order(folder, run):
    model = opened(folder / run).model
    moments = np.stack(_moments(model, 65)).reshape(65, -1)
    np.testing.assert_array_equal(moments.sum(1), np.arange(65))
    assert (moments[1:] >= moments[:-1]).all()
    np.testing.assert_array_equal((moments[1:] & ~moments[:-1]).argmax(1), model.order.numpy())


def test_the_strip_of_steps_ends_with_samples_and_their_probabilities(folder, tmp_path):
    run = folder / "independent"
    found = tiles(opened(run).sampling_order(3, out=tmp_path / "s.png"), 9)
    drawn = np.load(opened(run).sample(3, out=tmp_path / "s.npy"))[:, 0, :, :, None]
    np.testing.assert_array_equal(found[:, 7], 255 * drawn.repeat(3, -1).astype(int))
    first = np.arange(8) < 1  # column by column: an eighth of 8 × 8 pixels is one column
    np.testing.assert_array_equal(found[:, 0], np.where(first[None, :, None], 255 * drawn, np.array(UNKNOWN)))
    p = load_data(DATA).train.array()
    p = (p.sum(0) + 1) / (len(p) + 2)
    np.testing.assert_allclose(found[0, 8, ..., 0], 255 * p[0], atol=0.51)


def test_probabilities_are_those_of_a_one(folder):
    """At each pixel the sample's own probability and its opposite's add up to 1, whatever was drawn there."""
    model, x = opened(folder / "nade").model, torch.from_numpy(five())
    p = probabilities(model, x)
    for i in (0, 20, 63):
        flipped = x.clone()
        flipped.view(5, -1)[:, i] = 1 - flipped.view(5, -1)[:, i]
        torch.testing.assert_close(probabilities(model, flipped).view(5, -1)[:, i], p.view(5, -1)[:, i])
    expected = torch.where(x == 1, p, 1 - p).log().sum((1, 2, 3))
    torch.testing.assert_close(expected, model.log_prob(x), rtol=1e-4, atol=1e-4)


def test_steps_as_a_film(folder, tmp_path):
    with Image.open(opened(folder / "nade").sampling_order(4, out=tmp_path / "s.gif")) as film:
        assert film.n_frames == 49
        shades = {colour for _, colour in film.convert("RGB").getcolors()}
        assert UNKNOWN in shades
        assert (255, 255, 255) not in shades
        film.seek(48)
        shades = {colour for _, colour in film.convert("RGB").getcolors()}
        assert UNKNOWN not in shades
        assert {(0, 0, 0), (255, 255, 255)} <= shades


# ---------------------------------------------------------------------- scores of pixels
@pytest.mark.parametrize("run", ["independent", "markov", "nade", "orderless"])
def test_scores_of_pixels_add_up_to_the_score(folder, tmp_path, run):
    said = []
    path = opened(folder / run).score(DATA, out=tmp_path / "t.npy", per_pixel=True, say=said.append)
    terms, whole = np.load(path), np.load(opened(folder / run).score(DATA, out=tmp_path / "s.npy"))
    assert (terms.shape, terms.dtype) == ((1797, 1, 8, 8), np.float32)
    np.testing.assert_allclose(terms.sum((1, 2, 3)), whole, rtol=1e-4, atol=1e-4)
    assert said == ["log p(x_i | x_<i) [nats], of 1,797 rows; higher is more plausible"]


def test_each_score_stands_in_its_pixels_place(folder, tmp_path):
    """The independent model, whose order is by columns, against counting."""
    path = opened(folder / "independent").score(DATA, out=tmp_path / "t.npy", per_pixel=True)
    x, train = load_data(DATA).rows.array(), load_data(DATA).train.array()
    p = (train.sum(0) + 1) / (len(train) + 2)
    np.testing.assert_allclose(np.load(path), np.log(np.where(x == 1, p, 1 - p)), rtol=1e-4, atol=1e-5)


def test_the_map_is_brightest_where_the_model_is_surprised(folder, tmp_path):
    x = np.zeros((5, 8, 8), dtype=np.uint8)
    x[2, 3, 0] = 1  # never white in the training rows
    np.save(tmp_path / "x.npy", x)
    path = tmp_path / "map.png"
    opened(folder / "independent").score(str(tmp_path / "x.npy"), out=path, per_pixel=True)
    with Image.open(path) as picture:
        assert picture.text["Description"].startswith("5 images, each beside")
        pixels = np.asarray(picture.convert("RGB"))[LINE:].astype(int)
    layout = Layout.of((8, 3, 8, 8), 8)
    left, top = layout.corner(5)  # the third pair's map
    tile = pixels[top : top + 8 * layout.scale : layout.scale, left : left + 8 * layout.scale : layout.scale]
    assert tile.sum(-1).argmax() == 3 * 8 + 0


# ---------------------------------------------------------------------- errors
def shown(run, *, complete=None, steps=False, **options):
    """Completions of rows, else samples as they are made."""
    return run.sampling_order(**options) if steps else run.complete(complete, **options)


@pytest.mark.parametrize(
    ("run", "options", "said"),
    [
        ("gan", {"complete": (0,)}, r"GAN has no completion .*: train .*nade"),
        ("gan", {"steps": True}, r"GAN has no probability of each variable .*: train .*nade"),
        ("two", {"steps": True}, r"averages over several"),
        ("nade", {"complete": (0,), "given": "bottom"}, r"order.*independent, markov, table"),
        ("nade", {"complete": ()}, r"at least one row"),
        ("nade", {"complete": (0, 180)}, r"complete 180.*rows 0 to 179"),
        (
            "nade",
            {"complete": (0,), "given": "middle"},
            r"--given middle.*top, bottom, left, right or FILE.npy",
        ),
        ("bits", {"complete": (0,), "given": "top"}, r"--given top.*left, right or FILE.npy"),
        ("bits", {"steps": True}, r"examples have shape \(6,\)"),
        ("nade", {"complete": (0,), "given": "no.npy"}, r"--given no\.npy could not be read"),
        ("nade", {"complete": (0,), "given": "wrong.npy"}, r"--given wrong\.npy.*\(1, 8, 8\), not \(3,\)"),
        ("nade", {"complete": (0,), "n": 0}, r"n must be at least 1"),
        ("nade", {"steps": True, "out": "x.npy"}, r"x\.npy: the ending must be one of \.png, \.gif"),
        ("nade", {"complete": (0,), "out": "x.gif"}, r"x\.gif: the ending"),
    ],
)
def test_what_cannot_be_drawn_is_a_clear_error(folder, tmp_path, monkeypatch, run, options, said):
    monkeypatch.chdir(tmp_path)
    np.save("wrong.npy", np.ones(3))
    with pytest.raises(PlausibleError, match=said):
        shown(opened(folder / run), **{"out": "x.png"} | options)
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.npy"]


@pytest.mark.parametrize(
    ("run", "data", "options", "said"),
    [
        ("gan", "digits", {"out": "x.npy"}, r"GAN has no probability of each variable .*: train .*nade"),
        ("two", DATA, {"out": "x.npy"}, r"averages over several"),
        ("nade", DATA, {"by": "critic"}, r"--per-pixel.*critic"),
        ("nade", DATA, {"per_pixel": False}, r"x\.png.*--top 10, .* --per-pixel: add one"),
        ("nade", DATA, {"out": "x.csv"}, r"x\.csv: the ending"),
        ("bits", "bits.npy", {}, r"rows of shape \(6,\) are not images"),
    ],
)
def test_what_cannot_be_scored_by_pixel_is_a_clear_error(
    folder, tmp_path, monkeypatch, run, data, options, said
):
    monkeypatch.chdir(tmp_path)
    data = str(folder / data) if data.endswith(".npy") else data
    with pytest.raises(PlausibleError, match=said):
        opened(folder / run).score(data, **{"out": "x.png", "per_pixel": True} | options)
    assert not list(tmp_path.iterdir())
