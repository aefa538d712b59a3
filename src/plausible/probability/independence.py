"""Independence and conditional independence, decided exactly on a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability.checks import as_names

if TYPE_CHECKING:
    from plausible.probability.tables import Table

ROUNDING = 1e-12  # a violation below this is float64's rounding of a table that is independent


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


def independence(
    table: Table, first: str | Sequence[str], second: str | Sequence[str], given: str | Sequence[str] = ()
) -> Independence:
    """See `Table.independence`. `first`, `second`, `given`: a variable or several; no variable in two of them."""
    groups = [as_names(names, table.names, "independence") for names in (first, second, given)]
    if not groups[0] or not groups[1]:
        raise PlausibleError("independence: name at least one variable on either side")
    joint = table.marginal(*as_names([n for group in groups for n in group], table.names, "independence"))
    sizes = [int(np.prod([len(table.values[name]) for name in group])) for group in groups]
    cube = joint.probabilities.reshape(sizes)  # (x, y, z)
    weight = cube.sum(axis=(0, 1))
    rows = np.divide(cube, weight, out=np.zeros_like(cube), where=weight > 0)
    gap = np.abs(rows - rows.sum(axis=1, keepdims=True) * rows.sum(axis=0, keepdims=True)).reshape(
        joint.shape
    )
    at = np.unravel_index(gap.argmax(), gap.shape)
    where = {name: joint.values[name][place] for name, place in zip(joint.names, at, strict=True)}
    violation = float(gap.max())
    return Independence(violation <= ROUNDING, violation, where)
