"""`interpolate` and `traverse`: between two rows, and along the dimensions of the code."""

import numpy as np
import pytest
import torch
from PIL import Image
from support import opened, tiny_options, train

from plausible.data import load as load_data
from plausible.errors import PlausibleError

DRAWN = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of tiny models: vae (digits:binary), gan (digits), points (the ring)."""
    folder = tmp_path_factory.mktemp("walks")
    options = tiny_options("vae", "default") | {"batch": 100}
    train("vae", "digits:binary", out=folder / "vae", epochs=0.2, **options)
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(40, 2)))
    train("vae", str(folder / "x.npy"), out=folder / "points", epochs=1, **options | {"batch": 16})
    train("gan", out=folder / "gan", epochs=0.2, **tiny_options("gan", "default") | {"batch": 100})
    return folder


def walk(run, n=None, *, out=None, ends=None, straight=False):
    """Between two rows, else along the dimensions."""
    run = opened(run)
    return run.traverse(n, out=out) if ends is None else run.interpolate(*ends, n, straight=straight, out=out)


@pytest.mark.parametrize("straight", [False, True])
def test_an_interpolation_goes_from_one_reconstruction_to_the_other(folder, tmp_path, straight):
    found = np.load(walk(folder / "vae", out=tmp_path / "x.npy", ends=(3, 7), straight=straight))
    assert found.shape == (12, 1, 8, 8)
    model, test = opened(folder / "vae").model, load_data("digits:binary").test
    ends = model.reconstruct(torch.from_numpy(test.take(np.array([3, 7]))[0])).numpy()
    np.testing.assert_allclose(found[[0, -1]], ends, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(walk(folder / "vae", ends=(3, 7), straight=straight), found)
    given = test.take(np.array([3]))[0], test.take(np.array([7]))[0]
    np.testing.assert_array_equal(opened(folder / "vae").interpolate(*given, straight=straight), found)


def test_spherical_and_straight_differ(folder):
    walks = [walk(folder / "vae", 5, ends=(0, 1), straight=straight) for straight in (False, True)]
    assert walks[0].shape == (5, 1, 8, 8)
    assert (walks[0][2] != walks[1][2]).any()


def test_a_traversal_has_a_row_for_each_dimension(folder, tmp_path):
    run, out = folder / "vae", tmp_path / "t.png"
    walks = np.load(walk(run, 5, out=tmp_path / "t.npy"))
    assert walks.shape == (4 * 5, 1, 8, 8)
    np.testing.assert_allclose(walks[2::5], walks[2:3].repeat(4, 0), rtol=1e-5)  # all pass through the mean
    with Image.open(walk(run, 5, out=out)) as picture:
        assert picture.text["Description"].startswith("4 walks through the code space, 5 steps")
        assert picture.width / picture.height == pytest.approx(5 / 4, rel=0.02)
    with Image.open(walk(run, 5, out=out, ends=(0, 1))) as picture:
        assert picture.width / picture.height == pytest.approx(5, rel=0.02)


@pytest.mark.parametrize("ending", ["png", "npy", "npz", "csv"])
def test_walks_of_points_come_in_every_form(folder, tmp_path, ending):
    path = walk(folder / "points", out=tmp_path / f"x.{ending}")
    assert path.stat().st_size
    if ending == "csv":
        assert np.loadtxt(path, delimiter=",", skiprows=1).shape == (4 * 12, 2)


@pytest.mark.parametrize(
    ("run", "options", "said"),
    [
        ("gan", {}, r"GAN has no code that it can decode.*: train .*vae"),
        ("gan", {"ends": (-1, 1)}, r"GAN has no encoder.*seeds, integers from 0"),
        ("vae", {"ends": (0, 180)}, r"180.*rows 0 to 179"),
        ("vae", {"ends": (-1, 2)}, r"-1.*rows 0 to 179"),
        ("vae", {"ends": (0, 1), "n": 1}, r"number of steps.*at least 2, not 1"),
        ("vae", {"n": 1}, r"number of steps.*at least 2, not 1"),
        ("vae", {"out": "x.gif"}, r"x\.gif.*\.png"),
        ("vae", {"out": "nowhere/x.png"}, r"no folder nowhere"),
    ],
)
def test_what_cannot_be_walked_is_a_clear_error(folder, tmp_path, monkeypatch, run, options, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlausibleError, match=said):
        walk(folder / run, **{"out": "x.png"} | options)
    assert not list(tmp_path.iterdir())


def test_a_gan_goes_from_one_code_of_its_prior_to_another(folder):
    found = walk(folder / "gan", 5, ends=(0, 1))
    assert found.shape == (5, 1, 8, 8)
    np.testing.assert_array_equal(walk(folder / "gan", 5, ends=(0, 1)), found)
    np.testing.assert_allclose(walk(folder / "gan", 5, ends=(1, 0))[::-1], found, rtol=1e-3, atol=1e-5)
    assert (walk(folder / "gan", 5, ends=(0, 2))[-1] != found[-1]).any()
