"""Law 10: each metric of sample quality moves the right way on a table of damaged samples.

The samples are real rows that the metric has not seen, damaged; `EXPECTED` says for each figure and kind of damage what
must happen to it, compared with the same rows undamaged:

    "worse"  it moves the wrong way for samples, and its interval leaves out the undamaged rows' figure
    "kept"   it does not improve beyond its interval
    "blind"  it improves, or might: a blind spot, which the metric's note names

A metric that is registered and needs no model must be in the table, or in `EXEMPT` with the reason.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans

from plausible import data
from plausible.metrics import METRICS, Subject, measure
from plausible.metrics.registry import meets

HEADLINE = ("KID", "Fréchet distance", "1-NN accuracy", "density", "coverage", "precision", "recall")
MUST_BE_SEEN = ("noise .1", "noise .3", "flips", "blur", "dropped class", "ten copies", "k-means", "uniform")
KINDS = ("real", *MUST_BE_SEEN)
_WORSE_OF = {  # figure → what must make it worse; everything else must leave it or make it worse
    "KID": {"noise .1", "noise .3", "flips", "blur", "ten copies", "uniform"},
    "Fréchet distance": {"noise .3", "flips", "blur", "ten copies", "uniform"},
    "1-NN accuracy": {"noise .1", "noise .3", "flips", "blur", "ten copies", "k-means", "uniform"},
    "density": {"noise .3", "flips", "uniform"},
    "coverage": {"noise .3", "flips", "blur", "dropped class", "ten copies", "uniform"},
    "precision": {"noise .3", "flips", "uniform"},
    "recall": {"noise .3", "blur", "dropped class", "ten copies", "uniform"},
}
_BLIND = {
    ("density", "k-means"),
    ("coverage", "k-means"),
    ("precision", "ten copies"),
    ("precision", "k-means"),
}
EXPECTED = {
    name: {
        kind: "worse" if kind in worse else "blind" if (name, kind) in _BLIND else "kept"
        for kind in KINDS[1:]
    }
    for name, worse in _WORSE_OF.items()
}
EXEMPT = {
    "two-sample": "its own tests say what it sees: tests/metrics/test_two_sample.py",
    "memorisation": "it is about copies of training rows, which are no damage: tests/metrics/test_memorisation.py",
    "parzen": "prefers k-means centroids to real rows (Theis et al., 2016); it is shown for comparison with papers",
    "fidelity-pixels": "its note names its blind spots; test_pixels_reward_averages and the next show them",
}


def damaged(x: np.ndarray, y: np.ndarray, train: np.ndarray, kind: str) -> np.ndarray:
    """Rows in [0, 1], (n, 1, h, w), damaged in one way; as many of them."""
    rng = np.random.default_rng(0)
    if kind.startswith("noise"):
        return (x + float(kind.split()[1]) * rng.normal(size=x.shape)).clip(0, 1)
    if kind == "flips":
        return np.where(rng.random(x.shape) < 0.1, 1 - x, x)
    if kind == "blur":
        return gaussian_filter(x, (0, 0, 1, 1))
    if kind == "dropped class":
        return x[np.resize(np.flatnonzero(y != 0), len(x))]
    if kind == "ten copies":
        return x[np.resize(np.arange(10), len(x))]
    if kind == "k-means":
        found = KMeans(len(x) // 4, n_init=1, max_iter=10, random_state=0).fit(train.reshape(len(train), -1))
        return np.resize(found.cluster_centers_.reshape(-1, *x.shape[1:]), x.shape)
    return rng.random(x.shape) if kind == "uniform" else x


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAUSIBLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def figures_of(whole, sizes, metrics=None, kinds=KINDS):
    """{kind: {name: Result}} on rows split at random: train, valid, test, and the rows that are damaged."""
    x, y = whole.rows.array(), whole.rows.y
    order = np.random.default_rng(0).permutation(len(x))[: sum(sizes)]
    train, valid, test, aside = np.split(order, np.cumsum(sizes)[:-1])
    parts = {"train": (x[train], y[train]), "valid": (x[valid], y[valid]), "test": (x[test], y[test])}
    rows = data.load(parts, view="domain=unit")
    found = {}
    for kind in kinds:
        samples = torch.from_numpy(damaged(x[aside], y[aside], x[train], kind).astype(np.float32))
        subject = Subject(lambda n, samples=samples: samples[:n], rows)
        names = metrics or [
            name for name in METRICS if meets(subject, METRICS[name].needs) and name not in EXEMPT
        ]
        found[kind] = {result.name: result for result in measure(subject, names)}
    return found


@pytest.fixture(scope="module")
def digits():
    return figures_of(data.load("digits"), (600, 399, 399, 399))


@pytest.fixture(scope="module")
def mnist():
    return figures_of(data.load("mnist"), (50_000, 2000, 2000, 2000))


def badness(result, value):
    """A number that grows as a figure gets worse."""
    if result.name == "1-NN accuracy":
        return abs(value - 0.5)
    return -value if result.higher_is_better else value


def moved(result, undamaged):
    """1 if a figure is worse than the undamaged rows' beyond its interval, −1 if it is better, else 0."""
    low, high = result.interval
    if low <= undamaged.value <= high:
        return 0
    return 1 if badness(result, result.value) > badness(result, undamaged.value) else -1


