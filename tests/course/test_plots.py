"""The theory page's pictures: what is drawn and what the captions say are the library's numbers."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats
from torch.distributions import Normal

from plausible.course.pictures import pictures
from plausible.course.plotting import Picture
from plausible.plotting import house_style, to_svg
from plausible.probability import Table, central_limit, entropy, fit_gaussian, jsd, log_likelihood, underflow
from plausible.theory import criterion, descend, mode_dropping, two_classifiers

DRAWN = True

ANCHORS = (
    "die", "iq", "central-limit", "likelihood", "two-players", "criterion", "descent", "mode-dropping",
    "gradients", "two-classifiers",
)  # fmt: skip
FAIR = Table.uniform(die=range(1, 7))
LOADED = Table.of("die", {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1, 6: 0.5})
NUMBER = re.compile(r"−?\d+(?:\.\d+)?(?:e[−+]?\d+)?")


@pytest.fixture(scope="module")
def page() -> dict[str, Picture]:
    return {picture.anchor: picture for picture in pictures()}


def numbers(picture: Picture) -> list[float]:
    """Every number in the caption, in order."""
    return [float(found.replace("−", "-")) for found in NUMBER.findall(picture.caption)]


def says(picture: Picture, *values: float, digits: int = 4) -> bool:
    """Whether the caption gives these values one after another, to so many digits."""
    wanted = [pytest.approx(value, abs=0.5000001 * 10**-digits) for value in values]
    given = numbers(picture)
    return any(given[i : i + len(wanted)] == wanted for i in range(len(given)))


def drawn(axes: Axes, which: int = 0) -> np.ndarray:
    """The heights of one group of bars."""
    groups = [container for container in axes.containers if isinstance(container, BarContainer)]
    return np.array([bar.get_height() for bar in groups[which].patches])


def line(axes: Axes, which: int) -> tuple[np.ndarray, np.ndarray]:
    """A line's coordinates."""
    x, y = axes.lines[which].get_data()
    return np.asarray(x, dtype=float), np.asarray(y, dtype=float)


def curve(axes: Axes, words: str) -> tuple[np.ndarray, np.ndarray]:
    """The line with this entry in the legend."""
    (found,) = [i for i, one in enumerate(axes.lines) if one.get_label() == words]
    return line(axes, found)


def dots(axes: Axes) -> list[tuple[float, float]]:
    """The single marked points, in the order of drawing."""
    return [
        (float(x[0]), float(y[0])) for x, y in (line(axes, i) for i in range(len(axes.lines))) if len(x) == 1
    ]


def spoken(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def test_ten_pictures_each_with_its_words(page):
    assert tuple(page) == ANCHORS
    for picture in page.values():
        assert picture.title
        assert picture.formula
        assert "\n" not in picture.formula
        assert 2 <= len(re.findall(r"[.!?](?:\s|$)", picture.caption)) <= 5
        assert "-" not in re.sub(r"[A-Za-z]-[A-Za-z]", "", picture.caption), "a hyphen for a minus"
        assert len({p.title for p in page.values()}) == len(page)


@pytest.mark.parametrize("anchor", ANCHORS)
def test_every_panel_says_what_it_shows(page, anchor: str):
    figure = page[anchor].figure
    assert tuple(figure.get_size_inches()) == (9.0, 3.2)
    panels = [
        axes
        for axes in figure.axes
        if axes.get_subplotspec() is not None and axes.get_label() != "<colorbar>"
    ]
    assert 2 <= len(panels) <= 4
    for axes in panels:
        assert axes.get_title(loc="left")
        assert axes.get_xlabel()
    shared = panels[:1] if anchor == "central-limit" else panels
    assert all(axes.get_ylabel() for axes in shared)


@pytest.mark.parametrize("anchor", ANCHORS)
def test_every_picture_is_a_whole_svg(page, anchor: str):
    content = to_svg(page[anchor].figure)
    assert ElementTree.fromstring(content).tag.endswith("svg")  # noqa: S314
    assert len(content) < 600_000


@pytest.mark.parametrize("anchor", ANCHORS)
def test_no_words_leave_the_picture_or_lie_on_other_words(page, anchor: str):
    figure = page[anchor].figure
    with house_style():
        figure.canvas.draw()
    boxes = [text.get_window_extent() for text in words(figure) if text.get_text().strip()]
    width, height = figure.canvas.get_width_height()
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for i, box in enumerate(boxes):
        for other in boxes[i + 1 :]:
            lap_x = min(box.x1, other.x1) - max(box.x0, other.x0)
            lap_y = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert not (lap_x > 1 and lap_y > 1), (box, other)


def words(figure: Figure) -> list[Text]:
    """All that is written; ticks beyond an axis' limits are kept by matplotlib but not drawn."""
    found: list[Text] = []
    for axes in figure.axes:
        found += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title]
        legend = axes.get_legend()
        found += legend.get_texts() if legend else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [label for tick in ticks for label in (tick.label1, tick.label2) if label.get_visible()]
    return found


