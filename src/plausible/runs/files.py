"""Files that exist whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

from plausible.errors import PlausibleError


@contextlib.contextmanager
def writing_whole(path: Path) -> Generator[BinaryIO]:
    """A file to write piece by piece; a reader finds the old one or the new one, never half of either.

    Whatever is raised while it is written leaves nothing behind.

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
    """Write a file so that a reader finds the old one or the new one, never half of either.

    Raises:
        PlausibleError: it could not be written; nothing is left behind.
    """
    with writing_whole(path) as file:
        file.write(content)
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write JSON, whole or not at all.

    Raises:
        PlausibleError: it could not be written.
    """
    try:
        content = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError as error:
        raise PlausibleError(f"could not write {path}: it would hold text that is not Unicode") from error
    return write_whole(path, content)
