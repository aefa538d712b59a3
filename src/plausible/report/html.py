"""A run on one page that opens anywhere, offline: `report.html`.

Everything is inside the file: the pictures as data, the style, no script. A content security policy forbids it
to fetch anything. What the run has not got is said, with the command that would make it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plausible.errors import PlausibleError
from plausible.formatting import flatten, format_duration, format_number, format_value, number_of
from plausible.plotting import to_svg
from plausible.report import markup
from plausible.report.code_section import code_section, read_png
from plausible.report.figures import describe, draw, panels, ticks_an_epoch
from plausible.report.markup import text
from plausible.report.metrics import metrics_table
from plausible.report.page import page
from plausible.report.pictures import frames, tick_of
from plausible.runs import Config, RunFolder, write_whole

Events = Sequence[Mapping[str, Any]]


def write_report(run: RunFolder) -> Path:
    """Write the run's `report.html`, whole or not at all, and return its path.

    Raises:
        PlausibleError: there is no run there (no readable config.json), or the page could not be written.
    """
    config, events = run.config(), run.events()
    title = _title(config)
    body = "\n".join(
        (
            markup.section("samples", "Samples", _samples(run, config, events)),
            *filter(None, [code_section(run, config, _weights(config))]),
            markup.section("training", "Training", _curves(run, events)),
            markup.section("metrics", "Metrics", _metrics(run)),
            markup.section("configuration", "Configuration", _configuration(config)),
        )
    )
    written = f"Written by plausible {config.plausible} from {run.path.resolve().name}."
    content = page(f"{title} – plausible", _header(run, config, events), body, written)
    return write_whole(run.report_file, content)


# ---------------------------------------------------------------------- header
def _title(config: Config) -> str:
    return f"{config.model.name} on {config.data.spec}" if config.data.spec else config.model.name


def _header(run: RunFolder, config: Config, events: Events) -> str:
    spec = f" <span>on</span> {text(config.data.spec)}" if config.data.spec else ""
    about = [f"preset {config.model.preset}", f"shape {format_value(list(config.rows.shape))}"]
    about.append(f"{config.rows.domain} values")
    badge, tone, sentence, message = _status(run, events)
    note = f'\n<p class="message {tone}">{text(message)}</p>' if message else ""
    facts = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in _facts(events)
    )
    return f"""<header>
<p class="kind">plausible run</p>
<h1>{text(config.model.name)}{spec}</h1>
<p class="soft">{text(" · ".join(about))}</p>
<p class="status"><span class="badge {tone}">{text(badge)}</span> <span>{sentence}</span></p>{note}
<dl class="facts">{facts}</dl>
</header>"""


def _status(run: RunFolder, events: Events) -> tuple[str, str, str, str]:
    """How the run stands: a word, its tone, a sentence (HTML), and the message of what stopped it."""
    resume = f"<code>plausible resume {text(run.path)}</code>"
    if not events:
        return "not started", "warn", "nothing has been logged yet", ""
    last = next((event for event in reversed(events) if event["event"] in ("start", "stop")), {})
    if last.get("event") != "stop":
        return "not stopped", "warn", f"still training, or killed; if killed, continue with {resume}", ""
    message = str(last.get("message") or "")
    where = f" at tick {last['tick']:,}"
    endings = {
        "finished": ("finished", "good", f"all epochs played{where}"),
        "minutes": ("finished", "good", f"the minutes it was given were used up{where}; for more, {resume}"),
        "SIGINT": ("interrupted", "warn", f"stopped by hand (SIGINT){where}; continue with {resume}"),
        "SIGHUP": ("interrupted", "warn", f"its terminal was closed (SIGHUP){where}; continue with {resume}"),
        "SIGTERM": ("interrupted", "warn", f"stopped by the system (SIGTERM){where}; continue with {resume}"),
        "diverged": ("diverged", "bad", f"a loss was no longer finite{where}"),
        "error": ("failed", "bad", f"an error stopped it{where}; when mended, {resume}"),
    }
    reason = str(last.get("reason"))
    return *endings.get(reason, ("stopped", "warn", text(reason) + where)), message


def _facts(events: Events) -> list[tuple[str, str]]:
    """Tick, epochs, training time and throughput, each from the last line that has it."""
    epoch, seconds, rows = (_last(events, key) for key in ("epoch", "seconds", "rows"))
    tick = max((number_of(event.get("tick", 0)) for event in events), default=0.0)
    facts = [("tick", f"{tick:,.0f}")]
    facts.append(("epochs", "–" if math.isnan(epoch) else format_number(round(epoch, 2))))
    facts.append(("training time", "–" if math.isnan(seconds) else format_duration(seconds)))
    fast = rows / seconds if seconds > 0 else math.nan
    facts.append(("training samples / s", "–" if math.isnan(fast) else f"{fast:,.{0 if fast >= 10 else 1}f}"))
    return facts


def _last(events: Events, key: str) -> float:
    found = (number_of(event.get(key)) for event in reversed(events) if event["event"] == "ticks")
    return next((value for value in found if not math.isnan(value)), math.nan)


# --------------------------------------------------------------------- samples
def _samples(run: RunFolder, config: Config, events: Events) -> str:
    paths = _sample_paths(run, events)
    read = next(((path, found) for path in reversed(paths) if (found := read_png(path)) is not None), None)
    if read is None:
        return markup.missing(
            "No samples have been drawn yet:", f"plausible sample {run.path} --out samples.png"
        )
    path, (content, described, width) = read
    weights = _weights(config)
    alt = f"Samples of {_title(config)} at tick {tick_of(path)}: {described or 'a picture'}."
    caption = f"""<b>Tick {text(tick_of(path))}</b>, {text(weights)}.
