"""One writer a run: a second one is told who the first is, and a dead one leaves nothing that anybody must remove."""

import errno
import json
import os
import re
import signal
import socket
import time

import pytest
from killed import forked
from support import config_of, tiny_options

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.runs import RunFolder, lock

TINY = tiny_options("gan", "default") | {"batch": 100}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create(config_of())
    return run


def test_a_second_writer_is_told_who_the_first_is(run):
    with run.writing():
        holder = json.loads((run.path / ".lock").read_text())
        assert (holder["pid"], holder["host"]) == (os.getpid(), socket.gethostname())
        said = f"process {os.getpid()} on {socket.gethostname()}, since {holder['since']}"
        with pytest.raises(PlausibleError, match=re.escape(said)) as error, run.writing():
            pass
        assert len(str(error.value).splitlines()) == 1
    assert not (run.path / ".lock").exists()
    with run.writing():
        pass


def test_the_second_writers_refusal_does_not_let_a_third_in(run):
    with run.writing():
        for _ in range(3):
            with pytest.raises(PlausibleError, match="is being written"), run.writing():
                pass


def test_a_writer_that_was_killed_holds_nothing(run):
    def die():
        lock.acquire(run.path)
        os.kill(os.getpid(), signal.SIGKILL)

    assert forked(die, folder=run.path) == -signal.SIGKILL
    assert (run.path / ".lock").exists()
    with run.writing():
        pass
    assert not (run.path / ".lock").exists()


def test_many_writers_at_once_are_never_two(run):
    """Each adds a line while it holds the lock; between its two lines there is no other's."""
    log = run.path.parent / "log"

    def write():
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            try:
                with run.writing(), log.open("a") as file:
                    file.write(f"{os.getpid()} in\n")
                    file.flush()
                    file.write(f"{os.getpid()} out\n")
                    file.flush()
            except PlausibleError:
                pass

    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                write()
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    lines = log.read_text().splitlines()
    assert len(lines) > 20
    assert len({line.split()[0] for line in lines}) > 1
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        assert (first, second) == (f"{first.split()[0]} in", f"{first.split()[0]} out")


@pytest.mark.parametrize(
    ("pid", "host", "free"),
    [(2**22 + 5, None, True), (1, None, False), (2**22 + 5, "another", False), (None, None, True)],
)
def test_without_locks_of_the_file_system_whoever_lives_holds_it(pid, host, free, run, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    holder = {"pid": pid or os.getpid(), "host": host or socket.gethostname(), "since": "then"}
    (run.path / ".lock").write_text(json.dumps(holder))
    if free:
        with run.writing():
            pass
    else:
        with pytest.raises(PlausibleError, match=f"process {pid} on "), run.writing():
            pass


@pytest.mark.parametrize("noise", [b"", b"\xff", b"{}", b"[" * 5000])
def test_a_damaged_lock_file_is_no_lock(noise, run):
    (run.path / ".lock").write_bytes(noise)
    with run.writing():
        pass


def test_a_lock_that_cannot_be_made_is_a_clear_error(run):
    (run.path / ".lock").mkdir()
    with pytest.raises(PlausibleError, match="could not lock the run"), run.writing():
        pass


def test_a_run_that_trains_cannot_be_resumed_or_trained_over(tmp_path):
    said = []

    def meanwhile(_):
        for job in (lambda: jobs.resume(tmp_path / "run", epochs=9),
                    lambda: jobs.train("gan", out=tmp_path / "run", epochs=1, **TINY)):  # fmt: skip
            with pytest.raises(PlausibleError) as error:
                job()
            said.append(str(error.value))

    run = jobs.train("gan", out=tmp_path / "run", epochs=0.5, watch=meanwhile, **TINY)
    assert len(said) == 2
    assert all(f"process {os.getpid()}" in words for words in said), said
    assert run.config().training.epochs == 0.5, "the refused one has written nothing"
    assert run.stopped()["reason"] == "finished"
    assert not (run.path / ".lock").exists()
