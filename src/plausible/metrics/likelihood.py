"""log p(x) of test rows by the model itself: exact, or the importance-weighted lower bound."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Bound, Density, require, supports
from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.likelihoods import Categorical, Logistic, LogisticMixture
from plausible.metrics.importance import Scores, importance_bound
from plausible.metrics.registry import Result, Subject, metric
from plausible.metrics.scores import blockwise

__all__ = ["bounds_log_prob", "first_rows", "gives_log_prob", "measure_iwae5000", "measure_likelihood"]

IMPORTANCE_SAMPLES = 50
ROWS = 1000
"""Test rows of the default bound, at most."""
MANY = 5000
"""Importance samples of the bound that papers report."""
SEED = 1
OVER_ROWS = "standard error over test rows"


# ------------------------------------------------------------------ what it needs
def gives_log_prob(subject: Subject) -> None:
    """The model gives log p(x) of such data, exactly or by a lower bound.

    Raises:
        PlausibleError: it gives neither.
    """
    if supports(subject.model, Density):
        _check_domain(subject)
    else:
        bounds_log_prob(subject)


def bounds_log_prob(subject: Subject) -> None:
    """The model bounds log p(x) of such data, and its observation model is a density.

    Raises:
        PlausibleError: it gives log p(x) exactly, or not at all.
    """
    model = subject.model
    if supports(model, Density):
        raise PlausibleError(
            f"it estimates log p(x), which {type(model).__name__} gives exactly: take --metrics likelihood"
        )
    bound = require(subject.needed_model(), Bound, instead=["take --metrics fidelity"])
    _check_domain(subject)
    with torch.random.fork_rng():
        row = torch.zeros(
            1, *subject.data.shape
        )  # no row of the data: the choice of checkpoints asks this, too
        bound.log_prob_bound(row, 1)  # raises where p(x|z) is no density of such data


def _check_domain(subject: Subject) -> None:
    model, data = cast(GenerativeModel, subject.model), subject.data
    if model.domain != data.domain:
        raise PlausibleError(
            f"the model gives probabilities of {model.domain} values, and {data.spec} is {data.domain}"
        )


# ------------------------------------------------------------------ the metrics
@metric("likelihood", needs=(gives_log_prob,), mixed=True)
def measure_likelihood(subject: Subject) -> list[Result]:
    """log p(x) of the test rows, in nats and in bits per dimension: exact, else the importance-weighted bound."""
    model, data = cast(GenerativeModel, subject.model), subject.data
    if supports(model, Density):
        scores = _exact(model, data)
        exact = "Exact up to the steps of its solver" if hasattr(model, "density_tolerance") else "Exact"
        note = (
            f"{exact}: log p(x) of each of the {scores.n:,} test rows, not a bound. {_unit_of(model, data)}"
        )
        return _nats_and_bits("log-likelihood", scores, data, note)
    x = first_rows(data, ROWS)
    bound = importance_bound(require(model, Bound), x, IMPORTANCE_SAMPLES, SEED)
    note = (
        f"A lower bound of log p(x), not its value: the importance-weighted bound with k = {IMPORTANCE_SAMPLES} "
        f"samples of q(z|x) for each of the first {len(x):,} test rows; it rises with k, and --metrics ladder shows "
        f"how far. Bits per dimension are its negative over d·log 2, so an upper bound. {_unit_of(model, data)}"
    )
    return _nats_and_bits("log-likelihood bound", bound, data, note, k=IMPORTANCE_SAMPLES)


@metric("iwae5000", needs=(bounds_log_prob,), cost="minutes")
def measure_iwae5000(subject: Subject) -> list[Result]:
    """The importance-weighted bound with 5,000 samples a row, on all test rows: what papers report."""
    model, data = cast(GenerativeModel, subject.model), subject.data
    x = first_rows(data, len(data.test))
    bound = importance_bound(require(model, Bound), x, MANY, SEED)
    note = (
        f"A lower bound of log p(x): the importance-weighted bound with k = {MANY:,} samples of q(z|x) for each of the "
        f"{len(x):,} test rows (Burda et al. 2016). {_unit_of(model, data)}"
    )
    return _nats_and_bits(f"IWAE-{MANY}, all test rows", bound, data, note, k=MANY)


def first_rows(data: Data, rows: int) -> Tensor:
    """The first test rows, (rows, *shape)."""
    return torch.from_numpy(data.test.take(np.arange(min(rows, len(data.test))))[0])


def _exact(model: Density, data: Data) -> Scores:
    blocks = [torch.from_numpy(block).double() for _, block in blockwise(model.log_prob, data.test, SEED)]
    return Scores(torch.cat(blocks))


def _nats_and_bits(name: str, scores: Scores, data: Data, note: str, **details: Any) -> list[Result]:
    dimensions = int(np.prod(data.shape))
    details |= {"rows": scores.n, "dimensions": dimensions}
    bits, error = scores.bits_per_dimension(dimensions), scores.standard_error / (dimensions * np.log(2))
    return [
        Result(name, scores.mean, scores.standard_error, OVER_ROWS, "nats", True, details, note),
        Result("bits per dimension", bits, error, OVER_ROWS, "bits", False, details, note),
    ]


def _unit_of(model: object, data: Data) -> str:
    """What the nats measure."""
    if data.domain == "binary":
        return "Probabilities of binary values."
    if data.domain == "mixed":
        return "Probabilities of levels and missing cells, densities of numbers, so the nats depend on their scale."
    observation = getattr(model, "observation", None)
    if isinstance(observation, Categorical | Logistic | LogisticMixture):
        return f"Probabilities of values in {observation.levels} levels, {observation.name}."
    return "A density of continuous values, so the nats depend on the scale of the data."
