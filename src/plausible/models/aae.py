"""Adversarial autoencoder: an autoencoder whose codes a discriminator holds to a prior.

Source: Makhzani, Shlens, Jaitly, Goodfellow & Frey, *Adversarial Autoencoders*, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, Turn
from plausible.likelihoods import Name
from plausible.models.coder import Coder
from plausible.models.objectives import Logits, non_saturating
from plausible.models.registry import Preset
from plausible.nn.mlp import Activation, init_normal
from plausible.nn.network import Layers, Network, decoder_of, encoder_of, stages
from plausible.recipe import Recipe, Share

__all__ = ["AdversarialAutoencoder", "AdversarialRecipe"]


_PETALS, _RADIUS, _ALONG, _ACROSS = 10, 1.4, 0.5, 0.1
"""The ring of the mixture prior, in units of prior_deviation."""


class AdversarialRecipe(Recipe):
    """How an adversarial autoencoder is trained: the turns of the discriminator and the generator may differ.

    Args:
        adversarial_lr: Learning rate of the discriminator and the generator; None: the same.
        adversarial_beta1: Adam's decay of the first moment in those two turns.
        adversarial_momentum: SGD's momentum in those two turns.
    """

    adversarial_lr: PositiveFloat | None = 2e-4
    adversarial_beta1: Share = 0.5
    adversarial_momentum: Share = 0.0

    def for_turn(self, name: str) -> Recipe:
        if name not in ("discriminator", "generator"):
            return self
        lr = self.adversarial_lr or self.lr
        return self.model_copy(
            update={"lr": lr, "beta1": self.adversarial_beta1, "momentum": self.adversarial_momentum}
        )


class AdversarialAutoencoder(Coder):
    """Adversarial autoencoder (Makhzani et al., 2015).

    Three turns on one minibatch: encoder and decoder lower −log p(x|z), z ~ q(z|x), in nats per example; the
    discriminator raises E_{z~p(z)} log D(z) + E_{z~q(z)} log(1 − D(z)), where q(z) = E_x q(z|x); the encoder, now as
    the generator, raises E_{z~q(z)} log D(z). Where the game is in balance q(z) = p(z), so that draws of the prior
    decode to plausible data.

    With classes the decoder is conditioned on y, p(x|z, y), and the encoder is not (their supervised autoencoder).
    Here, unlike there, the discriminator is conditioned too: the balance is then q(z|y) = p(z) for each y, so that z
    says nothing of y. Otherwise codes could still encode the class, and samples would follow z, not the requested y.

    Args:
        latent: Dimensions of the code z.
        encoder: Units of the encoder's hidden layers; convolutions have none. In Python also a network of your own, any
            module that takes x, (B, size), and returns the code, (B, latent); for posterior=gaussian means and log
            deviations, (B, 2·latent); for posterior=universal of x and noise, (B, size + latent).
        decoder: Units of the decoder's hidden layers; convolutions have none. Or a network of your own: (z, y),
            (B, latent + classes), with y one-hot, to the parameters of p(x|z), (B, outputs·size), see
            plausible.likelihoods.
        discriminator: Units of the discriminator's hidden layers. Or a network of your own: (z, y),
            (B, latent + classes), to a logit, (B, 1). Options that say how a network is made (activation, network,
            channels, dropout, weight_init, marginal_bias) do not change one of your own.
        activation: Activation of all hidden layers.
        network: Kind of network: mlp; conv, convolutions over the image; auto: conv for images of more than 1,024
            values.
        channels: Channels of each convolution, the image's first; each halves height and width. None: 32, doubled
            at each, until 4 to 7 pixels are left.
        observation: Observation model p(x|z), see plausible.likelihoods; auto: bernoulli for binary data, else
            gaussian.
        levels: Number of values of a discretised logistic.
        prior: p(z): normal, or a mixture of 10 fixed Gaussians on a ring in the first two dimensions, each longer
            along its radius than across (centres at 1.4, deviations 0.5 and 0.1, in units of prior_deviation), and
            normal in the others.
        prior_deviation: Standard deviation s of the normal prior, N(0, s²·I).
        posterior: q(z|x): deterministic: z is a function of x; gaussian: N(mean(x), deviation(x)²), both learned;
            universal: a function of x and of as many standard normal draws as the code has dimensions (a perceptron).
        input_dropout: Share of the encoder's inputs dropped in training.
        hidden_dropout: Share of the encoder's and decoder's hidden units dropped, those of convolutions left out.
        discriminator_dropout: Share of the discriminator's hidden units dropped.
        weight_init: Standard deviation of the normal distribution that all weights start from, with biases at 0; None:
            PyTorch's own start.
        marginal_bias: Start the decoder's last bias where its output is the training data's mean.
        classes: Number of classes of the labels that the decoder and the discriminator are conditioned on; 0:
            unconditional.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real", "mixed")
    recipe = AdversarialRecipe(lr=1e-3, lr_decay=1.00002)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "500-500 ReLU networks, 8 codes, Adam, averaged weights", training={"batch": 128, "ema": 0.9995}
        ),
        "makhzani2015": Preset(
            "the MNIST networks of the paper (checked); its prior, start and SGD from memory (M)",
            model={
                "network": "mlp",
                "encoder": (1000, 1000),
                "decoder": (1000, 1000),
                "discriminator": (1000, 1000),
                "prior_deviation": 5.0,
                "weight_init": 0.01,
                "marginal_bias": False,
            },
            recipe={
                "optimizer": "sgd",
                "lr": 1.3e-5,  # 0.01 of a mean over 784 pixels: the loss here is their sum
                "adversarial_lr": 0.1,
                "momentum": 0.9,
                "adversarial_momentum": 0.1,
                "lr_decay": 1.0,
                "lr_steps": (25_000, 500_000),  # epochs 50 and 1,000: 500 ticks each, 50,000 rows by 100
            },
            training={"batch": 100, "epochs": 1500},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "unit",
        *,
        column_levels: Sequence[int] | None = None,
        latent: PositiveInt = 8,
        encoder: Layers = (500, 500),
        decoder: Layers = (500, 500),
        discriminator: Layers = (500, 500),
        activation: Activation = "relu",
        network: Network = "auto",
        channels: tuple[PositiveInt, ...] | None = None,
        observation: Name = "auto",
        levels: PositiveInt = 256,
        prior: Literal["normal", "mixture"] = "normal",
        prior_deviation: PositiveFloat = 1.0,
        posterior: Literal["deterministic", "gaussian", "universal"] = "deterministic",
        input_dropout: Share = 0.0,
        hidden_dropout: Share = 0.0,
        discriminator_dropout: Share = 0.0,
        weight_init: PositiveFloat | None = None,
        marginal_bias: bool = True,
        classes: NonNegativeInt = 0,
    ) -> None:
        marginal_bias = marginal_bias and not isinstance(decoder, nn.Module)
        super().__init__(
            shape,
            domain,
            observation,
            levels,
            marginal_bias=marginal_bias,
            classes=classes,
            column_levels=column_levels,
        )
        if prior == "mixture" and latent < 2:
            raise PlausibleError("prior=mixture lies on a ring: it needs latent to be 2 or more, not 1")
        self.latent, self.prior, self.prior_deviation, self.posterior = (
            latent,
            prior,
            prior_deviation,
            posterior,
        )
        universal = posterior == "universal"
        own = isinstance(encoder, nn.Module)
        if universal and not own and stages(self.shape, network, channels, activation):
            raise PlausibleError("posterior=universal mixes x and noise in hidden layers: give network=mlp")
        self.encoder = encoder_of(
            self.scaling.seen,
            encoder,
            latent * (2 if posterior == "gaussian" else 1),
            network=network,
            channels=channels,
            activation=activation,
            input_dropout=input_dropout,
            hidden_dropout=hidden_dropout,
            condition=latent if universal else 0,
        )
        self.decoder = decoder_of(
            latent + classes,
            decoder,
            self.scaling.seen,
            network=network,
            channels=channels,
            activation=activation,
            outputs=self.observation.outputs,
            hidden_dropout=hidden_dropout,
        )
        self.discriminator = encoder_of(
            (latent + classes,),
            discriminator,
            1,
            network="mlp",
            channels=None,
            activation=activation,
            hidden_dropout=discriminator_dropout,
        )
        if weight_init is not None:
            networks = {self.encoder: encoder, self.decoder: decoder, self.discriminator: discriminator}
            for made, option in networks.items():
                if made is not option:
                    init_normal(made, weight_init)

    # ------------------------------------------------------------------ the prior and q(z|x)
    def sample_prior(self, n: int) -> Tensor:
        """z ~ p(z), (n, latent), from torch's global random state."""
        z = torch.randn(n, self.latent, device=self.scaling.mean.device)
        if self.prior == "mixture":
            angle = torch.randint(_PETALS, (n,), device=z.device) * (2 * math.pi / _PETALS)
            along, across = _RADIUS + _ALONG * z[:, 0], _ACROSS * z[:, 1]
            cos, sin = angle.cos(), angle.sin()
            ring = torch.stack([along * cos - across * sin, along * sin + across * cos], 1)
            z = torch.cat([ring, z[:, 2:]], 1)
        return self.prior_deviation * z

    def code(self, x: Tensor) -> Tensor:
        """The mean of a gaussian posterior, and what a universal one makes of noise 0; (B, latent)."""
        if self.posterior == "universal":
            return self.encoder(torch.cat([x, x.new_zeros(len(x), self.latent)], 1))
        return self.encoder(x)[:, : self.latent]

    def sample_code(self, x: Tensor) -> Tensor:
        """z ~ q(z|x), x as the networks see it, (B, features) → (B, latent)."""
        if self.posterior == "deterministic":
            return self.encoder(x)
        noise = torch.randn(len(x), self.latent, device=x.device)
        if self.posterior == "universal":
            return self.encoder(torch.cat([x, noise], 1))
        mean, log_deviation = self.encoder(x).chunk(2, dim=1)
        return mean + log_deviation.clamp(-10, 10).exp() * noise

    # ------------------------------------------------------------------ the three turns
    def turns(self) -> Sequence[Turn]:
        whole = [self.encoder, self.decoder, self.observation]
        return (
            Turn("reconstruction", self.reconstruction_loss, whole),
            Turn("discriminator", self.discriminator_loss, [self.discriminator]),
            Turn("generator", self.generator_loss, [self.encoder]),
        )

    def reconstruction_loss(self, batch: Batch) -> Loss:
        """−log p(x|z, y), z ~ q(z|x), nats per example."""
        x = self.scaling.inward(batch.x)
        y = self.classes.one_hot(batch.y, len(x))
        z = self.sample_code(x)
        batch.kept["code"] = z.detach()
        return Loss({"reconstruction": self.reconstruction(z, x, y)})

    def codes(self, batch: Batch, *, kept: bool) -> Tensor:
        """z ~ q(z|x); kept: as the reconstruction turn drew it, before its step: a pass of the encoder less."""
        if kept and "code" in batch.kept:
            return batch.kept["code"]
        return self.sample_code(self.scaling.inward(batch.x))

    def discriminator_loss(self, batch: Batch) -> Loss:
        """−log D(z), z ~ p(z), and −log(1 − D(z)), z ~ q(z|x), nats."""
        d = self._judged(batch, both=True)
        terms = non_saturating("discriminator", d)
        return Loss(terms, {"D(prior)": d.real.detach().sigmoid(), "D(code)": d.fake.detach().sigmoid()})

    def generator_loss(self, batch: Batch) -> Loss:
        """−log D(z), z ~ q(z|x), nats: the encoder's part in the game."""
        return Loss(non_saturating("generator", self._judged(batch)))

    def _judged(self, batch: Batch, *, both: bool = False) -> Logits:
        """D on the batch's codes and on samples of the prior, both conditioned on the batch's classes."""
        y, concatenate = self.classes.one_hot(batch.y, len(batch.x)), self.classes.concatenate
        fake = concatenate(self.codes(batch, kept=both), y)
        return Logits(
            self.discriminate, lambda: concatenate(self.sample_prior(len(fake)), y), fake, both=both
        )

    def discriminate(self, z: Tensor) -> Tensor:
        """D's logit on codes and one-hot y concatenated, (B, latent + classes) → (B,)."""
        return self.discriminator(z).squeeze(1)

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Sample n examples, (n, *shape), of the classes y, (n,), or of y ~ p(y)."""
        labels = self.classes.sampled(y, n)
        return self.observed(self.sample_prior(n), labels)