def check_table(found):
    wrong = []
    for kind in KINDS[1:]:
        for name, result in found[kind].items():
            assert name in EXPECTED, (
                f"{name} has no line in the table: say how it moves, or exempt its metric"
            )
            expected, way = EXPECTED[name][kind], moved(result, found["real"][name])
            if (expected == "worse" and way != 1) or (expected == "kept" and way == -1):
                figure = f"{result.value:.3f} in {result.interval}, undamaged {found['real'][name].value:.3f}"
                wrong.append(f"{name}, {kind}: expected {expected}, found {figure}")
    assert not wrong, "\n".join(wrong)


def check_headline(found):
    for kind in MUST_BE_SEEN:
        seen = [name for name in HEADLINE if moved(found[kind][name], found["real"][name]) == 1]
        assert seen, f"no headline figure sees {kind}"


def check_floor(found):
    """Undamaged rows score as other real rows do, by three standard errors of the difference; marginals score worse."""
    for result in found["real"].values():
        low, high = result.interval
        assert abs(result.value - result.floor) <= 3 * math.sqrt(2) * (high - low) / (2 * 1.96), result
        assert badness(result, result.independent) > badness(result, result.floor)


def test_every_figure_moves_the_right_way(digits):
    check_table(digits)


def test_each_kind_of_damage_moves_a_headline_figure(digits):
    check_headline(digits)


def test_undamaged_rows_score_like_other_real_rows(digits):
    check_floor(digits)


def test_pixels_reward_averages():
    """Why `fidelity-pixels` is no default: on principal components k-means centroids are denser than real rows."""
    found = figures_of(data.load("digits"), (600, 399, 399, 399), ["fidelity-pixels"], ("real", "k-means"))
    real, averages = (found[kind]["density, pixels"] for kind in ("real", "k-means"))
    assert moved(averages, real) == -1
    assert "blind spots" in real.note


@pytest.mark.slow
def test_pixels_reward_noise_and_blur():
    """On MNIST, where 50 components leave much out, noise and blur are too."""
    kinds = ("real", "noise .3", "blur")
    found = figures_of(data.load("mnist"), (50_000, 2000, 2000, 2000), ["fidelity-pixels"], kinds)
    real, *others = (found[kind]["density, pixels"] for kind in kinds)
    assert [moved(other, real) for other in others] == [-1, -1]


@pytest.mark.slow
def test_the_same_on_mnist(mnist):
    check_table(mnist)
    check_headline(mnist)
    check_floor(mnist)
