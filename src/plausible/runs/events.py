"""The lines of events.jsonl, one validated record for each kind of event."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from plausible.runs.records import Count, Name, Saved, Text, Tick
from plausible.schema import Record

__all__ = ["EVENT"]


class _Event(Record):
    time: Name
    tick: Tick


class _Start(_Event):
    """The run begins."""

    event: Literal["start"]


class _Ticks(_Event):
    """A report of progress, see `plausible.training.loop.Progress`."""

    event: Literal["ticks"]
    epoch: float
    done: float = 0.0
    seconds: float
    cpu_seconds: float = 0.0
    rows: Annotated[int, Field(ge=0, le=2**63)]
    losses: dict[str, float] = Field(default_factory=dict)
    shown: dict[str, float] = Field(default_factory=dict)


class _Saving(_Event):
    """A checkpoint was saved."""

    event: Literal["checkpoint"]
    at: Saved


class _Valid(_Event):
    """The score of a state on the valid rows; `final`: judged only because training stopped there."""

    event: Literal["valid"]
    by: Text
    value: float
    final: bool = False


class TwoSampleRecord(Record):
    """What a two-sample test of samples and validation rows found, see `plausible.metrics.two_sample.TwoSample`."""

    accuracy: float
    interval: tuple[float, float]
    rows: Count


class _Judged(_Event):
    """What samples of a state are like, beside valid rows; `final`: looked at only because training stopped there."""

    event: Literal["judged"]
    two_sample: TwoSampleRecord | None = None
    distinctness: float | None = None
    coverage: float | None = None
    alarm: Text | None = None
    final: bool = False


class _Samples(_Event):
    """Samples were generated and saved."""

    event: Literal["samples"]
    file: Name


class _Pictures(_Event):
    """Pictures of the code were plotted and saved."""

    event: Literal["pictures"]
    folder: Name


class _Warning(_Event):
    """What the user should know about the training's result."""

    event: Literal["warning"]
    message: Text


class _Stop(_Event):
    """Training stopped."""

    event: Literal["stop"]
    reason: Name
    message: Text | None = None


class _Report(_Event):
    """The report of the training's end was written."""

    event: Literal["report"]


_AnyEvent = Annotated[
    _Start | _Ticks | _Saving | _Valid | _Judged | _Samples | _Pictures | _Warning | _Stop | _Report,
    Field(discriminator="event"),
]
EVENT: TypeAdapter[_AnyEvent] = TypeAdapter(_AnyEvent)
