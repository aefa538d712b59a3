"""Training a GAN: plausible against loops written by hand and against the machine's matrix product.

    PLAUSIBLE_DATA=… python benchmarks/gan.py [--threads 2] [--rounds 5] [--epochs 1] [--json FILE] [--quick]

The networks and settings of the MNIST tutorial (preset `tutorial`), batch 128, MNIST's 50,000 training images:

- **plausible**: `plausible.train`, all of it: rows, event log, checkpoint, sample picture, live progress bar.
- **plain loop**: the same algorithm by hand, in PyTorch: two turns, fresh noise for each, images in memory as one
  float tensor. No log, no checkpoint, nothing to resume.
- **plain loop, image pipeline**: that loop fed the usual way: a `Dataset` that turns an image into a tensor and
  normalises it, item by item, and a `DataLoader` without worker processes.
- **plain loop, shared fakes**: the tutorial as it is often written: both turns use one batch of fakes. It saves a
  pass through the generator, and it is not Algorithm 1; it stands beside, and is no yardstick.

Every contestant lives in a process of its own, started before the clock and idle outside its turn, so that no
setting of one serves another. They take turns in rounds; a round is the same number of ticks from fresh networks
for each. Ratios are taken within a round. The clock runs from the first tick to the end of the last one,
plausible's also over the checkpoint, whose share is told. Reading the data and building the networks lies before
the clock, the report page after it.

Run it on an idle machine: a second process on its cores halves a thread's speed, and two threads wait for the
slower one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

BATCH, LATENT, SIDE = 128, 100, 28
GENERATOR = (LATENT, 128, 256, 512, 1024, SIDE * SIDE)
DISCRIMINATOR = (SIDE * SIDE, 512, 256, 1)
LEARNING_RATE, BETAS = 2e-4, (0.5, 0.999)


# ------------------------------------------------------------------- the count
def flop(
    generator: Sequence[int] = GENERATOR, discriminator: Sequence[int] = DISCRIMINATOR
) -> dict[str, int]:
    """FLOP a sample of Algorithm 1 with fresh noise for each turn, by part; matrix products only.

    A layer a → b multiplies 2ab in each of its products: forward, gradient of its weights, gradient of its input.
    The gradient of the first layer's input is wanted of D in G's turn alone, where it leads on into G.
    """
    g, d = ([2 * a * b for a, b in pairwise(widths)] for widths in (generator, discriminator))
    return {
        "D's turn: G forward": sum(g),
        "D's turn: D forward, real and fake": 2 * sum(d),
        "D's turn: D's weights, real and fake": 2 * sum(d),
        "D's turn: D's inner inputs, real and fake": 2 * sum(d[1:]),
        "G's turn: G forward": sum(g),
        "G's turn: D forward": sum(d),
        "G's turn: D's inputs": sum(d),
        "G's turn: G's weights": sum(g),
        "G's turn: G's inner inputs": sum(g[1:]),
    }


# --------------------------------------------------------------- written by hand
class Generator(nn.Sequential):
    """100 – 128 – 256 – 512 – 1024 – 784: LeakyReLU, batch norm from the second layer on, tanh."""

    def __init__(self) -> None:
        *hidden, last = [nn.Linear(a, b) for a, b in pairwise(GENERATOR)]
        layers: list[nn.Module] = []
        for index, linear in enumerate(hidden):
            norm = [nn.BatchNorm1d(linear.out_features, 0.8)] if index else []
            layers += [linear, *norm, nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, last, nn.Tanh())


class Discriminator(nn.Sequential):
    """784 – 512 – 256 – 1: LeakyReLU, sigmoid."""

    def __init__(self) -> None:
        *hidden, last = [nn.Linear(a, b) for a, b in pairwise(DISCRIMINATOR)]
        layers = [layer for linear in hidden for layer in (linear, nn.LeakyReLU(0.2, inplace=True))]
        super().__init__(*layers, last, nn.Sigmoid())


class Plain:
    """The loop by hand."""

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.generator, self.discriminator = Generator(), Discriminator()
        self.loss = nn.BCELoss()
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=BETAS)
            for network in (self.generator, self.discriminator)
        )

    def tick(self, real: Tensor) -> tuple[float, float]:
        """D's turn, then G's: their losses."""
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)

        fake = self.generator(self.noise(len(real), 0))
        self.discriminator_optimizer.zero_grad()
        real_loss = self.loss(self.discriminator(real), ones)
        fake_loss = self.loss(self.discriminator(fake.detach()), zeros)
        discriminator_loss = real_loss + fake_loss
        discriminator_loss.backward()
        self.discriminator_optimizer.step()

        if not self.shared:
            fake = self.generator(self.noise(len(real), 1))
        self.generator_optimizer.zero_grad()
        generator_loss = self.loss(self.discriminator(fake), ones)
        generator_loss.backward()
        self.generator_optimizer.step()
        return discriminator_loss.item(), generator_loss.item()

    def noise(self, n: int, turn: int) -> Tensor:
        """z for a turn; which one matters only to the check."""
        return torch.randn(n, LATENT)


class Images(Dataset[Tensor]):
    """MNIST as data sets of images are usually served: each item a picture, made a tensor and normalised."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = torch.from_numpy(images)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        picture = Image.fromarray(self.images[index].numpy())
        return normalize(to_tensor(picture), mean=(0.5,), deviation=(0.5,))


