"""Numbers as they are printed, the same on the terminal and in the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "COMPARED",
    "flatten",
    "format_decimals",
    "format_duration",
    "format_interval",
    "format_like",
    "format_measurement",
    "format_number",
    "format_value",
    "metric_cells",
    "number_of",
]

LARGEST = 1e100
COMPARED: Mapping[str, str] = {"interval": "95 % interval", "floor": "real", "independent": "indep."}
"""Fields of a metric's result that stand beside its value → the heads of their columns."""


def format_number(value: float) -> str:
    """A number to five significant digits; whole numbers in full, with thousands separators and a minus sign (−)."""
    if not math.isfinite(value):
        return str(value).replace("-", "−")
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "−")
    if 1e-4 <= abs(value) < 1e7:
        places = max(0, 4 - math.floor(math.log10(abs(value))))
        whole, _, fraction = f"{value:,.{places}f}".partition(".")
        fraction = fraction.rstrip("0")
        return f"{whole}.{fraction}".replace("-", "−") if fraction else whole.replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def format_decimals(value: float) -> str:
    """A number with at most six decimals, as in a table of errors; below 1e-5 as a power of ten."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and abs(value) < 1e-5:
        return f"{value:.0e}".replace("-", "−")
    return f"{value:.6f}".rstrip("0").rstrip(".").replace("-", "−")


def format_measurement(value: float | None, spread: float | None = None) -> str:
    """A value and its uncertainty, rounded to two digits of the uncertainty: 212.3 ± 2.1; "–" for no value.

    Without an uncertainty four significant digits, and whole numbers in full.
    """
    if value is None or math.isnan(value):
        return "–"
    if spread is None or math.isnan(spread):
        return format_number(value if float(value).is_integer() else float(f"{value:.4g}"))
    if not (math.isfinite(value) and 1e-6 < spread < 1e6):
        return f"{format_number(value)} ± {format_number(spread)}"
    places = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value:,.{places}f} ± {spread:,.{places}f}".replace("-", "−")


def format_interval(interval: tuple[float, float] | None) -> str:
    """An interval, rounded to two digits of half its width: [0.912, 0.934]; "" for none."""
    if interval is None:
        return ""
    low, high = interval
    return f"[{format_like(low, interval)}, {format_like(high, interval)}]"


def format_like(value: float | None, interval: tuple[float, float] | None) -> str:
    """A value rounded to two digits of half an interval's width, as the figure beside it is; "" for no value."""
    if value is None:
        return ""
    half = (interval[1] - interval[0]) / 2 if interval is not None else 0.0
    if not (math.isfinite(value) and 1e-9 < half < 1e6):
        return format_measurement(value)
    places = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:,.{places}f}".replace("-", "−")


def metric_cells(metric: Mapping[str, Any]) -> dict[str, str]:
    """A metric's value, interval, floor and figure of independent marginals in words, all to the same decimals.

    Args:
        metric: its fields, as `evaluation.json` names them.
    """
    interval, spread = metric.get("interval"), metric.get("spread")
    span = (-spread, spread) if interval is None and spread is not None else interval
    value = metric["value"]
    exact = spread is not None or interval is None or value is None
    return {
        "value": format_measurement(value, spread) if exact else format_like(value, interval),
        "interval": format_interval(interval),
        "floor": format_like(metric.get("floor"), span),
        "independent": format_like(metric.get("independent"), span),
    }


def format_duration(seconds: float) -> str:
    """Seconds as 4.2 s, 3 min 20 s or 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_value(value: object) -> str:
    """Any JSON value in words: "none", "yes", "8 × 8", 1,437."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, list) and all(isinstance(item, int | float) for item in value):
        return " × ".join(str(item) if isinstance(item, int) else f"{item:g}" for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flatten(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (name, value in words), with names such as "options · k"."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix} · {key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            rows += flatten({str(inner): item for inner, item in value.items()}, name)
        else:
            rows.append((name, format_value(value)))
    return rows


def number_of(value: object) -> float:
    """A logged value as a float: NaN for what is not a number, infinity beyond 1e100, which cannot be plotted."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    if value > LARGEST:
        return math.inf
    return -math.inf if value < -LARGEST else float(value)
