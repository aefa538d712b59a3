"""What the curves of a discriminator can and cannot say, by the objective it was trained with.

V(D, G) of any D is at most C(G) = −log 4 + 2·JSD in expectation, so one above −log 4 on rows that D has not learnt
shows a difference. The other direction is void: D at ½ may be behind the generator, or flattened by penalties. Whether
data and samples can be told apart is found by a classifier of its own (`plausible.metrics.two_sample`), whose verdict
stands beside the curves where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plausible.formatting import number_of
from plausible.runs import Evaluation

__all__ = ["about_beliefs", "about_value", "verdict"]

PROBABILITIES = ("minimax", "non-saturating", "authors-code")
"""Objectives that train D as a probability, by the cross-entropy of real and generated."""
_VALUE = {
    "minimax": (
        "This D is trained to raise it. No D exceeds C(G) = −log 4 + 2·JSD in expectation, so on rows that it has not "
        "learnt a V above the line −log 4 ≈ −1.386 shows a difference between data and samples. A V at the line or "
        "below shows nothing: D may be behind the generator. And D learns from the rows V is taken on, which raises V."
    ),
    "relativistic": (
        "This D is trained on differences of logits within pairs, and the penalties R1 + R2 flatten them; the logits "
        "are centred between both batches. So V stays near −log 4 ≈ −1.386 even where data and samples are easily told "
        "apart: at the line it says nothing."
    ),
    "": (
        "This D may not be trained to raise it, and its sigmoid need not be a probability. V at the line "
        "−log 4 ≈ −1.386 says nothing."
    ),
}
_BELIEFS = {
    "minimax": (
        "The mean probability of being real that the discriminator in training gives to real and to generated samples."
    ),
    "relativistic": (
        "The mean sigmoid of its logit on real and on generated samples, centred between both: only the difference of "
        "logits is trained, and the penalties R1 + R2 keep it small."
    ),
    "": (
        "The mean sigmoid of its logit on real and on generated samples, which its objective need not train as a "
        "probability."
    ),
}
_UNKNOWN = (
    "Whether a classifier of its own tells data from samples is measured by `plausible evaluate`: told apart."
)


def about_value(objective: str | None, said: str = "") -> str:
    """The caption of V(D, G): its formula, what it shows under this objective, and the verdict of the two-sample test.

    Args:
        objective: a name of `plausible.models.objectives.OBJECTIVES`, or another; None: unknown.
        said: what `verdict` says.
    """
    return f"E log D(x) + E log(1 − D(G(z))). {_VALUE[_kind(objective)]} {said or _UNKNOWN}"


def about_beliefs(objective: str | None, said: str = "") -> str:
    """The caption of D(x) and D(G(z)); see `about_value` for the arguments."""
    both = "Both at ½: this D does not separate them, and another may."
    return f"{_BELIEFS[_kind(objective)]} {both} {said or _UNKNOWN}"


def verdict(evaluation: Evaluation | None, events: Sequence[Mapping[str, Any]]) -> str:
    """What the newest two-sample test says: "At tick 1,200 …: told apart 99.1 % (…)"; empty where there is none.

    Args:
        evaluation: the run's evaluation, whose metric `two-sample` is read.
        events: the run's events; of `valid` and `judged` ones `two_sample` is read, a mapping with the `accuracy` and
            `interval` of a `TwoSample`.
    """
    found: list[tuple[float, str, float, Sequence[Any] | None]] = [
        (number_of(event.get("tick")), "valid", number_of(test.get("accuracy")), test.get("interval"))
        for event in events
        if event.get("event") in ("valid", "judged") and isinstance(test := event.get("two_sample"), Mapping)
    ]
    if evaluation is not None:
        found += [
            (evaluation.tick, evaluation.split, each.value, each.interval)
            for each in evaluation.metrics
            if (each.metric, each.name) == ("two-sample", "told apart") and each.value is not None
        ]
    if not found:
        return ""
    tick, split, accuracy, interval = max(found, key=lambda each: each[0])
    between = "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %, "
    return (
        f"At tick {tick:,.0f} a classifier of its own, tested on {split} rows and samples, gave "
        f"{100 * accuracy:.1f} % right answers ({between}50 % = indistinguishable)."
    )


def _kind(objective: str | None) -> str:
    if objective in PROBABILITIES:
        return "minimax"
    return objective if objective in _VALUE else ""
