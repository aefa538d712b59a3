"""Pictures: every sample at its place, enlarged by a whole factor; whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from plausible.errors import PlausibleError
from plausible.report.images import (
    FRAME,
    GAP,
    GAP_GREY,
    WIDTH,
    Layout,
    frames,
    grid,
    plot_samples,
    tick_of,
)
from plausible.report.tables import plot_histograms

DRAWN = True


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=shape)


@given(st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_every_pixel_of_every_image_stands_where_the_layout_says(n, channels, height, width):
    images = noise(n, channels, height, width)
    drawn = np.asarray(grid(images).convert("RGB"))
    layout = Layout.of(images.shape)
    assert drawn.shape[:2] == layout.size[::-1]
    assert drawn.shape[1] >= WIDTH
    assert (layout.rows - 1) * layout.columns < n <= layout.rows * layout.columns
    expected = np.round(255 * np.broadcast_to(images, (n, channels, height, width))).astype(np.uint8)
    for index in (0, n // 2, n - 1):
        x, y = layout.corner(index)
        tile = drawn[y : y + height * layout.scale, x : x + width * layout.scale]
        blocks = tile.reshape(height, layout.scale, width, layout.scale, 3)
        assert (blocks == blocks[:, :1, :, :1]).all(), "a pixel is one plain square"
        small = np.moveaxis(np.broadcast_to(expected[index], (3, height, width)), 0, -1)
        np.testing.assert_array_equal(blocks[:, 0, :, 0], small)


def test_the_grid_is_near_square_in_pixels_and_separated_by_thin_lines():
    drawn = np.asarray(grid(np.zeros((64, 1, 28, 28))))
    assert drawn.shape[0] == drawn.shape[1] == 8 * 28 * 3 + 9 * GAP
    assert (drawn[:GAP] == GAP_GREY).all()
    assert (drawn == 0).sum() == 64 * (28 * 3) ** 2
    assert grid(noise(7, 1, 4, 4), columns=7).height < grid(noise(7, 1, 4, 4)).height


def test_places_left_over_are_white():
    drawn = np.asarray(grid(np.zeros((3, 1, 4, 4))))
    assert (drawn[-1] == 255).any()
    assert drawn[-1, -1] == 255
    assert drawn[-GAP - 1, GAP] == 0


def test_values_beyond_the_unit_interval_are_scaled_and_the_picture_says_so(tmp_path: Path):
    images = np.full((1, 1, 2, 2), -1.0)
    images[0, 0, 0, 0] = 3.0
    with Image.open(plot_samples(images, tmp_path / "a.png")) as drawn:
        assert "from -1 (black) to 3 (white)" in drawn.info["Description"]
        values = np.asarray(drawn)
    assert values[GAP, GAP] == 255
    assert values[-GAP - 1, -GAP - 1] == 0
    with Image.open(plot_samples(images, tmp_path / "b.png", real=np.zeros((5, 1, 2, 2)))) as drawn:
        assert drawn.info["Description"] == "1 images", "unit-interval data: samples are clipped, not scaled"
        assert np.asarray(drawn)[GAP, GAP] == 255


def test_a_value_that_is_not_finite_is_red():
    images = np.zeros((2, 1, 3, 3))
    images[1, 0, 1, 1] = np.nan
    drawn = np.asarray(grid(images))
    layout = Layout.of(images.shape)
    x, y = layout.corner(1)
    assert tuple(drawn[y + layout.scale, x + layout.scale]) == (214, 40, 57)
    assert tuple(drawn[y, x]) == (0, 0, 0)


@pytest.mark.parametrize("real", [None, noise(200, 2) * 4])
def test_points_are_a_scatter_over_the_real_ones(tmp_path: Path, real):
    samples = noise(100, 2) * 6
    samples[0, 0] = np.nan
    with Image.open(
        plot_samples(samples, tmp_path / "points.png", real=real, columns=["a $x", "키"])
    ) as drawn:
        assert drawn.info["kind"] == "scatter"
        assert drawn.info["n"] == "100"
        assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("columns", [1, 3, 20])
@pytest.mark.parametrize("with_real", [False, True])
def test_rows_are_a_histogram_a_column(tmp_path: Path, columns: int, with_real: bool):
    samples = noise(50, columns)
    samples[:, 0] = 1.0  # a constant column
    samples[3, -1] = np.inf
    real = noise(60, columns) if with_real else None
    with Image.open(plot_samples(samples, tmp_path / "rows.png", real=real)) as drawn:
        assert drawn.info["kind"] == "histograms"
        assert drawn.width >= WIDTH


def test_a_column_without_one_finite_value_is_drawn_too(tmp_path: Path):
    assert plot_samples(np.full((4, 3), np.nan), tmp_path / "nan.png").is_file()
    assert plot_samples(np.full((4, 2), np.nan), tmp_path / "nan2.png").is_file()
    assert plot_samples(np.full((4, 3), np.nan), tmp_path / "nan3.png", real=noise(9, 3)).is_file()
    assert plot_samples(np.full((4, 1, 3, 3), np.nan), tmp_path / "nan4.png").is_file()


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (np.zeros((0, 1, 8, 8)), {}, "cannot be plotted"),
        (np.zeros(5), {}, "cannot be plotted"),
        (np.zeros((3, 0)), {}, "cannot be plotted"),
        (np.zeros((3, 2, 8, 8)), {}, "1 or 3 channels"),
        (np.zeros((3, 4)), {"real": np.zeros((3, 5))}, "do not fit"),
        (np.zeros((3, 4)), {"columns": ["a"]}, "1 column names for 4"),
    ],
)
def test_hopeless_input_is_a_clear_error_and_leaves_nothing(tmp_path: Path, samples, options, words):
    with pytest.raises(PlausibleError, match=words):
        plot_samples(samples, tmp_path / "x.png", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_picture_and_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = plot_samples(noise(4, 1, 8, 8), tmp_path / "x.png")
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plausible.runs.files.os.fsync", full)
    with pytest.raises(PlausibleError, match="No space left"):
        plot_samples(noise(9, 1, 8, 8), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(PlausibleError, match="nowhere"):
        plot_samples(noise(9, 1, 8, 8), tmp_path / "nowhere" / "x.png")


def test_a_film_strip_is_evenly_spaced_with_first_and_last(tmp_path: Path):
    paths = [plot_samples(noise(36, 1, 8, 8), tmp_path / f"{tick:09d}.png") for tick in range(0, 2100, 100)]
    assert [tick_of(path) for path, _ in frames(paths, 5)] == ["0", "500", "1,000", "1,500", "2,000"]
    assert [path for path, _ in frames(paths, 1)] == paths[-1:]
    assert len(frames(paths[:3], 8)) == 3


def test_a_frame_is_the_top_left_samples_of_its_grid_pixel_for_pixel(tmp_path: Path):
    images = noise(34, 3, 8, 8)
    ((_, small),) = frames([plot_samples(images, tmp_path / "000000001.png")])
    chosen = images[[row * 6 + column for row in range(4) for column in range(4)]]
    layout = Layout(16, 8, 8, 4, (small.width - 5 * GAP) // 32)
    assert small.size == layout.size
    assert small.width <= FRAME
    drawn, whole = np.asarray(small), np.asarray(grid(chosen, columns=4))
    for index in range(16):
        (x, y), (left, top) = layout.corner(index), Layout.of(chosen.shape, 4).corner(index)
        assert (drawn[y, x] == whole[top, left]).all()
    ((_, alone),) = frames([plot_samples(noise(1, 1, 400, 700), tmp_path / "000000002.png")])
    assert alone.width <= FRAME


def test_a_film_strip_passes_over_what_is_no_picture(tmp_path: Path):
    good = plot_samples(noise(4, 2), tmp_path / "000000003.png")
    torn = tmp_path / "000000002.png"
    torn.write_bytes(good.read_bytes()[:200])
    assert [path for path, _ in frames([tmp_path / "absent.png", torn, good])] == [good]
    assert frames([torn]) == []
    with pytest.raises(PlausibleError, match="at least one"):
        frames([good], 0)
    with pytest.raises(PlausibleError, match="at least one column"):
        grid(noise(4, 1, 2, 2), columns=0)


def test_levels_have_their_names_and_missing_cells_are_not_outside(tmp_path):
    x = np.array([[0, 1.5, 0], [1, np.nan, 1], [np.nan, 2.5, 0]], np.float32)
    levels = (("low", "high"), None, ("no", "yes"))
    figure = plot_histograms(x, x, ["size", "weight", "there"], levels)
    words = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes]
    assert (words[0], words[2]) == (["low", "high"], ["no", "yes"])
    assert not any("outside" in axes.get_title(loc="right") for axes in figure.axes)
    with_nan = plot_histograms(x, x, ["size", "weight", "there"])
    assert any("outside" in axes.get_title(loc="right") for axes in with_nan.axes)
    plot_samples(x[:, :2], tmp_path / "two.png", columns=["size", "weight"], levels=levels[:2])
    with Image.open(tmp_path / "two.png") as image:
        assert image.text["kind"] == "histograms"
