"""Averaged weights: an exponential moving average of everything the game holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Average"]


_STRIDE = 10


class Average:
    """θ̄ ← d·θ̄ + (1 − d)·θ, with d = decay^STRIDE, on every STRIDE-th tick.

    Early on d is at most (1 + u)/(10 + u) at the u-th update, so that the start is soon forgotten. Buffers are
    copied, not averaged.

    Args:
        game: whose parameters to average.
        decay: per tick, in [0, 1).
    """

    def __init__(self, game: nn.Module, decay: float) -> None:
        self.decay, self.game = decay, game
        self.state: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in game.state_dict().items()
        }

    @torch.no_grad()
    def update(self, tick: int) -> None:
        if tick % _STRIDE:
            return
        updates = tick // _STRIDE
        decay = min(self.decay**_STRIDE, (1 + updates) / (10 + updates))
        parameters = dict(self.game.named_parameters())
        if parameters:
            torch._foreach_lerp_(
                [self.state[name] for name in parameters], [p.data for p in parameters.values()], 1 - decay
            )
        self.copy_buffers()

    def copy_buffers(self) -> None:
        """Take over the game's buffers as they are now."""
        for name, buffer in self.game.named_buffers():
            if name in self.state:
                self.state[name].copy_(buffer)
