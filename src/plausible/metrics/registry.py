"""What a metric is, and the one table of those there are.

A metric is a function of a `Subject` that returns results. It is registered by a decorator that declares what it needs,
whether it is a default, what it costs, and how it is shown:

    @metric("copies", needs=(values_in("unit", "binary"),), cost="seconds")
    def copies(subject: Subject) -> list[Result]:
        ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from matplotlib.figure import Figure
from torch import Tensor

from plausible.capabilities import require
from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel

__all__ = ["METRICS", "SAMPLES", "Metric", "Result", "Shown", "Subject", "defaults", "measure", "metric"]

SAMPLES = 10_000
"""Samples that all metrics of one evaluation share."""


class Subject:
    """What is measured: a model or another source of samples, and the data it should be like.

    Args:
        sample: n → (n, *shape) samples, the same at each call.
        data: with its splits.
        model: where the samples come from; metrics of its likelihood, codes and scores need it.
        trained: the SPEC with absolute path that the model was trained on; None: the data's.
        split: the rows to measure on. With "valid" these stand in the place of the test rows, which nobody reads.
    """

    def __init__(
        self,
        sample: Callable[[int], Tensor],
        data: Data,
        model: GenerativeModel | None = None,
        trained: str | None = None,
        split: Literal["valid", "test"] = "test",
    ) -> None:
        self.sample, self.model, self.split = sample, model, split
        self.data = self.as_measured(data)
        self.trained = data.source if trained is None else trained

    def as_measured(self, data: Data) -> Data:
        """Data whose test rows are the rows to measure on."""
        return data if self.split == "test" else replace(data, test=data.valid)

    @cached_property
    def samples(self) -> Tensor:
        """SAMPLES samples, made once for all metrics, (SAMPLES, *shape)."""
        return self.sample(SAMPLES)

    def needed_model(self) -> GenerativeModel:
        """The model, for a metric that cannot do without.

        Raises:
            PlausibleError: there are samples alone.
        """
        if self.model is None:
            raise PlausibleError("it needs a model, and there are samples alone: take --metrics fidelity")
        return self.model


@dataclass(frozen=True)
class Result:
    """One number that a metric found.

    Attributes:
        name: what it is called.
        value: the number; NaN where it is undefined.
        spread: its uncertainty, if there is one, …
        spread_is: … and what kind.
        unit: nats, bits, share, …; empty for a pure number.
        higher_is_better: False where lower is; None where neither is.
        details: settings of the estimator and sizes of the samples.
        note: what it can and cannot say.
        metric: the name of its metric, filled in by `measure`.
        interval: a 95 % confidence interval, (low, high).
        floor: the same figure of real rows against other real rows: as good as samples can be.
        independent: the same figure of samples with every value drawn from its own marginal: what a model without any
            dependence gets.
        chance: the figure of samples that cannot be told apart from real rows, if the metric has one: a value beyond it
            is chance, and no better.
    """

    name: str
    value: float
    spread: float | None = None
    spread_is: str = ""
    unit: str = ""
    higher_is_better: bool | None = True
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    metric: str = ""
    interval: tuple[float, float] | None = None
    floor: float | None = None
    independent: float | None = None
    chance: float | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """How a metric's results stand in the report where they are not rows of the common table.

    Attributes:
        title: above them.
        tables: (caption, results) of each table.
        figure: a plot of the results, if there is one, …
        alt: … what it shows, in words, for those who cannot see it, …
        caption: … and how to read it.
    """

    title: str
    tables: Sequence[tuple[str, Sequence[Result]]]
    figure: Figure | None = None
    alt: str = ""
    caption: str = ""


Need = type | Callable[[Subject], None]
"""A capability of the model, or a check that raises PlausibleError where the subject does not fit."""
Cost = Literal["seconds", "minutes"]
Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, eq=False)
class Metric:
    """A registered metric; see `metric` for the attributes."""

    name: str
    compute: Callable[[Subject], list[Result]]
    needs: tuple[Need, ...]
    default: bool | Callable[[Subject], bool]
    cost: Cost
    show: Callable[[Sequence[Result]], Shown] | None
    reads: tuple[Split, ...] = ("test",)
    mixed: bool = False

    def check(self, subject: Subject) -> None:
        """Raise the first need that the subject does not meet.

        Raises:
            PlausibleError: the metric does not fit the model or the data; the message says what would.
        """
        try:
            self._check_split(subject)
            if subject.data.domain == "mixed" and not self.mixed:
                able = [name for name, each in METRICS.items() if each.mixed]
                raise PlausibleError(
                    f"it is not defined for tables with words or missing cells: take --metrics {' or '.join(able)}"
                )
            check_needs(subject, self.needs)
        except PlausibleError as error:
            raise PlausibleError(f"--metrics {self.name}: {error}") from error

    def _check_split(self, subject: Subject) -> None:
        if subject.split in self.reads and subject.split != "test":
            raise PlausibleError(
                f"it fits or chooses something on the {subject.split} rows, so the figure would be too good: take "
                "--split test"
            )

    def is_default(self, subject: Subject) -> bool:
        """Whether it is computed without being asked for: it fits, takes seconds, and says so."""
        if self.default is False or self.cost != "seconds":
            return False
        try:
            self.check(subject)
        except PlausibleError:
            return False
        return self.default is True or self.default(subject)


METRICS: dict[str, Metric] = {}
"""Name → metric, in the order in which they are computed and shown."""


def metric(
    name: str,
    *,
    needs: Sequence[Need] = (),
    default: bool | Callable[[Subject], bool] = True,
    cost: Cost = "seconds",
    show: Callable[[Sequence[Result]], Shown] | None = None,
    reads: Sequence[Split] = ("test",),
    mixed: bool = False,
) -> Callable[[Callable[[Subject], list[Result]]], Callable[[Subject], list[Result]]]:
    """Register a metric: `@metric("name", …)` above a function of a `Subject` that returns results.

    Args:
        name: what `evaluate --metrics` calls it. A registered name is replaced.
        needs: capabilities of the model (protocols of `plausible.capabilities`, or a class of your own), and checks
            such as those of `plausible.metrics.needs`. All are met when the function is called.
        default: whether it is computed where all needs are met and nobody asked for metrics by name; or a function of
            the subject that says so.
        cost: "seconds", or "minutes": such a metric is computed only when asked for.
        show: how its results stand in the report; by default as rows of the common table.
        reads: the splits that it reads: train to fit something, valid to choose, test for the figure. Law 8
            (tests/laws/test_8_splits.py) checks it.
        mixed: whether it takes mixed tables, with codes of levels and NaN.
    """

    def register(compute: Callable[[Subject], list[Result]]) -> Callable[[Subject], list[Result]]:
        METRICS[name] = Metric(name, compute, tuple(needs), default, cost, show, tuple(reads), mixed)
        return compute

    return register


def defaults(subject: Subject) -> tuple[str, ...]:
    """The metrics that fit the subject and together take less than a minute."""
    return tuple(name for name, metric in METRICS.items() if metric.is_default(subject))


def measure(subject: Subject, metrics: Sequence[str] | None = None) -> list[Result]:
    """Compute metrics.

    A metric that fits and still cannot be computed, of too few rows for instance, does not stop the others: its result
    has the value NaN, and its note says why.

    Args:
        subject: what to measure.
        metrics: names from METRICS; by default those that fit the subject and take seconds.

    Raises:
        PlausibleError: an unknown metric, or one that does not fit (nothing has been computed then); or none of the
            metrics could be computed.
    """
    chosen = [_metric_of(name) for name in metrics or defaults(subject)]
    for each in chosen:
        each.check(subject)
    found: list[Result] = []
    failed: list[PlausibleError] = []
    for each in chosen:
        try:
            results = each.compute(subject)
        except PlausibleError as error:
            failed.append(error)
            results = [Result(each.name, math.nan, higher_is_better=None, note=f"{NOT_COMPUTED}{error}")]
        found += [replace(_of_split(result, subject.split), metric=each.name) for result in results]
    if failed and len(failed) == len(chosen):
        raise PlausibleError("no metric could be computed: " + "; ".join(map(str, failed))) from failed[0]
    return found


NOT_COMPUTED = "not computed: "
"""What the note of a metric that failed begins with."""


def _of_split(result: Result, split: str) -> Result:
    """The result with the name of the split that stood in the place of the test rows."""
    if split == "test":
        return result

    def named(text: str) -> str:
        return text.replace("test row", f"{split} row")

    details = {named(name): value for name, value in result.details.items()}
    return replace(
        result,
        name=named(result.name),
        note=named(result.note),
        spread_is=named(result.spread_is),
        details=details,
    )


def _metric_of(name: str) -> Metric:
    if name not in METRICS:
        known = (
            f"{each.name} (minutes)" if each.cost == "minutes" else each.name for each in METRICS.values()
        )
        raise PlausibleError(f"--metrics: there is no metric {name!r}: choose from {', '.join(known)}")
    return METRICS[name]


def check_needs(subject: Subject, needs: Sequence[Need]) -> None:
    """Raise the first need that the subject does not meet.

    Raises:
        PlausibleError: the model lacks a capability, or a check fails.
    """
    for need in needs:
        if isinstance(need, type):
            require(subject.needed_model(), need, instead=["take --metrics fidelity"])
        else:
            need(subject)


def meets(subject: Subject, needs: Sequence[Need]) -> bool:
    """Whether the subject meets all needs."""
    try:
        check_needs(subject, needs)
    except PlausibleError:
        return False
    return True
