"""The step between the values of a column: 1 of whole numbers, 0.01 of prices."""

from __future__ import annotations

import numpy as np

__all__ = ["find_step"]

FINEST = 12
"""The step may be the smallest gap between two values divided by 1, …, FINEST: small sets miss some levels."""
_EPSILON = float(np.finfo(np.float32).eps)


def find_step(values: np.ndarray) -> tuple[float, float]:
    """(low, step) such that every value is low + k·step, k whole, to float32's precision; step 0 where there is none.

    The step is the smallest gap between two values, or a whole fraction of it; steps so fine that float32 hardly
    resolves them do not count. Of a constant the step is that of its last decimal.
    """
    levels = np.unique(values)
    low, high = float(levels[0]), float(levels[-1])
    rounding = 4 * _EPSILON * max(abs(low), abs(high))
    gaps = np.diff(levels)
    gaps = gaps[gaps > rounding]
    if not len(gaps):
        return low, _last_decimal(low)
    for divisor in range(1, FINEST + 1):
        count = round((high - low) / (gaps.min() / divisor))
        step = (high - low) / count
        if step < 16 * rounding:
            break
        steps = (levels - low) / step
        if np.abs(steps - np.rint(steps)).max() * step <= rounding:
            return low, step
    return low, 0.0


def _last_decimal(value: float) -> float:
    """1 for 3.0, 0.01 for 3.25: the unit of the last digit that float32 needs to write the value."""
    decimals = np.format_float_positional(np.float32(value), trim="-").partition(".")[2]
    return 10.0 ** -len(decimals)
