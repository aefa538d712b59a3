"""The ladder: estimates of log p(x) on the same test rows, from the loosest bound to the integral; Parzen set apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from plausible.capabilities import Bound, JointDensity, require, supports
from plausible.formatting import format_measurement, format_number
from plausible.game import GenerativeModel
from plausible.metrics.annealing import ais
from plausible.metrics.importance import Scores, importance_bound
from plausible.metrics.likelihood import MANY, OVER_ROWS, SEED, bounds_log_prob, first_rows
from plausible.metrics.parzen import parzen, parzen_rows
from plausible.metrics.quadrature import exact_log_prob
from plausible.metrics.registry import Result, Shown, Subject, metric
from plausible.plotting import COLOURS, INK, MUTED, RULE, escaped, house_style, new_figure, style_axes

__all__ = ["measure_ladder", "plot_ladder", "show_ladder"]

ROWS = 100
IMPORTANCE_SAMPLES = (1, 50, MANY)
CHAINS = 16
TEMPERATURES = 1000
PARZEN = "Parzen"
"""The one result that is no estimate of the model's log p(x)."""

ABOUT_BOUNDS = "Triangles: lower bounds in expectation, log p(x) lies to their right. "
ABOUT_EXACT = "Square: log p(x) itself, by quadrature. "
ABOUT_BARS = (
    "Bars: one standard error over the rows. All estimates use the same rows, so differences between them are known "
    "better than the bars suggest. "
)
ABOUT_PARZEN = (
    "Diamond, set apart: Parzen, the log-density of the same rows under Gaussians around samples of the model. It "
    "estimates nothing that the others do: it may lie above log p(x) or below, and move against it (Theis et al. "
    "2016). Where the others are probabilities (of binary values, of grey levels) and it is a density, not even the "
    "unit is the same."
)


# ------------------------------------------------------------------ how it is shown
def show_ladder(results: Sequence[Result]) -> Shown:
    """A plot of the estimates, their table, and Parzen in a table of its own."""
    estimates = [each for each in results if each.name != PARZEN]
    apart = [each for each in results if each.name == PARZEN]
    title = "How likely the test rows are"
    rows = [each.details.get("rows") for each in results]
    if isinstance(rows[0], int) and rows.count(rows[0]) == len(rows):
        title += f": the same {rows[0]:,}, by each estimate"
    tables = [("Estimates of log p(x).", estimates)]
    if apart:
        tables.append(("No estimate of log p(x), and not comparable with those above.", apart))
    plotted = [each for each in (*estimates, *apart) if _is_finite(each)]
    if all(each.name == PARZEN for each in plotted):
        return Shown(title, tables)
    values = "; ".join(f"{each.name} {format_measurement(each.value, each.spread)} nats" for each in plotted)
    with_parzen = any(each.name == PARZEN for each in plotted)
    return Shown(
        title,
        tables,
        plot_ladder(plotted),
        f"Estimates of log p(x) on one axis: {values}." + (" Parzen is set apart." if with_parzen else ""),
        ABOUT_BOUNDS
        + (ABOUT_EXACT if any(each.name == "exact" for each in plotted) else "")
        + ABOUT_BARS
        + (ABOUT_PARZEN if with_parzen else ""),
    )


def plot_ladder(results: Sequence[Result]) -> Figure:
    """One row for each estimate: on the left an axis scaled to the estimates, on the right one that Parzen fits in."""
    apart = any(each.name == PARZEN for each in results)
    with house_style():
        figure = new_figure(9.6 if apart else 6.4, 1.3 + 0.34 * len(results))
        panels = figure.subplots(1, 2 if apart else 1, sharey=True, squeeze=False)[0]
        for axes, whole in zip(panels, (False, True), strict=False):
            _plot_rows(axes, results, whole)
        names = [escaped(each.name) + (" (another kind)" if each.name == PARZEN else "") for each in results]
        panels[0].set_yticks(range(len(results)), names)
        panels[0].set_ylim(len(results) - 0.4, -0.6)
        panels[0].set_title("log p(x) of the model", fontsize=10, loc="left")
        if apart:
            panels[1].set_title("the same axis, wide enough for Parzen", fontsize=10, loc="left")
    return figure


