"""A loss or gradient that is no finite number stops the training: by name, before it can do harm."""

import re

import pytest
import torch
from support import differing, opened, play, rows, state_of, tiny_options
from torch import nn

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.game import Batch, Game, Loss, Turn
from plausible.jobs.sampling import sample_model
from plausible.models.gan import GAN
from plausible.runs import RunFolder
from plausible.training import loop
from plausible.training.trainer import DivergedError, Settings, Trainer

TICK = 4


class Sick(Game):
    """Two turns with a batch norm each; the second one falls ill at tick TICK, on shard `shard`."""

    def __init__(self, how, shard=0, together=False):
        super().__init__()
        self.together, self.how, self.shard, self.calls = together, how, shard, 0
        torch.manual_seed(0)
        self.first, self.second = (nn.Sequential(nn.Linear(16, 3), nn.BatchNorm1d(3)) for _ in range(2))

    def turns(self):
        return Turn("calm", self.calm, [self.first]), Turn("sick", self.sick, [self.second])

    def calm(self, batch: Batch) -> Loss:
        self.calls = 0
        return Loss({"value": self.first(batch.x.flatten(1)).square().mean(1)})

    def sick(self, batch: Batch) -> Loss:
        out = self.second(batch.x.flatten(1)).square().mean(1)
        self.calls += 1
        if batch.tick < TICK or self.calls != self.shard + 1:
            return Loss({"fine": out, "ill": out})
        if self.how == "gradient":  # the value is 0, its slope 1/(2·√0)
            return Loss({"fine": out, "ill": (out - out.detach()).abs().sqrt()})
        return Loss({"fine": out, "ill": out * float(self.how)})


def caught(how, **more):
    game = Sick(how, **more)
    trainer = play(Trainer(game, rows("image"), Settings(batch=12, shards=3, ema=0.9)), TICK - 1)
    before = state_of(game)
    optimizer = {k: v.clone() for k, v in trainer.optimizers["sick"].state_dict()["state"][0].items()}
    with pytest.raises(DivergedError) as error:
        trainer.play()
    assert all(
        torch.equal(v, optimizer[k]) for k, v in trainer.optimizers["sick"].state_dict()["state"][0].items()
    )
    return trainer, differing(before, state_of(game)), str(error.value)


@pytest.mark.parametrize("how", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("shard", [0, 2])
@pytest.mark.parametrize("together", [False, True])
def test_a_sick_loss_is_named_and_moves_nobody(how, shard, together):
    _, changed, message = caught(how, shard=shard, together=together)
    assert re.match(rf"sick/ill is not finite at tick {TICK}\.", message)
    assert "sick/fine" not in message
    assert "--clip 1" in message
    assert not {name for name in changed if name.startswith("second.")}


@pytest.mark.parametrize("together", [False, True])
def test_a_sick_gradient_is_named_and_moves_nobody(together):
    _, changed, message = caught("gradient", together=together)
    assert re.match(rf"the gradient of turn 'sick' is not finite at tick {TICK}\.", message)
    assert not {name for name in changed if name.startswith("second.")}


@pytest.mark.parametrize("how", ["nan", "gradient"])
def test_after_a_sick_loss_no_gradient_is_left_and_the_tick_is_not_counted(how):
    trainer, _, _ = caught(how, shard=2)
    assert trainer.tick == TICK - 1
    assert all(p.grad is None and p.requires_grad for p in trainer.game.parameters())


class SickGAN(GAN):
    """Its generator's loss becomes NaN at tick 9."""

    def generator_loss(self, batch):
        loss = super().generator_loss(batch)
        ill = float("nan") if batch.tick >= 9 else 1.0
        return Loss({name: term * ill for name, term in loss.terms.items()})


def test_the_jobs_keep_the_last_good_checkpoint_and_say_what_happened(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 4)
    name = f"{SickGAN.__module__}:SickGAN"
    with pytest.raises(DivergedError, match=r"generator/pair is not finite at tick 9"):
        jobs.train(name, out=tmp_path / "run", epochs=2, **tiny_options("gan", "default"))
    run = RunFolder(tmp_path / "run")
    assert [point.tick for point in run.checkpoints()] == [4, 8]
    stop = run.stopped()
    assert (stop["reason"], stop["tick"]) == ("diverged", 8)
    assert "generator/pair is not finite at tick 9" in stop["message"]
    assert "diverged" in run.report_file.read_text()
    assert re.search(
        r"The checkpoint at tick 8 is kept: go on .*resume \S+run --set lr=5e-05`", stop["message"]
    )
    with pytest.raises(PlausibleError, match="code that is not part of plausible"):
        opened(run).sample(1)
    for given in (SickGAN, name):
        assert sample_model(opened(run, model=given).model, 2).isfinite().all()


def test_a_learning_rate_without_reason_is_caught_too(tmp_path):
    options = tiny_options("gan", "default") | {
        "objective": "minimax",
        "optimizer": "sgd",
        "lr": 1e30,
        "penalty": 1.0,
    }
    with pytest.raises(DivergedError, match=r"not finite at tick \d"):
        jobs.train("gan", out=tmp_path / "run", epochs=2, **options)


def test_a_training_that_shows_nothing_writes_no_report_when_it_fails(tmp_path):
    options = tiny_options("vae", "default")
    with pytest.raises(DivergedError):
        jobs.train(
            "vae",
            rows("image").array(),
            out=tmp_path / "r",
            epochs=200,
            lr=1e30,
            batch=10,
            show=False,
            **options,
        )
    assert RunFolder(tmp_path / "r").stopped()["reason"] == "diverged"
    assert not list((tmp_path / "r").glob("**/*.html"))
    assert not list((tmp_path / "r").glob("**/*.png"))
