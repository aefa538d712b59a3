"""A one-dimensional GAN at one tick: p_data, p_g, D and D* on a fine grid, and V, C(G) and JSD computed from them.

p_g is the true push-forward of the noise, not an estimate from samples: G is evaluated at the ends of 8,000 cells of
equal probability and interpolated linearly between them. Everything is computed on the masses of the grid's bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from plausible.probability import jsd
from plausible.theory import criterion, optimal_discriminator, push_forward, value

__all__ = ["Line", "Snapshot"]

_CELLS = 8_000
_ARROWS = 17


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A one-dimensional GAN at one tick of its training.

    Attributes:
        tick: the tick.
        x: centres of the bins, (m,).
        width: width of a bin.
        p_data: masses of p_data on the bins, (m,).
        p_g: masses of p_g on the bins, (m,).
        logit: D's logit at the centres, (m,).
        z: noise at equal steps of probability, (17,).
        generated: G(z), (17,).
    """

    tick: int
    x: np.ndarray
    width: float
    p_data: np.ndarray
    p_g: np.ndarray
    logit: np.ndarray
    z: np.ndarray
    generated: np.ndarray

    @cached_property
    def d(self) -> np.ndarray:
        """D(x) = sigmoid(logit)."""
        return torch.from_numpy(self.logit).sigmoid().numpy()

    @cached_property
    def d_star(self) -> np.ndarray:
        """D*(x) = p_data/(p_data + p_g), ½ where neither has mass."""
        return optimal_discriminator(self.p_data, self.p_g)

    @property
    def mixture(self) -> np.ndarray:
        """½(p_data + p_g), the distribution that D is trained on."""
        return (self.p_data + self.p_g) / 2

    @property
    def distance(self) -> float:
        """E |D − D*| under ½(p_data + p_g)."""
        return float((self.mixture * np.abs(self.d - self.d_star)).sum())

    @property
    def value(self) -> float:
        """V(D, G) of this D, in nats."""
        return value(self.p_data, self.p_g, logit=self.logit)

    @property
    def criterion(self) -> float:
        """C(G) = V(D*, G), in nats."""
        return criterion(self.p_data, self.p_g)

    @cached_property
    def jsd(self) -> float:
        """JSD(p_data, p_g), in nats."""
        return jsd(self.p_data, self.p_g)

    @property
    def grid_error(self) -> float:
        """How much JSD falls when bins are merged in pairs: the order of magnitude of the grid's error."""
        return self.jsd - jsd(*(masses.reshape(-1, 2).sum(1) for masses in (self.p_data, self.p_g)))


class Line:
    """The grid on the real line that snapshots are taken on.

    Args:
        p_data: a distribution of one real variable that has a cdf.
        low: left end of the grid; mass below it counts in the first bin.
        high: right end; mass above it counts in the last bin.
        bins: number of bins, even.
    """

    def __init__(self, p_data: Distribution, low: float, high: float, bins: int = 1_000) -> None:
        self.edges = np.linspace(low, high, bins + 1)
        below = p_data.cdf(torch.from_numpy(self.edges)).double().numpy()
        below[0], below[-1] = 0.0, 1.0
        self.p_data = np.diff(below)

    @torch.no_grad()
    def observe(
        self,
        noise: Distribution,
        generate: Callable[[Tensor], Tensor],
        discriminate: Callable[[Tensor], Tensor],
        tick: int,
    ) -> Snapshot:
        """Take a snapshot of a generator and a discriminator.

        Args:
            noise: the prior of z, one real variable with an inverse cdf.
            generate: z (n, 1) → x (n, 1).
            discriminate: x (n, 1) → D's logit (n,).
            tick: the current tick.
        """
        ends = noise.icdf(torch.linspace(0, 1, _CELLS + 1)).clamp(-8, 8)
        shown = noise.icdf((torch.arange(_ARROWS) + 0.5) / _ARROWS)
        x = (self.edges[1:] + self.edges[:-1]) / 2
        generated = [generate(z.unsqueeze(1)).squeeze(1).double().numpy() for z in (ends, shown)]
        logit = discriminate(torch.from_numpy(x).float().unsqueeze(1)).double().numpy()
        return Snapshot(
            tick=tick,
            x=x,
            width=float(self.edges[1] - self.edges[0]),
            p_data=self.p_data,
            p_g=push_forward(generated[0], self.edges),
            logit=logit,
            z=shown.numpy(),
            generated=generated[1],
        )
