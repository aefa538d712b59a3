"""The theory run: this project's own GAN and trainer on the line, where p_data, p_g and D* are all known."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal, Uniform

from plausible.course.claims import (
    Claim,
    claims_of_the_game,
    claims_of_the_ground,
    claims_of_the_trained,
)
from plausible.course.line import Line, Scene
from plausible.course.page import Course, write_theory
from plausible.errors import PlausibleError
from plausible.game import Game, Turn
from plausible.models.build import recipe_of, split_options
from plausible.models.gan import GAN
from plausible.runs import write_json
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.trainer import Settings, Trainer
from plausible.version import __version__

P_DATA = Normal(0.0, 1.0)
FAR = Normal(4.0, 0.5)
BATCH = 256
K = 2
TICKS = 4_000
SHORT = 1_500
EARLY, NEAR = 5, 200
"""Ticks at which the first two generators are frozen."""
INNER_TICKS, INNER_BATCH, INNER_LR = 1_000, 512, 1e-2
OUTER_TICKS, OUTER_LR = 10, 1e-3

PLAYERS: Mapping[str, Any] = {
    "latent": 1,
    "noise": "uniform",
    "generator": (32, 32),
    "discriminator": (128, 128),
    "activation": ("tanh", "leaky_relu"),
    "objective": "non-saturating",
    "penalty": 0.0,
    "k": K,
    "lr": 6e-3,
    "lr_decay": 1.0007,
    "beta1": 0.0,
    "beta2": 0.9,
}
SLOW_D = {"k": 1, "discriminator_lr": PLAYERS["lr"] / 20}
PLAIN_SGD = {"optimizer": "sgd", "lr": 0.05, "lr_decay": 1.0, "k": 5}

Say = Callable[[str, float], None]


@dataclass(frozen=True)
class TheoryRun:
    """What `theory` found.

    Attributes:
        claims: the table.
        folder: where theory.html, theory.json, figure-1.png and animation.gif lie; None if nothing was written.
    """

    claims: Sequence[Claim]
    folder: Path | None

    @property
    def holds(self) -> bool:
        """Whether every line of the table agrees with its formula."""
        return all(claim.holds for claim in self.claims)


def theory(out: str | os.PathLike[str] | None = None, *, seed: int = 0, say: Say | None = None) -> TheoryRun:
    """Put the propositions of Goodfellow et al. (2014) in numbers and pictures.

    Args:
        out: a folder for the page, the pictures and theory.json; None: only the table.
        seed: of the draws and of the training.
        say: told what is being done, and which share of the whole is behind.

    Raises:
        PlausibleError: the folder cannot be made or written, or the seed is negative or not below 2⁶³.
    """
    if seed < 0:
        raise PlausibleError(f"--seed must be 0 or more, not {seed}")
    if seed >= 1 << 63:
        raise PlausibleError(f"--seed must be below 2⁶³, not {seed}")
    folder = None if out is None else _folder(Path(out))
    say = say or (lambda words, share: None)
    say("formulas against draws", 0.0)
    ground = [*claims_of_the_ground(seed), *claims_of_the_game(seed)]
    say("Algorithm 1 on the line", 0.05)
    with own_randomness(torch.device("cpu")), _one_thread():
        run = _algorithm_1(seed)
        claims = [*ground, *claims_of_the_trained(run.frozen, run.end)]
        if folder is None:
            return TheoryRun(claims, None)
        say("the effect of k", 0.4)
        few, many = _course("k = 1, D's rate ÷ 20", seed, SLOW_D), _course("k = 20", seed, {"k": 20})
        chosen = Course(f"k = {K}", [scene for scene in run.film if scene.tick <= SHORT])
        say("the saturating loss", 0.65)
        losses = [
            _course(name, seed, PLAIN_SGD | {"objective": name}, FAR)
            for name in ("minimax", "non-saturating")
        ]
    say("pictures", 0.8)
    write_theory(folder, claims, run.panels, run.film, [few, chosen, many], losses, __version__)
    write_json(folder / "theory.json", {"seed": seed, "claims": [claim.as_json() for claim in claims]})
    say("done", 1.0)
    return TheoryRun(claims, folder)


# ---------------------------------------------------------------------- the players on the line
class Draws:
    """Fresh rows from a normal distribution: minibatches from p_data itself, as Algorithm 1 has it."""

    def __init__(self, p: Normal) -> None:
        self.mean, self.deviation = float(p.mean), float(p.stddev)

    def __len__(self) -> int:
        return 1 << 16

    def take(self, ids: np.ndarray, *, seed: int) -> tuple[np.ndarray, None]:
        """As many draws as there are ids, (B, 1)."""
        drawn = np.random.default_rng(seed).normal(self.mean, self.deviation, (len(ids), 1))
        return drawn.astype(np.float32), None


class OnePlayer(Game):
    """One of a GAN's two turns by itself, its rate falling to 0: the inner loop of Algorithm 1 carried to its end
    (turn 0), or what G does next against that D (turn 1).
    """

    def __init__(self, gan: GAN, turn: int, ticks: int, lr: float) -> None:
        super().__init__()
        self.gan, self.turn, self.ticks, self.lr = gan, turn, ticks, lr

    def turns(self) -> Sequence[Turn]:
        def schedule(tick: int) -> dict[str, float]:
            return {"lr": self.lr * (1 - (tick - 1) / self.ticks)}

        return (replace(self.gan.turns()[self.turn], every=1, schedule=schedule),)


@dataclass(frozen=True)
class _Run:
    """The main run: panels a to d, all scenes, D at its optimum at three frozen generators, and the end."""

    panels: Sequence[Scene]
    film: Sequence[Scene]
    frozen: Sequence[tuple[str, Scene]]
    end: Scene


def _algorithm_1(seed: int) -> _Run:
    """Train; at three moments carry the inner loop to its end on a copy, which leaves the run as it would have been."""
    trainer, line = _players(seed, {}), _line(P_DATA)
    film, branches = [], {}
    for scene in _play(trainer, line, TICKS, _film_ticks()):
        film.append(scene)
        if scene.tick in (EARLY, NEAR):
            branches[scene.tick] = _branch(trainer.game, line, scene.tick, seed)
    if trainer.average is not None:
        trainer.game.load_state_dict(trainer.average.state)
    end = _look(trainer.game, line, TICKS)
    last, _ = _branch(trainer.game, line, TICKS, seed)
    near = next(scene for scene in film if scene.tick == NEAR)
    optimal, moved = branches[NEAR]
    return _Run(
        panels=[near, optimal, moved, end],
        film=[*film[:-1], end],
        frozen=[("early G", branches[EARLY][0]), ("nearer G", optimal), ("final G", last)],
        end=end,
    )


def _branch(game: nn.Module, line: Line, tick: int, seed: int) -> tuple[Scene, Scene]:
    """From a copy of the players: D at its optimum against this G; and then some small moves of G against that D."""
    gan = copy.deepcopy(_as_gan(game))
    scenes = []
    for turn, ticks, lr in ((0, INNER_TICKS, INNER_LR), (1, OUTER_TICKS, OUTER_LR)):
        settings = Settings(batch=INNER_BATCH, seed=hash32(seed, "branch", tick, turn))
        trainer = Trainer(OnePlayer(gan, turn, ticks, lr), Draws(P_DATA), settings)
        for _ in range(ticks):
            trainer.play()
        scenes.append(_look(gan, line, tick))
    return scenes[0], scenes[1]


def _course(name: str, seed: int, options: Mapping[str, Any], p_data: Normal = P_DATA) -> Course:
    """A shorter run with other options, seen every 25 ticks."""
    ticks = set(range(0, SHORT + 1, 25))
    return Course(name, list(_play(_players(seed, options, p_data), _line(p_data), SHORT, ticks)))


def _players(seed: int, options: Mapping[str, Any], p_data: Normal = P_DATA) -> Trainer:
    seed_torch(hash32(seed, "init"), torch.device("cpu"))
    own, recipe = split_options(GAN, {**PLAYERS, **options})
    gan, settings = GAN((1,), "real", **own), Settings(batch=BATCH, seed=seed, ema=0.998)
    return Trainer(gan, Draws(p_data), settings, recipe=recipe_of(GAN, recipe))


def _play(trainer: Trainer, line: Line, ticks: int, seen: set[int]) -> Iterator[Scene]:
    while True:
        if trainer.tick in seen:
            yield _look(trainer.game, line, trainer.tick)
        if trainer.tick == ticks:
            return
        trainer.play()


def _look(gan: nn.Module, line: Line, tick: int) -> Scene:
    gan = _as_gan(gan)
    side = 3**0.5
    return line.look(Uniform(-side, side), gan.generate, gan.discriminate, tick)


def _as_gan(game: nn.Module) -> GAN:
    if not isinstance(game, GAN):
        raise TypeError(f"a GAN was expected, not {type(game).__name__}")
    return game


def _line(p_data: Normal) -> Line:
    """Six standard deviations of p_data to both sides, and where the generator starts."""
    mean, deviation = float(p_data.mean), float(p_data.stddev)
    return Line(p_data, min(-5.0, mean - 6 * deviation), max(5.0, mean + 6 * deviation))


def _film_ticks() -> set[int]:
    """Close together at first, where much happens; the marked moments among them."""
    return {round(TICKS * (step / 60) ** 3) for step in range(61)} | {EARLY, NEAR, SHORT, TICKS}


@contextmanager
def _one_thread() -> Generator[None]:
    """Networks so small are twice as slow on two threads as on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlausibleError(f"--out {path}: {error.strerror or error}") from error
    return path
