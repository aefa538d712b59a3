"""docs/notebooks/table.ipynb runs, and docs/how-to/a-table.md shows the same cells and commands that work."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from plausible.cli import main

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "how-to" / "a-table.md").read_text(encoding="utf-8")
FOUND = """
import json
print(json.dumps({
    "kinds": {c.name: c.kind for c in run.schema.columns},
    "auroc": auroc, "errors": errors, "trees": trees,
    "hills": bool(((hills.district == "hills") & (hills.area > 90)).all()), "sampled": len(hills),
    "marked": int(marked.sum()), "right": int(marked[wrong].sum()), "gaps": int(filled.isna().sum().sum()),
    "reasons": reason[wrong[:2]].tolist(),
}))
"""


def notebook() -> Any:
    return nbformat.read(DOCS / "notebooks" / "table.ipynb", as_version=4)


def commands() -> list[list[str]]:
    blocks = re.findall(r"```\n(plausible .*?)```", PAGE, re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines()]


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)


def test_the_page_shows_cells_of_the_notebook() -> None:
    cells = [cell.source for cell in notebook().cells if cell.cell_type == "code"]
    shown = re.findall(r"```python\n(.*?)\n```", PAGE, re.DOTALL)
    assert len(shown) >= 6
    assert [block for block in shown if block not in cells] == []
    assert [cells.index(block) for block in shown] == sorted(cells.index(block) for block in shown)


@pytest.mark.slow
def test_the_notebook_and_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLAUSIBLE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    book = notebook()
    book.cells.append(nbformat.v4.new_code_cell(FOUND))
    resources = {"metadata": {"path": tmp_path}}
    NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    found = json.loads(book.cells[-1].outputs[0]["text"])
    assert (found["kinds"]["condition"], found["kinds"]["listed"]) == ("ordinal", "date")
    assert (found["hills"], found["sampled"], found["gaps"]) == (True, 200, 0)
    assert found["auroc"]["mixed"] > 0.95
    assert found["right"] >= 5
    assert found["reasons"] == ["rent", "rent"]
    assert found["errors"]["mixed"] < 0.5 * found["errors"]["the column's median"]
    assert found["trees"]["mixed"] < 0.65
    for words in commands():
        quick = ["0.02" if word == "0.4" else word for word in words]
        assert main(quick) == 0, words
    assert pd.read_csv("filled.csv").notna().all().all()
    assert (pd.read_csv("hills.csv").area > 90).all()
    assert "reason" in pd.read_csv("reasons.csv")