def test_the_same_each_time_whatever_the_callers_random_numbers():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = pictures()
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(6)
    for one, other in zip(first, pictures(), strict=True):
        assert one.caption == other.caption
        if one.anchor in ("likelihood", "two-classifiers"):  # those with draws
            assert to_svg(one.figure) == to_svg(other.figure)


def test_die(page):
    left, right = page["die"].figure.axes
    np.testing.assert_allclose(drawn(left, 0), 1 / 6)
    np.testing.assert_allclose(drawn(left, 1), [0.1] * 5 + [0.5])
    np.testing.assert_allclose(drawn(right), [0.625] * 5 + [0.25])
    assert left.get_ylim()[0] == right.get_ylim()[0] == 0
    assert says(page["die"], jsd(FAIR, LOADED))
    assert says(page["die"], 0.0647)
    assert says(page["die"], criterion(FAIR, LOADED))
    assert "0.625 at 1 to 5 and 0.250 at 6" in page["die"].caption


def test_iq(page):
    left, right = page["iq"].figure.axes
    x, density = line(left, 0)
    np.testing.assert_allclose(density, stats.norm.pdf(x, 100, 24))
    (shaded,) = left.collections
    assert shaded.get_paths()[0].vertices[:, 0].min() == 148
    assert says(page["iq"], stats.norm.sf(2), digits=5)
    assert says(page["iq"], 0.02275, digits=5)
    h = float(entropy(Normal(100.0, 24.0)))
    assert says(page["iq"], h, digits=3)
    assert says(page["iq"], 4.597, digits=3)
    np.testing.assert_allclose(dots(right), [(76, h), (124, h)])
    x, surprise = line(right, 0)
    np.testing.assert_allclose(surprise, -stats.norm.logpdf(x, 100, 24))
    np.testing.assert_allclose(surprise[np.isin(x, (76, 124))], h)


def test_central_limit(page):
    limits = [central_limit(FAIR, n) for n in (1, 2, 5, 30)]
    for axes, limit in zip(page["central-limit"].figure.axes, limits, strict=True):
        widths = np.array([bar.get_width() for bar in axes.patches])
        np.testing.assert_allclose(widths, math.sqrt(12 / 35 / limit.n))
        np.testing.assert_allclose(drawn(axes) * widths, limit.probabilities)
        assert (drawn(axes) * widths).sum() == pytest.approx(1)
        z, density = line(axes, 0)
        np.testing.assert_allclose(density, stats.norm.pdf(z))
        assert f"{limit.distance:.4f}" in spoken(axes)
        assert f"{limit.bound:.4f}" in spoken(axes)
    assert says(page["central-limit"], *[limit.distance for limit in limits])
    assert says(page["central-limit"], *[limit.bound for limit in limits])


def test_likelihood(page):
    left, right = page["likelihood"].figure.axes[:2]
    x = np.random.default_rng(0).normal(100, 24, 250).round()
    fit = fit_gaussian(x[:50])
    assert dots(left) == [(float(fit.mean), float(fit.stddev))]
    assert dots(left)[0] == pytest.approx((x[:50].mean(), x[:50].std()))
    assert says(page["likelihood"], log_likelihood(fit, x[:50]), digits=2)
    assert says(page["likelihood"], x[:50].mean(), x[:50].std(), digits=2)
    found = underflow(fit, x)
    assert f"from person {found.vanishes_at} on" in page["likelihood"].caption
    np.testing.assert_array_equal(curve(right, "sum of logs")[1], found.sums)
    n, product = curve(right, "log of the product")
    assert n[-1] == found.vanishes_at - 1
    np.testing.assert_allclose(product, found.sums[: len(n)], atol=0.5)
    assert dots(right)[0][0] == n[-1]


