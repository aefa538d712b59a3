"""What a run's JSON files hold: one validated record each, and the one way to read them.

Every record is frozen and knows no keys but its own. A file that was damaged, edited by hand into something else, or
written by a newer plausible is one clear line: the file, the first thing that is wrong with it, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from plausible.errors import PlausibleError
from plausible.schema import Record, Schema

FORMAT = 3
"""Of config.json, best.json, evaluation.json and state.json; 1 and 2 were never released."""
LARGEST_FILE = 1 << 26
TRAINING_SETTINGS = ("precision", "keep")
"""What `resume --set` may change, beside the options of the model and of its recipe."""


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL byte")
    return text


Tick = Annotated[int, Field(ge=0, le=10**15)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_no_nul)]
Text = Annotated[str, Field(max_length=10_000), AfterValidator(_no_nul)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$")]
Format = Annotated[int, Field(ge=FORMAT, le=FORMAT)]
Saved = Literal["schedule", "time", "stop"]
"""Why a checkpoint was saved: it was due by its tick, by the clock, or training stopped there."""


# ------------------------------------------------------------------ config.json
class ModelRecord(Record):
    """Which model: its name in the registry or "module:Class", the preset, and every option at tick 0."""

    name: Name
    preset: Name = "default"
    options: dict[Name, Any]


class DataRecord(Record):
    """Which data.

    Attributes:
        spec: as typed, or what describes data that were handed over in memory.
        source: the SPEC with an absolute path, from which they can be read again; None for data in memory.
        hash: SHA-256 of the values and the splits.
        train, valid, test: rows of each split.
    """

    spec: Text
    source: Text | None
    hash: Digest
    train: Count
    valid: Count
    test: Count


class TrainingRecord(Record):
    """How it is trained: `plausible.training.trainer.Settings`, the threads, the checkpoints kept, and the budget.

    `epochs` and `minutes` are the budget in force, in total; the others hold from tick 0, see `Config.training_at`.
    """

    batch: Annotated[int, Field(ge=1, le=2**53)]
    shards: Annotated[int, Field(ge=1, le=2**31)] = 1
    seed: Count = 0
    ema: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: Annotated[int, Field(ge=1, le=2**20)] = 1
    keep: Count = 3
    epochs: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] | None = None
    minutes: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] | None = None


class Change(Record):
    """What `resume` changed: options and settings from the tick after `tick` on, or the budget (epochs, minutes)."""

    tick: Tick
    time: Name
    set: dict[Name, Any]


class Config(Record):
    """config.json: everything needed to repeat a run.

    Attributes:
        format: of this file.
        plausible: the version that wrote it.
        rows: what the data look like; "schema" in the file.
        recipe: how the model is trained: every field of its `plausible.recipe.Recipe`, at tick 0.
        like: path of the run that this one repeats, if it does.
        weights: where its initial weights came from, in words; they lie in weights.safetensors.
        versions: of the packages that it was trained with.
        machine: that it was trained on.
        history: what was changed on the way, oldest tick first.
    """

    model_config = ConfigDict(populate_by_name=True)

    format: Format = FORMAT
    plausible: Name
    model: ModelRecord
    data: DataRecord
    rows: Schema = Field(alias="schema")
    training: TrainingRecord
    recipe: dict[Name, Any] = Field(default_factory=dict)
    like: Text | None = None
    weights: Text | None = None
    versions: dict[Name, Text] = Field(default_factory=dict)
    machine: Text = ""
    history: tuple[Change, ...] = ()

    def options_at(self, tick: int | None = None) -> dict[str, Any]:
        """The model's options with which a tick is played (tick 0: with which it starts); None: the newest."""
        return self._at(self.model.options, tick)

    def recipe_at(self, tick: int | None = None) -> dict[str, Any]:
        """The fields of the recipe with which a tick is played."""
        return self._at(self.recipe, tick)

    def training_at(self, tick: int | None = None) -> TrainingRecord:
        """The training's settings with which a tick is played; the budget is always the one in force."""
        changed = {name: value for name, value in self._set(tick).items() if name in TRAINING_SETTINGS}
        return TrainingRecord.model_validate(self.training.model_dump() | changed)

    def next_change(self, tick: int) -> int | None:
        """The first tick after `tick` where options or settings change; None if they stay."""
        ticks = (change.tick for change in self.history if change.tick > tick and _of_play(change))
        return min(ticks, default=None)

    def changes_at(self, tick: int) -> bool:
        """Whether options or settings change right after a tick."""
        return any(change.tick == tick and _of_play(change) for change in self.history)

    def as_json(self) -> dict[str, Any]:
        """What stands in the file."""
        return self.model_dump(mode="json", by_alias=True)

    def _at(self, options: dict[str, Any], tick: int | None) -> dict[str, Any]:
        return options | {name: value for name, value in self._set(tick).items() if name in options}

    def _set(self, tick: int | None) -> dict[str, Any]:
        """Everything that changes made before a tick have set: a change at c holds from the tick after c."""
        found: dict[str, Any] = {}
        for change in sorted(self.history, key=lambda change: change.tick):
            if tick is None or change.tick < max(tick, 1):
                found |= change.set
        return found


def _of_play(change: Change) -> bool:
    return bool(change.set.keys() - {"epochs", "minutes"})


# ---------------------------------------------- best.json, evaluation.json, state.json, manifest.json
class Best(Record):
    """best.json: the checkpoint that is worth most on the valid rows, and by what."""

    format: Format = FORMAT
    tick: Tick
    by: Text
    value: float


