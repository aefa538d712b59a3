"""What a model can do, as protocols: code calls `require(model, Density)` and never checks classes or names.

A model has a capability when it has its methods; nothing is declared or registered. Every generative model samples
(`plausible.game.GenerativeModel`); the rest is here. Scores are always higher for more plausible examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import GenerativeModel

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "CAPABILITIES",
    "Autoregressive",
    "Bound",
    "Classifier",
    "Code",
    "CodeDensity",
    "Coder",
    "Completion",
    "Critic",
    "Decoder",
    "Density",
    "DensityEstimate",
    "Features",
    "Filling",
    "HeldOutLoss",
    "JointDensity",
    "LevelProbabilities",
    "LogProbShares",
    "Prior",
    "Reconstruction",
    "Surprises",
    "TableReconstruction",
    "in_place",
    "lacks",
    "order_of",
    "require",
    "supports",
]


@runtime_checkable
class Density(Protocol):
    """The exact log-density, or log-probability of discrete values.

    Two attributes are optional. `has_density` is False for a model that has the method, but no density of its own data.
    `density_tolerance` says how far from 1 its integral may be, where an equation is solved by finite steps.
    """

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (B, *shape) → (B,), nats."""
        ...


@runtime_checkable
class Autoregressive(Density, Protocol):
    """A density that is a chain of conditionals, ∏ p(x_i | x_<i), along one order of the D variables.

    Two attributes are optional. `order`, (D,), int64, gives the place of the i-th variable of the order in the
    flattened example; without it the order is that of the flattened example. `one_order` is False for a model that
    averages over several orders: it has the methods, but not the capability.
    """

    def log_prob_terms(self, x: Tensor) -> Tensor:
        """log p(x_i | x_<i), (B, *shape) → (B, D), in the model's order, nats."""
        ...


@runtime_checkable
class LogProbShares(Density, Protocol):
    """A density that is no single chain of conditionals, and yet a sum over the variables."""

    def log_prob_shares(self, x: Tensor) -> Tensor:
        """What each variable adds to log p(x), (B, *shape) → (B, *shape), nats."""
        ...


@runtime_checkable
class LevelProbabilities(Protocol):
    """An autoregressive model of values in K levels, k/(K − 1)."""

    def log_conditionals(self, x: Tensor) -> Tensor:
        """log p(x_i = k/(K − 1) | x_<i), (B, *shape) → (B, D, K), nats."""
        ...


@runtime_checkable
class Bound(Protocol):
    """A lower bound of the log-density."""

    def log_prob_bound(self, x: Tensor, samples: int = 50) -> Tensor:
        """At most log p(x) in expectation over that many samples of the code, (B, *shape) → (B,), nats."""
        ...


@runtime_checkable
class DensityEstimate(Protocol):
    """An estimate of the log-density that is neither exact nor a bound."""

    def log_density_estimate(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B,), nats; the same at each call."""
        ...


@runtime_checkable
class HeldOutLoss(Protocol):
    """A loss whose value on rows that were not trained on says which of two states of the model is better."""

    def held_out_loss(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B,), lower is better; the same at each call."""
        ...


@runtime_checkable
class Prior(Protocol):
    """A prior of the codes that can be sampled, whether or not the model has an encoder."""

    def sample_prior(self, n: int) -> Tensor:
        """z ~ p(z), (n, latent)."""
        ...


@runtime_checkable
class JointDensity(Prior, Protocol):
    """A latent-variable model p(x|z) p(z) whose two factors can be evaluated and whose prior can be sampled."""

    latent: int

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z), (B, latent) → (B,), nats, differentiable in z."""
        ...

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), (B, *shape) and (B, latent) → (B,), nats, differentiable in z."""
        ...


@runtime_checkable
class Code(Protocol):
    """An encoder: a code for each example."""

    def encode(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, latent)."""
        ...


@runtime_checkable
class CodeDensity(Protocol):
    """A density of the code, which says nothing of what the code leaves out: no density of the example.

    `has_code_density` is False for a model that has the method, but no density of such codes.
    """

    def log_prob_of_code(self, x: Tensor) -> Tensor:
        """log p(encode(x)), (B, *shape) → (B,), nats."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """Examples from codes, or from a GAN's noise."""

    latent: int

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, latent), and of a conditional model classes, (B,) → (B, *shape); differentiable in z."""
        ...


@runtime_checkable
class Coder(Code, Decoder, Protocol):
    """An encoder and a decoder of the same code."""


@runtime_checkable
class Features(Protocol):
    """A representation of each example that is not a code, such as a discriminator's last hidden layer."""

    def features(self, x: Tensor) -> Tensor:
        """(B, *shape) → (B, units)."""
        ...


@runtime_checkable
class Reconstruction(Protocol):
    """Examples through the code and back."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """decode(encode(x)), (B, *shape) → (B, *shape)."""
        ...


@runtime_checkable
class TableReconstruction(Reconstruction, Protocol):
    """How probable each value of an example is, given the example's own code."""

    def log_reconstruction(self, x: Tensor) -> Tensor:
        """log p(x_i | z = encode(x)), (B, *shape) → (B, D), nats."""
        ...


@runtime_checkable
class Critic(Protocol):
    """A discriminator's logit for each example. It is not a density."""

    def criticise(self, x: Tensor) -> Tensor:
        """The logit of D(x), (B, *shape) → (B,)."""
        ...


