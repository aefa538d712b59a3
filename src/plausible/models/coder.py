"""What the models share that squeeze x into a code z and observe x through p(x|z)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Domain, GenerativeModel, takes_examples
from plausible.likelihoods import Likelihood, Name, likelihood
from plausible.models.condition import Classes
from plausible.models.encoding import TableEncoding, TableLikelihood
from plausible.models.scaling import Scaling

__all__ = ["Coder"]


class Coder(GenerativeModel):
    """An encoder x → z and a decoder z → p(x|z). A child makes both networks and says how `code` uses the encoder.

    With classes the decoder is conditioned on y, p(x|z, y), and the encoder is not: z holds what y does not say.

    Args:
        shape: Shape of one example.
        domain: Domain of its values.
        observation: p(x|z), by its name.
        levels: Number of values of a discretised logistic.
        marginal_bias: Start the decoder's last bias where its output is the training data's mean.
        classes: Number of classes of the labels that the decoder is conditioned on; 0: unconditional.
        column_levels: Of a mixed table: the number of levels of each column, 0 for numbers.

    Raises:
        PlausibleError: the observation does not fit the domain.
    """

    encoder: nn.Module
    decoder: nn.Module
    latent: int

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain,
        observation: Name,
        levels: int,
        *,
        marginal_bias: bool,
        classes: int = 0,
        column_levels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(shape, domain)
        self.scaling: Scaling | TableEncoding
        self.observation: Likelihood
        if domain == "mixed":
            self.scaling = TableEncoding(column_levels or (0,) * self.shape[0])
            self.observation = _of_table(self.scaling, observation)
        else:
            self.scaling = Scaling(self.shape, domain)
            self.observation = likelihood(observation, domain, levels=levels)
        self.marginal_bias = marginal_bias
        self.classes = Classes(classes)

    @property
    def size(self) -> int:
        """Values in one example."""
        return torch.Size(self.shape).numel()

    def prepare(self, data: Any) -> None:
        """Count the classes; standardise real-valued data; start the decoder at the marginals."""
        self.classes.prepare(data)
        mean = self.scaling.fit(data)
        if self.marginal_bias:
            last = cast(nn.Sequential, self.decoder)[-1]
            with torch.no_grad():
                cast(nn.Linear, last).bias.copy_(self.observation.bias(mean))

    def code(self, x: Tensor) -> Tensor:
        """The code that stands for x, (B, features) in the networks' scale → (B, latent); deterministic."""
        return self.encoder(x)

    def log_code(self, z: Tensor, y: Tensor) -> Tensor:
        """log p(z|y) up to what is the same for every y, (B,), nats: here 0, as the code says nothing of y.

        Args:
            z: (B, latent).
            y: one-hot, (B, classes).
        """
        return z.new_zeros(len(z))

    def reconstruction(self, z: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        """−log p(x|z, y), summed over the features, (B,), nats.

        Args:
            z: (B, latent).
            x: in the networks' scale, (B, features).
            y: one-hot, (B, classes), of a model that has classes.
        """
        return -self.observation.log_prob(self._decoded(z, y), x).sum(1)

    def observed(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """What samples show of a code and one-hot labels, (B, *shape): binary and mixed data drawn, else the mean."""
        raw = self._decoded(z, y)
        drawn = self.domain in ("binary", "mixed")
        return self.scaling.outward(self.observation.sample(raw) if drawn else self.observation.mean(raw))

    @takes_examples
    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, *shape) → the code that stands for x, (B, latent)."""
        return self.code(self.scaling.inward(x))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x|z, y], (B, *shape); for binary data the probabilities. Differentiable in z.

        Args:
            z: (B, latent).
            y: (B,), integers; without, E[x|z] = Σ_y p(y|z) E[x|z, y].

        Raises:
            PlausibleError: y of a model that is not conditional, or labels that are no class.
        """
        if y is None:
            return self.classes.expectation(lambda y: self._mean(z, y), len(z), lambda y: self.log_code(z, y))
        return self._mean(z, self.classes.sampled(y, len(z)))

    @takes_examples
    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """E[x | z = encode(x), y], (B, *shape), with the y that makes p(y) p(z|y) p(x|z, y) largest."""
        return self._mean(*self._own_code(self.scaling.inward(x)))

    @takes_examples
    @torch.no_grad()
    def log_reconstruction(self, x: Tensor) -> Tensor:
        """log p(x_i | z = encode(x), y) of each value, (B, D), nats, with the y of `reconstruct`."""
        x = self.scaling.inward(x)
        return self.observation.log_prob(self._decoded(*self._own_code(x)), x)

    def _own_code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = code(x), and the one-hot y that makes p(y) p(z|y) p(x|z, y) largest; x as the networks see it."""
        z = self.code(x)
        return z, self.classes.argmax(lambda y: self.log_code(z, y) - self.reconstruction(z, x, y), len(x))

    def _mean(self, z: Tensor, y: Tensor) -> Tensor:
        return self.scaling.outward(self.observation.mean(self._decoded(z, y)))

    def _decoded(self, z: Tensor, y: Tensor | None) -> Tensor:
        return self.decoder(z if y is None else self.classes.concatenate(z, y))


def _of_table(encoding: TableEncoding, observation: Name) -> TableLikelihood:
    if observation != "auto":
        raise PlausibleError(
            f"observation {observation!r} is for numbers alone, and each column of this table has one of its own: "
            "leave it out"
        )
    return TableLikelihood(encoding)
