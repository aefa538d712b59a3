"""Types of arguments that several verbs share, and how a verb opens a run and says what it wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from plausible.data import parse_spec
from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from plausible.run import Run

__all__ = [
    "At",
    "Count",
    "Examples",
    "Fit",
    "Given",
    "Json",
    "Labels",
    "Own",
    "Quiet",
    "RunPath",
    "Samples",
    "Seed",
    "Size",
    "arg",
    "column_types",
    "open_run",
    "say",
    "sized",
]

arg = tyro.conf.arg
RunPath = tyro.conf.Positional[Annotated[Path, arg(metavar="RUN", help="The run folder.")]]
At = Annotated[int | None, arg(help="The tick of a checkpoint; default the best, else the newest.")]
Own = Annotated[
    str | None,
    arg(
        name="model",
        metavar="MODULE:CLASS",
        help="A model that is not part of plausible, if the run has one and you trust it: it is imported.",
    ),
]
Seed = Annotated[int, arg(help="Random seed.")]
Count = Annotated[int | None, arg(aliases=["-n"])]
Labels = Annotated[
    tuple[str, ...] | None,
    arg(help="Classes to sample in turn, by name or number (models trained with --classes)."),
]
Given = Annotated[str, arg(help="A SPEC, see `plausible datasets`. Columns with names are matched by name.")]
Examples = Annotated[Path, arg(help="FILE.png for a picture, .npy, .npz or .csv for numbers.")]
Samples = Annotated[
    Path,
    arg(
        help="FOLDER for a PNG of each picture in its own size (a folder left unfinished is continued); FILE.png for "
        "one picture in its own size (-n 1) or a contact sheet; .npy, .npz or .csv for numbers."
    ),
]
Size = Annotated[
    str | None,
    arg(help="Scale the pictures of a folder or zip to 64, or 48x64 (width x height); as the view :size=64."),
]
Fit = Annotated[
    Literal["crop", "pad"] | None,
    arg(help="How --size is reached: the middle is cropped (default), or white borders are added."),
]
Json = Annotated[bool, arg(help="Print the result as JSON.")]
Quiet = Annotated[bool, arg(help="Print nothing but errors.")]


def column_types(words: Sequence[str]) -> dict[str, str]:
    """["age=integer"] → {"age": "integer"}; a column's name may have = in it.

    Raises:
        PlausibleError: one is not NAME=TYPE.
    """
    found = {}
    for each in words:
        parts = re.fullmatch(r"(.+?)=((?:[a-z]+|ordinal:.*))", each)
        if parts is None:
            raise PlausibleError(f"--column {each}: write NAME=TYPE, such as --column age=integer")
        found[parts[1]] = parts[2]
    return found


def say(path: Any) -> int:
    print(path)
    return 0


def sized(data: str | None, size: str | None, fit: str | None) -> str | None:
    """The SPEC with the views that --size and --fit stand for, checked.

    Raises:
        PlausibleError: a SPEC that cannot be, or a size without one.
    """
    views = [f"{name}={value}" for name, value in (("size", size), ("fit", fit)) if value is not None]
    if data is None:
        if views:
            raise PlausibleError("--size and --fit are for pictures: give --data, too")
        return None
    text = ":".join((data, *views))
    parse_spec(text)
    return text


def open_run(run: Path, at: int | None = None, model: str | None = None) -> Run:
    """The run; a folder that is none is refused before torch is imported."""
    from plausible.runs import RunFolder

    RunFolder(run).config()
    import plausible

    return plausible.load(run, at=at, model=model)
