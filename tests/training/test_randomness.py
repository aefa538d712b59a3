"""Nothing random is state: looking at a game never changes it, and every tick draws anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import (
    CPU,
    DOMAINS,
    EVERY_PRESET,
    HOME,
    differing,
    opened,
    play,
    rows,
    state_of,
    tiny,
    tiny_options,
    trainer_of,
)

from plausible import jobs
from plausible.data.rows import Rows
from plausible.jobs import sampling
from plausible.jobs.sampling import sample_model
from plausible.training import loop
from plausible.training.seeding import hash32, own_randomness, permutation, seed_torch


@pytest.fixture
def digits(tmp_path):
    """Options of a tiny training on digits: 14 ticks an epoch."""
    return {"model": "gan", "batch": 100, "epochs": 1.5, "out": tmp_path / "run"} | tiny_options(
        "gan", "default"
    )


def weights(run):
    return {file.name: file.read_bytes() for file in run.newest_valid().path.glob("*.safetensors")}


@pytest.mark.parametrize(("name", "preset"), EVERY_PRESET)
def test_drawing_in_the_middle_does_not_perturb_training(name, preset):
    plain, watched = (trainer_of(name, preset, HOME[name], ema=0.9) for _ in range(2))
    play(plain, 4)
    for tick in range(4):
        watched.play()
        sample_model(watched.game.eval(), 3, seed=tick)
        torch.manual_seed(tick)
        np.random.seed(tick)  # the global state is what must not matter
    assert not differing(state_of(plain.game), state_of(watched.game))


def test_checkpoints_and_pictures_in_the_middle_do_not_perturb_training(digits, tmp_path, monkeypatch):
    once = jobs.train(**digits)
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 3)
    often = jobs.train(**digits | {"out": tmp_path / "often", "keep": 1})
    assert len(list(often.samples_dir.iterdir())) > len(list(once.samples_dir.iterdir()))
    assert weights(once) == weights(often)


def test_an_evaluation_in_the_middle_does_not_perturb_training(digits, tmp_path):
    once = jobs.train(**digits)
    evaluated = []

    def watch(progress):
        torch.manual_seed(progress.tick)
        evaluated.append(opened(once).evaluate(metrics=["fidelity"]))

    assert weights(jobs.train(**digits | {"out": tmp_path / "other"}, watch=watch)) == weights(once)
    assert evaluated


def test_the_jobs_leave_the_global_random_state_alone(digits):
    torch.manual_seed(12)
    expected = torch.get_rng_state()
    run = jobs.train(**digits)
    assert torch.equal(torch.get_rng_state(), expected), "train"
    model = opened(run).model
    assert torch.equal(torch.get_rng_state(), expected), "load"
    sample_model(model, 3)
    assert torch.equal(torch.get_rng_state(), expected), "draw"
    jobs.resume(run, epochs=2)
    assert torch.equal(torch.get_rng_state(), expected), "resume"


def test_the_global_random_state_does_not_reach_the_jobs(digits, tmp_path):
    torch.manual_seed(1)
    first = jobs.train(**digits)
    samples = sample_model(opened(first).model, 4, seed=2)
    torch.manual_seed(2)
    second = jobs.train(**digits | {"out": tmp_path / "again"})
    assert weights(first) == weights(second)
    assert torch.equal(sample_model(opened(second).model, 4, seed=2), samples)


def test_another_seed_is_another_training(digits, tmp_path):
    first = jobs.train(**digits)
    assert weights(jobs.train(**digits | {"out": tmp_path / "other", "seed": 1})) != weights(first)


def test_every_tick_has_fresh_noise_and_a_fresh_minibatch():
    noise, batches = [], []
    trainer = trainer_of("gan", "default", "image", batch=10)
    draw, inward = trainer.game.sample_prior, trainer.game._inward
    trainer.game.sample_prior = lambda n: noise.append(draw(n)) or noise[-1]
    trainer.game._inward = lambda x: batches.append(x) or inward(x)
    play(trainer, 8)
    assert len({z.sum().item() for z in noise}) == 16  # both turns of 8 ticks
    assert len({x.sum().item() for x in batches}) == 8  # shared by the turns of a tick


def test_an_epoch_shows_every_row_once_and_each_in_its_own_order():
    seen = []
    trainer = trainer_of("gan", "default", "image", batch=10, shards=3)
    trainer.rows = Rows(
        replace(rows("image")._table, y=np.arange(40)), np.arange(40)
    )  # labelled by their number
    loss = trainer.game.discriminator_loss
    turn = trainer.turns[0]
    object.__setattr__(turn, "loss", lambda batch: seen.append(batch) or loss(batch))
    play(trainer, 8)
    ticks = {tick: torch.cat([b.y for b in seen if b.tick == tick]).tolist() for tick in range(1, 9)}
    first, second = ([row for tick in epoch for row in ticks[tick]] for epoch in (range(1, 5), range(5, 9)))
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    images, _ = rows("image").take(np.array(ticks[1]))
    assert torch.equal(torch.cat([b.x for b in seen if b.tick == 1]), torch.from_numpy(images))


def test_draws_are_the_same_for_the_same_seed_and_differ_between_seeds():
    model = tiny("gan", "default", *DOMAINS["image"])
    assert torch.equal(sample_model(model, 7, seed=1), sample_model(model, 7, seed=1))
    assert not torch.equal(sample_model(model, 7, seed=1), sample_model(model, 7, seed=2))


def test_blocks_of_a_large_draw_do_not_repeat(monkeypatch):
    monkeypatch.setattr(sampling, "BLOCK", 4)
    drawn = sample_model(tiny("gan", "default", *DOMAINS["points"]), 10)
    assert drawn.shape == (10, 2)
    assert len(drawn.unique(dim=0)) == 10


def test_a_hash_is_32_bits_and_tells_its_parts_apart():
    found = {hash32(*parts) for parts in [(1, 2), (12,), (1, "2"), ("1", 2), (2, 1), (0, 1, 2)]}
    assert len(found) == 6
    assert all(0 <= value < 2**32 for value in found)
    assert hash32(0, 1, 2) == 2_439_208_070, "it is part of every run's meaning: it must never change"


def test_own_randomness_is_put_back_even_after_an_error():
    def draw_and_fail():
        with own_randomness(CPU):
            seed_torch(9, CPU)
            raise ValueError(float(torch.rand(())))

    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"0\."):
        draw_and_fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_permutation_belongs_to_its_seed_and_epoch():
    base = permutation(0, 0, 50).tolist()
    assert sorted(base) == list(range(50))
    assert base == permutation(0, 0, 50).tolist()
    assert base != permutation(0, 1, 50).tolist() != permutation(1, 0, 50).tolist()
