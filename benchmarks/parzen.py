"""Parzen-window log-likelihood against the authors' broadcast form, in one run: ratios, accuracy, memory.

    python benchmarks/parzen.py [--quick] [--threads 1 2] [--data FOLDER]

The task is one σ = .1668: 10,000 samples × 10,000 test rows × 784. With --data (or $PLAUSIBLE_DATA) the samples
are the first 10,000 MNIST training images and the rows its test images; otherwise both are synthetic. A
broadcast form takes minutes for the whole, so it runs on two subsets of rows; the table shows how linear it is
(time a row, larger subset over smaller) and scales the larger. Each form runs at its fastest rows-at-once of
those tried. Set OMP_WAIT_POLICY=PASSIVE, and let nothing else run.
"""

from __future__ import annotations

import argparse
import gzip
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plausible.metrics.parzen import parzen_log_likelihood

SIGMA = 0.1668


def numpy_broadcast(samples: np.ndarray, x: np.ndarray, at_once: int) -> np.ndarray:
    """parzen_ll.py, with numpy for Theano."""
    scores = []
    for start in range(0, len(x), at_once):
        a = (x[start : start + at_once, None, :] - samples[None]) / np.float32(SIGMA)
        e = -0.5 * (a**2).sum(2)
        top = e.max(1)
        scores.append(top + np.log(np.exp(e - top[:, None]).mean(1)))
    return np.concatenate(scores) - samples.shape[1] * np.log(SIGMA * np.sqrt(2 * np.pi))


def torch_broadcast(samples: Tensor, x: Tensor, at_once: int) -> Tensor:
    """The same in torch."""
    constant = math.log(len(samples)) + samples.shape[1] * math.log(SIGMA * math.sqrt(2 * math.pi))
    scores = []
    for rows in x.split(at_once):
        a = (rows[:, None, :] - samples[None]) / SIGMA
        scores.append(torch.logsumexp(-0.5 * (a**2).sum(2), 1))
    return torch.cat(scores) - constant


def torch_cdist(samples: Tensor, x: Tensor, at_once: int) -> Tensor:
    """torch's own distances from differences: no broadcast array; what a reader might write first."""
    constant = math.log(len(samples)) + samples.shape[1] * math.log(SIGMA * math.sqrt(2 * math.pi))
    scores = []
    for rows in x.split(at_once):
        distances = torch.cdist(rows, samples, compute_mode="donot_use_mm_for_euclid_dist")
        scores.append(torch.logsumexp(distances.square_().mul_(-0.5 / SIGMA**2), 1))
    return torch.cat(scores) - constant


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Median of `repeats` runs after one to warm up."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matmul_rate(repeats: int, n: int = 2048) -> float:
    """Flops a second of an n × n float32 product."""
    a, b, out = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    return 2 * n**3 / seconds(lambda: torch.mm(a, b, out=out), repeats)


