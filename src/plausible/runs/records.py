"""The records in a run's JSON files, one validated pydantic model each, and the function that reads them.

Every record is frozen and refuses unknown keys. A file that is damaged, edited by hand into something else, or written
by a newer plausible gives an error of one line: the file, the first problem, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from plausible.errors import PlausibleError
from plausible.schema import Record, Schema

__all__ = [
    "BUDGET",
    "FORMAT",
    "STATE",
    "TRAINING_SETTINGS",
    "Best",
    "Change",
    "CoderRecord",
    "Config",
    "Count",
    "DataRecord",
    "Evaluation",
    "Manifest",
    "MetricRecord",
    "ModelRecord",
    "Name",
    "OptimizerRecord",
    "Saved",
    "SelectionRecord",
    "State",
    "Text",
    "Tick",
    "TrainingRecord",
    "first_problem",
    "one_line",
    "parse_json",
    "read_record",
    "record",
]

STATE = "state.json"
"""The file of a checkpoint with a `State`."""
FORMAT = 3
"""The format of config.json, best.json, evaluation.json and state.json; formats 1 and 2 were never released."""
_LARGEST_FILE = 1 << 26
BUDGET = ("epochs", "minutes", "core_minutes")
"""What ends a training: totals over all its sessions, whichever is reached first."""
TRAINING_SETTINGS = ("precision", "keep")
"""The training settings that `resume --set` may change, besides the options of the model and its recipe."""


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL byte")
    return text


Tick = Annotated[int, Field(ge=0, le=10**15)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_no_nul)]
Text = Annotated[str, Field(max_length=10_000), AfterValidator(_no_nul)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$")]
_Format = Annotated[int, Field(ge=FORMAT, le=FORMAT)]
Saved = Literal["schedule", "time", "stop"]
"""Why a checkpoint was saved: it was due by its tick or by the clock, or training stopped there."""


# ------------------------------------------------------------------ config.json
class ModelRecord(Record):
    """Which model: its name in the registry or "module:Class", the preset, and every option at tick 0."""

    name: Name
    preset: Name = "default"
    options: dict[Name, Any]


class CoderRecord(Record):
    """The trained coder whose codes the model learns; its weights are in every checkpoint.

    Attributes:
        name: of its model in the registry.
        options: of the model.
        origin: the run and the tick that it was taken from, in words.
    """

    name: Name
    options: dict[Name, Any]
    origin: Text = ""


class DataRecord(Record):
    """Which data.

    Attributes:
        spec: the SPEC as typed, or a description of data in memory.
        source: the SPEC with an absolute path, from which the data can be read again; None for data in memory.
        hash: SHA-256 of the values and the splits.
        train, valid, test: number of rows of each split.
        columns: column of a table → the type that the user asked for.
        drop: columns of a table that the user left out.
    """

    spec: Text
    source: Text | None
    hash: _Digest
    train: Count
    valid: Count
    test: Count
    columns: dict[Name, Text] = Field(default_factory=dict)
    drop: tuple[Text, ...] = ()


class TrainingRecord(Record):
    """How it is trained: `plausible.training.trainer.Settings`, the threads, the checkpoints kept, and the budget.

    `epochs`, `minutes`, `core_minutes` (of processor time) and `patience` are the budget in force, the first three in
    total; the others hold from tick 0, see `Config.training_at`.
    """

    batch: Annotated[int, Field(ge=1, le=2**53)]
    shards: Annotated[int, Field(ge=1, le=2**31)] = 1
    seed: Count = 0
    ema: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    augment: tuple[Literal["flip", "shift"], ...] = ()
    threads: Annotated[int, Field(ge=1, le=2**20)] = 1
    keep: Count = 3
    epochs: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] | None = None
    minutes: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] | None = None
    core_minutes: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] | None = None
    patience: Count = 0


class Change(Record):
    """What `resume` changed: options and settings from the tick after `tick` on, or the budget (BUDGET, patience)."""

    tick: Tick
    time: Name
    set: dict[Name, Any]


class Config(Record):
    """config.json: everything needed to repeat a run.

    Attributes:
        format: the format of this file.
        plausible: the version that wrote it.
        rows: the schema of the data; "schema" in the file.
        recipe: how the model is trained: every field of its `plausible.recipe.Recipe`, at tick 0.
        coder: the coder whose codes the model learns (`train --codes-of`), if any; "schema" is then of what it decodes.
        like: path of the run that this one repeats, if any.
        weights: the origin of its initial weights, in words; they are in weights.safetensors.
        versions: versions of the packages it was trained with.
        machine: the machine it was trained on.
        history: changes made by `resume`, oldest tick first.
    """

    model_config = ConfigDict(populate_by_name=True)

    format: _Format = FORMAT
    plausible: Name
    model: ModelRecord
    data: DataRecord
    rows: Schema = Field(alias="schema")
    training: TrainingRecord
    recipe: dict[Name, Any] = Field(default_factory=dict)
    coder: CoderRecord | None = None
    like: Text | None = None
    weights: Text | None = None
    versions: dict[Name, Text] = Field(default_factory=dict)
    machine: Text = ""
    history: tuple[Change, ...] = ()

    @property
    def model_words(self) -> str:
        """The model's name, and whose codes it learns."""
        return self.model.name if self.coder is None else f"{self.model.name} on codes of {self.coder.name}"

    def options_at(self, tick: int | None = None) -> dict[str, Any]:
        """The model's options at a tick (tick 0: at the start); None: the newest."""
        return self._at(self.model.options, tick)

    def recipe_at(self, tick: int | None = None) -> dict[str, Any]:
        """The fields of the recipe at a tick."""
        return self._at(self.recipe, tick)

    def training_at(self, tick: int | None = None) -> TrainingRecord:
        """The training settings at a tick; the budget is always the current one."""
        changed = {name: value for name, value in self._set(tick).items() if name in TRAINING_SETTINGS}
        return TrainingRecord.model_validate(self.training.model_dump() | changed)

    def next_change(self, tick: int) -> int | None:
        """The first tick after `tick` at which options or settings change; None if they do not."""
        ticks = (change.tick for change in self.history if change.tick > tick and _of_play(change))
        return min(ticks, default=None)

    def changes_at(self, tick: int) -> bool:
        """Whether options or settings change right after a tick."""
        return any(change.tick == tick and _of_play(change) for change in self.history)

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return self.model_dump(mode="json", by_alias=True)

    def _at(self, options: dict[str, Any], tick: int | None) -> dict[str, Any]:
        return options | {name: value for name, value in self._set(tick).items() if name in options}

    def _set(self, tick: int | None) -> dict[str, Any]:
        """All values set by changes before a tick: a change at tick c applies from c + 1 on."""
        found: dict[str, Any] = {}
        for change in sorted(self.history, key=lambda change: change.tick):
            if tick is None or change.tick < max(tick, 1):
                found |= change.set
        return found


