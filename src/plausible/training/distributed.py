"""Several processes on one game. Every torch.distributed call of the project is in this file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["World", "is_distributed", "leave", "world"]


@dataclass(frozen=True)
class World:
    """The processes that share a training: this one's rank, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True for the one process that writes files and talks to the user."""
        return self.rank == 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        offset = 0
        for tensor in tensors:
            tensor.copy_(flat[offset : offset + tensor.numel()].view_as(tensor))
            offset += tensor.numel()

    def any(self, flag: bool) -> bool:
        """True on every process when it is true on one."""
        if self.size == 1:
            return flag
        raised = torch.tensor([float(flag)])
        self.sum([raised])
        return bool(raised > 0)

    def wait(self) -> None:
        """Return when every process is here."""
        if self.size > 1:
            dist.barrier()


def is_distributed() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def leave(status: int) -> NoReturn:
    """End a process that torchrun started, without finalizing the interpreter.

    Gloo's threads may still free tensors of the last message, for which they need the interpreter; one that is being
    finalized ends such a thread, and the process aborts ("terminate called without an active exception"). Call it as
    the last thing, with every file closed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextlib.contextmanager
def world() -> Generator[World]:
    """The processes that torchrun started, or this one alone."""
    if not is_distributed():
        yield World()
        return
    dist.init_process_group("gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
        dist.barrier()
    finally:
        dist.destroy_process_group()
