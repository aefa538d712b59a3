"""The frame of every page we write: one file that opens anywhere, offline."""

from __future__ import annotations

from importlib.resources import files

from plausible.report.markup import text

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, header: str, body: str, written: str) -> bytes:
    """A whole page, UTF-8: the style inside, no script, and a policy that forbids it to fetch anything.

    Args:
        title: in words.
        header: HTML above the sections.
        body: the sections, HTML.
        written: who wrote it and from what, in words.
    """
    style = files("plausible.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<div class="page">
{header}
<main>
{body}
</main>
<footer>{text(written)}
This file needs nothing else: it can be moved, mailed or archived as it is.</footer>
</div>
</body>
</html>
""".encode("utf-8", errors="replace")
