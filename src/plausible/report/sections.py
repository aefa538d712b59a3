"""The sections of a report, and the one table of those there are.

A section is a function of a `Reported` run that returns the variables of its template, or None where it has nothing to
say. A model or a metric of your own adds one in the same way:

    @section("weights", "Weights", template="figures.html")
    def weights(run):
        return {"lead": "", "figures": [PageImage(png, "alt text", "title", "caption")]}
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from plausible.errors import PlausibleError
from plausible.formatting import flatten
from plausible.plotting import to_svg
from plausible.report.captions import verdict
from plausible.report.curves import describe, judgement_panels, panels, plot_panel, ticks_an_epoch
from plausible.report.header import title_of, weights_of
from plausible.report.images import frames, tick_of
from plausible.report.metrics import metrics_context
from plausible.report.page import PageImage
from plausible.report.picture_files import newest_pictures, picture_folders, read_png
from plausible.runs import Config, Evaluation, RunFolder

__all__ = ["SECTIONS", "Reported", "Section", "section"]


@dataclass(frozen=True)
class Reported:
    """The run that is reported: its folder; its configuration and its events, read once."""

    folder: RunFolder

    @cached_property
    def config(self) -> Config:
        """The run's configuration."""
        return self.folder.config()

    @cached_property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """The run's event log."""
        return self.folder.events()

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The run's evaluation; None where there is none, or none that can be read."""
        try:
            return self.folder.evaluation()
        except PlausibleError:
            return None  # the section on metrics says why


Context = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Section:
    """A registered section; see `section` for the attributes."""

    name: str
    title: str
    context: Callable[[Reported], Context | None]
    template: str


SECTIONS: dict[str, Section] = {}
"""Name → section, in the order in which they stand."""


def section(
    name: str, title: str, *, template: str
) -> Callable[[Callable[[Reported], Context | None]], Callable[[Reported], Context | None]]:
    """Register a section: a decorator of a function of a `Reported` run that returns its template's variables, or None.

    Args:
        name: its anchor. A registered name is replaced.
        title: its heading.
        template: a file in `report/templates/`, such as figures.html; or the jinja2 template itself.
    """

    def register(context: Callable[[Reported], Context | None]) -> Callable[[Reported], Context | None]:
        SECTIONS[name] = Section(name, title, context, template)
        return context

    return register


@section("judged", "Told apart?", template="figures.html")
def judged(run: Reported) -> Context | None:
    """What the judgements on the validation rows showed, along the training."""
    found = judgement_panels(run.events)
    if not found:
        return None
    ratio = ticks_an_epoch(run.events)
    images = (
        PageImage(to_svg(plot_panel(panel, ratio)), describe(panel), panel.title, panel.note, "svg+xml")
        for panel in found
    )
    return {"lead": verdict(run.evaluation, run.events), "figures": list(images)}


@section("samples", "Samples", template="samples.html")
def samples(run: Reported) -> Context:
    """The last picture of samples, and how they changed."""
    paths = _sample_paths(run)
    read = next(((path, found) for path in reversed(paths) if (found := read_png(path)) is not None), None)
    command = f"plausible sample {run.folder.path} --out samples.png"
    if read is None:
        return {"last": None, "command": command}
    path, found = read
    alt = f"Samples of {title_of(run.config)} at tick {tick_of(path)}: {found.description or 'a picture'}."
    caption = f"{found.description}." if found.description else ""
    earlier = _earlier_samples(paths[: paths.index(path) + 1])
    return {
        "last": PageImage(found.content, alt, caption=caption, width=found.width),
        "tick": tick_of(path),
        "weights": weights_of(run.config),
        "earlier": earlier,
        "which": "all"
        if len(earlier) == paths.index(path) + 1
        else f"{len(earlier)} of {paths.index(path) + 1:,}",
        "command": command,
    }


@section("pictures", "Inside the model", template="pictures.html")
def pictures(run: Reported) -> Context | None:
    """The pictures in RUN/pictures/TICK/, each with what it says of itself; unknown ones under their file names."""
    folder, found = newest_pictures(run.folder)
    if folder is None:
        ended = run.folder.stopped() is not None or not run.events
        return None if ended else {"groups": [], "command": f"plausible evaluate {run.folder.path}"}
    others = [f"pictures/{path.name}" for path in picture_folders(run.folder) if path != folder]
    return {
        "command": "",
        "tick": f"{int(folder.name):,}",
        "weights": weights_of(run.config),
        "data": run.config.data.spec or "its data",
        "others": ", ".join(others),
        "groups": [
            group
            for beside, each in groupby(found, lambda picture: picture.beside)
            for group in ([[it.on_page() for it in each]] if beside else [[it.on_page()] for it in each])
        ],
    }


@section("training", "Training", template="training.html")
def training(run: Reported) -> Context:
    """The curves of the event log."""
    ratio = ticks_an_epoch(run.events)
    curves = [
        PageImage(to_svg(plot_panel(panel, ratio)), describe(panel), panel.title, panel.note, "svg+xml")
        for panel in panels(run.events, run.config.options_at().get("objective"), run.evaluation)
    ]
    return {"curves": curves, "command": f"plausible resume {run.folder.path}"}


@section("metrics", "Metrics", template="metrics.html")
def metrics(run: Reported) -> Context:
    """The metrics of evaluation.json."""
    nothing = {"tables": [], "shown": [], "command": f"plausible evaluate {run.folder.path}"}
    try:
        evaluation = run.folder.evaluation()
    except PlausibleError as error:
        return nothing | {"reason": f"evaluation.json cannot be used ({error}); make it anew:"}
    if evaluation is None:
        return nothing | {"reason": "Not evaluated yet:"}
    if not evaluation.metrics:
        return nothing | {"reason": "evaluation.json holds no metrics; make it anew:"}
    return nothing | {"reason": ""} | metrics_context(evaluation)


@section("configuration", "Configuration", template="configuration.html")
def configuration(run: Reported) -> Context:
    """Everything in config.json."""
    stored = run.config.as_json()
    names = ("model", "data", "schema", "training", "versions")
    tables = [(name.capitalize(), flatten(stored.pop(name))) for name in names]
    return {"tables": [*tables, ("Run", flatten(stored))]}


def _sample_paths(run: Reported) -> list[Path]:
    """The sample pictures that count, oldest first: those logged, inside the run's folder, and still there."""
    logged = [str(event.get("file", "")) for event in run.events if event["event"] == "samples"]
    paths = [run.folder.path / name for name in dict.fromkeys(logged)]
    if not logged and run.folder.samples_dir.is_dir():
        paths = sorted(run.folder.samples_dir.glob("*.png"))
    home = run.folder.path.resolve()
    return [path for path in paths if path.is_file() and path.resolve().is_relative_to(home)]


def _earlier_samples(paths: Sequence[Path]) -> list[tuple[str, PageImage]]:
    """(tick, small picture) of at most eight pictures along the training; none where there is only one."""
    shown = frames(paths)
    found = []
    for path, small in shown if len(shown) > 1 else []:
        buffer = io.BytesIO()
        small.save(buffer, "PNG", optimize=True)
        found.append(
            (tick_of(path), PageImage(buffer.getvalue(), f"The same samples at tick {tick_of(path)}"))
        )
    return found
