"""What each metric of `plausible evaluate` costs: processor time and memory of the whole command, on MNIST.

    python benchmarks/metrics.py --out runs/metrics

10,000 samples and 10,000 test rows, one thread; `table` on `diamonds` from $PLAUSIBLE_DATA, 2,000 test rows, and
`modes` on `ring`. The start of Python and torch, the reading of MNIST and the drawing of the samples are part of each
figure: `--metrics modes`, which computes nothing on MNIST, stands for them. The features are trained before. Models are
trained for a few seconds: what a metric costs does not depend on how good they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tyro

RUNS = {
    "gan": ("gan", "mnist", (), ("two-sample", "fidelity", "fidelity-pixels", "memorisation", "parzen")),
    "vae": ("vae", "mnist:binary", (), ("likelihood", "probe", "ladder")),
    "made": ("made", "mnist:binary", (), ("likelihood",)),
    "autoencoder": ("autoencoder", "mnist:class=3", (), ("anomaly",)),
    "categorical-aae": ("categorical-aae", "mnist", (), ("clustering",)),
    "few-labels": ("categorical-aae", "mnist", ("--preset", "few-labels"), ("classification",)),
    "mixed": ("mixed", "diamonds", (), ("table",)),
    "ring": ("gan", "ring", (), ("modes",)),
}
"""Name of the run → its model and data, options of the training, and the metrics that are measured on it."""


def cost(*words: str) -> tuple[float, float]:
    """Processor seconds and largest resident MiB of a command of `plausible`.

    A child's largest memory is at least that of its parent when it was started, so this process imports no torch.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "plausible", *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = process.stderr.read().decode() if process.stderr else ""
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: {message}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main(out: Path = Path("runs/metrics"), core_minutes: float = 0.1, runs: tuple[str, ...] = ()) -> None:
    """Train where there is no run yet, measure, and print a line for each metric.

    Args:
        out: folder of the runs.
        core_minutes: processor time of each training.
        runs: names of those that are measured; default all.
    """
    for name, (model, spec, options, metrics) in RUNS.items():
        if runs and name not in runs:
            continue
        run = str(out / name)
        if not Path(run).exists():
            minutes = str(core_minutes)
            cost(
                "train",
                model,
                "--data",
                spec,
                *options,
                "--out",
                run,
                "--core-minutes",
                minutes,
                "--patience",
                "0",
                "--quiet",
            )
        cost("evaluate", run, "--metrics", metrics[0])  # trains the features, where there are none yet
        for words in (*(("--metrics", metric) for metric in metrics), ()):
            seconds, memory = cost("evaluate", run, *words)
            what = words[-1] if words else "default"
            print(f"{name:12} {what:18} {seconds:6.1f} core-seconds {memory:6.0f} MiB", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
