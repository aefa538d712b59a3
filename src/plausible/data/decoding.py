"""Decode the pictures of a listing once, into a memory-mapped file of the user's cache folder.

The file is named after where the pictures are, their names, sizes and times of change, and the size asked for, so a
changed folder is decoded again. Many pictures are decoded by several processes, `python -m plausible.data.decoding`:
decoding small ones is mostly Python, which threads do not speed up, and such a process never imports the user's
script. No process holds more than one picture.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from plausible.data.cache import cache_folder, cache_limit, trim_cache
from plausible.data.images import Fit, as_rgb, check_size, opened, upright_size
from plausible.data.picturefiles import Listing
from plausible.errors import PlausibleError

__all__ = ["decoded"]

PARALLEL_FROM = 4000
"""Pictures that are worth more than one process."""
_FORMAT = 1
"""Of the cached files; a change of the rule that decodes pictures needs a new one."""
_STEP = 200
"""Pictures between two reports of progress."""
_SECONDS = 5.0
_LOG = logging.getLogger("plausible")
_LARGEST = 1 << 30
"""Bytes of one picture in a zip, unpacked."""


@dataclass(frozen=True)
class _Job:
    """Consecutive pictures that one process decodes.

    Attributes:
        root, zipped: as in `Listing`.
        names: of the pictures.
        width, height: that each has to have.
        how: the fit; empty: they are not resampled.
        first: the name of the first picture of all, for errors.
        out: the file that their pixels are written to.
        offset: where in that file the first of these pictures begins, in bytes.
    """

    root: str
    zipped: bool
    names: list[str]
    width: int
    height: int
    how: str
    first: str
    out: str
    offset: int


def decoded(listing: Listing, fit: Fit | None) -> np.ndarray:
    """All pictures, (n, height, width) if all are grey, else (n, height, width, 3), uint8, memory-mapped, read-only.

    Args:
        listing: of a folder or a zip.
        fit: the size that they are brought to; None: all have one size.

    Raises:
        PlausibleError: a picture that cannot be decoded or has another size, or no room on the disk; the message names
            the file.
    """
    key = f"{_FORMAT} {listing.stamp} {fit}"
    path = cache_folder() / "pictures" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):  # it is not there yet, or was damaged
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if (len(array), array.dtype) == (len(listing.names), np.uint8):
            os.utime(path)
            return array
    width, height = fit.size if fit is not None else _size_of_first(listing)
    limit, needed = cache_limit(), len(listing.names) * width * height * 3
    with _part_of(path if needed <= limit else None, listing.root) as part:
        grey = _decode_into(part, listing, fit, (width, height))
        if grey:
            part = _one_channel(part, listing.root)
        array = np.load(part, mmap_mode="r", allow_pickle=False)
        if needed <= limit:
            part.replace(path)
            trim_cache(path.parent, limit, path)
    return array


def _size_of_first(listing: Listing) -> tuple[int, int]:
    with _reading(listing.root, listing.zipped) as opener:
        name, file = opener(listing.names[0])
        with opened(name, file) as image:
            size = upright_size(image)
    check_size((name, size), name, size)
    return size


@contextmanager
def _part_of(path: Path | None, name: str) -> Generator[Path, None, None]:
    """A new hidden file in the folder of `path`, or in the temporary folder; it is deleted unless it was renamed.

    Raises:
        PlausibleError: there is no room for it.
    """
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(".part", ".plausible-", None if path is None else path.parent)
    except OSError as error:
        raise _no_room(name, error) from error
    os.close(handle)
    try:
        yield Path(part)
    except OSError as error:
        raise _no_room(name, error) from error
    finally:
        for file in (part, f"{part}.grey"):
            with suppress(OSError):
                Path(file).unlink(missing_ok=True)


def _no_room(name: str, error: OSError) -> PlausibleError:
    return PlausibleError(
        f"{name}: its decoded pictures cannot be written ({error}): make room in {cache_folder()}, set PLAUSIBLE_CACHE "
        "to a folder with more, or ask for a smaller :size="
    )


def _decode_into(part: Path, listing: Listing, fit: Fit | None, size: tuple[int, int]) -> bool:
    """Decode all pictures into a .npy of three channels; returns whether all are grey."""
    n, (width, height) = len(listing.names), size
    shape = (n, height, width, 3)
    header = np.lib.format.open_memmap(part, "w+", np.uint8, shape).offset
    workers = _workers() if n >= PARALLEL_FROM else 1
    ends = [n * i // workers for i in range(workers + 1)]
    jobs = [
        _Job(
            listing.root,
            listing.zipped,
            listing.names[start:end],
            width,
            height,
            "" if fit is None else fit.how,
            listing.names[0],
            str(part),
            header + start * width * height * 3,
        )
        for start, end in pairwise(ends)
    ]
    progress = _Progress(listing.root, n)
    if workers == 1:
        return all([_reported(progress, *found) for found in _run(jobs[0])])  # noqa: C419 - runs to the end
    stop = Event()
    with ThreadPoolExecutor(workers) as pool:
        try:
            return all(list(pool.map(lambda job: _in_process(job, progress, stop), jobs)))
        finally:
            stop.set()


class _Progress:
    """Says now and then how many pictures have been read."""

    def __init__(self, root: str, n: int) -> None:
        self._root, self._n, self._done = root, n, 0
        self._began = self._said = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._said > _SECONDS:
            self._said = now
            rate = self._done / (now - self._began)
            _LOG.info(
                "%s: %s of %s pictures read, %.0f a second",
                self._root,
                f"{self._done:,}",
                f"{self._n:,}",
                rate,
            )


def _reported(progress: _Progress, count: int, grey: bool) -> bool:
    progress.add(count)
    return grey


def _workers() -> int:
    """Processes to decode with: one for each processor that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable if sys.executable else 1


