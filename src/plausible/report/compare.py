"""A comparison on one page, and its tables, which the terminal shows too.

Figures that do not compare share no table: each view of the data has its own, and so has each kind of density.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plausible.formatting import format_duration, format_measurement
from plausible.plotting import COLOURS, escaped, house_style, new_figure, style_axes, to_svg
from plausible.report.page import PageImage, render_page
from plausible.report.picture_files import read_png
from plausible.runs import MetricRecord, write_whole
from plausible.runs.comparison import Compared, Comparison

__all__ = ["Cell", "ComparisonTable", "comparison_tables", "write_comparison"]

MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class Cell:
    """One figure: its value and its interval in words, and whether it is the best or not told apart from it."""

    value: str
    interval: str = ""
    leads: bool = False


@dataclass(frozen=True)
class ComparisonTable:
    """Figures that compare.

    Attributes:
        section: generate, density, anomalies or represent.
        title: above it.
        columns: (name, unit, "↑ higher", "↓ lower" or "") of each.
        rows: (name, what it is in a word, cells).
        notes: beneath it.
    """

    section: str
    title: str
    columns: Sequence[tuple[str, str, str]]
    rows: Sequence[tuple[str, str, Sequence[Cell]]]
    notes: Sequence[str]


def comparison_tables(comparison: Comparison) -> list[ComparisonTable]:
    """All tables, in the order of the page."""
    done = [each for each in comparison.results if not each.failed]
    views = list(dict.fromkeys(each.view for each in done))
    found = []
    for section in ("generate", "density", "anomalies", "represent"):
        for view in views:
            here = [each for each in done if each.view == view and getattr(each, section)]
            groups = _by_density(here) if section == "density" else [("", here)] if here else []
            for words, group in groups:
                title = f"{view}: {words}" if words else view
                found.append(_table(section, title, group))
    return found


def _by_density(results: Sequence[Compared]) -> list[tuple[str, list[Compared]]]:
    kinds = dict.fromkeys((each.density_kind, each.density_of) for each in results)
    return [
        (
            f"log p(x), {kind}, {of}",
            [each for each in results if (each.density_kind, each.density_of) == (kind, of)],
        )
        for kind, of in kinds
    ]


def _table(section: str, title: str, results: Sequence[Compared]) -> ComparisonTable:
    first: dict[str, MetricRecord] = {}
    figures = [{figure.name: figure for figure in getattr(each, section)} for each in results]
    for own in figures:
        for name, figure in own.items():
            first.setdefault(name, figure)
    leaders = {name: _leaders([own.get(name) for own in figures]) for name in first}
    rows = [
        (each.name, _beside(each, section), [_cell(own.get(name), i in leaders[name]) for name in first])
        for i, (each, own) in enumerate(zip(results, figures, strict=True))
    ]
    floors = {name: [own[name].floor for own in figures if name in own] for name in first}
    if any(floor is not None for each in floors.values() for floor in each):
        known = {
            name: next((floor for floor in each if floor is not None), None) for name, each in floors.items()
        }
        rows.append(
            (
                "real rows",
                "against other real rows",
                [Cell(format_measurement(known[name])) for name in first],
            )
        )
    columns = [
        (name, figure.unit, {True: "↑ higher", False: "↓ lower", None: ""}[figure.higher_is_better])
        for name, figure in first.items()
    ]
    notes = list(dict.fromkeys(figure.note for own in figures for figure in own.values() if figure.note))
    return ComparisonTable(section, title, columns, rows, notes)


def _beside(each: Compared, section: str) -> str:
    """What stands beneath a name: by what it scores or represents, else what it is."""
    words = {"anomalies": each.score, "represent": each.representation}.get(section, "")
    return words or ("baseline" if each.kind == "baseline" else "")


def _cell(figure: MetricRecord | None, leads: bool) -> Cell:
    if figure is None:
        return Cell("–")
    interval = ""
    if figure.interval is not None:
        low, high = (format_measurement(end) for end in figure.interval)
        interval = f"{low} to {high}"
    return Cell(format_measurement(figure.value), interval, leads)


def _leaders(figures: Sequence[MetricRecord | None]) -> set[int]:
    """The places of the best figure, and of those whose intervals overlap with its; none without a direction."""
    known = {
        i: figure.capped()
        for i, figure in enumerate(figures)
        if figure is not None and figure.value is not None and np.isfinite(figure.value)
    }
    if len(known) < 2 or any(figure.higher_is_better is None for figure in known.values()):
        return set()
    sign = {i: 1 if figure.higher_is_better else -1 for i, figure in known.items()}
    best = max(known, key=lambda i: sign[i] * (known[i].value or 0.0))
    return {i for i, figure in known.items() if i == best or _overlap(figure, known[best])}


def _overlap(a: MetricRecord, b: MetricRecord) -> bool:
    if a.interval is None or b.interval is None:
        return a.value == b.value
    return a.interval[0] <= b.interval[1] and b.interval[0] <= a.interval[1]


# ------------------------------------------------------------------ the page
def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write the comparison's report.html, whole or not at all, and return its path.

    Raises:
        PlausibleError: it could not be written.
    """
    plan, results = comparison.plan, comparison.results
    contenders = [each for each in results if each.kind != "baseline"]
    tables = comparison_tables(comparison)
    page: dict[str, Any] = {
        "title": f"{', '.join(each.name for each in contenders)} on {plan.data}",
        "names": [each.name for each in contenders],
        "data": plan.data,
        "facts": _facts(comparison),
        "advice": [
            (view, [each for each in comparison.advice if each.view == view])
            for view in dict.fromkeys(each.view for each in comparison.advice)
        ],
        "samples": _samples(folder, comparison),
        "tables": {
            section: [table for table in tables if table.section == section]
            for section in ("generate", "density", "anomalies", "represent")
        },
        "curves": _curves(results),
        "without_curve": [each.name for each in contenders if not each.curve],
        "trained": [_trained(each) for each in results],
        "missing": [(each.name, each.view, words) for each in results for words in each.missing],
        "written": f"Written by plausible {comparison.plausible} from {folder.resolve().name}.",
    }
    return write_whole(folder / "report.html", render_page("compare.html", page))


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    plan = comparison.plan
    rows = f"{comparison.train:,} / {comparison.valid:,} / {comparison.test:,}"
    budget = f"{plan.core_minutes:g} min"
    return [
        ("processor time each", budget),
        ("rows: train / valid / test", rows),
        ("views of the data", str(len({each.view for each in comparison.results}))),
        ("random seed", str(plan.seed)),
    ]


