"""What the models share that squeeze x into a code z and observe x through p(x|z)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from plausible.game import Domain, GenerativeModel
from plausible.likelihoods import Name, likelihood
from plausible.models.scaling import Scaling


class Coder(GenerativeModel):
    """An encoder x → z and a decoder z → p(x|z). A child makes both networks and says how `code` uses the encoder.

    Args:
        shape: of one example.
        domain: of its values.
        observation: p(x|z), by its name.
        levels: values of a discretised logistic.
        marginal_bias: start the decoder's last bias where its output is the training data's mean.

    Raises:
        PlausibleError: the observation does not fit the domain.
    """

    encoder: nn.Sequential
    decoder: nn.Sequential

    def __init__(
        self, shape: Sequence[int], domain: Domain, observation: Name, levels: int, *, marginal_bias: bool
    ) -> None:
        super().__init__(shape, domain)
        self.scaling = Scaling(self.shape, domain)
        self.observation = likelihood(observation, domain, levels=levels)
        self.marginal_bias = marginal_bias

    @property
    def size(self) -> int:
        """Values in one example."""
        return torch.Size(self.shape).numel()

    def prepare(self, data: Any) -> None:
        """Standardise real-valued data; start the decoder at the marginals."""
        mean = self.scaling.fit(data)
        if self.marginal_bias:
            with torch.no_grad():
                cast(nn.Linear, self.decoder[-1]).bias.copy_(self.observation.bias(mean))

    def code(self, x: Tensor) -> Tensor:
        """The code that stands for x, (B, features) in the networks' scale → (B, latent); nothing is drawn."""
        return self.encoder(x)

    def reconstruction(self, z: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z), summed over the features, (B,), nats, of x in the networks' scale, (B, features)."""
        return -self.observation.log_prob(self.decoder(z), x).sum(1)

    def observed(self, z: Tensor) -> Tensor:
        """What samples show of a code, (B, *shape): a draw of binary data, the mean of any other."""
        raw = self.decoder(z)
        binary = self.domain == "binary"
        return self.scaling.outward(self.observation.sample(raw) if binary else self.observation.mean(raw))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, *shape) → the code that stands for x, (B, latent)."""
        return self.code(self.scaling.inward(x))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """E[x|z], (B, *shape); for binary data the probabilities."""
        return self.scaling.outward(self.observation.mean(self.decoder(z)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """E[x | z = encode(x)], (B, *shape)."""
        return self.decode(self.encode(x))
