"""What may change between two sessions of a run: budget, data path, options; and what a new run may take over."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from support import opened, rows

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.models.registry import model_class
from plausible.models.vae import VAE
from plausible.runs import RunFolder
from plausible.training import checkpoint, loop
from plausible.training.trainer import DivergedError

SMALL = {"encoder": (3,), "decoder": (3,), "latent": 2, "batch": 16}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 4)


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "x.npy", rows("binary").array())  # 32 training rows: two ticks an epoch
    return str(tmp_path / "x.npy")


def weights(run, tick=None):
    point = run.at(tick) if tick is not None else run.newest_valid()
    return {path.name: path.read_bytes() for path in point.path.glob("*.safetensors")}


def without(run, *ticks):
    """Remove checkpoints, so that a resume begins before them."""
    for tick in ticks:
        shutil.rmtree(run.checkpoint_path(tick))
    return run


# ------------------------------------------------------------------------ budget
def test_a_new_budget_outlives_a_crash(data, tmp_path, monkeypatch):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=3, **SMALL)
    monkeypatch.setattr(RunFolder, "take_back", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        jobs.resume(run, epochs=5)
    monkeypatch.undo()
    assert jobs.resume(run).stopped()["tick"] == 10
    (change,) = run.config().history
    assert (change.tick, change.set) == (6, {"epochs": 5.0, "minutes": None, "core_minutes": None})


def test_a_budget_that_is_spent_changes_nothing(data, tmp_path):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=3, **SMALL)
    before = run.config_file.read_bytes(), run.events_file.read_bytes()
    with pytest.raises(PlausibleError, match="has spent its budget"):
        jobs.resume(run, epochs=2)
    assert (run.config_file.read_bytes(), run.events_file.read_bytes()) == before


def test_a_missing_report_is_written_by_resume_and_by_report(data, tmp_path):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=3, **SMALL)
    page = run.report_file.read_bytes()
    for again in (jobs.resume, jobs.report):
        run.report_file.unlink()
        again(run)
        assert run.report_file.read_bytes() == page
    assert [event["event"] for event in run.events()].count("report") == 1


# -------------------------------------------------------------------------- data
def test_moved_data_are_asked_for_and_then_remembered(data, tmp_path, monkeypatch):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=1, **SMALL)
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(data, tmp_path / "elsewhere" / "y.npy")
    with pytest.raises(PlausibleError, match=r"x\.npy.*give --data PATH"):
        jobs.resume(run, epochs=2)
    np.save(tmp_path / "others.npy", 1 - rows("binary").array())
    with pytest.raises(PlausibleError, match="their hash changed"):
        jobs.resume(run, epochs=2, data=str(tmp_path / "others.npy"))
    monkeypatch.chdir(tmp_path)
    jobs.resume(run, epochs=2, data="elsewhere/y.npy")
    assert run.config().data.source == str(moved)
    monkeypatch.chdir("/")
    assert jobs.resume(run, epochs=3).stopped()["tick"] == 6


def test_data_from_memory_are_asked_for(data, tmp_path):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=1, **SMALL)
    config = run.config()
    run.reconfigure(config.model_copy(update={"data": config.data.model_copy(update={"source": None})}))
    with pytest.raises(PlausibleError, match=r"handed over in memory.*data=") as error:
        jobs.resume(run, epochs=2)
    assert len(str(error.value).splitlines()) == 1
    assert jobs.resume(run, epochs=2, data=data).stopped()["tick"] == 4


# --------------------------------------------------------------------------- set
def test_a_change_is_recorded_and_replayed_from_any_earlier_tick(data, tmp_path):
    """lr changes at 6, clip at 10: begun again at 8, at 4 and at 0 the end is the same, bit for bit."""
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=3, keep=0, lr=0.1, **SMALL)
    jobs.resume(run, epochs=5, set={"lr": 0.001})
    jobs.resume(run, epochs=6.5, set={"clip": 0.01, "keep": 0})
    end = weights(run, 13)
    assert [(change.tick, change.set) for change in run.config().history] == [
        (6, {"epochs": 5.0, "minutes": None, "core_minutes": None}), (6, {"lr": 0.001}),
        (10, {"epochs": 6.5, "minutes": None, "core_minutes": None}), (10, {"clip": 0.01, "keep": 0}),
    ]  # fmt: skip
    state = json.loads((run.checkpoint_path(13) / "state.json").read_text())
    assert [group["lr"] for turn in state["optimizers"].values() for group in turn["groups"]] == [
        pytest.approx(0.001, rel=0.01)
    ]
    for lost in ([12, 13], [8, 12, 13], [4, 8, 12, 13]):
        again = without(run, *lost)
        jobs.resume(again)
        assert weights(again, 13) == end, lost
    plain = jobs.train("vae", data, out=tmp_path / "plain", epochs=6.5, lr=0.1, **SMALL)
    assert weights(plain, 13) != end
    config = run.config()
    assert [config.recipe_at(tick)["lr"] for tick in (0, 6, 7, None)] == [0.1, 0.1, 0.001, 0.001]
    assert [config.recipe_at(tick)["clip"] for tick in (0, 10, 11, None)] == [None, None, 0.01, 0.01]


def test_the_moments_of_the_optimizer_are_kept(data, tmp_path):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=3, lr=0.1, **SMALL)
    before = checkpoint.load_file(run.newest_valid().path / "optimizers.safetensors")
    jobs.resume(run, epochs=3.5, set={"lr": 0.0001})
    after = checkpoint.load_file(run.newest_valid().path / "optimizers.safetensors")
    steps = [name for name in after if name.endswith("/step")]
    assert steps
    assert all(float(after[name]) == float(before[name]) + 1 for name in steps)


def test_setting_what_holds_already_changes_no_weight(data, tmp_path):
    whole = jobs.train("vae", data, out=tmp_path / "whole", epochs=5, lr=0.1, **SMALL)
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=3, lr=0.1, **SMALL)
    jobs.resume(run, epochs=5, set={"lr": 0.1})
    assert weights(run) == weights(whole)


def test_a_later_change_yields_to_a_newer_one_at_an_earlier_tick(data, tmp_path):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=4, keep=0, lr=0.1, **SMALL)
    jobs.resume(run, epochs=5, set={"lr": 0.01, "clip": 1.0})
    without(run, 8, 10)
    jobs.resume(run, set={"lr": 0.02})
    found = [(change.tick, change.set) for change in run.config().history if "epochs" not in change.set]
    assert found == [(4, {"lr": 0.02}), (8, {"clip": 1.0})]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lrr": 1.0}, "did you mean 'lr'"),
        ({"lr": "fast"}, "option 'lr' cannot be 'fast'"),
        ({"encoder": [4]}, "--set encoder: it changes the shapes of the weights"),
        ({"latent": 3}, "changes the shapes of the weights"),
        ({"batch": 8}, "--set batch: it cannot change on the way"),
        ({"shards": 2}, "random draws follow from it"),
        ({"seed": 2}, "everything random"),
        ({"ema": 0.5}, "back to the first tick"),
        ({"epochs": 9}, "as --epochs"),
        ({"clip": -1.0}, "option 'clip' cannot be -1.0"),
        ({"clip": "x"}, "option 'clip' cannot be 'x'"),
        ({"precision": "float16"}, "--precision"),
        ({"keep": -1}, "keep"),
    ],
)
def test_a_change_that_cannot_be_is_named_and_nothing_is_written(data, tmp_path, change, named):
    run = jobs.train("vae", data, out=tmp_path / "run", epochs=1, **SMALL)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(PlausibleError, match=named):
        jobs.resume(run, epochs=2, set=change)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_run_that_diverged_before_its_first_checkpoint_goes_on_with_a_smaller_rate(data, tmp_path):
    sick = SMALL | {"lr": 1e30}
    with pytest.raises(DivergedError, match=r"Nothing was saved yet.*--set lr=1e\+29") as error:
        jobs.train("vae", data, out=tmp_path / "run", epochs=3, **sick)
    assert "is kept" not in str(error.value)
    run = jobs.resume(tmp_path / "run", set={"lr": 0.001})
    assert run.stopped()["reason"] == "finished"
    fine = jobs.train("vae", data, out=tmp_path / "fine", epochs=3, lr=0.001, **SMALL)
    assert weights(run) == weights(fine)


# -------------------------------------------------------------------------- like
def test_like_repeats_a_run_and_what_is_given_wins(data, tmp_path):
    first = jobs.train("vae", data, out=tmp_path / "first", epochs=3, seed=5, lr=0.1, ema=0.9, **SMALL)
    again = jobs.train(like=first, out=tmp_path / "again")
    assert weights(again) == weights(first)
    assert again.config().like == str(first.path)
    other = jobs.train(like=first.path, out=tmp_path / "other", lr=0.2, seed=6, epochs=1)
    config, before = other.config(), first.config()
    assert config.model.options == before.model.options
    assert config.recipe == before.recipe | {"lr": 0.2}
    assert config.training == before.training.model_copy(update={"seed": 6, "epochs": 1.0})


def test_like_takes_over_what_was_changed_on_the_way(data, tmp_path):
    first = jobs.train("vae", data, out=tmp_path / "first", epochs=2, lr=0.1, **SMALL)
    jobs.resume(first, epochs=3, set={"lr": 0.01, "clip": 2.0})
    config = jobs.train(like=first, out=tmp_path / "again").config()
    assert (config.recipe["lr"], config.recipe["clip"], config.training.epochs) == (0.01, 2.0, 3.0)
    assert config.history == ()


@pytest.mark.parametrize("ema", [None, 0.9])
def test_weights_are_those_that_the_jobs_read_and_part_of_the_new_run(ema, data, tmp_path, monkeypatch):
    first = jobs.train("vae", data, out=tmp_path / "first", epochs=3, ema=ema, **SMALL)
    expected = opened(first).model.state_dict()
    whole = jobs.train(like=first, weights=True, out=tmp_path / "whole", epochs=2, seed=3)
    held = checkpoint.load_file(whole.weights_file)
    assert all(torch.equal(value, held[name]) for name, value in expected.items())
    assert "first at tick" in whole.config().weights

    def killed(*_):
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Means, "add", killed)
        with pytest.raises(SystemExit):
            jobs.train(like=first, weights=True, out=tmp_path / "killed", epochs=2, seed=3)
    shutil.rmtree(first.path)
    assert weights(jobs.resume(tmp_path / "killed")) == weights(whole)


def test_weights_that_do_not_fit_are_one_clear_line(data, tmp_path):
    first = jobs.train("vae", data, out=tmp_path / "first", epochs=1, **SMALL)
    with pytest.raises(PlausibleError, match="does not fit this model") as error:
        jobs.train(like=first, weights=True, out=tmp_path / "other", latent=3)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [({}, "name a model"), ({"weights": True}, "--like RUN"), ({"like": "nowhere"}, "is not a run")],
)
def test_a_training_of_nothing_is_named(given, named):
    with pytest.raises(PlausibleError, match=named):
        jobs.train(**given)


# ------------------------------------------------------------------------- trust
MINE = """
import pathlib
pathlib.Path(__file__).with_name("ran").write_text("it ran")
from plausible.models.vae import VAE
class Mine(VAE):
    pass
