"""The generative adversarial network: a generator and a discriminator taking turns on one value function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import softplus

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, GenerativeModel, Loss, Turn, takes_examples
from plausible.models.condition import Classes
from plausible.models.objectives import OBJECTIVES, Logits, gradient_penalty
from plausible.models.optimization import Optimization, Share
from plausible.models.registry import Preset
from plausible.models.statistics import moments
from plausible.nn.mlp import Activation, init_normal, init_uniform
from plausible.nn.network import Network, decoder_of, encoder_of

Output = Literal["auto", "sigmoid", "tanh", "linear"]


class GAN(GenerativeModel):
    """Generative adversarial network (Goodfellow et al., 2014, Algorithm 1).

    min over G, max over D of V(D, G) = E_{x~p_data} log D(x) + E_{z~p_z} log(1 − D(G(z))).

    With classes both are told y, G(z, y) and D(x, y), and fakes are of the same classes as the batch that they are
    judged with (Mirza & Osindero, *Conditional Generative Adversarial Nets*, 2014, eq. 2).

    Args:
        latent: dimensions of the noise z.
        noise: the prior p_z: standard normal, or uniform on (−√3, √3), which has unit variance too.
        generator: units of G's hidden layers; convolutions have none.
        generator_activation: of G's hidden layers.
        batch_norm: the ε of batch norm on G's hidden layers from the second on, and on what enters each of its
            convolutions; None for none.
        output: how G's last layer becomes data; auto: sigmoid for binary and unit-interval data, else linear.
        discriminator: units of D's hidden layers; convolutions have none.
        discriminator_activation: of D's hidden layers.
        discriminator_batch_norm: the ε of batch norm on D's hidden layers and convolutions from the second on; None
            for none. D then judges data and samples in batches of their own, and its gradient at an example depends
            on the others: it goes with penalty=0 only.
        network: mlp; conv, convolutions on the side of the image; auto: conv for images of more than 1,024 values.
        channels: of each convolution, the image's first; each halves the sides. None: as many as leave 4 to 7 pixels,
            32 channels and then twice as many each.
        pieces: linear pieces of a maxout unit.
        input_dropout: share of D's inputs dropped.
        hidden_dropout: share of D's hidden units dropped.
        objective: what the players play for: minimax, non-saturating, authors-code or relativistic.
        k: discriminator moves before each of the generator's.
        simultaneous: both gradients from the same parameters and the same fakes, before either player steps.
        penalty: γ of the gradient penalties γ/2·(‖∇D(x)‖² + ‖∇D(G(z))‖²) (R1 + R2); 0 for none.
        optimizer: adam or sgd (with momentum).
        lr: learning rate.
        discriminator_lr: D's own learning rate; None: the same.
        beta1: Adam's decay of the first moment; for sgd the momentum.
        beta2: Adam's decay of the second moment.
        lr_decay: the learning rate is divided by this factor at each tick.
        lr_min: and never falls below this.
        final_momentum: what sgd's momentum grows to, linearly over momentum_ticks; None: constant.
        momentum_ticks: ticks of that growth.
        weight_init: standard deviation of the normal distribution that all weights start from, with biases at 0; None:
            each layer's own start, or what the next two say.
        generator_init: radius of the uniform distribution that G's weights start from; None: PyTorch's.
        discriminator_init: the same for D.
        marginal_bias: start G's output bias where its output is the training data's mean (the logit, for a sigmoid).
        classes: of the labels that both players are told; 0 for none.
    """

    centre: Tensor
    scale: Tensor

    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "plain 800-800 networks, relativistic with R1 + R2, averaged weights",
            training={"batch": 64, "ema": 0.9999},
        ),
        "goodfellow2014": Preset(
            "the authors' mnist.yaml to the letter",
            model={
                "network": "mlp",
                "noise": "uniform",
                "generator": (1200, 1200),
                "discriminator": (240, 240),
                "discriminator_activation": "maxout",
                "input_dropout": 0.2,
                "hidden_dropout": 0.5,
                "objective": "authors-code",
                "simultaneous": True,
                "penalty": 0.0,
                "optimizer": "sgd",
                "lr": 0.1,
                "beta1": 0.5,
                "lr_decay": 1.000004,
                "lr_min": 1e-6,
                "final_momentum": 0.7,
                "momentum_ticks": 125_000,
                "generator_init": 0.05,
                "discriminator_init": 0.005,
                "marginal_bias": True,
            },
            training={"batch": 100, "epochs": 250},
        ),
        "tutorial": Preset(
            "the networks and settings of the MNIST tutorial",
            model={
                "network": "mlp",
                "generator": (128, 256, 512, 1024),
                "generator_activation": "leaky_relu",
                "batch_norm": 0.8,
                "output": "tanh",
                "discriminator": (512, 256),
                "objective": "non-saturating",
                "penalty": 0.0,
                "lr": 2e-4,
                "lr_decay": 1.0,
                "beta1": 0.5,
                "beta2": 0.999,
            },
            training={"batch": 128, "epochs": 200},
        ),
        "dcgan": Preset(
            "convolutions with batch norm as Radford et al., 2016, with fewer channels",
            model={
                "network": "conv",
                "noise": "uniform",
                "batch_norm": 1e-5,
                "output": "tanh",
                "discriminator_batch_norm": 1e-5,
                "objective": "non-saturating",
                "penalty": 0.0,
                "lr": 2e-4,
                "lr_decay": 1.0,
                "beta1": 0.5,
                "beta2": 0.999,
                "weight_init": 0.02,
            },
            training={"batch": 128, "epochs": 25},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "unit",
        *,
        latent: PositiveInt = 100,
        noise: Literal["normal", "uniform"] = "normal",
        generator: tuple[PositiveInt, ...] = (800, 800),
        generator_activation: Activation = "relu",
        batch_norm: PositiveFloat | None = None,
        output: Output = "auto",
        discriminator: tuple[PositiveInt, ...] = (800, 800),
        discriminator_activation: Activation = "leaky_relu",
        discriminator_batch_norm: PositiveFloat | None = None,
        network: Network = "auto",
        channels: tuple[PositiveInt, ...] | None = None,
        pieces: PositiveInt = 5,
        input_dropout: Share = 0.0,
        hidden_dropout: Share = 0.0,
        objective: str = "relativistic",
        k: PositiveInt = 1,
        simultaneous: bool = False,
        penalty: NonNegativeFloat = 1.0,
        optimizer: Literal["adam", "sgd"] = "adam",
        lr: PositiveFloat = 5e-4,
        discriminator_lr: PositiveFloat | None = None,
        beta1: Share = 0.0,
        beta2: Share = 0.9,
        lr_decay: PositiveFloat = 1.00001,
        lr_min: NonNegativeFloat = 0.0,
        final_momentum: Share | None = None,
        momentum_ticks: PositiveInt = 1,
        weight_init: PositiveFloat | None = None,
        generator_init: PositiveFloat | None = None,
        discriminator_init: PositiveFloat | None = None,
        marginal_bias: bool = False,
        classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain)
        if objective not in OBJECTIVES:
            raise PlausibleError(f"objective {objective!r} is unknown: choose one of {', '.join(OBJECTIVES)}")
        if discriminator_batch_norm and penalty:
            raise PlausibleError(
                "the gradient penalties need each example's own gradient, which batch norm in D mixes with the "
                "others': give penalty=0, or no discriminator_batch_norm"
            )
        self.latent, self.noise, self.k, self.together = latent, noise, k, simultaneous
        self.objective = OBJECTIVES[objective]
        self.penalty = penalty
        self.apart = penalty > 0 or simultaneous or discriminator_batch_norm is not None
        self.output = output if output != "auto" else "linear" if domain == "real" else "sigmoid"
        self.lr, self.discriminator_lr = lr, discriminator_lr or lr
        self.optimization = Optimization(
            optimizer, beta1, beta2, lr_decay, lr_min, final_momentum, momentum_ticks
        )
        self.marginal_bias = marginal_bias

        self.classes = Classes(classes)
        self.generator = decoder_of(
            latent + classes,
            generator,
            self.shape,
            network=network,
            channels=channels,
            activation=generator_activation,
            pieces=pieces,
            batch_norm=batch_norm,
        )
        self.discriminator = encoder_of(
            self.shape,
            discriminator,
            1,
            network=network,
            channels=channels,
            activation=discriminator_activation,
            pieces=pieces,
            batch_norm=discriminator_batch_norm,
            input_dropout=input_dropout,
            hidden_dropout=hidden_dropout,
            beside=classes,
        )
        if weight_init is not None:
            init_normal(self, weight_init)
        if generator_init is not None:
            init_uniform(self.generator, generator_init)
        if discriminator_init is not None:
            init_uniform(self.discriminator, discriminator_init)
        size = math.prod(self.shape)
        centre, scale = (0.5, 0.5) if self.output == "tanh" else (0.0, 1.0)
        self.register_buffer("centre", torch.full((size,), centre))
        self.register_buffer("scale", torch.full((size,), scale))

    # ------------------------------------------------------------------ the data's domain and the networks'
    def prepare(self, data: Any) -> None:
        """Count the classes; standardise real-valued data; start the output bias at the marginals when asked to."""
        self.classes.prepare(data)
        if self.domain == "real":
            mean, deviation = moments(data)
            self.centre.copy_(mean)
            self.scale.copy_(deviation.clamp_min(1e-6))
        elif self.marginal_bias:
            mean = moments(data)[0].clamp(1e-7, 1 - 1e-7)
            start = {"sigmoid": mean.logit(), "tanh": (mean * 2 - 1).atanh()}.get(self.output, mean)
            with torch.no_grad():
                cast(nn.Linear, self.generator[-1]).bias.copy_(start)

    def _inward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.centre).div_(self.scale)

    def _outward(self, x: Tensor) -> Tensor:
        x = (x * self.scale + self.centre).unflatten(1, self.shape)
        return x.round().clamp(0, 1) if self.domain == "binary" else x

    # ------------------------------------------------------------------ Algorithm 1
    def draw_prior(self, n: int) -> Tensor:
        """z ~ p_z, (n, latent)."""
        z = torch.empty(n, self.latent, device=self.centre.device)
        return z.normal_() if self.noise == "normal" else z.uniform_(-(3**0.5), 3**0.5)

    def generate(self, z: Tensor) -> Tensor:
        """G of z with y beside, (n, latent + classes) → (n, features), as the networks see data."""
        x = self.generator(z)
        return x.sigmoid() if self.output == "sigmoid" else x.tanh() if self.output == "tanh" else x

    def _fakes(self, y: Tensor) -> Tensor:
        """G(z, y), z ~ p_z, of one-hot labels, (n, classes) → (n, features)."""
        return self.generate(self.classes.beside(self.draw_prior(len(y)), y))

    def discriminate(self, x: Tensor) -> Tensor:
        """D's logit on examples with y beside, (n, features + classes) → (n,)."""
        return self.discriminator(x).squeeze(1)

    def turns(self) -> Sequence[Turn]:
        def turn(
            name: str, loss: Callable[[Batch], Loss], mover: nn.Module, lr: float, every: int = 1
        ) -> Turn:
            return Turn(
                name, loss, [mover], every, self.optimization.optimizer(lr), self.optimization.schedule(lr)
            )

        return (
            turn("discriminator", self.discriminator_loss, self.discriminator, self.discriminator_lr),
            turn("generator", self.generator_loss, self.generator, self.lr, every=self.k),
        )

    def discriminator_loss(self, batch: Batch) -> Loss:
        y, real = self.classes.told(batch.y, len(batch.x)), self._inward(batch.x)
        fake = self._fakes(y)
        penalise = self.penalty > 0
        if penalise:
            fake.requires_grad_()
            real.requires_grad_()
        beside = self.classes.beside
        d = Logits(self.discriminate, lambda: beside(real, y), beside(fake, y), both=not self.apart)
        terms = dict(self.objective("discriminator", d))
        if penalise:
            terms["R1"] = self.penalty / 2 * gradient_penalty(d.real, real)
            terms["R2"] = self.penalty / 2 * gradient_penalty(d.fake, fake)
        return Loss(terms, shown=_shown(d, centred=self.objective is OBJECTIVES["relativistic"]))

    def generator_loss(self, batch: Batch) -> Loss:
        y = self.classes.told(batch.y, len(batch.x))
        beside, fake = self.classes.beside, self._fakes(y)
        d = Logits(self.discriminate, lambda: beside(self._inward(batch.x), y), beside(fake, y))
        return Loss(self.objective("generator", d))

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Draw n examples, (n, *shape), of the classes y, (n,), or of y ~ p(y)."""
        return self._outward(self._fakes(self.classes.drawn(y, n)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """G(z, y) in the data's domain, (n, latent) → (n, *shape), differentiable in z; of binary data not rounded.

        Args:
            z: (n, latent).
            y: (n,), classes; without, G's mean over p(y).

        Raises:
            PlausibleError: y of a model that is not conditional, or labels that are no class.
        """

        def decoded(told: Tensor) -> Tensor:
            x = self.generate(self.classes.beside(z, told))
            return (x * self.scale + self.centre).unflatten(1, self.shape)

        if y is None:
            return self.classes.averaged(decoded, len(z))
        return decoded(self.classes.drawn(y, len(z)))

    @takes_examples
    @torch.no_grad()
    def criticise(self, x: Tensor) -> Tensor:
        """D's logit on x, (B, *shape) in the data's own scale → (B,): higher where x looks more like data.

        The relativistic objective fixes it up to a constant only, so compare scores of one model with each other.
        With classes log Σ_y p(y) exp logit(x, y); the relativistic one's constant is then another for each y.
        """
        x = self._inward(x)
        return self.classes.summed(lambda y: self.discriminate(self.classes.beside(x, y)), len(x))

    @takes_examples
    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """What D's last layer sees, (B, *shape) → (B, units): features learnt by telling data from samples.

        With classes their mean over p(y), as x alone does not say which y. They are no code: `decode` takes the
        generator's z, which is never inferred from x.
        """
        x = self._inward(x)
        return self.classes.averaged(lambda y: self.discriminator[:-1](self.classes.beside(x, y)), len(x))


def _shown(d: Logits, *, centred: bool) -> Mapping[str, Tensor]:
    """D(x), D(G(z)) and V(D, G), from the logits.

    A relativistic critic is defined up to an additive constant; its logits are centred between the two batches.
    """
    real, fake = d.real.detach(), d.fake.detach()
    if centred:
        middle = (real.mean() + fake.mean()) / 2
        real, fake = real - middle, fake - middle
    return {
        "D(x)": real.sigmoid(),
        "D(G(z))": fake.sigmoid(),
        "V(D,G)": -softplus(-real) - softplus(fake),
    }
