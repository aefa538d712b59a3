"""Parse a SPEC, the text that names data: `mnist:class=3:binary`, `faces/`, `table.csv`. Does not import NumPy.

A SPEC is a base and views, joined by colons. The base is the name of a data set, a folder of images or a file. If the
text can be split in several ways, the longest base that exists as a path is taken, so paths may contain colons. The
name of a data set wins over a path of the same name (write `./digits` for the folder). A name that is neither is
looked for in the folder `$PLAUSIBLE_DATA`: `emoji64` is `$PLAUSIBLE_DATA/pictures/emoji64.zip`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, cast

from plausible.data.sources import (
    IMAGE_ENDINGS,
    SOURCES,
    Source,
    dataset_names,
    file_endings,
    find_source,
    own_data,
    own_names,
)
from plausible.errors import PlausibleError

if TYPE_CHECKING:
    from plausible.schema import Domain

__all__ = ["Spec", "check_views", "datasets", "known_data", "parse_spec", "split_spec", "views_of"]

_VIEWS: dict[str, tuple[str, str, str]] = {
    ":binary": (
        "pixels sampled as 0 or 1 with the grey level as probability: train anew at each use, the rest once",
        "unchanged",
        "binary",
    ),
    ":fixed": ("as :binary, but sampled once for all rows", "unchanged", "binary"),
    ":class=LABEL": ("only the rows with this label", "unchanged", "unchanged"),
    ":domain=DOMAIN": (
        "binary, unit, real or mixed, instead of the domain found from the values",
        "unchanged",
        "DOMAIN",
    ),
    ":target=NAME": ("of a table: this column is the label; also :label=NAME", "one less", "unchanged"),
    ":size=64": (
        "of pictures: scaled to 64 × 64, the middle cropped; :size=48x64 is 48 wide and 64 high",
        "(1 or 3, 64, 64)",
        "unchanged",
    ),
    ":fit=pad": ("with :size=: white borders instead of cropping", "unchanged", "unchanged"),
    ":header=yes|no": ("of a .csv: whether its first row holds the column names", "unchanged", "unchanged"),
}
_BINARIZATIONS = ("binary", "fixed")
_DOMAINS = ("binary", "unit", "real", "mixed")
_VALUED = {
    "class": "class=3",
    "domain": "domain=unit",
    "target": "target=species",
    "header": "header=yes",
    "size": "size=64",
    "fit": "fit=pad",
}
"""Views with a value, and an example of each."""
_OF_SOME = ("target", "header", "size", "fit")
"""Views that some sources have only; their loaders take them as arguments."""
_SIZE, _LARGEST_SIDE = re.compile(r"([0-9]{1,5})(?:x([0-9]{1,5}))?"), 4096


@dataclass(frozen=True)
class Spec:
    """A parsed SPEC: `mnist:class=3:binary` is `Spec("mnist", ("class=3", "binary"))`."""

    base: str
    views: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join((self.base, *self.views))

    @property
    def source(self) -> Source:
        """The entry of the table of sources that reads the base."""
        found = find_source(self.place)
        if found is None:
            raise PlausibleError(f"unknown data {self.base!r}: {known_data()}")
        return found

    @property
    def place(self) -> str:
        """The name of the data set, or the path: of a name that is found under `$PLAUSIBLE_DATA`, the path there."""
        if self.base in dataset_names() or _exists(self.base):
            return self.base
        return own_data(self.base) or self.base

    @property
    def absolute(self) -> str:
        """The SPEC with an absolute path."""
        base = self.base if self.source.named else os.path.abspath(self.place)  # noqa: PTH100 - keeps links
        return str(Spec(base, self.views))

    @property
    def label(self) -> str | None:
        """The label that `class=LABEL` asks for."""
        return self._value("class")

    @property
    def domain(self) -> Domain | None:
        """The domain that `domain=DOMAIN` asks for."""
        return cast("Domain | None", self._value("domain"))

    @property
    def binarization(self) -> Literal["binary", "fixed"] | None:
        """The view that binarizes grey levels, if any."""
        return next((view for view in ("binary", "fixed") if view in self.views), None)

    @property
    def options(self) -> dict[str, str]:
        """The views that are passed to the loader as arguments."""
        return {name: value for name in _OF_SOME if (value := self._value(name)) is not None}

    def _value(self, name: str) -> str | None:
        start = f"{name}="
        return next((view.removeprefix(start) for view in self.views if view.startswith(start)), None)


def parse_spec(text: str) -> Spec:
    """Split a SPEC into base and views, and check both.

    Raises:
        PlausibleError: an unknown name, view or file ending, a missing file or folder, or views that exclude each
            other. The content is checked by `load`.
    """
    if not text.strip():
        raise PlausibleError(f"the data SPEC is empty: {known_data()}")
    spec = split_spec(text)
    if spec.base not in dataset_names():
        _check_path(text, spec)
    check_views(text, spec.views, spec.source)
    return spec


def views_of(text: str) -> tuple[str, ...]:
    """The views in ":class=3:binary", with or without the first colon."""
    return _as_target(text.removeprefix(":").split(":")) if text else ()


def _as_target(views: Iterable[str]) -> tuple[str, ...]:
    """The views, with label=NAME as target=NAME."""
    return tuple(
        view.replace("label=", "target=", 1) if view.startswith("label=") else view for view in views
    )


def datasets() -> list[tuple[str, str, str, str]]:
    """Everything `load` accepts, including views: (name, description, shape of an example, domain)."""
    sources = [(source.name, source.about, source.shape, source.domain) for source in SOURCES.values()]
    return sources + [(name, *rest) for name, rest in _VIEWS.items()]


def known_data() -> str:
    """Everything that can be named as data, for error messages."""
    own = own_names()
    under = f"; under PLAUSIBLE_DATA {', '.join(own)}" if own else ""
    return f"there is {', '.join(dataset_names())}, a folder of images, or a file ({', '.join(file_endings())}){under}"


def split_spec(text: str) -> Spec:
    """Base and views of a SPEC, or of the description of data in memory, unchecked."""
    parts = text.split(":")
    if parts[0] in dataset_names():
        return Spec(parts[0], _as_target(parts[1:]))
    for end in range(len(parts), 0, -1):
        base = ":".join(parts[:end])
        if _exists(base):
            return Spec(base, _as_target(parts[end:]))
    end = len(parts)
    while end > 1 and _looks_like_view(parts[end - 1]):
        end -= 1
    return Spec(":".join(parts[:end]), _as_target(parts[end:]))


def _looks_like_view(part: str) -> bool:
    return part in _BINARIZATIONS or part.partition("=")[0] in (*_VALUED, "label")


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises on names too long or with a NUL


def _check_path(text: str, spec: Spec) -> None:
    base, ending = spec.place, PurePath(spec.place).suffix.lower()
    if _exists(base):
        if os.path.isdir(base) or (ending in file_endings() and os.path.isfile(base)):  # noqa: PTH112, PTH113
            return
        if ending in IMAGE_ENDINGS:
            raise PlausibleError(f"{base} is one image: give the folder it is in")
        which = f"ends in {ending!r}" if ending else "has no ending"
        raise PlausibleError(
            f"data {base}: a file that {which} cannot be read: "
            f"write it as one of {', '.join(file_endings())}, or give a folder of images"
        )
    if ending in file_endings():
        raise PlausibleError(f"there is no file {base!r}: check the path, it is relative to {os.getcwd()}")  # noqa: PTH109
    if "/" in base or os.sep in base:
        raise PlausibleError(
            f"there is no file or folder {base!r}: check the path, it is relative to {os.getcwd()}"  # noqa: PTH109
        )
    raise PlausibleError(
        f"unknown data {text!r}: {known_data()}{_nearest(base.split(':')[0], [*dataset_names(), *own_names()])}"
    )


def check_views(text: str, views: tuple[str, ...], source: Source) -> None:
    """Check that the views are known, have valid values, occur at most once, and suit the source.

    Raises:
        PlausibleError: they do not.
    """
    for view in views:
        name, _, value = view.partition("=")
        if name in _VALUED:
            _check_value(text, name, value, source)
        elif view not in _BINARIZATIONS:
            near = _nearest(view, [*_BINARIZATIONS, *_VALUED.values()], sign=":")
            raise PlausibleError(
                f"data {text!r}: unknown view {':' + view!r}: there is {', '.join(_VIEWS)}{near}"
            )
    if len([view for view in views if view in _BINARIZATIONS]) > 1:
        raise PlausibleError(f"data {text!r}: binarizes twice: keep one of :binary and :fixed")
    if any(view.startswith("fit=") for view in views) and not any(view.startswith("size=") for view in views):
        raise PlausibleError(f"data {text!r}: :fit= says how a size is reached: add :size=64")
    for name in _VALUED:
        if len([view for view in views if view.startswith(f"{name}=")]) > 1:
            raise PlausibleError(f"data {text!r}: a row has one {name}: keep one :{name}=")


def _check_value(text: str, name: str, value: str, source: Source) -> None:
    if not value:
        what = {"class": "a label", "target": "a column"}.get(name, "a value")
        raise PlausibleError(f"data {text!r}: {name} needs {what}, for instance :{_VALUED[name]}")
    choices = {"domain": _DOMAINS, "header": ("yes", "no"), "fit": ("crop", "pad")}.get(name, ())
    if choices and value not in choices:
        raise PlausibleError(f"data {text!r}: {name} is one of {', '.join(choices)}, not {value!r}")
    if name == "size":
        _check_sides(text, value)
    if name in _OF_SOME and name not in source.views:
        able = [other.name for other in SOURCES.values() if name in other.views]
        raise PlausibleError(f"data {text!r}: :{name}= is for {', '.join(able)}, not for {source.name}")


def _check_sides(text: str, value: str) -> None:
    found = _SIZE.fullmatch(value)
    if found is None or not all(1 <= int(side) <= _LARGEST_SIDE for side in found.groups() if side):
        raise PlausibleError(
            f"data {text!r}: size is a side of 1 to {_LARGEST_SIDE} pixels, :size=64, or width and height, "
            f":size=48x64, not {value!r}"
        )


def _nearest(word: str, choices: list[str], sign: str = "") -> str:
    near = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.5)
    return f"; did you mean {sign}{near[0]}?" if near else ""
