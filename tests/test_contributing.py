"""What CONTRIBUTING.md promises: the model that stands in it trains, resumes and samples; so does the objective."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from support import opened, train

from plausible.jobs.loading import draw
from plausible.models.objectives import OBJECTIVES

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
MODEL, OBJECTIVE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_model_in_contributing_is_complete_and_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mmd_of_contributing.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    name = "mmd_of_contributing:MMD"
    run = train(name, "digits", epochs=2, batch=64, out="run", widths=(32,))
    opened(run).resume(progress=False, epochs=8)
    losses = [event["losses"]["generator/mmd"] for event in run.events() if event["event"] == "ticks"]
    assert losses[-1] < losses[0] / 2
    samples = draw(opened(run).model, 5)
    assert samples.shape == (5, 1, 8, 8)
    assert bool(torch.isfinite(samples).all())
    assert (run.path / "report.html").stat().st_size > 10_000


def test_the_model_in_contributing_is_about_forty_lines() -> None:
    code = re.sub(r'""".*?"""', "", MODEL, flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 45


def test_the_objective_in_contributing_is_one_function_and_trains(tmp_path: Path) -> None:
    before = dict(OBJECTIVES)
    try:
        exec(compile(OBJECTIVE, "CONTRIBUTING.md", "exec"), {})  # noqa: S102 - the point is to run what it says
        run = train(
            "gan",
            "digits",
            epochs=1,
            out=tmp_path / "run",
            objective="hinge",
            generator=(8,),
            discriminator=(8,),
        )
        terms = [event["losses"] for event in run.events() if event["event"] == "ticks"]
        assert set(terms[0]) == {
            "discriminator/real",
            "discriminator/fake",
            "discriminator/R1",
            "discriminator/R2",
            "generator/hinge",
        }
    finally:
        OBJECTIVES.clear()
        OBJECTIVES.update(before)
