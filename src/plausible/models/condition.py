"""Conditional models p(x | y): the class y of an example as a one-hot condition.

Then p(x) = Σ_y p(y) p(x | y), with p(y) counted over the training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from plausible.errors import PlausibleError

__all__ = ["Classes"]


class Classes(nn.Module):
    """p(y), and y as a one-hot vector that is concatenated to a network's input.

    Of an unconditional model `classes` is 0: its vectors are empty, and to give it a y is an error.

    Args:
        classes: Number of classes, numbered from 0; 0: the model is unconditional.

    Attributes:
        log_share: log p(y), (classes,), nats; uniform until `prepare`.
    """

    log_share: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        shares = torch.zeros(classes).log_softmax(0)
        self.register_buffer("log_share", shares, persistent=classes > 0)

    def __len__(self) -> int:
        return len(self.log_share)

    def prepare(self, data: Any) -> None:
        """Count the labels of the training rows.

        Raises:
            PlausibleError: the model is conditional, and the rows have no labels, or labels that are no class.
        """
        if not len(self):
            return
        if data.y is None:
            raise PlausibleError(
                f"--classes {len(self)} needs labels, and these data have none: give data with y, or --classes 0"
            )
        if data.y.min() < 0 or data.y.max() >= len(self):
            raise PlausibleError(
                f"--classes {len(self)}: the data's labels go to {data.y.max()}, so give --classes {data.y.max() + 1}"
            )
        counts = torch.bincount(torch.from_numpy(data.y), minlength=len(self))
        self.log_share.copy_((counts.double() / counts.sum()).log())

    def one_hot(self, y: Tensor | None, n: int) -> Tensor:
        """Labels as one-hot vectors, (n,) → (n, classes).

        Args:
            y: (n,), integers; a model that is not conditional does not look at it.
            n: how many.

        Raises:
            PlausibleError: the model is conditional, and there is no y, or labels that are no class.
        """
        if not len(self):
            return self.log_share.new_zeros(n, 0)
        if y is None:
            raise PlausibleError("this model is conditional: give the labels y")
        y = y.to(self.log_share.device)
        if tuple(y.shape) != (n,) or y.is_floating_point() or not bool(((y >= 0) & (y < len(self))).all()):
            raise PlausibleError(
                f"y must be {n} whole numbers from 0 to {len(self) - 1}, not {y.flatten().tolist()[:9]}"
            )
        return one_hot(y.long(), len(self)).to(self.log_share)

    def sampled(self, y: Tensor | None, n: int) -> Tensor:
        """As `one_hot`; where a conditional model is given none, y ~ p(y), from torch's global random state.

        Raises:
            PlausibleError: y without classes, or labels that are no class.
        """
        if y is not None and not len(self):
            raise PlausibleError(
                "this model is not conditional: sample it without labels, or train a model with --classes"
            )
        if y is None and len(self):
            y = torch.multinomial(self.log_share.exp(), n, replacement=True)
        return self.one_hot(y, n)

    def concatenate(self, x: Tensor, y: Tensor) -> Tensor:
        """x and one-hot labels concatenated, (n, d) and (n, classes) → (n, d + classes); unconditional: x."""
        return torch.cat([x, y], 1) if len(self) else x

    def marginalize(self, log_prob: Callable[[Tensor], Tensor], n: int) -> Tensor:
        """log Σ_y p(y) exp log_prob(y), (n,), nats: log p(x) from log p(x | y), or a bound of it from bounds.

        Args:
            log_prob: one-hot labels, (n, classes) → (n,).
            n: how many examples.
        """
        if not len(self):
            return log_prob(self.one_hot(None, n))
        return self.joint(log_prob, n).logsumexp(1)

    def expectation(
        self,
        value: Callable[[Tensor], Tensor],
        n: int,
        log_prob: Callable[[Tensor], Tensor] = lambda y: y.new_zeros(len(y)),
    ) -> Tensor:
        """Σ_y p(y|·) value(y), (n, …), with p(y|·) ∝ p(y) exp log_prob(y): the expectation over y of a value.

        Args:
            value: one-hot labels, (n, classes) → (n, …).
            n: how many examples.
            log_prob: of what is known of each example, given y: one-hot labels → (n,), nats; default nothing.
        """
        if not len(self):
            return value(self.one_hot(None, n))
        shares = self.joint(log_prob, n).softmax(1)
        return torch.einsum("nk,nk...->n...", shares, torch.stack([value(y) for _, y in self.each(n)], 1))

    def argmax(self, log_prob: Callable[[Tensor], Tensor], n: int) -> Tensor:
        """The y that makes p(y) exp log_prob(y) largest for each example, as one-hot vectors, (n, classes).

        Args:
            log_prob: one-hot labels, (n, classes) → (n,), nats.
            n: how many examples.
        """
        return self.one_hot(self.joint(log_prob, n).argmax(1) if len(self) else None, n)

    def each(self, n: int) -> Iterator[tuple[Tensor, Tensor]]:
        """log p(y), (), and y as n one-hot vectors, of one class after the other."""
        for share, y in zip(self.log_share, torch.eye(len(self)).to(self.log_share), strict=True):
            yield share, y.expand(n, -1)

    def joint(self, log_prob: Callable[[Tensor], Tensor], n: int) -> Tensor:
        """log p(y) + log_prob(y), (n, classes)."""
        return torch.stack([share + log_prob(y) for share, y in self.each(n)], 1)