def _samples(folder: Path, comparison: Comparison) -> list[tuple[str, list[PageImage]]]:
    """Of each view: real rows, then the samples of everything that generates."""
    found = []
    for view in dict.fromkeys(each.view for each in comparison.results):
        files = [("real rows (valid)", comparison.pictures.get(view))]
        files += [(each.name, each.picture) for each in comparison.results if each.view == view]
        images = [image for name, file in files if file and (image := _image(folder, file, name)) is not None]
        found.append((view, images))
    return found


def _image(folder: Path, file: str, name: str) -> PageImage | None:
    path = folder / file
    read = read_png(path) if path.resolve().is_relative_to(folder.resolve()) else None
    if read is None:
        return None
    return PageImage(read.content, f"{name}: {read.description or 'samples'}", title=name)


def _trained(each: Compared) -> dict[str, str]:
    return {
        "name": each.name,
        "kind": each.kind,
        "view": each.view,
        "about": each.failed or each.about,
        "failed": "yes" if each.failed else "",
        "time": "–" if each.cpu_seconds is None else format_duration(each.cpu_seconds),
        "epochs": "–" if each.epochs is None else f"{each.epochs:,.1f}",
        "tick": "–" if each.tick is None else f"{each.tick:,}",
    }


def _curves(results: Sequence[Compared]) -> list[PageImage]:
    """One plot for each thing that checkpoints are judged by, on each view."""
    drawn = [each for each in results if each.curve]
    kinds = dict.fromkeys((each.view, each.judged_by, each.density_of) for each in drawn)
    return [
        _curve(kind, [each for each in drawn if (each.view, each.judged_by, each.density_of) == kind])
        for kind in kinds
    ]


def _curve(kind: tuple[str, str, str], results: Sequence[Compared]) -> PageImage:
    view, judged_by, of = kind
    with house_style():
        figure = new_figure(5.4, 3.2)
        axes = figure.add_subplot()
        style_axes(axes)
        for number, each in enumerate(results):
            seconds, values = np.array(each.curve).T
            axes.plot(
                seconds / 60,
                values,
                f"{MARKERS[number % len(MARKERS)]}-",
                color=COLOURS[number % len(COLOURS)],
                markersize=4,
                linewidth=1.6,
                label=escaped(each.name),
            )
        axes.set_xlabel("processor time, minutes")
        axes.set_xlim(left=0)
        figure.legend(loc="outside lower left", ncols=3, fontsize=9)
    said = "; ".join(
        f"{each.name} from {each.curve[0][1]:.4g} to {each.curve[-1][1]:.4g} at {each.curve[-1][0] / 60:.2f} minutes"
        for each in results
    )
    title = f"{view}: {judged_by}"
    return PageImage(to_svg(figure), f"{title}: {said}.", title, of and f"log p(x) of {of}.", "svg+xml")
