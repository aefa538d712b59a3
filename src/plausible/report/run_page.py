"""A run on one page that opens anywhere, offline: `report.html`.

What the run does not have is said, with the command that would make it.
"""

from __future__ import annotations

from pathlib import Path

from plausible.report.header import header_of, title_of
from plausible.report.page import render, render_page
from plausible.report.sections import SECTIONS, Reported
from plausible.runs import RunFolder, write_whole

__all__ = ["write_report"]


def write_report(run: RunFolder) -> Path:
    """Write the run's `report.html`, whole or not at all, and return its path.

    Raises:
        PlausibleError: there is no run there (no readable config.json), or the page could not be written.
    """
    reported = Reported(run)
    config = reported.config
    sections = []
    for each in SECTIONS.values():
        context = each.context(reported)
        if context is not None:
            body = render(each.template, context)
            sections.append({"name": each.name, "title": each.title, "body": body})
    page = {
        "title": title_of(config),
        "header": header_of(run, config, reported.events),
        "sections": sections,
        "written": f"Written by plausible {config.plausible} from {run.path.resolve().name}.",
    }
    return write_whole(run.report_file, render_page("report.html", page))
