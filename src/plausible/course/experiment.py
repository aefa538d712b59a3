"""The experiment of `plausible theory`: a GAN trained on one-dimensional data, where p_data, p_g and D* are known."""

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
    probability_claims,
    theory_claims,
    training_claims,
)
from plausible.course.page import write_theory
from plausible.course.snapshot import Line, Snapshot
from plausible.course.training_plots import Trajectory
from plausible.errors import PlausibleError
from plausible.game import Game, Turn
from plausible.models.build import recipe_of, split_options
from plausible.models.gan import GAN
from plausible.runs import write_json
from plausible.training.seeding import hash32, own_randomness, seed_torch
from plausible.training.trainer import Settings, Trainer
from plausible.version import __version__

__all__ = ["FAR", "P_DATA", "NormalSamples", "OnePlayer", "TheoryRun", "theory"]

P_DATA = Normal(0.0, 1.0)
FAR = Normal(4.0, 0.5)
_BATCH = 256
_K = 2
_TICKS = 4_000
_SHORT = 1_500
_EARLY, _NEAR = 5, 200
"""The ticks at which the first two generators are frozen."""
_INNER_TICKS, _INNER_BATCH, _INNER_LR = 1_000, 512, 1e-2
_OUTER_TICKS, _OUTER_LR = 10, 1e-3

_PLAYERS: Mapping[str, Any] = {
    "latent": 1,
    "noise": "uniform",
    "generator": (32, 32),
    "discriminator": (128, 128),
    "activation": ("tanh", "leaky_relu"),
    "objective": "non-saturating",
    "penalty": 0.0,
    "k": _K,
    "lr": 6e-3,
    "lr_decay": 1.0007,
    "beta1": 0.0,
    "beta2": 0.9,
}
_SLOW_D = {"k": 1, "discriminator_lr": _PLAYERS["lr"] / 20}
_PLAIN_SGD = {"optimizer": "sgd", "lr": 0.05, "lr_decay": 1.0, "k": 5}

_Say = Callable[[str, float], None]


@dataclass(frozen=True)
class TheoryRun:
    """The result of `theory`.

    Attributes:
        claims: the table of claims.
        folder: where theory.html, theory.json, figure-1.png and animation.gif lie; None if nothing was written.
    """

    claims: Sequence[Claim]
    folder: Path | None

    @property
    def holds(self) -> bool:
        """Whether every measurement agrees with its formula."""
        return all(claim.holds for claim in self.claims)


def theory(out: str | os.PathLike[str] | None = None, *, seed: int = 0, say: _Say | None = None) -> TheoryRun:
    """Check the propositions of Goodfellow et al. (2014) numerically, and plot them.

    Args:
        out: a folder for the page, the pictures and theory.json; None: only the table.
        seed: random seed of the samples and of the training.
        say: called with the name of each step as it begins, and the share of the work done so far.

    Raises:
        PlausibleError: the folder cannot be made or written, or the seed is negative or not below 2⁶³.
    """
    if seed < 0:
        raise PlausibleError(f"--seed must be 0 or more, not {seed}")
    if seed >= 1 << 63:
        raise PlausibleError(f"--seed must be below 2⁶³, not {seed}")
    folder = None if out is None else _folder(Path(out))
    say = say or (lambda words, share: None)
    say("formulas against samples", 0.0)
    ground = [*probability_claims(seed), *theory_claims(seed)]
    say("Algorithm 1 in one dimension", 0.05)
    with own_randomness(torch.device("cpu")), _one_thread():
        run = _algorithm_1(seed)
        claims = [*ground, *training_claims(run.frozen, run.end)]
        if folder is None:
            return TheoryRun(claims, None)
        say("the effect of k", 0.4)
        few, many = _short_run("k = 1, D's rate ÷ 20", seed, _SLOW_D), _short_run("k = 20", seed, {"k": 20})
        chosen = Trajectory(f"k = {_K}", [snapshot for snapshot in run.film if snapshot.tick <= _SHORT])
        say("the saturating loss", 0.65)
        losses = [
            _short_run(name, seed, _PLAIN_SGD | {"objective": name}, FAR)
            for name in ("minimax", "non-saturating")
        ]
    say("pictures", 0.8)
    write_theory(folder, claims, run.panels, run.film, [few, chosen, many], losses, __version__)
    write_json(folder / "theory.json", {"seed": seed, "claims": [claim.as_json() for claim in claims]})
    say("done", 1.0)
    return TheoryRun(claims, folder)


# ---------------------------------------------------------------------- training in one dimension
class NormalSamples:
    """Rows sampled anew from a normal distribution: minibatches from p_data itself, as in Algorithm 1."""

    def __init__(self, p: Normal) -> None:
        self.mean, self.deviation = float(p.mean), float(p.stddev)

    def __len__(self) -> int:
        return 1 << 16

    def take(self, ids: np.ndarray, *, seed: int) -> tuple[np.ndarray, None]:
        """One sample for each id, (B, 1)."""
        x = np.random.default_rng(seed).normal(self.mean, self.deviation, (len(ids), 1))
        return x.astype(np.float32), None


