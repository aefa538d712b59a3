"""Metrics: one file a family; each declares what it needs, when it is a default, and how it is shown.

Importing a family registers its metrics, in the order in which they are computed and shown. A metric of your own is
registered when its file is imported; to make it one of the project's own, add its file to the imports below.
"""

from plausible.metrics import (  # isort: skip
    two_sample,
    tables,
    memorisation,
    likelihood,
    anomaly,
    parzen,
    fidelity,
    modes,
    representation,
    categories,
    collapse,
    ladder,
)
from plausible.metrics.registry import METRICS, Metric, Result, Shown, Subject, defaults, measure, metric

__all__ = [
    "METRICS",
    "Metric",
    "Result",
    "Shown",
    "Subject",
    "anomaly",
    "categories",
    "collapse",
    "defaults",
    "fidelity",
    "ladder",
    "likelihood",
    "measure",
    "memorisation",
    "metric",
    "modes",
    "parzen",
    "representation",
    "tables",
    "two_sample",
]
