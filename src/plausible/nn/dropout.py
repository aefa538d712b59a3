"""Dropout with a byte of randomness for each unit."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["drop_units"]


def drop_units(x: Tensor, share: float) -> Tensor:
    """Each unit 0 with a probability of `share`, to the nearest 256th, and else scaled by 1/(1 − share).

    torch's own draws a 53-bit number for each unit, which takes longer than a small layer does.
    """
    cut = round(256 * share)
    if not cut:
        return x
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= cut
    return x * kept.to(x) * (256 / (256 - cut))
