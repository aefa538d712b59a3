"""Small pieces of HTML. Whatever comes from outside passes through `text`; nothing here knows what a run is."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape


def text(value: object) -> str:
    """Any value as escaped text, safe in an element or a quoted attribute."""
    return escape(str(value), quote=True)


def image(content: bytes, alt: str, kind: str = "png", width: int | None = None) -> str:
    """An image inside the page itself, on the white paper that keeps it readable in the dark."""
    data = base64.b64encode(content).decode()
    style = f' style="max-width:{width}px"' if width else ""
    return f'<span class="paper"><img src="data:image/{kind};base64,{data}" alt="{text(alt)}"{style}></span>'


def missing(sentence: str, command: str = "") -> str:
    """What is not there, and the command that would make it."""
    return f'<p class="missing">{text(sentence)}{f" <code>{text(command)}</code>" if command else ""}</p>'


def section(anchor: str, title: str, body: str) -> str:
    """A titled part of the page, that a link or a screen reader can go to."""
    heading = f'<h2 id="{anchor}-title">{text(title)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n{heading}\n{body}\n</section>'


def settings(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and values under its title."""
    body = "".join(
        f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>\n' for name, value in rows
    )
    return f'<div class="scroll"><table><caption>{text(title)}</caption><tbody>\n{body}</tbody></table></div>'