"""


def test_no_run_imports_code_that_the_user_did_not_name(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_tests.py").write_text(MINE)
    before = list(sys.path)
    run = jobs.train("mine_of_tests:Mine", data, out=tmp_path / "run", epochs=1, **SMALL)
    assert sys.path == before, "the current folder is on the path during the import alone"
    kind = sys.modules.pop("mine_of_tests").Mine
    (tmp_path / "ran").unlink()
    readers = (lambda run: jobs.resume(run, epochs=2), lambda run: opened(run).evaluate(), jobs.report,
               lambda run: jobs.verify(run.path),
               lambda run: opened(run).sample(2), lambda run: jobs.train(like=run))  # fmt: skip
    for read in readers:
        try:
            read(run)
        except PlausibleError as error:
            assert "code that is not part of plausible" in str(error)  # noqa: PT017 - a report needs no model
            assert "--model mine_of_tests:Mine" in str(error)  # noqa: PT017
        assert not (tmp_path / "ran").exists()
        assert "mine_of_tests" not in sys.modules
    with pytest.raises(PlausibleError, match="this run's model is mine_of_tests:Mine, not vae"):
        opened(run, model="vae").sample(1)
    assert isinstance(opened(run, model=kind).model, kind)
    assert type(opened(run, model="mine_of_tests:Mine").model).__name__ == "Mine"
    assert jobs.resume(run, epochs=2, model=kind).stopped()["tick"] == 4
    assert (
        jobs.train(kind, data, out=tmp_path / "again", epochs=1, **SMALL).config().model.name
        == run.config().model.name
    )


def test_a_class_of_the_registry_is_recorded_by_its_name(data, tmp_path):
    run = jobs.train(VAE, data, out=tmp_path / "run", epochs=1, **SMALL)
    assert run.config().model.name == "vae"
    assert isinstance(opened(run).model, VAE)
    assert model_class(VAE) is model_class("vae") is VAE
