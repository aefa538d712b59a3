"""What a model may want to know of its training data before tick 0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["moments"]


def moments(data: Any) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the training rows, (features,) each, in one pass.

    Args:
        data: has `blocks()`, an iterator of (rows, *shape) arrays.
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for block in data.blocks():
        x = torch.from_numpy(block).flatten(1).double()
        count, before = count + len(x), count
        shift = x.mean(0) - mean
        squares = squares + (x - x.mean(0)).square().sum(0) + shift.square() * before * len(x) / count
        mean = mean + shift * len(x) / count
    return mean.float(), (squares / count).sqrt().float()
