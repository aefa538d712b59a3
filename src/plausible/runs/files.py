"""Write files atomically: a reader finds the old file or the new one, never part of either."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

from plausible.errors import PlausibleError

__all__ = ["write_json", "write_whole", "writing_whole"]


@contextlib.contextmanager
def writing_whole(path: Path) -> Generator[BinaryIO]:
    """Open a file to be written atomically: it replaces the old one when the block ends.

    An exception in the block leaves nothing behind.

    Raises:
        PlausibleError: it could not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise PlausibleError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file atomically.

    Raises:
        PlausibleError: it could not be written; nothing is left behind.
    """
    with writing_whole(path) as file:
        file.write(content)
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write JSON atomically.

    Raises:
        PlausibleError: it could not be written.
    """
    try:
        content = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError as error:
        raise PlausibleError(f"could not write {path}: it would hold text that is not Unicode") from error
    return write_whole(path, content)
