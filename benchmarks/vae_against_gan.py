"""The notes' claims about VAEs and GANs, measured: stable or not, blurred or sharp, copies or new, and how fast.

    python benchmarks/vae_against_gan.py --data mnist FOLDER --seeds 5 --core-minutes 4 --out runs/vae-against-gan

Both are trained at their defaults with equal processor time. Figures are of the weights
that the run would use, on test rows. Finished runs are kept in the folder: the same command goes on where it stopped.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

import plausible
from plausible.data import Data, load
from plausible.errors import PlausibleError
from plausible.metrics.feature_network import features_of
from plausible.metrics.kernel_distance import kernel_distance

MODELS = ("vae", "gan")
ROWS = 1000
KIDS = (3.0, 1.0, 0.3, 0.1)
"""The time to each of them is a figure."""


def high_frequency_energy(x: Tensor) -> float:
    """Mean energy above half the Nyquist frequency, of pictures (n, channels, height, width)."""
    power = torch.fft.fft2(x.double(), norm="ortho").abs().square()
    height, width = (torch.fft.fftfreq(side).abs() for side in x.shape[-2:])
    return float(power[..., (height[:, None] >= 0.25) | (width >= 0.25)].sum((1, 2)).mean())


def curve(run: plausible.Run, data: Data, real: np.ndarray) -> list[tuple[float, float]]:
    """(core-minutes, KID of ROWS samples against real rows) at each checkpoint."""
    known = features_of(data, real)
    ticks = [event for event in run.events() if "cpu_seconds" in event]
    spent = [event["tick"] for event in ticks], [event["cpu_seconds"] / 60 for event in ticks]
    found = []
    for point in run.folder.checkpoints():
        samples = plausible.load(run.path, at=point.tick).sample(ROWS, as_="numpy")
        kid = kernel_distance(known, features_of(data, samples)).value
        found.append((float(np.interp(point.tick, *spent, left=0.0)), kid))
    return sorted(found)


def measured(run: plausible.Run, data: Data) -> dict[str, Any]:
    """One run's figures."""
    results = run.evaluate(metrics=["two-sample", "fidelity", "memorisation"])["metrics"]
    real = data.test.take(np.arange(min(ROWS, len(data.test))))[0]
    energies = [high_frequency_energy(torch.as_tensor(x)) for x in (run.sample(ROWS, as_="numpy"), real)]
    return {
        "tick": run.tick,
        "high-frequency energy / real": energies[0] / energies[1],
        "warnings": [event["message"] for event in run.events() if event["event"] == "warning"],
        "curve": curve(run, data, real),
        "metrics": {result["name"]: result for result in results},
    }


def trained(name: str, spec: str, seed: int, minutes: float, folder: Path) -> dict[str, Any]:
    """The figures of one run, kept in its folder; a training that fails is a figure too."""
    kept = folder.with_suffix(".json")
    if kept.is_file():
        return json.loads(kept.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    try:
        run = plausible.train(
            name, spec, out=folder, seed=seed, core_minutes=minutes, keep=0, patience=0, progress=False
        )
        found = measured(run, load(spec))
    except PlausibleError as error:
        found = {"failed": str(error)}
    kept.write_text(json.dumps(found))
    shutil.rmtree(folder, ignore_errors=True)
    return found


def rows(found: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(figure, mean ± standard deviation over seeds) of one model and data set."""
    whole = [one for one in found if "failed" not in one]
    yield "trainings that failed", f"{len(found) - len(whole)} of {len(found)}"
    yield "with a warning", f"{sum(bool(one['warnings']) for one in whole)} of {len(found)}"
    if not whole:
        return

    def line(values: list[float]) -> str:
        return f"{np.mean(values):.3g} ± {np.std(values, ddof=min(1, len(values) - 1)):.2g}"

    yield "high-frequency energy / real", line([one["high-frequency energy / real"] for one in whole])
    for name in whole[0]["metrics"]:
        values = [one["metrics"][name]["value"] for one in whole if name in one["metrics"]]
        floor = whole[0]["metrics"][name]["floor"]
        yield name, line(values) + (f" (real: {floor:.3g})" if floor is not None else "")
    for goal in KIDS:
        times = [next((t for t, kid in one["curve"] if kid <= goal), None) for one in whole]
        reached = [t for t in times if t is not None]
        yield (
            f"core-minutes to KID {goal}",
            f"{np.median(reached):.2g} ({len(reached)} of {len(whole)})"
            if reached
            else f"not reached (0 of {len(whole)})",
        )


def main(
    data: tuple[str, ...] = ("mnist",),
    seeds: int = 5,
    core_minutes: float = 4.0,
    out: Path = Path("runs/vae-against-gan"),
) -> None:
    """Train, measure, and print a table for each data set.

    Args:
        data: data sets of pictures.
        seeds: trainings of each model.
        core_minutes: processor time of each.
        out: where the figures are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    for spec in data:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in MODELS}
        for seed, name in itertools.product(range(seeds), MODELS):
            label = f"{name}-{Path(spec.partition(':')[0]).stem}-{seed}"
            print(label, "…", flush=True)
            found[name].append(trained(name, spec, seed, core_minutes, out / label))
        for name, figures in found.items():
            print(f"\n{name} on {spec}, {seeds} seeds, {core_minutes:g} core-minutes each:")
            for figure, value in rows(figures):
                print(f"  {figure:36} {value}")


if __name__ == "__main__":
    tyro.cli(main)
