"""Pictures of probability: dice, densities, the central limit theorem, maximum likelihood.

Every number in a caption and every curve comes from `plausible.probability` and `plausible.theory`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy import stats
from torch.distributions import Normal

from plausible.course.plotting import (
    BEST,
    DASHES,
    DATA,
    FACES,
    FAIR,
    GENERATED,
    LOADED,
    Picture,
    bars,
    label,
    label_axes,
    label_bars,
    listing,
    marked_point,
    panel_row,
    signed,
    value_line,
)
from plausible.plotting import COLOURS, INK, MUTED
from plausible.probability import (
    CentralLimit,
    central_limit,
    entropy,
    fit_gaussian,
    jsd,
    log_density,
    log_likelihood,
    log_likelihood_surface,
    quadrature,
    underflow,
)
from plausible.theory import criterion, optimal_discriminator

__all__ = ["pictures"]

_IQ = Normal(100.0, 24.0)
_DICE = (1, 2, 5, 30)
_PEOPLE = 50
_DEPTHS = [-40, -20, -10, -5, -2, -0.5, 0]  # nats below the maximum, and the shades between them
_BLUES = ["#ffffff", "#f2f7fc", "#deebf7", "#c6dbef", "#a9cfe8", "#84bcdb", "#5fa6d1"]


def pictures() -> list[Picture]:
    """The four pictures, in the order of reading, to be made within `house_style`."""
    return [_die(), _iq(), _central_limit_of_dice(), _likelihood()]


def _die() -> Picture:
    """Two dice, and the optimal discriminator between them."""
    figure, (left, right) = panel_row(1, 1)
    faces, best = np.array(FACES), optimal_discriminator(FAIR, LOADED)
    label_bars(left, bars(left, faces - 0.2, FAIR.probabilities, 0.4, DATA, "fair: p_data"), ["1/6"] * 6)
    drawn = bars(left, faces + 0.2, LOADED.probabilities, 0.4, GENERATED, "loaded: p_g")
    label_bars(left, drawn, [f"{p:.1f}" for p in LOADED.probabilities])
    label_axes(left, "Two dice", "face x", "probability P(x)")
    left.set_ylim(0, 0.58)
    left.legend(loc="upper left", fontsize=9)
    label_bars(right, bars(right, faces, best, 0.6, BEST), [f"{d:.3f}" for d in best])
    value_line(right, 0.5)
    label(right, 5.45, 0.52, "½: cannot tell", INK, va="bottom")
    right.set_xlim(0.4, 7.2)
    right.set_xticks(faces)
    label_axes(right, "The best discriminator", "face x", "D*(x), probability of “fair”")
    right.set_ylim(0, 1)
    caption = (
        f"The fair die gives every face 1/6; the loaded one gives 6 with probability "
        f"{LOADED.probability(die=6):.2f} and each other face {LOADED.probability(die=1):.2f}. Shown one throw, the "
        f"best discriminator believes “fair” with probability {best[0]:.3f} at 1 to 5 and {best[5]:.3f} at 6. The two "
        f"are JSD = {jsd(FAIR, LOADED):.4f} nats apart, of at most log 2 = {math.log(2):.4f}, so its best value is "
        f"{signed(criterion(FAIR, LOADED), 4)} nats (Proposition 1)."
    )
    formula = "D*(x) = p_data(x) / (p_data(x) + p_g(x))"
    return Picture("die", "A die, a loaded die, and who can tell", formula, caption, figure)


def _iq() -> Picture:
    """A density: an area is a probability, and the mean of −log p is the entropy."""
    figure, (left, right) = panel_row(1.25, 1)
    x = torch.linspace(20, 180, 321, dtype=torch.float64)
    density, surprise = log_density(_IQ, x).exp().numpy(), -log_density(_IQ, x).numpy()
    share = quadrature(lambda t: log_density(_IQ, t).exp(), 148, math.inf).value
    h = float(entropy(_IQ))
    left.plot(x, density, color=COLOURS[0], linewidth=1.9)
    tail = x.numpy() >= 148
    left.fill_between(x[tail], density[tail], color=COLOURS[1], alpha=0.75, linewidth=0)
    left.annotate(
        f"P(x > 148)\n= {share:.5f}", (154, 0.0007), (150, 0.0045), color=COLOURS[1], fontsize=9,
        arrowprops={"arrowstyle": "-", "color": COLOURS[1], "linewidth": 0.8},
    )  # fmt: skip
    label_axes(left, "The area is the probability", "IQ x, points", "density p(x), per point")
    left.set_ylim(0, 0.0185)
    left.set_yticks([0, 0.005, 0.01, 0.015], ["0", "0.005", "0.010", "0.015"])
    right.plot(x, surprise, color=COLOURS[0], linewidth=1.9)
    value_line(right, h)
    marked_point(right, 76, h, INK)
    marked_point(right, 124, h, INK)
    label(right, 100, h + 1.3, f"dashed: its mean,\n{h:.3f} nats", INK, ha="center")
    label_axes(right, "The entropy is the mean surprise", "IQ x, points", "−log p(x), nats")
    right.set_ylim(3.8, 8.2)
    right.set_yticks([4, 5, 6, 7, 8])
    for axes in (left, right):
        axes.set_xticks([28, 52, 76, 100, 124, 148, 172])
    caption = (
        f"Left, the density of N(100, 24²): its height is no probability, its area is, and {share:.5f} of it lies "
        f"above 148, two standard deviations up (by quadrature). Right, the surprise −log p(x): under p it is "
        f"{h:.3f} nats on average, the differential entropy, and exactly that at 76 and 124, one standard deviation "
        "from the mean."
    )
    formula = "p(x) = N(x; 100, 24²),   H = −∫ p(x)·log p(x) dx = log(24·√(2πe))"
    return Picture("iq", "A density: area is probability", formula, caption, figure)


def _central_limit_of_dice() -> Picture:
    """The mean of n dice against the normal curve."""
    figure, panels = panel_row(1, 1, 1, 1)
    limits = [central_limit(FAIR, n) for n in _DICE]
    for axes, limit in zip(panels, limits, strict=True):
        _plot_limit(axes, limit)
    panels[0].set_ylabel("density, per standard deviation", fontsize=9)
    label(panels[0], 0.85, 0.36, "N(0, 1)", INK)
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    distances = listing([f"{limit.distance:.4f}" for limit in limits])
    bounds = listing([f"{limit.bound:.4f}" for limit in limits])
    caption = (
        f"The mean of n = {listing([str(n) for n in _DICE])} fair dice, counted exactly and standardised, against "
        f"N(0, 1) (the curve). The largest distance between the two distribution functions is {distances}; Berry and "
        f"Esseen promise at most {bounds}. Both shrink about like 1/√n, and only one die is flat."
    )
    formula = "z = (x̄ − μ)·√n / σ → N(0, 1),   max |Fₙ − Φ| ≤ 0.4748·E|x − μ|³ / (σ³·√n)"
    return Picture("central-limit", "The central limit theorem, with dice", formula, caption, figure)


def _plot_limit(axes: Axes, limit: CentralLimit) -> None:
    step = limit.z[1] - limit.z[0]
    gap = 0.6 if limit.n < 10 else 0.0
    axes.bar(limit.z, limit.probabilities / step, step, color=COLOURS[5], edgecolor="white", linewidth=gap)
    z = np.linspace(-3.6, 3.6, 181)
    axes.plot(z, stats.norm.pdf(z), color=INK, linewidth=1.4)
    dice = "1 die" if limit.n == 1 else f"{limit.n} dice"
    label_axes(axes, dice, "standardised mean z", "")
    words = f"cdf distance {limit.distance:.4f}\nbound {limit.bound:.4f}"
    axes.text(0.04, 0.97, words, transform=axes.transAxes, va="top", fontsize=9, color=MUTED, linespacing=1.3)
    axes.set_xlim(-3.6, 3.6)
    axes.set_ylim(0, 0.56)
    axes.set_xticks([-3, 0, 3], ["−3", "0", "3"])


def _likelihood() -> Picture:
    """The log-likelihood over (μ, σ), and why it is a sum of logs."""
    figure, (left, right) = panel_row(1, 1.15)
    x = np.random.default_rng(0).normal(100, 24, 250).round()
    people = x[:_PEOPLE]
    fit = fit_gaussian(people)
    mean, sigma, top = float(fit.mean), float(fit.stddev), log_likelihood(fit, people)
    means, sigmas = np.linspace(mean - 16, mean + 16, 81), np.linspace(sigma - 9, sigma + 13, 89)
    surface = log_likelihood_surface(Normal, people, loc=means, scale=sigmas).T
    shades = left.contourf(means, sigmas, surface - top, _DEPTHS, colors=_BLUES, extend="min")
    bar = figure.colorbar(shades, ax=left, pad=0.02)
    bar.set_label("ℓ − its maximum, nats", fontsize=9)
    bar.ax.tick_params(length=0, labelsize=8)
    bar.outline.set_visible(False)
    marked_point(left, mean, sigma, GENERATED)
    label(left, mean, sigma + 1.2, f"({mean:.2f}, {sigma:.2f})", INK, ha="center", va="bottom")
    left.grid(visible=False)
    label_axes(
        left, f"ℓ(μ, σ) of {len(people)} people", "mean μ, IQ points", "standard deviation σ, IQ points"
    )
    gone = _plot_underflow(right, fit, x)
    caption = (
        f"Left, the log-likelihood of {len(people)} IQs sampled from N(100, 24²) with a random seed: it is highest, "
        f"{signed(top, 2)} nats, at the data's own mean {mean:.2f} and standard deviation {sigma:.2f} (divided by n), "
        f"the dot. Right, the same fit and {len(x)} people: multiplied out, the likelihood is exactly 0 in floating "
        f"point from person {gone} on, while the sum of logs goes on."
    )
    formula = "ℓ(μ, σ) = log Πᵢ N(xᵢ; μ, σ²) = Σᵢ log N(xᵢ; μ, σ²)"
    return Picture("likelihood", "Maximum likelihood, and why in logs", formula, caption, figure)


def _plot_underflow(axes: Axes, fit: Normal, x: np.ndarray) -> int:
    found = underflow(fit, x)
    gone = found.vanishes_at or len(x)
    n = np.arange(1, len(x) + 1)
    axes.plot(n, found.sums, color=COLOURS[0], linewidth=1.6, label="sum of logs")
    axes.plot(
        n[: gone - 1], np.log(found.products[: gone - 1]), color=COLOURS[1], linewidth=4, alpha=0.55,
        solid_capstyle="butt", label="log of the product",
    )  # fmt: skip
    smallest = math.log(math.ulp(0.0))
    axes.axhline(smallest, color=INK, linewidth=1.0, linestyle=DASHES)
    label(axes, 2, smallest - 20, "4.9e−324: smallest float64", INK, va="top")
    marked_point(axes, n[gone - 2], np.log(found.products[gone - 2]), COLOURS[1])
    label(axes, gone + 4, smallest + 130, f"the product is 0\nfrom person {gone} on", COLOURS[1])
    axes.set_xlim(-6, 275)
    axes.legend(loc="upper right", fontsize=9)
    label_axes(axes, "Product and sum", "people n", "log-likelihood ℓ, nats")
    axes.yaxis.set_major_formatter(lambda tick, _: signed(tick, 0))
    return gone
