"""`plausible train` and `plausible resume`."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import tyro
from tyro.conf import UseAppendAction

from plausible.cli.options import Json, Own, Quiet, RunPath, arg, column_types, open_run, sized
from plausible.data import parse_spec
from plausible.errors import PlausibleError
from plausible.models.registry import MODELS, entry
from plausible.progress import is_main_process, show_run

if TYPE_CHECKING:
    from plausible.run import Run

__all__ = ["SIGINT", "TrainOptions", "resume", "train"]

SIGINT = 130
UNPREFIXED = (tyro.conf.OmitArgPrefixes,)


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Options of every training; those of a model and of its recipe are shown by `plausible train MODEL --help`."""

    data: str | None = None
    """What to train on: a SPEC, see `plausible datasets`. Default digits, or the data of --like or --codes-of."""
    target: str | None = None
    """The column of a table that holds the labels."""
    size: str | None = None
    """Scale the pictures of a folder or zip to 64, or 48x64 (width x height); as the view :size=64."""
    fit: Literal["crop", "pad"] | None = None
    """How --size is reached: the middle is cropped (default), or white borders are added."""
    column: UseAppendAction[tuple[str, ...]] = ()
    """The type of a column of a table, NAME=TYPE: real, integer, binary, category, ordinal, ordinal:LOW<…<HIGH or date.
    Default: as found, see the table printed before training."""
    drop: UseAppendAction[tuple[str, ...]] = ()
    """A column of a table to leave out."""
    preset: str | None = None
    """A named choice of options; anything given here wins over it. Default: the one that the model prefers for the
    data."""
    epochs: float | None = None
    """Stop after this many passes over the training rows."""
    minutes: float | None = None
    """Stop after this much training time."""
    core_minutes: float | None = None
    """Stop after this much processor time. Without any of the three: the preset's budget, else 5 minutes."""
    batch: int | None = None
    """Batch size; default 128, or all training rows where there are fewer."""
    shards: int | None = None
    """Parts that a batch is cut into: for gradient accumulation, or for the processes that torchrun starts."""
    seed: int = 0
    """Random seed."""
    out: Path | None = None
    """The run folder to write; default runs/MODEL-DATA-SEED."""
    ema: float | None = None
    """Decay of an exponential moving average of the weights, which sample and evaluate then use."""
    precision: Literal["float32", "bfloat16"] | None = None
    """bfloat16: mixed precision. Default: where the model gains from it and the processor multiplies it (AMX), else
    float32."""
    augment: str | None = None
    """Change the pictures of each minibatch at random: flip (left and right, half of them), shift (by up to an eighth
    of the sides), or flip,shift."""
    keep: int = 3
    """Checkpoints to keep; 0 keeps all."""
    patience: int | None = None
    """Stop after so many judgements on the valid rows without a better one; 0: never. Default 5 where a density, a
    bound, a reconstruction or a held-out loss judges and the preset has no budget of its own."""
    codes_of: Path | None = None
    """A run of an autoencoder, a VAE or an adversarial autoencoder: the model learns the codes that it gives the data,
    and samples through its decoder. --data is then by default the data of that run."""
    like: Path | None = None
    """A run to repeat: what is not given here is as it was there."""
    weights: bool = False
    """Start from the weights of --like (transfer learning)."""
    quiet: bool = False
    """Print nothing but errors."""
    json: bool = False
    """Print progress and result as JSON lines."""


OF_A_RUN = (
    "epochs",
    "minutes",
    "core_minutes",
    "batch",
    "shards",
    "seed",
    "ema",
    "precision",
    "keep",
    "patience",
)
"""Training options that --like takes over."""


