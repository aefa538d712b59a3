"""Variational autoencoder: x → q(z|x) → z → p(x|z), with a bound on log p(x).

Sources: Kingma & Welling, *Auto-Encoding Variational Bayes*, 2014; Burda, Grosse & Salakhutdinov, *Importance
Weighted Autoencoders*, 2016 (the recipe of `iwae2016`, and the bound that `log_prob_bound` gives).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, Turn
from plausible.likelihoods import Name
from plausible.models.coder import Coder
from plausible.models.optimization import Optimization
from plausible.models.registry import Preset
from plausible.nn.mlp import Activation, init_glorot
from plausible.nn.network import Network, decoder_of, encoder_of

Share = Annotated[float, Field(ge=0, lt=1)]
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
BLOCK = 4096
"""Codes decoded at a time by the bound: what bounds its memory."""


class VAE(Coder):
    """Variational autoencoder (Kingma & Welling, 2014).

    Raises the evidence lower bound, E_q(z|x)[log p(x|z)] − KL(q(z|x) ‖ p(z)) ≤ log p(x), in nats per example: the
    first term is the reconstruction, the second the prior fitting.

    Args:
        latent: dimensions of the code z.
        encoder: units of the encoder's hidden layers; convolutions have none.
        decoder: units of the decoder's hidden layers; convolutions have none.
        activation: of the hidden layers.
        network: mlp; conv, convolutions on the side of the image; auto: conv for images of more than 1,024 values.
        channels: of each convolution, the image's first; each halves the sides. None: as many as leave 4 to 7 pixels,
            32 channels and then twice as many each.
        observation: p(x|z), see plausible.likelihoods; auto: bernoulli for binary data, else gaussian.
        levels: values of a discretised logistic.
        prior: p(z): N(0, I), or a learned mixture of Gaussians, whose KL has no closed form and is estimated by the
            same draw of z as the reconstruction.
        components: of the mixture.
        beta: weight of the prior-fitting term; 1 is the bound, any other is a β-VAE.
        warmup: ticks over which beta grows from 0, linearly.
        free_bits: nats of each code dimension that cost nothing (mean over the batch); needs the normal prior.
        noise: whether samples of continuous data carry the observation's noise; without, they are its means.
        lr: Adam's learning rate.
        lr_decay: the learning rate is divided by this factor at each tick.
        lr_min: and never falls below this.
        beta1: Adam's decay of the first moment.
        beta2: Adam's decay of the second moment.
        epsilon: Adam's ε.
        first_stage: ticks of the first of eight stages of 3^(i−1)·first_stage ticks with the learning rate
            lr·round(10^(1−(i−1)/7), 1), the schedule of Burda et al.; None: no stages.
        glorot: start the weights from Glorot's uniform distribution; else PyTorch's.
        marginal_bias: start the decoder's last bias where its output is the training data's mean.
    """

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
                "lr": 1e-4,
                "lr_decay": 1.0,
                "beta1": 0.99,
                "beta2": 0.999,
                "epsilon": 1e-4,
                "first_stage": 2500,
                "glorot": True,
            },
            training={"batch": 20, "epochs": 3280},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "unit",
        *,
        latent: PositiveInt = 8,
        encoder: tuple[PositiveInt, ...] = (500, 500),
        decoder: tuple[PositiveInt, ...] = (500, 500),
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
        noise: bool = False,
        lr: PositiveFloat = 1e-3,
        lr_decay: PositiveFloat = 1.00002,
        lr_min: NonNegativeFloat = 0.0,
        beta1: Share = 0.9,
        beta2: Share = 0.999,
        epsilon: PositiveFloat = 1e-8,
        first_stage: PositiveInt | None = None,
        glorot: bool = False,
        marginal_bias: bool = True,
    ) -> None:
        super().__init__(shape, domain, observation, levels, marginal_bias=marginal_bias)
        if free_bits and prior != "normal":
            raise PlausibleError("free_bits needs the KL of each dimension, which only prior=normal has")
        self.latent, self.noise = latent, noise
        self.beta, self.warmup, self.free_bits = beta, warmup, free_bits
        self.lr, self.first_stage = lr, first_stage
        self.optimization = Optimization("adam", beta1, beta2, lr_decay, lr_min, epsilon=epsilon)
        self.encoder = encoder_of(
            self.shape, encoder, 2 * latent, network=network, channels=channels, activation=activation
        )
        self.decoder = decoder_of(
            latent,
            decoder,
            self.shape,
            network=network,
            channels=channels,
            activation=activation,
            outputs=self.observation.outputs,
        )
        self.prior = NormalPrior() if prior == "normal" else MixturePrior(components, latent)
        if glorot:
            init_glorot(self.encoder)
            init_glorot(self.decoder)

    # ------------------------------------------------------------------ the bound
    def turns(self) -> Sequence[Turn]:
        movers = [self.encoder, self.decoder, self.observation, self.prior]
        schedule = self._stages() if self.first_stage else self.optimization.schedule(self.lr)
        return (Turn("bound", self.loss, movers, 1, self.optimization.optimizer(self.lr), schedule),)

    def loss(self, batch: Batch) -> Loss:
        """−ELBO, split as the notes split it: reconstruction and prior fitting, nats per example."""
        x = self.scaling.inward(batch.x)
        mean, log_deviation = self._posterior(x)
        z = mean + log_deviation.exp() * torch.randn_like(mean)
        reconstruction = self.reconstruction(z, x)
        if isinstance(self.prior, NormalPrior):
            each = kl_to_standard_normal(mean, log_deviation)
            divergence = each.sum(1)
            fitted = each.mean(0).clamp_min(self.free_bits).sum() if self.free_bits else divergence
        else:
            divergence = fitted = normal_log_density(z, mean, log_deviation) - self.prior.log_prob(z)
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

    def _stages(self) -> Callable[[int], Mapping[str, Any]]:
        first = self.first_stage or 1

        def settings(tick: int) -> Mapping[str, Any]:
            past = (tick - 1) / first  # stage i begins after (3^(i−1) − 1)/2 of the first
            stage = min(8, 1 + math.floor(math.log(2 * past + 1, 3) + 1e-9))
            return {"lr": self.lr * round(10 ** (1 - (stage - 1) / 7), 1)}

        return settings

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        if y is not None:
            raise PlausibleError("this VAE is not conditional: sample it without labels")
        z = self.prior.sample(n, self.latent)
        return (
            self.scaling.outward(self.observation.sample(self.decoder(z))) if self.noise else self.observed(z)
        )

    @torch.no_grad()
    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of q(z|x), (B, latent) each."""
        mean, log_deviation = self._posterior(self.scaling.inward(x))
        return mean, log_deviation.exp()

    @torch.no_grad()
    def draw_code(self, n: int) -> Tensor:
        """z ~ p(z), (n, latent), from torch's global random state."""
        return self.prior.sample(n, self.latent)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), (B,), nats, differentiable in z."""
        return self.prior.log_prob(z)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) = log p(x|z) + log p(z), (B,), nats, differentiable in z."""
        observed = -self.reconstruction(z, self.scaling.inward(x))
        return observed + self.prior.log_prob(z) + self.scaling.log_volume()

    @torch.no_grad()
    def log_prob_bound(self, x: Tensor, samples: int = 50) -> Tensor:
        """The importance-weighted bound log (1/k) Σ p(x, z_i)/q(z_i|x), z_i ~ q(z|x), (B,), nats.

        In expectation it never exceeds log p(x), and rises with k (Burda et al., 2016, theorem 1). k = 1 is the ELBO.
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
    """p(z) = N(0, I)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """(B, latent) → (B,), nats."""
        return (-0.5 * z.square() - HALF_LOG_TWO_PI).sum(1)

    def sample(self, n: int, latent: int) -> Tensor:
        """(n, latent)."""
        return torch.randn(n, latent)


class MixturePrior(nn.Module):
    """p(z) = Σ_k w_k N(z; μ_k, diag σ_k²), all learned."""

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_deviations = nn.Parameter(torch.zeros(components, latent))

    def log_prob(self, z: Tensor) -> Tensor:
        """(B, latent) → (B,), nats."""
        parts = normal_log_density(z.unsqueeze(1), self.means, self.log_deviations)
        return torch.logsumexp(self.logits.log_softmax(0) + parts, dim=1)

    def sample(self, n: int, latent: int) -> Tensor:
        """(n, latent)."""
        part = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        return self.means[part] + self.log_deviations[part].exp() * torch.randn(n, latent)


def kl_to_standard_normal(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(m, s²) ‖ N(0, 1)) = ½(m² + s² − 1) − log s of each dimension, (B, latent), nats."""
    return 0.5 * (mean.square() + (2 * log_deviation).exp() - 1) - log_deviation


def normal_log_density(z: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log N(z; m, diag s²), summed over the last axis, nats."""
    scaled = (z - mean) * (-log_deviation).exp()
    return (-0.5 * scaled.square() - log_deviation - HALF_LOG_TWO_PI).sum(-1)