def _of_play(change: Change) -> bool:
    return bool(change.set.keys() - {*BUDGET, "patience"})


# ---------------------------------------------- best.json, evaluation.json, state.json, manifest.json
class Best(Record):
    """best.json: the state that is best on the valid rows, and by which criterion.

    Attributes:
        tick: of the state.
        checkpoint: the checkpoint that holds its weights: its own, if it is of the same tick, else beside them.
        by, value: what it was judged by, and how good it is; higher is better.
    """

    format: _Format = FORMAT
    tick: Tick
    checkpoint: Tick
    by: Text
    value: float


class MetricRecord(Record):
    """One line of an evaluation, see `plausible.metrics.Result`; `metric` names the metric it belongs to."""

    name: Name
    value: float | None
    unit: Text = ""
    higher_is_better: bool | None = None
    spread: float | None = None
    spread_is: Text | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    note: Text = ""
    metric: Text = ""
    interval: tuple[float, float] | None = None
    floor: float | None = None
    independent: float | None = None
    chance: float | None = None

    def capped(self) -> Self:
        """The record with its value and interval no better than `chance`, by which it is ranked."""
        if self.chance is None or self.higher_is_better is None or self.value is None:
            return self
        cap = min if self.higher_is_better else max
        ends = self.interval and tuple(cap(end, self.chance) for end in self.interval)
        return self.model_copy(update={"value": cap(self.value, self.chance), "interval": ends})


