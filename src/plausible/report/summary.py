"""A run in a line, and in a notebook: what it is, how far it got, samples, curves, figures."""

from __future__ import annotations

from plausible.errors import PlausibleError
from plausible.formatting import format_measurement
from plausible.plotting import to_svg
from plausible.report import markup
from plausible.report.code_section import read_png
from plausible.report.figures import describe, draw, panels, ticks_an_epoch
from plausible.report.markup import text
from plausible.runs import RunFolder
from plausible.runs.records import MetricRecord

__all__ = ["in_words", "summary"]

CURVES = 2
WIDTH = 360

_ENDINGS = {
    "finished": "finished",
    "minutes": "finished",
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
    return f"{run.path}: {config.model.name} on {config.data.spec}, tick {tick:,}, {how}"


def summary(run: RunFolder) -> str:
    """The run as HTML, nothing of it from outside."""
    parts = [f"<p><b>{text(in_words(run))}</b></p>", _samples(run), _curves(run), _figures(run)]
    return f'<div style="font-family:sans-serif">{"".join(filter(None, parts))}</div>'


def _samples(run: RunFolder) -> str:
    for path in sorted(run.samples_dir.glob("*.png"), reverse=True):
        found = read_png(path)
        if found is not None:
            content, described, width = found
            return f"<figure>{markup.image(content, described, width=min(width, WIDTH))}</figure>"
    return ""


def _curves(run: RunFolder) -> str:
    events = run.events()
    ratio = ticks_an_epoch(events)
    drawn = [
        markup.image(to_svg(draw(panel, ratio)), describe(panel), "svg+xml", width=WIDTH)
        for panel in panels(events)[:CURVES]
    ]
    return f"<div>{''.join(drawn)}</div>" if drawn else ""


def _figures(run: RunFolder) -> str:
    try:
        found = run.evaluation()
    except PlausibleError as error:
        return f"<p>{text(str(error))}</p>"
    if found is None:
        return ""
    rows = "".join(
        f"<tr><td>{text(metric.name)}</td><td>{_value(metric)}</td></tr>" for metric in found.metrics
    )
    return f"<table><caption>{text(found.data)}, {text(found.split)} split</caption>{rows}</table>"


def _value(metric: MetricRecord) -> str:
    return text(f"{format_measurement(metric.value, metric.spread)} {metric.unit}".strip())
