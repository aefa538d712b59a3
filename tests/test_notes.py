"""docs/from-the-notes.md and its Korean twin: every snippet runs and shows what the page says; nothing is left out."""

from __future__ import annotations

import doctest
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from plausible import probability, theory

DOCS = Path(__file__).parents[1] / "docs"
ENGLISH, KOREAN = DOCS / "from-the-notes.md", DOCS / "from-the-notes.ko.md"
PAGES = pytest.mark.parametrize("page", [ENGLISH, KOREAN], ids=lambda page: page.name)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def snippets(text: str) -> list[tuple[int, str]]:
    """(line of the first statement, code) of every ```python block."""
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, block.start(1)) + 1, block[1]) for block in blocks]


class Collector(doctest.DocTestRunner):
    """Runs snippets and keeps one complaint, with page:line, for each statement that shows something else."""

    def __init__(self) -> None:
        super().__init__(verbose=False, optionflags=FLAGS)
        self.complaints: list[str] = []

    def report_failure(
        self, out: Callable[[str], object], test: doctest.DocTest, example: doctest.Example, got: str
    ) -> None:
        self._complain(test, example, got)

    def report_unexpected_exception(
        self, out: Callable[[str], object], test: doctest.DocTest, example: doctest.Example, exc_info: tuple
    ) -> None:
        self._complain(test, example, "".join(traceback.format_exception_only(exc_info[1])))

    def _complain(self, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        line = (test.lineno or 0) + example.lineno + 1
        self.complaints.append(
            f"{test.filename}:{line}: {example.source.strip()}\n  expected: {example.want.strip() or 'nothing'}\n"
            f"  got:      {got.strip() or 'nothing'}"
        )


def wrong(name: str, text: str) -> tuple[list[str], int]:
    """The complaints about a page, its snippets run as one session in their order, and how many statements ran."""
    session = {"__name__": "__main__"}
    runner = Collector()
    for line, code in snippets(text):
        test = doctest.DocTestParser().get_doctest(code, session, name, name, line - 1)
        test.globs = session  # get_doctest made a copy
        runner.run(test, clear_globs=False)
    return runner.complaints, runner.summarize(verbose=False).attempted


def public(module: ModuleType) -> list[str]:
    """The module's `__all__`; without one, the names without an underscore that were defined in it."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    own = [
        name
        for name, thing in vars(module).items()
        if name.isupper() or getattr(thing, "__module__", "").startswith(module.__name__)
    ]
    return [name for name in own if not name.startswith("_")]


@PAGES
def test_every_snippet_shows_what_the_page_says(page: Path) -> None:
    complaints, statements = wrong(f"docs/{page.name}", read(page))
    assert not complaints, "\n".join(complaints)
    assert statements > 100


def test_a_wrong_number_is_reported_with_its_line() -> None:
    text = "# x\n\n```python\n>>> a = 1\n>>> a\n1\n```\n\n```python\n>>> a + 1\n3\n>>> b\n2\n>>> a\n```\n"
    complaints, statements = wrong("page.md", text)
    assert statements == 5
    assert [complaint.splitlines()[0] for complaint in complaints] == [
        "page.md:10: a + 1", "page.md:12: b", "page.md:14: a"
    ]  # fmt: skip
    assert "expected: 3" in complaints[0]
    assert "got:      2" in complaints[0]
    assert "NameError" in complaints[1]
    assert "expected: nothing" in complaints[2]


@PAGES
def test_no_snippet_escapes_the_check(page: Path) -> None:
    text = read(page)
    blocks = snippets(text)
    assert text.count(">>> ") == sum(code.count(">>> ") for _, code in blocks)
    assert text.count("```python") == len(blocks)
    assert all(doctest.DocTestParser().get_examples(code) for _, code in blocks)


def test_both_pages_run_the_same_code() -> None:
    english, korean = ([code for _, code in snippets(read(page))] for page in (ENGLISH, KOREAN))
    assert english == korean


@pytest.mark.parametrize(
    "mark",
    [r"^(#+) ", r"^(> \*)\*", r"^(\*\*)\w+\.\*\* ", r"(\$+)", r"^(\|) "],
    ids=["headings", "slips", "commands", "formulas", "table rows"],
)
def test_both_pages_are_built_alike(mark: str) -> None:
    english, korean = (re.findall(mark, read(page), re.MULTILINE) for page in (ENGLISH, KOREAN))
    assert len(english) > 2
    assert english == korean


@PAGES
@pytest.mark.parametrize("module", [probability, theory], ids=lambda module: module.__name__)
def test_every_public_name_has_its_place(page: Path, module: ModuleType) -> None:
    names, text = public(module), read(page)
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *(block for _, block in snippets(text))])
    assert len(names) > 15
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


@PAGES
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", read(page))
    local = [link.split("#")[0] for link in links if not re.match(r"\w+:|#", link)]
    assert local
    assert [link for link in local if not (page.parent / link).exists()] == []


@PAGES
def test_lines_are_short(page: Path) -> None:
    long = [i for i, line in enumerate(read(page).splitlines(), 1) if len(line) > 120]
    assert long == []
