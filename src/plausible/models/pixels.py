"""What PixelRNN and PixelCNN share: a network that says, of each value of an image, what those before it leave open.

log p(x) = Σ_i log p(x_i | x_<i),   row by row, from left to right, and in a pixel R, then G, then B
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, takes_examples
from plausible.likelihoods import Bernoulli, Categorical, Likelihood, LogisticMixture
from plausible.models.condition import Classes
from plausible.models.explicit import Learned
from plausible.nn.causal import FIRST, CausalConv, MaskedLinear, PixelNetwork

__all__ = ["ROWS", "Observation", "Pixels"]


Observation = Literal["auto", "categorical", "mixture"]
ROWS, _NUMBERS = 64, 1 << 25
"""Images, and raw outputs of them, evaluated at a time where no gradient is asked for: this bounds the memory."""


class Pixels(Learned):
    """An exact density of images; of [0, 1] in `levels` steps the mass of each value.

    A child sets `network`. A conditional model's density is p(x) = Σ_y p(y) p(x | y), whose terms are
    p(x_i | x_<i) = Σ_y p(y | x_<i) p(x_i | x_<i, y).

    Args:
        shape: (channels, height, width).
        domain: binary or unit.
        levels: K: values are k/(K − 1), k = 0 … K − 1; of binary data there are two.
        observation: Observation model: categorical, a number for each level; mixture, of discretised logistics; auto:
            categorical, and of binary data a logit.
        components: Components of a mixture.
        classes: Number of classes of the labels to condition on; 0: unconditional.

    Attributes:
        levels: K.
        completes_apart: Why it does not complete any half of the pixels.

    Raises:
        PlausibleError: no images, fewer than 2 levels, or an observation model that binary data have no use for.
    """

    domains = ("binary", "unit")
    network: PixelNetwork
    completes_apart = "it completes what follows in its order"
    way_to_complete = "give the top of the image"

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain,
        levels: int,
        observation: Observation,
        components: int,
        classes: int,
    ) -> None:
        super().__init__(shape, domain)
        if len(self.shape) != 3:
            raise PlausibleError(
                f"{type(self).__name__} models images, (channels, height, width), and these data have the shape "
                f"{self.shape}: take nade or made for rows of a table"
            )
        if domain == "binary" and observation != "auto":
            raise PlausibleError(
                f"observation {observation!r} is for grey and colour values: binary ones have a logit"
            )
        self.levels = 2 if domain == "binary" else levels
        self.observation: Likelihood = Bernoulli(binary=True)
        if domain == "unit":
            mixture = observation == "mixture"
            self.observation = LogisticMixture(levels, components) if mixture else Categorical(levels)
        self.classes = Classes(classes)

    # ------------------------------------------------------------------ training
    def prepare(self, data: Any) -> None:
        """Count the classes.

        Raises:
            PlausibleError: the rows are not in `levels` steps, or lack the labels to condition on.
        """
        if self.domain == "unit":
            for block in data.blocks():
                self.checked(torch.from_numpy(block))
        self.classes.prepare(data)

    def loss(self, batch: Batch) -> Loss:
        """−log p(x), or −log p(x | y) of a conditional model, nats per example."""
        y = self.classes.one_hot(batch.y, len(batch.x))
        return Loss({"nll": -self._logs(batch.x, y).flatten(1).sum(1)})

    # ------------------------------------------------------------------ the density
    def terms(self, x: Tensor) -> Tensor:
        images = self.unordered(x)
        if not len(self.classes):
            return self._blocks(images, self.classes.one_hot(None, len(x)))
        each = self._of_each_class(images)
        return (each + self._posterior(each)).logsumexp(0)

    @takes_examples
    def log_conditionals(self, x: Tensor) -> Tensor:
        """log p(x_i = k/(K − 1) | x_<i) of every level, (B, *shape) → (B, D, K), nats.

        Raises:
            PlausibleError: another shape, or values that are not of the model's domain.
        """
        x = self.checked(x)
        if not len(self.classes):
            return self._levels(x, self.classes.one_hot(None, len(x)))
        each = torch.stack([self._levels(x, y) for _, y in self.classes.each(len(x))])
        return (each + self._posterior(self._of_each_class(x)).unsqueeze(3)).logsumexp(0)

    def _of_each_class(self, x: Tensor) -> Tensor:
        """log p(x_i | x_<i, y), (classes, B, D)."""
        return torch.stack([self._blocks(x, y) for _, y in self.classes.each(len(x))])

    def _posterior(self, terms: Tensor) -> Tensor:
        """log p(y | x_<i) from log p(x_i | x_<i, y), (classes, B, D)."""
        return (terms.cumsum(2) - terms + self.classes.log_share[:, None, None]).log_softmax(0)

    def _blocks(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(x_i | x_<i, y) in the model's order, (B, D)."""
        size = len(x) if torch.is_grad_enabled() else self._rows
        parts = [self._logs(*block) for block in zip(x.split(size), y.split(size), strict=True)]
        return self.ordered(torch.cat(parts))

    def _logs(self, x: Tensor, y: Tensor) -> Tensor:
        """The same where the values are, (B, C, H, W)."""
        raw = self.network(x, y).flatten(1)
        return self.observation.log_prob(raw, x.flatten(1)).view(x.shape)

    def _levels(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(x_i = k/(K − 1) | x_<i, y), (B, D, K)."""
        found = []
        for values, labels in zip(x.split(self._rows), y.split(self._rows), strict=True):
            raw = self.network(values, labels).flatten(1)
            found.append(self.observation.log_levels(raw, self.levels)[:, self.order])
        return torch.cat(found)

    @property
    def _rows(self) -> int:
        return max(1, min(ROWS, _NUMBERS // (self.size * self.observation.outputs)))

    # ------------------------------------------------------------------ sampling
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        return self.unordered(self._sample_rest(self._blank(n), 0, self.classes.sampled(y, n)))

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        if not len(self.classes):
            return self._sample_rest(x, known, self.classes.one_hot(None, len(x)))
        images = self.unordered(x)
        given = self.classes.joint(lambda y: self._blocks(images, y)[:, :known].sum(1), len(x))
        return self._sample_rest(
            x, known, self.classes.one_hot(torch.multinomial(given.softmax(1), 1)[:, 0], len(x))
        )

    def _sample_rest(self, x: Tensor, known: int, y: Tensor) -> Tensor:
        """Sample what follows the first `known` values, (n, D) → (n, D), of the classes y, (n, classes)."""
        channels, height, width = self.shape
        margin = FIRST // 2
        padded = pad(self.unordered(x), (margin, margin, margin, 0))
        sampler = self.network.begin(len(x), y)
        i = 0
        for r in range(height):
            for c in range(width):
                for channel in range(channels):
                    # of a pixel that is known the last call is enough
                    if i >= known or channel == channels - 1:
                        raw = sampler.at(padded, r, c)
                    if i >= known:
                        value = self.observation.sample(raw[:, :, channel])
                        padded[:, channel, r + margin, c + margin] = value[:, 0]
                    i += 1
        return self.ordered(padded[:, :, margin:, margin : margin + width])

    # ------------------------------------------------------------------ what is said about it
    @property
    def free_parameters(self) -> int:
        """How many numbers the density depends on, closed weights not counted."""
        masked = [module.opened for module in self.modules() if isinstance(module, MaskedLinear | CausalConv)]
        closed = sum(opened.numel() - int(opened.sum()) for opened in masked)
        return sum(parameter.numel() for parameter in self.parameters()) - closed

    @property
    def formula(self) -> str:
        """What there is no short formula of."""
        return f"{self.free_parameters} open weights and biases, whatever the image's size (n = {self.size})"

    def checked(self, x: Tensor) -> Tensor:
        """Examples as they are, if the model has a density of such."""
        x = super().checked(x)
        if self.domain == "unit" and not _in_steps(x, self.levels):
            fit = next((k for k in range(2, 257) if _in_steps(x, k)), None)
            raise PlausibleError(
                f"the values are not in {self.levels} levels, k/{self.levels - 1}: "
                + (
                    f"give at least --levels {fit}"
                    if fit
                    else "give images of at most 256 levels, or a view :binary"
                )
            )
        return x


def _in_steps(x: Tensor, levels: int) -> bool:
    """Whether all values are k/(levels − 1) within [0, 1]."""
    steps = x * (levels - 1)
    return bool(((x >= 0) & (x <= 1) & ((steps - steps.round()).abs() < 1e-3)).all())
