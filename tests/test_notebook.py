"""A notebook: train on a DataFrame, look at the run, sample, score, and read the run again elsewhere."""

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = {
    "data": """
import numpy as np, pandas as pd, plausible
rng = np.random.default_rng(0)
df = pd.DataFrame({"age": rng.integers(18, 80, 400), "height": rng.normal(170, 10, 400), "owner": rng.random(400) < .5})
""",
    "train": 'run = plausible.train("vae", df, epochs=30, patience=0, out="runs/people")',
    "display": "run",
    "repr": "print(repr(run))",
    "sample": """
new = run.sample(20)
assert list(new.columns) == list(df.columns) and (new.dtypes == df.dtypes).all(), new.dtypes
new.head()
""",
    "score": """
scores = run.score(df.assign(height=[900.0] + list(df.height[1:])))
assert isinstance(scores, np.ndarray) and scores.shape == (400,) and scores.argmin() == 0
assert (run.score(df[["owner", "height", "age"]]) == run.score(df)).all()
""",
    "reload": """
import os
os.makedirs("elsewhere"); os.chdir("elsewhere")
again = plausible.load("../runs/people")
assert again.sample(20).equals(new)
assert (again.score(df) == run.score(df)).all()
""",
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The cells' outputs, after the notebook has run."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS.values()])
    folder = tmp_path_factory.mktemp("notebook")
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return {name: cell["outputs"] for name, cell in zip(CELLS, notebook.cells, strict=True)}


def html(outputs):
    return "".join(str(output.get("data", {}).get("text/html", "")) for output in outputs)


def test_training_shows_a_bar_that_ends_full(cells):
    assert 'value="1.000"' in html(cells["train"])
    assert "ELBO" in html(cells["train"])


def test_a_run_shows_samples_curves_and_what_it_is(cells):
    shown = html(cells["display"])
    assert "vae on" in shown
    assert "finished" in shown
    assert "data:image/png" in shown
    assert "data:image/svg+xml" in shown
    assert "http" not in shown.replace("http://www.w3.org", "")


def test_the_other_cells_ran(cells):
    assert "<Run runs/people: vae on" in cells["repr"][0]["text"]
    assert "owner" in html(cells["sample"])
