"""What every benchmark here shares: what the machine is, how fast it can be, and how a spread is told."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

COPIED = 1 << 28
"""Bytes of the array that is copied: several times any processor's cache."""
SETTINGS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD")


def describe(threads: int) -> dict[str, Any]:
    """The machine, the moment and the versions, for the head of a table."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "plausible")},
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "threads": threads,
        "load before": round(os.getloadavg()[0], 2),
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def product_rate(n: int, seconds: float = 1.0, *, onednn: bool = False) -> float:
    """FLOP/s of an n × n float32 matrix product: 2n³ over the median time, measured for about `seconds`.

    It is torch.mm's, which on x86 is MKL's, or that of oneDNN, which PyTorch carries for convolutions: MKL keeps
    its AVX-512 kernels from AMD's processors, so the two can differ by a factor of two.
    """
    a, b, out = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)

    def product() -> Tensor:
        if onednn:
            return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
        return torch.mm(a, b, out=out)

    return 2 * n**3 / float(np.median(times(product, seconds)))


def copy_rate(seconds: float = 1.0) -> float:
    """Bytes/s, read and written, of copying an array that fits no cache."""
    source = torch.rand(COPIED // 4)
    target = torch.empty_like(source)
    return 2 * COPIED / float(np.median(times(lambda: target.copy_(source), seconds)))


def peak() -> float:
    """MiB that this process ever held; getrusage's figure would begin with that of the process it was started by."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def times(work: Callable[[], Any], seconds: float) -> list[float]:
    """Durations of at least three runs, more until `seconds` have passed; one run before them does not count."""
    work()
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < seconds:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


FEW = 5
"""Values that quartiles are taken of, at least."""


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, first and third quartile; of fewer than FEW values the least and the largest."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75] if len(values) >= FEW else [0, 0.5, 1])
    return float(middle), float(low), float(high)


def spread_is(values: int) -> str:
    """What `told` writes of so many values."""
    return "median [quartiles]" if values >= FEW else "median [range]"


def told(values: Sequence[float], form: str = ",.0f") -> str:
    """A spread as text: median [low – high], see `spread`."""
    middle, low, high = spread(values)
    return f"{middle:{form}} [{low:{form}} – {high:{form}}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _processor() -> str:
    """The processor's model, and its family: in a virtual machine the name alone is vague."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return f"{found.get('model name', platform.machine())}, family {found.get('cpu family', '?')}"
