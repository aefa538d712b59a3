"""Independence and conditional independence of variables in a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Independence", "measure_dependence"]

_ROUNDING = 1e-12  # a violation below this is float64's rounding of a table that is independent


@dataclass(frozen=True)
class Independence:
    """Is x ⊥ y | z? True when P(x, y | z) = P(x | z) P(y | z) for every x, y and every z with P(z) > 0.

    violation: the largest |P(x, y | z) − P(x | z) P(y | z)|, a difference of probabilities, in [0, 1/4].
    where: the outcome of all variables at which it is reached. independent: violation ≤ 1e-12. Truth-valued.
    """

    independent: bool
    violation: float
    where: Mapping[str, Hashable]

    def __bool__(self) -> bool:
        return self.independent

    def __str__(self) -> str:
        place = ", ".join(f"{name}={value}" for name, value in self.where.items())
        verdict = "independent" if self.independent else "dependent"
        return f"{verdict}: largest violation {self.violation:.3g} at {place}"


def measure_dependence(
    values: Mapping[str, tuple[Hashable, ...]], probabilities: np.ndarray, groups: Sequence[Sequence[str]]
) -> Independence:
    """The largest violation of x ⊥ y | z.

    Args:
        values: variable → its outcomes.
        probabilities: P(x, y, z), one axis per variable, those of x first, then y, then z.
        groups: the names in x, in y and in z.
    """
    sizes = [int(np.prod([len(values[name]) for name in group])) for group in groups]
    cube = probabilities.reshape(sizes)  # (x, y, z)
    weight = cube.sum(axis=(0, 1))
    given_z = np.divide(cube, weight, out=np.zeros_like(cube), where=weight > 0)  # P(x, y | z)
    product = given_z.sum(axis=1, keepdims=True) * given_z.sum(axis=0, keepdims=True)
    gap = np.abs(given_z - product).reshape(probabilities.shape)
    at = np.unravel_index(gap.argmax(), gap.shape)
    where = {name: values[name][place] for name, place in zip(values, at, strict=True)}
    violation = float(gap.max())
    return Independence(violation <= _ROUNDING, violation, where)
