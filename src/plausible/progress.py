"""What is shown on the terminal or in a notebook while a model trains, and the tables printed afterwards."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from plausible.formatting import COMPARED, format_decimals, format_number, metric_cells

if TYPE_CHECKING:
    from plausible.course.experiment import TheoryRun
    from plausible.data import Data
    from plausible.jobs.verify import Verification
    from plausible.runs import Config, RunFolder
    from plausible.runs.comparison import Comparison
    from plausible.schema import Column
    from plausible.training.loop import Progress as Report

__all__ = [
    "is_main_process",
    "print_data",
    "print_steps",
    "show_comparison",
    "show_metrics",
    "show_run",
    "show_theory",
    "show_verification",
    "show_warnings",
    "watching",
]

_Watch = Callable[["Report"], None]
_LINE_SECONDS = 10.0
_BAR_SECONDS = 0.25
_CELL_SECONDS = 0.5
_COLUMNS = 50
"""Columns of a table that are listed before training."""
_LEVELS = 4
"""Levels of a column that are listed there."""
_UNITS: Mapping[str, Any] = {"day": "D", "hour": "h", "minute": "m", "second": "s"}


def is_main_process() -> bool:
    """Whether this process prints: under torchrun only the one of rank 0 does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def watching(show: bool | Literal["json"] | _Watch = True) -> Generator[_Watch | None]:
    """Yield the function that shows the progress of a training.

    That is a live bar on a terminal or in a notebook, and plain lines on stderr elsewhere.

    Args:
        show: False for nothing, "json" for JSON lines on stdout, or a function that is called with the progress.
    """
    if show is False or not is_main_process():
        yield None
    elif show == "json":
        yield lambda report: print(json.dumps(_as_json(report)), flush=True)
    elif callable(show):
        yield show
    elif _in_notebook():
        yield _cell()
    elif sys.stderr.isatty():
        with _bar() as watch:
            yield watch
    else:
        yield _lines()


def _as_json(report: Report) -> dict[str, Any]:
    """The fields of a report; an alarm only where there is one."""
    found = dataclasses.asdict(report)
    return found if report.alarm else {name: value for name, value in found.items() if name != "alarm"}


def print_data(data: Data, config: Config) -> None:
    """Print one line about the data on standard error: rows, shape, and the domain with the reason for it.

    And one about the training where it is of codes, or not in float32.
    """
    if not is_main_process():
        return
    shape = data.shape
    form = f"{shape[0]:,} columns"
    if len(shape) == 3:
        form = f"pictures of {shape[2]} × {shape[1]}, {'grey' if shape[0] == 1 else 'colour'}"
    labels = f"; {len(data.labels):,} labels" if data.labels else ""
    rows = f"{len(data.train):,} rows to train on, {len(data.valid):,} valid, {len(data.test):,} test"
    print(
        f"{data.spec}: {rows}; {form}; {data.schema.rule or data.domain}{labels}", file=sys.stderr, flush=True
    )
    if data.schema.named and data.schema.columns is not None:
        _print_columns(data.schema.columns)
    if config.coder is not None:
        print(f"codes of {config.coder.name}, {config.coder.origin}", file=sys.stderr, flush=True)
    if config.training.precision != "float32":
        words = f"trains in {config.training.precision}; for float32: --precision float32"
        print(words, file=sys.stderr, flush=True)


def _print_columns(columns: Sequence[Column]) -> None:
    """Print the type of each column of a table, which `--column NAME=TYPE` can correct."""
    table = Table("column", "type", "values", "missing", box=None, header_style="bold")
    for column in columns[:_COLUMNS]:
        missing = f"{column.missing:.1%}" if column.missing else ""
        table.add_row(escape(column.name), column.kind, escape(_values(column)), missing)
    console = Console(stderr=True)
    console.print(table)
    if len(columns) > _COLUMNS:
        console.print(f"… and {len(columns) - _COLUMNS:,} more columns")


def _values(column: Column) -> str:
    """The levels of a column, or its range, in words."""
    if column.levels is not None:
        some = ", ".join(column.levels[:_LEVELS]) + (", …" if len(column.levels) > _LEVELS else "")
        return f"{len(column.levels):,}: {some}"
    if column.unit is not None:
        import numpy as np

        ends = [
            str(np.datetime64(int(end), _UNITS[column.unit])).replace("T", " ")
            for end in (column.low, column.high)
        ]
    else:
        ends = [format_number(end) for end in (column.low, column.high)]
    digits = ""
    if column.kind == "real" and column.decimals:
        digits = f", {column.decimals} {'decimal' if column.decimals == 1 else 'decimals'}"
    return " to ".join(dict.fromkeys(ends)) + digits


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel, which can show HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and shell.has_trait("kernel")


