"""A trainer's whole state as safetensors and JSON, and back: nothing is ever unpickled."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from plausible.errors import PlausibleError
from plausible.runs import FORMAT, OptimizerRecord, SelectionRecord, State, one_line, read_record
from plausible.runs.records import STATE
from plausible.training.loop import Means
from plausible.training.selection import Selection
from plausible.training.trainer import Trainer

__all__ = [
    "AVERAGE",
    "BEST",
    "MODEL",
    "Restored",
    "check_transfer",
    "judged_weights",
    "load_weights",
    "read_state",
    "restore",
    "save_weights",
    "transfer",
    "write",
]


MODEL, AVERAGE, BEST, _OPTIMIZERS = (
    "model.safetensors",
    "ema.safetensors",
    "best.safetensors",
    "optimizers.safetensors",
)
_UNFIT = (SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What loading tensors that do not belong here may raise."""


@dataclass
class Restored:
    """What a checkpoint knows beside the trainer's state.

    Attributes:
        clocks: what had been spent: seconds, cpu_seconds.
        means: what had been shown since the last report.
        at: why it was saved: "schedule", "time" or "stop".
        selection: the best judged state.
    """

    clocks: dict[str, float]
    means: Means
    at: str
    selection: Selection


def write(
    trainer: Trainer,
    folder: Path,
    clocks: dict[str, float],
    means: Means | None = None,
    at: str = "stop",
    selection: Selection | None = None,
) -> None:
    """Write the trainer's state into an (uncommitted) folder.

    Args:
        trainer: at rest between two ticks.
        folder: exists; see `runs.commit`.
        clocks: what has been spent so far: seconds, cpu_seconds.
        means: what has been shown since the last report.
        at: why it is saved: "schedule", "time" or "stop".
        selection: the best judged state; its weights are written unless they are this checkpoint's own.
    """
    _save(trainer.game.state_dict(), folder / MODEL)
    if trainer.average is not None:
        _save(trainer.average.state, folder / AVERAGE)
    tensors, values = {}, {}
    for turn, optimizer in trainer.optimizers.items():
        flat, values[turn] = _split(optimizer)
        tensors |= {f"{turn}/{key}": tensor for key, tensor in flat.items()}
    _save(tensors, folder / _OPTIMIZERS)
    sums = {} if means is None else {name: float(total) for name, total in means.sums.items()}
    counts = {} if means is None else means.counts
    state = {"format": FORMAT, "tick": trainer.tick, "at": at, **clocks, "sums": sums, "counts": counts}
    kernels = _kernels(trainer)
    more: dict[str, Any] = {"kernels": kernels} if kernels else {}
    if selection is not None and selection.last >= 0:
        more["selection"] = _selection_record(selection).model_dump(mode="json")
        if selection.weights is not None and selection.tick != trainer.tick:
            _save(selection.weights, folder / BEST)
    (folder / STATE).write_text(json.dumps(state | {"optimizers": values} | more) + "\n")


def restore(trainer: Trainer, folder: Path, *, hyperparameters: bool = True) -> Restored:
    """Set the trainer to what `write` saved.

    Args:
        trainer: of the same configuration.
        folder: of the checkpoint, verified.
        hyperparameters: the optimizers' saved ones (learning rates, …) too; else the trainer's own hold from here on.

    Raises:
        PlausibleError: the checkpoint is damaged, or belongs to another configuration of the model.
    """
    state = read_state(folder)
    load_weights(trainer.game, folder / MODEL)
    try:
        if trainer.average is not None:
            saved = load_file(folder / AVERAGE)
            for name, tensor in trainer.average.state.items():
                tensor.copy_(saved[name])
        tensors = load_file(folder / _OPTIMIZERS)
        for turn, optimizer in trainer.optimizers.items():
            prefix, values = f"{turn}/", state.optimizers[turn]
            flat = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
            _join(optimizer, flat, values, hyperparameters)
    except _UNFIT as error:
        raise PlausibleError(
            f"{folder} does not fit this model and its optimizers: {one_line(str(error))}"
        ) from error
    trainer.tick, trainer.kernels = state.tick, state.kernels
    sums = {
        name: torch.tensor(total, dtype=torch.float32, device=trainer.device)
        for name, total in state.sums.items()
    }
    if sums.keys() != state.counts.keys():
        raise PlausibleError(f"{folder / STATE} is not what plausible wrote: sums and counts differ")
    clocks = {"seconds": state.seconds, "cpu_seconds": state.cpu_seconds}
    return Restored(clocks, Means(sums, dict(state.counts)), state.at, _selection(trainer, folder, state))


