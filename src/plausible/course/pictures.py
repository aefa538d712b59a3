"""All pictures of the formulas on the page that `plausible theory` writes, in the order of reading."""

from __future__ import annotations

from plausible.course import probability_plots, theory_plots
from plausible.course.plotting import Picture
from plausible.plotting import house_style

__all__ = ["pictures"]


def pictures() -> list[Picture]:
    """Probability first, then the theory of GANs; the same pictures each time."""
    with house_style():
        return [*probability_plots.pictures(), *theory_plots.pictures()]
