"""Training a VAE and an adversarial autoencoder: plausible against pythae's own trainers, in one run.

    PLAUSIBLE_DATA=… PYTHONPATH=PEERS python benchmarks/coders.py [--threads 2] [--rounds 3]

where PEERS is a folder of its own with the peer in it: `pip install --no-deps --target PEERS pythae tqdm
cloudpickle imageio`.

The peer's default networks on both sides (encoder 784–512–16, decoder 16–512–784, ReLU; of the adversarial
autoencoder the discriminator 16–256–1 and a Gaussian posterior), MNIST's 50,000 training images in memory, batch 128,
Adam 1e-3, Bernoulli cross-entropy. Each trains with its own trainer, logs and checkpoints as it does by default. Speed
is that of epochs after the first: (seconds of `LONG` epochs − seconds of one) ÷ (LONG − 1), so that start and end drop
out.
pythae's adversarial autoencoder makes two moves a minibatch and passes each image through the encoder once; ours
makes Makhzani's three, and passes it twice.

Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import machine
import torch

BATCH, LATENT, ROWS, LONG = 128, 16, 50_000, 4
OPTIONS: dict[str, Any] = {
    "latent": LATENT,
    "encoder": (512,),
    "decoder": (512,),
    "observation": "bernoulli",
    "lr": 1e-3,
}
OURS: dict[str, dict[str, Any]] = {
    "vae": OPTIONS,
    "aae": OPTIONS | {"discriminator": (256,), "posterior": "gaussian", "adversarial_lr": 1e-3},
}


def ours(model: str, epochs: int, seed: int) -> float:
    """Seconds of `plausible.train`."""
    import plausible

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        plausible.train(
            model, "mnist", epochs=epochs, batch=BATCH, seed=seed, out=Path(folder) / "run", **OURS[model]
        )
        return time.perf_counter() - start


def pythae(model: str, epochs: int, seed: int) -> float:
    """Seconds of pythae's trainer."""
    from plausible.data import load

    peer, trainers = import_module("pythae.models"), import_module("pythae.trainers")
    sets = import_module("pythae.data.datasets")

    logging.disable(logging.CRITICAL)
    x = torch.from_numpy(load("mnist").train.array())
    shape = {"input_dim": (1, 28, 28), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    usual = {"num_epochs": epochs, "per_device_train_batch_size": BATCH, "seed": seed}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        data = sets.BaseDataset(x, torch.zeros(len(x)))
        if model == "vae":
            game, trainer = peer.VAE(peer.VAEConfig(**shape)), trainers.BaseTrainer
            config = trainers.BaseTrainerConfig(output_dir=folder, learning_rate=1e-3, **usual)
        else:
            game, trainer = (
                peer.Adversarial_AE(peer.Adversarial_AE_Config(**shape)),
                trainers.AdversarialTrainer,
            )
            config = trainers.AdversarialTrainerConfig(
                output_dir=folder, autoencoder_learning_rate=1e-3, discriminator_learning_rate=1e-3, **usual
            )
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            trainer(model=game, train_dataset=data, training_config=config).train()
        return time.perf_counter() - start


CONTESTANTS: dict[str, Callable[[int, int], float]] = {
    f"{who.__name__} {model}": partial(who, model) for model in ("vae", "aae") for who in (ours, pythae)
}


def speed(name: str, seed: int) -> float:
    """Images a second of the epochs after the first."""
    one, long = (CONTESTANTS[name](epochs, seed) for epochs in (1, LONG))
    return (LONG - 1) * (ROWS // BATCH * BATCH) / (long - one)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Autoencoders' training against pythae's, as ratios in one run."
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    about = machine.describe(options.threads)
    print(" · ".join(f"{name}: {value}" for name, value in about.items() if value != {}))
    speeds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    products = []
    context = multiprocessing.get_context("spawn")
    for seed in range(options.rounds):
        products.append(machine.product_rate(2048))
        for name in CONTESTANTS:
            with ProcessPoolExecutor(1, context, torch.set_num_threads, (options.threads,)) as pool:
                speeds[name].append(pool.submit(speed, name, seed).result())
            print(f"<!-- round {seed + 1}: {name} {speeds[name][-1]:,.0f} images/s -->", flush=True)
    rows = []
    for model in ("vae", "aae"):
        mine, theirs = (speeds[f"{who} {model}"] for who in ("ours", "pythae"))
        ratio = [a / b for a, b in zip(mine, theirs, strict=True)]
        rows.append([model, machine.told(mine), machine.told(theirs), machine.told(ratio, ".2f")])
    print(machine.table(["", "plausible [images/s]", "pythae [images/s]", "ratio"], rows))
    print(f"2048² product: {machine.told([rate / 1e9 for rate in products], '.1f')} GFLOP/s")


if __name__ == "__main__":
    main()
