"""What rows can be scored by, and how: likelihoods, errors and distances.

| name | score of x | needs | reads |
|---|---|---|---|
| log_prob | log p(x), nats | density | – |
| bound | a lower bound of log p(x), nats | bound | – |
| flow | an estimate of log p(x), no bound, nats | estimate of the density | – |
| code | log p(encode(x)), of the code and not of x, nats | density of codes | – |
| reconstruction | −‖x − reconstruct(x)‖², real values in standard deviations | encoder and decoder | –, see `units` |
| hog | −‖h(x) − h(reconstruct(x))‖², h histograms of oriented gradients | encoder and decoder, pictures | – |
| latent | −min_z ‖x − decode(z)‖², found by gradient search | decoder | train (real values: their scale) |
| features | minus the mean distance to the 5 nearest training rows in the model's features | features | train |
| typicality | −abs(log p(x) − mean log p of the valid rows), nats | density, bound or estimate | valid |
| critic | the discriminator's logit | critic | – |

Of mixed tables `reconstruction` is log p(x | its code), nats. `log_prob`, `bound`, `flow`, `code` and `reconstruction`
are defaults, in this order. All but the critic are higher for rows that are more plausible. Codes are no features here:
an encoder drops what it cannot use, so noise may have the code of an ordinary row; its reconstruction error tells them
apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from plausible.capabilities import (
    Bound,
    CodeDensity,
    Critic,
    Decoder,
    Density,
    DensityEstimate,
    Features,
    Reconstruction,
    TableReconstruction,
    lacks,
    require,
    supports,
)
from plausible.data import Data, Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.gradients import oriented_gradients
from plausible.metrics.latent import LatentSearch
from plausible.metrics.scores import blockwise, subset
from plausible.models.scaling import Scaling

__all__ = [
    "SCORES",
    "How",
    "Score",
    "default_score",
    "nearness",
    "reconstruction_errors",
    "scorable",
    "score_rows",
    "scorer",
    "units",
]

NEIGHBOURS = 5
KNOWN_ROWS, KNOWN_VALUES = 10_000, 10_000_000
"""Training rows whose features are kept, at most, and values of these."""

Scorer = Callable[[Tensor], Tensor]
"""(B, *shape) → scores, (B,)."""


@dataclass(frozen=True)
class How:
    """Settings of the scores that have some.

    Attributes:
        samples: k, the number of samples for a bound.
        starts: prior samples that the latent search starts from.
        steps: gradient steps of the latent search from each start.
        seed: random seed of the bound, of the starts and of the training rows kept.
    """

    samples: int = 50
    starts: int = 3
    steps: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Score:
    """One way to score rows.

    Attributes:
        needs: the model needs one of these capabilities.
        header: its name and unit in a file; {k}, {starts} and {steps} stand for settings.
        make: model, settings and a function that gives the run's data → the scorer.
        default: whether it may be chosen without being asked for.
        says: what the number means, after "of n rows; ".
        directed: whether higher is more plausible.
        likelihood: whether it is log p(x) or a bound of it.
        pictures: whether it scores pictures alone.
        mixed: whether it scores mixed tables, with codes of levels and missing cells.
        of_mixed: the header where the rows are those of a mixed table, if it is another.
    """

    needs: tuple[type, ...]
    header: str
    make: Callable[[Any, How, Callable[[], Data]], Scorer]
    default: bool = False
    says: str = "higher is more plausible"
    directed: bool = True
    likelihood: bool = False
    pictures: bool = False
    mixed: bool = True
    of_mixed: str = ""

    def fits(self, model: object) -> bool:
        """Whether the model has what it needs, and models data that can be scored so."""
        seen = not self.pictures or len(getattr(model, "shape", ())) == 3
        seen = seen and (self.mixed or getattr(model, "domain", "") != "mixed")
        return seen and any(supports(model, need) for need in self.needs)

    def lacking(self, model: GenerativeModel, instead: Sequence[str] = ()) -> PlausibleError:
        """The error for a model that it does not fit; `instead`: what else would do."""
        others = f": {' or '.join(instead)}" if instead else ""
        if self.pictures and len(model.shape) != 3:
            return PlausibleError(
                f"this score compares pictures, and rows are of {model.shape[0]} values{others}"
            )
        if not self.mixed and model.domain == "mixed":
            return PlausibleError(
                f"this score compares numbers, and the table has words or missing cells{others}"
            )
        return lacks(model, self.needs[0], instead=instead)

    def named(self, how: How, model: GenerativeModel) -> str:
        """The header, with the settings."""
        header = self.of_mixed if self.of_mixed and model.domain == "mixed" else self.header
        return header.format(k=how.samples, starts=how.starts, steps=how.steps)


def reconstruction_errors(model: GenerativeModel, data: Callable[[], Data]) -> Scorer:
    """x, (B, *shape) → ((x − reconstruct(x))/unit)² of each value, (B, *shape); see `units`.

    Of a mixed table −log p(x_i | z = encode(x)) of each column, nats: words have no squares.

    Raises:
        PlausibleError: the model does not reconstruct.
    """
    if model.domain == "mixed":
        log_reconstruction = require(model, TableReconstruction).log_reconstruction
        return lambda x: -log_reconstruction(x)
    unit, reconstruct = units(model, data), require(model, Reconstruction).reconstruct
    return lambda x: ((x - reconstruct(x)) / unit.to(x)).square()


def units(model: GenerativeModel, data: Callable[[], Data]) -> Tensor:
    """What errors are measured in: the training rows' standard deviation of each real value, (*shape); else 1, ().

    In raw units the column of the largest numbers would decide alone. A constant value has unit 1. A model that
    standardises its data (`Scaling`) knows the deviations; for another the training rows are read.
    """
    if model.domain != "real":
        return torch.ones(())
    kept = getattr(model, "scaling", None)
    unit = kept.deviation if isinstance(kept, Scaling) else deviations(data().train)
    return unit.unflatten(0, model.shape)


def _reconstruction(model: GenerativeModel, _how: How, data: Callable[[], Data]) -> Scorer:
    errors = reconstruction_errors(model, data)
    return lambda x: -errors(x).flatten(1).sum(1)


def _hog(model: GenerativeModel, _how: How, _data: Callable[[], Data]) -> Scorer:
    reconstruct = require(model, Reconstruction).reconstruct
    return lambda x: -(oriented_gradients(x) - oriented_gradients(reconstruct(x))).square().sum(1)


def _latent(model: GenerativeModel, how: How, data: Callable[[], Data]) -> Scorer:
    scale = None if model.domain != "real" else deviations(data().train)
    search = LatentSearch(model, how.starts, how.steps, scale, how.seed)
    return lambda x: -search.errors(x)


def deviations(rows: Rows) -> Tensor:
    """The standard deviation of each value over the rows, (D,); 1 for a constant one."""
    return torch.from_numpy(StandardScaler().fit(rows.array().reshape(len(rows), -1)).scale_).float()


def _features(model: GenerativeModel, how: How, data: Callable[[], Data]) -> Scorer:
    return nearness(require(model, Features).features, data().train, how.seed)


def nearness(represent: Scorer, train: Rows, seed: int = 0) -> Scorer:
    """Minus the mean distance of a row's features to those of the NEIGHBOURS nearest training rows.

    Features are standardised by the training rows, of which at most KNOWN_ROWS are kept, chosen by the seed. A row
    that is itself among them is at distance 0 from itself. Features that overflow are infinitely far: −∞.

    Args:
        represent: (B, *shape) → features, (B, …).
        train: the training rows.
        seed: random seed.

    Raises:
        PlausibleError: the features of a training row are not finite.
    """

    def of(rows: Rows, places: np.ndarray) -> np.ndarray:
        blocks = blockwise(lambda x: represent(x).flatten(1), rows, seed, places)
        return np.concatenate([block for _, block in blocks]).astype(np.float64)

    width = of(train, np.arange(1)).shape[1]
    most = max(NEIGHBOURS, min(KNOWN_ROWS, KNOWN_VALUES // width))
    known = of(train, subset(np.arange(len(train)), most, seed))
    if not np.isfinite(known).all():
        raise PlausibleError(
            "the features of a training row are not finite: the model or the data are damaged"
        )
    scaler = StandardScaler().fit(known)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(known))).fit(scaler.transform(known))

    def score(x: Tensor) -> Tensor:
        found = represent(x).flatten(1).double().numpy()
        scores, finite = np.full(len(found), -np.inf), np.isfinite(found).all(1)
        if finite.any():
            scores[finite] = -nearest.kneighbors(scaler.transform(found[finite]))[0].mean(1)
        return torch.from_numpy(scores)

    return score


def _typicality(model: GenerativeModel, how: How, data: Callable[[], Data]) -> Scorer:
    """−|s(x) − mean of s over the valid rows|, s = log p or what stands for it (Nalisnick et al. 2019, one example)."""
    by = next(name for name in ("log_prob", "bound", "flow") if SCORES[name].fits(model))
    likelihood = SCORES[by].make(model, how, data)
    middle = score_rows(likelihood, data().valid, how.seed).mean(dtype=np.float64)
    return lambda x: -(likelihood(x).double() - middle).abs()


SCORES: dict[str, Score] = {
    "log_prob": Score(
        (Density,), "log_prob [nats]", lambda model, how, data: model.log_prob, True, likelihood=True
    ),
    "bound": Score(
        (Bound,),
        "log_prob_bound[k={k}] [nats]",
        lambda model, how, data: lambda x: model.log_prob_bound(x, samples=how.samples),
        True,
        likelihood=True,
    ),
    "flow": Score(
        (DensityEstimate,),
        "flow: log_density_estimate [nats]",
        lambda model, how, data: model.log_density_estimate,
        True,
        says="an estimate of log p(x) by an equation's solution, neither exact nor a bound; higher is more plausible",
        likelihood=True,
    ),
    "code": Score(
        (CodeDensity,),
        "code: log_prob_of_code [nats]",
        lambda model, how, data: model.log_prob_of_code,
        True,
        says="the log-density of each row's code, not of the row: what the code leaves out does not count; compare "
        "--by reconstruction; higher is more plausible",
    ),
    "reconstruction": Score(
        (Reconstruction,),
        "reconstruction: -sum of (x - reconstruct(x))^2 (real values in standard deviations)",
        _reconstruction,
        True,
        of_mixed="reconstruction: log p(x | its code) [nats]",
    ),
    "hog": Score(
        (Reconstruction,),
        "hog: -squared distance of x to reconstruct(x) in histograms of oriented gradients",
        _hog,
        pictures=True,
    ),
    "latent": Score(
        (Decoder,),
        "latent: -smallest sum of (x - decode(z))^2 in {steps} steps from {starts} starts",
        _latent,
        mixed=False,
    ),
    "features": Score(
        (Features,), f"features: -mean distance to the {NEIGHBOURS} nearest training rows", _features
    ),
    "typicality": Score(
        (Density, Bound, DensityEstimate),
        "typicality: -|log p(x) - mean of the valid rows| [nats]",
        _typicality,
        says="higher is more typical: nearer to the log p of the valid rows",
    ),
    "critic": Score(
        (Critic,),
        "critic: the discriminator's logit",
        lambda model, how, data: model.criticise,
        says="not a density: it tells data from the generator's own samples; far from both it may point either way",
        directed=False,
    ),
}
"""Name → score; the first default that fits the model is the one that nobody asked for."""


def scorable(model: object) -> list[str]:
    """What the model can score by, in the order of SCORES."""
    return [name for name, score in SCORES.items() if score.fits(model)]


def default_score(model: object) -> str:
    """What the model scores by where nobody asks for anything else.

    Raises:
        PlausibleError: it has no score of its own; the message says what would do.
    """
    has = scorable(model)
    if chosen := [name for name in has if SCORES[name].default]:
        return chosen[0]
    ask = f"ask for {' or '.join(f'--by {name}' for name in has)}, or " if has else ""
    others = "" if has else ", a bound, such as vae, or a reconstruction, such as autoencoder"
    raise PlausibleError(
        f"{type(model).__name__} has no score of its own: {ask}train a model with a density, such as nade{others}"
    )


def scorer(model: GenerativeModel, by: str, how: How, data: Callable[[], Data]) -> Scorer:
    """x, (B, *shape) → the scores, (B,).

    Args:
        model: that scores.
        by: a name of SCORES.
        how: settings.
        data: gives the run's data; called only by scores that read training or validation rows.

    Raises:
        PlausibleError: the model lacks what the score needs.
    """
    score = SCORES[by]
    if not score.fits(model):
        raise score.lacking(model)
    return score.make(model, how, data)


def score_rows(score: Scorer, rows: Rows, seed: int = 0, places: np.ndarray | None = None) -> np.ndarray:
    """The scores of rows, (n,), float32, block by block; NaN where a value too large for float32 left none."""
    found = np.concatenate([block for _, block in blockwise(score, rows, seed, places)])
    with np.errstate(over="ignore"):  # a distance beyond float32's range is −∞
        return found.astype(np.float32)
