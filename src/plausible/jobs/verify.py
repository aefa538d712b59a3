"""`plausible verify`: whether a model's density is what it says it is."""

from __future__ import annotations

import copy
import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.game import Domain, GenerativeModel
from plausible.jobs.opened import Opened
from plausible.models.build import build, options_of
from plausible.models.registry import MODELS, model_class
from plausible.training.seeding import own_randomness, seed_torch
from plausible.verify.conditionals import check_beyond, integral_of_one
from plausible.verify.enumeration import (
    FROM_UNIFORM,
    MOST,
    Everything,
    Finding,
    check,
    grow,
    told,
)
from plausible.verify.subject import in_double, levels_of

WIDTH = 16  # of a twin's layers, at most
VARIABLES = 12  # of a twin of two levels, all of whose inputs are enumerated
LEVELS = 4  # of a twin of more, which then has half as many
CLASSES = 3  # of a twin that is told the labels, at most


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        name: of the model or run.
        findings: line by line.
    """

    name: str
    findings: Sequence[Finding]

    @property
    def holds(self) -> bool:
        """Whether everything that is claimed holds."""
        return all(finding.holds is not False for finding in self.findings)


def verify(what: Opened | str | os.PathLike[str] | type, *, seed: int = 0) -> Verification:
    """Prove what can be proven of a density, and test the rest: it sums to one, is causal, is what samples follow.

    At most 4,096 inputs, those of 12 binary variables, are enumerated. A run of more is looked at by its conditionals
    at its own samples; and a twin — the same class and settings, with narrow layers, few variables and levels, and
    large weights — is enumerated. A name of a model verifies twins with its default options.

    Args:
        what: a run, or its folder; a model's name; or "module:Class", a model of your own, or the class itself.
        seed: random seed of the samples, and of the twin's weights.

    Raises:
        PlausibleError: there is no such run or model, or it has no density.
    """
    with own_randomness(torch.device("cpu")):
        seed_torch(seed, torch.device("cpu"))
        if isinstance(what, type):
            return Verification(what.__name__, _of_name(what))
        if isinstance(what, str) and _names_a_model(what):
            return Verification(what, _of_name(what))
        run = what if isinstance(what, Opened) else Opened(what)
        return Verification(str(run.path), _of_run(run))


def _names_a_model(what: str) -> bool:
    """Whether this text is a model's name, and no run's folder."""
    return not Path(what).exists() and (what in MODELS or ":" in what)


def _dense(name: str | type) -> type:
    """A model's class, if it has a density."""
    found = model_class(name)
    if not hasattr(found, "log_prob"):
        able = ", ".join(other for other, line in MODELS.items() if "density" in line.capabilities)
        raise PlausibleError(
            f"{found.__name__} has no density, and verify checks exact ones: those of {able}, or of a model of "
            "your own with log_prob"
        )
    return found


def _own_domain(kind: Any) -> Domain:
    """The constructor's default, or the first of the class's domains."""
    default = inspect.signature(kind.__init__).parameters["domain"].default
    return default if default in kind.domains else kind.domains[0]


def _of_name(name: str | type) -> list[Finding]:
    """Of a model of levels binary, grey and coloured twins; else one of the domain that it is made for."""
    kind: Any = _dense(name)
    if "unit" not in kind.domains or "levels" not in options_of(name):
        return _of_twin(name, (1, 3, 4), _own_domain(kind), {})
    binary = _of_twin(name, (1, 3, 4), "binary", {}) if "binary" in kind.domains else []
    return [*binary, *_of_twin(name, (1, 28, 28), "unit", {}), *_of_twin(name, (3, 32, 32), "unit", {})]


def _of_run(run: Opened) -> list[Finding]:
    config = run.config
    _dense(type(run.model))
    model = in_double(copy.deepcopy(run.model))
    if levels_of(model) and levels_of(model) ** math.prod(model.shape) <= MOST:
        return told("run", check(Everything.of(model)))
    _knows(type(run.model), model.domain)
    itself = told("run", check_beyond(model))
    return itself + _of_twin(type(run.model), model.shape, model.domain, config.options_at())


def _knows(name: str | type, domain: Domain) -> None:
    if domain == "unit" and "levels" not in options_of(name):
        raise PlausibleError(
            f"{name} models unit values: verify knows binary and real ones, and unit ones of so many levels, which a "
            "model's option levels says"
        )


def _of_twin(
    name: str | type, shape: Sequence[int], domain: Domain, options: Mapping[str, Any]
) -> list[Finding]:
    """Of a model of levels twins that are enumerated; of a real one two: of one variable and of two."""
    if domain == "real":
        one, two = (real_twin(name, (size,), options) for size in (1, 2))
        return told("twin of 1", [integral_of_one(one)]) + told("twin of 2", check_beyond(two))
    _knows(name, domain)
    small = [(small_shape(shape), None)] if domain == "binary" else small_levels(shape)
    return [finding for each, levels in small for finding in _enumerated(name, each, options, levels)]


def _enumerated(
    name: str | type, shape: tuple[int, ...], options: Mapping[str, Any], levels: int | None
) -> list[Finding]:
    every = twin(name, shape, options, levels)
    far = Finding(
        "its KL from uniform, nats",
        every.from_uniform(),
        FROM_UNIFORM,
        math.inf,
        "nearer to it, no test sees anything",
    )
    sides = "×".join(str(side) for side in shape)
    about = f"twin of {sides}" if levels is None else f"twin of {sides}, {levels} levels"
    return told(about, [far, *check(every)])


# ---------------------------------------------------------------------- twins
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
    model = build(name, shape, "real", shrunk(name, options))
    model.prepare(real_rows(shape))
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


def real_rows(shape: tuple[int, ...], rows: int = 300) -> Rows:
    """Rows off zero and of other spreads than 1."""
    rng, size = np.random.default_rng(0), math.prod(shape)
    x = rng.normal(size=(rows, size)).cumsum(1) * (1.5 + np.arange(size)) + 3
    return Rows(
        StoredRows("structured", (x.astype(np.float32).reshape(-1, *shape),), shape, "real"), np.arange(rows)
    )
