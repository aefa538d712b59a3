"""PixelRNN and PixelCNN: plausible against the same networks written the plain way, and the machine's matrix product.

    python benchmarks/pixels.py [--threads 2] [--rounds 5] [--batch 16] [--quick]

Two networks on 28 × 28 binary images: `pixelrnn --preset oord2016` (7 diagonal layers of 16) and `pixelcnn --preset
gated`. Two jobs: *train*, ticks with Adam (fused, for everyone); *draw* 64 images.

- **plausible**: the network as it is, loss and optimizer by hand for both.
- **plain**: the same weights and the same numbers (checked before the clock). PixelRNN: rows skewed into a wider image,
  a Python loop over its columns, one direction after the other, autograd through it all. PixelCNN: convolutions over
  whole windows whose weights are masked, as papers and tutorials write them. Drawing: the whole network once for each
  pixel; PASSES of the 784 passes are timed, all take the same.

The contestants take turns in rounds; ratios are taken within a round. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import machine
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, pad

from plausible.game import Batch
from plausible.models.build import build, preset_of

SHAPE, PIXELS, DRAWN, PASSES = (1, 28, 28), 784, 64, 4
NETWORKS = {"pixelrnn": "oord2016", "pixelcnn": "gated"}


def ours(name: str) -> Any:
    torch.manual_seed(0)
    return build(name, SHAPE, "binary", dict(preset_of(name, NETWORKS[name]).model))


# ------------------------------------------------------------------ written by hand
def skew(x: Tensor) -> Tensor:
    """(B, F, H, W) → (B, F, H, W + H − 1): row r moved r places to the right."""
    height = x.shape[2]
    rows = [pad(x[:, :, r], (r, height - 1 - r)) for r in range(height)]
    return torch.stack(rows, 2)


def unskew(x: Tensor) -> Tensor:
    height = x.shape[2]
    width = x.shape[3] - height + 1
    return torch.stack([x[:, :, r, r : r + width] for r in range(height)], 2)


class PlainRNN(nn.Module):
    """PixelRNN of diagonal layers, from a network of ours."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def direction(self, inputs: Tensor, state: Tensor) -> Tensor:
        """One LSTM over skewed gates, (B, 4F, H, W): column by column, the state's kernel 2 down the rows."""
        columns, features = skew(inputs), state.shape[2]
        h = c = inputs.new_zeros(len(inputs), features, inputs.shape[2])
        kernel, found = torch.stack([state[1], state[0]], 2), []
        for column in range(columns.shape[3]):
            gates = columns[:, :, :, column] + conv1d(pad(h, (1, 0)), kernel)
            i, f, o, g = gates.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            found.append(h)
        return unskew(torch.stack(found, 3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.network.first(x)
        for layer in self.network.layers:
            forth = conv2d(h, layer.input.masked[:, :, None, None], layer.input.bias)
            back = conv2d(h.flip(3), layer.reverse_input.weight[:, :, None, None], layer.reverse_input.bias)
            forth = self.direction(forth, layer.state[0])
            back = self.direction(back, layer.state[1])
            back = pad(back.flip(3), (0, 0, 1, 0))[:, :, :-1]
            h = h + conv2d(
                torch.cat([forth, back], 1), layer.output.masked[:, :, None, None], layer.output.bias
            )
        return self.network.head(h.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def windowed(conv: Any, x: Tensor) -> Tensor:
    """A causal convolution as papers write it: the whole odd window, what it may not see multiplied by 0."""
    kernel = conv.masked
    height, width = kernel.shape[2:]
    below = 2 * conv.top + 1 - height if conv.top else 0
    kernel = pad(kernel, (0, 2 * conv.reach + 1 - width, 0, below))
    return conv2d(x, kernel, conv.bias, padding=(conv.top, conv.reach))


class PlainCNN(nn.Module):
    """Gated PixelCNN, from a network of ours."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        v, h = windowed(network.above, x), windowed(network.left, x)
        said = torch.zeros_like(h)
        for layer in network.layers:
            below = windowed(layer.down, v)
            along = windowed(layer.left, h) + conv2d(below, layer.across.weight[:, :, None, None])
            a, b = along.chunk(2, 1)
            found = conv2d(a.tanh() * b.sigmoid(), layer.output.masked[:, :, None, None], layer.output.bias)
            if layer.last:
                said = said + found
            else:
                more, now = found.chunk(2, 1)
                a, b = below.chunk(2, 1)
                h, said, v = h + more, said + now, a.tanh() * b.sigmoid()
        return network.head(said.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


PLAIN = {"pixelrnn": PlainRNN, "pixelcnn": PlainCNN}


# ------------------------------------------------------------------ the jobs
def trained(model: Any, logits: Callable[[Tensor], Tensor] | None, x: Tensor) -> Callable[[], None]:
    """A tick: with the plain network's logits, or the model's own loss."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def tick() -> None:
        if logits is None:
            loss = model.loss(Batch(x)).total()
        else:
            loss = nn.functional.binary_cross_entropy_with_logits(logits(x), x, reduction="sum") / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return tick


@torch.no_grad()
def passes(logits: Callable[[Tensor], Tensor]) -> None:
    """PASSES pixels of DRAWN images, drawn the plain way."""
    x = torch.zeros(DRAWN, *SHAPE)
    for place in range(PASSES):
        x[:, 0, 0, place] = torch.bernoulli(logits(x)[:, 0, 0, place].sigmoid())


def jobs(name: str, batch: int) -> dict[str, Callable[[], Any]]:
    model, x = ours(name), (torch.rand(batch, *SHAPE) < 0.13).float()
    plain_model = ours(name)
    plain = PLAIN[name](plain_model.network)
    with torch.no_grad():
        gap = float((plain(x) - model.network(x, x.new_zeros(batch, 0))[:, 0]).abs().max())
    assert gap < 1e-4, f"{name}: not the same network, logits differ by {gap}"
    return {
        "train/plausible": trained(model, None, x),
        "train/plain": trained(plain_model, plain, x),
        "draw/plausible": lambda: model.sample(DRAWN),
        "draw/plain": lambda: passes(plain),
    }


def taken(work: Callable[[], Any], seconds: float) -> float:
    return float(np.median(machine.times(work, seconds)))


def peak_of(name: str, batch: int, threads: int) -> float:
    """MiB of a process that does nothing but train ours for three ticks."""
    torch.set_num_threads(threads)
    tick = trained(ours(name), None, (torch.rand(batch, *SHAPE) < 0.13).float())
    for _ in range(3):
        tick()
    return machine.peak()


def multiplications(model: Any) -> float:
    """FLOP of one image forward: twice every open weight, at each pixel."""
    return 2.0 * PIXELS * model.free_parameters


def main() -> None:
    parser = argparse.ArgumentParser(
        description="PixelRNN and PixelCNN against the plain way, as ratios in one run."
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each job in each round")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works")
    options = parser.parse_args()
    rounds, seconds = (1, 0.1) if options.quick else (options.rounds, options.seconds)
    torch.set_num_threads(options.threads)
    about = machine.describe(options.threads)
    print(" · ".join(f"{key}: {value}" for key, value in about.items() if value != {}))
    print(f"\n{rounds} rounds, batches of {options.batch}; {machine.spread_is(rounds)}\n", flush=True)
    rows = []
    for name in NETWORKS:
        work, found = jobs(name, options.batch), []
        for job in work.values():
            job()
        for _ in range(rounds):
            started = time.perf_counter()
            found.append(
                {key: taken(job, seconds) for key, job in work.items()}
                | {"product": machine.product_rate(2048)}
            )
            print(f"<!-- {name}: a round of {time.perf_counter() - started:.0f} s -->", flush=True)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            peak = pool.submit(peak_of, name, options.batch, options.threads).result()
        for job, images, factor in (("train", options.batch, 3), ("draw", DRAWN, 1)):
            own = [now[f"{job}/plausible"] for now in found]
            other = [now[f"{job}/plain"] * (PIXELS / PASSES if job == "draw" else 1) for now in found]
            flop = multiplications(ours(name)) * factor * images
            share = [flop / s / now["product"] for s, now in zip(own, found, strict=True)]
            rows.append(
                [
                    f"{name} {NETWORKS[name]}, {job}",
                    machine.told([images / s for s in own], ",.1f"),
                    machine.told([images / s for s in other], ",.3g"),
                    machine.told([b / a for a, b in zip(own, other, strict=True)], ",.2f") + " ×",
                    machine.told(share, ".1%"),
                    f"{peak:.0f} MiB" if job == "train" else "",
                ]
            )
    head = ["images/s", "plausible", "plain", "÷ plain", "of a 2048² product", "peak of the process"]
    print("\n" + machine.table(head, rows))


if __name__ == "__main__":
    main()