def to_tensor(picture: Image.Image) -> Tensor:
    """What torchvision's ToTensor does to a grey picture: (1, h, w) in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
    pixels = pixels.view(picture.size[1], picture.size[0], 1).permute(2, 0, 1).contiguous()
    return pixels.to(torch.float32).div(255)


def normalize(x: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """What torchvision's Normalize does: (x − mean) / deviation for each channel."""
    x = x.clone()
    centre, scale = torch.as_tensor(mean, dtype=x.dtype), torch.as_tensor(deviation, dtype=x.dtype)
    return x.sub_(centre.view(-1, 1, 1)).div_(scale.view(-1, 1, 1))


def in_memory(data: Tensor) -> Iterator[Tensor]:
    """Epoch after epoch of shuffled batches of a tensor (n, 784); an incomplete last one is dropped."""
    while True:
        order = torch.randperm(len(data))
        for start in range(0, len(data) - BATCH + 1, BATCH):
            yield data[order[start : start + BATCH]]


def through_pipeline(loader: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same from a DataLoader of pictures."""
    while True:
        for pictures in loader:
            yield pictures.flatten(1)


# ---------------------------------------------------------------- the contestants
_images: np.ndarray


def start(threads: int) -> None:
    """Set a contestant's process up: threads, and the pictures, (50000, 28, 28) bytes."""
    global _images
    torch.set_num_threads(threads)
    from plausible.data import load

    rows = load("mnist").train
    _images = np.round(rows.array() * 255).astype(np.uint8).reshape(-1, SIDE, SIDE)


def plain(ticks: int, seed: int, *, shared: bool = False, pipeline: bool = False) -> dict[str, Any]:
    """One round of a loop by hand."""
    torch.manual_seed(seed)
    if pipeline:
        batches = through_pipeline(DataLoader(Images(_images), BATCH, shuffle=True, drop_last=True))
    else:
        batches = in_memory(torch.from_numpy(_images).flatten(1).float() / 255 * 2 - 1)
    loop = Plain(shared=shared)
    losses = []
    begun = time.perf_counter()
    for _ in range(ticks):
        losses.append(loop.tick(next(batches)))
    seconds = time.perf_counter() - begun
    networks = (loop.generator, loop.discriminator)
    return {
        "seconds": seconds,
        "losses": [losses[0], losses[-1]],
        "parameters": [sum(p.numel() for p in network.parameters()) for network in networks],
        "batch norm": _updates(loop.generator),
    }


def ours(ticks: int, seed: int) -> dict[str, Any]:
    """One round of plausible, end to end. Its own event log is the stopwatch."""
    import plausible

    epochs = ticks / (len(_images) // BATCH)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(Terminal()) as screen:
        run = plausible.train(
            "gan", "mnist", preset="tutorial", epochs=epochs, seed=seed, out=Path(folder) / "run"
        )
        stop = run.stopped()
        assert stop is not None
        assert stop["reason"] == "finished"
        events = run.events()
        model = run.model
        assert (run.folder.samples_dir / f"{ticks:09d}.png").is_file()
    assert "100%" in screen.getvalue(), "the progress bar was not drawn"
    begun = _moment(events, "start", 0)
    told = [event for event in events if event["event"] == "ticks"]
    assert told[-1]["tick"] == ticks
    return {
        "seconds": _moment(events, "samples", -1) - begun,
        "seconds without saving": told[-1]["seconds"],
        "losses": [list(event["losses"].values()) for event in (told[0], told[-1])],
        "parameters": [
            sum(p.numel() for p in getattr(model, n).parameters()) for n in ("generator", "discriminator")
        ],
        "batch norm": _updates(model),
    }


class Terminal(io.StringIO):
    """A screen nobody looks at: the live bar is drawn for it as for any."""

    def isatty(self) -> bool:
        return True


def _updates(network: nn.Module) -> list[int]:
    """How often batch norms took their running statistics; one number when all agree."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    return sorted({int(norm.num_batches_tracked) for norm in norms if norm.num_batches_tracked is not None})


def _moment(events: Sequence[dict[str, Any]], name: str, which: int) -> float:
    times = [event["time"] for event in events if event["event"] == name]
    return datetime.fromisoformat(times[which]).timestamp()


CONTESTANTS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "plausible": ours,
    "plain loop": plain,
    "plain loop, image pipeline": partial(plain, pipeline=True),
    "plain loop, shared fakes": partial(plain, shared=True),
}
BATCH_NORMS = {
    "plausible": 1,
    "plain loop": 2,
    "plain loop, image pipeline": 2,
    "plain loop, shared fakes": 1,
}
"""Times a tick that G's running statistics are updated: plausible's D turn moves D alone, the others' G as well."""


# --------------------------------------------------------------------- the check
def check(ticks: int = 4) -> float:
    """Play the trainer and the plain loop from the same weights, rows and noise; returns the losses' largest gap.

    It fails where the two are not the same algorithm.
    """
    from plausible.data import load
    from plausible.models.build import build, preset_of, recipe_of
    from plausible.training.seeding import hash32, permutation, seed_torch
    from plausible.training.trainer import Settings, Trainer

    rows = load("mnist")
    tutorial = preset_of("gan", "tutorial")
    game = build("gan", rows.shape, rows.domain, dict(tutorial.model))
    game.prepare(rows.train)
    loop = Plain()
    loop.generator.load_state_dict(game.get_submodule("generator").state_dict())
    loop.discriminator.load_state_dict(game.get_submodule("discriminator").state_dict())
    recipe = recipe_of("gan", tutorial.recipe)
    trainer = Trainer(game, rows.train, Settings(batch=BATCH), recipe=recipe)
    order, gap = permutation(0, 0, len(rows.train)), 0.0
    for tick in range(1, ticks + 1):

        def noise(n: int, turn: int, tick: int = tick) -> Tensor:
            seed_torch(hash32(0, 0, tick, turn), torch.device("cpu"))
            return torch.randn(n, LATENT)

        loop.noise = noise
        x = torch.from_numpy(rows.train.take(order[(tick - 1) * BATCH : tick * BATCH])[0]).flatten(1)
        hand = loop.tick(x * 2 - 1)
        seen = {name: float(value) for name, value in trainer.play().items()}
        terms = [[v for n, v in seen.items() if n.startswith(turn.name)] for turn in trainer.turns]
        gap = max(gap, *(abs(sum(own) - its) for own, its in zip(terms, hand, strict=True)))
    assert gap < 1e-4, f"the losses differ by {gap}: this is not the same algorithm"
    return gap


# ------------------------------------------------------------------- the rounds
def limits(seconds: float) -> dict[str, float]:
    """The machine's own speed, a round."""
    return {
        "product 2048": machine.product_rate(2048, seconds),
        "product 4096": machine.product_rate(4096, seconds),
        "oneDNN product 2048": machine.product_rate(2048, seconds, onednn=True),
        "copy": machine.copy_rate(seconds),
    }


def race(ticks: int, rounds: int, threads: int) -> list[dict[str, Any]]:
    """Rounds in which everyone runs once, in order: name → what it returned. One short round before does not count."""
    context = multiprocessing.get_context("spawn")
    found = []
    with contextlib.ExitStack() as stack:
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(1, context, start, (threads,)))
            for name in CONTESTANTS
        }
        for name, run in CONTESTANTS.items():
            pools[name].submit(run, 20, 0).result()
        for seed in range(rounds):
            turn: dict[str, Any] = {"limits": limits(min(1.0, ticks / 100))}
            for name, run in CONTESTANTS.items():
                turn[name] = pools[name].submit(run, ticks, seed).result()
                _verify(name, turn[name], ticks)
            found.append(turn)
            print(f"<!-- round {seed + 1} of {rounds} -->", flush=True)
    return found