@runtime_checkable
class Completion(Protocol):
    """Completions of an example of which a part is given."""

    def complete(self, x: Tensor, mask: Tensor, n: int) -> Tensor:
        """x, (*shape), and where it is given, (*shape), bool → n completions, (n, *shape)."""
        ...


@runtime_checkable
class Filling(Protocol):
    """Completions of rows of a table, of each of which other cells are given."""

    def fill(self, x: Tensor, known: Tensor, *, present: bool = False) -> Tensor:
        """x and which cells are given, (B, D) and (B, D), bool → rows that agree there, (B, D).

        With `present` no filled cell is a missing one.
        """
        ...


@runtime_checkable
class Surprises(Protocol):
    """A conditional of each variable given all others."""

    def surprises(self, x: Tensor) -> Tensor:
        """−log p(x_i | all other variables), (B, *shape) → (B, D), nats."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A category for each example.

    Attributes:
        labels: the number of labels it was trained with; 0: its categories are clusters, in no order.
    """

    labels: int

    def classify(self, x: Tensor) -> Tensor:
        """log q(y|x), (B, *shape) → (B, categories), nats."""
        ...


Capability = TypeVar("Capability")

CAPABILITIES: dict[str, type] = {
    "density": Density,
    "bound": Bound,
    "completion": Completion,
    "code": Code,
    "critic": Critic,
    "features": Features,
    "class": Classifier,
}
"""The capabilities that `plausible models` lists, by their names there; tests/test_capabilities.py compares the two."""

_LACKING: dict[type, tuple[str, str]] = {
    Density: ("density (log_prob)", "nade, made or pixelcnn"),
    DensityEstimate: ("estimate of its density (log_density_estimate)", "flow-matching"),
    HeldOutLoss: ("loss for rows that it was not trained on (held_out_loss)", "flow-matching"),
    Autoregressive: (
        "probability of each variable given those before it (log_prob_terms)",
        "nade, made or pixelcnn",
    ),
    LevelProbabilities: ("probabilities of levels (log_conditionals)", "pixelrnn or pixelcnn"),
    Bound: ("bound of log p(x) (log_prob_bound)", "vae"),
    JointDensity: ("joint density of data and code (log_joint)", "vae"),
    Code: ("code (encode)", "vae, autoencoder or aae"),
    CodeDensity: (
        "density of codes (log_prob_of_code)",
        "flow-matching with --codes-of RUN, whose codes have at most 64 values",
    ),
    Decoder: ("decoder (decode)", "vae, autoencoder, aae or gan"),
    Coder: ("code that it can decode (encode and decode)", "vae, autoencoder or aae"),
    Prior: ("prior of codes (sample_prior)", "gan"),
    Features: ("features of its own (features)", "gan"),
    Reconstruction: ("reconstruction (reconstruct)", "autoencoder, vae or aae"),
    Critic: ("critic (criticise)", "gan"),
    Completion: ("completion (complete)", "nade, made or pixelcnn"),
    Filling: ("way to fill any cells (fill)", "mixed or copula"),
    Surprises: ("probability of each variable given all others (surprises)", "mixed"),
    Classifier: ("classifier (classify)", "categorical-aae"),
}
"""Capability → what a model without it lacks, with the method that provides it; and models that have it."""


def supports(model: object, capability: type[Capability]) -> TypeIs[Capability]:
    """Whether a model has a capability.

    Args:
        model: the model; None has none.
        capability: one of the protocols of this module.
    """
    if not isinstance(model, capability):
        return False
    if issubclass(capability, Density) and not getattr(model, "has_density", True):
        return False
    if issubclass(capability, CodeDensity) and not getattr(model, "has_code_density", True):
        return False
    return capability is not Autoregressive or getattr(model, "one_order", True)


def require(model: object, capability: type[Capability], *, instead: Sequence[str] = ()) -> Capability:
    """The model, which has the capability.

    Args:
        model: the model.
        capability: one of the protocols of this module, or a class of your own.
        instead: what else one can do, for the error: "score --by critic".

    Raises:
        PlausibleError: the model does not have it; the message says what would do.
    """
    if supports(model, capability):
        return model
    raise lacks(model, capability, instead=instead)


def lacks(model: object, capability: type, *, instead: Sequence[str] = ()) -> PlausibleError:
    """The error that `require` raises, for a caller that has checked otherwise."""
    name = model.__name__ if isinstance(model, type) else type(model).__name__
    if capability not in _LACKING:
        others = f": {' or '.join(instead)}" if instead else ""
        return PlausibleError(f"{name} is not a {capability.__name__}{others}")
    what, examples = _LACKING[capability]
    *most, last = [*instead, f"train a model that has one, such as {examples}"]
    if capability is Autoregressive and not getattr(model, "one_order", True):
        what = "single order of the variables, because it averages over several"
        last = "train it with one order"
    return PlausibleError(f"{name} has no {what}: {', '.join([*most, f'or {last}' if most else last])}")


def order_of(model: GenerativeModel) -> Tensor:
    """The place in the flattened example of each variable of an autoregressive model's order, (D,), int64."""
    order = getattr(model, "order", None)
    return torch.arange(math.prod(model.shape)) if order is None else order


def in_place(model: GenerativeModel, terms: Tensor) -> Tensor:
    """Values in an autoregressive model's order, (B, D), in the places of their variables, (B, *shape)."""
    flat = torch.empty_like(terms)
    flat[:, order_of(model)] = terms
    return flat.unflatten(1, model.shape)
