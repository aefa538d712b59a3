"""What a user may call data: `mnist:class=3:binary`, `faces/`, `table.csv`. No NumPy here.

A SPEC is a base and views, joined by colons. The base is the name of a data set, a folder of images or a
file; of several ways to cut the text, the longest one that exists as a path is the base, so a colon inside a
path does no harm. A data set's name wins over a path of the same name (write `./digits` for the folder).
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from plausible.errors import PlausibleError

Kind = Literal["digits", "mnist", "ring", "grid", "folder", "npy", "npz", "csv"]

NAMED: dict[str, tuple[str, str, str]] = {
    "digits": ("1,797 real handwritten digits of scikit-learn, 17 grey levels, labels", "(1, 8, 8)", "unit"),
    "mnist": ("70,000 handwritten digits, labels; downloaded once if need be", "(1, 28, 28)", "unit"),
    "ring": ("8 Gaussians on a circle of radius 1, 100,000 points, label = mode", "(2,)", "real"),
    "grid": ("25 Gaussians on a 5 × 5 grid, 100,000 points, label = mode", "(2,)", "real"),
}
KINDS: dict[str, tuple[str, str, str]] = {
    "FOLDER/": (
        "a folder of images of one size; its sub-folders are the labels",
        "(1 or 3, height, width)",
        "unit",
    ),
    "FILE.npy": ("an array, one row an example; mapped, not read", "of the array", "found"),
    "FILE.npz": (
        "train, valid and test; or one array; or x and labels y",
        "of the array",
        "found",
    ),
    "FILE.csv": ("a table of numbers, with or without a header", "(columns,)", "found"),
}
VIEWS: dict[str, tuple[str, str, str]] = {
    ":binary": (
        "pixels drawn 0 or 1 with the grey level as probability: train afresh at each use, the rest once",
        "unchanged",
        "binary",
    ),
    ":fixed": ("as :binary, but drawn once for all rows", "unchanged", "binary"),
    ":class=LABEL": ("only the rows with this label", "unchanged", "unchanged"),
}
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FILE_ENDINGS: dict[str, Kind] = {".npy": "npy", ".npz": "npz", ".csv": "csv"}
WHAT_THERE_IS = f"there is {', '.join(NAMED)}, a folder of images, or a file ({', '.join(FILE_ENDINGS)})"


@dataclass(frozen=True)
class Spec:
    """A parsed SPEC: `mnist:class=3:binary` is `Spec("mnist", ("class=3", "binary"))`."""

    base: str
    views: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Which loader the base needs."""
        for name in ("digits", "mnist", "ring", "grid"):
            if self.base == name:
                return name
        return FILE_ENDINGS.get(_ending(self.base), "folder")

    @property
    def label(self) -> str | None:
        """The label that `class=LABEL` asks for."""
        return next((view.removeprefix("class=") for view in self.views if view.startswith("class=")), None)

    @property
    def drawn(self) -> Literal["binary", "fixed"] | None:
        """Which draw the grey levels go through."""
        return next((view for view in ("binary", "fixed") if view in self.views), None)


def parse(text: str) -> Spec:
    """Cut a SPEC into base and views, and say at once what is wrong with it.

    Raises:
        PlausibleError: an unknown name, view or file ending, a missing file or folder, views that exclude
            each other. Whether the content is any good is found by `load`.
    """
    if not text.strip():
        raise PlausibleError(f"the data SPEC is empty: {WHAT_THERE_IS}")
    spec = _cut(text)
    if spec.base not in NAMED:
        _check_path(text, spec)
    _check_views(text, spec.views)
    return spec


def datasets() -> list[tuple[str, str, str, str]]:
    """What `load` understands, views included: (name, what it is, shape of an example, domain)."""
    return [(name, *rest) for table in (NAMED, KINDS, VIEWS) for name, rest in table.items()]


def _cut(text: str) -> Spec:
    parts = text.split(":")
    if parts[0] in NAMED:
        return Spec(parts[0], tuple(parts[1:]))
    for end in range(len(parts), 0, -1):
        base = ":".join(parts[:end])
        if _exists(base):
            return Spec(base, tuple(parts[end:]))
    end = len(parts)
    while end > 1 and _looks_like_view(parts[end - 1]):
        end -= 1
    return Spec(":".join(parts[:end]), tuple(parts[end:]))


def _looks_like_view(part: str) -> bool:
    return part in ("binary", "fixed", "class") or part.startswith("class=")


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises on names too long or with a NUL


def _ending(path: str) -> str:
    return "" if os.path.isdir(path) else PurePath(path).suffix.lower()  # noqa: PTH112 - as above


def _check_path(text: str, spec: Spec) -> None:
    base, ending = spec.base, _ending(spec.base)
    if _exists(base):
        if os.path.isdir(base) or (ending in FILE_ENDINGS and os.path.isfile(base)):  # noqa: PTH112, PTH113
            return
        if ending in IMAGE_ENDINGS:
            raise PlausibleError(f"{base} is one image: give the folder it is in")
        named = f"ends in {ending!r}" if ending else "has no ending"
        raise PlausibleError(
            f"data {base}: a file that {named} is not something this reads: "
            f"write it as one of {', '.join(FILE_ENDINGS)}, or give a folder of images"
        )
    if ending in FILE_ENDINGS:
        raise PlausibleError(f"there is no file {base!r}: check the path, it is relative to {os.getcwd()}")  # noqa: PTH109
    if "/" in base or os.sep in base:
        raise PlausibleError(
            f"there is no file or folder {base!r}: check the path, it is relative to {os.getcwd()}"  # noqa: PTH109
        )
    raise PlausibleError(f"unknown data {text!r}: {WHAT_THERE_IS}{_nearest(base.split(':')[0], list(NAMED))}")


def _check_views(text: str, views: tuple[str, ...]) -> None:
    for view in views:
        if view in ("class", "class="):
            raise PlausibleError(f"data {text!r}: class needs a label, for instance :class=3")
        if view not in ("binary", "fixed") and not view.startswith("class="):
            near = _nearest(view, ["binary", "fixed", "class=3"], sign=":")
            raise PlausibleError(
                f"data {text!r}: unknown view {':' + view!r}: there is {', '.join(VIEWS)}{near}"
            )
    drawn = [view for view in views if view in ("binary", "fixed")]
    if len(drawn) > 1:
        raise PlausibleError(f"data {text!r}: draws the pixels twice: keep one of :binary and :fixed")
    if len(views) - len(drawn) > 1:
        raise PlausibleError(f"data {text!r}: a row has one label: keep one :class=")


def _nearest(word: str, choices: list[str], sign: str = "") -> str:
    near = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.5)
    return f"; did you mean {sign}{near[0]}?" if near else ""
