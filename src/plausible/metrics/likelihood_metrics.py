"""Metrics that ask a model for log p(x): exact, or the default bound, and the ladder of estimates on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.likelihoods import Categorical, Logistic, LogisticMixture
from plausible.metrics.likelihood import (
    Bounded,
    Coded,
    Dense,
    Scores,
    ais,
    exact_log_prob,
    importance_bound,
)
from plausible.metrics.metric import Metric, Subject
from plausible.metrics.parzen import parzen
from plausible.metrics.scores import blockwise

DRAWS = 50
ROWS = 1000
LADDER_ROWS = 100
LADDER_DRAWS = (1, 50, 5000)
CHAINS = 16
TEMPERATURES = 1000
SEED = 1
OVER_ROWS = "standard error over test rows"


def likelihood(subject: Subject) -> list[Metric]:
    """log p(x) of the test rows, in nats and in bits per dimension: exact, else the importance-weighted bound."""
    if isinstance(subject.model, Dense):
        return exact(subject.model, subject.data)
    model = _bounded(subject, "likelihood")
    x = _first(subject.data, ROWS)
    bound = importance_bound(model, x, DRAWS, SEED)
    note = (
        f"A lower bound of log p(x), not its value: the importance-weighted bound with k = {DRAWS} draws from q(z|x) a "
        f"row, on the first {len(x):,} test rows; it rises with k, and --metrics ladder shows how far. Bits per "
        f"dimension are its negative over d·log 2, so an upper bound. {_kind(model, subject.data)}"
    )
    return _in_both_units("log-likelihood bound", bound, x[0].numel(), note, k=DRAWS)


def full_likelihood(subject: Subject) -> list[Metric]:
    """The importance-weighted bound with 5,000 draws a row, on all test rows: what papers report. Minutes."""
    model = _bounded(subject, "iwae5000")
    x, k = _first(subject.data, len(subject.data.test)), LADDER_DRAWS[-1]
    note = (
        f"A lower bound of log p(x): the importance-weighted bound with k = {k:,} draws from q(z|x) for each of the "
        f"{len(x):,} test rows (Burda et al. 2016). {_kind(model, subject.data)}"
    )
    return _in_both_units(
        f"IWAE-{k}, all test rows", importance_bound(model, x, k, SEED), x[0].numel(), note, k=k
    )


def exact(model: Dense, data: Data) -> list[Metric]:
    """The mean of log p(x) over all test rows.

    Raises:
        PlausibleError: the model has no density of such data.
    """
    _check_domain(model, data, "likelihood")
    blocks = [torch.from_numpy(block).double() for _, block in blockwise(model.log_prob, data.test, SEED)]
    scores = Scores(torch.cat(blocks))
    note = f"Exact: log p(x) of each of the {scores.n:,} test rows, no bound. {_kind(model, data)}"
    return _in_both_units("log-likelihood", scores, int(np.prod(data.shape)), note)


def _in_both_units(name: str, scores: Scores, dimensions: int, note: str, **details: Any) -> list[Metric]:
    details |= {"rows": scores.n, "dimensions": dimensions}
    mean, error = scores.bits_per_dimension(dimensions), scores.standard_error / (dimensions * np.log(2))
    return [
        Metric(name, scores.mean, scores.standard_error, OVER_ROWS, "nats", True, details, note),
        Metric("bits per dimension", mean, error, OVER_ROWS, "bits", False, details, note),
    ]


def ladder(subject: Subject) -> list[Metric]:
    """Estimates of log p(x) on the same test rows, from the loosest bound to the integral, and Parzen beside them.

    Takes minutes: AIS needs rows · 16 chains · 1,000 temperatures · 10 gradients of the decoder.
    """
    model, x = _bounded(subject, "ladder"), _first(subject.data, LADDER_ROWS)
    found = []
    for k in LADDER_DRAWS:
        what = "it is the ELBO" if k == 1 else "it rises with k"
        note = (
            f"IWAE-{k}: the importance-weighted bound, k = {k:,} draws from q(z|x) a row; below log p(x) in "
            f"expectation; {what}."
        )
        found.append(_rung(f"IWAE-{k}", importance_bound(model, x, k, SEED), note, k=k))
    if isinstance(model, Coded):
        found += _without_the_encoder(model, x)
    if subject.data.domain != "real":
        found.append(_parzen(subject, x))
    return found


def has_likelihood(model: GenerativeModel | None, data: Data) -> bool:
    """Whether the model gives a log-probability of such data, or bounds it."""
    try:
        if isinstance(model, Dense):
            _check_domain(model, data, "likelihood")
            return True
        _checked(model, data, "likelihood")
    except PlausibleError:
        return False
    return True


def _without_the_encoder(model: Coded, x: Tensor) -> list[Metric]:
    """AIS, and the integral where the code is small enough."""
    note = (
        f"AIS: annealed importance sampling from prior to posterior, {CHAINS} chains, {TEMPERATURES:,} temperatures, "
        "Hamiltonian moves (Wu et al. 2017); below log p(x) in expectation, and it does not use the encoder: where it "
        "lies above IWAE, the encoder is what holds IWAE back; where below, the chains are too short."
    )
    bound = ais(model, x, CHAINS, TEMPERATURES, SEED)
    found = [_rung("AIS", bound, note, chains=CHAINS, temperatures=TEMPERATURES)]
    if model.latent <= 2:
        exact = exact_log_prob(model, x)
        worst = float(exact.errors.max())
        note = (
            "exact: log p(x) by quadrature over the code; halving the step changed no row by more than "
            f"{worst:.1g} nats."
        )
        found.append(_rung("exact", exact, note, halving=worst))
    return found


def _parzen(subject: Subject, x: Tensor) -> Metric:
    valid = subject.data.valid.take(np.arange(min(ROWS, len(subject.data.valid))))[0]
    found = parzen(subject.samples, valid, x)
    note = (
        f"Parzen: log-density of the same rows under Gaussians round {found.samples:,} samples (the GAN paper's "
        "protocol). It is no likelihood of this model and no bound of one: its distance to the other figures says "
        "nothing of the model, and its ranking of models need not be theirs (Theis et al. 2016)."
    )
    if subject.data.domain == "binary":
        note += (
            " On binary rows it is a density besides, the others probabilities: not even the unit is shared."
        )
    details = {"rows": len(x), "sigma": found.sigma, "samples": found.samples, "valid": found.valid}
    return Metric("Parzen", found.mean, found.standard_error, OVER_ROWS, "nats", None, details, note)


def _rung(name: str, scores: Scores, note: str, **details: float) -> Metric:
    return Metric(
        name, scores.mean, scores.standard_error, OVER_ROWS, "nats", True, {"rows": scores.n, **details}, note
    )


def _bounded(subject: Subject, metric: str) -> Bounded:
    return _checked(subject.model, subject.data, metric)


def _checked(model: GenerativeModel | None, data: Data, metric: str) -> Bounded:
    """The model, if it bounds a log-probability of such data.

    Raises:
        PlausibleError: it does not; the message says what would do.
    """
    if not isinstance(model, Bounded):
        name = type(model).__name__ if model is not None else "a source of samples"
        if isinstance(model, Dense):
            raise PlausibleError(
                f"--metrics {metric} estimates log p(x), which {name} gives exactly: take --metrics likelihood"
            )
        raise PlausibleError(
            f"--metrics {metric} needs a model that bounds log p(x) (log_prob_bound), such as vae; {name} can only be "
            "judged by its samples: take --metrics fidelity"
        )
    _check_domain(model, data, metric)
    with torch.random.fork_rng():
        model.log_prob_bound(_first(data, 1), 1)  # says itself where its observation model is no density
    return model


def _check_domain(model: object, data: Data, metric: str) -> None:
    if isinstance(model, GenerativeModel) and model.domain != data.domain:
        raise PlausibleError(
            f"--metrics {metric}: the model gives probabilities of {model.domain} values, but {data.spec} is "
            f"{data.domain}"
        )


def _first(data: Data, rows: int) -> Tensor:
    """The first test rows, (rows, *shape)."""
    return torch.from_numpy(data.test.take(np.arange(min(rows, len(data.test))))[0])


def _kind(model: object, data: Data) -> str:
    """What the nats are of."""
    if data.domain == "binary":
        return "Probabilities of binary values."
    observed = getattr(model, "observation", None)
    if isinstance(observed, Categorical | Logistic | LogisticMixture):
        return f"Probabilities of values in {observed.levels} levels, {observed.name}."
    return "Of a continuous observation model it is a density, whose nats depend on the data's scale."
