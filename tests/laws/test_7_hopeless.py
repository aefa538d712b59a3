"""Law 7: a hopeless input is a clear error that names the culprit, and leaves nothing half-written."""

import errno
import json

import numpy as np
import pytest
import torch
from support import opened, tiny_options, train

import plausible
from plausible import jobs
from plausible.errors import PlausibleError
from plausible.jobs.sampling import sample_model
from plausible.runs import files

TINY = tiny_options("gan", "default")
EPOCHS = {"epochs": 0.1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train("gan", out=tmp_path_factory.mktemp("a") / "run", epochs=0.2, **TINY)


HOPELESS = [
    ({"lattent": 3}, ["lattent", "latent"]),
    ({"latent": "many"}, ["latent", "many"]),
    ({"latent": 0}, ["latent"]),
    ({"latent": -4}, ["latent"]),
    ({"generator": (8, -1)}, ["generator"]),
    ({"generator": "wide"}, ["generator", "wide"]),
    ({"activation": ("relu", "swish")}, ["activation", "relu"]),
    ({"activation": ("relu",)}, ["activation"]),
    ({"batch_norm": (0.1, 0.1, 0.1)}, ["batch_norm", "one ε for G, or two"]),
    ({"batch_norm": (0.1, 0.1)}, ["penalty=0"]),
    ({"init": ("uniform", 0.0, 0.1)}, ["init"]),
    ({"k": 0}, ["k"]),
    ({"k": -1}, ["k"]),
    ({"penalty": -1.0}, ["penalty"]),
    ({"dropout": (0.0, 1.5)}, ["dropout"]),
    ({"dropout": (-0.1, 0.0)}, ["dropout"]),
    ({"lr": -1.0}, ["lr"]),
    ({"lr": float("nan")}, ["lr"]),
    ({"beta1": 1.5}, ["beta1"]),
    ({"objective": "wasserstein"}, ["wasserstein", "minimax", "relativistic"]),
    ({"momentum_ticks": 0}, ["momentum_ticks"]),
    ({"classes": -1}, ["classes"]),
    ({"classes": 9}, ["--classes 9", "go to 9", "--classes 10"]),
    ({"batch": 100_000}, ["--batch", "100000", "1437"]),
    ({"batch": 0}, ["--batch"]),
    ({"shards": 200, "batch": 100}, ["--shards", "200", "--batch 100"]),
    ({"shards": 0}, ["--shards"]),
    ({"seed": -1}, ["seed"]),
    ({"ema": 1.5}, ["ema"]),
    ({"ema": -0.1}, ["ema"]),
    ({"clip": 0.0}, ["clip"]),
    ({"clip": -1.0}, ["clip"]),
    ({"precision": "float8"}, ["precision", "bfloat16"]),
    ({"keep": -1}, ["keep"]),
    ({"epochs": 0}, ["--epochs"]),
    ({"epochs": -1}, ["--epochs"]),
    ({"epochs": float("nan")}, ["--epochs"]),
    ({"minutes": 0}, ["--minutes"]),
    ({"minutes": float("inf")}, ["--minutes"]),
    ({"core_minutes": 0}, ["--core-minutes"]),
    ({"preset": "goodfelow"}, ["goodfelow", "goodfellow2014"]),
    ({"data": "digitz"}, ["digitz", "digits"]),
    ({"data": "digits:class=x"}, ["'x'"]),
]


@pytest.mark.parametrize(("wrong", "named"), HOPELESS, ids=[str(wrong) for wrong, _ in HOPELESS])
def test_what_cannot_be_trained_is_named_and_leaves_no_folder(wrong, named, tmp_path):
    with pytest.raises(PlausibleError) as caught:
        train("gan", out=tmp_path / "run", **(TINY | EPOCHS | wrong))
    assert all(name in str(caught.value) for name in named), caught.value
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("gann", ["gann", "gan"]),
        ("no_such_module_at_all:GAN", ["no_such_module_at_all"]),
        ("plausible.models.gan:Gan", ["Gan"]),
        ("json:dumps", ["json:dumps"]),
        ("json:", ["json:"]),
        (":GAN", [":GAN"]),
        ("collections:OrderedDict", ["collections:OrderedDict", "GenerativeModel"]),
    ],
)
def test_what_is_no_model_is_named_and_leaves_no_folder(model, named, tmp_path):
    with pytest.raises(PlausibleError) as caught:
        train(model, out=tmp_path / "run", **EPOCHS)
    assert all(name in str(caught.value) for name in named), caught.value
    assert not list(tmp_path.iterdir())


