"""What the two players of a GAN play for, side by side: one small function each.

Each takes the player and D's logits on real and generated data, and returns that player's terms, (B,) in
nats, to be *lowered*. With D = sigmoid(logit): −log D = softplus(−logit), −log(1 − D) = softplus(logit),
so nothing is ever taken the logarithm of. To add one, write the function and list it in OBJECTIVES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = [
    "OBJECTIVES",
    "Logits",
    "Objective",
    "Player",
    "authors_code",
    "gradient_penalty",
    "minimax",
    "non_saturating",
    "relativistic",
]


Player = Literal["discriminator", "generator"]


class Logits:
    """D's logits on fakes and on real data, the latter computed only when an objective asks for them.

    Args:
        discriminator: (B, *shape) → (B,).
        real: gives a batch of data, when it is asked for.
        fake: as many generated examples.
        both: score the two in one pass of the network.
    """

    def __init__(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Callable[[], Tensor],
        fake: Tensor,
        *,
        both: bool = False,
    ) -> None:
        self._discriminator, self._real = discriminator, real
        if both:
            self.fake, self.real = discriminator(torch.cat([fake, real()])).tensor_split([len(fake)])
        else:
            self.fake = discriminator(fake)

    @cached_property
    def real(self) -> Tensor:
        return self._discriminator(self._real())


Objective = Callable[[Player, Logits], Mapping[str, Tensor]]


def minimax(player: Player, d: Logits) -> Mapping[str, Tensor]:
    """The value function itself: D raises, and G lowers, V = E log D(x) + E log(1 − D(G(z))).

    Source: Goodfellow et al., 2014, eq. 1. G's gradient vanishes where D is sure: it carries the factor D(G(z)).
    """
    if player == "generator":
        return {"minimax": -softplus(d.fake)}
    return {"real": softplus(-d.real), "fake": softplus(d.fake)}


def non_saturating(player: Player, d: Logits) -> Mapping[str, Tensor]:
    """D as in minimax; G raises log D(G(z)): the same fixed point, a gradient with the factor 1 − D(G(z)).

    Source: Goodfellow et al., 2014, section 3.
    """
    if player == "generator":
        return {"non-saturating": softplus(-d.fake)}
    return {"real": softplus(-d.real), "fake": softplus(d.fake)}


def authors_code(player: Player, d: Logits) -> Mapping[str, Tensor]:
    """The non-saturating game as the 2014 authors' code scales it: D's loss is the *mean* of its two halves.

    Source: their `AdversaryCost2`; with SGD the factor ½ halves D's learning rate against G's.
    """
    if player == "generator":
        return {"non-saturating": softplus(-d.fake)}
    return {"real": softplus(-d.real) / 2, "fake": softplus(d.fake) / 2}


def relativistic(player: Player, d: Logits) -> Mapping[str, Tensor]:
    """D raises, G lowers, E log sigmoid(D(x) − D(G(z))) over pairs; meant to be played with R1 + R2.

    Source: Jolicoeur-Martineau, 2019; with both penalties Huang et al. (R3GAN), 2024, eq. 2.
    """
    if player == "generator":
        return {"pair": softplus(d.real - d.fake)}
    return {"pair": softplus(d.fake - d.real)}


OBJECTIVES: dict[str, Objective] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "authors-code": authors_code,
    "relativistic": relativistic,
}


def gradient_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """‖∇ₓ D(x)‖² for each example, (B,), differentiable: R1 on real data, R2 on generated data.

    Args:
        logits: D(x), (B,), computed from x.
        x: (B, *shape), requiring a gradient.

    Source: Mescheder et al., *Which Training Methods for GANs do actually Converge?*, 2018, eq. 9.
    """
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(1)
