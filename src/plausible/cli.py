"""The command line. Nothing here imports torch until a job needs it, so that help and mistakes answer at once."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from plausible.data import datasets as list_datasets
from plausible.data import parse
from plausible.errors import PlausibleError
from plausible.models.registry import MODELS, entry
from plausible.progress import saying, show_metrics, show_run, show_theory, show_verification, talks, watching

EXIT_CODES = {"finished": 0, "minutes": 0, "SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
BAD_INPUT = 2
UNPREFIXED = (tyro.conf.OmitArgPrefixes,)

DESCRIPTION = """Train, sample, score and compare generative models: data that does not exist but could.

Exit status: 0 done; 1 a claim that does not hold; 2 bad input, a diverged training, or a file that could not be
read or written; 130 stopped by SIGINT (Ctrl-C) and 143 by SIGTERM, both after saving: continue with
`plausible resume RUN`."""

Run = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN", help="The run folder.")]]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Options of every training; a model's own are shown by `plausible train MODEL --help`."""

    data: str = "digits"
    """What to train on: a SPEC, see `plausible datasets`."""
    preset: str = "default"
    """A named choice of options; anything given here wins over it."""
    epochs: float | None = None
    """Stop after this many passes over the training rows."""
    minutes: float | None = None
    """Stop after this much training time. Without either: the preset's budget, else 5 minutes."""
    batch: int | None = None
    """Rows a tick; 128, or all there are."""
    shards: int | None = None
    """Pieces a batch is cut into: for accumulation, or for the processes that torchrun starts."""
    seed: int = 0
    """Of everything random."""
    out: Path | None = None
    """The run folder to write; default runs/MODEL-DATA-SEED."""
    ema: float | None = None
    """Decay per tick of averaged weights, which sample and evaluate then use."""
    clip: float | None = None
    """Largest norm of a turn's gradient."""
    precision: Literal["float32", "bfloat16"] | None = None
    """bfloat16: autocast, where the device has it."""
    keep: int = 3
    """Checkpoints to keep; 0 keeps all."""
    quiet: bool = False
    """Print nothing but errors."""
    json: bool = False
    """Print progress and result as JSON lines."""


def train(argv: Sequence[str]) -> int:
    """Parse and run `plausible train MODEL …`: a model's options are its constructor's arguments.

    The model's name and the SPEC are checked before the model's class, and torch with it, is imported.
    """
    if not argv or argv[0].startswith("-"):
        general: Any = tyro.cli(
            _train_command(None, ""), args=list(argv), prog="plausible train", config=UNPREFIXED
        )
        others = " ".join(word for word in argv if word != general.model)
        raise PlausibleError(f"the model comes first: plausible train {general.model} {others}")
    name = argv[0]
    entry(name)
    parse(_given(argv, "data", "digits"))
    command = _train_command(name, _given(argv, "preset", "default"))
    parsed: Any = tyro.cli(
        command,
        args=list(argv[1:]),
        prog=f"plausible train {name}",
        description=_presets(name),
        config=UNPREFIXED,
    )
    training, options = dataclasses.asdict(parsed.training), dataclasses.asdict(parsed.model)
    quiet, as_json = training.pop("quiet"), training.pop("json")
    from plausible import jobs

    try:
        with watching(quiet, as_json) as watch:
            run = jobs.train(name, watch=watch, **training, **options)
    except (jobs.Interrupted, jobs.Terminated) as stopped:
        run = stopped.run
    return _ended(run, quiet, as_json)


