"""Which kernels trained a run: every checkpoint says so, and going on with another is said on screen."""

import json
import warnings

import pytest
from support import saved, without_numba

from plausible import cli, jobs

TINY = {"hidden": 5, "batch": 16}
NOT_EXACT = "not be bit-exact"


@pytest.fixture
def data(tmp_path):
    return saved(tmp_path, "binary")


def kernels(run):
    """What the newest checkpoint says of the kernels that trained it."""
    return json.loads((run.newest_valid().path / "state.json").read_text()).get("kernels")


def messages(caught):
    return [str(each.message) for each in caught]


def without(monkeypatch, work):
    """Do the work where numba is not installed; its result and what it warned of."""
    with without_numba(monkeypatch), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return work(), messages(caught)


def test_a_run_trains_without_numba_and_says_so(data, tmp_path, monkeypatch):
    run, said = without(monkeypatch, lambda: jobs.train("nade", data, out=tmp_path / "run", epochs=2, **TINY))
    assert run.stopped()["reason"] == "finished"
    assert kernels(run) == ["torch"]
    assert len(said) == 1
    assert "pip install 'plausible[fast]'" in said[0]


@pytest.mark.parametrize("name", ["nade", "rnade"])
def test_resuming_with_another_kernel_warns_that_it_is_not_bit_exact(name, tmp_path, monkeypatch):
    data = saved(tmp_path, "binary" if name == "nade" else "points")
    run = jobs.train(name, data, out=tmp_path / "run", epochs=1, **TINY)
    _, said = without(monkeypatch, lambda: jobs.resume(run, epochs=2))
    assert [NOT_EXACT in line for line in said].count(True) == 1
    assert "numba kernel up to tick 2 and goes on with torch" in " ".join(said)
    assert kernels(run) == ["numba", "torch"]
    with pytest.warns(RuntimeWarning, match="torch kernel up to tick 4 and goes on with numba"):
        jobs.resume(run, epochs=3)
    assert kernels(run) == ["numba", "torch", "numba"]


def test_resuming_with_the_same_kernel_says_nothing(data, tmp_path):
    run = jobs.train("nade", data, out=tmp_path / "run", epochs=1, **TINY)
    jobs.resume(run, epochs=2)  # a warning is an error here
    assert kernels(run) == ["numba"]


def test_a_run_that_has_nothing_left_to_train_is_not_warned_of(data, tmp_path, monkeypatch):
    run = jobs.train("nade", data, out=tmp_path / "run", epochs=1, **TINY)
    run.report_file.unlink()
    _, said = without(monkeypatch, lambda: jobs.resume(run))
    assert run.report_file.exists()
    assert not [line for line in said if NOT_EXACT in line]


def test_a_model_of_one_kernel_records_none(data, tmp_path):
    run = jobs.train("made", data, out=tmp_path / "run", epochs=1, hidden=(4,), batch=16)
    assert kernels(run) is None


def test_a_checkpoint_from_before_kernels_were_recorded_resumes(data, tmp_path, monkeypatch):
    run = jobs.train("nade", data, out=tmp_path / "run", epochs=1, **TINY)
    folder = run.newest_valid().path
    state = json.loads((folder / "state.json").read_text())
    del state["kernels"]
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "manifest.json").write_text(manifest_of(folder))
    _, said = without(monkeypatch, lambda: jobs.resume(run, epochs=2))
    assert not [line for line in said if NOT_EXACT in line]
    assert kernels(run) == ["torch"]


def test_the_command_line_shows_the_warning(data, tmp_path, monkeypatch, capsys):
    run = jobs.train("nade", data, out=tmp_path / "run", epochs=1, **TINY)
    with without_numba(monkeypatch), warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["resume", str(run.path), "--epochs", "2", "--quiet"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [NOT_EXACT in line for line in lines].count(True) == 1
    assert all(line.startswith("plausible: warning: ") for line in lines)


def manifest_of(folder):
    """manifest.json anew, after a file of a checkpoint was changed."""
    from hashlib import sha256

    names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    return json.dumps({"sha256": {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}})