def peak_mib(action: Callable[[], object]) -> float:
    """By how much the process outgrows what it held before (Linux; NaN elsewhere); run it before other work."""

    def status(key: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024

    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return math.nan
    reset.write_text("5")
    before = status("VmRSS")
    action()
    return status("VmHWM") - before


def images(folder: Path, name: str, rows: int) -> Tensor:
    with gzip.open(folder / "mnist" / f"{name}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 784 * rows), np.uint8)[16:].reshape(-1, 784)
    return torch.from_numpy(pixels.astype(np.float32) / np.float32(255))


def load(folder: str | None, n: int) -> tuple[str, Tensor, Tensor]:
    if folder is not None:
        return "MNIST", images(Path(folder), "train", n), images(Path(folder), "t10k", n)
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(100, 784, generator=generator)
    samples, x = (
        centres.repeat(n // 100, 1) + 0.15 * torch.randn(n, 784, generator=generator) for _ in range(2)
    )
    return "synthetic clusters", samples, x


def per_row(
    form: Callable[[Tensor, Tensor, int], object], samples: Tensor, x: Tensor, rows: int, repeats: int
) -> tuple[float, float, int]:
    """A slow form's seconds a row at its fastest rows-at-once; that for 2·rows over that for rows; rows-at-once."""
    trials = {at_once: seconds(lambda n=at_once: form(samples, x[:10], n), 1) for at_once in (1, 2, 10)}
    best = min(trials, key=lambda at_once: trials[at_once])
    small = seconds(lambda: form(samples, x[:rows], best), repeats) / rows
    large = seconds(lambda: form(samples, x[: 2 * rows], best), repeats) / (2 * rows)
    return large, large / small, best


def bench(samples: Tensor, x: Tensor, exact: Tensor, threads: int, peak: float, quick: bool) -> None:
    """Print the table at one number of threads."""
    torch.set_num_threads(threads)
    repeats, rows, (m, n, d) = (
        (1, 10, (len(x), *samples.shape)) if quick else (5, 40, (len(x), *samples.shape))
    )
    rates = [matmul_rate(max(3, repeats))]
    ours = seconds(lambda: parzen_log_likelihood(samples, x, SIGMA), repeats)
    double = seconds(lambda: parzen_log_likelihood(samples, x, SIGMA, torch.float64), repeats)
    rates.append(matmul_rate(max(3, repeats)))
    rate, reached = statistics.mean(rates), 2 * m * n * d / ours
    error = (parzen_log_likelihood(samples, x, SIGMA) - exact).abs().max().item()
    print(f"\n### {threads} thread(s): {n:,} samples × {m:,} rows × {d}\n")
    print("| form | s | ratio to ours | rows at once | linear in rows | max difference from float64 [nats] |")
    print("|---|---|---|---|---|---|")
    print(f"| plausible, float32 | {ours:.2f} | 1 | blocks | | {error:.1e} |")
    print(f"| plausible, float64 | {double:.2f} | {double / ours:.2f} | blocks | | |")
    forms: dict[str, Callable[[Tensor, Tensor, int], object]] = {
        "numpy broadcast (has no threads)": lambda s, rows, at_once: numpy_broadcast(
            s.numpy(), rows.numpy(), at_once
        ),
        "torch broadcast": torch_broadcast,
        "torch cdist (differences)": torch_cdist,
    }
    for name, form in forms.items():
        row, linear, at_once = per_row(form, samples, x, rows, min(repeats, 3))
        off = (torch.as_tensor(form(samples, x[:rows], at_once)) - exact[:rows]).abs().max().item()
        print(f"| {name} | {row * m:.0f} | {row * m / ours:.1f} | {at_once} | {linear:.2f} | {off:.1e} |")
    print(
        f"\nMatrix product 2048³ float32: {rate / 1e9:.1f} GFLOP/s (before {rates[0] / 1e9:.1f}, after "
        f"{rates[1] / 1e9:.1f}); ours reaches {reached / 1e9:.1f}, {reached / rate:.0%} of it. "
        f"Peak memory above the inputs (1 thread, first run): {peak:.0f} MiB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2,000 × 2,000, one repeat: to see that it runs")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--data", default=os.environ.get("PLAUSIBLE_DATA"), help="folder holding mnist/")
    options = parser.parse_args()
    torch.set_num_threads(options.threads[0])
    name, samples, x = load(options.data, 2_000 if options.quick else 10_000)
    peak = peak_mib(lambda: parzen_log_likelihood(samples, x, SIGMA))
    exact = parzen_log_likelihood(samples, x, SIGMA, torch.float64)
    wait = os.environ.get("OMP_WAIT_POLICY", "unset")
    load_average = os.getloadavg()[0]
    print(
        f"{name}; torch {torch.__version__}, OMP_WAIT_POLICY {wait}, load average at start {load_average:.1f}"
    )
    for threads in options.threads:
        bench(samples, x, exact, threads, peak, options.quick)


if __name__ == "__main__":
    main()