def train(argv: Sequence[str]) -> int:
    """Parse and run `plausible train MODEL …`: options are the constructor's arguments and the recipe's fields.

    The model's name and the SPEC are checked before the model's class, and torch with it, is imported.
    """
    like = _given(argv, "like", None)
    config = _config(like)
    named = bool(argv) and not argv[0].startswith("-")
    if not named and config is None:
        _without_model(argv)
    name = argv[0] if named else config.model.name
    if not named and ":" in name:
        raise PlausibleError(
            f"{like} is a run of {name}, which is not part of plausible: if you trust it, name it: "
            f"plausible train {name} --like {like}"
        )
    entry(name)
    sized(*(_given(argv, option, None) for option in ("data", "size", "fit")))
    _check_networks(name, argv)
    command = _train_command(name, _given(argv, "preset", "default"), config)
    parsed: Any = tyro.cli(
        command,
        args=list(argv[1:] if named else argv),
        prog=f"plausible train {name}",
        description=_presets(name),
        config=UNPREFIXED,
    )
    training = dataclasses.asdict(parsed.training)
    options = dataclasses.asdict(parsed.model) | dataclasses.asdict(parsed.recipe)
    typed = _typed_names(argv)
    options = {option: value for option, value in options.items() if option in typed}
    quiet, as_json = training.pop("quiet"), training.pop("json")
    training["data"] = sized(training["data"], training.pop("size"), training.pop("fit"))
    training["columns"] = column_types(training.pop("column"))
    import plausible

    return _train(
        lambda progress: plausible.train(name, progress=progress, **training, **options), quiet, as_json
    )


def _check_networks(name: str, argv: Sequence[str]) -> None:
    """Networks of the user's own are for Python: a class's name says nothing of how to make one."""
    from plausible.models.build import network_options

    for option in network_options(name):
        given = _given(argv, option.replace("_", "-"), "")
        if ":" in given:
            raise PlausibleError(
                f"--{option} {given}: the command line takes units of hidden layers; a network of your own is given in "
                f"Python: plausible.train({name!r}, {option}={given.rpartition(':')[2]}(…))"
            )


def _without_model(argv: Sequence[str]) -> None:
    general: Any = tyro.cli(
        _train_command(None, "", None), args=list(argv), prog="plausible train", config=UNPREFIXED
    )
    others = " ".join(word for word in argv if word != general.model)
    raise PlausibleError(f"the model comes first: plausible train {general.model} {others}")


def _config(like: str | None) -> Any:
    """The configuration of the run that is to be repeated."""
    if like is None:
        return None
    from plausible.runs import RunFolder

    return RunFolder(like).config()


