"""Measure a run on its test split, or on the valid one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from plausible.errors import PlausibleError
from plausible.jobs.opened import Opened
from plausible.jobs.pictures import write_pictures
from plausible.jobs.sampling import sample_model
from plausible.metrics import Subject, measure
from plausible.report import write_report
from plausible.runs import Evaluation, record, write_json

__all__ = ["evaluate"]


def evaluate(
    run: Opened,
    data: Any = None,
    *,
    metrics: Sequence[str] | None = None,
    split: Literal["valid", "test"] = "test",
) -> dict[str, Any]:
    """Measure a run on the test split; write evaluation.json, pictures of the code and the report into the run.

    Args:
        run: what to measure.
        data: other data than the run's own, with their splits.
        metrics: names from `metrics.METRICS`; default those that fit the data and the model.
        split: "valid" to measure on the validation rows instead, and to leave the test rows and the pictures of them
            alone: for choosing between runs. Metrics that choose something on the valid rows themselves are left out.

    Returns: what stands in evaluation.json.

    Raises:
        PlausibleError: an unknown metric or split, no metric that could be computed, data that are not at hand, or data
            of another shape.
    """
    if split not in ("valid", "test"):
        raise PlausibleError(f"--split {split}: choose valid or test")
    rows = run.data(data)
    if rows.shape != run.model.shape:
        raise PlausibleError(
            f"the model of {run.path} makes {run.model.shape}, but {rows.spec} has {rows.shape}"
        )
    subject = Subject(
        lambda n: sample_model(run.model, n, seed=1), rows, run.model, run.config.data.source, split
    )
    results = measure(subject, metrics)
    found = record(
        Evaluation,
        "the evaluation",
        tick=run.tick,
        weights="ema" if run.config.training.ema is not None else "trained",
        data=run.config.data.spec if data is None else rows.spec,
        split=split,
        metrics=[asdict(result) for result in results],
    )
    write_json(run.folder.evaluation_file, found.model_dump(mode="json"))
    if split == "test":
        write_pictures(run.folder, run.model, rows, run.tick)
    write_report(run.folder)
    return found.model_dump(mode="json")
