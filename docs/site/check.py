"""Check the built site: no broken link or anchor, no unresolved name, nothing loaded from elsewhere.

`make docs` ends with it; `python docs/site/check.py FOLDER` checks any folder of HTML. Exit status 1 if it finds
anything.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parents[2] / "build" / "docs"
LOADING = {"script", "img", "source", "video", "audio", "iframe"}
VERBATIM = {"code", "pre", "script", "style", "math"}
REFERENCE = re.compile(r"\[[^\[\]\n]+\]\[[\w.`-]*\]|^\s*:::\s*\S+", re.MULTILINE)
CSS_URL = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)")
ELSEWHERE = re.compile(r"(?:https?:)?//")


class Page(HTMLParser):
    """What a page links to, what it loads, what can be linked to in it, and its text outside code."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.text: list[str] = []
        self.unresolved: list[str] = []
        self.inside = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.inside += tag in VERBATIM
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") not in {"canonical", "alternate", "edit"} and "href" in given:
            self.loads.append(given["href"])
        if tag in LOADING and "src" in given:
            self.loads.append(given["src"])
        if tag == "autoref":
            self.unresolved.append(given.get("identifier", "?"))
        if "style" in given:
            self.loads += CSS_URL.findall(given["style"])

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag in VERBATIM

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.text.append(data)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.unresolved += REFERENCE.findall("".join(page.text))
    return page


def broken(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Links and loaded files that lead nowhere in the site."""
    found = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            base = site if parts.path.startswith("/") else path.parent
            target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{path.relative_to(site)}: {link}: there is no such file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{path.relative_to(site)}: {link}: there is no such anchor")
    return found


def outside(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Scripts, styles, fonts and pictures that a reader without a network would miss."""
    found = [
        f"{path.relative_to(site)}: {link}: loaded from elsewhere"
        for path, page in pages.items()
        for link in page.loads
        if ELSEWHERE.match(link)
    ]
    for path in site.rglob("*.css"):
        found += [
            f"{path.relative_to(site)}: {link}: loaded from elsewhere"
            for link in CSS_URL.findall(path.read_text(encoding="utf-8"))
        ]
    return found


def complaints(site: Path) -> list[str]:
    """Everything that is wrong with the site, a line each.

    404.html is left out: its links start at the root of a server.
    """
    site = site.resolve()
    pages = {path: read(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    if not pages:
        return [f"{site}: there are no pages"]
    unresolved = [
        f"{path.relative_to(site)}: {name}: an unresolved name"
        for path, page in pages.items()
        for name in page.unresolved
    ]
    return broken(site, pages) + unresolved + outside(site, pages)


def main(site: Path = SITE) -> int:
    found = complaints(site)
    print("\n".join(found) if found else f"{site}: all links, names and assets are in order")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
