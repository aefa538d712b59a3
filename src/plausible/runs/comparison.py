"""The records of `plausible compare`: what is compared, what was found of each, and all of it in compare.json."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from plausible.runs.records import FORMAT, MetricRecord, Name
from plausible.schema import Record

__all__ = ["Advice", "Compared", "Comparison", "ComparisonPlan", "DensityKind"]

_Format = Annotated[int, Field(ge=FORMAT, le=FORMAT)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DensityKind = Literal["exact", "lower bound"]


class ComparisonPlan(Record):
    """plan.json: what every figure of one comparison has in common; another value needs another folder.

    Attributes:
        data: the SPEC as typed, or a description of data in memory.
        hash: SHA-256 of the values and the splits.
        core_minutes: the budget of each model that is trained, in minutes of processor time.
        seed: of everything random.
    """

    format: _Format = FORMAT
    data: str
    hash: str
    core_minutes: _Positive
    seed: Annotated[int, Field(ge=0)]


class Compared(Record):
    """What was found of one model or baseline.

    Attributes:
        name: the model, the run's folder, or the baseline.
        kind: a model that was trained here, a run that was trained before, or a baseline.
        view: the SPEC of the data it sees: figures of different views do not compare.
        failed: why there are no figures; empty where there are.
        about: what it is or how it was fitted, in words.
        run: the run's folder; of a run that was trained here within the comparison's folder.
        tick: of the checkpoint that was measured.
        cpu_seconds, seconds, epochs: of training, or for a baseline of fitting.
        generate: sample quality.
        density: log p(x) of the test rows, in nats and bits per dimension, …
        density_kind: … exact, or a lower bound …
        density_of: … and of what it is a probability; figures compare where both agree.
        anomalies: AUROC of test rows against damaged rows, …
        score: … by this score.
        represent: accuracy of classifiers, …
        representation: … of this representation.
        judged_by: what the checkpoint is judged by on valid rows.
        curve: (processor seconds, the judgement) along the training.
        missing: what could not be measured, and why.
        picture: the file of its samples, within the comparison's folder.
    """

    format: _Format = FORMAT
    name: Name
    kind: Literal["model", "run", "baseline"]
    view: str
    failed: str = ""
    about: str = ""
    run: str | None = None
    tick: int | None = None
    cpu_seconds: float | None = None
    seconds: float | None = None
    epochs: float | None = None
    generate: tuple[MetricRecord, ...] = ()
    density: tuple[MetricRecord, ...] = ()
    density_kind: DensityKind | None = None
    density_of: str = ""
    anomalies: tuple[MetricRecord, ...] = ()
    score: str = ""
    represent: tuple[MetricRecord, ...] = ()
    representation: str = ""
    judged_by: str = ""
    curve: tuple[tuple[float, float], ...] = ()
    missing: tuple[str, ...] = ()
    picture: str | None = None


class Advice(Record):
    """What the figures say to somebody who has to choose.

    Attributes:
        job: "To generate", "To find outliers", …
        view: the SPEC of the data that it is about.
        text: one or two sentences.
    """

    job: str
    view: str
    text: str


class Comparison(Record):
    """compare.json: everything that a comparison found.

    Attributes:
        plausible: the version that wrote it.
        plan: what all figures have in common.
        train, valid, test: number of rows of each split.
        results: of each model and baseline, in the order of the page.
        advice: see `Advice`.
        pictures: view → the file with real rows of it, within the comparison's folder.
    """

    format: _Format = FORMAT
    plausible: Name
    plan: ComparisonPlan
    train: int
    valid: int
    test: int
    results: tuple[Compared, ...]
    advice: tuple[Advice, ...]
    pictures: dict[str, str] = Field(default_factory=dict)
