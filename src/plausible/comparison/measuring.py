"""The figures of one model or baseline: the same functions for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Code, Critic, Density, Features, supports
from plausible.comparison.classifying import classifier_results
from plausible.comparison.damage import Z, anomaly_results
from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.sampling import sample_model
from plausible.likelihoods import Categorical, Logistic, LogisticMixture
from plausible.metrics import Result, Subject, defaults, measure
from plausible.metrics.importance import Scores
from plausible.metrics.representation import representation
from plausible.metrics.scores import ROWS
from plausible.metrics.scoring import How, scorable, scorer
from plausible.runs import MetricRecord, record
from plausible.runs.comparison import Compared, DensityKind
from plausible.training.seeding import own_randomness, seed_torch

__all__ = [
    "OF_ROWS",
    "Contender",
    "contender_of",
    "density_of",
    "interval_of",
    "log_prob_results",
    "measured",
]

SCORES = {
    "log_prob": "log p(x)",
    "bound": "a lower bound of log p(x), 50 samples of the code",
    "reconstruction": "minus the squared error of the reconstruction",
}
OF_MIXED = {"reconstruction": "log p(x | its code)"}
"""What a model is asked to find outliers by, the first that it has; a GAN's critic is no score of plausibility."""
IMPORTANCE_SAMPLES = 50
OF_ROWS = "probabilities of levels and missing cells, densities of numbers"
PER_COLUMN = "column distance, "
"""Begins the figures of single columns: each contender's worst, so that they are in no one's table."""


@dataclass(frozen=True, eq=False)
class Contender:
    """What is measured.

    Attributes:
        name: of the model or baseline.
        data: the view it sees.
        sample: n → samples, (n, *shape), the same at each call; None: it does not generate.
        density: the figures of log p(x), exact or a bound, and of what values; None: it has none.
        score: rows, (n, *shape) → (n,), higher for more plausible, and what it is.
        represent: (B, *shape) → (B, …), and what it is.
        model: for metrics of samples that ask the model more.
    """

    name: str
    data: Data
    sample: Callable[[int], Tensor] | None = None
    density: tuple[Callable[[], list[Result]], DensityKind, str] | None = None
    score: tuple[Callable[[np.ndarray], np.ndarray], str] | None = None
    represent: tuple[Callable[[Tensor], Tensor], str] | None = None
    model: GenerativeModel | None = None


def measured(contender: Contender, found: Compared, seed: int) -> Compared:
    """A record filled with the contender's figures; what cannot be measured is said in `missing`."""
    missing: list[str] = []

    def figures(what: str, compute: Callable[[], list[Result]]) -> tuple[MetricRecord, ...]:
        try:
            return tuple(_as_record(result) for result in compute())
        except PlausibleError as error:
            missing.append(f"{what}: {error}")
            return ()

    fields: dict[str, object] = {"generate": _generation(contender, figures)}
    if contender.density is not None:
        compute, kind, of = contender.density
        fields |= {"density": figures("log p(x)", compute), "density_kind": kind, "density_of": of}
    if contender.score is not None:
        score, words = contender.score
        compute_areas = lambda: anomaly_results(score, contender.data, seed, words)  # noqa: E731
        fields |= {"anomalies": figures("outliers", compute_areas), "score": words}
    if contender.represent is not None and contender.data.labels:
        represent, words = contender.represent
        compute_shares = lambda: classifier_results(represent, contender.data, seed)  # noqa: E731
        fields |= {"represent": figures("representation", compute_shares), "representation": words}
    return found.model_copy(update={**fields, "missing": tuple(missing)})


def _generation(
    contender: Contender, figures: Callable[[str, Callable[[], list[Result]]], tuple[MetricRecord, ...]]
) -> tuple[MetricRecord, ...]:
    """The default metrics of samples alone, so that models and baselines have the same."""
    if contender.sample is None:
        return ()
    names = defaults(Subject(contender.sample, contender.data))
    subject = Subject(contender.sample, contender.data, contender.model)
    found = sum((figures(name, lambda name=name: measure(subject, [name])) for name in names), ())
    whole = f"{PER_COLUMN}mean"
    return tuple(each for each in found if each.name == whole or not each.name.startswith(PER_COLUMN))


