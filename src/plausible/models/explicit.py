"""What the models share that give every input its probability: an order of the variables, and the chain rule along it.

    log p(x) = Σ_i log p(x_i | x_1, …, x_{i−1}),   x_i the i-th variable of the model's order

A child says what the terms are (`terms`); the rest follows, children may do it faster. x_i here stands in the model's
order, and (B, D) tensors called x are in that order; examples (B, *shape) are in the data's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, GenerativeModel, Loss, Turn, takes_examples
from plausible.models.ordering import Ordering, permutation
from plausible.recipe import Recipe

__all__ = ["Explicit", "Learned", "log_bernoulli", "marginal_logits"]


class Explicit(GenerativeModel):
    """A model with an exact density.

    Args:
        shape: Shape of one example.
        domain: Domain of its values.
        ordering: See plausible.models.ordering.
        ordering_seed: Seed of the random ordering.

    Attributes:
        size: D, the variables of one example.
        order: (D,), int64: order[i] is the place in the flattened example of the i-th variable.

    Raises:
        PlausibleError: the domain is none of the class's `domains`, or the ordering is no permutation.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary",)
    recipe: ClassVar[Recipe | None] = None
    way_to_complete: ClassVar[str] = "take an ordering that begins with what is given"
    order: Tensor

    def __init__(
        self, shape: Sequence[int], domain: Domain, ordering: Ordering = "raster", ordering_seed: int = 0
    ) -> None:
        super().__init__(shape, domain)
        self.size = math.prod(self.shape)
        order = permutation(ordering, self.shape, ordering_seed)
        self.as_stored = torch.equal(order, torch.arange(self.size))
        """Whether the order is that of the flattened example: then nothing is indexed."""
        self.register_buffer("order", order)

    # ------------------------------------------------------------------ what a child says
    def turns(self) -> Sequence[Turn]:
        """None: what is counted in `prepare` is not trained."""
        return ()

    def terms(self, x: Tensor) -> Tensor:
        """log p(x_i | x_<i), (B, D) → (B, D), nats; differentiable in the weights."""
        raise NotImplementedError(f"{type(self).__name__} must define terms()")

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        """Sample what follows the first `known` variables, (n, D) → (n, D), from torch's global random state.

        The plain way for binary values: D − known evaluations of all terms. What a child does instead must give the
        same distribution.
        """
        x = x.clone()
        for i in range(known, self.size):
            x[:, i] = 1
            x[:, i] = torch.bernoulli(self.terms(x)[:, i].exp())
        return x

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """Sample the variables that are not given from their distribution given those that are.

        Args:
            x: (n, D), the same in every row; what is not given is ignored.
            given: (D,), bool, in the model's order.

        Raises:
            PlausibleError: the model cannot condition on these.
        """
        known = int(given.sum())
        if not bool(given[:known].all()):
            late = int(given.nonzero().max())
            others = "copula" if self.domain == "real" else "independent, markov, table"
            raise PlausibleError(
                f"{type(self).__name__} completes exactly only what follows the given values in its order, but "
                f"variable {late} of the order is given and {late + 1 - known} before it are not: "
                f"{self.way_to_complete}, or take a model that conditions on anything: {others}"
            )
        return self.sample_rest(x, known)

    @property
    def one_order(self) -> bool:
        """Whether the density is one chain of conditionals; the mean of several, in different orders, has no terms."""
        return True

    @property
    def free_parameters(self) -> int:
        """How many numbers the density depends on, counted: here, every number of its parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def formula(self) -> str:
        """The same number as a formula of n, the variables, and its value: "n = 784"."""
        raise NotImplementedError(f"{type(self).__name__} must define formula")

    # ------------------------------------------------------------------ what follows from it
    @takes_examples
    def log_prob_terms(self, x: Tensor) -> Tensor:
        """log p(x_i | x_<i) of each variable in the model's own order, (B, *shape) → (B, D), nats.

        Raises:
            PlausibleError: another shape, values that are not of the model's domain, or a density without `one_order`.
        """
        return self.terms(self.ordered(self.checked(x)))

    @takes_examples
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), the sum of the terms, (B, *shape) → (B,), nats.

        Raises:
            PlausibleError: another shape, or values that are not of the model's domain.
        """
        return self.log_prob_terms(x).sum(1)

    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        if y is not None:
            raise PlausibleError(f"{type(self).__name__} is not conditional: sample it without labels")
        return self.unordered(self.sample_rest(self._blank(n), 0))

    @torch.no_grad()
    def complete(self, x: Tensor, mask: Tensor, n: int) -> Tensor:
        """Sample n examples that agree with x where it is given, from p(rest | given), exactly.

        Args:
            x: (*shape); what is not given may be anything.
            mask: (*shape), bool: True where x is given.
            n: how many.

        Returns: (n, *shape), from torch's global random state.

        Raises:
            PlausibleError: n < 1, another shape, given values outside the domain, or a mask that the model's order
                does not allow; the message says what would do.
        """
        if n < 1:
            raise PlausibleError(f"n must be at least 1, not {n}")
        if tuple(mask.shape) != self.shape or mask.dtype != torch.bool:
            raise PlausibleError(
                f"mask must be {self.shape}, bool, not {tuple(mask.shape)}, {str(mask.dtype).removeprefix('torch.')}"
            )
        blank = self._blank(n)
        mask, x = mask.to(blank.device), x.to(blank)
        if tuple(x.shape) == self.shape:
            x = torch.where(mask, x, torch.zeros_like(x))
        x = self.ordered(self.checked(x[None]))
        return self.unordered(self.sample_given(x.repeat(n, 1), mask.flatten()[self.order]))

    def ordered(self, x: Tensor) -> Tensor:
        """Examples, (B, *shape), as variables in the model's order, (B, D)."""
        x = x.flatten(1)
        return x if self.as_stored else x[:, self.order]

    def unordered(self, x: Tensor) -> Tensor:
        """And back."""
        flat = torch.empty_like(x)
        flat[:, self.order] = x
        return flat.unflatten(1, self.shape)

    def _blank(self, n: int) -> Tensor:
        """Zeros of the model's own kind, (n, D)."""
        like = next(t for t in (*self.parameters(), *self.buffers()) if t.is_floating_point())
        return like.new_zeros(n, self.size)

    def checked(self, x: Tensor) -> Tensor:
        """Examples, (B, *shape), as they are, if the model has a density of such."""
        if tuple(x.shape[1:]) != self.shape:
            raise PlausibleError(f"{type(self).__name__} knows {self.shape}, not {tuple(x.shape[1:])}")
        if self.domain == "binary" and not torch.equal(x, x.bool().to(x.dtype)):
            raise PlausibleError(
                f"{type(self).__name__} gives probabilities of 0 and 1 alone: binarize the data with the view "
                ":binary, such as digits:binary"
            )
        return x


