"""A comparison from end to end: views, runs, what is refused, and what a second call does."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits
from support import tiny_options

import plausible
from plausible import jobs
from plausible.cli import main
from plausible.comparison import job
from plausible.comparison.entries import read_entries
from plausible.errors import PlausibleError
from plausible.metrics import registry
from plausible.runs import RunFolder
from plausible.runs.comparison import Comparison
from plausible.training.trainer import DivergedError

TINY = {"core_minutes": 0.005}


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(registry, "SAMPLES", 200)


def images(n=300):
    x, y = load_digits(return_X_y=True)
    return (x[:n].reshape(-1, 1, 8, 8) / 16).astype(np.float32), y[:n]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    x, y = images()
    options = tiny_options("vae", "default")
    return jobs.train("vae", x, y=y, out=tmp_path_factory.mktemp("runs") / "mine", epochs=1, **options)


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    """A trained run and a model that is counted, which takes binary values alone."""
    x, y = images()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "SAMPLES", 200)
        out = tmp_path_factory.mktemp("comparison") / "c"
        return plausible.compare([str(run.path), "independent"], x, y=y, out=out, **TINY)


def named(outcome, name, view=None):
    return next(each for each in outcome.record.results if each.name == name and view in (None, each.view))


def test_each_is_measured_on_the_view_that_it_takes(finished):
    record = finished.record
    spec = record.plan.data
    assert named(finished, "mine").view == spec
    assert named(finished, "independent").view == f"{spec}:binary"
    baselines = [(each.name, each.view) for each in record.results if each.kind == "baseline"]
    assert len(baselines) == len(set(baselines)) == 2 * len(job.BASELINES), "all of them on both views"
    for each in record.results:
        assert not each.failed
        assert all(
            figure.interval is not None for figure in (*each.density, *each.anomalies, *each.represent)
        )
    assert named(finished, "mine").kind == "run"
    assert named(finished, "mine").represent
    assert named(finished, "independent").density_kind == "exact"


def test_independent_marginals_and_the_model_of_independent_pixels_agree(finished):
    """Two implementations of one thing: log p(x) of binary pixels under their frequencies, one count added."""
    view = named(finished, "independent").view
    ours, baseline = named(finished, "independent"), named(finished, "independent marginals", view)
    assert (ours.density_kind, ours.density_of) == (baseline.density_kind, baseline.density_of)
    assert ours.density[0].value == pytest.approx(baseline.density[0].value, rel=2e-3)
    names = [[figure.name for figure in each.density] for each in (ours, baseline)]
    assert names[0] == names[1], "they share columns"


def test_the_files_are_whole(finished):
    stored = json.loads((finished.path / "compare.json").read_text())
    assert Comparison.model_validate_json(json.dumps(stored)).results == finished.record.results
    page = finished.report.read_text()
    assert "mine" in page
    assert "independent marginals" in page
    for each in finished.record.results:
        assert each.picture is None or (finished.path / each.picture).is_file()
    RunFolder(finished.path / "runs" / "independent").config()


def test_a_second_call_does_nothing_again(finished, run, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in (finished.path / "results").glob("*.json")}
    assert len(before) == len(finished.record.results)
    monkeypatch.setattr(job, "measured", lambda *_: pytest.fail("measured again"))
    x, y = images()
    again = plausible.compare([run.path, "independent"], x, y=y, out=finished.path, **TINY)
    assert again.record == finished.record
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_comparison_that_was_stopped_goes_on(finished, run, tmp_path, monkeypatch):
    x, y = images()
    calls, whole = [], job.measured

    def stops(contender, found, seed):
        calls.append(contender.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(contender, found, seed)

    monkeypatch.setattr(job, "measured", stops)
    with pytest.raises(KeyboardInterrupt):
        plausible.compare([run.path, "independent"], x, y=y, out=tmp_path / "c", **TINY)
    assert not (tmp_path / "c" / "compare.json").exists()
    done, calls[:] = calls[:2], [None] * 9
    outcome = plausible.compare([run.path, "independent"], x, y=y, out=tmp_path / "c", **TINY)
    assert not set(calls[9:11]) & set(done), "what was measured is not measured again"
    for each, same in zip(outcome.record.results, finished.record.results, strict=True):
        for job_of in ("generate", "density", "anomalies", "represent"):
            assert getattr(each, job_of) == getattr(same, job_of), "the figures follow from the seed"


def test_data_in_memory_are_trained_on_here_for_the_processor_time_given(tmp_path):
    x, y = images()
    before = np.array(sum(os.times()[:2]))
    outcome = plausible.compare(["autoencoder"], x, y=y, core_minutes=0.02, out=tmp_path / "c")
    found = named(outcome, "autoencoder")
    config = RunFolder(tmp_path / "c" / "runs" / "autoencoder").config()
    assert (config.training.core_minutes, config.training.minutes, config.training.threads) == (0.02, None, 1)
    assert RunFolder(tmp_path / "c" / "runs" / "autoencoder").stopped()["reason"] == "core-minutes"
    assert 1.2 <= found.cpu_seconds < sum(os.times()[:2]) - before


def test_a_diverged_run_is_said_to_have_failed(run, tmp_path):
    x, y = images()
    options = tiny_options("vae", "default") | {"lr": 1e30}
    with pytest.raises(DivergedError):
        jobs.train("vae", x, y=y, out=tmp_path / "bad", epochs=9, **options)
    outcome = plausible.compare([run.path, tmp_path / "bad"], x, y=y, out=tmp_path / "c", **TINY)
    assert "finite" in named(outcome, "bad").failed
    assert not named(outcome, "mine").failed
    assert "failed" in outcome.report.read_text()


@pytest.mark.parametrize(
    ("models", "more", "words"),
    [
        ([], {}, "list of models"),
        ("gan", {}, "list of models"),
        (["gan", "gan"], {}, "named twice"),
        (["gam"], {}, "did you mean gan"),
        (["vae"], {"core_minutes": 0}, "--core-minutes must be a positive number"),
        (["vae"], {"seed": -1}, "--seed"),
        (["gan", "table"], {}, "table cannot be compared"),
        (["runs/there-is-none"], {}, "is not a run"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_written(models, more, words, tmp_path):
    x, y = images()
    with pytest.raises(PlausibleError, match=words):
        plausible.compare(models, x, y=y, out=tmp_path / "c", **TINY | more)
    assert not (tmp_path / "c").exists()


def test_a_run_of_other_data_is_refused(run, tmp_path):
    x, y = images(200)
    with pytest.raises(PlausibleError, match="figures of different data do not compare"):
        plausible.compare([run.path], x, y=y, out=tmp_path / "c", **TINY)


def test_a_run_of_a_view_stands_with_that_view(tmp_path):
    """Its hash says which: the run was trained on digits:binary, and the comparison is of digits."""
    trained = jobs.train("independent", "digits:binary", out=tmp_path / "binary")
    _, (entry,) = read_entries([trained.path], "digits", 0)
    assert (entry.data.spec, entry.data.hash) == ("digits:binary", trained.config().data.hash)
    _, (alone,) = read_entries([trained.path], None, 0)
    assert alone.data.spec == "digits:binary"
    with pytest.raises(PlausibleError, match="different data do not compare"):
        read_entries([trained.path], "digits:class=3:binary", 0)


def test_a_model_of_levels_is_told_how_many_there_are():
    _, (entry,) = read_entries(["pixelcnn"], "digits", 0)
    assert (entry.data.spec, entry.options) == ("digits", {"levels": 17})


def test_a_folder_holds_one_comparison(finished, run, tmp_path):
    x, y = images()
    for more, word in (({"seed": 1}, "seed"), ({"core_minutes": 1}, "core-minutes")):
        with pytest.raises(PlausibleError, match=f"comparison with other {word}"):
            plausible.compare([run.path], x, y=y, out=finished.path, **TINY | more)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(PlausibleError, match="holds other files"):
        plausible.compare([run.path], x, y=y, out=tmp_path, **TINY)


def test_the_command_line_trains_in_processes_of_their_own(tmp_path, capsys):
    command = [
        "compare",
        "independent",
        "--data",
        "digits",
        "--core-minutes",
        "0.01",
        "--out",
        str(tmp_path / "c"),
    ]
    assert main([*command, "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["folder"] == str(tmp_path / "c")
    assert found["results"][0]["name"] == "independent"
    config = RunFolder(tmp_path / "c" / "runs" / "independent").config()
    assert (config.data.spec, config.training.threads) == ("digits:binary", 1)
    assert main(command) == 0
    assert "To represent" in capsys.readouterr().out


@pytest.mark.slow
def test_a_training_that_fails_in_its_process_says_why(tmp_path, capsys):
    (tmp_path / "c" / "runs" / "autoencoder").mkdir(parents=True)
    (tmp_path / "c" / "runs" / "autoencoder" / "mine.txt").touch()
    out = tmp_path / "c"
    plan = job.ComparisonPlan(
        data="digits", hash=plausible.data.load("digits").hash, core_minutes=0.01, seed=0
    )
    job.write_json(out / "plan.json", plan.model_dump(mode="json"))
    assert (
        main(["compare", "autoencoder", "--data", "digits", "--core-minutes", "0.01", "--out", str(out)]) == 2
    )
    assert "training autoencoder failed" in capsys.readouterr().err
    assert [path.name for path in (out / "runs" / "autoencoder").iterdir()] == ["mine.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_comparison_goes_on(killed_by, tmp_path):
    out = tmp_path / "c"
    words = [
        "compare",
        "autoencoder",
        "--data",
        "digits",
        "--core-minutes",
        "0.15",
        "--out",
        str(out),
        "--quiet",
    ]
    command = [sys.executable, "-m", "plausible", *words]
    process = subprocess.Popen(command, start_new_session=True)
    log = out / "runs" / "autoencoder" / "events.jsonl"
    for _ in range(600):
        if log.is_file() and '"ticks"' in log.read_text():
            break
        time.sleep(0.1)
    if killed_by == signal.SIGKILL:
        process.kill()  # this one process alone: those that it started end by themselves
    else:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C
    assert process.wait(60) != 0
    assert not (out / "compare.json").exists()
    for _ in range(100):  # until the training has noticed, and given back its lock
        if subprocess.run(command).returncode == 0:
            break
        time.sleep(0.5)
    record = Comparison.model_validate_json((out / "compare.json").read_text())
    assert record.results[0].cpu_seconds >= 9
    ticks = [
        event["tick"]
        for event in RunFolder(out / "runs" / "autoencoder").events()
        if event["event"] == "ticks"
    ]
    assert ticks == sorted(set(ticks))
