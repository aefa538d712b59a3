"""The command line: each verb calls the method of `Run` of its name. Nothing here imports torch until one is needed."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import tyro
from rich.console import Console
from rich.table import Table

from plausible.data import datasets as list_datasets
from plausible.data import parse_spec
from plausible.errors import PlausibleError
from plausible.models.registry import MODELS, entry
from plausible.progress import (
    is_main_process,
    print_steps,
    show_metrics,
    show_run,
    show_theory,
    show_verification,
)
from plausible.version import __version__

if TYPE_CHECKING:
    from plausible.run import Run

SIGINT = 130
BAD_INPUT = 2
UNPREFIXED = (tyro.conf.OmitArgPrefixes,)

DESCRIPTION = """Train, sample and score generative models: data that does not exist but could.

Exit status: 0 done; 1 a claim that does not hold; 2 bad input, a diverged training, or a file that could not be
read or written; 130 stopped by SIGINT (Ctrl-C), 143 by SIGTERM and 129 by SIGHUP, all after saving: continue with
`plausible resume RUN`. `plausible --version` prints the version."""

arg = tyro.conf.arg
RunPath = tyro.conf.Positional[Annotated[Path, arg(metavar="RUN", help="The run folder.")]]
At = Annotated[int | None, arg(help="The tick of a checkpoint; default the best, else the newest.")]
Own = Annotated[
    str | None,
    arg(
        name="model",
        metavar="MODULE:CLASS",
        help="A model that is not part of plausible, if the run has one and you trust it: it is imported.",
    ),
]
Seed = Annotated[int, arg(help="Random seed.")]
Count = Annotated[int | None, arg(aliases=["-n"])]
Labels = Annotated[
    tuple[str, ...] | None,
    arg(help="Classes to sample in turn, by name or number (models trained with --classes)."),
]
Given = Annotated[str, arg(help="A SPEC, see `plausible datasets`. Columns with names are matched by name.")]
Examples = Annotated[Path, arg(help="FILE.png for a picture, .npy, .npz or .csv for numbers.")]
Json = Annotated[bool, arg(help="Print the result as JSON.")]
Quiet = Annotated[bool, arg(help="Print nothing but errors.")]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Options of every training; those of a model and of its recipe are shown by `plausible train MODEL --help`."""

    data: str | None = None
    """What to train on: a SPEC, see `plausible datasets`. Default digits, or the data of --like."""
    target: str | None = None
    """The column of a table that holds the labels."""
    preset: str = "default"
    """A named choice of options; anything given here wins over it."""
    epochs: float | None = None
    """Stop after this many passes over the training rows."""
    minutes: float | None = None
    """Stop after this much training time. Without either: the preset's budget, else 5 minutes."""
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
    """bfloat16: autocast, where the device has it."""
    keep: int = 3
    """Checkpoints to keep; 0 keeps all."""
    like: Path | None = None
    """A run to repeat: what is not given here is as it was there."""
    weights: bool = False
    """Start from the weights of --like (transfer learning)."""
    quiet: bool = False
    """Print nothing but errors."""
    json: bool = False
    """Print progress and result as JSON lines."""


