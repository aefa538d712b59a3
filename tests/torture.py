"""Damage the files of a run in thousands of ways: whatever is read is an answer or one clear line, never a traceback.

`python tests/torture.py --seconds 120 --seed 0`: a small run is trained once; then a file of it is damaged (flipped
and cut bytes, values of other types, removed and added keys, huge numbers, deep nesting, files in each other's place,
folders in place of files) and the run is asked for everything that reads it. The checkpoint's manifest is made to agree
with the damage most of the time, so that what lies behind it is reached. Prints how many files it damaged and what went
wrong, with the number of each, from which and the seed it follows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plausible
from plausible import jobs
from plausible.errors import PlausibleError
from plausible.jobs import training
from plausible.jobs.loading import load_at
from plausible.runs import RunFolder, verify

MEMORY = 16 << 30
"""A configuration of layers with 2³¹ units must fail, not fill the machine."""
FILES = (
    *("config.json", "best.json", "evaluation.json", "events.jsonl", "weights.safetensors"),
    *(f"checkpoints/*/{name}.json" for name in ("state", "manifest")),
    *(f"checkpoints/*/{name}.safetensors" for name in ("model", "ema", "optimizers")),
)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, -(10**30), 1.5, float("nan"), float("inf"), 1e308, "", "x", "\0",
    "a" * 20_000, "\ud800", "../../x", "/", "한글", [], {}, [[]], {"": None}, [1] * 5, {"format": 3},
)  # fmt: skip


def main(seconds: float, seed: int, most: int | None = None, talk: Callable[[str], None] = print) -> int:
    """Damage files for so many seconds; returns how many ended in anything but an answer or a PlausibleError."""
    warnings.simplefilter("ignore")
    counts, raw = Counter(), 0
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, limits[1]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = prepared(folder)
        talk(f"seed {seed}, {seconds:g} seconds")
        end, n = time.monotonic() + seconds, 0
        began = time.monotonic()
        while time.monotonic() < end and (most is None or n < most):
            rng = random.Random(f"{seed} {n}")  # noqa: S311 - moments, not secrets
            run = RunFolder(folder / "damaged")
            shutil.rmtree(run.path, ignore_errors=True)
            shutil.copytree(whole.path, run.path)
            what = damage(run.path, rng)
            for job, answer in asked(run, n):
                try:
                    answer()
                    counts[f"{job}: answered"] += 1
                except PlausibleError as error:
                    counts[f"{job}: refused"] += 1
                    if len(str(error).splitlines()) != 1:
                        raw += 1
                        talk(f"{n} {what} {job}: not one line: {error!r:.300}")
                except Exception:  # noqa: BLE001 - these are looked for
                    raw += 1
                    talk(f"{n} {what} {job}:\n{traceback.format_exc(limit=-4)}")
            n += 1
        took = time.monotonic() - began
        resource.setrlimit(resource.RLIMIT_AS, limits)
        talk(f"{n} damaged files in {took:.0f} s, {n / took:.0f} a second, {raw} raw errors")
        for line, count in sorted(counts.items()):
            talk(f"  {count:6d} {line}")
    return raw


def prepared(folder: Path) -> RunFolder:
    """A small run with everything in it: averages, two checkpoints, a best one, an evaluation, weights of another."""
    small = {"encoder": (3,), "decoder": (3,), "latent": 2, "batch": 20, "ema": 0.9}
    first = jobs.train("vae", "digits:binary", out=folder / "first", epochs=0.05, **small)
    run = jobs.train("vae", "digits:binary", out=folder / "whole", like=first, weights=True, epochs=0.1)
    plausible.load(run.path).evaluate(metrics=["fidelity"])
    shutil.rmtree(run.pictures_dir, ignore_errors=True)  # they take most of the report's time
    return run


def asked(run: RunFolder, n: int) -> list[tuple[str, Callable[[], object]]]:
    """Everything that reads a run, the slow ones seldom."""
    point = run.checkpoints()
    jobs_of: list[tuple[str, Callable[[], object]]] = [
        ("config", run.config),
        ("events", run.events),
        ("stopped", run.stopped),
        ("judgement", run.judgement),
        ("evaluation", run.evaluation),
        ("newest", run.newest_valid),
        ("verify", lambda: [verify(each.path) for each in point]),
        *([("load", lambda: load_at(run, None))] if n % 2 == 0 else []),
    ]
    if n % 2:
        jobs_of.append(("load newest", lambda: load_at(run, point[-1].tick) if point else None))
    if n % 5 == 0:
        jobs_of.append(("start of a resume", lambda: started(run)))
    if n % 50 == 0:
        jobs_of.append(("report", lambda: jobs.report(run)))
    return jobs_of


class Started(Exception):  # noqa: N818 - no error
    """A resume came so far that it would play."""


def started(run: RunFolder) -> None:
    """A resume up to the first tick."""

    def stop(_: object) -> str:
        raise Started

    fit, training.play = training.play, stop
    after, training.steps.after_checkpoint = training.steps.after_checkpoint, lambda *_, **__: None
    try:
        training.resume(run, epochs=1)
    except Started:
        return
    finally:
        training.play, training.steps.after_checkpoint = fit, after


# ------------------------------------------------------------------------- damage
def damage(run: Path, rng: random.Random) -> str:
    """Damage one file; returns what was done."""
    file = rng.choice(sorted(path for pattern in FILES for path in run.glob(pattern)))
    ways = [flipped, cut, swapped_bytes, another_file, a_folder]
    if file.suffix != ".safetensors":
        ways = [*ways, another_value, another_value, another_value, less, more, nested, twice]
    else:
        ways = [*ways, another_header, another_header]
    way = rng.choice(ways)
    way(file, rng)
    if file.parent.parent.name == "checkpoints" and file.name != "manifest.json" and rng.random() < 0.7:
        agree(file)
    return f"{file.relative_to(run)} {way.__name__}"


def agree(file: Path) -> None:
    """Make the manifest vouch for the file as it is now."""
    if file.is_file():
        manifest = file.parent / "manifest.json"
        known = json.loads(manifest.read_text())
        known["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(known))


def flipped(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 1, 3, 30))):
        content[rng.randrange(min(len(content), rng.choice((64, 4000, 10**9))))] ^= rng.randrange(1, 256)
    file.write_bytes(content)


def cut(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))])


def swapped_bytes(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    start = rng.randrange(len(content))
    file.write_bytes(content[:start] + rng.randbytes(rng.choice((1, 8, 100))) + content[start:])


def another_file(file: Path, rng: random.Random) -> None:
    others = [path for path in file.parents[0].rglob("*") if path.is_file() and path != file]
    file.write_bytes(rng.choice(sorted(others)).read_bytes())


def a_folder(file: Path, rng: random.Random) -> None:
    file.unlink()
    if rng.random() < 0.5:
        file.mkdir()


def edited(file: Path, rng: random.Random, edit: Callable[[Any, Any], None]) -> None:
    """Edit a random place (a container and a key) of a JSON file, or of a random line of a log."""
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    at = rng.randrange(len(lines))
    value = json.loads(lines[at])
    places = list(containers(value))
    container = rng.choice(places)
    key = rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
    edit(container, key)
    lines[at] = json.dumps(value)
    file.write_text("\n".join(lines) + "\n")


def containers(value: Any) -> list[Any]:
    """Every object and array within that is not empty."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict | list) and value else []) + [
        c for v in inner for c in containers(v)
    ]


