"""Averaged weights are the formula's, tick for tick."""

import pytest
import torch
from support import play, trainer_of
from torch import nn

from plausible.training.average import Average


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_the_average_is_the_formula(decay, float64):
    game = nn.Linear(2, 2)
    average = Average(game, decay)
    expected = game.weight.detach().clone()
    generator = torch.Generator().manual_seed(0)
    for tick in range(1, 61):
        with torch.no_grad():
            game.weight.add_(torch.randn(2, 2, generator=generator))
        average.update(tick)
        if tick in (10, 20, 30, 40, 50, 60):
            u = tick // 10
            d = min(decay**10, (1 + u) / (10 + u))
            expected = d * expected + (1 - d) * game.weight.detach()
        torch.testing.assert_close(average.state["weight"], expected, rtol=1e-12, atol=1e-12)


def test_buffers_are_copied_not_averaged():
    trainer = play(trainer_of("gan", "tutorial", "image", ema=0.9), 10)
    parameters = dict(trainer.game.named_parameters())
    buffers = {name: value for name, value in trainer.game.state_dict().items() if name not in parameters}
    assert any("running_mean" in name for name in buffers)
    assert all(torch.equal(trainer.average.state[name], buffer) for name, buffer in buffers.items())


def test_the_average_never_moves_the_game():
    with_average, without = (play(trainer_of("gan", "default", "image", ema=e), 12) for e in (0.9, None))
    for name, value in without.game.state_dict().items():
        assert torch.equal(with_average.game.state_dict()[name], value)


def test_the_average_is_its_own_copy():
    trainer = trainer_of("gan", "default", "image", ema=0.9)
    kept = {name: value.clone() for name, value in trainer.average.state.items()}
    play(trainer, 9)
    assert all(torch.equal(trainer.average.state[name], value) for name, value in kept.items())