OF_A_RUN = ("epochs", "minutes", "batch", "shards", "seed", "ema", "precision", "keep")
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
    if (spec := _given(argv, "data", None)) is not None:
        parse_spec(spec)
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
    quiet, as_json = training.pop("quiet"), training.pop("json")
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
        data: Where the run's data lie now, if they were moved: they must be the same.
        set: Options to change from here on, such as --set lr=1e-4: recorded in the run's history.
    """
    if data is not None:
        parse_spec(data)
    changes = _changes(set)
    return _train(
        lambda progress: _open(run, model=model).resume(
            epochs=epochs, minutes=minutes, data=data, set=changes or None, progress=progress
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


def sample(
    run: RunPath,
    /,
    out: Examples,
    n: Count = None,
    seed: Seed = 0,
    label: Labels = None,
    at: At = None,
    model: Own = None,
) -> int:
    """Sample new examples.

    Args:
        n: Number of samples. Default: 64.
    """
    return _say(_open(run, at, model).sample(n, seed=seed, label=label, out=out))


def score(
    run: RunPath,
    /,
    data: Given,
    out: Path,
    by: Literal["log_prob", "bound", "reconstruction", "critic"] | None = None,
    per_pixel: bool = False,
    samples: int = 50,
    seed: Seed = 0,
    at: At = None,
    model: Own = None,
) -> int:
    """Score each row of the data: how plausible it is; higher is more plausible.

    Prints the name of the score, then the file's path.

    Args:
        out: FILE.csv (row, score) or FILE.npy.
        by: Which score. Default: the first of these that the model has.
        per_pixel: Score each value given those before it: FILE.npy (rows, shape), or FILE.png, a map of the scores of
            the first rows.
        samples: k, the number of samples for a bound.
    """
    parse_spec(data)
    opened = _open(run, at, model)
    return _say(
        opened.score(data, by=by, per_pixel=per_pixel, samples=samples, seed=seed, out=out, say=print)
    )


def encode(run: RunPath, /, data: Given, out: Path, at: At = None, model: Own = None) -> int:
    """Encode each row of the data.

    Args:
        out: FILE.npy, (rows, width of the code).
    """
    parse_spec(data)
    return _say(_open(run, at, model).encode(data, out=out))


def decode(
    run: RunPath, /, codes: Path, out: Examples, label: Labels = None, at: At = None, model: Own = None
) -> int:
    """Decode codes to examples: those that `encode` wrote, or any others.

    Args:
        codes: FILE.npy, (rows, width of the code).
    """
    return _say(_open(run, at, model).decode(codes, label=label, out=out))


def reconstruct(run: RunPath, /, data: Given, out: Examples, at: At = None, model: Own = None) -> int:
    """Encode each row of the data and decode it again."""
    parse_spec(data)
    return _say(_open(run, at, model).reconstruct(data, out=out))


def features(run: RunPath, /, data: Given, out: Path, at: At = None, model: Own = None) -> int:
    """Write features of each row: the last hidden layer of a discriminator, or the code.

    Args:
        out: FILE.npy, (rows, features).
    """
    parse_spec(data)
    return _say(_open(run, at, model).features(data, out=out))


def interpolate(
    run: RunPath,
    a: tyro.conf.Positional[Annotated[int, arg(metavar="A")]],
    b: tyro.conf.Positional[Annotated[int, arg(metavar="B")]],
    /,
    out: Examples,
    n: Count = None,
    straight: bool = False,
    at: At = None,
    model: Own = None,
) -> int:
    """Interpolate between two rows of the test split; for a GAN, between two codes sampled from its prior.

    Args:
        a: A row of the test split, counted from 0; for a GAN, the seed of a code.
        b: Another.
        n: Steps, both ends included. Default: 12.
        straight: Interpolate linearly instead of spherically.
    """
    return _say(_open(run, at, model).interpolate(a, b, n, straight=straight, out=out))


def traverse(run: RunPath, /, out: Examples, n: Count = None, at: At = None, model: Own = None) -> int:
    """Show up to ten dimensions of the code, a row each, from -3 to 3 standard deviations.

    Args:
        n: Steps along each dimension. Default: 12.
    """
    return _say(_open(run, at, model).traverse(n, out=out))


def complete(
    run: RunPath,
    rows: tyro.conf.Positional[Annotated[tuple[int, ...], arg(metavar="ROW")]],
    /,
    out: Examples,
    given: str = "top",
    n: Count = None,
    seed: Seed = 0,
    at: At = None,
    model: Own = None,
) -> int:
    """Complete rows of the test split of which a part is given.

    A picture shows original, given part and completions.

    Args:
        rows: Rows of the test split, counted from 0.
        given: The part: top, bottom, left, right, or FILE.npy of 0 and 1. Exact, or refused: the given part must
            come first in the model's order, unless it conditions on any: independent, markov, table; orderless
            does by another of its orderings.
        n: Completions per row. Default: 8.
    """
    return _say(_open(run, at, model).complete(rows, n, given=given, seed=seed, out=out))


def sampling_order(
    run: RunPath, /, out: Path, n: Count = None, seed: Seed = 0, at: At = None, model: Own = None
) -> int:
    """Show how images are sampled, pixel by pixel; for binary images with their probabilities.

    Args:
        out: FILE.png or FILE.gif.
        n: Number of samples. Default: 9.
    """
    return _say(_open(run, at, model).sampling_order(n, seed=seed, out=out))


def evaluate(
    run: RunPath,
    /,
    data: str | None = None,
    metrics: tuple[str, ...] | None = None,
    at: At = None,
    model: Own = None,
    json: Json = False,
) -> int:
    """Measure a run on the test split: a table here, evaluation.json and the report in the run.

    Args:
        data: A SPEC; default the run's own data.
        metrics: Which to compute; default those that fit the data, in under a minute.
    """
    if data is not None:
        parse_spec(data)
    show_metrics(_open(run, at, model).evaluate(data, metrics=metrics), as_json=json)
    return 0


def verify(
    what: tyro.conf.Positional[
        Annotated[str, arg(metavar="RUN|MODEL", help="A run folder, a model, or module:Class.")]
    ],
    /,
    seed: Seed = 0,
    at: At = None,
    model: Own = None,
    json: Json = False,
) -> int:
    """Verify a density: it sums to one, is causal, and samples and completions follow it.

    For a run, checks its conditionals at its own samples; for a run or a model, enumerates a small twin with the same
    settings. Exit status 1 if a check fails. Writes nothing.
    """
    folder = Path(what).exists() or os.sep in what
    if not folder:
        entry(what)
        if at is not None:
            raise PlausibleError(f"--at {at}: {what} is no run, and has no checkpoints")
    from plausible import jobs

    found = _open(Path(what), at, model).verify(seed=seed) if folder else jobs.verify(what, seed=seed)
    show_verification(found, as_json=json)
    return 0 if found.holds else 1


def report(run: RunPath, /) -> int:
    """Write report.html, a page that opens offline."""
    return _say(_open(run).report())


def theory(out: Path | None = None, seed: Seed = 0, quiet: bool = False, json: Json = False) -> int:
    """The propositions of the GAN paper in numbers, and its Figure 1: about a minute.

    Trains a small GAN on the line and compares it, and the probability it stands on, with the formulas. Exit status 1
    if a line of the table does not hold.

    Args:
        out: A folder for theory.html (one page, offline), figure-1.png, animation.gif and theory.json.
        quiet: Print nothing but the table.
    """
    from plausible.course import experiment

    run = experiment.theory(out, seed=seed, say=print_steps(quiet or json))
    show_theory(run, json)
    return 0 if run.holds else 1


def models() -> int:
    """List the models and what they can do; `plausible train MODEL --help` shows presets and options."""
    table = Table("model", "can", "what it is", box=None, header_style="bold")
    for name, line in MODELS.items():
        table.add_row(name, ", ".join(line.capabilities), line.summary)
    Console().print(table)
    return 0


def datasets() -> int:
    """List the data sets, and the forms a SPEC can take."""
    table = Table("SPEC", "what it is", "shape", "domain", box=None, header_style="bold")
    for row in list_datasets():
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)
    return 0


VERBS: dict[str, Callable[..., Any]] = {
    "train": TrainOptions,
    "resume": resume,
    "sample": sample,
    "score": score,
    "encode": encode,
    "decode": decode,
    "reconstruct": reconstruct,
    "features": features,
    "interpolate": interpolate,
    "traverse": traverse,
    "complete": complete,
    "sampling-order": sampling_order,
    "evaluate": evaluate,
    "verify": verify,
    "report": report,
    "theory": theory,
    "models": models,
    "datasets": datasets,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (mistakes in the options exit through tyro, with 2)."""
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.showwarning = _say_warning  # ty: ignore[invalid-assignment]
    if words == ["--version"]:
        print(f"plausible {__version__}")
        return 0
    try:
        if words[:1] == ["train"]:
            return train(words[1:])
        return tyro.extras.subcommand_cli_from_dict(
            VERBS, args=words, prog="plausible", description=DESCRIPTION, sort_subcommands=False
        )
    except PlausibleError as error:
        print(f"plausible: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("plausible: stopped by Ctrl-C", file=sys.stderr)
        return SIGINT
    except BrokenPipeError:  # `plausible models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"plausible: warning: {message}", file=sys.stderr)


def _say(path: Any) -> int:
    print(path)
    return 0


def _open(run: Path, at: int | None = None, model: str | None = None) -> Run:
    """The run; a folder that is none is refused before torch is imported."""
    from plausible.runs import RunFolder

    RunFolder(run).config()
    import plausible

    return plausible.load(run, at=at, model=model)


def _train(training: Callable[[Any], Run], quiet: bool, as_json: bool) -> int:
    """Train or resume, show where everything lies, and say by the exit status what stopped it."""
    status = 0
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
            dataclasses.field(default=_as_tuple(chosen.get(option, default))),
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
    return kinds[0] if torch.nn.Module in kinds else kind


def _as_of(like: Any) -> TrainOptions:
    """The training options of a run."""
    return TrainOptions(**{name: getattr(like.training_at(), name) for name in OF_A_RUN})


def _as_tuple(value: Any) -> Any:
    """What JSON made a list of was a tuple."""
    return tuple(_as_tuple(each) for each in value) if isinstance(value, list) else value
