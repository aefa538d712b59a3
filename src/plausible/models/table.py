"""All variables dependent: the notes' 2ⁿ − 1 parameters, one for each thing there could be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import Domain
from plausible.models.explicit import Explicit
from plausible.models.ordering import Ordering

__all__ = ["FullTable"]


_MOST = 20


class FullTable(Explicit):
    """The full joint table of at most 20 binary variables: p(x) = (count(x) + a/2ⁿ)/(N + a), fitted by counting.

    It can be any distribution, and knows nothing of what it has not seen: of n pixels it would need 2ⁿ rows.

    Args:
        smoothing: a > 0, the pseudo-count of all 2ⁿ cells together.
        ordering: Order of the terms; the density does not depend on it.
        ordering_seed: Seed of the random ordering.

    Attributes:
        logs: (2^D,): log p(x) of every x, whose highest bit is the first variable of the order.
    """

    logs: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        smoothing: PositiveFloat = 1.0,
        ordering: Ordering = "raster",
        ordering_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, ordering, ordering_seed)
        if self.size > _MOST:
            raise PlausibleError(
                f"table: {self.size} dependent variables need 2^{self.size} − 1 parameters, and it takes {_MOST} "
                "variables at most: take independent, markov, or an autoregressive model such as fvsbn"
            )
        self.smoothing = smoothing
        uniform = torch.full((1 << self.size,), 2.0**-self.size)
        self.register_buffer("logs", uniform.log())

    def prepare(self, data: Any) -> None:
        """Count every x there is."""
        counts = torch.zeros(len(self.logs), dtype=torch.float64)
        for block in data.blocks():
            cells = self._cells(self.ordered(torch.from_numpy(block)))[:, -1]
            counts += torch.bincount(cells, minlength=len(counts))
        counts += self.smoothing / len(counts)
        self.logs.copy_((counts / counts.sum()).log())

    def terms(self, x: Tensor) -> Tensor:
        cells, prefixes = self._cells(x), _folded(self.logs)
        logs = [prefix[cells[:, i]] for i, prefix in enumerate(prefixes)]
        return torch.stack(logs, 1).diff(dim=1)

    def sample_rest(self, x: Tensor, known: int) -> Tensor:
        return self._walk(self.logs, x, known)

    def sample_given(self, x: Tensor, given: Tensor) -> Tensor:
        """What disagrees with the given values is struck from the table."""
        place = torch.arange(self.size - 1, -1, -1, device=x.device)[given]
        agrees = torch.ones_like(self.logs, dtype=torch.bool)
        everything = torch.arange(len(self.logs), device=x.device)
        for bit, value in zip(place, x[0, given].long(), strict=True):
            agrees &= (everything >> bit & 1) == value
        return self._walk(self.logs.masked_fill(~agrees, -torch.inf), x, 0)

    def _walk(self, logs: Tensor, x: Tensor, known: int) -> Tensor:
        x, prefixes = x.clone(), _folded(logs)
        for i in range(known, self.size):
            so_far = self._cells(x)[:, i]
            p = (prefixes[i + 1][2 * so_far + 1] - prefixes[i][so_far]).exp()
            x[:, i] = torch.bernoulli(p.clamp(max=1))
        return x

    def _cells(self, x: Tensor) -> Tensor:
        """The number of each beginning of x, none to all of it, (B, D) → (B, D + 1), int64."""
        cells = torch.zeros(len(x), self.size + 1, dtype=torch.int64, device=x.device)
        for i in range(self.size):
            cells[:, i + 1] = 2 * cells[:, i] + x[:, i].long()
        return cells

    @property
    def free_parameters(self) -> int:
        return len(self.logs) - 1

    @property
    def formula(self) -> str:
        return f"2^n − 1 = {self.free_parameters} (n = {self.size})"


def _folded(logs: Tensor) -> list[Tensor]:
    """log p of every beginning of x: (1,), (2,), …, (2^D,), by adding up pairs from the last variable on."""
    prefixes = [logs]
    while len(prefixes[-1]) > 1:
        prefixes.append(torch.logaddexp(*prefixes[-1].view(-1, 2).unbind(1)))
    return prefixes[::-1]
