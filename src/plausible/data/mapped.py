"""Write decoded data of any size to an unnamed temporary file, and read it back as a memory map."""

from __future__ import annotations

import tempfile
from types import TracebackType
from typing import Self

import numpy as np

from plausible.errors import PlausibleError

__all__ = ["MappedWriter"]


class MappedWriter:
    """Collects blocks and returns them as one memory map.

    The operating system deletes the file together with the map, even if the process is killed.

    Args:
        name: what is being read, for errors.

    Raises:
        PlausibleError: there is no room for it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        try:
            self._file = tempfile.TemporaryFile(prefix="plausible-")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._no_room(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, block: np.ndarray) -> None:
        """Append an array, in C order."""
        try:
            self._file.write(block.tobytes())
        except OSError as error:
            raise self._no_room(error) from error

    def mapped(self, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
        """Everything written so far as one read-only array, which stays valid after the writer is closed."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._no_room(error) from error
        return np.memmap(self._file, dtype, "r", 0, shape)

    def _no_room(self, error: OSError) -> PlausibleError:
        return PlausibleError(
            f"{self._name}: its decoded values cannot be written to the temporary folder ({error}): "
            "make room there, or set TMPDIR to a folder with more"
        )
