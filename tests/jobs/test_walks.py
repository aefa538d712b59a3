"""`sample --interpolate` and `--traverse`: between two rows, and along the dimensions of the code."""

import numpy as np
import pytest
import torch
from PIL import Image
from support import opened, tiny_options, train

from plausible.data import load as load_data
from plausible.errors import PlausibleError


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


@pytest.mark.parametrize("linear", [False, True])
def test_an_interpolation_goes_from_one_reconstruction_to_the_other(folder, tmp_path, linear):
    path = opened(folder / "vae").sample(out=tmp_path / "x.npy", interpolate=(3, 7), linear=linear)
    walk = np.load(path)
    assert walk.shape == (12, 1, 8, 8)
    model, test = opened(folder / "vae").model, load_data("digits:binary").test
    ends = model.reconstruct(torch.from_numpy(test.take(np.array([3, 7]))[0])).numpy()
    np.testing.assert_allclose(walk[[0, -1]], ends, rtol=1e-4, atol=1e-6)


def test_spherical_and_linear_differ(folder, tmp_path):
    walks = [
        np.load(opened(folder / "vae").sample(5, out=tmp_path / "x.npy", interpolate=(0, 1), linear=linear))
        for linear in (False, True)
    ]
    assert walks[0].shape == (5, 1, 8, 8)
    assert (walks[0][2] != walks[1][2]).any()


def test_a_traversal_has_a_row_for_each_dimension(folder, tmp_path):
    run, out = folder / "vae", tmp_path / "t.png"
    walks = np.load(opened(run).sample(5, out=tmp_path / "t.npy", traverse=True))
    assert walks.shape == (4 * 5, 1, 8, 8)
    np.testing.assert_allclose(walks[2::5], walks[2:3].repeat(4, 0), rtol=1e-5)  # all pass through the mean
    with Image.open(opened(run).sample(5, out=out, traverse=True)) as picture:
        assert picture.text["Description"].startswith("4 walks through the code space, 5 steps")
        assert picture.width / picture.height == pytest.approx(5 / 4, rel=0.02)
    with Image.open(opened(run).sample(5, out=out, interpolate=(0, 1))) as picture:
        assert picture.width / picture.height == pytest.approx(5, rel=0.02)


@pytest.mark.parametrize("ending", ["png", "npy", "npz", "csv"])
def test_walks_of_points_come_in_every_form(folder, tmp_path, ending):
    path = opened(folder / "points").sample(out=tmp_path / f"x.{ending}", traverse=True)
    assert path.stat().st_size
    if ending == "csv":
        assert np.loadtxt(path, delimiter=",", skiprows=1).shape == (4 * 12, 2)


@pytest.mark.parametrize(
    ("run", "options", "said"),
    [
        ("gan", {"interpolate": (0, 1)}, r"GAN has no decoder of codes: train .*vae"),
        ("gan", {"traverse": True}, r"GAN has no decoder"),
        ("vae", {"interpolate": (0, 180)}, r"0 180.*rows 0 to 179"),
        ("vae", {"interpolate": (-1, 2)}, r"-1 2.*rows 0 to 179"),
        ("vae", {"interpolate": (0, 1), "n": 1}, r"-n.*at least 2"),
        ("vae", {"traverse": True, "n": 1}, r"-n.*at least 2"),
        ("vae", {"traverse": True, "n": 0}, r"-n.*at least 1"),
        ("vae", {"traverse": True, "interpolate": (0, 1)}, r"one at a time"),
        ("vae", {"linear": True}, r"--linear.*--interpolate"),
        ("vae", {"traverse": True, "out": "x.gif"}, r"x\.gif.*\.png"),
        ("vae", {"traverse": True, "out": "nowhere/x.png"}, r"no folder nowhere"),
    ],
)
def test_what_cannot_be_walked_is_a_clear_error(folder, tmp_path, monkeypatch, run, options, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlausibleError, match=said):
        opened(folder / run).sample(**{"out": "x.png"} | options)
    assert not list(tmp_path.iterdir())