<br>{text(described)}{"." if described else ""}
<br>Drawn from the same noise each time, so that what changes from picture to picture is the model alone."""
    final = f"""<figure class="final">{markup.image(content, alt, width=width)}
<figcaption>{caption}</figcaption></figure>"""
    return final + "\n" + _strip(paths[: paths.index(path) + 1])


def _strip(paths: Sequence[Path]) -> str:
    shown = frames(paths)
    if len(shown) < 2:
        return ""
    items = []
    for path, small in shown:
        buffer = io.BytesIO()
        small.save(buffer, "PNG", optimize=True)
        picture = markup.image(buffer.getvalue(), f"The same samples at tick {tick_of(path)}")
        items.append(f"<li><figure>{picture}<figcaption>{text(tick_of(path))}</figcaption></figure></li>")
    which = "all" if len(shown) == len(paths) else f"{len(shown)} of {len(paths):,}"
    return f"""<h3 style="margin-top:2rem">How it got there</h3>
<p class="soft">The same samples along the training ({which} pictures), named by their tick.</p>
<ol class="strip">
{"".join(items)}
</ol>"""


def _sample_paths(run: RunFolder, events: Events) -> list[Path]:
    """The sample pictures that count, oldest first: those logged, inside the run's folder, and still there."""
    logged = [str(event.get("file", "")) for event in events if event["event"] == "samples"]
    paths = [run.path / name for name in dict.fromkeys(logged)]
    if not logged and run.samples_dir.is_dir():
        paths = sorted(run.samples_dir.glob("*.png"))
    home = run.path.resolve()
    return [path for path in paths if path.is_file() and path.resolve().is_relative_to(home)]


def _weights(config: Config) -> str:
    if config.training.ema is not None:
        return f"with the averaged weights (EMA, decay {format_value(config.training.ema)})"
    return "with the trained weights (no EMA)"


# ---------------------------------------------------------------- the sections
def _curves(run: RunFolder, events: Events) -> str:
    found = panels(events)
    if not found:
        return markup.missing(
            "No losses have been logged: a model without turns has none, or it has not begun:",
            f"plausible resume {run.path}",
        )
    ratio = ticks_an_epoch(events)
    plots = []
    for panel in found:
        note = f"<figcaption>{text(panel.note)}</figcaption>" if panel.note else ""
        picture = markup.image(to_svg(draw(panel, ratio)), describe(panel), "svg+xml")
        plots.append(f"<div><h3>{text(panel.title)}</h3><figure>{picture}{note}</figure></div>")
    lead = (
        "Light: as logged, each point the mean over the ticks since the one before. Dark: a moving average."
    )
    return f'<p class="soft">{lead}</p>\n<div class="plots">\n' + "\n".join(plots) + "\n</div>"


def _metrics(run: RunFolder) -> str:
    command = f"plausible evaluate {run.path}"
    try:
        evaluation = run.evaluation()
    except PlausibleError as error:
        return markup.missing(f"evaluation.json cannot be used ({error}); make it anew:", command)
    if evaluation is None:
        return markup.missing("Not evaluated yet:", command)
    return metrics_table(evaluation, command)


def _configuration(config: Config) -> str:
    stored = config.as_json()
    titles = {"model": "Model", "data": "Data", "schema": "Schema", "training": "Training"}
    titles |= {"versions": "Versions"}
    tables = [markup.settings(title, flatten(stored.pop(key))) for key, title in titles.items()]
    tables.append(markup.settings("Run", flatten(stored)))
    return '<div class="settings">\n' + "\n".join(tables) + "\n</div>"
