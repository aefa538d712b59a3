"""The notes' problem of early training, in numbers: a discriminator far ahead leaves the minimax generator no gradient.

    python benchmarks/early_training.py [--out docs/images/early-training.png]

The discriminator of a GAN trains alone on real digits, against a generator that holds still; on the way the
generator's gradient is taken under both objectives on the same noise. For one fake the gradients with respect to D's
logit are −D(G(z)) and −(1 − D(G(z))), so their ratio is D/(1 − D): nothing is left of the first when D is sure.
"""

from __future__ import annotations

from pathlib import Path

import torch
import tyro
from matplotlib.figure import Figure

from plausible.data import load
from plausible.game import Batch
from plausible.models.build import recipe_of
from plausible.models.gan import GAN
from plausible.models.objectives import OBJECTIVES, Logits
from plausible.training.seeding import seed_torch
from plausible.training.trainer import Settings, Trainer

NEVER = 10**9


def gradient_norm(model: GAN, objective: str, batch: Batch) -> tuple[float, float]:
    """The norm of the generator's gradient under an objective, and the mean D(G(z)), on fixed noise."""
    seed_torch(0, torch.device("cpu"))
    d = Logits(
        model.discriminate, lambda: batch.x.flatten(1), model.generate(model.sample_prior(len(batch.x)))
    )
    (loss,) = OBJECTIVES[objective]("generator", d).values()
    gradients = torch.autograd.grad(loss.mean(), list(model.generator.parameters()))
    return float(torch.cat([g.flatten() for g in gradients]).norm()), float(d.fake.detach().sigmoid().mean())


def measure(ticks: int = 300, every: int = 10) -> list[tuple[int, float, float, float]]:
    """(tick, D(G(z)), norm under minimax, norm under non-saturating) while D alone trains."""
    rows = load("digits").train
    torch.manual_seed(0)
    model = GAN((1, 8, 8), "unit", objective="minimax", penalty=0.0, k=NEVER)
    recipe = recipe_of("gan", {"beta1": 0.5, "beta2": 0.999})
    trainer = Trainer(model, rows, Settings(batch=128), recipe=recipe)
    batch = Batch(torch.from_numpy(rows.take(torch.arange(128).numpy())[0]))
    found = []
    for tick in range(ticks + 1):
        if tick % every == 0:
            saturating, believed = gradient_norm(model, "minimax", batch)
            found.append((tick, believed, saturating, gradient_norm(model, "non-saturating", batch)[0]))
        trainer.play()
    return found


def main(out: Path = Path("docs/images/early-training.png")) -> None:
    """Print the table and draw the figure.

    Args:
        out: Where the picture goes.
    """
    found = measure()
    print(
        "| D's ticks ahead | D(G(z)) | minimax gradient | non-saturating gradient | ratio |\n|---|---|---|---|---|"
    )
    for tick, believed, minimax, non_saturating in found[::5]:
        ratio = minimax / non_saturating
        print(f"| {tick} | {believed:.4f} | {minimax:.3g} | {non_saturating:.3g} | {ratio:.3g} |")
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    ticks = [row[0] for row in found]
    axes.semilogy(ticks, [row[2] for row in found], label="minimax: G lowers log(1 − D(G(z)))")
    axes.semilogy(ticks, [row[3] for row in found], label="non-saturating: G raises log D(G(z))")
    axes.semilogy(ticks, [row[1] for row in found], "k:", label="D(G(z))")
    axes.set(xlabel="ticks that the discriminator trained alone", ylabel="norm of the generator's gradient")
    axes.legend(frameon=False)
    figure.savefig(out, dpi=110)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