def resume(
    run: RunPath,
    /,
    epochs: float | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    core_minutes: float | None = None,
    data: str | None = None,
    set: tuple[str, ...] = (),  # noqa: A002 - the option is called --set
    model: Own = None,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Continue a run from its newest valid checkpoint, bit for bit as if it had never stopped.

    Args:
        epochs: New total of epochs, not an addition. Without a budget, the run's own holds.
        minutes: New total of training time, not an addition.
        patience: New patience; 0 goes on where it had run out.
        core_minutes: New total of processor time, not an addition.
        data: Where the run's data lie now, if they were moved: they must be the same.
        set: Options to change from here on, such as --set lr=1e-4: recorded in the run's history.
    """
    if data is not None:
        parse_spec(data)
    changes = _changes(set)
    return _train(
        lambda progress: open_run(run, model=model).resume(
            epochs=epochs,
            minutes=minutes,
            patience=patience,
            core_minutes=core_minutes,
            data=data,
            set=changes or None,
            progress=progress,
        ),
        quiet,
        json,
    )


def _changes(words: Sequence[str]) -> dict[str, Any]:
    """lr=1e-4 → {"lr": 1e-4}: JSON where it is JSON, else text."""
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise PlausibleError(f"--set {word}: write NAME=VALUE, such as --set lr=1e-4")
        try:
            found[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            found[name.replace("-", "_")] = value
    return found


def _train(training: Callable[[Any], Run], quiet: bool, as_json: bool) -> int:
    """Train or resume, show where everything lies, and say by the exit status what stopped it."""
    status = 0
    if quiet:
        logging.getLogger("plausible").setLevel(logging.WARNING)
    try:
        folder = training(False if quiet else "json" if as_json else True).folder
    except (KeyboardInterrupt, SystemExit) as stop:
        folder = getattr(stop, "run", None)
        if folder is None:
            raise
        status = SIGINT if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)
    if as_json and is_main_process():
        print(json.dumps({"run": str(folder.path), **(folder.stopped() or {})}))
    elif not quiet and is_main_process():
        show_run(folder)
    return status


def _given(argv: Sequence[str], option: str, default: Any) -> Any:
    """An option's value before the command line is parsed."""
    for word, after in zip(argv, [*argv[1:], default], strict=False):
        if word == f"--{option}":
            return after
        if word.startswith(f"--{option}="):
            return word.partition("=")[2]
    return default


def _typed_names(argv: Sequence[str]) -> set[str]:
    """The options that a command line has: `--no-this` is `this`. All others are as preset, run or model say."""
    words = (word.removeprefix("--").partition("=")[0] for word in argv if word.startswith("--"))
    return {word.removeprefix("no-").replace("-", "_") for word in words}


def _presets(name: str) -> str:
    """What `plausible train MODEL --help` says first."""
    from plausible.models.build import presets_of

    lines = [f"  {preset}: {chosen.summary}" for preset, chosen in presets_of(name).items()]
    return "\n".join([f"Train a {entry(name).summary or name}. Presets:", *lines])


def _train_command(name: str | None, preset: str, like: Any) -> type:
    """What `plausible train` is parsed into: options of the training, of the model and of its recipe, with the preset's
    values as defaults; with a run to be repeated, with that run's.
    """
    defaults = TrainOptions() if like is None else _as_of(like)
    training = ("training", TrainOptions, dataclasses.field(default=defaults))
    if name is None:
        positional = tyro.conf.Positional[Annotated[str, arg(metavar="MODEL", help=", ".join(MODELS))]]
        return dataclasses.make_dataclass("Train", [("model", positional), training])
    from plausible.models.build import option_help, options_of, preset_of, recipe_options, with_networks

    if like is None:
        of_preset = preset_of(name, preset)
        own, recipe = of_preset.model, of_preset.recipe
    else:
        own, recipe = with_networks(name, like.options_at()), like.recipe_at()
    helps = option_help(name)
    parts = (
        ("model", *_parsed("Model", options_of(name), own, helps)),
        ("recipe", *_parsed("Recipe", recipe_options(name), recipe, helps)),
    )
    return dataclasses.make_dataclass("Train", [training, *parts])


def _parsed(
    title: str, options: Mapping[str, tuple[Any, Any]], chosen: Mapping[str, Any], helps: Mapping[str, str]
) -> tuple[type, Any]:
    """A dataclass of options, with those chosen as defaults, and itself as a field's default."""
    fields = [
        (
            option,
            Annotated[kind, arg(help=helps.get(option, ""))],
            dataclasses.field(default=_shown(kind, chosen.get(option, default))),
        )
        for option, (kind, default) in (
            (name, (_typed(kind), value)) for name, (kind, value) in options.items()
        )
    ]
    made = dataclasses.make_dataclass(title, fields)
    return made, dataclasses.field(default_factory=made)


def _typed(kind: Any) -> Any:
    """An option's type as it can be typed: of units or a network, units."""
    import torch

    kinds = get_args(kind)
    if set(kinds) == {bool, NoneType}:
        return bool  # a flag, --noise or --no-noise; neither leaves it to the data
    return kinds[0] if torch.nn.Module in kinds else kind


def _shown(kind: Any, value: Any) -> Any:
    """An option's default as it is parsed."""
    return False if kind is bool and value is None else _as_tuple(value)


def _as_of(like: Any) -> TrainOptions:
    """The training options of a run."""
    return TrainOptions(**{name: getattr(like.training_at(), name) for name in OF_A_RUN})


def _as_tuple(value: Any) -> Any:
    """What JSON made a list of was a tuple."""
    return tuple(_as_tuple(each) for each in value) if isinstance(value, list) else value
