"""The code in CONTRIBUTING.md is complete: its model and subclass train, resume and sample, and the rest shows up."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
from support import opened, restored, train

from plausible.data import SOURCES, datasets, load
from plausible.errors import PlausibleError
from plausible.jobs.pictures import PICTURES
from plausible.jobs.sampling import sample_model
from plausible.metrics import METRICS
from plausible.models.objectives import OBJECTIVES

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
MODEL, SUBCLASS, OBJECTIVE, SOURCE, METRIC, PICTURE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_model_in_contributing_is_complete_and_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mmd_of_contributing.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    name = "mmd_of_contributing:MMD"
    run = train(name, "digits", epochs=2, batch=64, out="run", widths=(32,))
    opened(run, model=name).resume(progress=False, epochs=8)
    losses = [event["losses"]["generator/mmd"] for event in run.events() if event["event"] == "ticks"]
    assert losses[-1] < losses[0] / 2
    samples = sample_model(opened(run, model=name).model, 5)
    assert samples.shape == (5, 1, 8, 8)
    assert bool(torch.isfinite(samples).all())
    assert (run.path / "report.html").stat().st_size > 10_000


def test_the_model_in_contributing_is_about_forty_lines() -> None:
    code = re.sub(r'""".*?"""', "", MODEL, flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 45


def test_the_data_source_in_contributing_loads_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spiral.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        importlib.import_module("spiral")
        data = load("spiral")
        assert (data.shape, data.domain, len(data.train)) == ((2,), "real", 4000)
        assert "spiral" in [name for name, *_ in datasets()]
        assert load("spiral:domain=real").hash == data.hash
        with pytest.raises(PlausibleError, match="did you mean spiral"):
            load("spirla")
        run = train("gan", "spiral", epochs=0.5, out=tmp_path / "run", generator=(8,), discriminator=(8,))
        assert run.stopped() is not None
    finally:
        SOURCES.pop("spiral", None)
        sys.modules.pop("spiral", None)


def test_the_data_source_in_contributing_is_under_fifteen_lines() -> None:
    assert len([line for line in SOURCE.splitlines() if line.strip()]) < 15


def test_the_objective_in_contributing_is_one_function_and_trains(tmp_path: Path) -> None:
    with restored(OBJECTIVES):
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


def test_the_subclass_in_contributing_trains_resumes_and_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy_of_contributing.py").write_text(SUBCLASS)
    monkeypatch.syspath_prepend(tmp_path)
    kind = importlib.import_module("noisy_of_contributing").NoisyGAN
    small = {"generator": (8,), "discriminator": (8,), "instance_noise": 0.3, "lr": 1e-4}
    run = train(kind, "digits", epochs=1, out=tmp_path / "run", **small)
    assert run.config().model.options["instance_noise"] == 0.3
    assert run.config().recipe["lr"] == 1e-4
    again = opened(run, model=kind)
    again.resume(progress=False, epochs=2)
    assert again.model.instance_noise == 0.3
    assert again.sample(3).shape == (3, 1, 8, 8)


def test_the_metric_and_the_picture_in_contributing_are_in_the_run_and_its_report(tmp_path: Path) -> None:
    with restored(METRICS, PICTURES):
        for code in (METRIC, PICTURE):
            exec(compile(code, "CONTRIBUTING.md", "exec"), {})  # noqa: S102 - the point is to run what it says
        small = {"generator": (8,), "discriminator": (8,), "batch": 100}
        run = train("gan", "digits", out=tmp_path / "run", epochs=0.5, **small)
        found = opened(run).evaluate()
        copies = next(line for line in found["metrics"] if line["metric"] == "copies")
        assert 0 <= copies["value"] <= 1
        assert [path.name for path in run.path.glob("pictures/*/mean-image.png")] == ["mean-image.png"]
        page = run.report_file.read_text(encoding="utf-8")
        for text in ("copies", "A sample counts as a copy", "The mean image", "they should look alike"):
            assert text in page