class Evaluation(Record):
    """evaluation.json: the result of `evaluate`."""

    format: _Format = FORMAT
    tick: Tick
    weights: Literal["ema", "trained"]
    data: Text = ""
    split: Name = "test"
    metrics: tuple[MetricRecord, ...]


class OptimizerRecord(Record):
    """An optimizer's state apart from tensors: "index/key" → value, and its parameter groups."""

    state: dict[str, Any]
    groups: list[dict[str, Any]]


class SelectionRecord(Record):
    """The best judged state so far, see `plausible.training.selection.Selection`; without a tick there is none."""

    last: Tick
    tick: Tick | None = None
    by: Text = ""
    value: float | None = None
    stale: Count = 0


class State(Record):
    """state.json of a checkpoint: the trainer's state apart from tensors.

    Attributes:
        at: why it was saved.
        sums, counts: sums of the numbers shown since the last progress report, and the number of ticks in each.
        kernels: what it was trained with, in order (`Game.kernel_in_use`), one for each change; empty where there is
            only one, and in runs from before this was recorded.
        selection: the best judged state so far; None where nothing was judged.
    """

    format: _Format = FORMAT
    tick: Tick
    at: Saved = "stop"
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    sums: dict[str, float] = Field(default_factory=dict)
    counts: dict[str, Annotated[int, Field(ge=1, le=10**15)]] = Field(default_factory=dict)
    optimizers: dict[str, OptimizerRecord]
    kernels: tuple[Name, ...] = ()
    selection: SelectionRecord | None = None


class Manifest(Record):
    """manifest.json of a folder that was committed: file → SHA-256."""

    sha256: dict[_FileName, _Digest]


# -------------------------------------------------------------------- reading
_R = TypeVar("_R", bound=Record)


def read_record(kind: type[_R], file: Path, remedy: str) -> _R:
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
        if file.stat().st_size > _LARGEST_FILE:
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


def record(kind: type[_R], what: str, **values: Any) -> _R:
    """Create a record from unchecked values.

    Raises:
        PlausibleError: a value cannot be stored; the message names the first such value.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise PlausibleError(f"{what}: {first_problem(error)}") from error


def parse_json(text: str) -> Any:
    """Parse JSON without duplicate keys.

    Raises:
        ValueError: it is not JSON, or a key occurs twice.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_without_duplicates)


def first_problem(error: Exception) -> str:
    """The first problem of a record, in one line: the key, and what is wrong with it."""
    if not isinstance(error, ValidationError):
        return one_line(_reason(error))
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    said = problem["msg"].removeprefix("Value error, ")
    return one_line(f"{where}: {said}" if where else said)


def one_line(words: str, most: int = 300) -> str:
    """Text without line breaks and unprintable characters, truncated."""
    plain = "".join(c if c.isprintable() else " " for c in " ".join(words.split()))
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return found


def _check_format(kind: type[Record], file: Path, raw: Any) -> None:
    """Check the format before anything else."""
    if "format" not in kind.model_fields or not isinstance(raw, Mapping):
        return
    found = raw.get("format", 1)
    if isinstance(found, int) and not isinstance(found, bool) and found != FORMAT:
        age = "a newer plausible: update this one" if found > FORMAT else "an older plausible: train it again"
        raise PlausibleError(f"{file} has format {str(found)[:20]}, not {FORMAT}: it was written by {age}")
