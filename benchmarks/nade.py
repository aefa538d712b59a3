"""NADE: plausible against loops written by hand and against the machine's matrix product.

    PLAUSIBLE_DATA=… python benchmarks/nade.py [--threads 2] [--rounds 7] [--seconds 2] [--json FILE] [--quick]

784 variables, 500 hidden units, ReLU and the paper's sigmoid, batch 128 of `mnist:fixed`, float32. Three jobs: *train*,
ticks with Adam (fused, for everyone); *score*, log p of batches of 128; *draw* 64 images.

- **plausible**: the model `nade` and the trainer as they are: rows, seeds and checks included.
- **per-pixel loop**: the algorithm by hand in PyTorch, a variable at a time: the sum is carried along, nothing is
  indexed in the loop (a gradient of an indexed weight is as large as all of them), autograd does the rest.
- **cumulative sum**: all 784 hidden layers at once, by torch.cumsum over a (128, 784, 500) tensor.

Every contestant lives in a process of its own, started before the clock and idle outside its turn; its peak memory is
that process's, PyTorch and the data included. They take turns in rounds, each for about the same time; ratios are taken
within a round. What plausible compiles is compiled before the clock.

Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from torch import Tensor, nn

BATCH, SIZE, HIDDEN, DRAWN = 128, 784, 500, 64
ACTIVATIONS = ("relu", "sigmoid")
JOBS = ("train", "score", "draw")
OURS, LOOP, CUMULATIVE = "plausible", "per-pixel loop", "cumulative sum"


# --------------------------------------------------------------- written by hand
class Plain(nn.Module):
    """The per-pixel loop."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.act = getattr(torch, activation)
        radius = 1 / math.sqrt(HIDDEN)
        self.W, self.V = (nn.Parameter(torch.empty(SIZE, HIDDEN).uniform_(-radius, radius)) for _ in range(2))
        self.b, self.c = nn.Parameter(torch.zeros(SIZE)), nn.Parameter(torch.zeros(HIDDEN))

    def logits(self, x: Tensor) -> Tensor:
        a, found = self.c.expand(len(x), -1), []
        for x_i, W_i, V_i in zip(x.t().contiguous().unbind(), self.W.unbind(), self.V.unbind(), strict=True):
            found.append(torch.mv(self.act(a), V_i))
            a = torch.addr(a, x_i, W_i)
        return torch.stack(found, 1) + self.b

    def log_prob(self, x: Tensor) -> Tensor:
        return -nn.functional.binary_cross_entropy_with_logits(self.logits(x), x, reduction="none").sum(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        a, uniform, x = self.c.repeat(n, 1), torch.rand(SIZE, n), []
        for u, b, W_i, V_i in zip(uniform, self.b, self.W, self.V, strict=True):
            x.append((u < torch.sigmoid(torch.mv(self.act(a), V_i) + b)).float())
            a.addr_(x[-1], W_i)
        return torch.stack(x, 1)


class Cumulative(Plain):
    """All hidden layers at once."""

    def logits(self, x: Tensor) -> Tensor:
        after = (x[:, :, None] * self.W).cumsum(1)
        a = self.c + torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], 1)
        return (self.act(a) * self.V).sum(2) + self.b


# ---------------------------------------------------------------- the contestants
class Contestant:
    """One model in one process, and its jobs."""

    def __init__(self, name: str, activation: str) -> None:
        from plausible.data import load
        from plausible.models.build import build
        from plausible.training.trainer import Settings, Trainer

        rows = load("mnist:fixed")
        torch.manual_seed(0)
        self.x = torch.from_numpy(rows.train.take(np.arange(10 * BATCH))[0]).flatten(1)
        self.at = 0
        self.losses: list[float] = []
        if name == OURS:
            self.model: Any = build("nade", rows.shape, rows.domain, {"activation": activation})
            trainer = Trainer(self.model, rows.train, Settings(batch=BATCH))
            self.x = self.x.unflatten(1, rows.shape)
            self.train = lambda: self.losses.append(float(trainer.play()["likelihood/nll"]))
        else:
            self.model = (Cumulative if name == CUMULATIVE else Plain)(activation)
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)
            self.train = self._by_hand

    def _by_hand(self) -> None:
        loss = -self.model.log_prob(self._batch()).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(float(loss.detach()))

    @torch.no_grad()
    def score(self) -> None:
        assert bool(self.model.log_prob(self._batch()).isfinite().all())

    def draw(self) -> None:
        assert set(self.model.sample(DRAWN).unique().tolist()) <= {0.0, 1.0}

    def _batch(self) -> Tensor:
        self.at = (self.at + BATCH) % len(self.x)
        return self.x[self.at : self.at + BATCH]


_contestants: dict[str, Contestant] = {}


def start(threads: int, name: str) -> None:
    """Set a contestant's process up."""
    torch.set_num_threads(threads)
    _contestants.update({activation: Contestant(name, activation) for activation in ACTIVATIONS})


def turn(activation: str, job: str, seconds: float) -> float:
    """Seconds a run of a job takes: the median of as many as begin within `seconds`."""
    work, taken = getattr(_contestants[activation], job), []
    while not taken or sum(taken) < seconds:
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def told_by(activation: str) -> list[float]:
    """The first and the last loss in training."""
    losses = _contestants[activation].losses
    return [losses[0], losses[-1]]