def _selection_record(selection: Selection) -> SelectionRecord:
    if selection.tick < 0:
        return SelectionRecord(last=selection.last, stale=selection.stale)
    best = {"tick": selection.tick, "by": selection.by, "value": selection.value}
    return SelectionRecord(last=selection.last, stale=selection.stale, **best)


def _selection(trainer: Trainer, folder: Path, state: State) -> Selection:
    """The best judged state as a checkpoint has it: with weights of its own, or those of the checkpoint."""
    saved = state.selection
    if saved is None:
        return Selection()
    if saved.tick is None or saved.value is None:
        return Selection(saved.last, stale=saved.stale)
    if saved.tick == state.tick:
        weights = judged_weights(trainer)
    else:
        try:
            weights = load_file(folder / BEST, device=str(trainer.device))
        except _UNFIT as error:
            raise PlausibleError(f"{folder / BEST} cannot be read: {one_line(str(error))}") from error
    return Selection(saved.last, saved.tick, saved.by, saved.value, saved.stale, weights, finished=True)


def judged_weights(trainer: Trainer) -> dict[str, Tensor]:
    """A copy of the weights that are judged: averaged, if there is an average."""
    state = trainer.game.state_dict() if trainer.average is None else trainer.average.state
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def read_state(folder: Path) -> State:
    """state.json of a checkpoint.

    Raises:
        PlausibleError: it is missing, damaged, of a newer plausible, or of another tick than the folder's name.
    """
    try:
        state = read_record(State, folder / STATE, "remove the checkpoint, and the one before it is used")
    except FileNotFoundError as error:
        raise PlausibleError(f"{folder / STATE} is missing: remove the checkpoint") from error
    if folder.name.isdecimal() and int(folder.name) != state.tick:
        raise PlausibleError(f"{folder / STATE} is of tick {state.tick}: remove the checkpoint")
    return state


def transfer(old: Trainer, new: Trainer) -> None:
    """Go on with other settings: weights, averages and optimizer states are kept, hyperparameters are the new ones.

    Raises:
        PlausibleError: the new settings change which weights or optimizers there are; the message names one.
    """
    check_transfer(old, new)
    new.game.load_state_dict(old.game.state_dict())
    if new.average is not None and old.average is not None:
        for name, tensor in new.average.state.items():
            tensor.copy_(old.average.state[name])
    for turn, optimizer in new.optimizers.items():
        state = copy.deepcopy(old.optimizers[turn].state_dict()["state"])
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    new.tick, new.kernels = old.tick, old.kernels


def check_transfer(old: Trainer, new: Trainer) -> None:
    """Whether a training can go on with the settings of another trainer.

    Raises:
        PlausibleError: they change which weights or optimizers there are; the message names one.
    """
    before, after = ({name: tuple(v.shape) for name, v in t.game.state_dict().items()} for t in (old, new))
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise PlausibleError(
            f"it changes the shapes of the weights ({', '.join(changed[:3])}): train a new run"
        )
    kinds, others = ({turn: type(o) for turn, o in t.optimizers.items()} for t in (old, new))
    moved, moving = (
        {turn: [len(group["params"]) for group in o.param_groups] for turn, o in t.optimizers.items()}
        for t in (old, new)
    )
    if kinds != others or moved != moving:
        raise PlausibleError("it changes the optimizers or what they move: train a new run")


def load_weights(game: nn.Module, file: Path) -> None:
    """Load a model's weights.

    Raises:
        PlausibleError: the file cannot be read, or names or shapes differ from the model's.
    """
    try:
        game.load_state_dict(load_file(file))
    except _UNFIT as error:
        raise PlausibleError(f"{file} does not fit this model: {one_line(str(error))}") from error


def _kernels(trainer: Trainer) -> tuple[str, ...]:
    """The kernels that trained it so far, in order."""
    kernel = trainer.game.kernel_in_use
    known = kernel is None or trainer.kernels[-1:] == (kernel,)
    return trainer.kernels if known else (*trainer.kernels, kernel)


def save_weights(game: nn.Module, file: Path) -> None:
    """Save a model's weights."""
    _save(game.state_dict(), file)


def _save(tensors: Mapping[str, Tensor], file: Path) -> None:
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


def _join(
    optimizer: Optimizer, tensors: dict[str, Tensor], values: OptimizerRecord, hyperparameters: bool
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values.state}.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    groups = [
        {key: tuple(v) if isinstance(v, list) and key != "params" else v for key, v in group.items()}
        for group in values.groups
    ]
    if not hyperparameters:
        groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
