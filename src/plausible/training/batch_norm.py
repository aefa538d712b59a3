"""Running statistics (batch norm's) under turns and shards."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["RunningStatistics"]


class RunningStatistics:
    """During a move only the movers' running statistics change, to the mean of what the shards make of them.

    A batch norm outside the movers normalises by its batch, as in any training, but does not remember it.

    Args:
        game: whose batch norms to mind.
        movers: the modules that move.
    """

    def __init__(self, game: nn.Module, movers: Sequence[nn.Module]) -> None:
        moving = {id(module) for mover in movers for module in mover.modules()}
        norms = [norm for norm in game.modules() if isinstance(norm, _BatchNorm) and norm.track_running_stats]
        self._still = [norm for norm in norms if id(norm) not in moving]
        self._buffers = [buffer for norm in norms if id(norm) in moving for buffer in norm.buffers()]
        self._before: list[Tensor] = []
        self.sums: list[Tensor] = []

    @contextlib.contextmanager
    def move(self) -> Generator[None]:
        """Inside, the shards of one move are evaluated, and batch norms outside the movers forget."""
        self._before, self.sums = [buffer.clone() for buffer in self._buffers], []
        for norm in self._still:
            norm.track_running_stats = False
        try:
            yield
        finally:
            for norm in self._still:
                norm.track_running_stats = True

    @contextlib.contextmanager
    def shard(self, share: float) -> Generator[None]:
        """Inside, one shard is evaluated, starting from the statistics that every shard starts from."""
        if share == 1.0:  # the only one: what it makes of them is the mean
            yield
            return
        if not self.sums:
            self.sums = [torch.zeros_like(buffer, dtype=torch.float32) for buffer in self._buffers]
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(before)
        yield
        for total, buffer in zip(self.sums, self._buffers, strict=True):
            total.add_(buffer, alpha=share)

    def settle(self) -> None:
        """Take the mean over the shards (which `sums` holds, once added up over processes) as the new state."""
        for buffer, total in zip(self._buffers, self.sums, strict=bool(self.sums)):
            buffer.copy_(total.round() if not buffer.is_floating_point() else total)

    def undo(self) -> None:
        """Put everything back as it was before the move."""
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(before)
