"""Law 4: the same shards give the same weights on one process and on two; shards differ by random draws alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import differing, play, rows, state_of, trainer_of
from torch import nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Game, Loss, Turn
from plausible.recipe import Recipe
from plausible.training.distributed import World
from plausible.training.trainer import Settings, Trainer

sys.path.insert(0, str(Path(__file__).parent))
from two_processes import cases, domain_of, outcome

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    script = Path(__file__).with_name("two_processes.py")
    done = subprocess.run(
        [*TORCHRUN, script, folder], capture_output=True, text=True, timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(
            one[name], other[name], rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids="-".join)
def test_two_processes_play_as_one(case, two_processes):
    """The tutorial's batch norm included, and shards that do not divide the batch or the processes."""
    first, second = (load_file(two_processes / f"{'-'.join(case)}-{rank}.safetensors") for rank in (0, 1))
    assert not differing(first, second)
    alone = outcome(case)
    assert_close(alone, first)
    start = trainer_of(case[0], case[1], domain_of(case))
    assert differing(state_of(start.game), state_of_keys(alone)) or not start.turns


def state_of_keys(found):
    return {name: value for name, value in found.items() if not name.startswith("seen ")}


@pytest.mark.slow
def test_what_is_true_on_one_process_is_known_on_both(two_processes):
    assert [(two_processes / f"any-{rank}").read_text() for rank in (0, 1)] == ["(True, False)"] * 2


class Still(Game):
    """Two turns without any randomness; terms of both kinds, per example and scalar."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.f, self.g = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)), nn.Linear(3, 1)

    def first(self, batch: Batch) -> Loss:
        codes = self.f(batch.x.flatten(1))
        weight = sum(p.square().sum() for p in self.f.parameters())
        return Loss(
            {"fit": self.g(codes).squeeze(1).square(), "weight": weight}, shown={"mean": codes.mean(1)}
        )

    def second(self, batch: Batch) -> Loss:
        return Loss({"far": (self.g(self.f(batch.x.flatten(1))).squeeze(1) - batch.y).square()})

    def turns(self):
        return Turn("first", self.first, [self.f]), Turn("second", self.second, [self.g], every=2)


def played(shards, *, together=False, world=None):
    game = Still()
    game.together = together
    trainer = Trainer(game, rows("image"), Settings(batch=7, shards=shards), world, Recipe(clip=3.0))
    play(trainer, 5)
    return {**state_of(game), **{key: value.detach() for key, value in trainer.play().items()}}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("shards", [2, 3, 7])
def test_without_randomness_any_number_of_shards_gives_the_same_weights(shards, together):
    assert_close(played(1, together=together), played(shards, together=together))


def test_with_randomness_shards_draw_for_themselves():
    one, two = (play(trainer_of("gan", "default", "image", shards=s), 2) for s in (1, 2))
    assert differing(state_of(one.game), state_of(two.game))


def test_each_shards_noise_is_its_own():
    drawn = []
    trainer = trainer_of("gan", "default", "image", shards=4)
    inner = trainer.game.sample_prior
    trainer.game.sample_prior = lambda n: drawn.append(inner(n)) or drawn[-1]
    trainer.play()
    assert [len(z) for z in drawn] == [4] * 8
    assert len({z.sum().item() for z in drawn}) == 8


def test_running_statistics_become_the_shards_mean():
    def norm_after(shards):
        norm = nn.BatchNorm1d(16, momentum=None)
        game = nn.Sequential(norm)
        game.together, game.labels, game.recipe = False, 0, Recipe()
        turn = Turn("it", lambda batch: Loss({"it": game(batch.x.flatten(1)).mean(1)}), [norm])
        game.turns = lambda: [turn]
        return play(Trainer(game, rows("image"), Settings(batch=9, shards=shards)), 2).game[0]

    whole, parts = norm_after(1), norm_after(3)
    torch.testing.assert_close(whole.running_mean, parts.running_mean)
    assert int(parts.num_batches_tracked) == int(whole.num_batches_tracked) == 2
    assert not torch.allclose(whole.running_var, parts.running_var)  # a shard sees its own spread alone


def test_too_few_shards_for_the_processes_are_refused():
    with pytest.raises(PlausibleError, match="give --shards 2"):
        Trainer(Still(), rows("image"), Settings(batch=7), World(0, 2))
