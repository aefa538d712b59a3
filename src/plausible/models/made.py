"""Masked autoencoder for distribution estimation: one perceptron whose masks make its outputs autoregressive."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, Loss, takes_examples
from plausible.models.explicit import Learned, log_bernoulli, marginal_logits
from plausible.models.ordering import Ordering
from plausible.models.registry import Preset
from plausible.nn.linear import Linear, product

__all__ = ["MADE"]


PRIOR = 14.0
"""The default penalty is so much, divided by the training rows: of .4, 1.4, 4, 10 and 14 best on the valid rows of dna
(UCI)."""
_Connectivity = Literal["sampled", "strided"]


class MADE(Learned):
    """MADE (Germain et al., 2015): a ReLU perceptron x → logits whose i-th output sees x_<i alone.

    Each hidden unit has a degree d, the last variable it may see: a connection to it is open from degrees ≤ d, and one
    to output i from degrees < i. With several masks, tick t trains mask t mod `masks`.

    With `test_masks` K > 1 the density is the mean over the first K masks, p(x) = 1/K Σ_k p_k(x), whose logarithm is
    exact: log p(x) = logsumexp_k log p_k(x) − log K. Masks that share one order also share its terms; with
    order_agnostic they do not, and log_prob_terms is an error.

    Args:
        hidden: Units of the hidden layers.
        masks: Number of masks that take turns in training.
        test_masks: Number of masks that the density is the mean of.
        connectivity: Degrees drawn uniformly from the previous layer's least to n − 1, or spread evenly (one mask).
        order_agnostic: Each mask but the first has an order of its own, drawn at random.
        mask_seed: Seed of degrees and orders.
        direct: Whether x_<i also reaches output i directly, by a logistic regression.
        ordering: Order of the variables.
        ordering_seed: Seed of the random ordering.
        l2: λ of a penalty λ·Σ w², nats, over all weights. By default 14 divided by the number of training rows, over
            the layers' weights alone: a Gaussian prior of variance 1/28 on each, and none on the direct ones, so that
            few rows leave at least a logistic regression.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "500 ReLU units, one mask, Adam 1e-3, a penalty by the number of rows", training={"batch": 100}
        ),
        "uci": Preset(
            "32 masks, each of an order of its own, and a penalty as chosen on the valid rows of UCI's dna",
            model={"masks": 32, "test_masks": 32, "order_agnostic": True, "l2": 3e-4},
            recipe={"lr": 3e-3},
            training={"batch": 100, "epochs": 400},
        ),
        "germain2015": Preset(
            "two layers of 8,000 ReLU units, 32 masks, Adagrad .01: the paper's for binarized MNIST",
            model={"hidden": (8000, 8000), "masks": 32, "test_masks": 32, "l2": 0.0},
            recipe={"optimizer": "adagrad", "lr": 0.01},
            training={"batch": 100},
        ),
    }
    ranks: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        hidden: tuple[PositiveInt, ...] = (500,),
        masks: PositiveInt = 1,
        test_masks: PositiveInt = 1,
        connectivity: _Connectivity = "sampled",
        order_agnostic: bool = False,
        mask_seed: NonNegativeInt = 0,
        direct: bool = True,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
        l2: NonNegativeFloat | None = None,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed, l2 or 0.0)
        self.has_default_l2 = l2 is None
        if test_masks > masks:
            raise PlausibleError(f"made: test_masks {test_masks} is more than the {masks} masks there are")
        if masks > 1 and connectivity == "strided" and not order_agnostic:
            raise PlausibleError(
                "made: strided masks of one order are all the same: drop masks, or sample them"
            )
        if not hidden:
            raise PlausibleError("made: no hidden layer is left: that model is fvsbn")
        self.masks, self.test_masks, self.order_agnostic = masks, test_masks, order_agnostic
        random = torch.Generator().manual_seed(mask_seed)
        self.register_buffer("ranks", _random_ranks(masks if order_agnostic else 1, self.size, random))
        for layer, degrees in enumerate(_random_degrees(masks, self.size, hidden, connectivity, random)):
            self.register_buffer(f"degrees{layer}", degrees)
        widths = (self.size, *hidden, self.size)
        self.layers = nn.ModuleList(Linear(*pair) for pair in pairwise(widths))
        self.direct = nn.Parameter(torch.zeros(self.size, self.size)) if direct else None

    @torch.no_grad()
    def prepare(self, data: Any) -> None:
        """Start the outputs' biases at the independent pixels, and set the default penalty."""
        if self.has_default_l2:
            self.l2 = PRIOR / len(data)
        self.linears[-1].bias.copy_(marginal_logits(data, self.order, 1.0))

    def penalty(self) -> dict[str, Tensor]:
        """λ·Σ w²; the default λ leaves out the direct weights."""
        if not self.has_default_l2 or self.direct is None:
            return super().penalty()
        weights = [linear.weight.square().sum() for linear in self.linears]
        return {"l2": self.l2 * torch.stack(weights).sum()}

    @property
    def linears(self) -> list[Linear]:
        """The hidden layers and the output, without their masks."""
        return [cast(Linear, layer) for layer in self.layers]

    # ------------------------------------------------------------------ one mask
    def rank(self, mask: int) -> Tensor:
        """The place of each variable in the mask's order, counted from 0, (D,), int64."""
        return self.ranks[mask if self.order_agnostic else 0]

    def degrees(self, mask: int) -> list[Tensor]:
        """What each unit may see: the first so many variables of the mask's order; for hidden layers and outputs."""
        hidden = [getattr(self, f"degrees{layer}")[mask] for layer in range(len(self.linears) - 1)]
        return [*hidden, self.rank(mask)]

    def opened(self, mask: int) -> Iterator[Tensor]:
        """Which connections are open, bool, (outputs, inputs): of each layer, and of the direct one, last."""
        inputs = known = self.rank(mask) + 1
        for degrees in self.degrees(mask):
            yield inputs <= degrees[:, None]
            inputs = degrees
        yield known <= self.rank(mask)[:, None]

    def logits(self, x: Tensor, mask: int) -> Tensor:
        """Of each variable given those before it in the mask's order, (B, D) → (B, D)."""
        *layers, direct = self.opened(mask)
        h = x
        for layer, (linear, open_) in enumerate(zip(self.linears, layers, strict=True)):
            h = product(h.relu() if layer else h, linear.weight * open_, linear.bias)
        return h if self.direct is None else h + product(x, self.direct * direct, None)

    def loss(self, batch: Batch) -> Loss:
        x = self.ordered(batch.x)
        terms = log_bernoulli(self.logits(x, (batch.tick - 1) % self.masks), x)
        return Loss({"nll": -terms.sum(1), **self.penalty()})

    # ------------------------------------------------------------------ the mean of several
    @property
    def one_order(self) -> bool:
        return self.test_masks == 1 or not self.order_agnostic

    def terms(self, x: Tensor) -> Tensor:
        """log p(x_i | x_<i), (B, D); of several masks S_i − S_{i−1}, S_i = log 1/K Σ_k p_k(x_1, …, x_i)."""
        if self.test_masks == 1:
            return log_bernoulli(self.logits(x, 0), x)
        if not self.one_order:
            raise PlausibleError(
                "the mean over masks of different orders has no terms in one order: set test_masks to 1, or ask for "
                "log_prob"
            )
        return (
            self._beginnings(x)
            .logsumexp(0)
            .sub(math.log(self.test_masks))
            .diff(dim=1, prepend=x.new_zeros(len(x), 1))
        )

    @takes_examples
    def log_prob(self, x: Tensor) -> Tensor:
        if self.one_order:
            return super().log_prob(x)
        x = self.ordered(self.checked(x))
        each = [log_bernoulli(self.logits(x, mask), x).sum(1) for mask in range(self.test_masks)]
        return torch.stack(each).logsumexp(0) - math.log(self.test_masks)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        """Each row by one mask, sampled in proportion to what it gives the known beginning."""
        if self.test_masks == 1:
            return self._sample_by(0, x, known)
        weights = x.new_zeros(len(x), self.test_masks)
        if known:
            if not self.one_order:
                raise PlausibleError(
                    "masks of different orders cannot complete one beginning: set test_masks to 1"
                )
            weights = self._beginnings(x)[:, :, known - 1].t()
        chosen = torch.multinomial(weights.softmax(1), 1).squeeze(1)
        found = x.clone()
        for mask in chosen.unique().tolist():
            rows = chosen == mask
            found[rows] = self._sample_by(mask, x[rows], known)
        return found

    def _beginnings(self, x: Tensor) -> Tensor:
        """log p_k(x_1, …, x_i), (K, B, D), of masks of one order."""
        return torch.stack(
            [log_bernoulli(self.logits(x, mask), x).cumsum(1) for mask in range(self.test_masks)]
        )

    def _sample_by(self, mask: int, x: Tensor, known: int) -> Tensor:
        """Sample by one mask at the cost of one evaluation, not D: a unit is computed once all its inputs are sampled.

        What is not sampled or computed yet is 0, so that no product needs a mask.
        """
        seen = torch.zeros_like(x)
        values = [seen, *(x.new_zeros(len(x), linear.out_features) for linear in self.linears[:-1])]
        due = [_by_degree(degrees, self.size) for degrees in self.degrees(mask)]
        for rank in range(self.size):
            *hidden, output = (units[rank] for units in due)
            place = int(output)
            for below, above, linear, units in zip(values, values[1:], self.linears, hidden, strict=False):
                above[:, units] = torch.addmm(linear.bias[units], below, linear.weight[units].t()).relu()
            logit = self.linears[-1].bias[place] + values[-1] @ self.linears[-1].weight[place]
            if self.direct is not None:
                logit = logit + seen @ self.direct[place]
            seen[:, place] = x[:, place] if rank < known else torch.bernoulli(logit.sigmoid())
        return seen

    # ------------------------------------------------------------------ how large it is
    @property
    def free_parameters(self) -> int:
        return self._open_weights() + sum(linear.out_features for linear in self.linears)

    @property
    def formula(self) -> str:
        """No closed form: weights open in any of the masks of the density, and biases."""
        biases = " + ".join(str(linear.out_features) for linear in self.linears)
        return f"{self._open_weights()} open weights + {biases} biases = {self.free_parameters} (n = {self.size})"

    def _open_weights(self) -> int:
        *layers, direct = zip(*(self.opened(mask) for mask in range(self.test_masks)), strict=True)
        counted = layers if self.direct is None else [*layers, direct]
        return sum(int(torch.stack(masks).any(0).sum()) for masks in counted)


def _random_ranks(orders: int, size: int, random: torch.Generator) -> Tensor:
    """The first order is the model's own, the others are drawn, (orders, D), int64."""
    others = [torch.randperm(size, generator=random) for _ in range(orders - 1)]
    return torch.stack([torch.arange(size), *others])


def _random_degrees(
    masks: int, size: int, hidden: Sequence[int], connectivity: _Connectivity, random: torch.Generator
) -> list[Tensor]:
    """The degrees of each hidden layer's units, 1 … n − 1, (masks, units), int64."""
    most = max(1, size - 1)
    if connectivity == "strided":
        return [(1 + torch.arange(units) * most // units).expand(masks, -1).clone() for units in hidden]
    found, least = [], torch.ones(masks, 1)
    for units in hidden:
        share = torch.rand(masks, units, generator=random)
        found.append((least + share * (most + 1 - least)).floor().clamp(max=most).long())
        least = found[-1].amin(1, keepdim=True)
    return found


def _by_degree(degrees: Tensor, size: int) -> Sequence[Tensor]:
    """The units of each degree 0 … size − 1."""
    return degrees.argsort(stable=True).split(torch.bincount(degrees, minlength=size).tolist())
