"""The checkpoint that the jobs read is the best on the valid rows, where something says which is."""

from __future__ import annotations

import json
import math

import pytest
import torch
from support import config_of, opened

from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs import resume, train
from plausible.jobs.loading import load_at
from plausible.metrics.selection import judge
from plausible.runs import RunFolder

pytestmark = pytest.mark.usefixtures("sketched")
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


def test_best_is_the_largest_figure_on_the_valid_rows(run):
    values = judged(run)
    best = json.loads(run.best_file.read_text())
    assert len(values) > 1
    assert best == {
        "format": 3,
        "tick": max(values, key=values.__getitem__),
        "by": best["by"],
        "value": max(values.values()),
    }
    assert best["by"] == "mean ELBO of 180 valid rows, nats"
    assert load_at(run, None)[1].tick == best["tick"]


def test_the_figure_is_what_the_loaded_model_gives(run):
    best = json.loads(run.best_file.read_text())
    assert judge(opened(run).model, load_data("digits:binary"))[1] == pytest.approx(best["value"], rel=1e-6)


def test_judging_leaves_torch_as_it_was(run):
    model, data = opened(run).model, load_data("digits:binary")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert judge(model, data) == judge(model, data)
    assert torch.equal(torch.get_rng_state(), before)


def folder(tmp_path, *ticks: int) -> RunFolder:
    """A run with empty checkpoints."""
    from plausible.runs import commit

    run = RunFolder(tmp_path / "run")
    run.create(config_of())
    for tick in ticks:
        with commit(run.checkpoint_path(tick)) as place:
            (place / "state.json").write_text("{}")
    return run


def judge_at(run: RunFolder, tick: int, value: float, at: str = "schedule") -> None:
    run.append("checkpoint", tick=tick, at=at)
    run.append("valid", tick=tick, by="worth", value=value)
    run.point_at_best()


def test_pruning_keeps_the_best_and_the_newest(tmp_path):
    run = folder(tmp_path, 1, 2, 3, 4)
    for tick, value in ((1, -9.0), (2, -5.0), (3, -6.0), (4, -7.0)):
        judge_at(run, tick, value)
    run.prune(1)
    assert [point.tick for point in run.checkpoints()] == [2, 4]
    assert run.best().tick == 2


def test_a_best_of_a_taken_back_future_does_not_count(tmp_path):
    run = folder(tmp_path, 1, 2, 3)
    judge_at(run, 2, -4.0)
    judge_at(run, 3, -1.0)
    assert run.best().tick == 3
    run.take_back(2, goes_on=True)
    assert run.best().tick == 2
    run.take_back(0, goes_on=True)
    assert run.best() is None
    assert not run.best_file.exists()


def test_a_best_where_training_had_stopped_and_went_on_does_not_count(tmp_path):
    run = folder(tmp_path, 4, 6, 8)
    judge_at(run, 4, -4.0)
    judge_at(run, 6, -1.0, at="stop")
    assert run.best().tick == 6
    run.prune(1)
    assert [point.tick for point in run.checkpoints()] == [4, 6, 8], "4 is the best when 6 goes"
    judge_at(run, 8, -5.0)
    assert run.best().tick == 4
    run.forget_stops(8)
    assert [point.tick for point in run.checkpoints()] == [4, 8]
    assert {event["tick"] for event in run.events()} == {0, 4, 8}


@pytest.mark.parametrize(
    ("values", "best"),
    [([1.0, 3.0, 3.0], 2), ([-math.inf] * 2, 1), ([math.nan, 1.0], 2), ([math.nan], None)],
)
def test_best_is_the_first_of_the_largest_and_never_nan(values, best, tmp_path):
    run = folder(tmp_path, *range(1, len(values) + 1))
    for tick, value in enumerate(values, 1):
        judge_at(run, tick, value)
    assert (run.judgement() and run.judgement().tick) == best


def test_a_damaged_best_is_passed_over(tmp_path):
    run = folder(tmp_path, 1, 2)
    judge_at(run, 1, 1.0)
    (run.checkpoint_path(1) / "state.json").write_text("{ }")
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