def _in_process(job: _Job, progress: _Progress, stop: Event) -> bool:
    """Run a job in a process of its own; returns whether its pictures are all grey.

    Raises:
        PlausibleError: as `_run`, or the process died.
    """
    own = os.fspath(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
    grey, failed = True, ""
    with subprocess.Popen(  # noqa: S603 - this interpreter, this module
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(asdict(job)).encode())
            process.stdin.close()
        for line in process.stdout:
            said = json.loads(line)
            failed = said.get("error", "")
            if stop.is_set():
                process.kill()
                break
            if not failed:
                progress.add(said["count"])
                grey = grey and said["grey"]
        else:
            if process.wait() and not failed:
                failed = f"{job.root}: a process that decodes pictures died ({process.returncode}): try again"
    if failed:
        stop.set()
        raise PlausibleError(failed)
    return grey


def _run(job: _Job) -> Iterator[tuple[int, bool]]:
    """Decode the pictures of a job into its file; yields now and then their number and whether all of them are grey.

    Raises:
        PlausibleError: a picture that cannot be decoded or has another size.
        OSError: no room on the disk.
    """
    fit = Fit(job.width, job.height, "pad" if job.how == "pad" else "crop") if job.how else None
    with _reading(job.root, job.zipped) as opener, Path(job.out).open("r+b") as out:
        out.seek(job.offset)
        first = (_shown(job.root, job.first, job.zipped), (job.width, job.height))
        all_grey, count = True, 0
        for name in job.names:
            shown, file = opener(name)
            pixels, grey = as_rgb(shown, file, fit)
            check_size(first, shown, (pixels.shape[1], pixels.shape[0]))
            out.write(pixels.tobytes())
            all_grey, count = all_grey and grey, count + 1
            if count == _STEP:
                yield count, all_grey
                count = 0
        out.flush()
        yield count, all_grey


def _shown(root: str, name: str, zipped: bool) -> str:
    return f"{root}: {name}" if zipped else str(Path(root) / name)


@contextmanager
def _reading(root: str, zipped: bool) -> Generator[Callable[[str], tuple[str, Any]], None, None]:
    """A function from the name of a picture to how errors call it and what Pillow can open."""
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(root)) if zipped else None

        def opener(name: str) -> tuple[str, Any]:
            shown = _shown(root, name, zipped)
            return shown, shown if archive is None else _unpacked(archive, name, shown)

        yield opener


def _unpacked(archive: zipfile.ZipFile, name: str, shown: str) -> io.BytesIO:
    try:
        with archive.open(name) as member:
            content = member.read(_LARGEST + 1)
    except (
        Exception
    ) as error:  # BadZipFile, zlib.error, lzma.LZMAError: each method of compression has its own
        raise PlausibleError(f"{shown} cannot be unpacked ({error}): replace the zip") from error
    if len(content) > _LARGEST:
        raise PlausibleError(f"{shown} has more than {_LARGEST >> 30} GiB unpacked: remove it")
    return io.BytesIO(content)


def _one_channel(part: Path, name: str) -> Path:
    """The same pictures with one channel, (n, height, width), in a file beside it."""
    colour = np.load(part, mmap_mode="r", allow_pickle=False)
    grey = part.with_name(f"{part.name}.grey")
    with grey.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": colour.shape[:3]}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(colour), _STEP):
            file.write(np.ascontiguousarray(colour[start : start + _STEP, :, :, 0]).tobytes())
    return grey


def _main() -> int:
    """What a decoding process does: a job comes as JSON on stdin, progress goes as lines of JSON to stdout."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # of Ctrl-C the process that began this one hears, and ends it
    job = _Job(**json.loads(sys.stdin.buffer.read()))
    try:
        for count, grey in _run(job):
            print(json.dumps({"count": count, "grey": grey}), flush=True)
    except PlausibleError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    except BrokenPipeError:  # the process that began this one is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(json.dumps({"error": str(_no_room(job.root, error))}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
