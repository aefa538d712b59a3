"""A tick of the trainer is what one would write by hand: the plain loop of each objective is the oracle."""

import copy

import pytest
import torch
from support import differing, play, rows, state_of, trainer_of
from torch import nn

from plausible.game import Batch, Game, Loss, Turn
from plausible.models.objectives import OBJECTIVES
from plausible.recipe import Recipe
from plausible.training.seeding import hash32, permutation
from plausible.training.trainer import Settings, Trainer

LR = 1e-2
HALF = {"authors-code": 0.5}


def trainer(**more):
    base = {"penalty": 0.0, "lr": LR, "beta1": 0.5, "beta2": 0.99, "lr_decay": 1.0}
    return trainer_of("gan", "default", "image", batch=8, **base | more)


def discriminator_value(objective, real, fake):
    """What D lowers, from probabilities: no softplus here."""
    if objective == "relativistic":
        return -torch.log(torch.sigmoid(real - fake)).mean()
    value = torch.log(torch.sigmoid(real)).mean() + torch.log(1 - torch.sigmoid(fake)).mean()
    return -HALF.get(objective, 1.0) * value


def generator_value(objective, real, fake):
    """What G lowers."""
    if objective == "relativistic":
        return -torch.log(torch.sigmoid(fake - real)).mean()
    if objective == "minimax":
        return torch.log(1 - torch.sigmoid(fake)).mean()
    return -torch.log(torch.sigmoid(fake)).mean()


def noise(shard, tick, position, n):
    torch.manual_seed(hash32(0, shard, tick, position))
    return torch.empty(n, 4).normal_()


def penalty(net, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return slope.pow(2).sum() / len(x) / 2


def by_hand(g, d, objective, ticks, *, together=False, gamma=0.0):
    """Algorithm 1 with k = 1 in the plainest form: two Adams, nothing frozen, fakes detached."""
    optimizers = [torch.optim.Adam(net.parameters(), LR, (0.5, 0.99)) for net in (d, g)]
    real_of = lambda tick: rows("image").take(permutation(0, 0, 40)[(tick - 1) * 8 : tick * 8])[0]  # noqa: E731
    for tick in range(1, ticks + 1):
        real = torch.from_numpy(real_of(tick)).double().flatten(1)

        def lower_d(real=real, tick=tick):
            fake = torch.sigmoid(g(noise(0, tick, 0, 8))).detach()
            value = discriminator_value(objective, d(real), d(fake))
            return value + gamma * (penalty(d, real) + penalty(d, fake)) if gamma else value

        def lower_g(real=real, tick=tick):
            fake = torch.sigmoid(g(noise(0, tick, 0 if together else 1, 8)))
            return generator_value(objective, d(real), d(fake))

        if together:
            gradients = [
                torch.autograd.grad(
                    lower(), list(net.parameters()), allow_unused=True, materialize_grads=True
                )
                for lower, net in ((lower_d, d), (lower_g, g))
            ]
            for net, optimizer, gradient in zip((d, g), optimizers, gradients, strict=True):
                for parameter, value in zip(net.parameters(), gradient, strict=True):
                    parameter.grad = value
                optimizer.step()
        else:
            for lower, optimizer in ((lower_d, optimizers[0]), (lower_g, optimizers[1])):
                optimizer.zero_grad()
                lower().backward()
                optimizer.step()


def compare(one, g, d):
    expected = {f"generator.{k}": v for k, v in g.state_dict().items()}
    expected |= {f"discriminator.{k}": v for k, v in d.state_dict().items()}
    for name, value in expected.items():
        torch.testing.assert_close(
            one.game.state_dict()[name], value, rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.7])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_ticks_are_the_plain_loops(objective, gamma, together):
    one = trainer(objective=objective, penalty=gamma, simultaneous=together)
    g, d = copy.deepcopy(one.game.generator), copy.deepcopy(one.game.discriminator)
    by_hand(g, d, objective, 2, together=together, gamma=gamma)
    before = state_of(one.game)
    play(one, 2)
    if objective == "relativistic":  # its last bias has a zero gradient up to rounding, which Adam blows up
        for net in (d, one.game.discriminator):
            net[-1].bias.data.zero_()
    compare(one, g, d)
    assert len(differing(before, state_of(one.game))) >= 11


@pytest.mark.usefixtures("float64")
def test_playing_in_turn_is_not_playing_together():
    first, second = (play(trainer(simultaneous=s), 2) for s in (False, True))
    assert differing(state_of(first.game), state_of(second.game))


