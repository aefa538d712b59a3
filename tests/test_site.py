"""docs/site/check.py finds what it is there for: broken links and anchors, unresolved names, assets from elsewhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

CHECK = Path(__file__).parents[1] / "docs" / "site" / "check.py"
PAGE = (
    '<link rel="stylesheet" href="style.css"><h1 id="top">x</h1>'
    '<a href="other.html#there">to</a> <a href="https://example.org">out</a> <code>[a][b]</code> <img src="p.png">'
)


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check", CHECK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "other.html").write_text('<p id="there">x</p>')
    (tmp_path / "style.css").write_text("p { background: url(p.png) }")
    (tmp_path / "p.png").write_bytes(b"")
    return tmp_path


def test_a_sound_site_has_no_complaints(check: ModuleType, site: Path) -> None:
    assert check.complaints(site) == []
    assert check.main(site) == 0


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("other.html#there", "missing.html", "missing.html: there is no such file"),
        ("#there", "#nowhere", "other.html#nowhere: there is no such anchor"),
        ("#there", "/index.html", "there is no such file"),
        ("<code>[a][b]</code>", "[Game][plausible.game.Game]", "an unresolved name"),
        ("<code>[a][b]</code>", "\n::: plausible.game\n", "an unresolved name"),
        ("p.png", "https://cdn.example.org/p.png", "loaded from elsewhere"),
        ("style.css", "//fonts.example.org/style.css", "loaded from elsewhere"),
        ("p.png", "q.png", "q.png: there is no such file"),
    ],
)
def test_what_is_broken_is_named(check: ModuleType, site: Path, old: str, new: str, complaint: str) -> None:
    page = site / "index.html"
    page.write_text(page.read_text().replace(old, new))
    found = check.complaints(site)
    assert len(found) == 1
    assert found[0].startswith("index.html: ")
    assert complaint in found[0]
    assert check.main(site) == 1


def test_a_style_that_loads_from_elsewhere_is_named(check: ModuleType, site: Path) -> None:
    (site / "style.css").write_text(
        "@import 'https://fonts.example.org/x.css'; p { background: url(//a.org/b.png) }"
    )
    assert len(check.complaints(site)) == 2


def test_an_empty_folder_is_no_site(check: ModuleType, tmp_path: Path) -> None:
    assert "there are no pages" in check.complaints(tmp_path)[0]
