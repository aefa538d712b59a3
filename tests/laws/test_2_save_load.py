"""Law 2: save, load: the same samples, bit for bit."""

import pytest
from support import (
    CASES_SLOW,
    DOMAINS,
    HOME,
    OTHERS_SLOW,
    differing,
    of_training,
    opened,
    play,
    same,
    saved,
    state_of,
    tiny,
    tiny_options,
    train,
    trainer_of,
)

from plausible.jobs import session
from plausible.jobs.sampling import sample_model
from plausible.runs import commit, verify
from plausible.training import checkpoint
from plausible.training.trainer import Trainer


@pytest.mark.parametrize(("name", "preset", "domain"), CASES_SLOW)
@pytest.mark.parametrize(("file", "ema"), [(checkpoint.MODEL, None), (checkpoint.AVERAGE, 0.9)])
def test_a_checkpoint_gives_the_same_samples(name, preset, domain, file, ema, tmp_path):
    trainer = play(trainer_of(name, preset, domain, ema=ema), 11)
    with commit(tmp_path / "000000011") as folder:
        checkpoint.write(trainer, folder, {"seconds": 0.0, "cpu_seconds": 0.0})
    verify(tmp_path / "000000011")
    game = trainer.game
    if ema is not None:
        assert differing(state_of(game), trainer.average.state) or not trainer.turns
        game.load_state_dict(trainer.average.state)
    expected = sample_model(game.eval(), 5, seed=3)

    other = tiny(name, preset, *DOMAINS[domain], seed=99).eval()
    assert not same(sample_model(other, 5, seed=3), expected) or domain == "binary"
    checkpoint.load_weights(other, tmp_path / "000000011" / file)
    assert same(sample_model(other, 5, seed=3), expected)


@pytest.mark.parametrize(("name", "preset"), OTHERS_SLOW)
@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_loaded_run_gives_the_trained_models_samples(name, preset, ema, tmp_path, monkeypatch):
    trainers = []

    class Kept(Trainer):
        def __init__(self, *args):
            super().__init__(*args)
            trainers.append(self)

    monkeypatch.setattr(session, "Trainer", Kept)
    more = {} if ema is None else {"ema": ema}  # the preset's own may be an average as well
    run = train(
        name, saved(tmp_path, HOME[name]), preset=of_training(preset), out=tmp_path / "run", epochs=3, batch=8,
        **more, **tiny_options(name, preset),
    )  # fmt: skip
    game, average = trainers[0].game, trainers[0].average
    if average is not None:
        game.load_state_dict(average.state)
    loaded = opened(run, at=trainers[0].tick).model
    assert not loaded.training
    assert loaded.shape == DOMAINS[HOME[name]][0]
    assert same(sample_model(loaded, 5, seed=1), sample_model(game.eval(), 5, seed=1))
    best = run.best() or run.newest_valid()
    assert same(sample_model(opened(run, at=best.tick).model, 5), sample_model(opened(run).model, 5))
