"""Pictures of the theory of GANs: the optimal D, the criterion, descent on it, and the gradients of the generator.

p_data is grey, p_g vermilion and D* blue wherever they appear together.
Source: Goodfellow et al., Generative Adversarial Nets (2014).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import FuncFormatter
from torch.distributions import Normal

from plausible.course.plotting import (
    BEST,
    DATA,
    FACES,
    FAIR,
    GENERATED,
    LOADED,
    Picture,
    bars,
    label,
    label_axes,
    listing,
    marked_point,
    panel_row,
    signed,
    value_line,
)
from plausible.plotting import COLOURS, INK, MUTED
from plausible.probability import density_grid, jsd, sample
from plausible.theory import (
    GLOBAL_OPTIMUM,
    Classifiers,
    Descent,
    Linear,
    criterion,
    criterion_from_jsd,
    descend,
    maximiser,
    mode_dropping,
    non_saturating_gradient,
    optimal_discriminator,
    pointwise_value,
    saturating_gradient,
    two_classifiers,
)

__all__ = ["pictures"]

_STEPS = (0, 1, 2, 5)
_RATES = (1.0, 0.5, 0.2)
_SHADES = ("#d55e00", "#e88c45", "#f2b98a", "#f8dcc4")  # p_g, paler with each step shown
_MEANS = (1, 2, 3)
_MODES = 8
_OBJECTIVES = ("lower log(1 − D): slope D", "lower −log D: slope 1 − D")


def pictures() -> list[Picture]:
    """The six pictures, in the order of reading, to be made within `house_style`."""
    return [
        _two_players(),
        _criterion_of_gaussians(),
        _descent(),
        _dropped_modes(),
        _gradients(),
        _classifiers(),
    ]


def _two_players() -> Picture:
    """What one x adds to V, and the D(x) that raises it most."""
    figure, (left, right) = panel_row(1.15, 1)
    a = np.array([FAIR.probabilities[0], FAIR.probabilities[0], FAIR.probabilities[5]])
    b = np.array([LOADED.probabilities[0], FAIR.probabilities[0], LOADED.probabilities[5]])
    best = maximiser(a, b)
    tops = pointwise_value(best, a, b)
    y = 1 / (1 + np.exp(-np.linspace(-12, 12, 1201)))  # close to 0 and to 1, where the logs dive
    beside = (
        ("b = 0.1", 1.01, -0.4, "left"),
        ("b = 1/6", 0.95, -0.6, "right"),
        ("b = 0.5", 0.81, -0.8, "left"),
    )
    for i, (colour, (words, x, height, side)) in enumerate(zip(COLOURS[:3], beside, strict=True)):
        left.vlines(best[i], -1, tops[i], color=colour, linewidth=0.9, linestyle=":")
        left.plot(y, pointwise_value(y, a[i], b[i]), color=colour, linewidth=1.9, label=words)
        marked_point(left, best[i], tops[i], colour)
        label(left, x, height, words, colour, ha=side)
        marked_point(right, np.log(a[i] / b[i]), best[i], colour)
        label(right, np.log(a[i] / b[i]) + 0.3, best[i] - 0.02, f"{words}: {best[i]:.3f}", colour)
    label_axes(left, "What one x adds to V, a = 1/6", "y = D(x)", "a·log y + b·log(1 − y), nats")
    left.set_ylim(-1.0, 0.0)
    left.set_xlim(-0.03, 1.17)
    left.set_xticks([0, 0.25, 0.5, 0.625, 1])
    ratio = np.linspace(-4, 4, 161)
    right.plot(ratio, maximiser(np.exp(ratio), 1), color=MUTED, linewidth=1.9, zorder=1)
    label_axes(right, "The best y is a sigmoid", "log(a/b), nats", "y* = a/(a + b)")
    right.set_ylim(0, 1)
    _minus(left, right)
    caption = (
        "With p_g held fixed, the discriminator raises V at each x by itself. Left, a·log y + b·log(1 − y) with "
        "a = p_data(x) = 1/6, a fair face, and b = p_g(x) = 0.1, 1/6 and 0.5: highest at y = "
        f"{listing([f'{d:.3f}' for d in best])} (the dots). Right, all these maxima lie on one sigmoid of log(a/b), "
        "which is why D ends in one (proof of Proposition 1)."
    )
    formula = "a·log y + b·log(1 − y) is highest at y* = a/(a + b) = sigmoid(log(a/b))"
    return Picture("two-players", "The best answer of the discriminator", formula, caption, figure)


def _criterion_of_gaussians() -> Picture:
    """N(0, 1) against N(m, 1): D* and C."""
    figure, (left, right) = panel_row(1, 1)
    x = torch.linspace(-3, 5, 161, dtype=torch.float64)
    for m, colour in zip(_MEANS, (COLOURS[0], COLOURS[2], COLOURS[3]), strict=True):
        left.plot(x, optimal_discriminator(*_apart(m))(x), color=colour, linewidth=1.9, label=f"m = {m}")
        marked_point(left, m / 2, 0.5, colour)
    value_line(left, 0.5)
    left.legend(loc="lower left", bbox_to_anchor=(0.03, 0.05), fontsize=9)
    label_axes(left, "The best discriminator", "x", "D*(x)")
    grid, marked = np.append(np.linspace(0, 3, 25), np.linspace(3.25, 6, 12)), np.arange(1, 7)
    curve = [float(criterion(*_apart(m))) for m in grid]
    points = [criterion_from_jsd(float(jsd(*_apart(m)))) for m in marked]
    right.plot(grid, curve, color=BEST, linewidth=1.9, label="C(G) = V(D*, G), by quadrature")
    right.plot(marked, points, "o", color=GENERATED, markersize=6, label="−log 4 + 2·JSD, by quadrature")
    for height, words in ((GLOBAL_OPTIMUM, "−log 4: p_g = p_data"), (0.0, "0: nothing in common")):
        value_line(right, height)
        label(right, 6.1, height + 0.03, words, INK, ha="right", va="bottom")
    label_axes(right, "The criterion", "mean m of p_g", "C(G), nats")
    right.set_ylim(-1.5, 0.22)
    right.legend(loc="lower right", bbox_to_anchor=(1.0, 0.17), fontsize=9)
    _minus(left, right)
    at = {m: signed(curve[8 * m], 4) for m in _MEANS}
    caption = (
        "The data are N(0, 1), the generator makes N(m, 1). Left, the best discriminator is a sigmoid that crosses ½ "
        f"at m/2 and steepens with m. Right, what it leaves the generator: C(G) = {at[1]}, {at[2]} and {at[3]} nats at "
        f"m = 1, 2 and 3, from −log 4 = {signed(GLOBAL_OPTIMUM, 4)} at m = 0 up to 0. The curve (V at D*) and the dots "
        "(the JSD) are two separate integrals and agree (Theorem 1)."
    )
    formula = "C(G) = max_D V(D, G) = −log 4 + 2·JSD(p_data, p_g)"
    return Picture("criterion", "The criterion and the Jensen–Shannon divergence", formula, caption, figure)


def _descent() -> Picture:
    """Proposition 2: the loaded die becomes fair."""
    figure, (left, middle, right) = panel_row(1.45, 1, 1.15)
    paths = {rate: descend(FAIR, LOADED, steps=12, rate=rate) for rate in _RATES}
    path = paths[1.0]
    faces, width = np.array(FACES), 0.21
    for i, step in enumerate(_STEPS):
        bars(left, faces + (i - 1.5) * width, path.p_g[step], width, _SHADES[i], f"step {step}")
    value_line(left, FAIR.probabilities[0])
    label(left, 0.55, FAIR.probabilities[0] + 0.012, "1/6: p_data", INK, va="bottom")
    label_axes(left, "p_g, rate 1", "face x", "probability p_g(x)")
    left.set_ylim(0, 0.52)
    left.legend(loc="upper left", bbox_to_anchor=(0.02, 1.02), fontsize=9, ncols=2, columnspacing=1.2)
    _plot_best(middle, path)
    _plot_descents(right, paths)
    caption = (
        "The generator's masses move down C, the discriminator at its best before each step. With rate 1 a step halves "
        f"the distance to the data: P(6) = {listing([f'{path.p_g[step, 5]:.4f}' for step in _STEPS])} after steps "
        f"{listing([str(step) for step in _STEPS])}, and D* tends to ½ everywhere. C falls from "
        f"{signed(path.criterion[0], 4)} to −log 4 at any rate up to 1: at rates 1, 0.5 and 0.2 it is still "
        f"{listing([f'{paths[rate].criterion[10] - GLOBAL_OPTIMUM:.1e}'.replace('-', '−') for rate in _RATES])} nats "
        "above it after 10 steps (Proposition 2)."
    )
    formula = "p_g ← p_g·exp(−rate·log(1 − D*)) / Z,   with rate 1: p_g ← ½·(p_data + p_g)"
    return Picture("descent", "A generator that walks down C", formula, caption, figure)


def _plot_best(axes: Axes, path: Descent) -> None:
    steps = np.arange(6)
    axes.plot(steps, path.discriminator[:6, 0], "o-", color=BEST, markersize=5, linewidth=1.6)
    axes.plot(steps, path.discriminator[:6, 5], "s-", color=COLOURS[3], markersize=5, linewidth=1.6)
    value_line(axes, 0.5)
    label(axes, 0.7, 0.655, "faces 1 to 5", BEST)
    label(axes, 1.0, 0.25, "face 6", COLOURS[3])
    axes.set_xticks(steps)
    label_axes(axes, "D*, rate 1", "step", "D*(x)")
    axes.set_ylim(0, 1)


def _plot_descents(axes: Axes, paths: dict[float, Descent]) -> None:
    places = ((8.3, 1e-5), (8.3, 5e-3), (8.3, 8e-2))
    for rate, colour, place in zip(_RATES, (COLOURS[1], COLOURS[2], COLOURS[6]), places, strict=True):
        excess = paths[rate].criterion - GLOBAL_OPTIMUM
        axes.semilogy(np.arange(len(excess)), excess, "o-", color=colour, markersize=3.5, linewidth=1.4)
        label(axes, *place, f"rate {rate:g}", colour)
    axes.set_xticks([0, 4, 8, 12])
    label_axes(axes, "C, three rates", "step", "C + log 4, nats")


def _dropped_modes() -> Picture:
    """Mode dropping: the JSD forgives what KL does not."""
    figure, (left, right) = panel_row(1, 1.2)
    half = mode_dropping(_MODES, _MODES // 2)
    modes = np.arange(1, _MODES + 1)
    data, kept = np.full(_MODES, 1 / _MODES), np.where(modes <= _MODES // 2, 2 / _MODES, 0.0)
    bars(left, modes - 0.2, data, 0.4, DATA, "p_data")
    bars(left, modes + 0.2, kept, 0.4, GENERATED, "p_g")
    label_axes(left, "Half the modes kept", "mode", "probability")
    label(left, 2.5, 2 / _MODES + 0.012, f"D* = {half.discriminator_kept:.3f}", BEST, ha="center")
    label(left, 6.5, 1 / _MODES + 0.012, "D* = 1", BEST, ha="center")
    left.set_ylim(0, 0.29)
    left.set_xticks(modes)
    left.legend(loc="upper right", fontsize=9)
    found = [mode_dropping(_MODES, int(k)) for k in modes]
    share = modes / _MODES
    right.plot(share, [one.reverse_kl for one in found], "s-", color=COLOURS[2], markersize=5, linewidth=1.6)
    right.plot(share, [one.jsd for one in found], "o-", color=BEST, markersize=5, linewidth=1.6)
    label(right, 0.31, 1.3, "KL(p_g ‖ p_data) = log(1/share)", COLOURS[2])
    label(right, 0.2, 0.22, "JSD", BEST)
    lost = share[:-1]
    right.plot(lost, np.full(len(lost), 2.45), "^", color=GENERATED, markersize=7)
    right.plot(1, 0, "^", color=GENERATED, markersize=7, zorder=4)
    label(right, 0.56, 2.68, "KL(p_data ‖ p_g) = ∞ as soon as one mode is lost", GENERATED, ha="center")
    label_axes(right, "What dropping modes costs", "share of modes kept", "divergence, nats")
    right.set_xlim(0.07, 1.05)
    right.set_ylim(-0.1, 2.85)
    right.set_xticks([0.125, 0.25, 0.5, 0.75, 1], ["1/8", "1/4", "1/2", "3/4", "1"])
    caption = (
        f"The data have {_MODES} equal modes, the generator makes only some of them. With half of them kept the JSD is "
        f"{half.jsd:.4f} of at most {math.log(2):.4f} nats and KL(p_g ‖ p_data) is {half.reverse_kl:.4f}, while "
        "KL(p_data ‖ p_g), which maximum likelihood lowers, is infinite at the first mode lost. The game forgives "
        "dropped modes; likelihood cannot."
    )
    formula = "KL(p_data ‖ p_g) = ∞ where p_g = 0 < p_data,   JSD(p_data, p_g) ≤ log 2"
    return Picture("mode-dropping", "Dropped modes, and who minds", formula, caption, figure)


def _gradients() -> Picture:
    """The slope that each of the generator's objectives hands it."""
    figure, (left, right) = panel_row(1, 1)
    d = np.linspace(0, 1, 201)
    early = 0.01
    slow, fast = (float(np.abs(f(early))) for f in (saturating_gradient, non_saturating_gradient))
    colours = (COLOURS[0], COLOURS[1])
    for f, colour in zip((saturating_gradient, non_saturating_gradient), colours, strict=True):
        left.plot(d, np.abs(f(d)), color=colour, linewidth=1.9)
        marked_point(left, early, float(np.abs(f(early))), colour)
    left.vlines(early, slow, fast, color=MUTED, linewidth=0.9, linestyle=":")
    label(left, 0.03, 0.5, f"D = {early}")
    label(left, 0.82, 0.88, _OBJECTIVES[0], colours[0], ha="right")
    label(left, 0.82, 0.06, _OBJECTIVES[1], colours[1], ha="right")
    label_axes(left, "The slope each objective gives", "D(G(z))", "|slope| with respect to the logit")
    odds = np.geomspace(1e-4, 0.9, 200)
    ratio = saturating_gradient(odds) / non_saturating_gradient(odds)
    right.loglog(odds, ratio, color=INK, linewidth=1.9)
    marked_point(right, early, slow / fast, INK)
    label(right, early * 1.6, slow / fast * 0.75, f"D = {early}: {slow / fast:.4f}", INK, va="top")
    value_line(right, 1.0)
    label(right, 1e-4, 1.3, "1: both slopes equal, D = ½", INK, va="bottom")
    label_axes(right, "The first over the second", "D(G(z)), log scale", "D / (1 − D), log scale")
    caption = (
        "Early on the discriminator is sure: D(G(z)) is near 0. There the objective of the theory, lower log(1 − D), "
        f"has almost no slope: at D = {early} it is {slow:.2f}, {fast / slow:.0f} times less than the {fast:.2f} of "
        "lowering −log D. Both push the same way, and both have the same fixed point (section 3)."
    )
    formula = "|∂ log(1 − D)/∂l| = D,   |∂ (−log D)/∂l| = 1 − D,   D = sigmoid(l)"
    return Picture("gradients", "Why generators are trained on −log D", formula, caption, figure)


