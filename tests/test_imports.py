"""The import graph of the package, type-only imports included, has no cycle."""

import ast
from pathlib import Path

import pytest

import plausible

SOURCE = Path(plausible.__file__).parent


def module_name(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(sources):
    """Module → the modules that it imports anywhere: at the top, in functions, under TYPE_CHECKING.

    Args:
        sources: module → source code.

    `from a.b import c` is an import of a.b.c if that is a module, and of a.b otherwise: a package's `__init__` gathers
    its modules, and importing one module through its package is not an import of all the others.
    """
    graph = {}
    for name, source in sources.items():
        found = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                whole = (f"{node.module}.{alias.name}" for alias in node.names)
                found |= {module if module in sources else node.module for module in whole}
        graph[name] = (found & sources.keys()) - {name}
    return graph


def find_cycle(graph):
    """Modules that import each other in a circle, first and last the same; None if there are none."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        path.append(name)
        for other in sorted(graph[name]):
            if (cycle := visit(other)) is not None:
                return cycle
        path.pop()
        done.add(name)
        return None

    return next((cycle for name in sorted(graph) if (cycle := visit(name)) is not None), None)


def test_no_module_imports_itself_through_others():
    sources = {module_name(path): path.read_text() for path in SOURCE.rglob("*.py")}
    assert "plausible.run" in sources
    cycle = find_cycle(import_graph(sources))
    assert cycle is None, " → ".join(cycle or [])


@pytest.mark.parametrize(
    "back",
    [
        "from a import x",
        "def f():\n    import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import x",
    ],
)
def test_every_kind_of_cycle_is_found(back):
    assert (
        find_cycle(import_graph({"a": "import b", "b": "from p import c", "p": "", "p.c": back})) is not None
    )
    assert find_cycle(import_graph({"a": "import b", "b": "from p import c", "p": "", "p.c": ""})) is None