class Scalars(Game):
    """a lowers (a − b)², b lowers (b − 2a)²: small enough to follow with a pencil; records what each loss saw."""

    def __init__(self, together=False, every=1):
        super().__init__()
        self.together, self.every, self.saw = together, every, []
        self.a, self.b = (nn.ParameterList([torch.tensor(v)]) for v in (1.0, 3.0))

    def turns(self):
        def sgd(parameters):
            return torch.optim.SGD(parameters, lr=0.25)

        return Turn("a", self.loss_a, [self.a], optimizer=sgd), Turn(
            "b", self.loss_b, [self.b], self.every, sgd
        )

    def loss_a(self, batch: Batch) -> Loss:
        self.saw.append(("a", batch.tick, float(torch.rand(()))))
        return Loss({"a": (self.a[0] - self.b[0]).square()}, shown={"gap": self.a[0] - self.b[0]})

    def loss_b(self, batch: Batch) -> Loss:
        self.saw.append(("b", batch.tick, float(torch.rand(()))))
        return Loss({"b": (self.b[0] - 2 * self.a[0]).square()})


def scalars(ticks, *, clip=None, **how):
    game = Scalars(**how)
    one = Trainer(game, rows("points"), Settings(batch=4), recipe=Recipe(clip=clip))
    reports = [{name: float(value) for name, value in one.play().items()} for _ in range(ticks)]
    return game, reports


def test_in_turn_the_second_player_sees_the_first_ones_move():
    game, reports = scalars(1)
    assert game.a[0].item() == 1 - 0.25 * 2 * (1 - 3)  # = 2
    assert game.b[0].item() == 3 - 0.25 * 2 * (3 - 2 * 2.0)  # from the new a
    assert reports == [{"a/a": 4.0, "gap": -2.0, "b/b": 1.0}]


def test_together_both_move_from_the_same_place_with_the_same_draws():
    game, reports = scalars(1, together=True)
    assert game.a[0].item() == 2.0
    assert game.b[0].item() == 3 - 0.25 * 2 * (3 - 2 * 1.0)  # from the old a
    assert reports == [{"a/a": 4.0, "gap": -2.0, "b/b": 1.0}]
    (_, _, first), (_, _, second) = game.saw
    assert first == second


def test_in_turn_the_players_draw_for_themselves():
    (_, _, first), (_, _, second) = scalars(1)[0].saw
    assert first != second


@pytest.mark.parametrize("together", [False, True])
def test_with_k_3_the_second_player_moves_on_ticks_3_6_9(together):
    game, reports = scalars(9, together=together, every=3)
    assert [tick for who, tick, _ in game.saw if who == "b"] == [3, 6, 9]
    assert [tick for who, tick, _ in game.saw if who == "a"] == list(range(1, 10))
    assert [t + 1 for t, seen in enumerate(reports) if "b/b" in seen] == [3, 6, 9]


def test_k_of_a_gan_counts_discriminator_moves():
    one = trainer(k=3)
    moved = []
    for tick in range(1, 8):
        before = state_of(one.game.generator)
        one.play()
        moved += [tick] if differing(before, state_of(one.game.generator)) else []
    assert moved == [3, 6]


@pytest.mark.parametrize(("clip", "a"), [(1.0, 1 + 0.25), (4.0, 2.0), (3.9, 1 + 0.25 * 3.9), (100.0, 2.0)])
def test_a_gradient_longer_than_clip_is_shortened_to_it(clip, a):
    game, _ = scalars(1, clip=clip, together=True)
    assert game.a[0].item() == pytest.approx(a, abs=1e-6)


def test_clipping_takes_the_norm_over_all_of_a_turns_parameters():
    class Two(Scalars):
        def turns(self):
            (first, _) = super().turns()
            return [Turn("both", first.loss, [self.a, self.b], optimizer=first.optimizer)]

    game = Two()
    play(
        Trainer(game, rows("points"), Settings(batch=4), recipe=Recipe(clip=1.0)), 1
    )  # the gradient is (−4, 4)
    step = 0.25 / 2**0.5
    assert [game.a[0].item(), game.b[0].item()] == pytest.approx([1 + step, 3 - step], abs=1e-6)


def test_one_module_may_move_in_two_turns_with_two_optimizers():
    class Shared(Scalars):
        def turns(self):
            first, second = super().turns()
            return first, Turn("again", second.loss, [self.a, self.b], optimizer=second.optimizer)

    game = Shared()
    one = play(Trainer(game, rows("points"), Settings(batch=4)), 1)
    assert game.a[0].item() == 2 - 0.25 * 4 * (2 * 2 - 3)
    assert one.optimizers["a"] is not one.optimizers["again"]
