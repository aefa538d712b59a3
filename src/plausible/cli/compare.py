"""`plausible compare`."""

from __future__ import annotations

import json as json_
import os
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import UseAppendAction

from plausible.cli.options import Fit, Json, Quiet, Seed, Size, arg, column_types, sized
from plausible.models.registry import entry
from plausible.progress import print_steps, show_comparison

__all__ = ["compare"]

Models = tyro.conf.Positional[
    Annotated[
        tuple[str, ...],
        arg(
            metavar="MODEL|RUN",
            help="Models to train, see `plausible models`, and run folders that are trained already.",
        ),
    ]
]


def compare(
    models: Models,
    /,
    data: str | None = None,
    target: str | None = None,
    column: UseAppendAction[tuple[str, ...]] = (),
    drop: UseAppendAction[tuple[str, ...]] = (),
    size: Size = None,
    fit: Fit = None,
    core_minutes: float = 5.0,
    seed: Seed = 0,
    out: Path | None = None,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Compare models on one split, each trained for the same processor time: a table here, a page in the folder.

    The same command goes on where it was stopped or killed. Every model is trained with its defaults, two at a time
    with one thread each; to compare other settings, train them first and give their run folders.

    Args:
        data: A SPEC, see `plausible datasets`. Default that of the first run, else digits.
        target: The column of a table that holds the labels.
        column: The type of a column of a table, NAME=TYPE, as `plausible train` takes it.
        drop: A column of a table to leave out.
        core_minutes: Minutes of processor time for each model that is trained.
        out: The folder for runs, compare.json and report.html; default runs/compare-DATA-SEED.
    """
    data = sized(data, size, fit)
    for each in models:
        if os.sep not in each and not Path(each, "config.json").is_file():
            entry(each)
    import plausible

    found = plausible.compare(
        models,
        data,
        target=target,
        columns=column_types(column),
        drop=drop,
        core_minutes=core_minutes,
        seed=seed,
        out=out,
        say=print_steps(quiet or json),
    )
    if json:
        print(json_.dumps({"folder": str(found.path), **found.record.model_dump(mode="json")}))
    else:
        show_comparison(found.record)
        print(f"report    {found.report}")
    return 0
