"""Kill a training before any one of its file operations, in a forked child, and go on in another.

The operations are counted by an audit hook: what Python opens for writing, renames, removes and makes under a folder. A
child that comes to the k-th one leaves by `os._exit`: no handler, no `finally`, no flush.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

KILLED, FAILED = 77, 78
WATCHED = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
TIMES = re.compile(rb'("(?:time|seconds|cpu_seconds)": )("[^"]*"|[-+0-9.eE]+)')
FACTS = re.compile(rb"(<dt>training (?:time|samples / s)</dt><dd>)[^<]*")


def forked(work: Callable[[], None], *, folder: Path, kill_at: int = -1, quiet: bool = False) -> int:
    """Do the work in a child with `folder` as its current one; killed before the kill_at-th file operation.

    Returns: KILLED, 0, or FAILED (what was raised is printed).
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = FAILED
        try:
            os.chdir(folder)
            if kill_at >= 0:
                _count_down(folder, kill_at)
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - it is printed, and the child ends
            if not quiet:
                traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def operations(work: Callable[[], None], folder: Path) -> list[str]:
    """The file operations of the work, done in a child: what a kill can come before."""
    read, write = os.pipe()

    def recorded() -> None:
        seen: list[str] = []
        _listen(folder, seen.append)
        work()
        os.write(write, json.dumps(seen).encode())

    assert forked(recorded, folder=folder) == 0
    os.close(write)
    content = b""
    while part := os.read(read, 1 << 16):
        content += part
    os.close(read)
    return json.loads(content)


def files(folder: Path) -> dict[str, bytes]:
    """Every file and folder beneath, without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = b"" if path.is_dir() else _without_times(path)
    return found


def _without_times(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name == "manifest.json":
        return re.sub(rb'("state.json": )"[0-9a-f]*"', rb"\1", content)
    if path.suffix in (".json", ".jsonl"):
        return TIMES.sub(rb"\1", content)
    return FACTS.sub(rb"\1", content) if path.suffix == ".html" else content


def _count_down(folder: Path, left: int) -> None:
    remaining = left

    def count(_: str) -> None:
        nonlocal remaining
        if remaining == 0:
            os._exit(KILLED)
        remaining -= 1

    _listen(folder, count)


def _listen(folder: Path, tell: Callable[[str], None]) -> None:
    """Call back before every file operation beneath a folder. There is no way to stop listening: use it in a child."""
    home = os.path.realpath(folder)
    mine = os.getpid()

    def hook(event: str, args: tuple) -> None:
        if os.getpid() != mine or not (event == "open" or event in WATCHED):
            return
        if event == "open" and not _writes(args):
            return
        name = args[0] if isinstance(args[0], str | bytes | os.PathLike) else ""
        path = os.path.join(os.getcwd(), os.fsdecode(name))  # noqa: PTH109, PTH118 - no files are opened by it
        if path.startswith(home) or event in ("os.rmdir", "os.remove") or event == "os.truncate":
            tell(f"{event} {os.fsdecode(name).removeprefix(home)}")

    sys.addaudithook(hook)


def _writes(args: tuple) -> bool:
    flags = args[2] if isinstance(args[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
