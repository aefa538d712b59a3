"""The metrics of `evaluation.json`: a common table, and what metrics show in a way of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from plausible.formatting import flatten, format_measurement
from plausible.metrics import METRICS, Result, Shown
from plausible.plotting import to_svg
from plausible.report import markup
from plausible.report.markup import text
from plausible.runs import Evaluation

WEIGHTS = {"ema": "averaged weights (EMA)", "trained": "trained weights"}


def metrics_table(evaluation: Evaluation, command: str) -> str:
    """The metrics as HTML; when there are none, the sentence and `command` that say so."""
    if not evaluation.metrics:
        return markup.missing("evaluation.json holds no metrics; make it anew:", command)
    common, shown = split(evaluation)
    weights = WEIGHTS[evaluation.weights]
    caption = f"Measured on the {evaluation.split} split at tick {evaluation.tick:,}, with {weights}."
    parts = [_table(caption, common)] if common else []
    for each in shown:
        parts.append(f'<h3 class="above">{text(each.title)}</h3>')
        if each.figure is not None:
            picture = markup.image(to_svg(each.figure), each.alt, "svg+xml")
            parts.append(
                f'<figure class="ladder">{picture}<figcaption>{text(each.caption)}</figcaption></figure>'
            )
        parts += [_table(caption, results) for caption, results in each.tables]
    return "\n".join(parts)


def split(evaluation: Evaluation) -> tuple[list[Result], list[Shown]]:
    """The results of the common table, and what the others' metrics make of theirs."""
    common: list[Result] = []
    shown: list[Shown] = []
    results = [Result(**dict(record)) for record in evaluation.metrics]
    for name, group in groupby(results, lambda result: result.metric):
        metric = METRICS.get(name)
        if metric is None or metric.show is None:
            common += group
        else:
            shown.append(metric.show(list(group)))
    return common, shown


def _table(caption: str, results: Sequence[Result]) -> str:
    return f"""<div class="scroll"><table>
<caption>{text(caption)}</caption>
<thead><tr><th scope="col">Metric</th><th scope="col">Value</th><th scope="col">Unit</th><th scope="col">Better</th>
</tr></thead>
<tbody>
{"".join(_rows(result, note) for result, note in zip(results, notes_of(results), strict=True))}</tbody></table></div>"""


def notes_of(results: Sequence[Result]) -> list[list[str]]:
    """What stands beneath each row: note, what ± is, details. What neighbours share stands beneath the last of them."""
    parts = [_beneath(result) for result in results]
    following = [*parts[1:], ("", "")]
    return [
        [part for part, later in zip(own, after, strict=True) if part and part != later]
        for own, after in zip(parts, following, strict=True)
    ]


def _rows(result: Result, sentences: Sequence[str]) -> str:
    better = {True: "↑ higher", False: "↓ lower", None: "–"}[result.higher_is_better]
    beneath = "".join(f"<p>{text(sentence)}</p>" for sentence in sentences)
    note = f'<tr class="note"><td colspan="4">{beneath}</td></tr>\n' if beneath else ""
    return (
        f'<tr><th scope="row">{text(result.name)}</th>'
        f'<td class="value"><b>{text(format_measurement(result.value, result.spread))}</b></td>'
        f'<td>{text(result.unit or "–")}</td><td class="better">{better}</td></tr>\n{note}'
    )


def _beneath(result: Result) -> tuple[str, str]:
    """A result's note with what its ± is, and its details."""
    spread = f"± is the {result.spread_is}." if result.spread_is else ""
    details = " · ".join(f"{name} {value}" for name, value in flatten(result.details))
    return f"{result.note} {spread}".strip(), details
