"""A random search on the validation rows, to see how far from it the defaults end.

    python benchmarks/search.py --models fvsbn made nade --data digits:binary --draws 10 --core-minutes 0.5

The first draw is the default. Settings are compared by the mean log p of the validation rows at the best checkpoint;
the test rows are read for the default and for the best setting alone. Finished draws are kept in the folder: the same
command goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tyro

import plausible
from plausible.models.build import options_of, recipe_options

CHOICES: dict[str, list[Any]] = {
    "lr": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
    "lr_decay": [1.0, 1.0003, 1.001],
    "l2": [0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3],
    "batch": [32, 100, 300],
    "hidden": [50, 100, 200, 500, 1000],
}


def draw(model: str, rng: np.random.Generator) -> dict[str, Any]:
    """A random setting of the options that the model has."""
    known = {**options_of(model), **recipe_options(model), "batch": None}
    chosen = {name: values[rng.integers(len(values))] for name, values in CHOICES.items() if name in known}
    if isinstance(options_of(model).get("hidden", (None, 0))[1], tuple):
        chosen["hidden"] = (chosen["hidden"],)
    return chosen


def measured(
    model: str, data: str, options: dict[str, Any], seed: int, minutes: float, out: Path
) -> dict[str, Any]:
    """Mean log p of the validation and the test rows, and where the training stopped."""
    shutil.rmtree(out, ignore_errors=True)
    run = plausible.train(model, data, out=out, seed=seed, core_minutes=minutes, progress=False, **options)
    found = {
        split: {each["name"]: each for each in run.evaluate(metrics=["likelihood"], split=split)["metrics"]}
        for split in ("valid", "test")
    }
    stopped = run.stopped() or {}
    shutil.rmtree(out)
    return {
        "options": options,
        "reason": stopped.get("reason"),
        "tick": stopped.get("tick"),
        **{
            split: (results["log-likelihood"]["value"], results["log-likelihood"]["spread"])
            for split, results in found.items()
        },
    }


def main(
    models: tuple[str, ...] = ("fvsbn", "made", "nade"),
    data: str = "digits:binary",
    draws: int = 10,
    core_minutes: float = 0.5,
    seed: int = 0,
    out: Path = Path("runs/search"),
) -> None:
    """Search, and print the default and the best setting of each model.

    Args:
        models: with a density.
        data: a SPEC.
        draws: settings tried, the default among them.
        core_minutes: processor time of each, at most: training stops by patience before.
        seed: random seed of the settings and of the trainings.
        out: where the figures are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    for model in models:
        rng, found = np.random.default_rng(seed), []
        for number in range(draws):
            options = draw(model, rng) if number else {}
            file = out / f"{model}-{number}.json"
            if not file.is_file():
                file.write_text(json.dumps(measured(model, data, options, seed, core_minutes, out / model)))
            found.append(json.loads(file.read_text()))
            print(
                f"{model:8} {found[-1]['valid'][0]:9.3f} on valid, {found[-1]['reason']}: {options}",
                flush=True,
            )
        best = max(found, key=lambda each: each["valid"][0])
        for what, each in (("default", found[0]), ("best", best)):
            print(
                f"{model}, {what}: {each['test'][0]:.3f} ± {each['test'][1]:.3f} on test, {each['options']}",
                flush=True,
            )


if __name__ == "__main__":
    tyro.cli(main)
