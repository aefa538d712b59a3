"""What one does with a trained model: sample and evaluate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.evaluation.catalog import measure
from plausible.jobs.completing import write_completions, write_steps
from plausible.jobs.loading import RunLike, as_run, checked_out, classes_of, draw, load, load_at
from plausible.jobs.pictures import write_pictures
from plausible.jobs.walks import STEPS, interpolation, traversal, write_walks
from plausible.report.html import write_report
from plausible.report.pictures import grid, png
from plausible.report.samples import SAMPLE_WRITERS, write_samples
from plausible.runs import write_json, write_whole
from plausible.runs.records import FORMAT


def sample(
    run: RunLike,
    n: int | None = None,
    *,
    out: str | os.PathLike[str],
    seed: int = 0,
    interpolate: tuple[int, int] | None = None,
    linear: bool = False,
    traverse: bool = False,
    complete: Sequence[int] | None = None,
    given: str | None = None,
    steps: bool = False,
    label: str | int | Sequence[str | int] | None = None,
    at: int | None = None,
) -> Path:
    """Draw n samples and write them; or walk through the code space instead, where a model encodes and decodes.

    Or complete what is given of an example, or draw samples in the order of their pixels, where a model has a density.

    Args:
        run: the run folder.
        n: how many, default 64, or with labels as many more as fill the last turn; of a walk its steps, default 12;
            of completions, for each row, default 8; with `steps` default 9.
        out: FILE.png (a picture), .npy, .npz (key x) or .csv (one row each).
        seed: of the noise.
        interpolate: two rows of the run's test split: what lies between their codes, along the sphere.
        linear: interpolate along the line instead.
        traverse: up to ten dimensions of the code, each from −3 to 3 standard deviations about the mean code;
            one after the other, in a picture of images a dimension a row.
        complete: rows of the run's test split: draw what is not given of each from its distribution given the rest.
        given: what is: top (default), bottom, left or right, or FILE.npy, an array of 0 and 1; see
            `plausible.jobs.completing.known`.
        steps: samples of images as they are drawn, pixel by pixel: FILE.png, a strip, or FILE.gif.
        label: of a conditional model: the samples' classes, in turn, by their names in the run's data, or else by
            number; where there are several, a picture of images has a column for each.
        at: the tick of a checkpoint.

    Raises:
        PlausibleError: no such run, n < 1 (a walk: < 2), an ending that is not one of these, options that exclude
            each other, a label that the data do not have, a model that cannot, or an order of pixels that does not
            allow what is asked.
    """
    if n is not None and n < 1:
        raise PlausibleError(f"-n must be at least 1, not {n}")
    kinds = {
        "--interpolate": interpolate is not None,
        "--traverse": traverse,
        "--complete": complete is not None,
        "--steps": steps,
    }
    if len(asked := [flag for flag, wanted in kinds.items() if wanted]) > 1:
        raise PlausibleError(f"{' and '.join(asked)} are {len(asked)} pictures: ask for one at a time")
    if linear and interpolate is None:
        raise PlausibleError("--linear is a way to --interpolate A B: give two rows, or drop it")
    if given is not None and complete is None:
        raise PlausibleError(f"--given {given} says what to --complete ROW from: give a row, or drop it")
    if label is not None and asked:
        raise PlausibleError(
            f"--label is for plain samples, and {asked[0]} takes no labels: drop one of the two"
        )
    path = checked_out(out, (".png", ".gif") if steps else SAMPLE_WRITERS)
    if complete is not None:
        return write_completions(run, complete, given or "top", 8 if n is None else n, path, seed=seed, at=at)
    if steps:
        return write_steps(run, 9 if n is None else n, path, seed=seed, at=at)
    if interpolate is not None:
        points = STEPS if n is None else n
        return write_walks(interpolation(run, *interpolate, points, straight=linear, at=at), path)
    if traverse:
        return write_walks(traversal(run, STEPS if n is None else n, at=at), path)
    if label is not None:
        labels = [label] if isinstance(label, str | int) else list(label)
        return _write_labelled(run, n, labels, path, seed=seed, at=at)
    return write_samples(draw(load(run, at=at), 64 if n is None else n, seed=seed).numpy(), path)


def _write_labelled(
    run: RunLike, n: int | None, labels: Sequence[str | int], path: Path, *, seed: int, at: int | None
) -> Path:
    """Samples of these classes in turn; several of images to .png with a column each, else as any samples."""
    model, classes = load(run, at=at), torch.tensor(classes_of(run, labels))
    count = 64 + -64 % len(labels) if n is None else n
    y = classes.repeat(-(-count // len(labels)))[:count]
    samples = draw(model, count, seed=seed, y=y).numpy()
    if path.suffix != ".png" or samples.ndim != 4 or len(labels) == 1:
        return write_samples(samples, path)
    said = f"{count} images, a column for each label: {', '.join(map(str, labels))}"
    info = {"kind": "labels", "n": str(count), "Description": said}
    return write_whole(path, png(grid(samples, min(count, len(labels))), info))


def evaluate(
    run: RunLike, *, data: str | None = None, metrics: Sequence[str] | None = None, at: int | None = None
) -> dict[str, Any]:
    """Measure a run on the test split, write evaluation.json, pictures of the code and the report.

    Returns: what stands in evaluation.json.

    Args:
        run: the run folder.
        data: a SPEC; default the run's own data.
        metrics: names from `evaluation.catalog.METRICS`; default those that fit the data and the model.
        at: the tick of a checkpoint.

    Raises:
        PlausibleError: no such run, an unknown metric, or data of another shape.
    """
    run = as_run(run)
    config = run.config()
    model, point = load_at(run, at)
    rows = load_data(data or config.data.source or "")
    if rows.shape != model.shape:
        raise PlausibleError(f"the model of {run.path} makes {model.shape}, but {rows.spec} has {rows.shape}")
    measured = measure(
        lambda n: draw(model, n, seed=1),
        rows,
        metrics,
        model,
        config.data.spec if data else config.data.source,
    )
    found = {
        "format": FORMAT,
        "tick": point.tick,
        "weights": "ema" if config.training.ema is not None else "trained",
        "data": rows.spec,
        "split": "test",
        "metrics": [asdict(metric) for metric in measured],
    }
    write_json(run.evaluation_file, found)
    write_pictures(run, model, rows, point.tick)
    write_report(run)
    return found
