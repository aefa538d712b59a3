"""A model is a list of turns.

Algorithm 1 of *Generative Adversarial Nets* (Goodfellow et al., 2014) is two players taking turns on one
value function. Every model here is that with none, one, two or three turns, so one trainer serves them all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from plausible.errors import PlausibleError
from plausible.recipe import Recipe
from plausible.schema import Domain

__all__ = [
    "Batch",
    "Domain",
    "Game",
    "GenerativeModel",
    "Loss",
    "Turn",
    "device_of",
    "takes_examples",
]

Options = ParamSpec("Options")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Batch:
    """The rows of one shard of one tick.

    Attributes:
        x: the data, (B, *shape), float.
        y: the labels, (B,), int64, where the data have any and the game is not semi-supervised.
        labelled: a minibatch of its own from the few rows whose labels a semi-supervised game sees.
        tick: the tick being played, counted from 1.
        kept: what a turn leaves for the later turns of the same tick.
    """

    x: Tensor
    y: Tensor | None = None
    labelled: Batch | None = None
    tick: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """What a turn lowers: the sum of its terms.

    Attributes:
        terms: name → a value for each example, (B,), averaged over the batch; or one value, ().
        shown: logged only, never differentiated: D(x), D(G(z)), …
    """

    terms: Mapping[str, Tensor]
    shown: Mapping[str, Tensor] = field(default_factory=dict)

    def total(self) -> Tensor:
        """Σ over terms of the mean over the batch: the number whose gradient the movers follow, ()."""
        return torch.stack([term.mean() for term in self.terms.values()]).sum()


@dataclass(frozen=True)
class Turn:
    """One move: lower the loss by moving `movers`; everything else holds still.

    Attributes:
        name: the player, unique within its game.
        loss: a batch → what to lower. Evaluated with gradients enabled, parameters outside `movers` frozen.
        movers: the modules whose parameters move.
        every: moves on ticks every, 2·every, …: a GAN's generator with every=k sees k discriminator moves
            before each of its own, each on a fresh minibatch, as in Algorithm 1.
        optimizer: parameters → the optimizer; it belongs to the turn, not to the module. None: the recipe's.
        schedule: tick → settings (lr, momentum, …) of that tick; of the tick, never of the budget. None: the recipe's
            if the optimizer is the recipe's too, else constant.
        rate: tick → what the recipe's learning rate is multiplied by; None: nothing.
    """

    name: str
    loss: Callable[[Batch], Loss]
    movers: Sequence[nn.Module]
    every: int = 1
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None
    schedule: Callable[[int], Mapping[str, Any]] | None = None
    rate: Callable[[int], float] | None = None

    def parameters(self) -> list[nn.Parameter]:
        """The movers' parameters, each once, in a fixed order."""
        seen: dict[int, nn.Parameter] = {}
        for mover in self.movers:
            for parameter in mover.parameters():
                seen.setdefault(id(parameter), parameter)
        return list(seen.values())


class Game(nn.Module):
    """All that the trainer asks for.

    Attributes:
        together: False: the turns of a tick are played one after the other, each against the others' newest
            parameters. True: all turns of a tick take their gradients from the same parameters and the same
            random draws, and only then does anybody step.
        labels: 0, or the number of training rows whose labels the game sees, in `Batch.labelled`; those of the
            others are then kept from it.
        recipe: how it is trained, unless the trainer is given another recipe: a class declares its defaults. None:
            nothing is trained, and the class has no turns.
    """

    recipe: ClassVar[Recipe | None] = Recipe()

    together: bool = False
    labels: int = 0

    @property
    def kernel_in_use(self) -> str | None:
        """Which of several implementations computes the losses here; None where there is only one.

        A checkpoint records it: implementations differ by rounding, so resuming with another is not bit-exact.
        """
        return None

    def turns(self) -> Sequence[Turn]:
        """The moves of one tick, in order."""
        raise NotImplementedError(f"{type(self).__name__} must define turns()")

    def prepare(self, data: Any) -> None:
        """Called once before tick 0 with the training rows: counts, output biases from the marginals, scaling.

        What it finds belongs in parameters or buffers, so that it is checkpointed like everything else.
        """

    def finish(self, data: Any) -> None:
        """Called with the training rows whenever a checkpoint is about to be written: a density on codes, for instance.

        In evaluation mode; with averaged weights once for them and once for the live ones. What it finds belongs in
        buffers that no loss looks at, and follows from the weights and the rows alone: training may go on afterwards.
        """


