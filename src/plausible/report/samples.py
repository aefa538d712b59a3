"""Samples as files: a picture or numbers, whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from plausible.errors import PlausibleError
from plausible.report.pictures import picture
from plausible.runs import write_whole


def _npy(samples: np.ndarray, path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, samples, allow_pickle=False)
    write_whole(path, buffer.getvalue())


def _npz(samples: np.ndarray, path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=samples)
    write_whole(path, buffer.getvalue())


def _csv(samples: np.ndarray, path: Path) -> None:
    buffer = io.BytesIO()
    flat = samples.reshape(len(samples), -1)
    header = ",".join(f"x{column}" for column in range(flat.shape[1]))
    np.savetxt(buffer, flat, delimiter=",", fmt="%.8g", header=header, comments="")
    write_whole(path, buffer.getvalue())


SAMPLE_WRITERS: dict[str, Callable[[np.ndarray, Path], object]] = {
    ".png": picture,
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
}


def write_samples(samples: np.ndarray, path: Path) -> Path:
    """Write samples, (n, *shape), in the form that the path's ending names: .png, .npy, .npz (key x) or .csv.

    Raises:
        PlausibleError: the file cannot be written.
    """
    try:
        SAMPLE_WRITERS[path.suffix](samples, path)
    except OSError as error:
        raise PlausibleError(f"could not write {path}: {error.strerror or error}") from error
    return path