def test_a_run_is_never_trained_over(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    with pytest.raises(PlausibleError, match=r"already holds a run.*plausible resume"):
        train("gan", out=run.path, **EPOCHS, **TINY)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


@pytest.mark.parametrize("is_file", [True, False])
def test_a_path_that_holds_something_else_is_not_touched(is_file, tmp_path):
    out = tmp_path / "thesis"
    kept = out if is_file else out / "chapter"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("years of work")
    with pytest.raises(PlausibleError, match="thesis"):
        train("gan", out=out, **EPOCHS, **TINY)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


def test_an_empty_folder_will_do(tmp_path):
    assert train("gan", out=tmp_path, **EPOCHS, **TINY).stopped()["reason"] == "finished"


def test_a_configuration_that_cannot_be_written_leaves_no_folder(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(PlausibleError, match="No space left"):
        train("gan", out=tmp_path / "deep" / "run", **EPOCHS, **TINY)
    assert not (tmp_path / "deep" / "run").exists()


@pytest.mark.parametrize(
    "job",
    [
        opened,
        jobs.resume,
        jobs.report,
        jobs.verify,
        lambda run: plausible.train(like=run),
    ],
)
def test_no_job_works_on_what_is_no_run(job, tmp_path):
    with pytest.raises(PlausibleError, match=r"nowhere is not a run"):
        job(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_a_damaged_configuration_is_named(run, tmp_path):
    (tmp_path / "config.json").write_text(run.config_file.read_text()[:-20])
    with pytest.raises(PlausibleError, match=r"config\.json"):
        opened(tmp_path).sample(1)


@pytest.mark.parametrize(
    ("n", "out", "named"),
    [(0, "a.npy", "n must be.*not 0"), (-3, "a.npy", "n must be.*not -3"), (1, "a.gif", ".png")],
)
def test_samples_that_cannot_be_are_refused(run, n, out, named, tmp_path):
    with pytest.raises(PlausibleError, match=named):
        opened(run).sample(n, out=tmp_path / out)
    assert not list(tmp_path.iterdir())


def test_drawing_nothing_is_refused(run):
    with pytest.raises(PlausibleError, match="at least 1"):
        sample_model(opened(run).model, 0)


def test_samples_into_a_folder_that_is_not_there_are_refused(run, tmp_path):
    (tmp_path / "file").touch()
    for folder in ("nowhere", "file"):
        with pytest.raises(PlausibleError, match=folder):
            opened(run).sample(1, out=tmp_path / folder / "a.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_tick_without_a_checkpoint_is_answered_with_those_there_are(run):
    with pytest.raises(PlausibleError, match=r"tick 7.*\[\d+\]"):
        opened(run, at=7).sample(1)


def test_data_of_another_shape_cannot_evaluate(run):
    with pytest.raises(PlausibleError, match=r"ring.*2 numbers.*8 × 8"):
        opened(run).evaluate(data="ring")
    assert not run.evaluation_file.exists()


def test_changed_data_stop_a_resume(tmp_path):
    x = np.random.default_rng(0).random((30, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    run = train("gan", str(tmp_path / "x.npy"), out=tmp_path / "run", **EPOCHS, **TINY)
    x[29, 1] += 0.001
    np.save(tmp_path / "x.npy", x)
    log = run.events_file.read_bytes()
    with pytest.raises(PlausibleError, match=r"x\.npy.*changed"):
        opened(run).resume(progress=False, epochs=5)
    assert run.events_file.read_bytes() == log


@pytest.mark.parametrize("total", [{"epochs": 0.1}, {"minutes": 1e-9}, {"core_minutes": 1e-9}, {}])
def test_a_total_already_spent_cannot_be_resumed(run, total):
    log = run.events_file.read_bytes()
    with pytest.raises(PlausibleError, match=r"spent.*larger total"):
        opened(run).resume(progress=False, **total)
    assert run.events_file.read_bytes() == log


@pytest.mark.parametrize("total", [{"epochs": 0}, {"minutes": -1}, {"core_minutes": 0}])
def test_a_total_that_is_no_number_of_anything_cannot_be_resumed(run, total):
    with pytest.raises(PlausibleError, match="positive"):
        opened(run).resume(progress=False, **total)


def test_a_checkpoint_of_another_model_is_named(run, tmp_path):
    other = train("gan", out=tmp_path / "run", **EPOCHS, **TINY)
    config = json.loads(other.config_file.read_text())
    config["model"]["options"]["latent"] = 5
    other.config_file.write_text(json.dumps(config))
    with pytest.raises(PlausibleError, match=r"(?s)safetensors does not fit.*generator"):
        opened(other).sample(1)


def test_the_only_checkpoint_damaged_is_no_checkpoint(tmp_path):
    run = train("gan", out=tmp_path / "run", **EPOCHS, **TINY)
    (run.checkpoints()[0].path / "model.safetensors").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match=r"model\.safetensors"),
        pytest.raises(PlausibleError, match="no checkpoint"),
    ):
        opened(run).sample(1)
    with pytest.raises(PlausibleError, match=r"model\.safetensors"):
        opened(run, at=run.checkpoints()[0].tick).sample(1)


def test_labels_asked_of_what_is_not_conditional(run):
    with pytest.raises(PlausibleError, match="not conditional"):
        opened(run).model.sample(2, y=torch.zeros(2, dtype=torch.int64))
