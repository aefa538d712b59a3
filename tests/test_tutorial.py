"""docs/add-a-model.md and docs/how-to/networks.md: the models that they show do what the pages say."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from support import opened, train

import plausible

DOCS = Path(__file__).parents[1] / "docs"


def snippets(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


(MODEL,) = snippets("add-a-model.md")


@pytest.mark.filterwarnings("ignore:log p.x. of a picture")
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


def test_own_networks_and_a_subclass_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "\n".join(snippets("how-to/networks.md"))
    (tmp_path / "networks_of_page.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        page = importlib.import_module("networks_of_page")
        assert type(page.run.model).__name__ == "ClippedGAN"
        assert np.asarray(page.run.sample(64)).max() <= 0.8 + 1e-6
        loaded = plausible.load("runs/own", generator=page.generator)
        assert np.asarray(loaded.sample(4)).shape == (4, 1, 8, 8)
    finally:
        sys.modules.pop("networks_of_page", None)
