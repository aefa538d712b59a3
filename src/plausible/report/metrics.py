"""The tables of `evaluation.json`: each metric with its spread, its unit, and beneath it what it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from plausible.report import markup
from plausible.report.figures import number
from plausible.report.ladder import ladder_figure, split
from plausible.report.markup import text


def metrics_table(evaluation: object, command: str) -> str:
    """The metrics as an HTML table, a ladder of likelihoods by itself; when there are none, the sentence and `command`
    that say so.
    """
    metrics = evaluation.get("metrics") if isinstance(evaluation, Mapping) else None
    listed = (
        [metric for metric in metrics if isinstance(metric, Mapping)] if isinstance(metrics, list) else []
    )
    if not listed or not isinstance(evaluation, Mapping):
        return markup.missing("evaluation.json holds no metrics; make it anew:", command)
    others, rungs, apart = split(listed)
    caption = _caption(evaluation)
    parts = [_table(caption, others)] if others else []
    if rungs:
        parts += [
            f'<h3 class="above">{text(_ladder_title(rungs))}</h3>',
            ladder_figure(rungs, apart),
            _table(f"{caption} Estimates of log p(x).", rungs),
        ]
    if rungs and apart:
        parts.append(_table("No estimate of log p(x), and not to be compared with those above.", apart))
    return "\n".join(part for part in parts if part)


def _table(caption: str, metrics: Sequence[Mapping[str, Any]]) -> str:
    return f"""<div class="scroll"><table>
<caption>{text(caption)}</caption>
<thead><tr><th scope="col">Metric</th><th scope="col">Value</th><th scope="col">Unit</th><th scope="col">Better</th>
</tr></thead>
<tbody>
{"".join(map(_rows, metrics))}</tbody></table></div>"""


def _ladder_title(rungs: Sequence[Mapping[str, Any]]) -> str:
    """What the ladder stands on: the rows that all its rungs say they saw."""
    details = [metric.get("details") for metric in rungs]
    rows = {number(each.get("rows")) if isinstance(each, Mapping) else math.nan for each in details}
    n = rows.pop() if len(rows) == 1 else math.nan
    return "How likely the test rows are" + (
        "" if math.isnan(n) else f": the same {n:,.0f}, by each estimate"
    )


def _caption(evaluation: Mapping[str, Any]) -> str:
    weights = {"ema": "averaged weights (EMA)", "trained": "trained weights"}
    parts = [f"on the {evaluation['split']} split"] if evaluation.get("split") else []
    tick = number(evaluation.get("tick"))
    parts += [] if math.isnan(tick) else [f"at tick {tick:,.0f}"]
    if evaluation.get("weights"):
        parts.append(f"with the {weights.get(str(evaluation['weights']), evaluation['weights'])}")
    return f"Measured {', '.join(parts)}." if parts else "Measured; on which split is not recorded."


def _rows(metric: Mapping[str, Any]) -> str:
    name, unit = text(metric.get("name") or "unnamed"), text(metric.get("unit") or "–")
    better = {"True": "↑ higher", "False": "↓ lower"}.get(str(metric.get("higher_is_better")), "–")
    beneath = _beneath(metric)
    note = f'<tr class="note"><td colspan="4">{beneath}</td></tr>\n' if beneath else ""
    return (
        f'<tr><th scope="row">{name}</th><td class="value"><b>{text(_value(metric))}</b></td>'
        f'<td>{unit}</td><td class="better">{better}</td></tr>\n{note}'
    )


def _value(metric: Mapping[str, Any]) -> str:
    value, spread = metric.get("value"), number(metric.get("spread"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else markup.words(value)
    return markup.measured(float(value), None if math.isnan(spread) else spread)


def _beneath(metric: Mapping[str, Any]) -> str:
    """What the metric says of itself: its note, what the ± is, its details, and anything else it carries."""
    known = {"name", "value", "spread", "spread_is", "unit", "higher_is_better", "details", "note"}
    spread = f"± is the {metric['spread_is']}." if metric.get("spread_is") else ""
    sentences = [str(metric["note"])] if metric.get("note") else []
    sentences += [spread] if spread else []
    details = metric.get("details")
    rest = {str(key): value for key, value in metric.items() if key not in known}
    if isinstance(details, Mapping):
        rest = {**{str(key): value for key, value in details.items()}, **rest}
    elif details:
        rest["details"] = details
    listed = " · ".join(f"{name} {value}" for name, value in markup.flat(rest))
    return "".join(f"<p>{text(sentence)}</p>" for sentence in [*sentences, listed] if sentence)