def print_steps(quiet: bool) -> Callable[[str, float], None] | None:
    """A function that prints a line on standard error for each step of a job as it begins; None if quiet."""
    if quiet or not is_main_process():
        return None
    return lambda words, share: print(f"{share:4.0%}  {words}", file=sys.stderr, flush=True)


class _Bar(Progress):
    """A progress bar with a line of text below it, so that neither truncates the other."""

    words = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(self.words, style="dim")


@contextmanager
def _bar() -> Generator[_Watch]:
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
    # refreshed from this thread when there is news: rich's own thread would take a core ten times a second
    with _Bar(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task("training", total=None)
        speed = _Speed()

        def show(report: Report) -> None:
            bar.words = f"{speed(report)}  {_numbers(report)}".strip()
            bar.update(task, completed=report.done, total=1.0, refresh=True)

        yield _at_most_every(_BAR_SECONDS, show)


def _lines() -> _Watch:
    speed = _Speed()
    return _at_most_every(
        _LINE_SECONDS, lambda report: print(_line(report, speed), file=sys.stderr, flush=True)
    )


def _cell() -> _Watch:
    """A bar and a line of text below the notebook's cell."""
    from IPython.display import HTML, display

    speed = _Speed()
    shown = display(HTML(""), display_id=True)

    def show(report: Report) -> None:
        bar = f'<progress max="1" value="{report.done:.3f}" style="width:100%"></progress>'
        shown.update(HTML(f"{bar}<div><code>{html.escape(_line(report, speed))}</code></div>"))

    return _at_most_every(_CELL_SECONDS, show)


def _line(report: Report, speed: _Speed) -> str:
    """The progress of a training, in one line."""
    left = f"{report.seconds * (1 - report.done) / report.done:.0f} s left" if report.done else "…"
    return (
        f"tick {report.tick}  epoch {report.epoch:.1f}  {report.done:.0%}  {left}  "
        f"{speed(report)}  {_numbers(report)}"
    )


def _at_most_every(seconds: float, show: _Watch) -> _Watch:
    """Show the first report, the last, and in between at most one in the given seconds."""
    last = -seconds

    def watch(report: Report) -> None:
        nonlocal last
        if report.alarm:
            print(f"plausible: warning: tick {report.tick:,}: {report.alarm}", file=sys.stderr, flush=True)
        if time.monotonic() - last < seconds and report.done < 1:
            return
        last = time.monotonic()
        show(report)

    return watch


class _Speed:
    """Ticks and samples per second since the last call."""

    def __init__(self) -> None:
        self._before: Report | None = None

    def __call__(self, report: Report) -> str:
        before, self._before = self._before, report
        if before is None or report.seconds <= before.seconds:
            return ""
        span = report.seconds - before.seconds
        ticks, rows = (report.tick - before.tick) / span, (report.rows - before.rows) / span
        return f"{ticks:.1f} ticks/s  {rows:,.0f} samples/s"


def _numbers(report: Report) -> str:
    """The numbers that a model shows, such as D(x), D(G(z)) and V(D, G), or else its losses."""
    return "  ".join(f"{name} {value:.3f}" for name, value in (report.shown or report.losses).items())


def show_warnings(run: RunFolder) -> None:
    """Print what the log warns of at the end of a training."""
    for event in run.log.landmarks():
        if event["event"] == "warning" and is_main_process():
            print(f"plausible: warning: {event['message']}", file=sys.stderr)


def show_run(run: RunFolder) -> None:
    """Print the paths of a run's files, one per line and never truncated, so that they can be copied."""
    stop = run.stopped() or {}
    pictures = sorted(run.samples_dir.glob("*.png"))
    endings = dict.fromkeys(("finished", "minutes", "core-minutes"), "finished") | {
        "patience": "stopped early"
    }
    ended = endings.get(stop.get("reason", ""), "stopped")
    lines = {ended: f"tick {stop.get('tick', 0)}", "run": run.path}
    best = run.judgement()
    if best is not None:
        lines["best"] = f"tick {best.tick}: {best.by} {format_number(best.value)}"
    if pictures:
        lines["picture"] = pictures[-1]
    lines["report"] = run.report_file
    if ended == "stopped early":
        lines["continue"] = f"plausible resume {run.path} --patience 0"
    elif ended == "stopped":
        lines["continue"] = f"plausible resume {run.path}"
    for name, value in lines.items():
        print(f"{name:<13} {value}")


def show_metrics(evaluation: dict[str, Any], *, as_json: bool) -> None:
    """The metrics of an evaluation as a table, each with its note beneath."""
    if as_json:
        print(json.dumps(evaluation))
        return
    title = "{data}, {split} split, tick {tick}, {weights} weights".format_map(evaluation)
    metrics = evaluation["metrics"]
    compared = {
        key: head for key, head in COMPARED.items() if any(each.get(key) is not None for each in metrics)
    }
    table = Table(
        "metric",
        "value",
        *compared.values(),
        "unit",
        "",
        title=title,
        title_justify="left",
        box=None,
        header_style="bold",
    )
    for column in table.columns[1 : 1 + len(compared)]:
        column.no_wrap = True
    for metric in metrics:
        better = {True: "↑", False: "↓", None: ""}[metric["higher_is_better"]]
        cells = metric_cells(metric)
        table.add_row(
            metric["name"], cells["value"], *(escape(cells[key]) for key in compared), metric["unit"], better
        )
    console = Console()
    console.print(table)
    for note in dict.fromkeys(metric["note"] for metric in metrics if metric["note"]):
        console.print(f"[dim]{escape(note)}[/dim]")


def show_comparison(comparison: Comparison) -> None:
    """Print the tables of a comparison, and what follows from them."""
    from plausible.report.compare import comparison_tables

    console = Console()
    words = {"generate": "Generate", "density": "Density", "anomalies": "Outliers", "represent": "Represent"}
    for each in comparison_tables(comparison):
        table = Table(
            title=f"{words[each.section]}, {each.title}", title_justify="left", box=None, header_style="bold"
        )
        table.add_column("")
        for name, unit, better in each.columns:
            table.add_column("\n".join(part for part in (name, unit, better) if part))
        for name, _, cells in each.rows:
            shown = (
                f"[bold]{escape(cell.value)}[/bold]" if cell.leads else escape(cell.value) for cell in cells
            )
            ranges = (cell.interval for cell in cells)
            table.add_row(
                escape(name),
                *(
                    f"{value}\n[dim]{escape(span)}[/dim]" if span else value
                    for value, span in zip(shown, ranges, strict=True)
                ),
            )
        console.print(table)
        console.print()
    for failed in (each for each in comparison.results if each.failed):
        console.print(f"{escape(failed.name)} failed: {escape(failed.failed)}")
    views = {each.view for each in comparison.advice}
    for advice in comparison.advice:
        of = f" ({advice.view})" if len(views) > 1 else ""
        console.print(f"[bold]{escape(advice.job)}{escape(of)}[/bold]: {escape(advice.text)}")


def show_theory(run: TheoryRun, as_json: bool) -> None:
    """Print the table of `plausible theory` and the paths of its page and pictures."""
    if as_json:
        lines = [claim.as_json() for claim in run.claims]
        print(json.dumps({"folder": run.folder and str(run.folder), "claims": lines}, ensure_ascii=False))
        return
    table = Table("about", "quantity", "formula", "measured", "error", "", box=None, header_style="bold")
    for claim in run.claims:
        numbers = (format_decimals(number) for number in (claim.expected, claim.measured, claim.error))
        table.add_row(claim.about, claim.quantity, *numbers, "✓" if claim.holds else "✗")
    held = sum(claim.holds for claim in run.claims)
    console = Console()
    console.print(table)
    console.print(f"{held} of {len(run.claims)} lines agree with their formulas (natural logarithms)")
    if run.folder is not None:
        console.print(f"page:     {run.folder / 'theory.html'}", soft_wrap=True)
        console.print(f"pictures: {run.folder / 'figure-1.png'}, animation.gif", soft_wrap=True)


def show_verification(found: Verification, *, as_json: bool) -> None:
    """Print the table of `plausible verify`, including what is not claimed."""
    if as_json:
        lines = [finding.as_json() for finding in found.findings]
        print(json.dumps({"name": found.name, "holds": found.holds, "claims": lines}, ensure_ascii=False))
        return
    table = Table("claim", "value", "bound", "", box=None, header_style="bold")
    about = None
    for finding in found.findings:
        if finding.about != about:
            about = finding.about
            table.add_row(f"[bold]{escape(about)}[/bold]", "", "", "")
        cells = ("not claimed", "") if finding.value is None else (f"{finding.value:.6g}", finding.bound)
        table.add_row(finding.claim, *cells, {True: "✓", False: "✗", None: ""}[finding.holds])
    claimed = [finding.holds for finding in found.findings if finding.holds is not None]
    console = Console()
    console.print(table)
    for line in dict.fromkeys(
        f"{finding.claim}: {finding.note}" for finding in found.findings if finding.note
    ):
        console.print(f"[dim]{escape(line)}[/dim]")
    console.print(f"{escape(found.name)}: {sum(claimed)} of {len(claimed)} claims hold")
