"""Check arguments: names, outcomes, probabilities. Each error names the argument and the fix."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
from torch import Tensor

from plausible.errors import PlausibleError

__all__ = [
    "as_float64",
    "as_names",
    "as_probabilities",
    "as_seed",
    "as_values",
    "as_whole_number",
    "outcome_index",
]

_SEEDS = 2**63  # both NumPy and torch accept seeds below this
_TOLERANCE = 1e-6  # how far a sum may be from 1: allows float32's rounding, but not a forgotten outcome


def as_whole_number(number: object, what: str, least: int, below: float = float("inf")) -> int:
    """`number` as an int: a whole number (numpy's too), least ≤ number < below."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not least <= number < below:
        upto = "" if below == float("inf") else f" and below {below:.3g}"
        raise PlausibleError(f"{what} = {number!r}; give a whole number of at least {least}{upto}")
    return int(number)


def as_seed(seed: object) -> int:
    """A random seed that both NumPy's and torch's generators accept."""
    return as_whole_number(seed, "seed", 0, _SEEDS)


def as_float64(numbers: object, what: str) -> np.ndarray:
    """`numbers` (array, tensor, nested lists) as a new float64 array; anything that is not a number is an error."""
    try:
        if isinstance(numbers, Tensor):
            return numbers.detach().cpu().double().numpy().copy()
        return np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlausibleError(f"{what}: not an array of numbers ({error})") from error


def as_probabilities(numbers: object, what: str) -> np.ndarray:
    """`numbers` as float64 probabilities of any shape: finite, ≥ 0, summing to 1.

    A sum within 1e-6 of 1 is divided out, so that identities hold to rounding; any other sum is an error that shows
    it.
    """
    array = as_float64(numbers, what)
    if array.size == 0:
        raise PlausibleError(f"{what}: empty; give at least one probability")
    if not np.isfinite(array).all():
        raise PlausibleError(
            f"{what}: {array[~np.isfinite(array)][0]} among the probabilities; they must be finite"
        )
    if array.min() < 0:
        where = tuple(int(i) for i in np.unravel_index(array.argmin(), array.shape))
        raise PlausibleError(
            f"{what}: the probability at {list(where)} is {array.min():g}; none may be negative"
        )
    total = float(array.sum())
    if abs(total - 1) > _TOLERANCE:
        divide = "; divide them by their sum if they are counts or weights" if total > 0 else ""
        raise PlausibleError(f"{what}: the probabilities sum to {total:.10g}, not to 1{divide}")
    rounding = array.size * np.finfo(np.float64).eps
    return array if abs(total - 1) <= rounding else array / total  # checking twice changes nothing


def as_values(values: Mapping[str, Iterable[Hashable]]) -> dict[str, tuple[Hashable, ...]]:
    """Variables and their outcomes, in order: names are identifiers, outcomes hashable, distinct, at least one."""
    if not values:
        raise PlausibleError(
            'a table needs at least one variable: Table({"die": range(1, 7)}, probabilities)'
        )
    return {name: _outcomes(name, outcomes) for name, outcomes in values.items()}


def _outcomes(name: str, outcomes: Iterable[Hashable]) -> tuple[Hashable, ...]:
    if not (isinstance(name, str) and name.isidentifier()):
        raise PlausibleError(
            f"variable name {name!r}: it is used as a keyword (condition(name=…)); give an identifier"
        )
    listed = tuple(outcomes)
    if not listed:
        raise PlausibleError(f"variable {name!r} has no outcomes; give at least one")
    try:
        distinct = len(set(listed))
    except TypeError as error:
        raise PlausibleError(
            f"variable {name!r}: {error}; outcomes must be hashable (numbers, strings, tuples)"
        ) from None
    if distinct != len(listed):
        twice = next(value for value in listed if listed.count(value) > 1)
        raise PlausibleError(
            f"variable {name!r}: the outcome {twice!r} occurs twice; add the two probabilities up"
        )
    return listed


def as_names(names: str | Iterable[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    """One name or several as a tuple; unknown or repeated ones are errors that list what there is."""
    listed = (names,) if isinstance(names, str) else tuple(names)
    known = tuple(known)
    for name in listed:
        if name not in known:
            raise PlausibleError(f"{what}: no variable {name!r}; there are {', '.join(map(repr, known))}")
        if listed.count(name) > 1:
            raise PlausibleError(f"{what}: {name!r} is named twice; name it once")
    return listed


def outcome_index(values: Mapping[str, tuple[Hashable, ...]], name: str, value: Hashable) -> int:
    """The position of an outcome on its variable's axis; an unknown one is an error that lists what there is."""
    try:
        return values[name].index(value)
    except ValueError:
        shown = ", ".join(map(repr, values[name][:12])) + (", …" if len(values[name]) > 12 else "")
        raise PlausibleError(f"{name!r} has no outcome {value!r}; it has {shown}") from None
