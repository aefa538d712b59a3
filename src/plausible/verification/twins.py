"""Twins: models of the same class and settings, small enough that all their inputs can be enumerated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from plausible.data import Rows, StoredRows
from plausible.game import Domain, GenerativeModel
from plausible.models.build import build, options_of
from plausible.verification.enumeration import Everything, grow
from plausible.verification.subject import in_double

__all__ = ["real_twin", "shrunk", "small_levels", "small_shape", "structured_rows", "twin"]

WIDTH = 16  # of a twin's layers, at most
VARIABLES = 12  # of a twin of two levels, all of whose inputs are enumerated
LEVELS = 4  # of a twin of more, which then has half as many
CLASSES = 3  # of a twin that is told the labels, at most


def small_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """At most 12 variables, as many channels as there are: (1, 3, 4), (3, 2, 2) or (10,)."""
    if math.prod(shape) <= VARIABLES:
        return tuple(shape)
    if len(shape) != 3:
        return (10,)
    channels = min(shape[0], VARIABLES // 4)
    return (channels, 3, 4) if channels == 1 else (channels, 2, 2)


def small_levels(shape: Sequence[int]) -> list[tuple[tuple[int, ...], int]]:
    """Shapes and levels: at most 6 variables of 4 levels, and of colours, all of whose pixels do not fit, 12 of 2.

    (1, 2, 3); (3, 2, 2) of 2 levels, and (3, 1, 2); or (6,).
    """
    most = VARIABLES // 2
    if math.prod(shape) <= most:
        return [(tuple(shape), LEVELS)]
    if len(shape) != 3:
        return [((most,), LEVELS)]
    channels = min(shape[0], most // 2)
    if channels == 1:
        return [((1, 2, 3), LEVELS)]
    return [((channels, 2, 2), 2), ((channels, 1, 2), LEVELS)]


def twin(
    name: str | type, shape: tuple[int, ...], options: Mapping[str, Any], levels: int | None = None
) -> Everything:
    """A small model of the class and settings, far from uniform, and what it says of everything.

    Binary, or of unit data of so many levels. From torch's global random state.
    """
    small, domain = shrunk(name, options), "binary"
    if levels is not None:
        small, domain = small | {"levels": levels}, "unit"
    model = build(name, shape, domain, small)
    model.prepare(structured_rows(shape, domain, levels or 2, small.get("classes", 0)))
    return grow(in_double(model))


def real_twin(name: str | type, shape: tuple[int, ...], options: Mapping[str, Any]) -> GenerativeModel:
    """A small model of real values, its weights stirred."""
    small = shrunk(name, options)
    model = build(name, shape, "real", small)
    model.prepare(real_rows(shape, small.get("classes", 0)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return in_double(model)


def shrunk(name: str | type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for few variables: numbers but seeds at most 16, odd ones 15; a permutation becomes a random order.

    And at most 3 classes.
    """
    found = {}
    for option, (_, default) in options_of(name).items():
        value = options.get(option, default)
        if option == "ordering" and not isinstance(value, str):
            value = "random"
        found[option] = value if "seed" in option else _at_most(value)
    if "classes" in found:
        found["classes"] = min(found["classes"], CLASSES)
    return found


def _at_most(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_at_most(each) for each in value)
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return min(value, WIDTH - value % 2)  # a kernel's side stays odd


def structured_rows(
    shape: tuple[int, ...], domain: Domain = "binary", levels: int = 2, classes: int = 0, rows: int = 3000
) -> Rows:
    """Rows of mostly high values k/(K − 1), in which each variable depends on the two before it.

    k of x_i is binomial, K − 1 throws of a coin whose bias is bilinear in x_{i−2} and x_{i−1}. Labels, of which the
    values know nothing: half of the rows are of class 0, a quarter of 1 and so on.
    """
    rng, size, throws = np.random.default_rng(0), math.prod(shape), levels - 1
    x = (rng.random((throws, rows, size)) < 0.8).mean(0)
    for i in range(2, size):
        a, b = x[:, i - 2], x[:, i - 1]
        x[:, i] = (rng.random((throws, rows)) < 0.2 + 0.4 * a + 0.7 * b - 0.35 * a * b).mean(0)
    x = (np.round(x * throws) / throws).astype(np.float32).reshape(-1, *shape)
    y = np.minimum(rng.geometric(0.5, rows) - 1, max(classes - 1, 0))
    return Rows(StoredRows("structured", (x,), shape, domain, y=y), np.arange(rows))


def real_rows(shape: tuple[int, ...], classes: int = 0, rows: int = 300) -> Rows:
    """Rows off zero and of other spreads than 1, with labels of which they know nothing."""
    rng, size = np.random.default_rng(0), math.prod(shape)
    x = rng.normal(size=(rows, size)).cumsum(1) * (1.5 + np.arange(size)) + 3
    x, y = x.astype(np.float32).reshape(-1, *shape), np.arange(rows) % max(classes, 1)
    return Rows(StoredRows("structured", (x,), shape, "real", y=y), np.arange(rows))
