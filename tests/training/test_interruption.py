"""SIGINT and SIGTERM end a training after the tick, with a checkpoint; a second SIGINT ends it at once."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support import trainer_of

from plausible.runs import RunFolder
from plausible.training.loop import Budget, Clock, fit

TINY = ["--generator", "8", "--discriminator", "8", "--latent", "4"]


def start(out, *more):
    """`plausible train gan` on digits, as far as its first report."""
    command = [
        sys.executable,
        "-m",
        "plausible",
        "train",
        "gan",
        "--minutes",
        "10",
        "--out",
        out,
        "--json",
        *TINY,
    ]
    process = subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout.readline().startswith('{"tick"')
    return process


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_training_with_a_checkpoint(number, status, tmp_path):
    process = start(tmp_path / "run")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, "")
    run = RunFolder(tmp_path / "run")
    stop = run.stopped()
    assert stop["reason"] == number.name
    assert f'"reason": "{number.name}"' in out.splitlines()[-1]
    assert run.newest_valid().tick == stop["tick"] > 0
    assert run.report_file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_tick_that_a_signal_meets_is_played_to_its_end_and_saved(number):
    trainer, saves = trainer_of("gan", "default", "image"), []
    before, inner = signal.getsignal(number), trainer.play

    def play():
        if trainer.tick == 3:
            signal.raise_signal(number)
        return inner()

    trainer.play = play
    reason = fit(
        trainer, Budget(), Clock(), report=lambda _: None, save=lambda at: saves.append((trainer.tick, at))
    )
    assert (reason, saves) == (number.name, [(4, "stop")])
    assert signal.getsignal(number) is before, "our handlers are gone afterwards"


HANGING = """
import time
from plausible.training.distributed import World
from plausible.training.loop import Budget, Clock, fit

class Hanging:
    tick, epoch_ticks, world = 0, 10, World()
    def play(self):
        print("playing", flush=True)
        time.sleep(120)
        return {}

fit(Hanging(), Budget(), Clock(), report=print, save=print)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", [[signal.SIGINT], [signal.SIGTERM, signal.SIGINT], [signal.SIGHUP, signal.SIGINT]]
)
def test_a_second_sigint_leaves_at_once(first):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout.readline() == "playing\n"
    for number in first:
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None, "the first one waits for the tick"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-signal.SIGINT, "")
