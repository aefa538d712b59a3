"""Latent search: how near a decoder comes to a row, by gradient descent on the code.

    e(x) = min over z of Σ_i ((x_i − decode(z)_i) / s_i)²

The minimum is taken over Adam's iterates from several starts, so what is found is an upper bound of e(x). With a prior
p(z) the search stays among the codes that it gives: |z_j| is at most the largest of `LIMIT_DRAWS` prior samples.
Sources: AnoGAN (Schlegl et al., *Unsupervised Anomaly Detection with GANs*, 2017); Lipton & Tripathi, *Precise Recovery
of Latent Vectors from GANs*, 2017, for clipping the code.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import dataclass

import torch
from torch import Tensor

from plausible.capabilities import Code, Decoder, Prior, require, supports
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.training.seeding import own_randomness

__all__ = ["LatentSearch"]

RATE = 0.1
"""Adam's learning rate, in the units of z."""
LIMIT_DRAWS = 10_000
CODES = 4096
"""Codes that move at a time."""


@dataclass(frozen=True, eq=False)
class LatentSearch:
    """The search of one model. The starts are the same for every row, so a row's error does not depend on others.

    Attributes:
        model: whose `decode` is differentiable in z.
        starts: prior samples to start from; the row's own code is one start more where the model encodes.
        steps: gradient steps from each start.
        scale: s, (D,): what the difference of each value is divided by; None: 1.
        seed: random seed of the starts.
    """

    model: GenerativeModel
    starts: int = 3
    steps: int = 100
    scale: Tensor | None = None
    seed: int = 0

    def errors(self, x: Tensor) -> Tensor:
        """The smallest squared error found for each row, (B, *shape) → (B,); ∞ where none is finite.

        A conditional model is searched under each of its classes.

        Raises:
            PlausibleError: the model has no decoder, or one whose result carries no gradient.
        """
        decoder = require(self.model, Decoder)
        starts, limit = self._starts(decoder)
        rows = max(1, CODES // ((len(starts) + 1) * max(1, self._classes())))
        return torch.cat([self._block(decoder, block, starts, limit) for block in x.split(rows)])

    def _classes(self) -> int:
        """The number of classes that the model is conditioned on; 0: it is not conditional."""
        classes = getattr(self.model, "classes", None)
        return len(classes) if isinstance(classes, Sized) else 0

    def _starts(self, decoder: Decoder) -> tuple[Tensor, float]:
        """Codes to start from, (starts, latent), and the largest |z_j| allowed."""
        with own_randomness(torch.device("cpu")):
            torch.manual_seed(self.seed)
            if supports(self.model, Prior):
                draws = self.model.sample_prior(LIMIT_DRAWS)
                return draws[: self.starts], float(draws.abs().max())
            if supports(self.model, Code):
                return torch.empty(0, decoder.latent), math.inf
            return torch.randn(self.starts, decoder.latent), math.inf

    def _block(self, decoder: Decoder, x: Tensor, starts: Tensor, limit: float) -> Tensor:
        z = starts.expand(len(x), -1, -1)
        if supports(self.model, Code):
            z = torch.cat([self.model.encode(x)[:, None].nan_to_num(), z], 1)
        classes, each = self._classes(), z.shape[1]
        y = None
        if classes:
            y = torch.arange(classes).repeat_interleave(each).repeat(len(x))
            z = z.repeat(1, classes, 1)
        found = self._descend(decoder, x.repeat_interleave(z.shape[1], 0), z.flatten(0, 1), y, limit)
        return found.view(len(x), -1).min(1).values

    def _descend(self, decoder: Decoder, x: Tensor, z: Tensor, y: Tensor | None, limit: float) -> Tensor:
        """The smallest error on the way of each code, (B,)."""
        z = z.clamp(-limit, limit).detach().clone().requires_grad_()
        scale = 1.0 if self.scale is None else self.scale
        adam, best = torch.optim.Adam([z], lr=RATE), torch.full((len(x),), math.inf)
        for step in range(self.steps + 1):
            with torch.enable_grad():
                error = ((decoder.decode(z, y) - x).flatten(1) / scale).square().sum(1)
                total = error.sum()
            best = torch.minimum(best, error.detach().nan_to_num(math.inf, math.inf))
            if step == self.steps:
                break
            if not total.requires_grad:
                raise PlausibleError(
                    f"--by latent needs a decode that is differentiable in z, and {type(self.model).__name__}'s is "
                    "not: remove no_grad or detach from it"
                )
            (slope,) = torch.autograd.grad(total, z)
            z.grad = slope.nan_to_num(0.0, 0.0, 0.0)
            adam.step()
            with torch.no_grad():
                z.clamp_(-limit, limit)
        return best
