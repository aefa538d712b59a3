"""Ordinary differential equations dx/dt = v(x, t) by fixed steps, and the divergence of v.

Fixed steps make the result for a row a function of that row alone, whatever the others of its batch are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

__all__ = ["EVALUATIONS", "SOLVERS", "Solver", "divergence", "solve", "times_of"]

Solver = Literal["euler", "heun", "rk4"]
Field = Callable[[Tensor, float], Tensor]
"""x, (B, …), and t → dx/dt, (B, …)."""


def times_of(steps: int, bend: float = 1.0) -> list[float]:
    """0 = t_0 < … < t_steps = 1, t_i = 1 − (1 − i/steps)^bend: at equal distances, or shorter and shorter ones."""
    return [1 - (1 - step / steps) ** bend for step in range(steps + 1)]


def solve(field: Field, x: Tensor, times: Sequence[float], solver: Solver) -> Tensor:
    """x at the last of the times, from x at the first, a step for each two neighbours.

    Args:
        field: v.
        x: (B, …).
        times: rising, or falling to go back.
        solver: see SOLVERS.
    """
    step = SOLVERS[solver]
    for start, end in pairwise(times):
        x = step(field, x, start, end)
    return x


def _euler(field: Field, x: Tensor, t: float, end: float) -> Tensor:
    return x + (end - t) * field(x, t)


def _heun(field: Field, x: Tensor, t: float, end: float) -> Tensor:
    first = field(x, t)
    second = field(x + (end - t) * first, end)
    return x + (end - t) / 2 * (first + second)


def _rk4(field: Field, x: Tensor, t: float, end: float) -> Tensor:
    h, middle = end - t, (t + end) / 2
    a = field(x, t)
    b = field(x + h / 2 * a, middle)
    c = field(x + h / 2 * b, middle)
    d = field(x + h * c, end)
    return x + h / 6 * (a + 2 * (b + c) + d)


SOLVERS: dict[Solver, Callable[[Field, Tensor, float, float], Tensor]] = {
    "euler": _euler,
    "heun": _heun,
    "rk4": _rk4,
}
"""Name → one step, of order 1, 2 and 4."""

EVALUATIONS: dict[Solver, int] = {"euler": 1, "heun": 2, "rk4": 4}
"""Name → evaluations of v in a step."""


def divergence(field: Callable[[Tensor], Tensor], x: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """v(x), and Σ_k p_kᵀ (∂v/∂x) p_k of each row, by one backward pass for each probe.

    Of the unit vectors as probes that sum is the divergence; of one vector of random signs it is an unbiased estimate
    of it (Hutchinson, 1990).

    Args:
        field: (B, D) → (B, D), of each row alone.
        x: (B, D).
        probes: (K, B, D) or (K, 1, D).

    Returns: (B, D) and (B,), without gradients.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        v = field(x)
        total = x.new_zeros(len(x))
        for place, probe in enumerate(probes):
            last = place == len(probes) - 1
            (slope,) = torch.autograd.grad((v * probe).sum(), x, retain_graph=not last)
            total = total + (slope * probe).sum(1)
    return v.detach(), total.detach()
