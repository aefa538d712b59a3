"""Variational autoencoder: x → q(z|x) → z → p(x|z), with a bound on log p(x).

Sources: Kingma & Welling, *Auto-Encoding Variational Bayes*, 2014; Burda, Grosse & Salakhutdinov, *Importance
Weighted Autoencoders*, 2016 (the recipe of `iwae2016`, and the bound that `log_prob_bound` gives); with classes Sohn,
Lee & Yan, *Learning Structured Output Representation using Deep Conditional Generative Models*, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, cast

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, Turn, takes_examples
from plausible.likelihoods import HALF_LOG_TWO_PI, Name
from plausible.models.coder import Coder
from plausible.models.registry import Preset
from plausible.nn.mlp import Activation, init_glorot
from plausible.nn.network import Layers, Network, decoder_of, encoder_of
from plausible.recipe import Recipe

__all__ = [
    "BLOCK",
    "VAE",
    "MixturePrior",
    "NormalPrior",
    "VAERecipe",
    "kl_to_standard_normal",
    "normal_log_density",
]


BLOCK = 4096
"""Codes decoded at a time by the bound: what bounds its memory."""


class VAERecipe(Recipe):
    """How a VAE is trained.

    Args:
        first_stage: Ticks of the first of eight stages of 3^(i−1)·first_stage ticks with the learning rate
            lr·round(10^(1−(i−1)/7), 1), the schedule of Burda et al.; lr_decay, lr_min and lr_steps then do nothing.
            None: no stages.
    """

    first_stage: PositiveInt | None = None

    def lr_at(self, tick: int) -> float:
        if self.first_stage is None:
            return super().lr_at(tick)
        past = (tick - 1) / self.first_stage  # stage i begins after (3^(i−1) − 1)/2 of the first
        stage = min(8, 1 + math.floor(math.log(2 * past + 1, 3) + 1e-9))
        return self.lr * round(10 ** (1 - (stage - 1) / 7), 1)


class VAE(Coder):
    """Variational autoencoder (Kingma & Welling, 2014).

    Maximizes the evidence lower bound (ELBO), E_q(z|x)[log p(x|z)] − KL(q(z|x) ‖ p(z)) ≤ log p(x), in nats per example.
    The loss has a term for each: reconstruction, −log p(x|z), and prior, the KL divergence.

    With classes the decoder is conditioned on y, and a mixture prior has weights of its own for each:
    E_q(z|x)[log p(x|z, y)] − KL(q(z|x) ‖ p(z|y)) ≤ log p(x|y). Sohn et al. condition the encoder too; here it is not,
    so that an example without its label has a code.

    Args:
        latent: Dimensions of the code z.
        encoder: Units of the encoder's hidden layers; convolutions have none. In Python also a network of your own, any
            module that takes x, (B, size), and returns the means and log deviations of q(z|x), (B, 2·latent).
        decoder: Units of the decoder's hidden layers; convolutions have none. Or a network of your own: (z, y),
            (B, latent + classes), with y one-hot, to the parameters of p(x|z), (B, outputs·size), see
            plausible.likelihoods. Options that say how a network is made (activation, network, channels, glorot,
            marginal_bias) do not change one of your own.
        activation: Activation of the hidden layers.
        network: Kind of network: mlp; conv, convolutions over the image; auto: conv for images of more than 1,024
            values.
        channels: Channels of each convolution, the image's first; each halves height and width. None: 32, doubled
            at each, until 4 to 7 pixels are left.
        observation: Observation model p(x|z), see plausible.likelihoods; auto: bernoulli for binary data, else
            gaussian.
        levels: Number of values of a discretised logistic.
        prior: p(z): N(0, I), or a learned mixture of Gaussians, whose KL has no closed form and is estimated by the
            same draw of z as the reconstruction.
        components: Components of the mixture.
        beta: Weight of the prior-fitting term; 1 is the bound, any other is a β-VAE.
        warmup: Ticks over which beta grows from 0, linearly.
        free_bits: Nats of each code dimension that cost nothing (mean over the batch); needs the normal prior.
        noise: Whether samples of continuous data carry the observation's noise; without, they are its means. None: rows
            of a table do, without which they would not spread as the data do; pictures do not.
        glorot: Start the weights from Glorot's uniform distribution; else PyTorch's.
        marginal_bias: Start the decoder's last bias where its output is the training data's mean.
        classes: Number of classes of the labels that the decoder and a mixture prior are conditioned on; 0:
            unconditional.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real", "mixed")
    recipe = VAERecipe(lr=1e-3, lr_decay=1.00002)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "500-500 ReLU networks, 8 codes, a learned mixture as prior, averaged weights",
            model={"prior": "mixture", "components": 50},
            training={"batch": 128, "ema": 0.9995},
        ),
        "normal": Preset(
            "the same with the prior N(0, I), whose KL is closed", training={"batch": 128, "ema": 0.9995}
        ),
        "iwae2016": Preset(
            "the one-layer network and schedule of Burda et al., 2016",
            model={
                "latent": 50,
                "network": "mlp",
                "encoder": (200, 200),
                "decoder": (200, 200),
                "activation": "tanh",
                "glorot": True,
            },
            recipe={
                "lr": 1e-4,
                "lr_decay": 1.0,
                "beta1": 0.99,
                "beta2": 0.999,
                "epsilon": 1e-4,
                "first_stage": 2500,
            },
            training={"batch": 20, "epochs": 3280},
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
        activation: Activation = "relu",
        network: Network = "auto",
        channels: tuple[PositiveInt, ...] | None = None,
        observation: Name = "auto",
        levels: PositiveInt = 256,
        prior: Literal["normal", "mixture"] = "normal",
        components: PositiveInt = 10,
        beta: NonNegativeFloat = 1.0,
        warmup: NonNegativeInt = 0,
        free_bits: NonNegativeFloat = 0.0,
        noise: bool | None = None,
        glorot: bool = False,
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
        if free_bits and prior != "normal":
            raise PlausibleError("free_bits needs the KL of each dimension, which only prior=normal has")
        self.latent = latent
        self.noise = len(self.shape) == 1 and domain == "real" if noise is None else noise
        self.beta, self.warmup, self.free_bits = beta, warmup, free_bits
        self.encoder = encoder_of(
            self.scaling.seen, encoder, 2 * latent, network=network, channels=channels, activation=activation
        )
        self.decoder = decoder_of(
            latent + classes,
            decoder,
            self.scaling.seen,
            network=network,
            channels=channels,
            activation=activation,
            outputs=self.observation.outputs,
        )
        self.prior = NormalPrior() if prior == "normal" else MixturePrior(components, latent, classes)
        if glorot:
            if self.encoder is not encoder:
                init_glorot(self.encoder)
            if self.decoder is not decoder:
                init_glorot(self.decoder)

    # ------------------------------------------------------------------ the bound
    def turns(self) -> Sequence[Turn]:
        movers = [self.encoder, self.decoder, self.observation, self.prior]
        return (Turn("bound", self.loss, movers),)

    def loss(self, batch: Batch) -> Loss:
        """The negative ELBO in two terms, reconstruction and prior, nats per example.

        With beta ≠ 1 or free bits it is no longer −ELBO; `shown["ELBO"]` always is the bound itself.
        """
        x = self.scaling.inward(batch.x)
        mean, log_deviation = self._posterior(x)
        z = mean + log_deviation.exp() * torch.randn_like(mean)
        y = self.classes.one_hot(batch.y, len(x))
        reconstruction = self.reconstruction(z, x, y)
        if isinstance(self.prior, NormalPrior):
            each = kl_to_standard_normal(mean, log_deviation)
            divergence = each.sum(1)
            fitted = each.mean(0).clamp_min(self.free_bits).sum() if self.free_bits else divergence
        else:
            divergence = fitted = normal_log_density(z, mean, log_deviation) - self.prior.log_prob(z, y)
        beta = self.beta * (min(1.0, batch.tick / self.warmup) if self.warmup else 1.0)
        bound = self.scaling.log_volume() - reconstruction - divergence
        return Loss(
            {"reconstruction": reconstruction, "prior": beta * fitted},
            shown={"ELBO": bound.detach(), "KL": divergence.detach()},
        )

    def code(self, x: Tensor) -> Tensor:
        """The mean of q(z|x), x as the networks see it, (B, features) → (B, latent)."""
        return self._posterior(x)[0]

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_deviation = self.encoder(x).chunk(2, dim=1)
        return mean, log_deviation.clamp(-10, 10)

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Sample n examples, (n, *shape), of the classes y, (n,), or of y ~ p(y)."""
        y = self.classes.sampled(y, n)
        z = self._sample_prior(y)
        if not self.noise:
            return self.observed(z, y)
        return self.scaling.outward(self.observation.sample(self._decoded(z, y)))

    @takes_examples
    @torch.no_grad()
    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of q(z|x), (B, latent) each."""
        mean, log_deviation = self._posterior(self.scaling.inward(x))
        return mean, log_deviation.exp()

    @torch.no_grad()
    def sample_prior(self, n: int) -> Tensor:
        """z ~ p(z), (n, latent), from torch's global random state."""
        return self._sample_prior(self.classes.sampled(None, n))

    def _sample_prior(self, y: Tensor) -> Tensor:
        """z ~ p(z|y), (n, latent), of one-hot labels, (n, classes)."""
        return self.prior.sample(len(y), self.latent, y).to(self.scaling.mean)

    def log_code(self, z: Tensor, y: Tensor) -> Tensor:
        """log p(z|y), (B,), nats."""
        return self.prior.log_prob(z, y)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), with classes log Σ_y p(y) p(z|y), (B,), nats, differentiable in z."""
        return self.classes.marginalize(lambda y: self.prior.log_prob(z, y), len(z))

    @takes_examples
    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) = log p(x|z) + log p(z), (B,), nats, differentiable in z.

        With classes p(x, z) = Σ_y p(y) p(x|z, y) p(z|y).
        """
        x = self.scaling.inward(x)
        return self.scaling.log_volume() + self.classes.marginalize(
            lambda y: self.prior.log_prob(z, y) - self.reconstruction(z, x, y), len(z)
        )

    @takes_examples
    @torch.no_grad()
    def log_prob_bound(self, x: Tensor, samples: int = 50) -> Tensor:
        """The importance-weighted bound log (1/k) Σ p(x, z_i)/q(z_i|x), z_i ~ q(z|x), (B,), nats.

        In expectation it never exceeds log p(x), and rises with k (Burda et al., 2016, theorem 1). k = 1 is the ELBO.
        With classes too: q proposes z alone, and p(x, z_i) is marginalized over y.
        Streamed: at most BLOCK codes are decoded at a time, whatever k and B are.

        Args:
            x: (B, *shape).
            samples: k.

        Raises:
            PlausibleError: k < 1, or the observation model gives no log-probability of such data.
        """
        if samples < 1:
            raise PlausibleError(f"samples must be at least 1, not {samples}")
        if not self.observation.is_density:
            raise PlausibleError(
                "the Bernoulli cross-entropy of grey values is no log-probability: train on the view :binary, or with "
                "--observation gaussian or logistic"
            )
        rows = max(1, min(len(x), BLOCK // min(samples, BLOCK)))
        return torch.cat([self._bound_of(block, samples) for block in x.split(rows)])

    def _bound_of(self, x: Tensor, samples: int) -> Tensor:
        mean, log_deviation = self._posterior(self.scaling.inward(x))
        total = torch.full((len(x),), -math.inf, device=x.device)
        left, most = samples, max(1, BLOCK // len(x))
        while left:
            k = min(left, most)
            left -= k
            wide = [each.repeat_interleave(k, 0) for each in (x, mean, log_deviation)]
            z = wide[1] + wide[2].exp() * torch.randn_like(wide[1])
            weights = self.log_joint(wide[0], z) - normal_log_density(z, wide[1], wide[2])
            total = torch.logaddexp(total, weights.unflatten(0, (len(x), k)).logsumexp(1))
        return total - math.log(samples)


class NormalPrior(nn.Module):
    """p(z) = N(0, I), whatever y."""

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, latent) → (B,), nats."""
        return (-0.5 * z.square() - HALF_LOG_TWO_PI).sum(1)

    def sample(self, n: int, latent: int, y: Tensor | None = None) -> Tensor:
        """(n, latent)."""
        return torch.randn(n, latent)


class MixturePrior(nn.Module):
    """p(z) = Σ_k w_k N(z; μ_k, diag σ_k²), all learned; with classes p(z|y), whose weights are w_k|y."""

    def __init__(self, components: int, latent: int, classes: int = 0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros((classes, components) if classes else components))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_deviations = nn.Parameter(torch.zeros(components, latent))

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, latent), and with classes one-hot labels, (B, classes), → (B,), nats."""
        parts = normal_log_density(z.unsqueeze(1), self.means, self.log_deviations)
        weights = self.logits.log_softmax(-1)
        return torch.logsumexp((weights if weights.dim() == 1 else cast(Tensor, y) @ weights) + parts, dim=1)

    def sample(self, n: int, latent: int, y: Tensor | None = None) -> Tensor:
        """(n, latent), with classes of one-hot labels, (n, classes)."""
        weights = self.logits.softmax(-1)
        if weights.dim() == 1:
            part = torch.multinomial(weights, n, replacement=True)
        else:
            part = torch.multinomial(cast(Tensor, y) @ weights, 1).squeeze(1)
        return self.means[part] + self.log_deviations[part].exp() * torch.randn_like(self.means[part])


def kl_to_standard_normal(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(m, s²) ‖ N(0, 1)) = ½(m² + s² − 1) − log s of each dimension, (B, latent), nats."""
    return 0.5 * (mean.square() + (2 * log_deviation).exp() - 1) - log_deviation


def normal_log_density(z: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log N(z; m, diag s²), summed over the last axis, nats."""
    scaled = (z - mean) * (-log_deviation).exp()
    return (-0.5 * scaled.square() - log_deviation - HALF_LOG_TWO_PI).sum(-1)