def _as_record(result: Result) -> MetricRecord:
    filled = replace(result, interval=interval_of(result))
    return record(MetricRecord, f"the figure {result.name}", **asdict(filled))


def interval_of(result: Result) -> tuple[float, float] | None:
    """A result's 95 % interval: its own, or value ± 1.96 where its spread is a standard error; else None."""
    if result.interval is not None:
        return result.interval
    if result.spread is None or "standard error" not in result.spread_is or not np.isfinite(result.spread):
        return None
    return result.value - Z * result.spread, result.value + Z * result.spread


# ------------------------------------------------------------------ models
def contender_of(name: str, model: GenerativeModel, data: Data) -> Contender:
    """A trained model."""
    return Contender(
        name,
        data,
        lambda n: sample_model(model, n, seed=1),
        _density(model, data),
        _score(model, data),
        _representation(model),
        model,
    )


def _density(
    model: GenerativeModel, data: Data
) -> tuple[Callable[[], list[Result]], DensityKind, str] | None:
    subject = Subject(lambda n: sample_model(model, n, seed=1), data, model)
    if "likelihood" not in defaults(subject):
        return None
    kind: DensityKind = "exact" if supports(model, Density) else "lower bound"
    return (lambda: measure(subject, ["likelihood"])), kind, density_of(model, data)


def density_of(model: GenerativeModel, data: Data) -> str:
    """What a model's log p(x) is a probability of: figures of different kinds do not compare."""
    observation = getattr(model, "observation", None)
    if data.domain == "binary":
        return "values in 2 levels"
    if data.domain == "mixed":
        return OF_ROWS
    if isinstance(observation, Categorical | Logistic | LogisticMixture):
        return f"values in {observation.levels} levels"
    return "a density of continuous values"


def _score(model: GenerativeModel, data: Data) -> tuple[Callable[[np.ndarray], np.ndarray], str] | None:
    able = set(scorable(model))
    one = data.test.take(np.arange(1))[0]
    for by, words in SCORES.items():
        if by in able:
            score = _in_blocks(scorer(model, by, How(samples=IMPORTANCE_SAMPLES), lambda: data))
            try:
                score(one)
            except PlausibleError:
                continue  # a bound whose observation model is no density of such data
            return score, OF_MIXED.get(by, words) if data.domain == "mixed" else words
    return None


def _in_blocks(function: Callable[[Tensor], Tensor]) -> Callable[[np.ndarray], np.ndarray]:
    """A score of tensors as one of arrays, block by block, with random numbers of its own."""

    def score(rows: np.ndarray) -> np.ndarray:
        with own_randomness(torch.device("cpu")), torch.no_grad():
            seed_torch(0, torch.device("cpu"))
            blocks = torch.from_numpy(np.ascontiguousarray(rows)).split(ROWS)
            return np.concatenate([function(block).double().numpy() for block in blocks])

    return score


def _representation(model: GenerativeModel) -> tuple[Callable[[Tensor], Tensor], str] | None:
    if supports(model, Features):
        whose = "the discriminator's" if supports(model, Critic) else "its"
        return representation(model), f"{whose} features"
    return (representation(model), "its code") if supports(model, Code) else None


# ------------------------------------------------------------------ baselines
def log_prob_results(values: np.ndarray, data: Data, note: str) -> list[Result]:
    """log p(x) of test rows, (n,), nats, as the same two results as a model's: nats, and bits per dimension."""
    scores, dimensions = Scores(torch.from_numpy(values).double()), int(np.prod(data.shape))
    error = scores.standard_error
    details = {"rows": scores.n, "dimensions": dimensions}
    over = "standard error over test rows"
    return [
        Result("log-likelihood", scores.mean, error, over, "nats", True, details, note),
        Result(
            "bits per dimension",
            scores.bits_per_dimension(dimensions),
            error / (dimensions * np.log(2)),
            over,
            "bits",
            False,
            details,
            note,
        ),
    ]