def _verify(name: str, result: dict[str, Any], ticks: int) -> None:
    weights = [sum(a * b + b for a, b in pairwise(widths)) for widths in (GENERATOR, DISCRIMINATOR)]
    weights[0] += sum(2 * units for units in GENERATOR[2:-1])
    assert result["parameters"] == weights, f"{name}: {result['parameters']} parameters, not {weights}"
    assert result["batch norm"] == [ticks * BATCH_NORMS[name]], f"{name}: batch norm did not train"
    first, last = result["losses"]
    assert all(map(math.isfinite, (*first, *last))), f"{name}: a loss is not finite"
    assert first != last, f"{name}: the losses did not move"


# -------------------------------------------------------------------- the report
def report(found: Sequence[dict[str, Any]], ticks: int) -> str:
    """Two tables: speeds, with ratios taken within rounds, and the machine's limits."""
    samples, work = ticks * BATCH, sum(flop().values())

    def speeds(name: str, seconds: str = "seconds") -> list[float]:
        return [samples / turn[name][seconds] for turn in found]

    rows = []
    ratios = ["÷ plain loop", "÷ image pipeline", "÷ shared fakes", "of a 2048² product", "of oneDNN's"]
    product, onednn = ([turn["limits"][n] for turn in found] for n in ("product 2048", "oneDNN product 2048"))
    lines = [(name, speeds(name)) for name in CONTESTANTS]
    lines.insert(1, ("plausible, without the checkpoint", speeds("plausible", "seconds without saving")))
    for name, own in lines:
        cells = []
        if name.startswith("plausible"):
            cells = [
                machine.told([a / b for a, b in zip(own, speeds(other), strict=True)], ".2f")
                for other in CONTESTANTS
                if other != "plausible"
            ]
            cells += [
                machine.told([work * a / b for a, b in zip(own, rates, strict=True)], ".0%")
                for rates in (product, onednn)
            ]
        ticking = machine.told([1e3 * BATCH / speed for speed in own], ".1f")
        rows.append([name, machine.told(own), ticking, *(cells or [""] * len(ratios))])
    head = ["", "samples/s", "ms a tick", *ratios]
    speed = [
        [name, machine.told([turn["limits"][name] / 1e9 for turn in found], ".1f") + unit]
        for name, unit in ((name, " GB/s" if name == "copy" else " GFLOP/s") for name in found[0]["limits"])
    ]
    return machine.table(head, rows) + "\n\n" + machine.table(["limit", "median [spread]"], speed)