def _classifiers() -> Picture:
    """Generative and discriminative classifiers: the same boundary, but only one of them can sample."""
    figure, (left, right) = panel_row(1, 1)
    rng = np.random.default_rng(3)
    spread = np.linalg.cholesky([[1.0, 0.5], [0.5, 0.8]]).T
    x = np.concatenate([rng.normal(size=(100, 2)) @ spread + mean for mean in ((-1, 0.7), (1, -0.7))])
    y = np.repeat([0, 1], 100)
    found = two_classifiers(x, y)
    colours = (COLOURS[0], COLOURS[1])
    for one, colour in enumerate(colours):
        left.scatter(*x[y == one].T, s=9, color=colour, alpha=0.7, linewidths=0)
        new = sample(found.class_model(one), 100, seed=one).numpy()
        right.scatter(*new.T, s=14, color=colour, marker="D", alpha=0.7, linewidths=0)
    for axes, title in ((left, "200 points, two boundaries"), (right, "200 new points")):
        _plot_models(axes, found, colours)
        label_axes(axes, title, "x₁", "x₂")
    _plot_boundary(left, found.generative, INK, "-", "generative")
    _plot_boundary(left, found.discriminative, COLOURS[2], (0, (5, 3)), "discriminative")
    left.legend(loc="lower right", fontsize=9)
    share = [float(((f.probability(x) > 0.5) == y).mean()) for f in (found.generative, found.discriminative)]
    caption = (
        "Left, two classes of 100 seeded points, the ellipses of the Gaussians fitted to them (one and two standard "
        f"deviations), and both boundaries P(y | x) = ½: the generative one puts {share[0]:.1%} of these points on the "
        f"right side, the discriminative one {share[1]:.1%}. Right, new points sampled from p(x | y): only the "
        "generative model knows how a class looks."
    )
    formula = "P(y | x) = p(x | y)·P(y) / p(x) = sigmoid(w·x + b)"
    return Picture("two-classifiers", "Generative and discriminative", formula, caption, figure)


