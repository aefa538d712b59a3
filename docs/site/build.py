"""Build the documentation site offline, and check it: `make docs` writes build/docs/index.html.

The site has the repository's own layout (README.md is its home page), so a relative link works on GitHub and on the
site alike, links into src/ included. Formulas become MathML, which browsers draw without a script.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

from check import complaints
from latex2mathml.converter import convert

ROOT = Path(__file__).parents[2]
SOURCE, SITE = ROOT / "build" / "docs-source", ROOT / "build" / "docs"
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def gather() -> None:
    """Copy the pages, and the source files that they may link to, into one folder."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(
        ROOT / "docs", SOURCE / "docs", ignore=shutil.ignore_patterns("*.py", "*.toml", "__pycache__")
    )
    for folder in ("src", "tests", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            copy = SOURCE / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    for page in PAGES:
        shutil.copy(ROOT / page, SOURCE / page)


def formulas(page: Path) -> None:
    """Replace the LaTeX that the Markdown extension has marked by MathML."""
    text = page.read_text(encoding="utf-8")
    written = FORMULA.sub(
        lambda found: convert(
            html.unescape(found[2]).strip(), display="block" if found[1] == "div" else "inline"
        ),
        text,
    )
    if written != text:
        page.write_text(written, encoding="utf-8")


def main() -> int:
    gather()
    shutil.rmtree(SITE, ignore_errors=True)
    zensical = Path(sys.executable).with_name("zensical")
    shutil.copy(Path(__file__).with_name("zensical.toml"), SOURCE.parent)
    built = subprocess.run([zensical, "build", "--clean", "--strict"], cwd=SOURCE.parent)  # noqa: S603
    if built.returncode:
        return built.returncode
    for page in SITE.rglob("*.html"):
        formulas(page)
    found = complaints(SITE)
    print("\n".join(found) if found else f"the site: {SITE / 'index.html'}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
