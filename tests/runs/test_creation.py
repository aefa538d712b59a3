"""A run folder appears whole; what never had a checkpoint may be trained anew; nothing of anybody else's is touched."""

import os

import pytest
from support import config_of, tiny_options

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.runs import RunFolder, commit

TINY = tiny_options("gan", "default") | {"batch": 100, "epochs": 0.2}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_run_is_whole_and_nothing_lies_beside_it(tmp_path):
    RunFolder(tmp_path / "deep" / "run").create(config_of())
    assert names(tmp_path / "deep") == ["run"]
    assert names(tmp_path / "deep" / "run") == ["checkpoints", "config.json", "samples"]


def test_initial_weights_are_part_of_a_new_run(tmp_path):
    (tmp_path / "w").write_bytes(b"weights")
    RunFolder(tmp_path / "run").create(config_of(weights="another run's"), tmp_path / "w")
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(error, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((PlausibleError, KeyboardInterrupt)):
        RunFolder(tmp_path / "deep" / "run").create(config_of())
    assert names(tmp_path) == []


def old(run):
    run.create(config_of(machine="old"))
    run.append("start", tick=0)
    run.report_file.write_text("old")


def half(run):
    """As older versions left it when killed: folders, and no configuration."""
    run.checkpoints_dir.mkdir(parents=True)
    run.samples_dir.mkdir()
    (run.path / ".config.json.17.part").write_text("{")


@pytest.mark.parametrize("before", [old, half, lambda run: run.path.mkdir(), lambda _: None])
def test_what_has_no_checkpoint_is_replaced(before, tmp_path):
    run = RunFolder(tmp_path / "run")
    before(run)
    run.create(config_of(machine="new"))
    assert run.config().machine == "new"
    assert names(run.path) == ["checkpoints", "config.json", "samples"]
    assert names(tmp_path) == ["run"]


def test_a_run_with_a_checkpoint_is_not(tmp_path):
    run = RunFolder(tmp_path / "run")
    old(run)
    with commit(run.checkpoint_path(3)) as folder:
        (folder / "x").write_text("")
    with pytest.raises(PlausibleError, match="already holds a run"):
        run.create(config_of())
    assert run.config().machine == "old"


@pytest.mark.parametrize("stranger", ["thesis.tex", "samples/holiday.png", "checkpoints/notes"])
@pytest.mark.parametrize("before", [half, lambda run: (run.path / "samples").mkdir(parents=True)])
def test_a_strangers_files_are_not_touched(stranger, before, tmp_path):
    run = RunFolder(tmp_path / "run")
    before(run)
    (run.path / stranger).parent.mkdir(exist_ok=True)
    (run.path / stranger).write_text("mine")
    with pytest.raises(PlausibleError, match="is not an empty folder"):
        run.create(config_of())
    assert (run.path / stranger).read_text() == "mine"


def test_a_run_that_somebody_writes_into_is_not_replaced(tmp_path):
    run = RunFolder(tmp_path / "run")
    old(run)
    with run.writing(), pytest.raises(PlausibleError, match="is being written"):
        RunFolder(run.path).create(config_of(machine="new"))
    assert run.config().machine == "old"
    assert names(tmp_path) == ["run"]


def test_litter_of_dead_processes_goes_and_of_living_ones_stays(tmp_path):
    dead, living = 2**22 + 5, os.getppid()
    for name in (
        f".run.{dead}.part",
        f".run.{dead}.old",
        f".run.{living}.part",
        f".other.{dead}.part",
        ".run.x.part",
    ):
        (tmp_path / name).mkdir()
    RunFolder(tmp_path / "run").create(config_of())
    assert names(tmp_path) == sorted([f".run.{living}.part", f".other.{dead}.part", ".run.x.part", "run"])


def test_after_a_divergence_before_the_first_checkpoint_the_same_folder_will_do(tmp_path):
    sick = TINY | {"objective": "minimax", "optimizer": "sgd", "lr": 1e30, "penalty": 1.0}
    with pytest.raises(
        PlausibleError, match=r"Nothing was saved yet: begin anew with `plausible resume .*--set lr="
    ):
        jobs.train("gan", out=tmp_path / "run", **sick)
    assert RunFolder(tmp_path / "run").stopped()["reason"] == "diverged"
    run = jobs.train("gan", out=tmp_path / "run", **TINY)
    assert run.stopped()["reason"] == "finished"
    assert run.config().recipe["lr"] != 1e30