def main() -> None:
    parser = argparse.ArgumentParser(description="GAN training against plain loops, as ratios in one run.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=float, default=1.0, help="of each contestant in each round")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 78 ticks: to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.epochs = 2, 0.2
    os.environ.setdefault("TERM", "xterm")
    ticks = round(options.epochs * (50_000 // BATCH))
    torch.set_num_threads(options.threads)
    about, parts = machine.describe(options.threads), flop()
    print(" · ".join(f"{name}: {value}" for name, value in about.items() if value != {}))
    print(
        f"\n{options.rounds} rounds of {ticks} ticks of {BATCH} samples; {machine.spread_is(options.rounds)}\n"
    )
    print(f"{sum(parts.values()) / 1e6:.2f} MFLOP a sample: ", end="")
    print("; ".join(f"{name} {value / 1e6:.2f}" for name, value in parts.items()))
    print(f"\nthe same algorithm: the losses agree to {check():.0e}\n", flush=True)
    found = race(ticks, options.rounds, options.threads)
    print("\n" + report(found, ticks))
    if options.json:
        options.json.write_text(
            json.dumps(
                {"machine": about, "ticks": ticks, "batch": BATCH, "flop": parts, "rounds": found}, indent=1
            )
        )


if __name__ == "__main__":
    main()