def test_the_shades_of_the_likelihood_close_round_its_maximum(page):
    left = page["likelihood"].figure.axes[0]
    (mean, sigma) = dots(left)[0]
    (shades,) = left.collections
    assert shades.norm.vmax == 0
    assert list(shades.levels) == [-40, -20, -10, -5, -2, -0.5, 0]
    inmost = shades.get_paths()[-1]
    assert inmost.contains_point((mean, sigma))
    half = math.sqrt(0.5 * 2 / 50)  # ℓ falls by ½ at μ̂ ± σ̂/√n
    assert inmost.vertices[:, 0].max() == pytest.approx(mean + half * sigma, rel=2e-3)


def test_two_players(page):
    left, right = page["two-players"].figure.axes
    a, b = 1 / 6, np.array([0.1, 1 / 6, 0.5])
    tops = np.array(dots(left))
    np.testing.assert_allclose(tops[:, 0], a / (a + b))
    np.testing.assert_allclose(tops[:, 1], a * np.log(a / (a + b)) + b * np.log(b / (a + b)))
    for words, one, top in zip(("b = 0.1", "b = 1/6", "b = 0.5"), b, tops, strict=True):
        y, height = curve(left, words)
        np.testing.assert_allclose(height, a * np.log(y) + one * np.log(1 - y))
        assert height.max() <= top[1] + 1e-12
        assert y[height.argmax()] == pytest.approx(top[0], abs=4e-3)
    np.testing.assert_allclose(np.array(dots(right)), np.stack([np.log(a / b), a / (a + b)], 1))
    ratio, best = line(right, 0)
    np.testing.assert_allclose(best, 1 / (1 + np.exp(-ratio)))
    assert says(page["two-players"], 0.625, 0.5, 0.25, digits=3)


def test_criterion(page):
    left, right = page["criterion"].figure.axes
    m, height = curve(right, "C(G) = V(D*, G), by quadrature")
    known = {1: -1.163451397, 2: -0.712632720, 3: -0.332739748}
    for mean, value in known.items():
        assert height[m == mean] == pytest.approx(value, abs=1e-9)
    marked, points = curve(right, "−log 4 + 2·JSD, by quadrature")
    np.testing.assert_allclose(points, height[np.isin(m, marked)], atol=1e-9)
    np.testing.assert_allclose(points[:3], list(known.values()), atol=1e-9)
    assert height[0] == pytest.approx(-math.log(4))
    assert (np.diff(height) > 0).all()
    levels = [y[0] for x, y in (line(right, i) for i in range(len(right.lines))) if len(x) == 2]
    assert levels == pytest.approx([-math.log(4), 0])
    for mean in known:
        x, best = curve(left, f"m = {mean}")
        np.testing.assert_allclose(best, 1 / (1 + np.exp(mean * x - mean**2 / 2)))
    assert dots(left) == [(0.5, 0.5), (1.0, 0.5), (1.5, 0.5)]
    assert says(page["criterion"], *known.values())
    assert says(page["criterion"], -math.log(4))


def test_descent(page):
    left, middle, right = page["descent"].figure.axes
    start = drawn(left, 0) - 1 / 6
    np.testing.assert_allclose(start, LOADED.probabilities - 1 / 6)
    for group, step in enumerate((0, 1, 2, 5)):
        np.testing.assert_allclose(drawn(left, group) - 1 / 6, start / 2**step)
    path = descend(FAIR, LOADED, steps=5)
    np.testing.assert_allclose(line(middle, 0)[1], path.discriminator[:, 0])
    np.testing.assert_allclose(line(middle, 1)[1], path.discriminator[:, 5])
    assert (line(middle, 0)[1][0], line(middle, 1)[1][0]) == pytest.approx((0.625, 0.25))
    assert right.get_yscale() == "log"
    excess = []
    for which, rate in enumerate((1.0, 0.5, 0.2)):
        x, y = line(right, which)
        wanted = descend(FAIR, LOADED, steps=12, rate=rate).criterion + math.log(4)
        np.testing.assert_array_equal(x, np.arange(13))
        np.testing.assert_allclose(y, wanted, atol=1e-15)
        excess.append(y[10])
    assert says(page["descent"], *(1 / 6 + (1 / 3) / 2**step for step in (0, 1, 2, 5)))
    given = numbers(page["descent"])
    assert all(any(g == pytest.approx(e, rel=0.05) for g in given) for e in excess)


