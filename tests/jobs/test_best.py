"""The checkpoint that the jobs read is the best on the valid rows, where something says which is."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import bernoulli, norm
from support import config_of, opened

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs import resume, train
from plausible.jobs.doubts import doubts
from plausible.jobs.loading import load_at
from plausible.metrics.selection import judge
from plausible.runs import FORMAT, RunFolder, commit
from plausible.training.selection import Selection, is_judged

SMALL = {"encoder": (8,), "decoder": (8,), "latent": 2}


class Valued(GenerativeModel):
    """A density that is worth what it is told."""

    def __init__(self, shape, domain, worth: float = 0.0) -> None:
        super().__init__(shape, domain)
        self.worth = worth

    def log_prob(self, x):
        return torch.full((len(x),), self.worth)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    out = tmp_path_factory.mktemp("best") / "run"
    return train("vae", "digits:binary", epochs=28, batch=20, keep=1, out=out, lr=0.02, **SMALL)


def judged(run: RunFolder) -> dict[int, float]:
    return {event["tick"]: event["value"] for event in run.events() if event["event"] == "valid"}


def test_the_best_is_the_largest_figure_on_the_valid_rows_at_any_judged_tick(run):
    values = judged(run)
    best = json.loads(run.best_file.read_text())
    assert best["value"] == max(values.values()) == values[best["tick"]]
    assert load_at(run, None)[1].tick == best["tick"]
    assert len(run.checkpoints()) == 1, "keep=1: the best travels with the newest checkpoint"


def test_the_best_can_be_asked_for_by_its_tick(run):
    best = json.loads(run.best_file.read_text())
    assert load_at(run, best["tick"])[1] == load_at(run, None)[1]


def test_the_figure_is_what_the_loaded_model_gives(run):
    best = json.loads(run.best_file.read_text())
    assert judge(opened(run).model, load_data("digits:binary"))[1] == pytest.approx(best["value"], rel=1e-6)


def test_judging_leaves_torch_as_it_was(run):
    model, data = opened(run).model, load_data("digits:binary")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert judge(model, data) == judge(model, data)
    assert torch.equal(torch.get_rng_state(), before)


def folder(tmp_path, *ticks: int, known: Mapping[int, tuple[int, float]] = {}) -> RunFolder:
    """A run with checkpoints that hold no weights; `known`: tick of a checkpoint → the best state it knows of."""
    run = RunFolder(tmp_path / "run")
    run.create(config_of())
    for tick in ticks:
        state = {"format": FORMAT, "tick": tick, "seconds": 0.0, "cpu_seconds": 0.0, "optimizers": {}}
        if tick in known:
            best, value = known[tick]
            state["selection"] = {"last": tick, "tick": best, "by": "worth", "value": value, "stale": 0}
        with commit(run.checkpoint_path(tick)) as place:
            (place / "state.json").write_text(json.dumps(state))
        run.append("checkpoint", tick=tick, at="schedule")
    run.point_at_best()
    return run


def test_the_best_of_the_newest_checkpoint_counts(tmp_path):
    run = folder(tmp_path, 4, 8, known={4: (3, -4.0), 8: (7, -1.0)})
    assert (run.best().tick, run.best().path.name) == (7, "000000008")
    run.take_back(4, goes_on=True)
    assert (run.best().tick, run.best().path.name) == (3, "000000004")
    run.take_back(0, goes_on=True)
    assert run.best() is None
    assert not run.best_file.exists()


@pytest.mark.parametrize(("value", "best"), [(-3.0, 6), (-4.0, 3), (-5.0, 3), (math.nan, 3)])
def test_a_final_judgement_counts_where_it_is_better(value, best, tmp_path):
    run = folder(tmp_path, 6, known={6: (3, -4.0)})
    run.append("valid", tick=6, by="worth", value=value, final=True)
    run.point_at_best()
    assert run.best().tick == best


def test_a_final_judgement_is_forgotten_when_training_goes_on(tmp_path):
    run = folder(tmp_path, 4, known={4: (3, -4.0)})
    run.append("valid", tick=5, by="worth", value=-2.0)
    with commit(run.checkpoint_path(6)) as place:
        (place / "state.json").write_text(
            (run.checkpoint_path(4) / "state.json").read_text().replace(": 4", ": 6")
        )
    run.append("checkpoint", tick=6, at="stop")
    run.append("valid", tick=6, by="worth", value=-1.0, final=True)
    run.forget_stops(8)
    assert [(event["event"], event["tick"]) for event in run.events()][-2:] == [
        ("checkpoint", 4),
        ("valid", 5),
    ]
    assert [point.tick for point in run.checkpoints()] == [4]


def test_pruning_keeps_the_newest_which_holds_the_best(tmp_path):
    run = folder(tmp_path, 1, 2, 3, 4, known={4: (2, -5.0)})
    run.prune(1)
    assert [point.tick for point in run.checkpoints()] == [4]
    assert run.best().tick == 2


@pytest.mark.parametrize(
    ("values", "best"),
    [([1.0, 3.0, 3.0], 1), ([-math.inf] * 2, -1), ([math.nan, 1.0], 1), ([math.nan], -1)],
)
def test_the_best_is_the_first_of_the_largest_and_never_nan(values, best):
    selection = Selection()
    for tick, value in enumerate(values):
        selection.observe(tick, "worth", value, dict)
    assert selection.tick == best


def test_patience_counts_judgements_since_the_best():
    selection = Selection()
    for tick, value in enumerate([1.0, 2.0, 2.0, 1.5]):
        assert not selection.out_of_patience(2, epochs=20)
        selection.observe(tick, "worth", value, dict)
    assert selection.out_of_patience(2, epochs=20)
    assert not selection.out_of_patience(2, epochs=9.9), (
        "the first epochs may be worse than the untrained model"
    )
    assert not selection.out_of_patience(3, epochs=20)
    assert not selection.out_of_patience(0, epochs=20)


@pytest.mark.parametrize("epoch", [1, 4, 391, 8000])
def test_judged_ticks_are_at_a_constant_ratio_and_follow_from_the_datas_size(epoch):
    ticks = [tick for tick in range(1, 40_000) if is_judged(tick, epoch)]
    assert is_judged(0, epoch)
    assert ticks[0] == min(epoch, 500)
    late = [tick for tick in ticks if tick > 20]
    ratios = [after / before for before, after in pairwise(late)]
    assert all(1.15 < ratio < 1.25 for ratio in ratios)
    assert len(ticks) < 60


def test_a_damaged_best_is_passed_over(tmp_path):
    run = folder(tmp_path, 1, 2, known={2: (1, 1.0)})
    (run.checkpoint_path(2) / "state.json").write_text("{ }")
    with pytest.warns(UserWarning, match="was skipped"):
        assert run.best() is None


def test_an_unreadable_best_is_named(tmp_path):
    run = folder(tmp_path, 1)
    run.best_file.write_text("{")
    with pytest.raises(PlausibleError, match=r"best\.json cannot be read"):
        run.best()


def test_a_density_is_judged_by_itself_and_a_gan_by_nothing(tmp_path):
    data = load_data("digits:binary")
    by, value = judge(Valued(data.shape, data.domain, -3.25), data)
    assert (by, value) == ("mean log p(x) of 180 valid rows, nats", -3.25)
    run = train("gan", "digits", epochs=1, out=tmp_path / "gan", generator=(8,), discriminator=(8,))
    assert not run.best_file.exists()
    assert load_at(run, None)[1].tick == run.newest_valid().tick


def test_resume_goes_on_from_the_newest_not_from_the_best(tmp_path):
    whole = train("vae", "digits:binary", epochs=14, batch=20, out=tmp_path / "a", lr=0.05, **SMALL)
    part = train("vae", "digits:binary", epochs=7, batch=20, out=tmp_path / "b", lr=0.05, **SMALL)
    assert judged(resume(part, epochs=14)) == judged(whole)


TABLE = np.random.default_rng(0).normal(size=(60, 12)).astype("f4")
"""Independent Gaussians: what a model finds in them beyond that is an accident of the training rows."""


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory):
    out = tmp_path_factory.mktemp("overfitted") / "run"
    return train("rnade", TABLE, epochs=3000, seed=1, out=out, lr=0.1)


def test_training_stops_early_and_says_that_training_made_it_worse(overfitted):
    assert overfitted.stopped()["reason"] == "patience"
    assert overfitted.best().tick < overfitted.newest_valid().tick
    assert "better on the valid rows than the untrained model" in overfitted.report_file.read_text()
    assert [event for event in overfitted.events() if event["event"] == "warning"]


def test_a_training_out_of_patience_goes_on_with_another_patience(overfitted, tmp_path):
    run = RunFolder(shutil.copytree(overfitted.path, tmp_path / "run"))
    with pytest.raises(PlausibleError, match=r"stopped early.*--patience 0"):
        resume(run, data=TABLE)
    stopped = run.stopped()["tick"]
    whole = train("rnade", TABLE, epochs=stopped + 20, seed=1, patience=0, out=tmp_path / "whole", lr=0.1)
    resume(run, data=TABLE, patience=0, epochs=stopped + 20)
    assert judged(run) == judged(whole)
    assert run.judgement() == whole.judgement()
    held, expected = (found.best().path / "best.safetensors" for found in (run, whole))
    assert held.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "patience"),
    [("nade", {}, 5), ("vae", {}, 5), ("autoencoder", {}, 5), ("gan", {}, 0), ("nade", {"patience": 2}, 2),
     ("nade", {"patience": 0}, 0)],
)  # fmt: skip
def test_patience_is_a_default_where_something_judges(name, options, patience, tmp_path):
    run = train(name, "digits:binary", epochs=0.1, out=tmp_path / "run", **options)
    assert run.config().training.patience == patience


@pytest.mark.parametrize("domain", ["binary", "real"])
@pytest.mark.parametrize(("worth", "doubted"), [(-0.01, True), (0.01, False)])
def test_a_best_state_no_better_than_independent_values_is_doubted(domain, worth, doubted, tmp_path):
    data = load_data("digits:binary") if domain == "binary" else load_data(TABLE)
    train, valid = (part.array().reshape(len(part), -1).astype("f8") for part in (data.train, data.valid))
    if domain == "binary":
        p = (train.sum(0) + 1) / (len(train) + 2)
        independent = bernoulli.logpmf(valid.astype(int), p).sum(1).mean()
    else:
        independent = norm.logpdf(valid, train.mean(0), train.std(0)).sum(1).mean()
    run = folder(tmp_path, 4, known={4: (3, independent + worth)})

    class Moving(Valued):
        def turns(self):
            return ["one"]

    found = doubts(run, Moving(data.shape, data.domain), data)
    assert bool(found) == doubted, found


def test_labels_select_nothing():
    """A model with a classifier is judged by its reconstruction: labels of valid rows would choose it for the probe."""
    from plausible.models.build import build

    data = load_data("digits")
    model = build("categorical-aae", data.shape, data.domain, {}).eval()
    by, _ = judge(model, data)
    assert "reconstruction" in by
