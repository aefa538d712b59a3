"""What `plausible verify` asks of a model, whatever its class: its density, its terms and their order, its samples.

Variables have K levels, the values k/(K − 1), k = 0 … K − 1 — 0 and 1 of binary data — or are real.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from plausible.capabilities import Autoregressive, Density, LevelProbabilities, order_of, require
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel

CLOSE = (
    1e-6  # a value this far from one of more than two levels is that level: k/(K − 1) was rounded to float32
)
BLOCK = 100  # rows at a time, at most
NUMBERS = 1 << 22  # probabilities of levels at a time


def size_of(model: GenerativeModel) -> int:
    """D, the number of variables."""
    return math.prod(model.shape)


def ordered(model: GenerativeModel, x: Tensor) -> Tensor:
    """Examples, (B, *shape), as variables in the model's order, (B, D)."""
    return x.flatten(1)[:, order_of(model)]


def blank(model: GenerativeModel, n: int) -> Tensor:
    """Zeros of the model's dtype and on its device, (n, *shape)."""
    like = next(
        (t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), torch.zeros(())
    )
    return like.new_zeros(n, *model.shape)


# ---------------------------------------------------------------------- levels
def levels_of(model: GenerativeModel) -> int:
    """K: 2 of binary data, the model's `levels` of unit data; 0 where the values are a continuum."""
    if model.domain == "binary":
        return 2
    return getattr(model, "levels", 0) if model.domain == "unit" else 0


def at_levels(model: GenerativeModel, k: Tensor) -> Tensor:
    """The values k/(K − 1), of the model's own kind."""
    return k.to(blank(model, 0)) / (levels_of(model) - 1)


def as_levels(model: GenerativeModel, x: Tensor) -> Tensor | None:
    """k of each value, int64; None where one is no level: binary ones must be 0 or 1 exactly."""
    most = levels_of(model) - 1
    k = (x * most).nan_to_num(-1).round().clamp(0, most)
    within = CLOSE if most > 1 else 0.0
    return k.long() if bool(((x - k / most).abs() <= within).all()) else None


def probabilities_claim(model: GenerativeModel) -> str:
    """What is said of the probabilities of one variable's levels."""
    levels = levels_of(model)
    return f"{'p(0) + p(1)' if levels == 2 else f'Σ of its {levels} probabilities'} given what comes before"


def log_conditionals(model: GenerativeModel, x: Tensor) -> Tensor:
    """log p(x_i = k/(K − 1) | x_<i), (B, *shape) → (B, D, K), nats.

    Raises:
        PlausibleError: the model gives another shape.
    """
    found, shape = (
        require(model, LevelProbabilities).log_conditionals(x),
        (len(x), size_of(model), levels_of(model)),
    )
    if tuple(found.shape) != shape:
        raise PlausibleError(
            f"{type(model).__name__}.log_conditionals gave {tuple(found.shape)}, but it must give {shape}: "
            "examples, variables, levels"
        )
    return found


def blocks(model: GenerativeModel, x: Tensor) -> Sequence[Tensor]:
    """Examples, a few at a time: the probabilities of all their levels are at most 4 million, 32 MiB."""
    return x.split(max(1, min(BLOCK, NUMBERS // (size_of(model) * levels_of(model)))))


# ---------------------------------------------------------------------- numbers of the model
def in_double(model: GenerativeModel) -> GenerativeModel:
    """The model in float64, or in float32 if it does not support float64. For evaluation only."""
    model = model.double().eval()
    try:
        log_prob(model, blank(model, 2))
    except RuntimeError:  # it makes float32 tensors of its own
        model = model.float()
    return model


def same_to(model: GenerativeModel) -> float:
    """Tolerance for two computations of the same number."""
    return 1e-9 if blank(model, 1).dtype == torch.float64 else 1e-4


def sum_to(model: GenerativeModel) -> float:
    """Tolerance for sums; tables may have been counted in float32."""
    return 1e-6 if blank(model, 1).dtype == torch.float64 else 1e-5


@torch.no_grad()
def log_prob(model: GenerativeModel, x: Tensor) -> Tensor:
    """log p(x), (B, *shape) → (B,), nats, without gradients."""
    return require(model, Density).log_prob(x)


def log_terms(model: GenerativeModel, x: Tensor) -> Tensor:
    """log p(x_i | x_<i), (B, *shape) → (B, D), in the model's order, nats."""
    return require(model, Autoregressive).log_prob_terms(x)


@torch.no_grad()
def samples_of(model: GenerativeModel, n: int) -> Tensor:
    """n samples, of the shape and kind that they must have.

    Raises:
        PlausibleError: they are not.
    """
    x = model.sample(n)
    if tuple(x.shape) != (n, *model.shape):
        raise PlausibleError(
            f"{type(model).__name__}.sample({n}) gave {tuple(x.shape)}, but it must give {(n, *model.shape)}"
        )
    return x.to(blank(model, 1))
