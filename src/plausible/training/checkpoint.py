"""A trainer's whole state as safetensors and JSON, and back: nothing is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from plausible.errors import PlausibleError
from plausible.training.trainer import Trainer

MODEL, AVERAGE, OPTIMIZERS, STATE = (
    "model.safetensors",
    "ema.safetensors",
    "optimizers.safetensors",
    "state.json",
)


def write(trainer: Trainer, folder: Path, clocks: dict[str, float]) -> None:
    """Write the trainer's state into an (uncommitted) folder.

    Args:
        trainer: at rest between two ticks.
        folder: exists; see `runs.commit`.
        clocks: what has been spent so far: seconds, cpu_seconds.
    """
    _save(trainer.game.state_dict(), folder / MODEL)
    if trainer.average is not None:
        _save(trainer.average.state, folder / AVERAGE)
    tensors, values = {}, {}
    for turn, optimizer in trainer.optimizers.items():
        flat, values[turn] = _split(optimizer)
        tensors |= {f"{turn}/{key}": tensor for key, tensor in flat.items()}
    _save(tensors, folder / OPTIMIZERS)
    state = {"tick": trainer.tick, **clocks, "optimizers": values}
    (folder / STATE).write_text(json.dumps(state) + "\n")


def restore(trainer: Trainer, folder: Path) -> dict[str, float]:
    """Set the trainer to what `write` saved; returns the clocks.

    Raises:
        PlausibleError: the checkpoint belongs to another configuration of the model.
    """
    state = json.loads((folder / STATE).read_text())
    load_weights(trainer.game, folder / MODEL)
    if trainer.average is not None:
        saved = load_file(folder / AVERAGE)
        for name, tensor in trainer.average.state.items():
            tensor.copy_(saved[name])
    tensors = load_file(folder / OPTIMIZERS)
    for turn, optimizer in trainer.optimizers.items():
        flat = {key.removeprefix(f"{turn}/"): t for key, t in tensors.items() if key.startswith(f"{turn}/")}
        _join(optimizer, flat, state["optimizers"][turn])
    trainer.tick = state["tick"]
    return {name: float(state[name]) for name in ("seconds", "cpu_seconds")}


def load_weights(game: nn.Module, file: Path) -> None:
    """Load a model's weights.

    Raises:
        PlausibleError: the file cannot be read, or names or shapes differ from the model's.
    """
    try:
        game.load_state_dict(load_file(file))
    except (OSError, RuntimeError, ValueError) as error:
        raise PlausibleError(f"{file} does not fit this model: {error}") from error


def _save(tensors: dict[str, Tensor], file: Path) -> None:
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, file)
    except Exception as error:  # safetensors reports the operating system's errors as its own type
        if "I/O error" in str(error) or "os error" in str(error).lower():
            raise OSError(str(error)) from error
        raise


def _split(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors ("index/key") and as JSON values."""
    state = optimizer.state_dict()
    tensors, values = {}, {}
    for index, entry in state["state"].items():
        for key, value in entry.items():
            where = tensors if isinstance(value, Tensor) else values
            where[f"{index}/{key}"] = value
    return tensors, {"state": values, "groups": state["param_groups"]}


def _join(optimizer: Optimizer, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values["state"]}.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    groups = [
        {key: tuple(v) if isinstance(v, list) and key != "params" else v for key, v in group.items()}
        for group in values["groups"]
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
