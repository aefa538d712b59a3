"""`plausible verify`: whether a model's density is what it says it is."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plausible.data.rows import Rows, Table
from plausible.errors import PlausibleError
from plausible.evaluation.verify import (
    FROM_UNIFORM,
    MOST,
    Everything,
    Finding,
    check,
    grow,
    in_double,
    told,
)
from plausible.evaluation.verify_beyond import check_beyond, integral_of_one
from plausible.game import Domain, GenerativeModel
from plausible.jobs.loading import as_run, load
from plausible.models.build import build, options_of
from plausible.models.registry import MODELS, model_class
from plausible.runs import RunFolder
from plausible.training.seeding import own_randomness, seed_torch

WIDTH = 16  # of a twin's layers, at most


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


def verify(what: RunFolder | str | os.PathLike[str], *, seed: int = 0, at: int | None = None) -> Verification:
    """Prove what can be proven of a density, and test the rest: it sums to one, is causal, is what samples follow.

    At most 12 binary variables are enumerated. A run of more is looked at by its conditionals at its own samples; and a
    twin — the same class and settings, with narrow layers, few variables and large weights — is enumerated. A name of a
    model verifies a twin with its default options.

    Args:
        what: a run folder; a model's name; or "module:Class", a model of your own.
        seed: of the samples, and of the twin's weights.
        at: the tick of a run's checkpoint.

    Raises:
        PlausibleError: there is no such run or model, or it has no density.
    """
    with own_randomness(torch.device("cpu")):
        seed_torch(seed, torch.device("cpu"))
        if _is_run(what):
            run = as_run(what)
            return Verification(str(run.path), _of_run(run, at))
        if at is not None:
            raise PlausibleError(f"--at {at}: {what} is no run, and has no checkpoints")
        name, kind = str(what), _dense(str(what))
        domain = _own_domain(kind)
        return Verification(name, _of_twin(name, (1, 3, 4), domain, {}))


def _is_run(what: RunFolder | str | os.PathLike[str]) -> bool:
    if isinstance(what, RunFolder) or Path(what).exists():
        return True
    return not isinstance(what, str) or (what not in MODELS and ":" not in what)


def _dense(name: str) -> type:
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


def _of_run(run: RunFolder, at: int | None) -> list[Finding]:
    config = run.config()["model"]
    _dense(config["name"])
    model = in_double(load(run, at=at))
    if model.domain == "binary" and math.prod(model.shape) <= MOST:
        return told("run", check(Everything.of(model)))
    itself = told("run", check_beyond(model))
    return itself + _of_twin(config["name"], model.shape, model.domain, config["options"])


def _of_twin(name: str, shape: Sequence[int], domain: Domain, options: Mapping[str, Any]) -> list[Finding]:
    """Of a binary model one twin, enumerated; of a real one two: of one variable and of two."""
    if domain == "binary":
        small = small_shape(shape)
        every = twin(name, small, options)
        far = Finding(
            "its KL from uniform, nats",
            every.from_uniform(),
            FROM_UNIFORM,
            math.inf,
            "nearer to it, no test sees anything",
        )
        return told(_words(small), [far, *check(every)])
    if domain != "real":
        raise PlausibleError(f"{name} models {domain} values: verify knows binary and real ones")
    one, two = (real_twin(name, (size,), options) for size in (1, 2))
    return told("twin of 1", [integral_of_one(one)]) + told("twin of 2", check_beyond(two))


def _words(shape: Sequence[int]) -> str:
    return f"twin of {'×'.join(str(side) for side in shape)}"


# ---------------------------------------------------------------------- twins
def small_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """At most 12 variables, as many channels as there are: (1, 3, 4), (3, 2, 2) or (10,)."""
    if math.prod(shape) <= MOST:
        return tuple(shape)
    if len(shape) != 3:
        return (10,)
    channels = min(shape[0], MOST // 4)
    return (channels, 3, 4) if channels == 1 else (channels, 2, 2)


def twin(name: str, shape: tuple[int, ...], options: Mapping[str, Any]) -> Everything:
    """A small binary model of the class and settings, far from uniform, and what it says of everything.

    From torch's global random state.
    """
    model = build(name, shape, "binary", shrunk(name, options))
    model.prepare(structured_rows(shape))
    return grow(in_double(model))


def real_twin(name: str, shape: tuple[int, ...], options: Mapping[str, Any]) -> GenerativeModel:
    """A small model of real values, its weights stirred."""
    model = build(name, shape, "real", shrunk(name, options))
    model.prepare(real_rows(shape))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return in_double(model)


def shrunk(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for few variables: whole numbers but seeds are at most 16, a permutation becomes a random order."""
    found = {}
    for option, (_, default) in options_of(name).items():
        value = options.get(option, default)
        if option == "ordering" and not isinstance(value, str):
            value = "random"
        found[option] = value if "seed" in option else _at_most(value)
    return found


def _at_most(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_at_most(each) for each in value)
    return min(value, WIDTH) if isinstance(value, int) and not isinstance(value, bool) else value


def structured_rows(shape: tuple[int, ...], rows: int = 3000) -> Rows:
    """Rows of mostly ones, in which each variable depends on the two before it."""
    rng, size = np.random.default_rng(0), math.prod(shape)
    x = (rng.random((rows, size)) < 0.8).astype(np.float32)
    share = np.array([[0.2, 0.9], [0.6, 0.95]])  # of ones after x_{i-2}, x_{i-1}
    for i in range(2, size):
        x[:, i] = rng.random(rows) < share[x[:, i - 2].astype(int), x[:, i - 1].astype(int)]
    return Rows(Table("structured", (x.reshape(-1, *shape),), shape, "binary"), np.arange(rows))


def real_rows(shape: tuple[int, ...], rows: int = 300) -> Rows:
    """Rows off zero and of other spreads than 1."""
    rng, size = np.random.default_rng(0), math.prod(shape)
    x = rng.normal(size=(rows, size)).cumsum(1) * (1.5 + np.arange(size)) + 3
    return Rows(
        Table("structured", (x.astype(np.float32).reshape(-1, *shape),), shape, "real"), np.arange(rows)
    )