class MetricRecord(Record):
    """One line of an evaluation, see `plausible.metrics.Result`; `metric` is missing from files of earlier versions."""

    name: Name
    value: float | None
    unit: Text = ""
    higher_is_better: bool | None = None
    spread: float | None = None
    spread_is: Text | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    note: Text = ""
    metric: Text = ""


class Evaluation(Record):
    """evaluation.json: what `evaluate` found."""

    format: Format = FORMAT
    tick: Tick
    weights: Literal["ema", "trained"]
    data: Text = ""
    split: Name = "test"
    metrics: tuple[MetricRecord, ...]


class OptimizerRecord(Record):
    """What an optimizer holds beside tensors: "index/key" → value, and its parameter groups."""

    state: dict[str, Any]
    groups: list[dict[str, Any]]


class State(Record):
    """state.json of a checkpoint: the trainer's state beside tensors.

    Attributes:
        at: why it was saved.
        sums, counts: what was shown since the last report, added up, and in how many ticks.
        kernels: what it was trained with, in order (`Game.kernel_in_use`), one for each change; empty where there is
            only one, and in runs from before this was recorded.
    """

    format: Format = FORMAT
    tick: Tick
    at: Saved = "stop"
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    sums: dict[str, float] = Field(default_factory=dict)
    counts: dict[str, Annotated[int, Field(ge=1, le=10**15)]] = Field(default_factory=dict)
    optimizers: dict[str, OptimizerRecord]
    kernels: tuple[Name, ...] = ()


class Manifest(Record):
    """manifest.json of a folder that was committed: file → SHA-256."""

    sha256: dict[FileName, Digest]


# ----------------------------------------------------------------- events.jsonl
class _Event(Record):
    time: Name
    tick: Tick


class Start(_Event):
    """The run begins."""

    event: Literal["start"]


class Ticks(_Event):
    """A report of progress, see `plausible.training.loop.Progress`."""

    event: Literal["ticks"]
    epoch: float
    done: float = 0.0
    seconds: float
    cpu_seconds: float = 0.0
    rows: Annotated[int, Field(ge=0, le=2**63)]
    losses: dict[str, float] = Field(default_factory=dict)
    shown: dict[str, float] = Field(default_factory=dict)


class Saving(_Event):
    """A checkpoint was saved."""

    event: Literal["checkpoint"]
    at: Saved


class Valid(_Event):
    """What a checkpoint is worth on the valid rows."""

    event: Literal["valid"]
    by: Text
    value: float


class Samples(_Event):
    """Samples were drawn and written."""

    event: Literal["samples"]
    file: Name


class Pictures(_Event):
    """Pictures of the code were drawn and written."""

    event: Literal["pictures"]
    folder: Name


class Stop(_Event):
    """Training stopped."""

    event: Literal["stop"]
    reason: Name
    message: Text | None = None


class Report(_Event):
    """The report of the training's end was written."""

    event: Literal["report"]


Event = Annotated[
    Start | Ticks | Saving | Valid | Samples | Pictures | Stop | Report, Field(discriminator="event")
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


# -------------------------------------------------------------------- reading
R = TypeVar("R", bound=Record)


def read_record(kind: type[R], file: Path, remedy: str) -> R:
    """Read one of the records above from its file.

    Args:
        kind: the record.
        file: that holds it.
        remedy: what the user can do if it is damaged.

    Raises:
        FileNotFoundError: there is no file.
        PlausibleError: it cannot be read, or is not such a record; the message is one line.
    """
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise PlausibleError(f"{file} is too large to be what it should be: {remedy}")
        text = file.read_bytes().decode("utf-8-sig")
        raw = parse_json(text)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise PlausibleError(f"{file} cannot be read: {one_line(_reason(error))}: {remedy}") from error
    _check_format(kind, file, raw)
    try:
        return kind.model_validate_json(text, strict=True)
    except (ValidationError, ValueError, RecursionError) as error:
        raise PlausibleError(
            f"{file} is not what plausible wrote: {first_problem(error)}: {remedy}"
        ) from error


def record(kind: type[R], what: str, **values: Any) -> R:
    """Make a record of values that come from outside.

    Raises:
        PlausibleError: they cannot be stored; the message names the first that cannot.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise PlausibleError(f"{what}: {first_problem(error)}") from error


def parse_json(text: str) -> Any:
    """JSON without duplicate keys.

    Raises:
        ValueError: it is no JSON, or a key stands there twice.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=_without_duplicates)


def first_problem(error: Exception) -> str:
    """The first thing that is wrong with a record, in one line: the key, and why."""
    if not isinstance(error, ValidationError):
        return one_line(_reason(error))
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    said = problem["msg"].removeprefix("Value error, ")
    return one_line(f"{where}: {said}" if where else said)


def one_line(words: str, most: int = 300) -> str:
    """Words without line breaks or characters that cannot be printed, cut short."""
    plain = "".join(c if c.isprintable() else " " for c in " ".join(words.split()))
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


def _check_format(kind: type[Record], file: Path, raw: Any) -> None:
    """Another format than this one's is said before anything else is looked at."""
    if "format" not in kind.model_fields or not isinstance(raw, Mapping):
        return
    found = raw.get("format", 1)
    if isinstance(found, int) and not isinstance(found, bool) and found != FORMAT:
        age = "a newer plausible: update this one" if found > FORMAT else "an older plausible: train it again"
        raise PlausibleError(f"{file} has format {str(found)[:20]}, not {FORMAT}: it was written by {age}")
