"""Distributions of scores side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from plausible.plotting import COLOURS, REAL, house_style, new_figure, style_axes

__all__ = ["plot_scores"]

BINS = 40
LOOKS = ((REAL, "stepfilled"), (COLOURS[0], "step"), (COLOURS[1], "step"))


def plot_scores(scores: Mapping[str, np.ndarray], quantity: str) -> Figure:
    """Up to three sets of scores, (n,) each, as histograms of one scale, each of area 1: the first filled.

    Args:
        scores: name → finite scores.
        quantity: what they are, below the axis.
    """
    everything = np.concatenate(list(scores.values()))
    low, high = float(everything.min()), float(everything.max())
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1).tolist()
    with house_style():
        figure = new_figure(7.2, 3.2)
        axes = figure.add_subplot()
        style_axes(axes)
        axes.set_yticks([])
        for (name, values), (colour, kind) in zip(scores.items(), LOOKS, strict=False):
            axes.hist(
                values, edges, density=True, color=colour, histtype=kind, alpha=0.55 if kind == "stepfilled" else 1.0,
                linewidth=1.6, label=name,
            )  # fmt: skip
        axes.set_xlabel(quantity)
        figure.legend(loc="outside lower left", ncols=3, fontsize=9)
    return figure
