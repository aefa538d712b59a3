"""The generative adversarial network: a generator and a discriminator taking turns on one value function."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import softplus

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, GenerativeModel, Loss, Turn, takes_examples
from plausible.models.condition import Classes
from plausible.models.encoding import TableEncoding
from plausible.models.objectives import OBJECTIVES, Logits, Objective, gradient_penalty
from plausible.models.registry import Preset
from plausible.models.statistics import moments
from plausible.nn.mlp import Activation, init_normal, init_uniform
from plausible.nn.network import Layers, Network, before_last, decoder_of, encoder_of, has_batch_norm
from plausible.recipe import Recipe, Share

__all__ = ["GAN", "GANRecipe", "Output"]


Output = Literal["auto", "sigmoid", "tanh", "linear"]
TEMPERATURE = 0.2
"""Of the Gumbel-softmax of a mixed table's levels (Xu et al., 2019)."""


class GANRecipe(Recipe):
    """How a GAN is trained.

    Args:
        discriminator_lr: Learning rate of the discriminator; None: the same.
    """

    discriminator_lr: PositiveFloat | None = None

    def for_turn(self, name: str) -> Recipe:
        if name == "discriminator" and self.discriminator_lr is not None:
            return self.model_copy(update={"lr": self.discriminator_lr})
        return self


