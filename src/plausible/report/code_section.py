"""The report's section on a code: the pictures that lie in RUN/pictures/TICK/, each with what it says of itself."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from plausible.models.registry import MODELS
from plausible.report import markup
from plausible.report.markup import text
from plausible.runs import Config, RunFolder

TITLES = {
    "reconstructions": "What comes back",
    "plane": "Where the codes lie",
    "manifold": "What lies where",
    "traversal": "One dimension at a time",
    "interpolations": "Between two rows",
}
BESIDE = ("plane", "manifold")
"""Pictures that stand side by side; the others take the page's width."""


def code_section(run: RunFolder, config: Config, weights: str) -> str:
    """The section as HTML; empty for a model without codes to decode.

    Args:
        run: the run folder.
        config: its configuration.
        weights: with which weights the run's jobs work, in words.
    """
    folder, found = newest_pictures(run)
    if folder is None:
        if not _decodes(config):
            return ""
        body = markup.missing(
            "No pictures of the code have been drawn yet:", f"plausible evaluate {run.path}"
        )
        return markup.section("code", "The code", body)
    spec = config.data.spec
    lead = f"At tick {int(folder.name):,}, {weights}; rows of the test split of {spec or 'its data'}."
    others = [f"pictures/{path.name}" for path in picture_folders(run) if path != folder]
    lead += f" Of other ticks: {', '.join(others)} in the run's folder." if others else ""
    figures = {name: _figure(name, *read) for name, read in found.items()}
    beside = "\n".join(figures.pop(name) for name in BESIDE if name in figures)
    first = figures.pop("reconstructions", "")
    parts = [
        f'<p class="soft">{text(lead)}</p>',
        first,
        f'<div class="plots">\n{beside}\n</div>' if beside else "",
    ]
    parts += figures.values()
    if "traversal" not in found:
        words = (
            "These rows are numbers, not images: no strips are drawn of what lies between them. As a table:"
        )
        parts.append(markup.missing(words, f"plausible traverse {run.path} --out traversal.csv"))
    return markup.section("code", "The code", "\n".join(filter(None, parts)))


def newest_pictures(run: RunFolder) -> tuple[Path | None, dict[str, tuple[bytes, str, int]]]:
    """The folder of the best tick, else the latest, with a readable picture: name → (PNG, description, width)."""
    best = run.judgement()
    folders = picture_folders(run)
    if best is not None:
        folders.sort(key=lambda folder: int(folder.name) == best.tick)
    for folder in reversed(folders):
        found = {name: read for name in TITLES if (read := read_png(folder / f"{name}.png")) is not None}
        if found:
            return folder, found
    return None, {}


def picture_folders(run: RunFolder) -> list[Path]:
    """RUN/pictures/TICK, oldest first; unfinished ones have other names and are not among them."""
    folders = [path for path in (run.path / "pictures").glob("*") if path.name.isdecimal() and path.is_dir()]
    return sorted(folders, key=lambda path: int(path.name))


def read_png(path: Path) -> tuple[bytes, str, int] | None:
    """A picture's bytes, its own description and its width; None when it cannot be read as a picture."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.format != "PNG":
                return None
            return content, str(image.info.get("Description", "")), image.width
    except (OSError, ValueError, SyntaxError):  # Pillow raises all three for a damaged PNG
        return None


def _decodes(config: Config) -> bool:
    """Whether the registry's model encodes and decodes."""
    known = MODELS.get(config.model.name)
    return known is not None and "code" in known.capabilities


def _figure(name: str, content: bytes, said: str, width: int) -> str:
    title = TITLES[name]
    picture = markup.image(content, f"{title}: {said.partition('. ')[0]}", width=width)
    return f"<div><h3>{text(title)}</h3><figure>{picture}<figcaption>{text(said)}</figcaption></figure></div>"