def _plot_models(axes: Axes, found: Classifiers, colours: tuple[str, str]) -> None:
    grid = np.linspace(-4.6, 4.6, 93)
    for one, colour in enumerate(colours):
        density = density_grid(found.class_model(one), grid, grid)
        peak = 1 / (2 * math.pi * math.sqrt(float(np.linalg.det(found.covariance))))
        axes.contour(
            grid, grid, density, [peak * math.exp(-2.0), peak * math.exp(-0.5)], cmap=ListedColormap([colour]),
            linewidths=1.2,
        )  # fmt: skip
    axes.set_xlim(-5.6, 5.6)
    axes.set_ylim(-3.7, 3.7)
    axes.set_aspect("equal")
    label(axes, -5.3, 3.1, "y = 0", colours[0])
    label(axes, 5.3, 1.0, "y = 1", colours[1], ha="right")
    axes.grid(visible=False)
    _minus(axes)


def _plot_boundary(axes: Axes, line: Linear, colour: str, style: object, words: str) -> None:
    first = np.array([-5.6, 5.6])
    second = -(line.bias + line.weight[0] * first) / line.weight[1]
    axes.plot(first, second, color=colour, linestyle=style, linewidth=1.7, label=words)


def _apart(m: float) -> tuple[Normal, Normal]:
    """p_data and p_g of the criterion's picture: N(0, 1) and N(m, 1)."""
    return Normal(0.0, 1.0), Normal(float(m), 1.0)


def _minus(*panels: Axes) -> None:
    """Ticks of linear axes as short numbers."""
    for axes in panels:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:.3g}".replace("-", "−")))
