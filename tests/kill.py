"""Kill a training at random moments, resume it, and compare its end with the uninterrupted one.

`python tests/kill.py --kills 20`: each round trains a small GAN on digits through the command line, is killed
with SIGKILL at a random moment (start-up, ticks, saves, the report: checkpoints come every epoch of 14 ticks),
is resumed and killed again a few times, and at last left to finish. Its files must be those of an uninterrupted
training, byte for byte apart from times.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from killed import files

EPOCHS = 60
OPTIONS = ["--batch", "100", "--generator", "16", "--discriminator", "16", "--latent", "4", "--ema", "0.99"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
PROGRAM = """
import sys
from plausible.training import loop
loop.CHECKPOINT_TICKS = 1  # a checkpoint an epoch: most of the time is spent in saving
from plausible.cli import main
sys.exit(main())
"""


def command(run: Path) -> list[str]:
    """Train, or go on if there is a run already."""
    verb = ["resume", str(run)] if (run / "config.json").exists() else None
    verb = verb or ["train", "gan", "--epochs", str(EPOCHS), "--out", str(run), *OPTIONS]
    return [sys.executable, "-c", PROGRAM, *verb, "--quiet"]


def start(run: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(run), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(run: Path) -> str:
    """Let it end; returns the SHA-256 of all its files, without times and without the path that the report names."""
    process = start(run)
    _, errors = process.communicate(timeout=600)
    if process.returncode != 0 and "has spent its budget" not in errors:  # killed after its last event
        raise SystemExit(f"the resumed run failed with {process.returncode}:\n{errors}")
    digest = hashlib.sha256()
    for name, content in files(run).items():
        digest.update(name.encode() + content.replace(run.name.encode(), b"run"))
    return digest.hexdigest()


def moment(run: Path, process: int) -> str:
    """What the killed process was about, from what it left behind."""
    if not (run / "config.json").exists():
        return "before the run"
    if list((run / "checkpoints").glob(f".*.{process}.*")):
        return "during a save"
    lines = (run / "events.jsonl").read_text().split("\n") if (run / "events.jsonl").exists() else []
    events = [json.loads(line)["event"] for line in lines if line.endswith("}")]
    return f"after {events[-1]}" if events else "before the first event"


def kill_once(run: Path, seconds: float) -> str:
    """Start or resume, kill after so many seconds of its life; returns the moment."""
    process = start(run)
    deadline = time.monotonic() + seconds
    log = run / "events.jsonl"
    size = log.stat().st_size if log.exists() else 0
    while time.monotonic() < deadline + 60 and process.poll() is None:
        if log.exists() and log.stat().st_size > size:  # training has begun: the clock starts here
            break
        time.sleep(0.005)
    time.sleep(seconds)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return moment(run, process.pid) if process.returncode == -signal.SIGKILL else "it had ended"


def kills(number: int, seed: int = 0, *, resumes: int = 3, talk=print) -> int:
    """Kill `number` times, a few times a run; returns how often the end was the uninterrupted one's."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    same, moments = 0, Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        expected = finish(folder / "whole")
        span = max(0.2, min(time.monotonic() - began - 2.0, 4.0) / 2)
        for first in range(0, number, resumes):
            run, group = folder / f"run-{first}", min(resumes, number - first)
            found = [kill_once(run, rng.uniform(0, span)) for _ in range(group)]
            moments.update(found)
            end = finish(run)
            same += group if end == expected else 0
            talk(f"killed {', '.join(found)}: {'the same' if end == expected else f'{end}, not {expected}'}")
    talk(f"{same} of {number} · moments: {dict(moments)}")
    return same


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.exit(0 if kills(given.kills, given.seed) == given.kills else 1)
