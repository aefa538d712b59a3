"""Run folders: their files, validated records, event log, checkpoint manifests and lock.

Nothing here imports torch, or anything of this package but `errors` and `schema`, so a page that only shows runs needs
nothing else.
"""

from plausible.runs.files import write_json, write_whole, writing_whole
from plausible.runs.folder import RunFolder
from plausible.runs.manifest import Checkpoint, commit, verify
from plausible.runs.records import (
    Best,
    Change,
    Config,
    DataRecord,
    Evaluation,
    ModelRecord,
    TrainingRecord,
    record,
)

__all__ = [
    "Best",
    "Change",
    "Checkpoint",
    "Config",
    "DataRecord",
    "Evaluation",
    "ModelRecord",
    "RunFolder",
    "TrainingRecord",
    "commit",
    "record",
    "verify",
    "write_json",
    "write_whole",
    "writing_whole",
]
