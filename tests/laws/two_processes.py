"""Started by torchrun: play the cases of test_4_shards in this process's part, and write down what came of it."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import HOME, fits, play, recipe_at, rows, trainer_of

from plausible.models.registry import MODELS
from plausible.training.distributed import leave, world
from plausible.training.trainer import Trainer

TICKS = 4
SETTINGS = {"even": ("photo", {"shards": 2, "batch": 16}), "uneven": ("image", {"shards": 3, "batch": 7})}
"""The data, photos for convolutions, and how they are played."""


def cases():
    """(model, preset, settings' name): both settings for the defaults, the uneven one for the other presets."""
    from support import EVERY_PRESET

    return [(*case, "uneven") for case in EVERY_PRESET] + [(name, "default", "even") for name in MODELS]


def domain_of(case) -> str:
    """The data of a case, or such as the model takes."""
    name, preset, which = case
    wanted = SETTINGS[which][0]
    return wanted if fits(name, preset, wanted) else HOME[name]


def outcome(case, here=None) -> dict[str, torch.Tensor]:
    """Weights, averages and the last tick's reports, after TICKS ticks."""
    name, preset, which = case
    domain, settings = domain_of(case), SETTINGS[which][1]
    one = trainer_of(name, preset, domain, ema=0.9, **settings)
    trainer = Trainer(one.game, rows(domain), one.settings, here, recipe_at(name, preset))
    play(trainer, TICKS - 1)
    seen = {f"seen {key}": value for key, value in trainer.play().items()}
    return {key: value.detach().clone() for key, value in {**trainer.game.state_dict(), **seen}.items()}


if __name__ == "__main__":
    with world() as here:
        for case in cases():
            save_file(outcome(case, here), Path(sys.argv[1]) / f"{'-'.join(case)}-{here.rank}.safetensors")
        flags = (here.any(here.rank == 1), here.any(False))
        Path(sys.argv[1], f"any-{here.rank}").write_text(str(flags))
    leave(0)
