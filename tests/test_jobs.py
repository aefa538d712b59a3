"""The jobs as Python users call them: `plausible`'s own names, what a run holds, which weights are used."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import opened, rows, tiny_options, train

import plausible
from plausible.data import load as load_data
from plausible.jobs import steps
from plausible.jobs.sampling import sample_model
from plausible.runs import RunFolder
from plausible.training import checkpoint, loop

TINY = tiny_options("gan", "default") | {"batch": 100}


def test_the_five_lines_of_the_front_page(tmp_path):
    run = train("gan", data="digits", minutes=0.2 / 60, out=tmp_path / "digits", **TINY)
    model = opened(run).model
    images = opened(run).sample(16)
    found = opened(run).evaluate(metrics=["fidelity"])
    assert isinstance(model, torch.nn.Module)
    assert images.shape == (16, 1, 8, 8)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert found["metrics"]


def test_importing_plausible_costs_no_torch_and_knows_its_names():
    code = "import sys, plausible; assert not {'torch', 'numpy', 'tyro'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(callable(getattr(plausible, name)) for name in plausible.__all__)
    with pytest.raises(AttributeError, match="trian"):
        _ = plausible.trian


def test_a_run_is_a_folder_that_anyone_can_read(tmp_path):
    run = train("gan", out=tmp_path / "run", epochs=1.5, **TINY)
    found = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert found == {
        "config.json", "events.jsonl", "report.html", "samples/000000021.png",
        *(f"checkpoints/000000021/{name}" for name in (
            "model.safetensors", "ema.safetensors", "optimizers.safetensors", "state.json", "manifest.json")),
        *(f"pictures/000000021/{name}" for name in ("walks.png", "critic.png", "neighbours.png", "manifest.json")),
    }  # fmt: skip
    kinds = [event["event"] for event in run.events() if event["event"] != "judged"]
    assert kinds == [
        "start",
        "ticks",
        "ticks",
        "ticks",
        "checkpoint",
        "samples",
        "pictures",
        "stop",
        "report",
    ]
    assert all(b"pickle" not in path.read_bytes() for path in run.path.rglob("*.safetensors"))


def test_the_configuration_repeats_the_run(tmp_path):
    first = train("gan", out=tmp_path / "a", epochs=0.5, seed=3, **TINY)
    config = json.loads(first.config_file.read_text())
    training = {
        name: config["training"][name] for name in ("batch", "shards", "seed", "ema", "keep", "epochs")
    }
    again = train(
        config["model"]["name"],
        config["data"]["spec"],
        out=tmp_path / "b",
        **training,
        **config["model"]["options"],
    )
    assert weights(again) == weights(first)
    assert config["data"]["hash"] == load_data("digits").hash
    assert (config["data"]["train"], config["data"]["valid"], config["data"]["test"]) == (1437, 180, 180)
    assert set(config["versions"]) == {"python", "torch", "numpy", "safetensors", "scikit-learn"}
    assert config["training"]["threads"] == torch.get_num_threads()


def weights(run):
    return hashlib.sha256((run.newest_valid().path / "model.safetensors").read_bytes()).hexdigest()


def test_the_jobs_use_the_averaged_weights_when_there_are_any(tmp_path):
    for ema, file in ((0.5, checkpoint.AVERAGE), (0.0, checkpoint.AVERAGE), (None, checkpoint.MODEL)):
        options = TINY | tiny_options("gan", "tutorial") | {"preset": "tutorial", "ema": ema}
        run = train("gan", out=tmp_path / str(ema), epochs=1, **options)
        saved = checkpoint.load_file(run.newest_valid().path / file)
        assert all(torch.equal(value, saved[name]) for name, value in opened(run).model.state_dict().items())
        found = opened(run).evaluate(metrics=["fidelity"])
        assert found["weights"] == ("trained" if ema is None else "ema")


def test_pictures_in_a_run_are_of_the_weights_that_the_jobs_use(tmp_path, monkeypatch):
    seen = []
    plot_samples = steps.plot_samples
    monkeypatch.setattr(
        steps, "plot_samples", lambda samples, *a, **k: seen.append(samples) or plot_samples(samples, *a, **k)
    )
    run = train("gan", out=tmp_path / "run", epochs=1, seed=6, **TINY)
    np.testing.assert_array_equal(seen[-1], sample_model(opened(run).model, len(seen[-1]), seed=6).numpy())


def test_the_newest_valid_checkpoint_is_used_unless_another_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 5)
    options = TINY | tiny_options("gan", "tutorial") | {"preset": "tutorial"}  # no average
    run = train("gan", out=tmp_path / "run", epochs=1, **options)
    ticks = [point.tick for point in run.checkpoints()]
    assert ticks == [5, 10, 14]
    newest = sample_model(opened(run).model, 2)
    (run.checkpoint_path(14) / "model.safetensors").write_bytes(b"torn")
    with pytest.warns(UserWarning, match=r"000000014.*model\.safetensors"):
        older = sample_model(opened(run).model, 2)
    assert torch.equal(older, sample_model(opened(run, at=10).model, 2))
    assert not torch.equal(older, newest)


def test_slow_ticks_are_saved_before_the_epoch_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "log_ticks", lambda _: 6)
    seldom = train("gan", out=tmp_path / "seldom", epochs=1, **TINY)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(loop, "CHECKPOINT_COSTS", 0)
    often = train("gan", out=tmp_path / "often", epochs=1, **TINY)
    assert [point.tick for point in seldom.checkpoints()] == [14]
    assert [point.tick for point in often.checkpoints()] == [6, 12, 14]
    assert weights(often) == weights(seldom)


@pytest.mark.filterwarnings("ignore:checkpoint 000000014")
def test_resume_goes_on_from_before_the_damage_and_repairs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 5)
    whole = train("gan", out=tmp_path / "whole", epochs=1.5, **TINY)
    run = train("gan", out=tmp_path / "run", epochs=1, **TINY)
    (run.checkpoint_path(14) / "model.safetensors").write_bytes(b"torn")
    opened(run).resume(progress=False, epochs=1)
    assert run.newest_valid().tick == 14
    opened(run).resume(progress=False, epochs=1.5)
    assert weights(run) == weights(whole)


def test_a_watcher_hears_of_every_report(tmp_path):
    heard = []
    run = plausible.train("gan", out=tmp_path / "run", epochs=2, progress=heard.append, **TINY)
    logged = [event for event in run.events() if event["event"] == "ticks"]
    assert [report.tick for report in heard] == [event["tick"] for event in logged] == [10, 20, 28]
    assert heard[-1].done == 1.0


def test_a_run_may_be_named_by_its_path_or_itself(tmp_path):
    run = train("gan", out=RunFolder(tmp_path / "run"), epochs=0.2, **TINY)
    for name in (run, run.path, str(run.path)):
        assert opened(name).model.shape == (1, 8, 8)


@pytest.mark.parametrize("spec", ["digits:binary", "digits:class=3"])
def test_views_of_the_data_train_and_resume(spec, tmp_path):
    options = TINY | {"batch": 50}
    run = train("gan", spec, out=tmp_path / "run", epochs=1, **options)
    opened(run).resume(progress=False, epochs=2)
    assert run.stopped()["reason"] == "finished"
    assert run.config().data.spec == spec


def test_few_rows_train_as_one_batch(tmp_path):
    np.save(tmp_path / "x.npy", rows("points").array())
    run = train(
        "gan", str(tmp_path / "x.npy"), out=tmp_path / "run", epochs=2, **tiny_options("gan", "default")
    )
    assert run.config().training.batch == 32
    assert run.stopped()["tick"] == 2