def another_value(file: Path, rng: random.Random) -> None:
    def edit(container: Any, key: Any) -> None:
        container[key] = rng.choice(ODD)

    edited(file, rng, edit)


def less(file: Path, rng: random.Random) -> None:
    def edit(container: Any, key: Any) -> None:
        del container[key]

    edited(file, rng, edit)


def more(file: Path, rng: random.Random) -> None:
    def edit(container: Any, key: Any) -> None:
        if isinstance(container, dict):
            container[rng.choice(("new", "", "\0", "ema", "../x", "a" * 5000))] = rng.choice(ODD)
        else:
            container.append(rng.choice(ODD))

    edited(file, rng, edit)


def nested(file: Path, rng: random.Random) -> None:
    deep = rng.choice((10, 900, 5000, 200_000))
    kinds = (("[", "]"), ('{"a":', "}"))
    opening, closing = rng.choice(kinds)

    def edit(container: Any, key: Any) -> None:
        container[key] = "HERE"

    edited(file, rng, edit)
    file.write_text(file.read_text().replace('"HERE"', opening * deep + "1" + closing * deep))


def twice(file: Path, rng: random.Random) -> None:
    text = file.read_text()
    at = [i for i, c in enumerate(text) if c == "{"]
    where = rng.choice(at) + 1
    key = text[where:].lstrip().partition(":")[0]
    file.write_text(text[:where] + f"{key}: 1, " + text[where:] if key else text + text)


def another_header(file: Path, rng: random.Random) -> None:
    """The header of safetensors: its length, or its JSON with another value, shape or offset."""
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    if rng.random() < 0.3:
        wrong = rng.choice((0, 1, size - 1, size + 1, 2**31, 2**62, 2**64 - 1))
        file.write_bytes(wrong.to_bytes(8, "little") + content[8:])
        return
    header = json.loads(content[8 : 8 + size])
    container = rng.choice(containers(header))
    key = rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
    container[key] = rng.choice((*ODD, "F64", "I8", "BF16", "F8_E5M2"))
    new = json.dumps(header).encode("utf-8", "replace")
    file.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + size :])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.exit(1 if main(given.seconds, given.seed) else 0)