class GAN(GenerativeModel):
    """Generative adversarial network (Goodfellow et al., 2014, Algorithm 1).

    min over G, max over D of V(D, G) = E_{x~p_data} log D(x) + E_{z~p_z} log(1 − D(G(z))).

    With classes both are conditioned on y, G(z, y) and D(x, y), and fakes are of the classes of the batch that they are
    judged with (Mirza & Osindero, *Conditional Generative Adversarial Nets*, 2014, eq. 2).

    Args:
        latent: Dimensions of the noise z; None: as many as an example has values, at most 100.
        noise: The prior p_z: standard normal, or uniform on (−√3, √3), which has unit variance too.
        generator: Units of G's hidden layers; convolutions have none. In Python also a network of your own, any
            module that takes (z, y), (B, latent + classes), with y one-hot, and returns (B, size), to which `output`
            is applied.
        discriminator: Units of D's hidden layers; convolutions have none. Or a network of your own: (x, y),
            (B, size + classes), to a logit, (B, 1). Options that say how a network is made, from activation to
            channels, init and marginal_bias, do not change one of your own.
        activation: Activation of G's and of D's hidden layers; a maxout unit has 5 linear pieces.
        batch_norm: ε of batch norm in G, and, if a second is given, in D; empty for none. In a perceptron it is on
            the hidden layers from the second on, in convolutions on what enters each of G's and on D's from the
            second on. With batch norm D judges data and samples in batches of their own, and its gradient at an
            example depends on the others, so that it goes with penalty=0 only.
        dropout: Share of D's inputs, and of its hidden units, dropped.
        network: Kind of network: mlp; conv, convolutions over the image; auto: conv for images of more than 1,024
            values.
        channels: Channels of each convolution, the image's first; each halves height and width. None: 32, doubled
            at each, until 4 to 7 pixels are left.
        output: How G's last layer becomes data; auto: sigmoid for binary and unit-interval data, else linear.
        objective: What the players play for: minimax, non-saturating, authors-code or relativistic.
        penalty: γ of the gradient penalties γ/2·(‖∇D(x)‖² + ‖∇D(G(z))‖²) (R1 + R2); 0 for none.
        k: Discriminator moves before each of the generator's.
        simultaneous: Both gradients from the same parameters and the same fakes, before either player steps.
        init: Initial weights, with biases at 0: normal or uniform, and the standard deviation or radius of G's and of
            D's weights; None: each layer's own initialization.
        marginal_bias: Start G's output bias where its output is the training data's mean (the logit, for a sigmoid).
        classes: Number of classes of the labels that both are conditioned on; 0: unconditional.
    """

    centre: Tensor
    scale: Tensor

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real", "mixed")
    recipe = GANRecipe(lr=5e-4, lr_decay=1.00001, beta1=0.0, beta2=0.9)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "plain 800-800 networks, relativistic with R1 + R2, averaged weights",
            training={"batch": 64, "ema": 0.9999},
        ),
        "vectors": Preset(
            "for rows of real values, and then chosen by itself: three layers of 128, as much noise as columns",
            model={"latent": None, "generator": (128,) * 3, "discriminator": (128,) * 3, "penalty": 0.1},
            recipe={"lr": 2e-3, "lr_decay": 1.0003, "lr_min": 2e-4},
            training={"batch": 256, "ema": 0.999},
        ),
        "goodfellow2014": Preset(
            "the authors' mnist.yaml to the letter",
            model={
                "network": "mlp",
                "noise": "uniform",
                "generator": (1200, 1200),
                "discriminator": (240, 240),
                "activation": ("relu", "maxout"),
                "dropout": (0.2, 0.5),
                "objective": "authors-code",
                "penalty": 0.0,
                "simultaneous": True,
                "init": ("uniform", 0.05, 0.005),
                "marginal_bias": True,
            },
            recipe={
                "optimizer": "sgd",
                "lr": 0.1,
                "lr_decay": 1.000004,
                "lr_min": 1e-6,
                "momentum": 0.5,
                "final_momentum": 0.7,
                "momentum_ticks": 125_000,
            },
            training={"batch": 100, "epochs": 250},
        ),
        "tutorial": Preset(
            "the networks and settings of the MNIST tutorial",
            model={
                "network": "mlp",
                "generator": (128, 256, 512, 1024),
                "discriminator": (512, 256),
                "activation": ("leaky_relu", "leaky_relu"),
                "batch_norm": (0.8,),
                "output": "tanh",
                "objective": "non-saturating",
                "penalty": 0.0,
            },
            recipe={"lr": 2e-4, "lr_decay": 1.0, "beta1": 0.5, "beta2": 0.999},
            training={"batch": 128, "epochs": 200},
        ),
        "dcgan": Preset(
            "convolutions with batch norm as Radford et al., 2016, with fewer channels",
            model={
                "network": "conv",
                "noise": "uniform",
                "batch_norm": (1e-5, 1e-5),
                "output": "tanh",
                "objective": "non-saturating",
                "penalty": 0.0,
                "init": ("normal", 0.02, 0.02),
            },
            recipe={"lr": 2e-4, "lr_decay": 1.0, "beta1": 0.5, "beta2": 0.999},
            training={"batch": 128, "epochs": 25},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "unit",
        *,
        column_levels: Sequence[int] | None = None,
        latent: PositiveInt | None = 100,
        noise: Literal["normal", "uniform"] = "normal",
        generator: Layers = (800, 800),
        discriminator: Layers = (800, 800),
        activation: tuple[Activation, Activation] = ("relu", "leaky_relu"),
        batch_norm: tuple[PositiveFloat, ...] = (),
        dropout: tuple[Share, Share] = (0.0, 0.0),
        network: Network = "auto",
        channels: tuple[PositiveInt, ...] | None = None,
        output: Output = "auto",
        objective: str = "relativistic",
        penalty: NonNegativeFloat = 1.0,
        k: PositiveInt = 1,
        simultaneous: bool = False,
        init: tuple[Literal["normal", "uniform"], PositiveFloat, PositiveFloat] | None = None,
        marginal_bias: bool = False,
        classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain)
        self.objective = _objective(objective)
        norms = _norms(batch_norm)
        self.table = TableEncoding(column_levels or (0,) * self.shape[0]) if domain == "mixed" else None
        seen = self.shape if self.table is None else self.table.seen
        latent = latent or min(math.prod(seen), 100)
        self.latent, self.noise, self.k, self.together = latent, noise, k, simultaneous
        self.penalty = penalty
        self.marginal_bias = marginal_bias and not isinstance(generator, nn.Module)
        self.output = output if output != "auto" else "linear" if domain in ("real", "mixed") else "sigmoid"
        if self.table is not None and self.output != "linear":
            raise PlausibleError(
                f"output={output} is for values of one kind: leave it out for a table with levels"
            )

        self.classes = Classes(classes)
        self.generator = decoder_of(
            latent + classes,
            generator,
            seen,
            network=network,
            channels=channels,
            activation=activation[0],
            batch_norm=norms[0],
        )
        self.discriminator = encoder_of(
            seen,
            discriminator,
            1,
            network=network,
            channels=channels,
            activation=activation[1],
            batch_norm=norms[1],
            input_dropout=dropout[0],
            hidden_dropout=dropout[1],
            condition=classes,
        )
        normed = norms[1] is not None or has_batch_norm(self.discriminator)
        if normed and penalty:
            raise PlausibleError(
                "the gradient penalties need each example's own gradient, which batch norm in D mixes with the "
                "others': give penalty=0, or no batch norm in D"
            )
        self.apart = penalty > 0 or simultaneous or normed
        if init is not None:
            draw = init_normal if init[0] == "normal" else init_uniform
            if self.generator is not generator:
                draw(self.generator, init[1])
            if self.discriminator is not discriminator:
                draw(self.discriminator, init[2])
        size = math.prod(seen)
        centre, scale = (0.5, 0.5) if self.output == "tanh" else (0.0, 1.0)
        self.register_buffer("centre", torch.full((size,), centre))
        self.register_buffer("scale", torch.full((size,), scale))

    @classmethod
    def preset_for(cls, shape: Sequence[int], domain: Domain) -> str:
        return "vectors" if len(shape) == 1 and domain in ("real", "mixed") else "default"

    # ------------------------------------------------------------------ the data's domain and the networks'
    def prepare(self, data: Any) -> None:
        """Count the classes; standardise real-valued data; start the output bias at the marginals when asked to."""
        self.classes.prepare(data)
        if self.table is not None:
            self.table.fit(data)
        elif self.domain == "real":
            mean, deviation = moments(data)
            self.centre.copy_(mean)
            self.scale.copy_(deviation.clamp_min(1e-6))
        elif self.marginal_bias:
            mean = moments(data)[0].clamp(1e-7, 1 - 1e-7)
            start = {"sigmoid": mean.logit(), "tanh": (mean * 2 - 1).atanh()}.get(self.output, mean)
            last = cast(nn.Sequential, self.generator)[-1]
            with torch.no_grad():
                cast(nn.Linear, last).bias.copy_(start)

    def _inward(self, x: Tensor) -> Tensor:
        if self.table is not None:
            return self.table.inward(x)
        return (x.flatten(1) - self.centre).div_(self.scale)

    def _outward(self, x: Tensor) -> Tensor:
        if self.table is not None:
            return self.table.outward(x)
        x = (x * self.scale + self.centre).unflatten(1, self.shape)
        return x.round().clamp(0, 1) if self.domain == "binary" else x

    # ------------------------------------------------------------------ Algorithm 1
    def sample_prior(self, n: int) -> Tensor:
        """z ~ p_z, (n, latent)."""
        z = torch.empty(n, self.latent, device=self.centre.device)
        return z.normal_() if self.noise == "normal" else z.uniform_(-(3**0.5), 3**0.5)

    def generate(self, z: Tensor) -> Tensor:
        """G(z, y) of z and one-hot y concatenated, (n, latent + classes) → (n, features), in the networks' scale."""
        x = self.generator(z)
        if self.table is not None:
            return self.table.soft(x, TEMPERATURE)
        return x.sigmoid() if self.output == "sigmoid" else x.tanh() if self.output == "tanh" else x

    def _fakes(self, y: Tensor) -> Tensor:
        """G(z, y), z ~ p_z, of one-hot labels, (n, classes) → (n, features)."""
        return self.generate(self.classes.concatenate(self.sample_prior(len(y)), y))

    def discriminate(self, x: Tensor) -> Tensor:
        """D's logit, of x and one-hot y concatenated, (n, features + classes) → (n,)."""
        return self.discriminator(x).squeeze(1)

    def turns(self) -> Sequence[Turn]:
        return (
            Turn("discriminator", self.discriminator_loss, [self.discriminator]),
            # Algorithm 1: k discriminator updates, each on a fresh minibatch, for one of the generator
            Turn("generator", self.generator_loss, [self.generator], every=self.k),
        )

    def discriminator_loss(self, batch: Batch) -> Loss:
        y, real = self.classes.one_hot(batch.y, len(batch.x)), self._inward(batch.x)
        fake = self._fakes(y)
        penalise = self.penalty > 0
        if penalise:
            fake.requires_grad_()
            real.requires_grad_()
        concatenate = self.classes.concatenate
        d = Logits(self.discriminate, lambda: concatenate(real, y), concatenate(fake, y), both=not self.apart)
        terms = dict(self.objective("discriminator", d))
        if penalise:
            terms["R1"] = self.penalty / 2 * gradient_penalty(d.real, real)
            terms["R2"] = self.penalty / 2 * gradient_penalty(d.fake, fake)
        return Loss(terms, shown=_shown(d, centred=self.objective is OBJECTIVES["relativistic"]))

    def generator_loss(self, batch: Batch) -> Loss:
        y = self.classes.one_hot(batch.y, len(batch.x))
        concatenate, fake = self.classes.concatenate, self._fakes(y)
        d = Logits(self.discriminate, lambda: concatenate(self._inward(batch.x), y), concatenate(fake, y))
        return Loss(self.objective("generator", d))

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Sample n examples, (n, *shape), of the classes y, (n,), or of y ~ p(y)."""
        return self._outward(self._fakes(self.classes.sampled(y, n)))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """G(z, y) in the data's domain, (n, latent) → (n, *shape), differentiable in z; of binary data not rounded.

        Args:
            z: (n, latent).
            y: (n,), classes; without, G's mean over p(y).

        Raises:
            PlausibleError: y of a model that is not conditional, or labels that are no class.
        """

        def decoded(y: Tensor) -> Tensor:
            given = self.classes.concatenate(z, y)
            if self.table is not None:
                return self.table.outward(self.table.likeliest(self.generator(given)))
            x = self.generate(given)
            return (x * self.scale + self.centre).unflatten(1, self.shape)

        if y is None:
            return self.classes.expectation(decoded, len(z))
        return decoded(self.classes.sampled(y, len(z)))

    @takes_examples
    @torch.no_grad()
    def criticise(self, x: Tensor) -> Tensor:
        """D's logit on x, (B, *shape) in the data's own scale → (B,): higher where D takes x for data.

        Not a density: D has learned to tell data from this generator's samples, and far from both its logit may be
        anything, the highest included. The relativistic objective fixes it up to a constant only, so compare logits of
        one model with each other.
        With classes log Σ_y p(y) exp logit(x, y); the relativistic one's constant is then another for each y.
        """
        x = self._inward(x)
        return self.classes.marginalize(lambda y: self.discriminate(self.classes.concatenate(x, y)), len(x))

    @takes_examples
    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """What D's last layer sees, (B, *shape) → (B, units): features learnt by telling data from samples.

        With classes their mean over p(y), as x alone does not say which y. They are no code: `decode` takes the
        generator's z, which is never inferred from x.

        Raises:
            PlausibleError: D is a network of the user's own, and no `nn.Sequential`.
        """
        x = self._inward(x)
        body = before_last(self.discriminator)
        return self.classes.expectation(lambda y: body(self.classes.concatenate(x, y)).flatten(1), len(x))


def _objective(name: str) -> Objective:
    if name not in OBJECTIVES:
        raise PlausibleError(f"objective {name!r} is unknown: choose one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def _norms(batch_norm: Sequence[float]) -> tuple[float | None, float | None]:
    """ε of batch norm in G and in D."""
    if len(batch_norm) > 2:
        raise PlausibleError(f"batch_norm {tuple(batch_norm)}: give one ε for G, or two, for G and for D")
    generator, discriminator = (*batch_norm, None, None)[:2]
    return generator, discriminator


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