def _plot_rows(axes: Axes, results: Sequence[Result], whole: bool) -> None:
    """One panel; unless `whole`, its limits are those of the estimates without Parzen."""
    style_axes(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("nats per example")
    low, high = _limits([each for each in results if whole or each.name != PARZEN])
    axes.set_xlim(low, high)
    for row, each in enumerate(results):
        apart = each.name == PARZEN
        if apart:
            axes.axhspan(row - 0.5, row + 0.5, color=RULE, alpha=0.6, linewidth=0)
        if not low <= each.value <= high:
            right = each.value > high
            axes.annotate(
                f"{format_number(float(f'{each.value:.4g}'))}: another kind of number, off this axis",
                (0.98 if right else 0.02, row), xycoords=("axes fraction", "data"), fontsize=8.5, color=MUTED,
                ha="right" if right else "left", va="center",
            )  # fmt: skip
            continue
        mark = "D" if apart else "s" if each.name == "exact" else ">"
        colour = COLOURS[1] if apart else INK if each.name == "exact" else COLOURS[0]
        axes.errorbar(
            each.value, row, xerr=_spread(each), fmt=mark, color=colour, markersize=7, capsize=3, elinewidth=1.3,
            markerfacecolor="white" if apart else colour,
        )  # fmt: skip


def _limits(results: Sequence[Result]) -> tuple[float, float]:
    ends = [each.value + sign * (_spread(each) or 0.0) for each in results for sign in (-1, 1)]
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or max(1.0, 0.1 * abs(high))
    return low - margin, high + margin


def _spread(result: Result) -> float | None:
    spread = result.spread
    return spread if spread is not None and math.isfinite(spread) and spread >= 0 else None


def _is_finite(result: Result) -> bool:
    return result.value is not None and math.isfinite(result.value)


# ------------------------------------------------------------------ the metric
@metric("ladder", needs=(bounds_log_prob,), cost="minutes", show=show_ladder, reads=("valid", "test"))
def measure_ladder(subject: Subject) -> list[Result]:
    """Estimates of log p(x) on the same test rows, from the loosest bound to the integral, and Parzen beside them.

    Takes minutes: AIS needs rows · 16 chains · 1,000 temperatures · 10 gradients of the decoder.
    """
    model, x = cast(GenerativeModel, subject.model), first_rows(subject.data, ROWS)
    results = [_importance(require(model, Bound), x, k) for k in IMPORTANCE_SAMPLES]
    if supports(model, JointDensity):
        results.append(_annealed(model, x))
        if model.latent <= 2:
            results.append(_integrated(model, x))
    if subject.data.domain != "real":
        results.append(_parzen(subject, x))
    return results


def _importance(model: Bound, x: Tensor, k: int) -> Result:
    remark = "it is the ELBO" if k == 1 else "it rises with k"
    note = (
        f"IWAE-{k}: the importance-weighted bound, k = {k:,} samples of q(z|x) a row; below log p(x) in expectation; "
        f"{remark}."
    )
    return _estimate(f"IWAE-{k}", importance_bound(model, x, k, SEED), note, k=k)


def _annealed(model: JointDensity, x: Tensor) -> Result:
    note = (
        f"AIS: annealed importance sampling from prior to posterior, {CHAINS} chains, {TEMPERATURES:,} temperatures, "
        "Hamiltonian moves (Wu et al. 2017); below log p(x) in expectation. It does not use the encoder: where it lies "
        "above IWAE, the encoder is what limits IWAE; where below, the chains are too short."
    )
    bound = ais(model, x, CHAINS, TEMPERATURES, SEED)
    return _estimate("AIS", bound, note, chains=CHAINS, temperatures=TEMPERATURES)


def _integrated(model: JointDensity, x: Tensor) -> Result:
    exact = exact_log_prob(model, x)
    worst = float(exact.errors.max())
    note = (
        "exact: log p(x) by quadrature over the code; halving the step changed no row by more than "
        f"{worst:.1g} nats."
    )
    return _estimate("exact", exact, note, halving=worst)


def _parzen(subject: Subject, x: Tensor) -> Result:
    found = parzen(subject.samples, parzen_rows(subject.data), x)
    note = (
        f"Parzen: log-density of the same rows under Gaussians around {found.samples:,} samples (the GAN paper's "
        "protocol). It is no likelihood of this model and no bound of one: its distance to the other numbers says "
        "nothing about the model, and it may rank models differently (Theis et al. 2016)."
    )
    if subject.data.domain == "binary":
        note += (
            " On binary rows it is a density, the others are probabilities: not even the unit is the same."
        )
    details = {"rows": len(x), "sigma": found.sigma, "samples": found.samples, "valid": found.valid}
    return Result(PARZEN, found.mean, found.standard_error, OVER_ROWS, "nats", None, details, note)


def _estimate(name: str, scores: Scores, note: str, **details: float) -> Result:
    details = {"rows": scores.n, **details}
    return Result(name, scores.mean, scores.standard_error, OVER_ROWS, "nats", True, details, note)
