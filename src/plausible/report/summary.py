"""A run in a line, and in a notebook: what it is, how far it got, samples, curves, metrics."""

from __future__ import annotations

from typing import Any

from plausible.errors import PlausibleError
from plausible.formatting import format_measurement
from plausible.plotting import to_svg
from plausible.report.curves import describe, panels, plot_panel, ticks_an_epoch
from plausible.report.page import PageImage, render
from plausible.report.picture_files import read_png
from plausible.runs import Evaluation, RunFolder

__all__ = ["in_words", "summary"]

CURVES = 2
WIDTH = 360

_ENDINGS = {
    "finished": "finished",
    "minutes": "finished",
    "core-minutes": "finished",
    "patience": "stopped early",
    "SIGINT": "stopped by Ctrl-C",
    "SIGTERM": "stopped by SIGTERM",
    "SIGHUP": "stopped by SIGHUP",
    "diverged": "diverged",
    "error": "failed",
}


def in_words(run: RunFolder) -> str:
    """ "runs/vae-digits-0: vae on digits, tick 660, finished"."""
    config, events = run.config(), run.events()
    tick = max((event.get("tick", 0) for event in events), default=0)
    stop = run.stopped()
    how = _ENDINGS.get(stop["reason"], stop["reason"]) if stop else "not stopped"
    return f"{run.path}: {config.model_words} on {config.data.spec}, tick {tick:,}, {how}"


def summary(run: RunFolder) -> str:
    """The run as HTML, nothing of it from outside."""
    try:
        evaluation, reason = run.evaluation(), ""
    except PlausibleError as error:
        evaluation, reason = None, str(error)
    context = {"line": in_words(run), "samples": _samples(run), "curves": _curves(run, evaluation)}
    return render("summary.html", context | _results(evaluation) | {"reason": reason})


def _samples(run: RunFolder) -> PageImage | None:
    for path in sorted(run.samples_dir.glob("*.png"), reverse=True):
        found = read_png(path)
        if found is not None:
            return PageImage(found.content, found.description, width=min(found.width, WIDTH))
    return None


def _curves(run: RunFolder, evaluation: Evaluation | None) -> list[PageImage]:
    events = run.events()
    ratio = ticks_an_epoch(events)
    return [
        PageImage(to_svg(plot_panel(panel, ratio)), describe(panel), kind="svg+xml", width=WIDTH)
        for panel in panels(events, run.config().options_at().get("objective"), evaluation)[:CURVES]
    ]


def _results(found: Evaluation | None) -> dict[str, Any]:
    if found is None:
        return {"results": [], "caption": ""}
    results = [
        (metric.name, f"{format_measurement(metric.value, metric.spread)} {metric.unit}".strip())
        for metric in found.metrics
    ]
    return {"results": results, "caption": f"{found.data}, {found.split} split"}
