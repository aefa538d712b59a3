"""What one does with models; the command line and Python users call these."""

from plausible.jobs.line import theory
from plausible.jobs.loading import draw, load
from plausible.jobs.scoring import encode, score
from plausible.jobs.training import Interrupted, Terminated, report, resume, train
from plausible.jobs.using import evaluate, sample
from plausible.jobs.verifying import verify

__all__ = [
    "Interrupted",
    "Terminated",
    "draw",
    "encode",
    "evaluate",
    "load",
    "report",
    "resume",
    "sample",
    "score",
    "theory",
    "train",
    "verify",
]
