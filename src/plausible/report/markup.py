"""Small pieces of HTML. Whatever comes from outside passes through `text`; nothing here knows what a run is."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
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


def flat(values: Mapping[str, object], above: str = "") -> list[tuple[str, str]]:
    """A mapping within mappings as rows: `options · k` and its value in words."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above} · {key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            rows += flat({str(inner): item for inner, item in value.items()}, name)
        else:
            rows.append((name, words(value)))
    return rows


def words(value: object) -> str:
    """A JSON value as a person writes it."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, list) and all(isinstance(item, int | float) for item in value):
        return " × ".join(str(item) if isinstance(item, int) else f"{item:g}" for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def decimal(value: float) -> str:
    """A number with five significant digits; a whole one in full; thousands marked, a proper minus sign."""
    if not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "−")
    if 1e-4 <= abs(value) < 1e7:
        places = max(0, 4 - math.floor(math.log10(abs(value))))
        whole, _, fraction = f"{value:,.{places}f}".partition(".")
        fraction = fraction.rstrip("0")
        return f"{whole}.{fraction}".replace("-", "−") if fraction else whole.replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def short(value: float) -> str:
    """A number with at most six decimals; tiny ones in powers of ten."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and abs(value) < 1e-5:
        return f"{value:.0e}".replace("-", "−")
    return f"{value:.6f}".rstrip("0").rstrip(".").replace("-", "−")


def measured(value: float, spread: float | None) -> str:
    """A value with its spread, to the digits the spread gives a meaning to: 212.3 ± 2.1."""
    usable = spread is not None and math.isfinite(spread) and spread > 0 and math.isfinite(value)
    if not usable or spread is None or not 1e-6 < spread < 1e6:
        return decimal(value) + (f" ± {decimal(spread)}" if spread is not None else "")
    places = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value:,.{places}f} ± {spread:,.{places}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.2 s, 3 min 20 s, 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
