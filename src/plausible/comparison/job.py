"""`plausible compare`: train, measure and report, in one folder that a killed comparison goes on in."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plausible.comparison.advice import advise
from plausible.comparison.baselines import BASELINES, fit_baseline
from plausible.comparison.entries import Compared as Given
from plausible.comparison.entries import Entry, read_entries
from plausible.comparison.measuring import Contender, contender_of, measured
from plausible.comparison.training import train_all, why_failed
from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.jobs.opened import Opened
from plausible.report.compare import write_comparison
from plausible.report.images import plot_samples
from plausible.runs import read_record, write_json
from plausible.runs.comparison import Compared, Comparison, ComparisonPlan
from plausible.runs.lock import locked
from plausible.version import __version__

__all__ = ["DEFAULT_CORE_MINUTES", "Outcome", "Say", "compare"]

DEFAULT_CORE_MINUTES = 5.0
PICTURED = 36
TRAINING_SHARE = 0.7
"""Of the progress that is shown; the rest is measuring."""
SAY_SECONDS = 10.0
Say = Callable[[str, float], None]
"""Told (what is being done, the share that is done, 0 to 1)."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished comparison.

    Attributes:
        path: its folder.
        record: what stands in compare.json.
    """

    path: Path
    record: Comparison

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        names = ", ".join(each.name for each in self.record.results if each.kind != "baseline")
        return f"<Outcome {self.path}: {names} on {self.record.plan.data}>"


def compare(
    models: Sequence[Given],
    data: Any = None,
    *,
    y: Any = None,
    target: str | None = None,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    core_minutes: float = DEFAULT_CORE_MINUTES,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    say: Say | None = None,
) -> Outcome:
    """Compare models and trained runs on one split of one data set, each with the same budget of processor time.

    Every model is trained on the training rows with its defaults (or is a run that is trained already), and is measured
    on the test rows at three jobs: to generate, by the default metrics of samples; to give probabilities and to find
    outliers, by log p(x) and by the AUROC of test rows against damaged rows; to represent, by classifiers on its codes.
    Kernel density, Gaussian mixture, isolation forest, nearest neighbours, PCA and independent marginals stand beside
    them. A model that does not take the data's values is trained on a view that it takes, and measured on that view.

    Args:
        models: names of models, "module:Class", classes, runs or their folders.
        data: anything that `plausible.data.load` takes; default that of the first run, else digits.
        y: labels of the rows, (n,).
        target: the column that holds the labels.
        columns: column of a table → its type, instead of the one found.
        drop: columns of a table to leave out.
        core_minutes: minutes of processor time for each model that is trained here.
        seed: random seed of everything.
        out: the folder; default runs/compare-DATA-SEED. The same call goes on in a folder that it was killed in, and
            more models are added to one that is finished.
        say: told what is being done.

    Returns: the folder and the record in its compare.json; report.html lies beside it, the runs in runs/NAME.

    Raises:
        PlausibleError: bad input (nothing is written then), a folder of another comparison, or a training that failed.
            A training that diverged is none: the page says so in its place.
        KeyboardInterrupt: Ctrl-C, after the trainings have saved.
    """
    if not 0 < core_minutes < float("inf"):
        raise PlausibleError(f"--core-minutes must be a positive number, not {core_minutes}")
    if seed < 0:
        raise PlausibleError(f"--seed must be 0 or more, not {seed}")
    views, entries = read_entries(models, data, seed, y=y, target=target, columns=columns, drop=drop)
    plan = ComparisonPlan(
        data=views.data.spec, hash=views.data.hash, core_minutes=float(core_minutes), seed=seed
    )
    folder = _begin(Path(out) if out is not None else _default_out(plan), plan)
    tell = say or (lambda words, share: None)
    with locked(folder):
        train_all(entries, folder / "runs", core_minutes, seed, _training_told(entries, tell))
        results = _measure_all(entries, folder, plan, tell)
        record = Comparison(
            plausible=__version__,
            plan=plan,
            train=len(views.data.train),
            valid=len(views.data.valid),
            test=len(views.data.test),
            results=tuple(results),
            advice=advise(results),
            pictures=_picture_real({entry.data.spec: entry.data for entry in entries}, folder),
        )
        write_json(folder / "compare.json", record.model_dump(mode="json"))
        write_comparison(folder, record)
    tell("done", 1.0)
    return Outcome(folder, record)


def _begin(folder: Path, plan: ComparisonPlan) -> Path:
    """The folder with its plan, new or of the same comparison.

    Raises:
        PlausibleError: it holds another comparison, or other files.
    """
    file = folder / "plan.json"
    if file.is_file():
        before = read_record(ComparisonPlan, file, "give another folder with --out")
        other = [
            name for name in ("hash", "core_minutes", "seed") if getattr(before, name) != getattr(plan, name)
        ]
        if other:
            words = {"hash": "data", "core_minutes": "core-minutes", "seed": "seed"}
            raise PlausibleError(
                f"{folder} holds a comparison with other {' and '.join(words[name] for name in other)} "
                f"({before.data}, {before.core_minutes:g} core-minutes, seed {before.seed}): give another folder with "
                "--out"
            )
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PlausibleError(f"{folder} holds other files: give another folder with --out")
    try:
        for each in (folder, folder / "runs", folder / "results", folder / "samples"):
            each.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlausibleError(f"could not make the folder {folder}: {error.strerror or error}") from error
    write_json(file, plan.model_dump(mode="json"))
    return folder


def _default_out(plan: ComparisonPlan) -> Path:
    name = f"compare-{Path(plan.data).name}-{plan.seed}"
    return Path("runs") / re.sub(r"[^\w.=+-]+", "-", name)


def _training_told(entries: Sequence[Entry], say: Say) -> Callable[[str, float], None]:
    """What says how far the trainings are, at most every SAY_SECONDS."""
    shares = {entry.name: 0.0 for entry in entries if entry.model is not None}
    last = -SAY_SECONDS

    def tell(name: str, done: float) -> None:
        nonlocal last
        ended = done >= 1 and shares[name] < 1
        shares[name] = done
        at_work = ", ".join(f"{each} {share:.0%}" for each, share in shares.items() if 0 < share < 1)
        if not ended and (not at_work or time.monotonic() - last < SAY_SECONDS):
            return
        last = time.monotonic()
        words = f"{name} is trained" if ended else f"training {at_work}"
        say(words, TRAINING_SHARE * sum(shares.values()) / len(shares))

    return tell


# ------------------------------------------------------------------ measuring
def _measure_all(entries: Sequence[Entry], folder: Path, plan: ComparisonPlan, say: Say) -> list[Compared]:
    """The figures of all models, then of the baselines on each view that a model was measured on."""
    views = {entry.data.spec: entry.data for entry in entries}
    jobs: list[tuple[str, Callable[[], Compared]]] = [
        (entry.name, lambda entry=entry: _of_entry(entry, folder, plan)) for entry in entries
    ]
    for spec, data in views.items():
        jobs += [
            (f"{name} on {spec}", lambda name=name, data=data: _of_baseline(name, data, folder, plan))
            for name in BASELINES
        ]
    found = []
    for done, (name, job) in enumerate(jobs):
        say(f"measuring {name}", TRAINING_SHARE + (1 - TRAINING_SHARE) * done / len(jobs))
        found.append(job())
    return found


def _of_entry(entry: Entry, folder: Path, plan: ComparisonPlan) -> Compared:
    path = folder / "runs" / entry.name if entry.opened is None else entry.opened.path
    failed = why_failed(path)
    run = entry.opened or Opened(path, model=entry.model)
    if run.config.data.hash != entry.data.hash:
        raise PlausibleError(
            f"{path} was trained on other data than {entry.data.spec}: give another folder with --out"
        )
    facts: dict[str, Any] = {
        "name": entry.name,
        "kind": "model" if entry.opened is None else "run",
        "view": entry.data.spec,
        "run": f"runs/{entry.name}" if entry.opened is None else str(path.resolve()),
        "about": f"{run.config.model_words}, preset {run.config.model.preset}",
        **_of_log(run),
    }
    if failed:
        return Compared(**facts, failed=failed)
    found = Compared(**facts, tick=run.tick)
    return _stored(found, folder, entry.name, lambda: contender_of(entry.name, run.model, entry.data), plan)


def _of_baseline(name: str, data: Data, folder: Path, plan: ComparisonPlan) -> Compared:
    key = f"{_file_name(name)}-{data.hash[:12]}"
    file = folder / "results" / f"{key}.json"
    if file.is_file():
        return read_record(Compared, file, "remove it, and it is measured anew")
    fitted = fit_baseline(name, data, plan.seed)
    found = Compared(
        name=name,
        kind="baseline",
        view=data.spec,
        about=fitted.about,
        cpu_seconds=fitted.cpu_seconds,
        seconds=fitted.seconds,
    )
    return _stored(found, folder, key, lambda: fitted.contender, plan)


def _stored(
    found: Compared, folder: Path, key: str, contender: Callable[[], Contender], plan: ComparisonPlan
) -> Compared:
    """The figures, from their file if they were taken before of the same checkpoint, else measured and written."""
    file = folder / "results" / f"{key}.json"
    if file.is_file():
        before = read_record(Compared, file, "remove it, and it is measured anew")
        same = ("name", "kind", "view", "run", "tick")
        if all(getattr(before, name) == getattr(found, name) for name in same):
            return before
    source = contender()
    if source.sample is not None:
        _picture(source.sample(PICTURED).numpy(), source.data, folder / "samples" / f"{key}.png")
        found = found.model_copy(update={"picture": f"samples/{key}.png"})
    result = measured(source, found, plan.seed)
    write_json(file, result.model_dump(mode="json"))
    return result


def _of_log(run: Opened) -> Mapping[str, Any]:
    """Time and epochs of a run's training, and how the judgements of its checkpoints went."""
    events = run.folder.events()
    ticks = [event for event in events if event["event"] == "ticks"]
    valid = [event for event in events if event["event"] == "valid"]
    last = ticks[-1] if ticks else {}
    found = {name: last.get(name) for name in ("cpu_seconds", "seconds")} | {"epochs": last.get("epoch")}
    if not (ticks and valid):
        return found
    at = np.interp(
        [event["tick"] for event in valid],
        [0, *(event["tick"] for event in ticks)],
        [0.0, *(event["cpu_seconds"] for event in ticks)],
    )
    curve = tuple((float(t), float(event["value"])) for t, event in zip(at, valid, strict=True))
    return found | {"judged_by": str(valid[-1]["by"]), "curve": curve}


def _picture(rows: np.ndarray, data: Data, path: Path) -> None:
    valid = data.valid.take(np.arange(min(len(data.valid), 2000)))[0]
    plot_samples(rows, path, real=valid, columns=data.columns, levels=data.schema.level_names)


def _picture_real(views: Mapping[str, Data], folder: Path) -> dict[str, str]:
    """Valid rows of each view, to see samples beside: view → file."""
    found = {}
    for spec, data in views.items():
        name = f"samples/real-{data.hash[:12]}.png"
        if not (folder / name).is_file():
            _picture(data.valid.take(np.arange(min(len(data.valid), PICTURED)))[0], data, folder / name)
        found[spec] = name
    return found


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.=+-]+", "-", name)
