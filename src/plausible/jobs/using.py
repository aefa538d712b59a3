"""What one does with a trained model: sample and evaluate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.evaluation.catalog import measure
from plausible.jobs.loading import RunLike, as_run, draw, load, load_at
from plausible.report.html import write_report
from plausible.report.samples import SAMPLE_WRITERS, write_samples
from plausible.runs import write_json


def sample(
    run: RunLike, n: int = 64, *, out: str | os.PathLike[str], seed: int = 0, at: int | None = None
) -> Path:
    """Draw n samples and write them.

    Args:
        run: the run folder.
        n: how many.
        out: FILE.png (a picture), .npy, .npz (key x) or .csv (one row each).
        seed: of the noise.
        at: the tick of a checkpoint.

    Raises:
        PlausibleError: no such run, n < 1, or an ending that is not one of these.
    """
    path = Path(out)
    if n < 1:
        raise PlausibleError(f"-n must be at least 1, not {n}")
    if path.suffix not in SAMPLE_WRITERS:
        raise PlausibleError(f"--out {out}: the ending must be one of {', '.join(SAMPLE_WRITERS)}")
    return write_samples(draw(load(run, at=at), n, seed=seed).numpy(), path)


def evaluate(
    run: RunLike, *, data: str | None = None, metrics: Sequence[str] | None = None, at: int | None = None
) -> dict[str, Any]:
    """Measure a run on the test split, write evaluation.json and the report, and return what was written.

    Args:
        run: the run folder.
        data: a SPEC; default the run's own data.
        metrics: names from `evaluation.catalog.METRICS`; default those that fit the data.
        at: the tick of a checkpoint.

    Raises:
        PlausibleError: no such run, an unknown metric, or data of another shape.
    """
    run = as_run(run)
    config = run.config()
    model, point = load_at(run, at)
    rows = load_data(data or config["data"]["spec"])
    if rows.shape != model.shape:
        raise PlausibleError(f"the model of {run.path} makes {model.shape}, but {rows.spec} has {rows.shape}")
    found = {
        "tick": point.tick,
        "weights": "ema" if config["training"]["ema"] is not None else "trained",
        "data": rows.spec,
        "split": "test",
        "metrics": [asdict(metric) for metric in measure(lambda n: draw(model, n, seed=1), rows, metrics)],
    }
    write_json(run.evaluation_file, found)
    write_report(run)
    return found
