"""A griffe extension: a module's docstring is Markdown, so an indented block in it needs a blank line before it."""

from __future__ import annotations

import re
from typing import Any

import griffe

BLOCK = re.compile(r"^(?=\S)(.+)\n(?= {4}\S)", re.MULTILINE)


class ModuleDocstrings(griffe.Extension):
    """Set the tables of names in module docstrings apart from the lines above them."""

    def on_module(self, *, mod: griffe.Module, **_: Any) -> None:
        if mod.docstring:
            mod.docstring.value = BLOCK.sub(r"\1\n\n", mod.docstring.value)
