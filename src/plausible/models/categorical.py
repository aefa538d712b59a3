"""Adversarial autoencoder with a categorical head: semi-supervised with some labels, clustering without.

Source: Makhzani, Shlens, Jaitly, Goodfellow & Frey, *Adversarial Autoencoders*, 2015, sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, Turn, takes_examples
from plausible.likelihoods import Name
from plausible.models.aae import AdversarialAutoencoder, AdversarialRecipe
from plausible.models.objectives import Logits, non_saturating
from plausible.models.registry import Preset
from plausible.nn.mlp import Activation, mlp
from plausible.nn.network import Layers, Network
from plausible.recipe import Recipe, Share

__all__ = ["CategoricalAAE", "CategoricalRecipe"]


class CategoricalRecipe(AdversarialRecipe):
    """How an adversarial autoencoder with categories is trained.

    Args:
        classification_lr: Learning rate of the classification; None: the same.
    """

    classification_lr: PositiveFloat | None = None

    def for_turn(self, name: str) -> Recipe:
        if name == "classification":
            return self.model_copy(update={"lr": self.classification_lr or self.lr})
        return super().for_turn(name)


class CategoricalAAE(AdversarialAutoencoder):
    """Adversarial autoencoder with a category y and a style z (Makhzani et al., 2015).

    The encoder gives q(y|x), a softmax, and z; the decoder sees both, as (y, z). One discriminator holds y to a
    uniform one-hot draw, another z to N(0, s²·I); a fourth turn raises log q(y|x), in nats, on the rows whose labels
    may be seen. Without any labels the categories are clusters.

    Args:
        latent: Dimensions of the style z.
        categories: Number of categories y.
        labels: Training rows whose labels are used, as many of each class: see `Game.labels`; 0: none, clustering.
        encoder: Units of the encoder's hidden layers. In Python also a network of your own, any module that takes x,
            (B, size), and returns the logits of y and the style, (B, categories + latent).
        decoder: Units of the decoder's hidden layers. Or a network of your own: (y, z), (B, categories + latent), to
            the parameters of p(x|y, z), (B, outputs·size), see plausible.likelihoods. Options that say how a network
            is made do not change one of your own.
        discriminator: Units of both discriminators' hidden layers.
        activation: Activation of all hidden layers.
        network: Kind of network: mlp; conv, convolutions over the image; auto: conv for images of more than 1,024
            values.
        channels: Channels of each convolution, the image's first; each halves height and width. None: 32, doubled
            at each, until 4 to 7 pixels are left.
        observation: Observation model p(x|y, z), see plausible.likelihoods; auto: bernoulli for binary data, else
            gaussian.
        levels: Number of values of a discretised logistic.
        prior_deviation: Standard deviation s of the style's prior.
        input_noise: Standard deviation of Gaussian noise on the encoder's input in training.
        input_dropout: Share of the encoder's inputs dropped in training.
        hidden_dropout: Share of the encoder's and decoder's hidden units dropped.
        discriminator_dropout: Share of the discriminators' hidden units dropped.
        marginal_bias: Start the decoder's last bias where its output is the training data's mean.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real")
    recipe = CategoricalRecipe(lr=1e-3, lr_decay=1.00002)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "clusters: 500-500 ReLU networks, 10 categories and 10 codes, Adam",
            training={"batch": 100, "ema": 0.999},
        ),
        "few-labels": Preset(
            "the same with 1,000 labels (--labels N for another number) and noise on the encoder's input",
            model={"labels": 1000, "input_noise": 0.3},
            training={"batch": 100, "ema": 0.999},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "unit",
        *,
        latent: PositiveInt = 10,
        categories: Annotated[int, Field(ge=2)] = 10,
        labels: NonNegativeInt = 0,
        encoder: Layers = (500, 500),
        decoder: Layers = (500, 500),
        discriminator: tuple[PositiveInt, ...] = (300, 300),
        activation: Activation = "relu",
        network: Network = "auto",
        channels: tuple[PositiveInt, ...] | None = None,
        observation: Name = "auto",
        levels: PositiveInt = 256,
        prior_deviation: PositiveFloat = 1.0,
        input_noise: NonNegativeFloat = 0.0,
        input_dropout: Share = 0.0,
        hidden_dropout: Share = 0.0,
        discriminator_dropout: Share = 0.0,
        marginal_bias: bool = True,
    ) -> None:
        super().__init__(
            shape,
            domain,
            latent=latent + categories,
            encoder=encoder,
            decoder=decoder,
            discriminator=discriminator,
            activation=activation,
            network=network,
            channels=channels,
            observation=observation,
            levels=levels,
            prior_deviation=prior_deviation,
            input_dropout=input_dropout,
            hidden_dropout=hidden_dropout,
            discriminator_dropout=discriminator_dropout,
            marginal_bias=marginal_bias,
        )
        self.categories, self.labels, self.input_noise = categories, labels, input_noise
        self.discriminator = nn.ModuleDict(
            {
                name: mlp(
                    (width, *discriminator, 1), activation=activation, hidden_dropout=discriminator_dropout
                )
                for name, width in (("category", categories), ("style", latent))
            }
        )

    def prepare(self, data: Any) -> None:
        """As any coder; the labels that are to be used must be categories."""
        if self.labels and data.y is not None and data.y.max() >= self.categories:
            raise PlausibleError(
                f"--categories {self.categories}: the data have {data.y.max() + 1} classes, give as many"
            )
        super().prepare(data)

    # ------------------------------------------------------------------ the code (y, z)
    def _split(self, code: Tensor) -> tuple[Tensor, Tensor]:
        return code[:, : self.categories], code[:, self.categories :]

    def sample_prior(self, n: int, y: Tensor | None = None) -> Tensor:
        """A one-hot y, uniform or as given, and z ~ N(0, s²·I), (n, categories + latent).

        Raises:
            PlausibleError: a y that is no category.
        """
        if y is not None and not bool(((y >= 0) & (y < self.categories)).all()):
            raise PlausibleError(f"y must be from 0 to {self.categories - 1}, not {y.tolist()[:9]}")
        device = self.scaling.mean.device
        category = torch.randint(self.categories, (n,), device=device) if y is None else y.to(device)
        style = torch.randn(n, self.latent - self.categories, device=device)
        return torch.cat([one_hot(category, self.categories).float(), self.prior_deviation * style], 1)

    def code(self, x: Tensor) -> Tensor:
        """(q(y|x), z), (B, features) → (B, categories + latent)."""
        logits, style = self._split(self.encoder(x))
        return torch.cat([logits.softmax(1), style], 1)

    def sample_code(self, x: Tensor) -> Tensor:
        """The same, with the noise of training."""
        return self.code(self._noisy(x))

    def _noisy(self, x: Tensor) -> Tensor:
        return x + self.input_noise * torch.randn_like(x) if self.input_noise and self.training else x

    # ------------------------------------------------------------------ the turns
    def turns(self) -> Sequence[Turn]:
        if not self.labels:
            return super().turns()
        return (*super().turns(), Turn("classification", self.classification_loss, [self.encoder]))

    def _logits(self, batch: Batch, *, both: bool = False) -> Mapping[str, Logits]:
        """Each discriminator's logits on the batch's codes and on draws of the prior."""
        fake = self._split(self.codes(batch, kept=both))
        real = self._split(self.sample_prior(len(batch.x)))

        def logits(network: nn.Module, part: int) -> Logits:
            return Logits(lambda code: network(code).squeeze(1), lambda: real[part], fake[part], both=both)

        both_of_them = cast(nn.ModuleDict, self.discriminator)
        return {name: logits(network, part) for part, (name, network) in enumerate(both_of_them.items())}

    def discriminator_loss(self, batch: Batch) -> Loss:
        """For y and for z: −log D on draws of the prior and −log(1 − D) on codes, nats."""
        logits = self._logits(batch, both=True)
        terms, shown = {}, {}
        for name, d in logits.items():
            terms |= {f"{name} {term}": value for term, value in non_saturating("discriminator", d).items()}
            shown |= {
                f"D({name} prior)": d.real.detach().sigmoid(),
                f"D({name} code)": d.fake.detach().sigmoid(),
            }
        return Loss(terms, shown)

    def generator_loss(self, batch: Batch) -> Loss:
        """−log D(y) and −log D(z) on codes, nats: the encoder's part in both games."""
        logits = self._logits(batch)
        return Loss(
            {
                f"{name} {term}": value
                for name, d in logits.items()
                for term, value in non_saturating("generator", d).items()
            }
        )

    def classification_loss(self, batch: Batch) -> Loss:
        """−log q(y|x) of the labelled rows, nats."""
        few = batch.labelled
        if few is None or few.y is None:
            raise PlausibleError(
                "the classification needs Batch.labelled, which a trainer gives to a game with labels"
            )
        logits = self._split(self.encoder(self._noisy(self.scaling.inward(few.x))))[0]
        right = (logits.detach().argmax(1) == few.y).float()
        return Loss(
            {"cross-entropy": cross_entropy(logits, few.y, reduction="none")}, {"labelled right": right}
        )

    # ------------------------------------------------------------------ the jobs
    @takes_examples
    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """log q(y|x), (B, *shape) → (B, categories), nats."""
        return self._split(self.encoder(self.scaling.inward(x)))[0].log_softmax(1)

    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Sample n examples, (n, *shape), of the categories y, (n,), int64, if given."""
        return self.observed(self.sample_prior(n, y))
