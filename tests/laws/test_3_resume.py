"""Law 3: stop at any tick, resume: the same weights, averages and optimizers, bit for bit, as uninterrupted; and the
same files, apart from times.
"""

import re
import tempfile
from functools import cache
from pathlib import Path
from zlib import crc32

import pytest
import support
from killed import files
from support import (
    CASES_SLOW,
    EVERY_CASE,
    EVERY_PRESET,
    HOME,
    OTHERS_SLOW,
    of_training,
    opened,
    play,
    recipe_at,
    tiny_options,
    trainer_of,
)

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.runs import commit
from plausible.training import checkpoint

TICKS = 13  # past six epochs' ends and the averages' update at tick 10
CLOCKS = {"seconds": 1.5, "cpu_seconds": 0.1}


def trainer(name, preset, domain, seed=0):
    options = {"k": 3} if (name, preset) == ("gan", "default") else {}
    if recipe_at(name, preset) is not None:  # a counted model has none
        options["clip"] = 0.5
    return trainer_of(name, preset, domain, seed=seed, shards=2, ema=0.9, **options)


def saved(one, folder):
    """The files of a trainer's checkpoint."""
    with commit(folder) as temporary:
        checkpoint.write(one, temporary, CLOCKS)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@cache
def uninterrupted(*case):
    with tempfile.TemporaryDirectory() as folder:
        return saved(play(trainer(*case), TICKS), Path(folder) / "end")


every_case = pytest.mark.parametrize("case", EVERY_CASE, ids="-".join)


@pytest.mark.parametrize(("name", "preset", "domain"), CASES_SLOW)
def test_stopped_at_some_tick_and_resumed_is_uninterrupted(name, preset, domain):
    """One tick for each case, another for each: all of them in `make test-all`."""
    case = (name, preset, domain)
    check_stopped_at(case, crc32("-".join(case).encode()) % TICKS)


@pytest.mark.slow
@every_case
@pytest.mark.parametrize("tick", range(TICKS))
def test_stopped_at_every_tick_and_resumed_is_uninterrupted(case, tick):
    check_stopped_at(case, tick)


def check_stopped_at(case, tick):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        saved(play(trainer(*case), tick), folder / "stopped")
        resumed = trainer(*case, seed=77)
        assert checkpoint.restore(resumed, folder / "stopped").clocks == CLOCKS
        assert resumed.tick == tick
        assert saved(play(resumed, TICKS - tick), folder / "end") == uninterrupted(*case)


@pytest.mark.parametrize("case", EVERY_CASE[:1], ids="-".join)
def test_the_comparison_sees_a_single_tick(case, tmp_path):
    ended = saved(play(trainer(*case), TICKS + 1), tmp_path / "end")
    assert {name for name, content in ended.items() if content != uninterrupted(*case)[name]} == {
        "manifest.json", "model.safetensors", "optimizers.safetensors", "state.json"
    }  # fmt: skip


def content(run):
    """The newest checkpoint's tensors, as bytes."""
    return {path.name: path.read_bytes() for path in run.newest_valid().path.glob("*.safetensors")}


def same_files(resumed, whole):
    """All files of a run that was resumed with larger budgets are those of one whole training, but for the budgets."""
    found, expected = (
        {
            name: content
            for name, content in files(run.path).items()
            if name not in ("config.json", "report.html")
        }
        for run in (resumed, whole)
    )
    for each in (found, expected):
        each["events.jsonl"] = re.sub(rb'"done": [0-9.e-]*', b"", each["events.jsonl"])
    assert [n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n)] == []


every_preset = pytest.mark.parametrize(("name", "preset"), EVERY_PRESET)


@pytest.mark.parametrize(("name", "preset"), OTHERS_SLOW)
def test_jobs_resumed_twice_equal_one_training(name, preset, tmp_path):
    check_resumed_twice(name, preset, tmp_path)


@pytest.mark.slow
@every_preset
def test_jobs_resumed_twice_equal_one_training_with_their_figures_drawn(name, preset, drawn, tmp_path):
    check_resumed_twice(name, preset, tmp_path)


def check_resumed_twice(name, preset, tmp_path):
    options = {"data": support.saved(tmp_path, HOME[name]), "preset": of_training(preset), "batch": 8}
    options |= tiny_options(name, preset)
    whole = jobs.train(name, out=tmp_path / "whole", epochs=5, **options)
    parts = jobs.train(name, out=tmp_path / "parts", epochs=1.25, **options)
    if not opened(parts).model.turns():
        with pytest.raises(PlausibleError, match="nothing to train"):
            jobs.resume(parts, epochs=3)
        assert content(parts) == content(whole)
        same_files(parts, whole)
        return
    jobs.resume(parts, epochs=3)
    jobs.resume(parts, epochs=5)
    assert content(parts) == content(whole)
    assert parts.stopped()["reason"] == "finished"
    same_files(parts, whole)


def test_a_run_without_a_checkpoint_resumes_at_tick_0(tmp_path):
    options = {"data": "digits", "batch": 100} | tiny_options("gan", "default")
    whole = jobs.train("gan", out=tmp_path / "whole", epochs=0.3, **options)
    killed = jobs.train("gan", out=tmp_path / "killed", epochs=0.1, **options)
    for point in killed.checkpoints():
        point.path.rename(point.path.with_name(f".{point.path.name}.1.part"))
    jobs.resume(killed, epochs=0.3)
    assert content(killed) == content(whole)
    same_files(killed, whole)