def test_mode_dropping(page):
    left, right = page["mode-dropping"].figure.axes
    np.testing.assert_allclose(drawn(left, 0), 1 / 8)
    np.testing.assert_allclose(drawn(left, 1), [0.25] * 4 + [0.0] * 4)
    found = [mode_dropping(8, kept) for kept in range(1, 9)]
    np.testing.assert_allclose(line(right, 0)[1], [one.reverse_kl for one in found])
    np.testing.assert_allclose(line(right, 1)[1], [one.jsd for one in found])
    np.testing.assert_allclose(line(right, 1)[0], np.arange(1, 9) / 8)
    lost, high = line(right, 2)
    np.testing.assert_allclose(lost, [kept / 8 for kept in range(1, 9) if math.isinf(found[kept - 1].kl)])
    assert high.min() > max(one.reverse_kl for one in found)
    assert dots(right) == [(1.0, found[-1].kl)]
    assert "= ∞" in spoken(right)
    assert says(page["mode-dropping"], found[3].jsd, math.log(2))
    assert says(page["mode-dropping"], found[3].reverse_kl)
    assert f"{found[3].discriminator_kept:.3f}" in spoken(left)


def test_gradients(page):
    left, right = page["gradients"].figure.axes
    curves = [line(left, i) for i in range(len(left.lines)) if len(line(left, i)[0]) > 2]
    np.testing.assert_allclose(curves[0][1], curves[0][0])
    np.testing.assert_allclose(curves[1][1], 1 - curves[1][0])
    np.testing.assert_allclose(dots(left), [(0.01, 0.01), (0.01, 0.99)])
    d, ratio = line(right, 0)
    np.testing.assert_allclose(ratio, d / (1 - d))
    assert dots(right) == [pytest.approx((0.01, 0.01 / 0.99))]
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
    assert says(page["gradients"], 0.01, 0.01, 99, 0.99, digits=2)


def test_two_classifiers(page):
    left, right = page["two-classifiers"].figure.axes
    points: list[Any] = [one.get_offsets() for one in left.collections if len(one.get_offsets()) == 100]
    x, y = np.concatenate(points), np.repeat([0, 1], 100)
    assert x.shape == (200, 2)
    found = two_classifiers(x, y)
    for words, fit in (("generative", found.generative), ("discriminative", found.discriminative)):
        np.testing.assert_allclose(fit.probability(np.stack(curve(left, words), 1)), 0.5)
        right_side = ((fit.probability(x) > 0.5) == y).mean()
        assert f"{right_side:.1%}" in page["two-classifiers"].caption
    new: list[Any] = [one.get_offsets() for one in right.collections if len(one.get_offsets()) == 100]
    for one in (0, 1):
        error = np.sqrt(np.diag(found.covariance) / 100)
        assert (np.abs(new[one].mean(axis=0) - found.means[one]) < 3.5 * error).all()
    for axes, drawn_points in ((left, points), (right, new)):
        low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
        inside = [((p > low) & (p < high)).all() for p in drawn_points]
        assert all(inside), "points lie outside the picture"


def test_the_ellipses_lie_one_and_two_standard_deviations_out(page):
    left = page["two-classifiers"].figure.axes[0]
    points: list[Any] = [one.get_offsets() for one in left.collections if len(one.get_offsets()) == 100]
    found = two_classifiers(np.concatenate(points), np.repeat([0, 1], 100))
    contours: list[Any] = [one for one in left.collections if len(one.get_offsets()) != 100]
    for one, contour in enumerate(contours):
        for path, distance in zip(contour.get_paths(), (2.0, 1.0), strict=True):
            away = path.vertices - found.means[one]
            squared = np.einsum("ni,ij,nj->n", away, np.linalg.inv(found.covariance), away)
            np.testing.assert_allclose(np.sqrt(squared), distance, atol=0.02)
