"""Law 1: a turn's gradients reach every mover and no one else."""

import pytest
import torch
from support import EVERY_CASE, differing, play, rows, state_of, trainer_of
from torch import nn

from plausible.game import Batch, Game, Loss, Turn
from plausible.training.batch_norm import RunningStatistics
from plausible.training.trainer import Settings, Trainer

TICKS = 6


def turns_alone(name, preset, domain):
    """For each turn: a trainer in which it is the only one, ready to play it on each tick it is due."""
    for position in range(len(trainer_of(name, preset, domain).turns)):
        trainer = trainer_of(name, preset, domain)
        trainer.turns = [trainer.turns[position]]
        yield trainer, trainer.turns[0]


def names_within(game, modules, of):
    """Names in the game of the modules' parameters or buffers."""
    inside = {id(tensor) for module in modules for tensor in getattr(module, of)()}
    return {name for name, tensor in getattr(game, f"named_{of}")() if id(tensor) in inside}


@pytest.mark.parametrize(("name", "preset", "domain"), EVERY_CASE)
def test_every_parameter_of_a_mover_moves_and_no_other(name, preset, domain):
    for trainer, turn in turns_alone(name, preset, domain):
        before = state_of(trainer.game)
        play(trainer, TICKS * turn.every)
        parameters = {key for key, _ in trainer.game.named_parameters()}
        moved = differing(before, state_of(trainer.game)) & parameters
        movers = names_within(trainer.game, turn.movers, "parameters")
        assert moved <= movers, turn.name
        assert all(loss_ignores(trainer, turn, unmoved) for unmoved in movers - moved), turn.name


@pytest.mark.parametrize(("name", "preset", "domain"), EVERY_CASE)
def test_only_the_movers_running_statistics_change(name, preset, domain):
    for trainer, turn in turns_alone(name, preset, domain):
        before = state_of(trainer.game)
        play(trainer, TICKS * turn.every)
        buffers = {key for key, _ in trainer.game.named_buffers()}
        norms = [
            module
            for mover in turn.movers
            for module in mover.modules()
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        ]
        expected = names_within(trainer.game, norms, "buffers")
        assert differing(before, state_of(trainer.game)) & buffers == expected, turn.name


def loss_ignores(trainer, turn, name):
    """True for a bias that the loss does not depend on: a relativistic critic's last, and another while each of the
    units behind it is on the same side of its kink for all rows."""
    trainer.game.double()
    parameter = dict(trainer.game.named_parameters())[name]
    x, y = (torch.from_numpy(rows) for rows in trainer.rows.take(range(16)))
    totals = []
    torch.set_default_dtype(torch.float64)  # of the noise, too
    try:
        for _ in range(2):
            torch.manual_seed(0)
            totals.append(float(turn.loss(Batch(x.double(), y, tick=turn.every)).total().detach()))
            parameter.data.add_(1e-3)
    finally:
        torch.set_default_dtype(torch.float32)
    return parameter.dim() == 1 and abs(totals[1] - totals[0]) < 1e-12


@pytest.mark.parametrize(("name", "preset", "domain"), EVERY_CASE)
def test_each_turn_of_a_whole_game_moves_its_movers(name, preset, domain):
    trainer = trainer_of(name, preset, domain)
    before = state_of(trainer.game)
    play(trainer, TICKS * max((turn.every for turn in trainer.turns), default=1))
    movers = [mover for turn in trainer.turns for mover in turn.movers]
    for name in names_within(trainer.game, movers, "parameters") - differing(before, state_of(trainer.game)):
        assert any(loss_ignores(trainer, turn, name) for turn in trainer.turns), name


@pytest.mark.parametrize(("name", "preset", "domain"), EVERY_CASE)
def test_nothing_is_left_frozen_or_with_a_gradient(name, preset, domain):
    trainer = play(trainer_of(name, preset, domain), 3)
    assert all(p.requires_grad and p.grad is None for p in trainer.game.parameters())


class Pair(Game):
    """Two nets, each with a batch norm, both used by the one turn that moves `left`; it notes what it meets."""

    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.right = nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1))
        self.pinned = nn.Parameter(torch.ones(1), requires_grad=False)
        self.met = []

    def loss(self, batch: Batch) -> Loss:
        self.met.append(
            (
                [p.requires_grad for p in self.left.parameters()],
                [p.requires_grad for p in self.right.parameters()],
                torch.is_grad_enabled(),
            )
        )
        hidden = self.left(batch.x)
        return Loss({"it": (self.right(hidden).squeeze(1) * self.pinned).square() + hidden[:, 0]})

    def turns(self):
        return [Turn("left", self.loss, [self.left])]


def test_a_loss_sees_its_movers_alone_unfrozen():
    game = Pair()
    play(Trainer(game, rows("points"), Settings(batch=8)), 1)
    assert game.met == [([True] * 4, [False] * 4, True)]
    assert not game.pinned.requires_grad, "what the model itself holds still must stay so"


def test_a_still_batch_norm_normalises_by_the_batch_all_the_same():
    game = Pair().train()
    game.right[1].running_mean.fill_(1e6)
    statistics = RunningStatistics(game, [game.left])
    with statistics.move(), statistics.shard(1.0):
        out = game.right(game.left(torch.randn(64, 2)))
    assert abs(float(out.detach().mean())) < 1e-4
    assert float(game.right[1].running_mean) == 1e6
    assert game.right[1].track_running_stats
