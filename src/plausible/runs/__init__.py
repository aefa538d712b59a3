"""A run folder that anyone can read: its paths, its configuration, its event log, its checkpoints' manifests.

Nothing here imports torch, or anything else of ours but the error type: a page that only watches runs can
live on this room alone.
"""

from plausible.runs.files import write_json, write_whole, writing_whole
from plausible.runs.folder import RunFolder
from plausible.runs.manifest import Checkpoint, commit, verify

__all__ = ["Checkpoint", "RunFolder", "commit", "verify", "write_json", "write_whole", "writing_whole"]