def resume(
    run: Run,
    /,
    epochs: float | None = None,
    minutes: float | None = None,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Continue a run from its newest valid checkpoint, bit for bit as if it had never stopped.

    Args:
        epochs: New total of epochs, not an addition. Without a budget, the run's own holds.
        minutes: New total of training time, not an addition.
        quiet: Print nothing but errors.
        json: Print progress and result as JSON lines.
    """
    from plausible import jobs

    try:
        with watching(quiet, json) as watch:
            done = jobs.resume(run, epochs=epochs, minutes=minutes, watch=watch)
    except (jobs.Interrupted, jobs.Terminated) as stopped:
        done = stopped.run
    return _ended(done, quiet, json)


def sample(
    run: Run,
    /,
    out: Path,
    n: Annotated[int | None, tyro.conf.arg(aliases=["-n"])] = None,
    seed: int = 0,
    interpolate: tuple[int, int] | None = None,
    linear: bool = False,
    traverse: bool = False,
    complete: tuple[int, ...] | None = None,
    given: str | None = None,
    steps: bool = False,
    label: tuple[str, ...] | None = None,
    at: int | None = None,
) -> int:
    """Draw new data from a run; or walk through its code space, where the model encodes and decodes.

    Where it has a density: complete half an example, or see the order in which samples are drawn.

    Args:
        out: FILE.png for a picture, .npy, .npz or .csv for numbers.
        n: How many, default 64; with --interpolate or --traverse the steps, default 12; completions, default 8.
        seed: Of the noise.
        interpolate: Two rows of the run's test split, counted from 0: what lies between their codes.
        linear: Interpolate along the line, not along the sphere.
        traverse: A row for each of up to ten code dimensions, from -3 to 3 standard deviations.
        complete: Rows of the run's test split: draw the rest of each, given a part; a picture shows all three.
        given: The part: top (default), bottom, left, right, or FILE.npy of 0 and 1. Exact, or refused: the given
            part must come first in the model's order, unless it conditions on any: independent, markov, table;
            orderless does by another of its orderings.
        steps: Images as they are drawn, pixel by pixel: FILE.png or FILE.gif; of 0 and 1 with their probabilities.
        label: Of a model trained with --classes: the samples are of these classes in turn, by their names in the
            data, or by number; in a picture a column each.
        at: The tick of a checkpoint; default the newest.
    """
    from plausible import jobs

    walks: dict[str, Any] = {"interpolate": interpolate, "linear": linear, "traverse": traverse}
    drawing: dict[str, Any] = {"complete": complete, "given": given, "steps": steps}
    print(jobs.sample(run, n, out=out, seed=seed, label=label, at=at, **walks, **drawing))
    return 0


def score(
    run: Run,
    /,
    data: str,
    out: Path,
    by: Literal["log_prob", "bound", "reconstruction", "critic"] | None = None,
    per_pixel: bool = False,
    samples: int = 50,
    seed: int = 0,
    at: int | None = None,
) -> int:
    """Say how plausible each row of the data is: a number a row, higher is more plausible.

    Prints what the number is, then the file's path.

    Args:
        data: A SPEC; all its rows are scored, in their own order.
        out: FILE.csv (row, score) or FILE.npy.
        by: What to score by; default the first of these that the model has.
        per_pixel: Score each value, given those before it: FILE.npy (rows, shape), or FILE.png, a map of what
            surprises the model in the first rows.
        samples: k, the draws of a bound.
        seed: Of those draws.
        at: The tick of a checkpoint; default the newest.
    """
    parse(data)
    from plausible import jobs

    options: dict[str, Any] = {"by": by, "per_pixel": per_pixel, "samples": samples}
    print(jobs.score(run, data, out=out, seed=seed, at=at, say=print, **options))
    return 0


def encode(run: Run, /, data: str, out: Path, at: int | None = None) -> int:
    """Turn each row of the data into its code.

    Args:
        data: A SPEC; all its rows are encoded, in their own order.
        out: FILE.npy, (rows, features).
        at: The tick of a checkpoint; default the newest.
    """
    parse(data)
    from plausible import jobs

    print(jobs.encode(run, data, out=out, at=at))
    return 0


def evaluate(
    run: Run,
    /,
    data: str | None = None,
    metrics: tuple[str, ...] | None = None,
    at: int | None = None,
    json: bool = False,
) -> int:
    """Measure a run on the test split: a table here, evaluation.json and the report in the run.

    Args:
        data: A SPEC; default the run's own data.
        metrics: Which to compute; default those that fit the data, in under a minute.
        at: The tick of a checkpoint; default the newest.
        json: Print the result as JSON.
    """
    if data is not None:
        parse(data)
    from plausible import jobs

    show_metrics(jobs.evaluate(run, data=data, metrics=metrics, at=at), as_json=json)
    return 0


def verify(
    what: tyro.conf.Positional[
        Annotated[str, tyro.conf.arg(metavar="RUN|MODEL", help="A run folder, a model, or module:Class.")]
    ],
    /,
    seed: int = 0,
    at: int | None = None,
    json: bool = False,
) -> int:
    """Prove that a density is one: it sums to one, is causal, and is what is sampled and completed.

    Of a run its own conditionals at its own samples; of a run or a model a small twin of the same settings, enumerated.
    Exit status 1 if a claim fails. Writes nothing.

    Args:
        seed: Of the samples and of the twin.
        at: The tick of a run's checkpoint; default the best, else the newest.
        json: Print the table as JSON.
    """
    if not Path(what).exists() and os.sep not in what:
        entry(what)
    from plausible import jobs

    found = jobs.verify(what, seed=seed, at=at)
    show_verification(found, as_json=json)
    return 0 if found.holds else 1


def theory(out: Path | None = None, seed: int = 0, quiet: bool = False, json: bool = False) -> int:
    """The propositions of the GAN paper in numbers, and its Figure 1: about a minute.

    Trains a small GAN on the line and compares it, and the probability it stands on, with the formulas. Exit status 1
    if a line of the table does not hold.

    Args:
        out: A folder for theory.html (one page, offline), figure-1.png, animation.gif and theory.json.
        seed: Of the draws and of the training.
        quiet: Print nothing but the table.
        json: Print the table as JSON.
    """
    from plausible import jobs

    try:
        run = jobs.theory(out, seed=seed, say=saying(quiet or json))
    except KeyboardInterrupt:
        print("plausible: stopped before the end: run it again for the table", file=sys.stderr)
        return EXIT_CODES["SIGINT"]
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
    "evaluate": evaluate,
    "verify": verify,
    "theory": theory,
    "models": models,
    "datasets": datasets,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (mistakes in the options exit through tyro, with 2)."""
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.showwarning = _say_warning  # ty: ignore[invalid-assignment]
    try:
        if words[:1] == ["train"]:
            return train(words[1:])
        return tyro.extras.subcommand_cli_from_dict(
            VERBS, args=words, prog="plausible", description=DESCRIPTION, sort_subcommands=False
        )
    except PlausibleError as error:
        print(f"plausible: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # `plausible models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"plausible: warning: {message}", file=sys.stderr)


def _ended(run: Any, quiet: bool, as_json: bool) -> int:
    stop = run.stopped() or {}
    if as_json and talks():
        print(json.dumps({"run": str(run.path), **stop}))
    elif not quiet and talks():
        show_run(run)
    return EXIT_CODES.get(stop.get("reason", ""), 0)


def _given(argv: Sequence[str], option: str, default: str) -> str:
    """An option's value before the command line is parsed."""
    for word, after in zip(argv, [*argv[1:], default], strict=True):
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


def _train_command(name: str | None, preset: str) -> type:
    """What `plausible train` is parsed into: training options, and the model's own with the preset's values."""
    training = ("training", TrainOptions, dataclasses.field(default=TrainOptions()))
    if name is None:
        positional = tyro.conf.Positional[
            Annotated[str, tyro.conf.arg(metavar="MODEL", help=", ".join(MODELS))]
        ]
        return dataclasses.make_dataclass("Train", [("model", positional), training])
    from plausible.models.build import option_help, options_of, preset_of

    chosen, helps = preset_of(name, preset).model, option_help(name)
    own = dataclasses.make_dataclass(
        "Options",
        [
            (
                option,
                Annotated[kind, tyro.conf.arg(help=helps.get(option, ""))],
                dataclasses.field(default=chosen.get(option, default)),
            )
            for option, (kind, default) in options_of(name).items()
        ],
    )
    return dataclasses.make_dataclass(
        "Train", [training, ("model", own, dataclasses.field(default_factory=own))]
    )
