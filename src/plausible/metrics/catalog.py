"""The metrics that `evaluate` knows: each looks at samples and data and says what it found, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data
from plausible.data.builtin import MIXTURES
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics import parzen as parzen_window
from plausible.metrics.anomaly import anomaly, can_detect
from plausible.metrics.categories import classification, clustering, fitting_categories
from plausible.metrics.fidelity import fidelity, mode_coverage, principal_components
from plausible.metrics.likelihood_metrics import full_likelihood, has_likelihood, ladder, likelihood
from plausible.metrics.metric import Metric, Subject
from plausible.metrics.representation import can_probe, probe

COMPONENTS = 50


def parzen(subject: Subject) -> list[Metric]:
    """Parzen-window log-likelihood of the test rows by the GAN authors' protocol; pixels in [0, 1]."""
    data = subject.data
    if data.domain == "real":
        raise PlausibleError("the Parzen protocol is one for values in [0, 1]: take --metrics fidelity")
    valid = data.valid.take(np.arange(min(1000, len(data.valid))))[0]
    found = parzen_window.parzen(subject.samples, valid, data.test.array())
    sizes = {"sigma": found.sigma, "samples": found.samples, "valid": found.valid, "test": found.test}
    edge = " σ lies at the edge of the grid: a better one may lie outside." if found.sigma_at_edge else ""
    return [
        Metric(
            "parzen",
            found.mean,
            found.standard_error,
            "standard error over test rows",
            "nats",
            details=sizes,
            note=parzen_window.NOTE + edge,
        )
    ]


def nearest(subject: Subject) -> list[Metric]:
    """Precision, recall, density and coverage, k = 5, of as many samples as there are test rows."""
    train, real = subject.data.train.array(), subject.data.test.array()
    n = min(len(real), len(subject.samples))
    project, features = _features(torch.from_numpy(train).flatten(1), subject.data.domain)
    found = fidelity(
        project(torch.from_numpy(real[:n])), project(subject.samples[:n]), k=5, features=features
    )
    details = {"k": found.k, "real": found.n_real, "samples": found.n_fake, "features": found.features}
    note = (
        f"Nearest neighbours (k = 5) among {n:,} test rows and as many samples, on {features}. Density: how often "
        "samples fall close to real rows (real against real: 1); coverage: the share of real rows with a sample close "
        "by; precision and recall are their stricter cousins, sensitive to outliers. Small sets make all four noisy."
    )
    return [
        Metric(
            name, getattr(found, name), unit="" if name == "density" else "share", details=details, note=note
        )
        for name in ("density", "coverage", "precision", "recall")
    ]


def _features(train: Tensor, domain: str) -> tuple[Callable[[Tensor], Tensor], str]:
    """Where distances are taken, and how that is called."""
    if train.shape[1] > COMPONENTS:
        components = principal_components(train, COMPONENTS)
        return lambda x: components(
            x.flatten(1)
        ), f"the first {COMPONENTS} principal components of the training rows"
    if domain == "real":
        mean, scale = train.mean(0), train.std(0).clamp_min(1e-12)
        return lambda x: (x.flatten(1) - mean) / scale, "the columns, standardised by the training rows"
    return lambda x: x.flatten(1), "the values themselves"


def modes(subject: Subject) -> list[Metric]:
    """Modes found and share of good samples, for `ring` and `grid`, by PacGAN's definition."""
    base = subject.data.base
    if base not in MIXTURES:
        raise PlausibleError(
            f"modes can only be counted where they are known: {', '.join(MIXTURES)}, not {subject.data.spec}"
        )
    found = mode_coverage(subject.samples, *MIXTURES[base])
    details = {"modes": found.total, "samples": found.samples}
    note = "A mode counts as found when at least one sample lies within 3σ of it; such samples are of high quality."
    return [
        Metric("modes", found.modes, unit=f"of {found.total}", details=details, note=note),
        Metric("high quality", found.high_quality, unit="share", details=details, note=note),
    ]


METRICS: dict[str, Callable[[Subject], list[Metric]]] = {
    "parzen": parzen,
    "fidelity": nearest,
    "modes": modes,
    "likelihood": likelihood,
    "ladder": ladder,
    "iwae5000": full_likelihood,
    "probe": probe,
    "anomaly": anomaly,
    "classification": classification,
    "clustering": clustering,
}


def fitting(data: Data, model: GenerativeModel | None = None, trained: str | None = None) -> tuple[str, ...]:
    """The metrics that fit the data and the model and together take less than a minute; see `measure`."""
    categories = fitting_categories(model, data)
    fits = {
        "likelihood": has_likelihood(model, data),
        "anomaly": can_detect(model, data, trained or data.source),
        "parzen": data.domain != "real",
        "fidelity": True,
        "modes": data.base in MIXTURES,
        "probe": can_probe(model, data),
        "classification": categories == "classification",
        "clustering": categories == "clustering",
    }
    return tuple(name for name, does in fits.items() if does)


def measure(
    draw: Callable[[int], Tensor],
    data: Data,
    metrics: Sequence[str] | None = None,
    model: GenerativeModel | None = None,
    trained: str | None = None,
) -> list[Metric]:
    """Compute metrics, by name; default those that fit the data and the model.

    Args:
        draw: n → (n, *shape) samples, the same at each call.
        data: with its splits.
        metrics: names from METRICS.
        model: where the samples come from; metrics of its likelihood, codes and scores need it.
        trained: the SPEC with absolute path that it was trained on; None: the data's.

    Raises:
        PlausibleError: an unknown metric, or one that does not fit the data or the model.
    """
    chosen = metrics or fitting(data, model, trained)
    for name in chosen:
        if name not in METRICS:
            raise PlausibleError(f"--metrics: there is no metric {name!r}: choose from {', '.join(METRICS)}")
    subject = Subject(draw, data, model, trained)
    return [metric for name in chosen for metric in METRICS[name](subject)]
