"""The verbs, one file each: functions of an opened run, called by `plausible.run.Run` and the command line."""

from plausible.jobs.complete import complete
from plausible.jobs.encode import decode, encode, features, reconstruct
from plausible.jobs.evaluate import evaluate
from plausible.jobs.explain import explain
from plausible.jobs.interpolate import interpolate, traverse
from plausible.jobs.sample import sample, sampling_order
from plausible.jobs.score import score
from plausible.jobs.training import report, resume, train
from plausible.jobs.verify import verify

__all__ = [
    "complete",
    "decode",
    "encode",
    "evaluate",
    "explain",
    "features",
    "interpolate",
    "reconstruct",
    "report",
    "resume",
    "sample",
    "sampling_order",
    "score",
    "train",
    "traverse",
    "verify",
]
