"""A nameless temporary file that becomes a memory map: decoded data of any size at no cost in memory."""

from __future__ import annotations

import tempfile
from types import TracebackType
from typing import Self

import numpy as np

from plausible.errors import PlausibleError


class Spool:
    """Blocks in, one memory map out; the file goes when the map does, whatever happens to the process.

    Args:
        name: what is being read, for errors.

    Raises:
        PlausibleError: no room for it.
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
        """All that was written, as one read-only array; it outlives the spool."""
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
