"""Expectation and covariance of functions on a table, as computed by the methods of `Table`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability.checks import as_names

__all__ = ["covariance", "evaluate", "mean", "ordered"]


def mean(probabilities: np.ndarray, numbers: np.ndarray) -> float:
    """E[f] = Σ_x P(x) f(x), over x with P(x) > 0; `numbers` is f of every outcome."""
    possible = probabilities > 0
    return float((probabilities[possible] * numbers[possible]).sum())


def covariance(probabilities: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Cov[f, g] = E[(f − E f)(g − E g)]; `first` and `second` are f and g of every outcome."""
    return mean(probabilities, (first - mean(probabilities, first)) * (second - mean(probabilities, second)))


def evaluate(
    values: Mapping[str, tuple[Hashable, ...]],
    probabilities: np.ndarray,
    f: str | Callable[..., object],
    dtype: type,
) -> np.ndarray:
    """f of every outcome, an array of the table's shape; 0 (None for objects) where P = 0: f is not called there.

    Args:
        values: variable → its outcomes.
        probabilities: one axis per variable.
        f: a variable's name, or a function of variables.
        dtype: float or object.
    """
    names = _arguments(tuple(values), f)
    part = probabilities.sum(axis=tuple(i for i, name in enumerate(values) if name not in names))
    results = np.zeros(part.shape) if dtype is float else np.full(part.shape, None, dtype=object)
    for index in zip(*np.nonzero(part), strict=True):
        row = {name: values[name][place] for name, place in zip(names, index, strict=True)}
        result = row[f] if isinstance(f, str) else f(**row)
        results[index] = _number(result, f, row) if dtype is float else result
    spread = [len(values[name]) if name in names else 1 for name in values]
    return np.broadcast_to(results.reshape(spread), probabilities.shape)


def _arguments(known: tuple[str, ...], f: str | Callable[..., object]) -> list[str]:
    """The variables that f needs, in the table's order: its name, or its parameters; `**row` needs all."""
    if isinstance(f, str):
        return list(as_names(f, known, "function of a variable"))
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError) as error:
        raise PlausibleError(
            f"the parameters of {f!r} cannot be read ({error}); wrap it: lambda x: f(x), x being a variable"
        ) from None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return list(known)
    asked = [p.name for p in parameters if p.default is p.empty or p.name in known]
    as_names(asked, known, "the function's parameters")
    if not asked:
        raise PlausibleError(
            f"the function has no parameter; name variables of {', '.join(known)} as parameters"
        )
    return [name for name in known if name in asked]


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
    """Distinct outcomes, sorted if they can be compared (numbers, strings), else in the order of first appearance."""
    distinct = list(dict.fromkeys(outcomes))
    try:
        return sorted(distinct)  # ty: ignore[invalid-argument-type]
    except TypeError:
        return distinct
