"""Autoencoder: x → z → x, with a density fitted on the codes so that it can be sampled.

Sources: Hinton & Salakhutdinov, *Reducing the Dimensionality of Data with Neural Networks*, 2006; denoising: Vincent
et al., *Extracting and Composing Robust Features with Denoising Autoencoders*, 2008.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from plausible.game import Batch, Domain, Loss, Turn
from plausible.likelihoods import Name
from plausible.models.coder import Coder
from plausible.models.mixture import FittedMixture
from plausible.models.registry import Preset
from plausible.nn.mlp import Activation
from plausible.nn.network import Layers, Network, decoder_of, encoder_of
from plausible.recipe import Recipe

__all__ = ["BLOCK", "CODES", "Autoencoder"]


CODES = 10_000
"""Training rows, at most, whose codes the density is fitted on."""
BLOCK = 1000
_TABLE_CORRUPTION = 0.5
"""By default, for tables of real values; what it was chosen by stands in docs/models/autoencoder.md."""


class Autoencoder(Coder):
    """Autoencoder: lowers −log p(x | z = encoder(x)), in nats per example.

    An autoencoder alone has no prior: nothing in its training says which codes decode to something plausible. What
    `sample` draws codes from is a mixture of Gaussians fitted on the training rows' codes *afterwards*, each time a
    checkpoint is written; until then it is N(0, I).

    Args:
        latent: Dimensions of the code z.
        encoder: Units of the encoder's hidden layers; convolutions have none. In Python also a network of your own, any
            module that takes x, (B, size), and returns the code, (B, latent).
        decoder: Units of the decoder's hidden layers; convolutions have none. Or a network of your own: z, (B, latent),
            to the parameters of p(x|z), (B, outputs·size), see plausible.likelihoods. Options that say how a network is
            made (activation, network, channels, marginal_bias) do not change one of your own.
        activation: Activation of the hidden layers.
        network: Kind of network: mlp; conv, convolutions over the image; auto: conv for images of more than 1,024
            values.
        channels: Channels of each convolution, the image's first; each halves height and width. None: 32, doubled
            at each, until 4 to 7 pixels are left.
        observation: Observation model p(x|z), see plausible.likelihoods; auto: bernoulli for binary data, else
            gaussian.
        levels: Number of values of a discretised logistic.
        corruption: Standard deviation of the Gaussian noise on the encoder's input in training, where the target
            stays clean: a denoising autoencoder. In the data's units, for real-valued data in each feature's
            standard deviations; nothing is clipped. 0: none. None: 0.5 for tables of real
            values, where a code as wide as the row could copy any row, an outlier too; else 0.
        components: Gaussians of the density fitted on the codes.
        marginal_bias: Start the decoder's last bias where its output is the training data's mean.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real", "mixed")
    recipe = Recipe(lr=1e-3, lr_decay=1.00002)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset("500-500 ReLU networks, 32 codes", training={"batch": 128}),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "unit",
        *,
        column_levels: Sequence[int] | None = None,
        latent: PositiveInt = 32,
        encoder: Layers = (500, 500),
        decoder: Layers = (500, 500),
        activation: Activation = "relu",
        network: Network = "auto",
        channels: tuple[PositiveInt, ...] | None = None,
        observation: Name = "auto",
        levels: PositiveInt = 256,
        corruption: NonNegativeFloat | None = None,
        components: PositiveInt = 10,
        marginal_bias: bool = True,
    ) -> None:
        marginal_bias = marginal_bias and not isinstance(decoder, nn.Module)
        super().__init__(
            shape, domain, observation, levels, marginal_bias=marginal_bias, column_levels=column_levels
        )
        table = domain in ("real", "mixed") and len(self.shape) == 1
        self.corruption = corruption if corruption is not None else _TABLE_CORRUPTION if table else 0.0
        self.latent = latent
        self.encoder = encoder_of(
            self.scaling.seen, encoder, latent, network=network, channels=channels, activation=activation
        )
        self.decoder = decoder_of(
            latent,
            decoder,
            self.scaling.seen,
            network=network,
            channels=channels,
            activation=activation,
            outputs=self.observation.outputs,
        )
        self.density = FittedMixture(components, latent)

    def turns(self) -> Sequence[Turn]:
        movers = [self.encoder, self.decoder, self.observation]
        return (Turn("reconstruction", self.loss, movers),)

    def loss(self, batch: Batch) -> Loss:
        """−log p(x | z = encoder(x + noise)), nats per example."""
        x = self.scaling.inward(batch.x)
        return Loss({"reconstruction": self.reconstruction(self.code(self.corrupted(x)), x)})

    def corrupted(self, x: Tensor) -> Tensor:
        """x + corruption·ε, ε ~ N(0, I), (B, features)."""
        return x + self.corruption * torch.randn_like(x) if self.corruption else x

    def finish(self, data: Any) -> None:
        """Fit the density on the codes of at most CODES training rows, drawn with seed 0.

        Raises:
            PlausibleError: a code is not finite.
        """
        rows = np.arange(len(data))
        if len(rows) > CODES:
            rows = np.sort(np.random.default_rng(0).choice(rows, CODES, replace=False))
        blocks = [
            self.encode(torch.from_numpy(data.take(rows[start : start + BLOCK])[0]).to(self.density.means))
            for start in range(0, len(rows), BLOCK)
        ]
        self.density.fit(torch.cat(blocks).cpu().numpy())

    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        labels = self.classes.sampled(y, n)
        return self.observed(self.density.sample(n), labels)
