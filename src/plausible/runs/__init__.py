"""Run folders: their files, validated records, event log, checkpoint manifests and lock.

Nothing here imports torch, or anything of this package but `errors` and `schema`, so a page that only shows runs needs
nothing else.
"""

from plausible.runs.files import write_json, write_whole, writing_whole
from plausible.runs.folder import RunFolder
from plausible.runs.log import now
from plausible.runs.manifest import Checkpoint, commit, verify
from plausible.runs.records import (
    BUDGET,
    FORMAT,
    TRAINING_SETTINGS,
    Best,
    Change,
    CoderRecord,
    Config,
    DataRecord,
    Evaluation,
    MetricRecord,
    ModelRecord,
    OptimizerRecord,
    SelectionRecord,
    State,
    TrainingRecord,
    one_line,
    read_record,
    record,
)

__all__ = [
    "BUDGET",
    "FORMAT",
    "TRAINING_SETTINGS",
    "Best",
    "Change",
    "Checkpoint",
    "CoderRecord",
    "Config",
    "DataRecord",
    "Evaluation",
    "MetricRecord",
    "ModelRecord",
    "OptimizerRecord",
    "RunFolder",
    "SelectionRecord",
    "State",
    "TrainingRecord",
    "commit",
    "now",
    "one_line",
    "read_record",
    "record",
    "verify",
    "write_json",
    "write_whole",
    "writing_whole",
]