class Learned(Explicit):
    """A model with an exact density that is learnt by raising the likelihood: one turn that lowers −log p(x).

    Args:
        shape: Shape of one example.
        domain: Domain of its values.
        ordering: See plausible.models.ordering.
        ordering_seed: Seed of the random ordering.
        l2: λ of the penalty λ·Σ w², nats, over every weight that is no bias.
    """

    recipe = Recipe()

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain,
        ordering: Ordering = "raster",
        ordering_seed: int = 0,
        l2: float = 0.0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        self.l2 = l2

    def turns(self) -> Sequence[Turn]:
        return (Turn("likelihood", self.loss, [self]),)

    def loss(self, batch: Batch) -> Loss:
        """−log p(x), nats per example, and the penalty."""
        return Loss({"nll": -self.terms(self.ordered(batch.x)).sum(1), **self.penalty()})

    def penalty(self) -> dict[str, Tensor]:
        """λ·Σ w², (), where there is one."""
        if not self.l2:
            return {}
        weights = [parameter for parameter in self.parameters() if parameter.dim() > 1]
        return {"l2": self.l2 * torch.stack([weight.square().sum() for weight in weights]).sum()}


def log_bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x) of x in {0, 1} under p(1) = sigmoid(logit), elementwise, nats; exact in both tails."""
    return logsigmoid((2 * x - 1) * logits)


def marginal_logits(data: Any, order: Tensor, smoothing: float) -> Tensor:
    """log (ones + a)/(zeros + a) of each variable over the training rows, in the model's order, (D,), float64.

    Args:
        data: has `blocks()`, an iterator of (rows, *shape) arrays of 0 and 1.
        order: (D,).
        smoothing: a, what each count begins with.
    """
    rows, ones = 0, torch.zeros(len(order), dtype=torch.float64)
    for block in data.blocks():
        rows, ones = rows + len(block), ones + torch.from_numpy(block).flatten(1).sum(0, dtype=torch.float64)
    ones = ones[order.cpu()]
    return (ones + smoothing).log() - (rows - ones + smoothing).log()
