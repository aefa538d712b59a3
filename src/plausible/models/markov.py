"""A Markov chain along the order: the notes' conditional independence, counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import logsigmoid

from plausible.errors import PlausibleError
from plausible.game import Domain
from plausible.models.explicit import Explicit, log_bernoulli
from plausible.models.ordering import Ordering

__all__ = ["Markov"]


_ENTRIES = 1 << 26
"""The largest table: 2^26 numbers are 256 MiB."""


class Markov(Explicit):
    """Markov chain of order m: x_i depends on the m variables before it alone, by a table of its own; counted.

    p(x) = Π_i p(x_i | x_{i−m}, …, x_{i−1}),  p(1 | context) = (ones + a)/(count + 2a), at each place i for each of
    the 2^m contexts. m = 1: 1 + 2(n − 1) parameters; m = n − 1 is the fully dependent table.

    Args:
        memory: m, how many preceding variables each depends on.
        smoothing: a > 0, the pseudo-count of each value in each context.
        ordering: Order of the variables: which neighbours precede a pixel.
        ordering_seed: Seed of the random ordering.

    Attributes:
        logits: (D, 2^m): of x_i = 1 in each context, whose lowest bit is x_{i−1}; bits before the first variable are 0.
    """

    logits: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        memory: PositiveInt = 1,
        smoothing: PositiveFloat = 1.0,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        self.memory, self.smoothing = min(memory, self.size - 1), smoothing
        if self.memory > 26 or self.size << self.memory > _ENTRIES:
            most = (_ENTRIES // self.size).bit_length() - 1
            raise PlausibleError(
                f"markov: a memory of {memory} needs {self.size} tables of 2^{self.memory} contexts: take --memory "
                f"{most} or less, or a model that shares its weights, such as fvsbn"
            )
        self.register_buffer("logits", torch.zeros(self.size, 1 << self.memory))

    def prepare(self, data: Any) -> None:
        """Count the zeros and ones of each variable in each of its contexts, in one pass."""
        counts = torch.zeros(self.logits.numel() * 2, dtype=torch.int64)
        places = torch.arange(self.size) * self.logits.shape[1]
        for block in data.blocks():
            x = self.ordered(torch.from_numpy(block)).long()
            cells = (places + self._contexts(x)) * 2 + x
            counts += torch.bincount(cells.flatten(), minlength=len(counts))
        zeros, ones = (counts.view(*self.logits.shape, 2).double() + self.smoothing).log().unbind(-1)
        self.logits.copy_(ones - zeros)

    def terms(self, x: Tensor) -> Tensor:
        places = torch.arange(self.size, device=x.device)
        return log_bernoulli(self.logits[places, self._contexts(x.long())], x)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        return self._walk(self.logits, x, known)

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """Messages from the last variable to the first, then draws from the first to the last.

        b_i(c) = p(what is given from i on | context c) = Σ_v p(v | c)·[v as given]·b_{i+1}(c followed by v)
        """
        value = torch.tensor([0, 1], device=x.device)
        follows = (
            torch.arange(self.logits.shape[1], device=x.device)[:, None] * 2 + value
        ) % self.logits.shape[1]
        later, posterior = torch.zeros_like(self.logits[0]), torch.empty_like(self.logits)
        for i in reversed(range(self.size)):
            joint = torch.stack([logsigmoid(-self.logits[i]), logsigmoid(self.logits[i])], 1) + later[follows]
            if given[i]:
                joint = joint.masked_fill(value != x[0, i], -torch.inf)
            posterior[i], later = joint[:, 1] - joint[:, 0], joint.logsumexp(1)
        return self._walk(posterior, x, 0)

    def _walk(self, logits: Tensor, x: Tensor, known: int) -> Tensor:
        x = x.clone()
        context = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for i in range(self.size):
            if i >= known:
                x[:, i] = torch.bernoulli(logits[i, context].sigmoid())
            context = (context * 2 + x[:, i].long()) % logits.shape[1]
        return x

    def _contexts(self, x: Tensor) -> Tensor:
        """The number of each variable's context, (B, D) → (B, D), int64."""
        contexts = torch.zeros_like(x)
        for back in range(1, self.memory + 1):
            contexts[:, back:] += x[:, :-back] << (back - 1)
        return contexts

    @property
    def free_parameters(self) -> int:
        return sum(1 << min(i, self.memory) for i in range(self.size))

    @property
    def formula(self) -> str:
        n, m, value = self.size, self.memory, self.free_parameters
        if m == 1:
            return f"1 + 2(n − 1) = {value} (n = {n})"
        return f"2^m − 1 + 2^m·(n − m) = {value} (n = {n}, m = {m})"
