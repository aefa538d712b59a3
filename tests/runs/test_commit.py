"""A checkpoint exists whole or not at all, whatever goes wrong while it is written."""

import errno
import json
import os
from pathlib import Path

import pytest

from plausible.errors import PlausibleError
from plausible.runs import commit, manifest, verify, write_json
from plausible.runs.files import write_whole

FULL = OSError(errno.ENOSPC, "No space left on device")


def fill(target, content):
    with commit(target) as folder:
        (folder / "a.bin").write_bytes(content)
        (folder / "b.json").write_text("{}")


def contents(target):
    return {path.name: path.read_bytes() for path in target.iterdir() if path.name != "manifest.json"}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_committed_is_there_and_verified(tmp_path):
    fill(tmp_path / "deep" / "000000001", b"one")
    verify(tmp_path / "deep" / "000000001")
    assert names(tmp_path / "deep") == ["000000001"]
    assert names(tmp_path / "deep" / "000000001") == ["a.bin", "b.json", "manifest.json"]


def test_nothing_is_there_before_the_end(tmp_path):
    with commit(tmp_path / "1") as folder:
        (folder / "a.bin").write_bytes(b"one")
        assert not (tmp_path / "1").exists()
        assert not folder.name.isdecimal(), "a reader must not take it for a checkpoint"


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("existing", [False, True])
def test_an_exception_inside_leaves_everything_as_it_was(error, existing, tmp_path):
    if existing:
        fill(tmp_path / "1", b"old")

    def half():
        with commit(tmp_path / "1") as folder:
            (folder / "a.bin").write_bytes(b"new")
            raise error

    with pytest.raises(type(error)):
        half()
    assert names(tmp_path) == (["1"] if existing else [])
    if existing:
        assert contents(tmp_path / "1")["a.bin"] == b"old"
        verify(tmp_path / "1")


def test_an_older_self_is_replaced(tmp_path):
    fill(tmp_path / "1", b"old")
    fill(tmp_path / "1", b"new")
    assert contents(tmp_path / "1")["a.bin"] == b"new"
    assert names(tmp_path) == ["1"]
    verify(tmp_path / "1")


@pytest.mark.parametrize("existing", [False, True])
def test_a_disk_full_at_the_sync_leaves_everything_as_it_was(existing, tmp_path, monkeypatch):
    if existing:
        fill(tmp_path / "1", b"old")

    def full(*_, **__):
        raise FULL

    monkeypatch.setattr(manifest.os, "fsync", full)
    with pytest.raises(PlausibleError, match=r"1: No space left.*resume"):
        fill(tmp_path / "1", b"new")
    assert names(tmp_path) == (["1"] if existing else [])
    if existing:
        assert contents(tmp_path / "1")["a.bin"] == b"old"
        verify(tmp_path / "1")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_rename_puts_the_older_self_back(failing, tmp_path, monkeypatch):
    fill(tmp_path / "1", b"old")
    calls, rename = [], Path.rename

    def fails(self, target):
        calls.append(self)
        if len(calls) == failing:
            raise FULL
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(PlausibleError, match="No space left"):
        fill(tmp_path / "1", b"new")
    assert names(tmp_path) == ["1"]
    assert contents(tmp_path / "1")["a.bin"] == b"old"
    verify(tmp_path / "1")


def test_everything_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    synced, order = [], []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(
        manifest.os,
        "fsync",
        lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name) or fsync(fd),
    )
    monkeypatch.setattr(
        Path, "rename", lambda self, target: order.append(list(synced)) or rename(self, target)
    )
    fill(tmp_path / "1", b"one")
    (before,) = order
    assert {"a.bin", "b.json", "manifest.json"} <= set(before)
    assert synced[-1] == tmp_path.name, "the new name itself is synced last"


def test_json_is_written_whole_and_read_back(tmp_path):
    value = {"한글": [1, 2.5, None], "nested": {"a": "b\u2028c"}}
    assert json.loads(write_json(tmp_path / "x.json", value).read_text(encoding="utf-8")) == value
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_json_is_the_old_or_the_new_never_half(call, tmp_path, monkeypatch):
    file = write_json(tmp_path / "x.json", {"old": 1})

    def full(*_):
        raise FULL

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), full)
    with pytest.raises(PlausibleError, match=r"x\.json: No space left"):
        write_json(file, {"new": 2})
    assert file.read_text() == '{\n "old": 1\n}\n'
    assert names(tmp_path) == ["x.json"]


def test_what_cannot_be_json_leaves_the_old_file(tmp_path):
    file = write_json(tmp_path / "x.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(file, {"new": object()})
    assert "old" in file.read_text()
    assert names(tmp_path) == ["x.json"]


def test_a_path_that_leads_nowhere_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("file", "nowhere"):
        with pytest.raises(PlausibleError, match=rf"could not write .*{folder}"):
            write_whole(tmp_path / folder / "x", b"")
