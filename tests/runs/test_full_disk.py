"""A disk that is really full: the save fails by name, what was saved before is whole, and training goes on from it."""

import os
import shutil
import subprocess

import pytest
from support import opened, tiny_options

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.jobs.sampling import sample_model
from plausible.runs import RunFolder, verify
from plausible.training import loop

OPTIONS = tiny_options("gan", "default") | {"batch": 100, "generator": (64, 64), "discriminator": (64, 64)}


@pytest.fixture
def disk(tmp_path):
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"this machine mounts nothing: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder, leave):
    """Leave about so many bytes free."""
    free = shutil.disk_usage(folder).free
    (folder / "ballast").write_bytes(b"\0" * (free - leave))


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        (0, r"could not .*No space left"),
        (40_000, r"could not save .*No space"),
        (150_000, r"could not save .*No space"),
    ],
)
def test_a_full_disk_stops_the_training_and_spoils_nothing(disk, leave, said, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 5)
    whole = jobs.train("gan", out=tmp_path / "whole", epochs=1, **OPTIONS)
    run = RunFolder(disk / "run")

    def fill_after_the_first_checkpoint(progress):
        if run.checkpoints() and not (disk / "ballast").exists():
            fill(disk, leave)

    with pytest.raises(PlausibleError, match=said):
        jobs.train("gan", out=run.path, epochs=1, watch=fill_after_the_first_checkpoint, **OPTIONS)
    points = run.checkpoints()
    assert points, "the first checkpoint stays"
    for point in points:
        verify(point.path)
    assert sample_model(opened(run).model, 1).isfinite().all()
    (disk / "ballast").unlink()
    jobs.resume(run)
    assert run.stopped()["reason"] == "finished"
    assert [(run.newest_valid().path / n).read_bytes() for n in ("model.safetensors", "ema.safetensors")] == [
        (whole.newest_valid().path / n).read_bytes() for n in ("model.safetensors", "ema.safetensors")
    ]
    assert not [path for path in run.checkpoints_dir.iterdir() if path.name.startswith(".")]
