"""`plausible verify`: check that a model's density sums to one, is causal, and is what its samples follow."""

from __future__ import annotations

import copy
import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plausible.capabilities import Density, lacks
from plausible.errors import PlausibleError
from plausible.game import Domain
from plausible.jobs.opened import Opened
from plausible.models.build import options_of
from plausible.models.registry import MODELS, model_class, name_of
from plausible.training.seeding import own_randomness, seed_torch
from plausible.verification.conditionals import check_beyond, integral_of_one
from plausible.verification.enumeration import FROM_UNIFORM, MOST, Everything, check
from plausible.verification.findings import Finding, label
from plausible.verification.subject import in_double, levels_of
from plausible.verification.tables import check_table
from plausible.verification.twins import real_twin, small_levels, small_shape, twin


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes:
        name: the model or run.
        findings: one finding per claim.
    """

    name: str
    findings: Sequence[Finding]

    @property
    def holds(self) -> bool:
        """Whether everything that is claimed holds."""
        return all(finding.holds is not False for finding in self.findings)


def verify(what: Opened | str | os.PathLike[str] | type, *, seed: int = 0) -> Verification:
    """Verify a density: that it sums to one, is causal, and that samples follow it.

    Up to 4,096 inputs (12 binary variables) are enumerated. For a larger run the conditionals are checked at its own
    samples, and a twin is enumerated: a model of the same class and settings with narrow layers, few variables and
    levels, and large weights. For a model's name, twins with its default options are verified.

    Args:
        what: a run or its folder; a model's name; or a model of your own, "module:Class" or the class itself.
        seed: random seed of the samples and of the twin's weights.

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
    """Whether this is a model's name and not a folder."""
    return not Path(what).exists() and (what in MODELS or ":" in what)


def _dense(name: str | type) -> type:
    """A model's class, if it has a density."""
    found = model_class(name)
    if not issubclass(found, Density):
        raise lacks(found, Density, instead=["give your own model a log_prob"])
    return found


def _own_domain(kind: Any) -> Domain:
    """The constructor's default, or the first of the class's domains."""
    parameter = inspect.signature(kind.__init__).parameters.get("domain")  # none: it is one of *args
    return parameter.default if parameter and parameter.default in kind.domains else kind.domains[0]


def _of_name(name: str | type) -> list[Finding]:
    """Findings for twins: binary, grey and color ones of a model of levels, else one of its default domain."""
    kind: Any = _dense(name)
    if "unit" not in kind.domains or "levels" not in options_of(name):
        return _of_twin(name, (1, 3, 4), _own_domain(kind), {})
    binary = _of_twin(name, (1, 3, 4), "binary", {}) if "binary" in kind.domains else []
    return [*binary, *_of_twin(name, (1, 28, 28), "unit", {}), *_of_twin(name, (3, 32, 32), "unit", {})]


def _of_run(run: Opened) -> list[Finding]:
    config = run.config
    _dense(type(run.model))
    if run.schema.domain == "mixed":
        return _of_twin(type(run.model), run.model.shape, "mixed", config.options_at())
    model = in_double(copy.deepcopy(run.model))
    if levels_of(model) and levels_of(model) ** math.prod(model.shape) <= MOST:
        return label("run", check(Everything.of(model)))
    _knows(type(run.model), model.domain)
    itself = label("run", check_beyond(model))
    return itself + _of_twin(type(run.model), model.shape, model.domain, config.options_at())


def _knows(name: str | type, domain: Domain) -> None:
    if domain == "mixed":
        raise PlausibleError(
            "verify can check binary values, real values and levels, "
            f"and this run of {name_of(name)} is of a mixed table"
        )
    if domain == "unit" and "levels" not in options_of(name):
        raise PlausibleError(
            f"{name} models unit values without an option `levels`: verify can check binary values, real values, and "
            "unit values of a given number of levels"
        )


def _of_twin(
    name: str | type, shape: Sequence[int], domain: Domain, options: Mapping[str, Any]
) -> list[Finding]:
    """Findings for twins: enumerated for a model of levels; for a real one, of one variable and of two.

    For one of mixed tables, of small tables with whole and with real numbers, as it is and with one ordering.
    """
    if domain == "mixed":
        return _of_tables(name, options)
    if domain == "real":
        one, two = (real_twin(name, (size,), options) for size in (1, 2))
        return label("twin of 1", [integral_of_one(one)]) + label("twin of 2", check_beyond(two))
    _knows(name, domain)
    small = [(small_shape(shape), None)] if domain == "binary" else small_levels(shape)
    return [finding for each, levels in small for finding in _enumerated(name, each, options, levels)]


def _of_tables(name: str | type, options: Mapping[str, Any]) -> list[Finding]:
    orders = [{}, {"orders": 1}] if "orders" in options_of(name) else [{}]
    return [
        finding
        for whole, numbers in ((True, "whole numbers"), (False, "real numbers"))
        for more in orders
        for finding in label(
            f"small table, {numbers}" + (", one ordering" if more else ""),
            check_table(name, {**options, **more}, whole=whole),
        )
    ]


def _enumerated(
    name: str | type, shape: tuple[int, ...], options: Mapping[str, Any], levels: int | None
) -> list[Finding]:
    every = twin(name, shape, options, levels)
    far = Finding(
        "KL from uniform, nats",
        every.from_uniform(),
        FROM_UNIFORM,
        math.inf,
        "closer to uniform, the tests could not fail",
    )
    sides = "×".join(str(side) for side in shape)
    about = f"twin of {sides}" if levels is None else f"twin of {sides}, {levels} levels"
    return label(about, [far, *check(every)])
