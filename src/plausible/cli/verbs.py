"""The verbs of a trained run, and the lists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from plausible.cli.options import (
    At,
    Count,
    Examples,
    Fit,
    Given,
    Json,
    Labels,
    Own,
    RunPath,
    Samples,
    Seed,
    Size,
    arg,
    open_run,
    say,
    sized,
)
from plausible.data import datasets as list_datasets
from plausible.data import parse_spec
from plausible.errors import PlausibleError
from plausible.models.registry import MODELS, entry
from plausible.progress import print_steps, show_metrics, show_theory, show_verification

__all__ = [
    "complete",
    "datasets",
    "decode",
    "encode",
    "evaluate",
    "explain",
    "features",
    "interpolate",
    "models",
    "reconstruct",
    "report",
    "sample",
    "sampling_order",
    "score",
    "theory",
    "traverse",
    "verify",
]


By = Literal[
    "log_prob", "bound", "flow", "code", "reconstruction", "hog", "latent", "features", "typicality", "critic"
]


def sample(
    run: RunPath,
    /,
    out: Samples,
    n: Count = None,
    seed: Seed = 0,
    label: Labels = None,
    where: str | None = None,
    at: At = None,
    model: Own = None,
) -> int:
    """Sample new examples.

    Args:
        n: Number of samples. Default: 64.
        where: A condition on the rows of a table, such as 'age > 60 and job in ("cook", "smith") or pay is missing'.
            Samples that do not meet it are rejected; their share is printed.
    """
    return say(open_run(run, at, model).sample(n, seed=seed, label=label, where=where, out=out, say=print))


def score(
    run: RunPath,
    /,
    data: Given,
    out: Path,
    by: By | None = None,
    per_pixel: bool = False,
    samples: int = 50,
    starts: int = 3,
    steps: int = 100,
    calibrate: bool = False,
    fdr: float | None = None,
    top: int | None = None,
    size: Size = None,
    fit: Fit = None,
    seed: Seed = 0,
    at: At = None,
    model: Own = None,
) -> int:
    """Score each row of the data: how plausible it is; higher is more plausible, but for the critic.

    Prints the name of the score and what it means, then the file's path.

    Args:
        out: FILE.csv (row; file name or index, if there is one; score; p; marked) or FILE.npy (score); with --top
            also FILE.png, a sheet of the least plausible pictures with their files' names.
        by: Which score. Default: log_prob, bound, flow, code or reconstruction, the first that the model has. hog: how
            near the reconstruction of a picture comes in histograms of oriented gradients; latent: how near its samples
            come to the row; features: how near training rows do, in its features; typicality: how near log p is to
            that of the valid rows; critic: the discriminator's logit, which is not a density.
        per_pixel: Score each value given those before it: FILE.npy (rows, shape), or FILE.png, a map of the scores of
            the first rows.
        samples: k, the number of samples for a bound.
        starts: Prior samples that the latent search starts from.
        steps: Gradient steps of the latent search from each start.
        calibrate: Add a p-value: the share of the valid rows, and the row itself, that score as low or lower.
        fdr: Mark the rows that are implausible at this false-discovery rate, such as 0.1; implies --calibrate.
        top: Write only so many rows, the least plausible first; with --per-pixel a FILE.png of their maps.
    """
    given = sized(data, size, fit)
    return say(
        open_run(run, at, model).score(
            given,
            by=by,
            per_pixel=per_pixel,
            samples=samples,
            starts=starts,
            steps=steps,
            calibrate=calibrate,
            fdr=fdr,
            top=top,
            seed=seed,
            out=out,
            say=print,
        )
    )


def explain(run: RunPath, /, data: Given, out: Path, at: At = None, model: Own = None) -> int:
    """Explain the rows of a table: -log p of each cell given all others of its row; high where it does not fit them.

    Args:
        out: FILE.csv: row, the column that stands out most, and the figures of all columns, in nats.
    """
    parse_spec(data)
    return say(open_run(run, at, model).explain(data, out=out))


def encode(
    run: RunPath,
    /,
    data: Given,
    out: Path,
    size: Size = None,
    fit: Fit = None,
    at: At = None,
    model: Own = None,
) -> int:
    """Encode each row of the data.

    Args:
        out: FILE.npy, (rows, width of the code), or FILE.csv with the rows' file names or index.
    """
    given = sized(data, size, fit)
    return say(open_run(run, at, model).encode(given, out=out))


def decode(
    run: RunPath, /, codes: Path, out: Examples, label: Labels = None, at: At = None, model: Own = None
) -> int:
    """Decode codes to examples: those that `encode` wrote, or any others.

    Args:
        codes: FILE.npy, (rows, width of the code).
    """
    return say(open_run(run, at, model).decode(codes, label=label, out=out))


def reconstruct(
    run: RunPath,
    /,
    data: Given,
    out: Examples,
    size: Size = None,
    fit: Fit = None,
    at: At = None,
    model: Own = None,
) -> int:
    """Encode each row of the data and decode it again."""
    given = sized(data, size, fit)
    return say(open_run(run, at, model).reconstruct(given, out=out))


def features(
    run: RunPath,
    /,
    data: Given,
    out: Path,
    size: Size = None,
    fit: Fit = None,
    at: At = None,
    model: Own = None,
) -> int:
    """Write features of each row: the last hidden layer of a discriminator, or the code.

    Args:
        out: FILE.npy, (rows, features), or FILE.csv with the rows' file names or index.
    """
    given = sized(data, size, fit)
    return say(open_run(run, at, model).features(given, out=out))


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
    return say(open_run(run, at, model).interpolate(a, b, n, straight=straight, out=out))


def traverse(run: RunPath, /, out: Examples, n: Count = None, at: At = None, model: Own = None) -> int:
    """Show up to ten dimensions of the code, a row each, from -3 to 3 standard deviations.

    Args:
        n: Steps along each dimension. Default: 12.
    """
    return say(open_run(run, at, model).traverse(n, out=out))


def complete(
    run: RunPath,
    rows: tyro.conf.Positional[Annotated[tuple[int, ...], arg(metavar="ROW")]],
    /,
    out: Examples,
    data: str | None = None,
    given: str | None = None,
    median: bool = False,
    n: Count = None,
    seed: Seed = 0,
    at: At = None,
    model: Own = None,
) -> int:
    """Complete rows of the test split of which a part is given.

    A picture shows original, given part and completions.

    Args:
        rows: Rows of the test split, counted from 0.
        data: A SPEC: complete all its rows instead. Give no ROW then.
        given: The part: top, bottom, left, right, or FILE.npy of 0 and 1. Exact, or refused: the given part must
            come first in the model's order, unless it conditions on any: independent, markov, table; orderless and
            mixed do by another of their orderings. known: fill the cells that are missing. Default: top; of tables
            with words or missing cells known.
        median: Fill each missing cell with the median, or the most frequent level, of 25 completions.
        n: Completions per row. Default: 8; with known 1.
    """
    if (data is None) != bool(rows):
        raise PlausibleError("complete: give the numbers of rows of the test split, or --data SPEC")
    if data is not None:
        parse_spec(data)
    run_ = open_run(run, at, model)
    return say(run_.complete(data or rows, n, given=given, median=median, seed=seed, out=out))


def sampling_order(
    run: RunPath, /, out: Path, n: Count = None, seed: Seed = 0, at: At = None, model: Own = None
) -> int:
    """Show how images are sampled, pixel by pixel; for binary images with their probabilities.

    Args:
        out: FILE.png or FILE.gif.
        n: Number of samples. Default: 9.
    """
    return say(open_run(run, at, model).sampling_order(n, seed=seed, out=out))


def evaluate(
    run: RunPath,
    /,
    data: str | None = None,
    metrics: tuple[str, ...] | None = None,
    split: Literal["valid", "test"] = "test",
    at: At = None,
    model: Own = None,
    json: Json = False,
) -> int:
    """Measure a run on the test split: a table here, evaluation.json and the report in the run.

    A metric that cannot be computed says why; exit status 2 if none can.

    Args:
        data: A SPEC; default the run's own data.
        metrics: Which to compute; default those that fit the data, in under a minute.
        split: The rows to measure on: test for final figures, valid for choosing between runs.
    """
    if data is not None:
        parse_spec(data)
    show_metrics(open_run(run, at, model).evaluate(data, metrics=metrics, split=split), as_json=json)
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

    found = open_run(Path(what), at, model).verify(seed=seed) if folder else jobs.verify(what, seed=seed)
    show_verification(found, as_json=json)
    return 0 if found.holds else 1


def report(run: RunPath, /) -> int:
    """Write report.html, a page that opens offline."""
    return say(open_run(run).report())


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
