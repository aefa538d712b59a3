"""Expectation, variance and covariance of functions on a table: what `Table`'s methods of those names compute."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability.checks import as_names

if TYPE_CHECKING:
    from plausible.probability.tables import Table


def expectation(table: Table, f: str | Callable[..., object]) -> float:
    """E[f] = Σ_x P(x) f(x), over x with P(x) > 0."""
    return _mean(table, evaluate(table, f, float))


def covariance(table: Table, f: str | Callable[..., object], g: str | Callable[..., object]) -> float:
    """Cov[f, g] = E[(f − E f)(g − E g)]."""
    first, second = evaluate(table, f, float), evaluate(table, g, float)
    return _mean(table, (first - _mean(table, first)) * (second - _mean(table, second)))


def _mean(table: Table, numbers: np.ndarray) -> float:
    possible = table.probabilities > 0
    return float((table.probabilities[possible] * numbers[possible]).sum())


def evaluate(table: Table, f: str | Callable[..., object], dtype: type) -> np.ndarray:
    """f of every outcome, an array of the table's shape; 0 (None for objects) where P = 0: f is not called."""
    names = _arguments(table, f)
    part = table.marginal(*names)
    results = np.zeros(part.shape) if dtype is float else np.full(part.shape, None, dtype=object)
    for index in zip(*np.nonzero(part.probabilities), strict=True):
        row = {name: table.values[name][place] for name, place in zip(names, index, strict=True)}
        result = row[f] if isinstance(f, str) else f(**row)
        results[index] = _number(result, f, row) if dtype is float else result
    spread = [len(table.values[name]) if name in names else 1 for name in table.names]
    return np.broadcast_to(results.reshape(spread), table.shape)


def _arguments(table: Table, f: str | Callable[..., object]) -> list[str]:
    """The variables f needs, in the table's order: its name, or its parameters' names; `**row` needs all."""
    if isinstance(f, str):
        return list(as_names(f, table.names, "function of a variable"))
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError) as error:
        raise PlausibleError(
            f"the parameters of {f!r} cannot be read ({error}); wrap it: lambda x: f(x), x being a variable"
        ) from None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return list(table.names)
    asked = [p.name for p in parameters if p.default is p.empty or p.name in table.names]
    as_names(asked, table.names, "the function's parameters")
    if not asked:
        raise PlausibleError(
            f"the function has no parameter; name variables of {', '.join(table.names)} as parameters"
        )
    return [name for name in table.names if name in asked]


def _number(result: object, f: str | Callable[..., object], row: dict[str, Hashable]) -> float:
    where = ", ".join(f"{name}={value!r}" for name, value in row.items())
    what = "the variable" if isinstance(f, str) else "the function"
    fix = (
        "pass a function of it, such as lambda coin: coin == 'H'" if isinstance(f, str) else "return a number"
    )
    if isinstance(result, str):
        raise PlausibleError(f"{what} at {where} is {result!r}, not a number; {fix}")
    try:
        return float(result)  # ty: ignore[invalid-argument-type]
    except (TypeError, ValueError):
        raise PlausibleError(f"{what} at {where} is {result!r}, not a number; {fix}") from None


def ordered(outcomes: Iterable[Hashable]) -> list[Hashable]:
    """Distinct outcomes, sorted where they compare (numbers, strings), else in the order of first appearance."""
    distinct = list(dict.fromkeys(outcomes))
    try:
        return sorted(distinct)  # ty: ignore[invalid-argument-type]
    except TypeError:
        return distinct
