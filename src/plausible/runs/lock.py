"""One writer per run: a lock in the run folder that the kernel releases when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Generator
from pathlib import Path

from pydantic import ValidationError

from plausible.errors import PlausibleError
from plausible.runs.log import now
from plausible.runs.records import Name
from plausible.schema import Record

__all__ = ["LOCK", "acquire", "is_alive", "is_free", "locked", "release"]

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

LOCK = ".lock"
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class _Holder(Record):
    """The process that writes into a run."""

    pid: int
    host: Name
    since: Name


@contextlib.contextmanager
def locked(run: Path) -> Generator[None]:
    """Inside the block, this process is the only one that writes into the run folder.

    Raises:
        PlausibleError: another process writes into it (the message names it), or the lock cannot be created.
    """
    try:
        descriptor = acquire(run)
    except OSError as error:
        raise PlausibleError(
            f"could not lock the run {run}: {error.strerror or error}: it must be a folder that you may write to"
        ) from error
    try:
        yield
    finally:
        release(run, descriptor)


def acquire(run: Path) -> int:
    """Acquire the lock of a folder; returns its open file descriptor, for `release`.

    Raises:
        PlausibleError: another process holds it.
        OSError: the file cannot be created.
    """
    file = run / LOCK
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, run)
            if _same(descriptor, file):  # else its last holder removed it in the meantime
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, _holder().model_dump_json().encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def release(run: Path, descriptor: int) -> None:
    """Release the lock. The file is removed while still locked, so that no process locks a file about to vanish."""
    with contextlib.suppress(OSError):
        if _same(descriptor, run / LOCK):
            (run / LOCK).unlink()
    os.close(descriptor)


def is_free(run: Path) -> bool:
    """Whether no process writes into a folder."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDWR)
    except OSError:
        return True
    try:
        _lock(descriptor, run)
    except PlausibleError:
        return False
    finally:
        os.close(descriptor)
    return True


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is running."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _lock(descriptor: int, run: Path) -> None:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken(run, descriptor) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
    holder = _read(descriptor)  # a file system without locks: the last writer holds it as long as it runs
    me = _holder()
    if holder is not None and holder.pid != me.pid and (holder.host != me.host or is_alive(holder.pid)):
        raise _taken(run, descriptor)


def _taken(run: Path, descriptor: int) -> PlausibleError:
    holder = _read(descriptor)
    by = f"process {holder.pid} on {holder.host}, since {holder.since}" if holder else "another process"
    return PlausibleError(
        f"{run} is being written by {by}: wait until it has finished, or stop it "
        f"(if no such process runs any more, remove {run / LOCK})"
    )


def _read(descriptor: int) -> _Holder | None:
    try:
        return _Holder.model_validate_json(os.pread(descriptor, 4096, 0))
    except (OSError, ValidationError, ValueError):
        return None


def _holder() -> _Holder:
    return _Holder(pid=os.getpid(), host=socket.gethostname() or "?", since=now())


def _same(descriptor: int, file: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), file.stat())
    return False
