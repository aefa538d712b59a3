"""The head of a report: which run it is, how it ended, how far it got."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plausible.formatting import format_duration, format_number, format_value, number_of
from plausible.runs import Config, RunFolder

__all__ = ["Header", "Status", "header_of", "title_of", "weights_of"]

Events = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Status:
    """How a run stands: a word, its tone (good, warn, bad), a sentence, a command to go on, what stopped it."""

    badge: str
    tone: str
    sentence: str
    command: str = ""
    message: str = ""


@dataclass(frozen=True)
class Header:
    """What stands above the sections."""

    model: str
    data: str
    about: str
    status: Status
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()


def header_of(run: RunFolder, config: Config, events: Events) -> Header:
    """The header of a run's report."""
    shape = format_value(list(config.rows.shape))
    about = f"preset {config.model.preset} · shape {shape} · {config.rows.domain} values"
    return Header(
        config.model_words, config.data.spec, about, _status(run, events), _facts(events), _warnings(events)
    )


def title_of(config: Config) -> str:
    """Model and data."""
    return f"{config.model_words} on {config.data.spec}" if config.data.spec else config.model_words


def weights_of(config: Config) -> str:
    """With which weights the run's jobs work."""
    if config.training.ema is not None:
        return f"with the averaged weights (EMA, decay {format_value(config.training.ema)})"
    return "with the trained weights (no EMA)"


def _status(run: RunFolder, events: Events) -> Status:
    resume = f"plausible resume {run.path}"
    if not events:
        return Status("not started", "warn", "nothing has been logged yet")
    last = next((event for event in reversed(events) if event["event"] in ("start", "stop")), {})
    if last.get("event") != "stop":
        return Status("not stopped", "warn", "still training, or killed; if killed, continue with", resume)
    where, message = f" at tick {last['tick']:,}", str(last.get("message") or "")
    endings = {
        "finished": ("finished", "good", f"all epochs done{where}", ""),
        "minutes": ("finished", "good", f"its training time was used up{where}; for more,", resume),
        "patience": (
            "finished",
            "good",
            f"nothing better on the valid rows for a while{where}; to go on all the same,",
            f"{resume} --patience 0",
        ),
        "core-minutes": ("finished", "good", f"its processor time was used up{where}; for more,", resume),
        "SIGINT": ("interrupted", "warn", f"stopped by Ctrl-C (SIGINT){where}; continue with", resume),
        "SIGHUP": ("interrupted", "warn", f"its terminal was closed (SIGHUP){where}; continue with", resume),
        "SIGTERM": ("interrupted", "warn", f"stopped by the system (SIGTERM){where}; continue with", resume),
        "diverged": ("diverged", "bad", f"a loss was no longer finite{where}", ""),
        "error": ("failed", "bad", f"an error stopped it{where}; when fixed,", resume),
    }
    reason = str(last.get("reason"))
    return Status(*endings.get(reason, ("stopped", "warn", reason + where, "")), message)


def _warnings(events: Events) -> list[str]:
    """What the log warns of."""
    return [str(event["message"]) for event in events if event["event"] == "warning"]


def _facts(events: Events) -> list[tuple[str, str]]:
    """Tick, epochs, training time and throughput, each from the last line that has it."""
    epoch, seconds, rows = (_last(events, key) for key in ("epoch", "seconds", "rows"))
    tick = max((number_of(event.get("tick", 0)) for event in events), default=0.0)
    rate = rows / seconds if seconds > 0 else math.nan
    return [
        ("tick", f"{tick:,.0f}"),
        ("epochs", "–" if math.isnan(epoch) else format_number(round(epoch, 2))),
        ("training time", "–" if math.isnan(seconds) else format_duration(seconds)),
        ("training samples / s", "–" if math.isnan(rate) else f"{rate:,.{0 if rate >= 10 else 1}f}"),
    ]


def _last(events: Events, key: str) -> float:
    found = (number_of(event.get(key)) for event in reversed(events) if event["event"] == "ticks")
    return next((value for value in found if not math.isnan(value)), math.nan)