class GenerativeModel(Game):
    """A game whose outcome can be sampled.

    Args:
        shape: the shape of one example: (features,) or (channels, height, width).
        domain: what values the data take.

    Every constructor argument after these two is an option of `plausible train MODEL`; together they are the
    model's whole configuration. The class of a model of mixed tables has "mixed" in `domains`, and its constructor has
    an argument that is no option: `column_levels`, the number of levels of each column, 0 for numbers; None where the
    data are not mixed. A subclass whose constructor takes `**options` and hands them on has its parent's
    options too. How the model is trained is not among them: see `Game.recipe`.

    Attributes:
        domains: the kinds of data that the class models.

    Raises:
        PlausibleError: the domain is none of them.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real")

    def __init__(self, shape: Sequence[int], domain: Domain) -> None:
        super().__init__()
        if domain not in self.domains:
            ways = {
                "unit": ": take a view :binary of the data, such as digits:binary"
                if "binary" in self.domains
                else "",
                "real": ": train a model that takes real values, such as rnade, vae or gan",
                "binary": ": train a model that takes binary values, such as made, nade or vae",
                "mixed": ": train a model that takes words and missing cells",
            }
            raise PlausibleError(
                f"{type(self).__name__} models {' or '.join(self.domains)} values, not {domain}{ways[domain]}"
            )
        self.shape = tuple(int(side) for side in shape)
        self.domain: Domain = domain

    @classmethod
    def preset_for(cls, shape: Sequence[int], domain: Domain) -> str:
        """The preset that `plausible train` takes for such data when none is named."""
        return "default"

    @classmethod
    def gains_from_bfloat16(cls, shape: Sequence[int], domain: Domain) -> bool:
        """Whether training on such data is at least 1.2 times as fast with bfloat16 where the processor multiplies it.

        A class says so that was measured, and whose results do not suffer; see `plausible.training.precision`.
        """
        return False

    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Sample n examples, (n, *shape), in the data's domain, from torch's global random state."""
        raise NotImplementedError(f"{type(self).__name__} must define sample()")

    def as_examples(self, x: Tensor) -> Tensor:
        """Examples of any dtype, (B, *shape), in the model's float type and on its device.

        What has them already is returned as it is. Bytes given to a model of unit data are divided by 255.

        Raises:
            PlausibleError: x is no tensor of real numbers, or its examples have another shape.
        """
        if not isinstance(x, Tensor):
            raise PlausibleError(
                f"{type(self).__name__} takes a tensor, not {type(x).__name__}: use torch.as_tensor(x), or the run's "
                "own methods, which take arrays and tables too"
            )
        if x.is_complex():
            raise PlausibleError(f"{type(self).__name__} takes real numbers, not {x.dtype}")
        if tuple(x.shape[1:]) != self.shape:
            raise PlausibleError(f"{type(self).__name__} knows {self.shape}, not {tuple(x.shape[1:])}")
        tensors = (*self.parameters(), *self.buffers())
        like = next((t for t in tensors if t.is_floating_point()), None)
        dtype = torch.get_default_dtype() if like is None else like.dtype
        if like is not None and x.dtype == dtype and x.device == like.device:
            return x
        scale = 255 if x.dtype == torch.uint8 and self.domain == "unit" else 1
        x = x.to(device_of(self), dtype)
        return x / scale if scale != 1 else x


def takes_examples(
    method: Callable[Concatenate[Any, Tensor, Options], Found],
) -> Callable[Concatenate[Any, Tensor, Options], Found]:
    """A method of a model whose first argument is examples: they may come in any dtype, see `as_examples`."""

    @functools.wraps(method)
    def taking(self: Any, x: Tensor, *args: Options.args, **options: Options.kwargs) -> Found:
        return method(self, self.as_examples(x), *args, **options)

    return taking


def device_of(module: nn.Module) -> torch.device:
    """Where its parameters, or else its buffers, are; the processor if it has neither."""
    return next((t.device for t in (*module.parameters(), *module.buffers())), torch.device("cpu"))
