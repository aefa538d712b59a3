"""Quality against core-minutes: evaluate the checkpoints of finished or unfinished runs at given processor times.

    python benchmarks/curve.py RUN... [--minutes 5 15 30 60 120] [--json FILE]

A run is read at its last checkpoint within each budget; train with `--keep 0`, so that all are there. Core-minutes
are processor time of the training process, over all its threads and all its sessions, pictures and checkpoints
included. The metrics are those of `plausible evaluate`: Parzen by the authors' protocol, density and coverage
(k = 5, on the features of `plausible.metrics.feature_network`), all on the test split.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

import plausible
from plausible.data import load as load_data
from plausible.jobs.sampling import sample_model
from plausible.metrics import Subject, measure
from plausible.runs import RunFolder


@dataclass(frozen=True)
class Row:
    """One checkpoint's figures."""

    run: str
    budget: float
    core_minutes: float
    epochs: float
    figures: dict[str, float]
    standard_error: float


def at_budget(run: RunFolder, minutes: float) -> tuple[int, float] | None:
    """The last checkpoint within a budget, as (tick, its core-minutes); None where the run never came so far."""
    spent = [
        (checkpoint.tick, json.loads((checkpoint.path / "state.json").read_text())["cpu_seconds"] / 60)
        for checkpoint in run.checkpoints()
    ]
    within = [pair for pair in spent if pair[1] <= minutes]
    reached = spent and spent[-1][1] >= 0.95 * minutes
    return within[-1] if within and reached else None


def evaluate(run: RunFolder, minutes: float, data: Any) -> Row | None:
    """Measure a run at a budget."""
    found = at_budget(run, minutes)
    if found is None:
        return None
    tick, spent = found
    model = plausible.load(run.path, at=tick).model
    subject = Subject(lambda n: sample_model(model, n, seed=1), data)
    metrics = {result.name: result for result in measure(subject, ("parzen", "fidelity"))}
    config = run.config()
    return Row(
        run=f"{config.model.name} {config.model.preset}, seed {config.training.seed}",
        budget=minutes,
        core_minutes=round(spent, 1),
        epochs=round(tick * config.training.batch / config.data.train, 1),
        figures={name: metric.value for name, metric in metrics.items()},
        standard_error=metrics["parzen"].spread or 0.0,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as markdown."""
    lines = [
        "| run | core-minutes | epochs | Parzen [nats] | density | coverage | precision | recall |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shares = " | ".join(
            f"{row.figures[name]:.3f}" for name in ("density", "coverage", "precision", "recall")
        )
        parzen = f"{row.figures['parzen']:.1f} ± {row.standard_error:.1f}"
        lines.append(f"| {row.run} | {row.core_minutes} | {row.epochs} | {parzen} | {shares} |")
    return "\n".join(lines)


def main(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    minutes: tuple[float, ...] = (5, 15, 30, 60, 120),
    json_file: Path | None = None,
) -> None:
    """Print quality against core-minutes for some runs.

    Args:
        runs: Run folders, trained with --keep 0.
        minutes: Budgets in core-minutes.
        json_file: Write the figures here too.
    """
    data = load_data(RunFolder(runs[0]).config().data.source or "")
    rows = []
    for path in runs:
        for budget in minutes:
            row = evaluate(RunFolder(path), budget, data)
            if row is not None:
                rows.append(row)
    print(table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps([row.__dict__ for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
