"""Killed before any file operation, stopped at any tick: resumed, a run's files are those of an uninterrupted one."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from killed import FAILED, KILLED, files, forked, operations
from support import saved, tiny_options

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.runs import RunFolder
from plausible.training import loop

EPOCHS = 6.5
"""Of two ticks each: 13."""
CASES = {
    "vae": ("binary", {"lr": 0.02}),
    "gan": ("image", {"ema": 0.9}),
    "independent": ("binary", {}),
}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """A checkpoint every 4 ticks, a report every 3: reports, checkpoints and the end fall together in all ways."""
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 4)
    monkeypatch.setattr(loop, "log_ticks", lambda _: 3)


class Case:
    """A short training, uninterrupted, and how to do it."""

    def __init__(self, name, folder):
        domain, more = CASES[name]
        self.folder = folder
        self.options = tiny_options(name, "default") | more | {"batch": 16, "keep": 1, "epochs": EPOCHS}
        self.name, self.data = name, saved(folder, domain)
        (folder / "whole").mkdir()
        self.operations = operations(self.train, folder / "whole")
        self.files = files(folder / "whole")

    def train(self, **more):
        jobs.train(self.name, self.data, out="run", **self.options | more)

    def go_on(self):
        """What a user does after a kill."""
        if RunFolder("run").config_file.exists():
            try:
                jobs.resume("run")
            except PlausibleError as error:
                if "spent its budget" not in str(error) and "nothing to train" not in str(error):
                    raise
        else:
            self.train()


@pytest.fixture(scope="module")
def case(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "checkpoint_ticks", lambda _: 4)
        patch.setattr(loop, "log_ticks", lambda _: 3)
        return Case(request.param, tmp_path_factory.mktemp(request.param))


def killed_at(case, k):
    """The files after a kill before operation k and what the user does then."""
    folder = Path(tempfile.mkdtemp(prefix=f"killed-{k}-", dir=case.folder))
    assert forked(case.train, folder=folder, kill_at=k) == KILLED, k
    assert forked(case.go_on, folder=folder) == 0, (k, case.operations[k])
    return files(folder)


def differing(found, expected):
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def check(case, points):
    wrong = {
        f"{k}: {case.operations[k]}": names
        for k in points
        if (names := differing(killed_at(case, k), case.files))
    }
    assert not wrong


every = pytest.mark.parametrize("case", CASES, indirect=True)


@every
def test_some_kills_change_no_file(case):
    print(case.name, len(case.operations), "operations")
    check(case, range(3, len(case.operations), max(1, len(case.operations) // 4)))


@pytest.mark.hours
@every
def test_no_kill_changes_a_file(case):
    print(case.name, len(case.operations), "operations")
    check(case, range(len(case.operations)))


def stop_at(case, tick, folder):
    """A training that SIGINT meets at a tick."""

    def interrupted():
        inner, left = loop.Means.add, [tick]

        def add(self, shown):
            inner(self, shown)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGINT)

        loop.Means.add = add
        case.train()

    folder.mkdir()
    assert forked(interrupted, folder=folder, quiet=True) == FAILED  # by KeyboardInterrupt
    run = RunFolder(folder / "run")
    assert (run.stopped()["reason"], run.stopped()["tick"]) == ("SIGINT", tick)
    assert run.newest_valid().tick == tick
    return folder


def stopped_and_resumed(case, tick):
    folder = stop_at(case, tick, case.folder / f"stopped-{tick}")
    assert forked(case.go_on, folder=folder) == 0
    return differing(files(folder), case.files)


@pytest.mark.parametrize("case", ["gan"], indirect=True)
@pytest.mark.parametrize("tick", [1, 4, 6, 11])
def test_stopped_at_a_tick_and_resumed_the_files_are_the_same(case, tick):
    assert stopped_and_resumed(case, tick) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", ["vae"], indirect=True)
@pytest.mark.parametrize("tick", range(1, 13))
def test_stopped_at_any_tick_and_resumed_the_files_are_the_same(case, tick):
    assert stopped_and_resumed(case, tick) == []


@pytest.mark.hours
@pytest.mark.parametrize("case", ["vae"], indirect=True)
@pytest.mark.parametrize("third", range(3))
def test_a_resume_may_be_killed_anywhere_too(case, third):
    """Stopped at tick 6, killed at any operation of the resume, resumed again."""
    begun = stop_at(case, 6, case.folder / f"begun-{third}")
    listed = operations(case.go_on, shutil.copytree(begun, case.folder / f"listed-{third}"))
    wrong = {}
    for k in range(third, len(listed), 3):
        folder = shutil.copytree(begun, case.folder / f"again-{k}")
        assert forked(case.go_on, folder=folder, kill_at=k) == KILLED
        assert forked(case.go_on, folder=folder) == 0
        if names := differing(files(folder), case.files):
            wrong[f"{k}: {listed[k]}"] = names
    print(len(listed), "operations of a resume")
    assert not wrong
