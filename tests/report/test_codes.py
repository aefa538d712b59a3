"""Pictures of a code: reconstructions stand beneath the rows; a plane says how it was projected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from plausible.report.codes import (
    CLASSES,
    HALF,
    MOST,
    pair_images,
    plot_columns,
    plot_plane,
    project_codes,
    stack_images,
)
from plausible.report.images import GAP, grid

DRAWN = True


def codes(n: int = 60, features: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + rng.normal(size=features)


def colours(figure: Figure) -> list[str]:
    return [to_hex(found.get_facecolor()[0][:3]) for found in figure.axes[0].collections]


@settings(deadline=None, max_examples=20)
@given(
    n=st.integers(1, 40), width=st.integers(1, 40), channels=st.sampled_from((1, 3)), seed=st.integers(0, 99)
)
def test_what_comes_back_unchanged_stands_beneath_itself(n, width, channels, seed):
    x = np.random.default_rng(seed).uniform(-3, 5, size=(n, channels, 2, width))
    image, shown = pair_images(x, x)
    assert shown == (32 if n >= 32 else min(n, 16))
    pixels = np.asarray(image)
    height = grid(x[:1], min(n, 16)).height - 2 * GAP
    step = height + GAP
    for top in [GAP, 2 * step + GAP + 10 + GAP][: shown // min(n, 16)]:
        np.testing.assert_array_equal(pixels[top : top + height], pixels[top + step : top + step + height])
    other, _ = pair_images(x, -x - 9)
    assert other.size == image.size
    assert (np.asarray(other) != pixels).any()


def test_what_comes_back_is_drawn_in_the_originals_range():
    x = np.linspace(-1, 3, 16).reshape(1, 1, 4, 4)
    image, _ = pair_images(x, np.clip(x * 9, -1, 3))
    beneath = np.asarray(pair_images(x, x * 9)[0])
    np.testing.assert_array_equal(np.asarray(image), beneath)  # beyond the range: black and white
    assert {0, 255} <= set(beneath[..., 0].ravel())


def test_bands_lie_beneath_each_other():
    one, two = grid(np.zeros((3, 1, 4, 4)), 3), grid(np.ones((3, 1, 4, 4)), 3)
    whole = np.asarray(stack_images([one, two]))
    np.testing.assert_array_equal(whole[: one.height, :, 0], np.asarray(one))
    np.testing.assert_array_equal(whole[-two.height :, :, 0], np.asarray(two))
    assert (whole[one.height : -two.height] == 255).all()


@pytest.mark.parametrize("features", [3, 5, 80])
def test_more_dimensions_are_seen_by_their_principal_components(features):
    z = codes(features=features)
    found, expected = project_codes(z), PCA(2).fit(z)
    signs = np.sign((found.points * expected.transform(z)).sum(0))
    np.testing.assert_allclose(found.points, expected.transform(z) * signs, atol=1e-8)
    np.testing.assert_allclose(
        found.origin, expected.transform(np.zeros((1, features)))[0] * signs, atol=1e-8
    )
    share = expected.explained_variance_ratio_
    assert f"first two principal components, {share.sum():.1%} of their variance" in found.description
    assert [f"{value:.1%}" in axis for value, axis in zip(share, found.axes, strict=True)] == [True, True]


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(12)))
def test_the_plane_does_not_flip_with_the_order_of_rows(order):
    z = codes(12)
    np.testing.assert_allclose(
        project_codes(z[list(order)]).points, project_codes(z).points[list(order)], atol=1e-8
    )


def test_two_dimensions_are_shown_as_they_are():
    z = codes(features=2)
    assert project_codes(z).points is z
    assert project_codes(z).description == "2 dimensions, as they are"


@pytest.mark.parametrize("z", [codes(features=1), np.zeros((4, 3)), codes(2, 4)])
def test_degenerate_codes_are_drawn(z):
    figure = plot_plane(project_codes(z), "Codes", deviation=1.0)
    assert np.isfinite(np.asarray(figure.axes[0].collections[0].get_offsets())).all()


def test_each_label_has_its_colour_and_its_name():
    z, y = codes(40, 2), np.arange(40) % 10
    figure = plot_plane(project_codes(z), "Codes of 40 test rows", y, tuple("abcdefghij"))
    assert colours(figure) == list(CLASSES)
    for label, drawn in enumerate(figure.axes[0].collections):
        np.testing.assert_array_equal(drawn.get_offsets(), z[y == label])
    assert [words.get_text() for words in figure.legends[0].get_texts()] == list("abcdefghij")
    assert figure.axes[0].get_title(loc="left") == "Codes of 40 test rows\n2 dimensions, as they are"


def test_without_labels_or_with_too_many_there_is_one_colour():
    z = codes(40, 3)
    for y in (None, np.arange(40)):
        figure = plot_plane(project_codes(z), "Codes", y)
        assert len(colours(figure)) == 1
        assert figure.legends == []
        assert ("40 labels are too many" in figure.axes[0].get_title(loc="left")) == (y is not None)


@pytest.mark.parametrize("features", [2, 6])
def test_the_circles_hold_half_and_most_of_the_prior(features):
    found = project_codes(codes(features=features))
    figure = plot_plane(found, "Codes", deviation=5.0)
    z = 5 * np.random.default_rng(1).normal(size=(40_000, 2))
    for line, radius, share in zip(figure.axes[0].lines, (HALF, MOST), (0.5, 0.95), strict=True):
        distance = np.linalg.norm(np.column_stack(line.get_data()) - found.origin, axis=1)
        np.testing.assert_allclose(distance, 5 * radius)
        inside = (np.linalg.norm(z, axis=1) < distance[0]).mean()
        assert abs(inside - share) < 6 * np.sqrt(share * (1 - share) / len(z))


def test_columns_say_how_much_came_back():
    x = np.random.default_rng(0).normal(size=(50, 10))
    x[:, 2] = 1.0
    back = x.copy()
    back[:, 1] = x[:, 1].mean()
    figure = plot_columns(x, back, [f"c{i}" for i in range(9)] + ["$x_{"])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "c0: R² 1.000",
        "c1: R² 0.000",
        "c2: constant",
        *(f"c{i}: R² 1.000" for i in range(3, 8)),
    ]
    np.testing.assert_array_equal(
        figure.axes[1].collections[0].get_offsets(), np.column_stack([x, back])[:, [1, 11]]
    )
