"""docs/add-a-model.md: the model that it shows trains, resumes, samples, scores, encodes and is a density."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support import opened, train

TEXT = (Path(__file__).parents[1] / "docs" / "add-a-model.md").read_text(encoding="utf-8")
(MODEL,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_model_of_the_tutorial_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "factors_of_tutorial.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    name = "factors_of_tutorial:FactorAnalysis"
    run = train(name, "digits:domain=real", epochs=5, out="run", latent=3)
    opened(run, model=name).resume(progress=False, epochs=20)
    losses = [event["losses"]["likelihood/nll"] for event in run.events() if event["event"] == "ticks"]
    assert losses[-1] < losses[0] - 10
    run = opened(run, model=name)
    assert run.sample(5).shape == (5, 1, 8, 8)
    scores = run.score("digits:domain=real")
    assert scores.shape == (1797,)
    assert np.isfinite(scores).all()
    codes = run.encode("digits:domain=real")
    assert codes.shape == (1797, 3)
    assert np.allclose(run.decode(codes), run.reconstruct("digits:domain=real"), atol=1e-5)
    metrics = {metric["name"] for metric in run.evaluate()["metrics"]}
    assert {"log-likelihood", "bits per dimension", "probe accuracy"} <= metrics
    assert run.verify().holds
