"""The manifest proves a checkpoint; what is damaged is passed over by name; what is old or left over goes."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plausible.errors import PlausibleError
from plausible.runs import RunFolder, commit, verify

FILES = {"model.safetensors": bytes(range(256)) * 2, "state.json": b'{"tick": 3}\n'}


def save(run, tick, files=FILES):
    with commit(run.checkpoint_path(tick)) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return run.checkpoint_path(tick)


@pytest.fixture(scope="module")
def whole():
    with tempfile.TemporaryDirectory() as name:
        yield save(RunFolder(name), 3)


def meaning(manifest):
    """What a manifest says, where it says anything: white space and the like may change."""
    try:
        return json.loads(manifest)
    except ValueError:
        return None


def assert_noticed(whole, name, damaged):
    """Verify fails, unless all that changed is how the manifest is laid out."""
    if damaged == (whole / name).read_bytes():
        return
    if name == "manifest.json" and meaning(damaged) == meaning((whole / name).read_bytes()):
        return
    with tempfile.TemporaryDirectory() as copy:
        folder = shutil.copytree(whole, Path(copy) / "000000003")
        (folder / name).write_bytes(damaged)
        named = "000000003" if name == "manifest.json" else name.replace(".", r"\.")
        with pytest.raises(PlausibleError, match=named):
            verify(folder)


NAMES = st.sampled_from(["model.safetensors", "state.json", "manifest.json"])


@given(name=NAMES, position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_every_flipped_byte_is_noticed(whole, name, position, flip):
    content = bytearray((whole / name).read_bytes())
    content[int(position * len(content))] ^= flip
    assert_noticed(whole, name, bytes(content))


@given(name=NAMES, share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=80, deadline=None)
def test_every_truncation_is_noticed(whole, name, share):
    content = (whole / name).read_bytes()
    assert_noticed(whole, name, content[: int(share * len(content))])


@given(name=NAMES, tail=st.binary(min_size=1, max_size=9))
@settings(max_examples=30, deadline=None)
def test_every_addition_is_noticed(whole, name, tail):
    assert_noticed(whole, name, (whole / name).read_bytes() + tail)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_every_missing_file_is_noticed(name, tmp_path):
    folder = save(RunFolder(tmp_path), 1)
    (folder / name).unlink()
    with pytest.raises(PlausibleError, match=name.replace(".", r"\.")):
        verify(folder)


def test_a_manifest_that_vouches_for_nothing_is_no_manifest(tmp_path):
    folder = save(RunFolder(tmp_path), 1)
    (folder / "manifest.json").write_text('{"sha256": {}}')
    with pytest.raises(PlausibleError, match=r"manifest\.json"):
        verify(folder)


def test_the_newest_valid_is_found_and_the_damaged_are_named(tmp_path):
    run = RunFolder(tmp_path)
    for tick in (5, 100, 20):
        save(run, tick)
    assert run.newest_valid().tick == 100
    (run.checkpoint_path(100) / "state.json").write_bytes(b"{}")
    (run.checkpoint_path(20) / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="damaged") as warned:
        assert run.newest_valid().tick == 5
    messages = [str(warning.message) for warning in warned]
    assert ["000000100" in messages[0], "state.json" in messages[0], "SHA-256" in messages[0]] == [True] * 3
    assert ["000000020" in messages[1], "manifest.json" in messages[1]] == [True] * 2


def test_without_checkpoints_there_is_no_newest(tmp_path):
    assert RunFolder(tmp_path / "nowhere").newest_valid() is None
    assert RunFolder(tmp_path / "nowhere").checkpoints() == []


def test_what_is_not_a_checkpoint_is_not_taken_for_one(tmp_path):
    run = RunFolder(tmp_path)
    save(run, 7)
    for name in (".000000009.1.part", ".000000009.1.old", "notes", "000000008.bak"):
        (run.checkpoints_dir / name).mkdir()
    assert [point.tick for point in run.checkpoints()] == [7]


@given(ticks=st.sets(st.integers(0, 10**9 - 1), min_size=1, max_size=6), keep=st.integers(0, 7))
@settings(max_examples=10, deadline=None)
def test_prune_keeps_the_newest(ticks, keep):
    with tempfile.TemporaryDirectory() as name:
        run = RunFolder(name)
        for tick in ticks:
            save(run, tick)
        run.prune(keep)
        kept = sorted(ticks)[-keep:] if keep else sorted(ticks)
        assert [point.tick for point in run.checkpoints()] == kept


def test_what_killed_writers_left_is_swept(tmp_path):
    run = RunFolder(tmp_path)
    save(run, 1)
    for ending in ("part", "old"):
        (run.checkpoints_dir / f".000000002.{os.getpid()}.{ending}" / "deep").mkdir(parents=True)
        (run.path / f".config.json.17.{ending}").write_text("")
    run.sweep()
    assert not list(run.path.glob(".*"))
    assert [path.name for path in run.checkpoints_dir.iterdir()] == ["000000001"]


def test_a_tick_is_found_verified_or_answered_with_the_nearest(tmp_path):
    run = RunFolder(tmp_path)
    for tick in (10, 20, 30, 40, 50, 60, 70):
        save(run, tick)
    assert run.at(30).tick == 30
    with pytest.raises(PlausibleError, match=r"tick 33.*\[10, 20, 30, 40, 50\]"):
        run.at(33)
    (run.checkpoint_path(30) / "state.json").unlink()
    with pytest.raises(PlausibleError, match=r"state\.json is missing"):
        run.at(30)