# --------------------------------------------------------------------- the check
def check() -> float:
    """log p and its gradients in the three forms, from the same weights; returns the largest relative gap."""
    from plausible.models.build import build

    worst = 0.0
    x = (torch.rand(16, SIZE) < 0.13).float()
    for activation in ACTIVATIONS:
        loop = Plain(activation)
        ours = build("nade", (1, 28, 28), "binary", {"activation": activation})
        cumulative = Cumulative(activation)
        ours.load_state_dict(loop.state_dict() | {"order": torch.arange(SIZE)})
        cumulative.load_state_dict(loop.state_dict())
        forms: list[tuple[Any, Tensor]] = [(loop, x), (cumulative, x), (ours, x.view(-1, 1, 28, 28))]
        found = []
        for model, rows in forms:
            total = model.log_prob(rows).sum()
            weights = [model.W, model.V, model.b, model.c]
            found.append([total.detach(), *torch.autograd.grad(total, weights)])
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                worst = max(worst, float((a - b).abs().max() / a.abs().max()))
    assert worst < 1e-4, f"they differ by {worst}: this is not the same algorithm"
    return worst


# ------------------------------------------------------------------- the rounds
def race(rounds: int, seconds: float, threads: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Rounds: (contestant, activation, job) → seconds, and limit → FLOP/s; and peaks, MiB."""
    context = multiprocessing.get_context("spawn")
    found = []
    with contextlib.ExitStack() as stack:
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(1, context, start, (threads, name)))
            for name in (OURS, LOOP, CUMULATIVE)
        }
        for pool in pools.values():
            for activation in ACTIVATIONS:
                for job in JOBS:
                    pool.submit(turn, activation, job, 0.0).result()
        for number in range(rounds):
            now: dict[str, Any] = {"product": machine.product_rate(2048, min(1.0, seconds))}
            for activation in ACTIVATIONS:
                for job in JOBS:
                    for name, pool in pools.items():
                        if name != CUMULATIVE or job != "draw":
                            key = f"{activation}/{job}/{name}"
                            now[key] = pool.submit(turn, activation, job, seconds).result()
            found.append(now)
            print(f"<!-- round {number + 1} of {rounds} -->", flush=True)
        for name, pool in pools.items():
            for activation in ACTIVATIONS:
                first, last = pool.submit(told_by, activation).result()
                assert last < first, f"{name} did not learn"
        return found, {name: pool.submit(machine.peak).result() for name, pool in pools.items()}


# -------------------------------------------------------------------- the report
def flop(job: str, density: float = 0.13) -> float:
    """FLOP an image of what must be multiplied: D·H outputs forward, as many for V and as many for h backward,
    and in each of the three H more for every pixel that is 1 (`density` of them)."""
    return 2 * SIZE * HIDDEN * (1 + density) * {"train": 3, "score": 1, "draw": 1}[job]


def report(found: Sequence[dict[str, Any]], peaks: dict[str, float]) -> str:
    """One table: images/s, ratios to both hand-written forms, share of the matrix product's rate; and the peaks."""
    rows = []
    for activation in ACTIVATIONS:
        for job in JOBS:
            images = DRAWN if job == "draw" else BATCH

            def of(name: str, activation: str = activation, job: str = job) -> list[float]:
                return [
                    now[f"{activation}/{job}/{name}"] for now in found if f"{activation}/{job}/{name}" in now
                ]

            own = of(OURS)
            cells = [machine.told([images / s for s in of(name)]) if of(name) else "" for name in peaks]
            cells += [
                machine.told([a / b for a, b in zip(of(name), own, strict=True)], ".1f") + " ×"
                if of(name)
                else ""
                for name in (LOOP, CUMULATIVE)
            ]
            rates = [flop(job) * images / s / now["product"] for s, now in zip(own, found, strict=True)]
            rows.append([f"{activation}, {job}", *cells, machine.told(rates, ".0%")])
    head = ["images/s", *peaks, f"÷ {LOOP}", f"÷ {CUMULATIVE}", "of a 2048² product"]
    told = "; ".join(f"{name} {mebibytes:.0f} MiB" for name, mebibytes in peaks.items())
    product = machine.told([now["product"] / 1e9 for now in found], ".1f")
    return f"{machine.table(head, rows)}\n\npeak memory: {told}\n2048² product: {product} GFLOP/s"


def main() -> None:
    parser = argparse.ArgumentParser(description="NADE against plain loops, as ratios in one run.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of each job of each contestant in each round"
    )
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
    os.environ.setdefault("TERM", "xterm")
    torch.set_num_threads(options.threads)
    about = machine.describe(options.threads)
    print(" · ".join(f"{name}: {value}" for name, value in about.items() if value != {}))
    print(f"\n{options.rounds} rounds, batch {BATCH}, {SIZE} × {HIDDEN}; {machine.spread_is(options.rounds)}")
    print(f"{flop('train') / 1e6:.2f} MFLOP an image in training, {flop('score') / 1e6:.2f} in scoring")
    print(f"the same algorithm: log p and its gradients agree to {check():.0e}\n", flush=True)
    found, peaks = race(options.rounds, options.seconds, options.threads)
    print("\n" + report(found, peaks))
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "peaks": peaks, "rounds": found}, indent=1))


if __name__ == "__main__":
    main()
