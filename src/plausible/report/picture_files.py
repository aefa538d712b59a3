"""The pictures in RUN/pictures/TICK/, with what they say of themselves."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from plausible.report.page import PageImage
from plausible.runs import RunFolder

__all__ = ["PictureFile", "newest_pictures", "picture_folders", "read_png"]

LAST = "999"
"""Where pictures that do not say their place stand."""


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A PNG file: its content, its width in pixels, and its text."""

    name: str
    content: bytes
    width: int
    title: str
    description: str
    place: str
    beside: bool

    def on_page(self) -> PageImage:
        """The picture with its title and caption."""
        alt = f"{self.title}: {self.description.partition('. ')[0]}" if self.description else self.title
        return PageImage(self.content, alt, self.title, self.description, width=self.width)


def newest_pictures(run: RunFolder) -> tuple[Path | None, list[PictureFile]]:
    """The folder of the best tick, else the latest, that has a readable picture; and its pictures in order."""
    best = run.judgement()
    folders = picture_folders(run)
    if best is not None:
        folders.sort(key=lambda folder: int(folder.name) == best.tick)
    for folder in reversed(folders):
        found = [read for path in sorted(folder.glob("*.png")) if (read := read_png(path)) is not None]
        if found:
            return folder, sorted(found, key=lambda picture: picture.place)
    return None, []


def picture_folders(run: RunFolder) -> list[Path]:
    """RUN/pictures/TICK, oldest first; unfinished ones have other names and are not among them."""
    folders = [path for path in (run.path / "pictures").glob("*") if path.name.isdecimal() and path.is_dir()]
    return sorted(folders, key=lambda path: int(path.name))


def read_png(path: Path) -> PictureFile | None:
    """A picture with its text; None when it cannot be read as a PNG."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.format != "PNG":
                return None
            text = {key: str(value) for key, value in image.info.items() if isinstance(key, str)}
            return PictureFile(
                path.stem,
                content,
                image.width,
                text.get("Title", path.stem),
                text.get("Description", ""),
                text.get("Place", LAST),
                text.get("Beside") == "yes",
            )
    except (OSError, ValueError, SyntaxError):  # Pillow raises all three for a damaged PNG
        return None
