"""A run folder that anyone can read: its paths, its records, its event log, its checkpoints' manifests, its lock.

Nothing here imports torch, or anything else of ours but the error type and the schema: a page that only watches runs
can live on this room alone.
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
