"""Fingerprints tell figures apart by what they show, so that tests may compare them as they would compare pictures."""

import io

import numpy as np
import pytest
import sketches
from matplotlib.figure import Figure
from PIL import Image


def figure(change=lambda axes, lines: None):
    """Of everything that the house's figures are made of, with a change."""
    one = Figure(figsize=(3, 2))
    axes = one.subplots()
    (line,) = axes.plot([0, 1, 2], [1.0, 0.5, 0.25], label="loss")
    points = axes.scatter([0, 1], [1, 0], c=["red", "blue"])
    image = axes.imshow(np.eye(3), extent=(0, 1, 0, 1))
    bars = axes.bar([0, 1], [1, 2])
    axes.set_title("title")
    axes.set_xticks([0, 1], ["a", "b"])
    change(axes, {"line": line, "points": points, "image": image, "bar": bars[0]})
    return one


CHANGES = {
    "a line": lambda axes, of: of["line"].set_ydata([1.0, 0.5, 0.26]),
    "a point": lambda axes, of: of["points"].set_offsets([[0, 1], [1, 0.01]]),
    "a point's colour": lambda axes, of: of["points"].set_facecolor(["red", "green"]),
    "a pixel": lambda axes, of: of["image"].set_data(np.eye(3) * 0.99),
    "a bar": lambda axes, of: of["bar"].set_height(1.01),
    "the title": lambda axes, of: axes.set_title("Title"),
    "a label": lambda axes, of: axes.set_xlabel("tick"),
    "the ticks": lambda axes, of: axes.set_xticks([0, 2], ["a", "b"]),
    "the words at the ticks": lambda axes, of: axes.set_xticks([0, 1], ["a", "c"]),
    "the limits": lambda axes, of: axes.set_ylim(0, 9),
    "the scale": lambda axes, of: axes.set_yscale("symlog"),
    "one more artist": lambda axes, of: axes.axhline(0.3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(change):
    assert sketches.fingerprint(figure(CHANGES[change])) != sketches.fingerprint(figure())


def test_the_same_figure_has_the_same_bytes():
    for kind in ("png", "svg"):
        one, two = io.BytesIO(), io.BytesIO()
        sketches.savefig(figure(), one, format=kind, dpi=100)
        sketches.savefig(figure(), two, format=kind)
        assert one.getvalue() == two.getvalue() != b""


def test_a_sketch_is_a_picture(tmp_path, sketched):
    figure().savefig(tmp_path / "it.png", dpi=50)
    with Image.open(tmp_path / "it.png") as picture:
        assert picture.size == (1, 1)


def test_a_test_can_ask_for_a_drawing(tmp_path, sketched, drawn):
    figure().savefig(tmp_path / "it.png", dpi=50)
    with Image.open(tmp_path / "it.png") as picture:
        assert picture.size == (150, 100)
