"""Orderless NADE: one network for the conditionals of all orderings, and the mean of some of them as a density."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, takes_examples
from plausible.models.explicit import Learned, log_bernoulli, marginal_logits
from plausible.models.ordering import Ordering
from plausible.models.registry import Preset
from plausible.nn.linear import Linear
from plausible.nn.mlp import mlp
from plausible.recipe import Recipe

__all__ = ["OrderlessNADE"]


class OrderlessNADE(Learned):
    """Orderless NADE (Uria, Murray & Larochelle, 2014): a perceptron (x·m, m) → p(x_i = 1 | x where m = 1), any mask m.

    Training draws for each example how many variables are known, and which, and lowers the mean over the rest, times n:
    an unbiased estimate of −log p(x) in an ordering drawn at random,

        E over d and m, Σm = d − 1, of  n/(n − d + 1) · Σ_{i: m_i = 0} −log p(x_i | x·m, m).

    Its orderings are different densities. The first is `ordering`; `orders` K > 1 takes the mean over it and K − 1
    random ones, p(x) = 1/K Σ_k p_k(x) (EoNADE), whose terms belong to no one ordering: log_prob_terms is an error. A
    completion is drawn, exactly, from an ordering that begins with what is given: any mask does.

    Args:
        hidden: ReLU units of the hidden layers.
        orders: K, orderings of the density.
        orders_seed: Seed of the random orderings.
        ordering: Order of the variables, the first one.
        ordering_seed: Seed of that ordering, if it is random.
        l2: λ of a penalty λ·Σ w², nats, over all weights.
    """

    recipe = Recipe(lr=1e-3, lr_decay=1.00002, momentum=0.9)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset("two layers of 500 ReLU units, Adam 1e-3", training={"batch": 100, "ema": 0.999}),
        "uria2014": Preset(
            "two layers of 500 ReLU units, momentum .9 from 1e-3, 128 orderings: the paper's for binarized MNIST",
            model={"orders": 128},
            recipe={"optimizer": "sgd", "lr_decay": 1.00001},
            training={"batch": 100, "epochs": 1000},
        ),
    }
    completes_apart: ClassVar[str] = "of any mask it completes by another ordering's density"
    orders: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        hidden: tuple[PositiveInt, ...] = (500, 500),
        orders: PositiveInt = 1,
        orders_seed: NonNegativeInt = 0,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
        l2: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed, l2)
        if not hidden:
            raise PlausibleError("orderless: no hidden layer is left: give hidden at least one width")
        random = torch.Generator().manual_seed(orders_seed)
        others = [torch.randperm(self.size, generator=random) for _ in range(orders - 1)]
        self.register_buffer("orders", torch.stack([torch.arange(self.size), *others]))
        self.network = mlp((2 * self.size, *hidden, self.size), activation="relu")

    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Start the outputs' biases at the independent pixels."""
        self._layers[-1].bias.copy_(marginal_logits(data, self.order, 1.0))

    # ------------------------------------------------------------------ training
    def loss(self, batch: Batch) -> Loss:
        x = self.ordered(batch.x)
        known = torch.randint(self.size, (len(x), 1), device=x.device)  # d − 1
        place = torch.rand_like(x).argsort(1).argsort(1)
        mask = (place < known).to(x)
        terms = log_bernoulli(self.network(torch.cat([x * mask, mask], 1)), x) * (1 - mask)
        return Loss({"nll": -terms.sum(1) * self.size / (self.size - known.squeeze(1)), **self.penalty()})

    # ------------------------------------------------------------------ the density
    @property
    def one_order(self) -> bool:
        return len(self.orders) == 1

    def terms(self, x: Tensor) -> Tensor:
        if not self.one_order:
            raise PlausibleError(
                "the mean over several orderings has no terms in one order: set orders to 1, or ask for log_prob"
            )
        return self.chain(x, self.orders[0])

    @takes_examples
    def log_prob(self, x: Tensor) -> Tensor:
        x = self.ordered(self.checked(x))
        each = torch.stack([self.chain(x, order).sum(1) for order in self.orders])
        return each.logsumexp(0) - math.log(len(self.orders))

    def chain(self, x: Tensor, order: Tensor) -> Tensor:
        """log p(x_i | those before it in `order`), (B, D) → (B, D), column d for the d-th of `order`, nats."""
        return torch.stack([log_bernoulli(logit, x[:, place]) for logit, place in self._walk(x, order)], 1)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        """From nothing, each row by one of the orderings; what begins the first ordering is completed along it."""
        x, orders = x.clone(), self.orders if known == 0 else self.orders[:1]
        chosen = torch.randint(len(orders), (len(x),), device=x.device)
        for which in chosen.unique().tolist():
            rows = chosen == which
            x[rows] = self._sample_along(x[rows], orders[which], known)
        return x

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """By the ordering that begins with what is given and goes on in the model's own order."""
        return self._sample_along(x.clone(), torch.argsort(~given, stable=True), int(given.sum()))

    def _sample_along(self, x: Tensor, order: Tensor, known: int) -> Tensor:
        """Sample what follows the first `known` variables of an order, into x."""
        for d, (logit, place) in enumerate(self._walk(x, order)):
            if d >= known:
                x[:, place] = torch.bernoulli(logit.sigmoid())
        return x

    def _walk(self, x: Tensor, order: Tensor) -> Iterator[tuple[Tensor, int]]:
        """The logit of each variable of an order given those before it, (B,), and its place; x is read one at a time.

        A variable that becomes known adds its two columns to the first layer's sum.
        """
        first, *between, last = self._layers
        value, known = first.weight.split(self.size, 1)
        a = first.bias.expand(len(x), -1)
        for place in order.tolist():
            h = a.relu()
            for layer in between:
                h = layer(h).relu()
            yield h @ last.weight[place] + last.bias[place], place
            a = a + x[:, place, None] * value[:, place] + known[:, place]

    @property
    def _layers(self) -> list[Linear]:
        return [cast(Linear, layer) for layer in self.network if isinstance(layer, nn.Linear)]

    # ------------------------------------------------------------------ how large it is
    @property
    def formula(self) -> str:
        widths = [2 * self.size, *(layer.out_features for layer in self._layers)]
        parts = " + ".join(f"({a} + 1)·{b}" for a, b in pairwise(widths))
        return f"{parts} = {self.free_parameters} (n = {self.size})"
