"""Pages that open anywhere, offline: everything inside one file, no script, and a policy that forbids it to fetch.

Pages are jinja2 templates in `templates/`, escaped throughout; a page extends `base.html`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["PageImage", "render", "render_page"]


@dataclass(frozen=True, eq=False)
class PageImage:
    """An image inside the page itself.

    Attributes:
        content: of the file.
        alt: what it shows, in words, for those who cannot see it.
        title: above it.
        caption: below it.
        kind: png, gif or svg+xml.
        width: at most so many pixels wide; else as wide as there is room.
    """

    content: bytes
    alt: str
    title: str = ""
    caption: str = ""
    kind: str = "png"
    width: int | None = None

    @property
    def src(self) -> str:
        """The data URI."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"


def render(template: str, context: dict[str, Any], package: str = "plausible.report") -> Markup:
    """Part of a page.

    Args:
        template: the name of a file in the package's `templates/` or in ours, ending in .html; or the template itself.
        context: its variables; one that is missing is an error.
        package: where the template lies.
    """
    environment = _environment(package)
    found = (
        environment.get_template(template)
        if template.endswith(".html")
        else environment.from_string(template)
    )
    return Markup(found.render(context))  # noqa: S704 - templates escape what they are given


def render_page(template: str, context: dict[str, Any], package: str = "plausible.report") -> bytes:
    """A whole page, UTF-8, from a template that extends base.html; see `render`."""
    return str(render(template, context, package)).encode("utf-8", errors="replace")


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("plausible.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
