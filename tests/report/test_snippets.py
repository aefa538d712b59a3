"""The metric and the picture that CONTRIBUTING shows: registered by their file alone, they show up everywhere."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from support import opened, tiny_options, train

from plausible.jobs.pictures import PICTURES
from plausible.metrics import METRICS

SNIPPETS = Path(__file__).parents[2] / "docs" / "snippets"


@pytest.fixture
def registered():
    """Runs both files, and forgets what they registered."""
    before = dict(METRICS), dict(PICTURES)
    for path in SNIPPETS.glob("*.py"):
        runpy.run_path(str(path))
    yield
    for table, old in zip((METRICS, PICTURES), before, strict=True):
        table.clear()
        table.update(old)


def test_they_are_in_the_run_and_on_its_page(registered, tmp_path):
    run = train("gan", out=tmp_path / "run", epochs=0.5, **tiny_options("gan", "default") | {"batch": 100})
    found = opened(run).evaluate()
    copies = next(line for line in found["metrics"] if line["metric"] == "copies")
    assert 0 <= copies["value"] <= 1
    assert [path.name for path in run.path.glob("pictures/*/mean-image.png")] == ["mean-image.png"]
    page = run.report_file.read_text()
    for text in ("copies", "A sample counts as a copy", "The mean image", "they should look alike"):
        assert text in page
