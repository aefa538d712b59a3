"""Speed of this checkout against another one, in one run: `python benchmarks/against.py --old ../old-checkout`.

Rounds alternate between the two, so that what slows the machine slows both. Training is measured by the run's own log
(rows a second, saving left out), the command line by the wall clock of `plausible --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parents[1]
MODELS = {"gan": ["--preset", "tutorial"], "vae": [], "nade": [], "autoencoder": []}
DATA = {"nade": "mnist:fixed"}


def command(checkout: Path, *words: str) -> None:
    """Run plausible of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    subprocess.run(
        [sys.executable, "-m", "plausible", *words], check=True, env=environment, capture_output=True
    )


def training(checkout: Path, model: str, seconds: float) -> float:
    """Training rows a second."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = [
            "--data",
            DATA.get(model, "mnist"),
            "--minutes",
            str(seconds / 60),
            "--out",
            str(run),
            "--quiet",
        ]
        command(checkout, "train", model, *MODELS[model], *words)
        lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    ticks = [line for line in lines if line["event"] == "ticks"]
    last = ticks[-1]
    return last["rows"] / last["seconds"]


def helping(checkout: Path) -> float:
    """`plausible --help` a second."""
    begun = time.perf_counter()
    command(checkout, "--help")
    return 1 / (time.perf_counter() - begun)


def main() -> None:
    """Print a table of medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--old", type=Path, required=True, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of training a round")
    given = parser.parse_args()
    print(f"{'':14}{'old':>12}{'new':>12}{'new / old':>12}   medians of {given.rounds} rounds")
    for name in ["--help", *MODELS]:
        found: dict[Path, list[float]] = {given.old: [], HERE: []}
        for _ in range(given.rounds):
            for checkout, values in found.items():
                values.append(
                    helping(checkout) if name == "--help" else training(checkout, name, given.seconds)
                )
        old, new = (statistics.median(values) for values in found.values())
        print(f"{name:14}{old:12,.1f}{new:12,.1f}{new / old:12.3f}", flush=True)


if __name__ == "__main__":
    main()