class OnePlayer(Game):
    """One of a GAN's two turns alone, with a learning rate that falls to 0.

    Turn 0 is the inner loop of Algorithm 1, run to convergence; turn 1 is what G does next against that D.
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
    """The main run: panels (a) to (d), all snapshots, D at its optimum for three frozen generators, and the end."""

    panels: Sequence[Snapshot]
    film: Sequence[Snapshot]
    frozen: Sequence[tuple[str, Snapshot]]
    end: Snapshot


def _algorithm_1(seed: int) -> _Run:
    """Train. At three ticks, run the inner loop to convergence on a copy, which does not affect the run itself."""
    trainer, line = _players(seed, {}), _line(P_DATA)
    film, branches = [], {}
    for snapshot in _play(trainer, line, _TICKS, _film_ticks()):
        film.append(snapshot)
        if snapshot.tick in (_EARLY, _NEAR):
            branches[snapshot.tick] = _branch(trainer.game, line, snapshot.tick, seed)
    if trainer.average is not None:
        trainer.game.load_state_dict(trainer.average.state)
    end = _observe(trainer.game, line, _TICKS)
    last, _ = _branch(trainer.game, line, _TICKS, seed)
    near = next(snapshot for snapshot in film if snapshot.tick == _NEAR)
    optimal, moved = branches[_NEAR]
    return _Run(
        panels=[near, optimal, moved, end],
        film=[*film[:-1], end],
        frozen=[("early G", branches[_EARLY][0]), ("nearer G", optimal), ("final G", last)],
        end=end,
    )


def _branch(game: nn.Module, line: Line, tick: int, seed: int) -> tuple[Snapshot, Snapshot]:
    """From a copy of both players: D at its optimum against this G, then a few small moves of G against that D."""
    gan = copy.deepcopy(_as_gan(game))
    snapshots = []
    for turn, ticks, lr in ((0, _INNER_TICKS, _INNER_LR), (1, _OUTER_TICKS, _OUTER_LR)):
        settings = Settings(batch=_INNER_BATCH, seed=hash32(seed, "branch", tick, turn))
        trainer = Trainer(OnePlayer(gan, turn, ticks, lr), NormalSamples(P_DATA), settings)
        for _ in range(ticks):
            trainer.play()
        snapshots.append(_observe(gan, line, tick))
    return snapshots[0], snapshots[1]


def _short_run(name: str, seed: int, options: Mapping[str, Any], p_data: Normal = P_DATA) -> Trajectory:
    """A shorter run with other options, with a snapshot every 25 ticks."""
    ticks = set(range(0, _SHORT + 1, 25))
    return Trajectory(name, list(_play(_players(seed, options, p_data), _line(p_data), _SHORT, ticks)))


def _players(seed: int, options: Mapping[str, Any], p_data: Normal = P_DATA) -> Trainer:
    seed_torch(hash32(seed, "init"), torch.device("cpu"))
    own, recipe = split_options(GAN, {**_PLAYERS, **options})
    gan, settings = GAN((1,), "real", **own), Settings(batch=_BATCH, seed=seed, ema=0.998)
    return Trainer(gan, NormalSamples(p_data), settings, recipe=recipe_of(GAN, recipe))


def _play(trainer: Trainer, line: Line, ticks: int, seen: set[int]) -> Iterator[Snapshot]:
    while True:
        if trainer.tick in seen:
            yield _observe(trainer.game, line, trainer.tick)
        if trainer.tick == ticks:
            return
        trainer.play()


def _observe(gan: nn.Module, line: Line, tick: int) -> Snapshot:
    gan = _as_gan(gan)
    side = 3**0.5
    return line.observe(Uniform(-side, side), gan.generate, gan.discriminate, tick)


def _as_gan(game: nn.Module) -> GAN:
    if not isinstance(game, GAN):
        raise TypeError(f"a GAN was expected, not {type(game).__name__}")
    return game


def _line(p_data: Normal) -> Line:
    """A grid over six standard deviations of p_data to both sides, and over where the generator starts."""
    mean, deviation = float(p_data.mean), float(p_data.stddev)
    return Line(p_data, min(-5.0, mean - 6 * deviation), max(5.0, mean + 6 * deviation))


def _film_ticks() -> set[int]:
    """The ticks of the snapshots: close together at first, when much changes, and the ticks marked above."""
    return {round(_TICKS * (step / 60) ** 3) for step in range(61)} | {_EARLY, _NEAR, _SHORT, _TICKS}


@contextmanager
def _one_thread() -> Generator[None]:
    """Use one thread: networks this small are twice as slow on two."""
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
