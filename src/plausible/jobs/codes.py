"""The trained coder of a model of codes: found in a run, checked against data and model, and loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.loading import build_coder, load_at
from plausible.models.build import network_options
from plausible.models.coder import Coder
from plausible.models.latent import Latent
from plausible.models.registry import MODELS, model_class, name_of
from plausible.runs import CoderRecord, RunFolder, one_line
from plausible.schema import Schema
from plausible.training import checkpoint as checkpoints

__all__ = ["TrainedCoder", "coder_of", "load_coder"]

PREFIX = "coder."
"""Of the coder's weights in a file of a `Latent`."""


@dataclass(frozen=True)
class TrainedCoder:
    """A coder with its weights, and what a run stores of it."""

    record: CoderRecord
    model: Coder

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a code."""
        return (self.model.latent,)

    def saved(self, folder: Path) -> Path:
        """A new file in the folder with its weights, as `load_coder` reads them."""
        file = folder / "coder.safetensors"
        checkpoints.save_weights(nn.ModuleDict({PREFIX.rstrip("."): self.model}), file)
        return file


def coder_of(
    model: str | type, codes_of: RunFolder | None, like: RunFolder | None, rows: Data
) -> TrainedCoder | None:
    """The coder of a run, or the one that the run to be repeated has; None where there is neither.

    Args:
        model: that learns the codes.
        codes_of: a run of the coder.
        like: the run to be repeated.
        rows: what the codes are of.

    Raises:
        PlausibleError: the run has no such coder, its data are of another form, or the model takes no real vectors.
    """
    if codes_of is None:
        record = None if like is None else like.config().coder
        if like is None or record is None:
            return None
        found = _repeated(like, record)
        _check_form(like, rows)
    else:
        _check_usable(codes_of)
        _check_form(codes_of, rows)
        found = _trained(codes_of)
    _check_takes_vectors(model)
    return found


def load_coder(made: GenerativeModel, file: Path | None) -> None:
    """Give a `Latent` the coder's weights in a file; without one, and for any other model, nothing is done.

    Raises:
        PlausibleError: the file cannot be read, or its weights do not fit.
    """
    if file is not None and isinstance(made, Latent):
        _load(made.coder, file)


def _load(coder: Coder, file: Path) -> None:
    try:
        weights = load_file(file)
        own = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
        coder.load_state_dict(own)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise PlausibleError(
            f"{file} does not hold the weights of this run's coder ({one_line(str(error))}): restore it"
        ) from error


def _trained(run: RunFolder) -> TrainedCoder:
    """The coder that a run trained: its best state, averaged if it has an average."""
    made, point = load_at(run, None)
    if not isinstance(made, Coder):
        raise _no_coder(run)
    if len(made.classes):
        raise PlausibleError(
            f"--codes-of {run.path}: its {run.config().model.name} is told the classes, so that its codes do not say "
            "everything: train one without --classes"
        )
    config = run.config()
    origin = f"{run.path.resolve()} at tick {point.tick}"
    record = CoderRecord(name=config.model.name, options=config.options_at(point.tick), origin=origin)
    return TrainedCoder(record, made)


def _repeated(like: RunFolder, record: CoderRecord) -> TrainedCoder:
    """The coder of a run of codes."""
    made = build_coder(record.name, record.options, like.config().rows)
    _load(made, like.weights_file)
    return TrainedCoder(record, made)


def _check_usable(run: RunFolder) -> None:
    """Whether a run's model is a coder that can be made again from its configuration."""
    config = run.config()
    name = config.model.name
    if config.coder is not None:
        raise PlausibleError(
            f"--codes-of {run.path}: it learns codes itself: name the run that gives them ({config.coder.origin})"
        )
    if name not in MODELS:
        raise PlausibleError(
            f"--codes-of {run.path}: its model {name} is not part of plausible, and a run never stores code: train "
            "autoencoder, vae or aae"
        )
    if not issubclass(model_class(name), Coder):
        raise _no_coder(run)
    options = config.options_at()
    for option in network_options(name):
        if isinstance(options.get(option), str):
            raise PlausibleError(
                f"--codes-of {run.path}: its {option} is a network of your own, and a run never stores code: train it "
                "with units of hidden layers"
            )


def _no_coder(run: RunFolder) -> PlausibleError:
    name = run.config().model.name
    return PlausibleError(
        f"--codes-of {run.path}: its {name} has no encoder and decoder of codes: name a run of autoencoder, vae or aae"
    )


def _check_form(run: RunFolder, rows: Data) -> None:
    """Whether data are of the form that a run's coder takes."""
    known, found = run.config().rows, rows.schema
    if (known.shape, known.domain) != (found.shape, found.domain):
        raise PlausibleError(
            f"the coder of {run.path} takes {known.domain} values of shape {known.shape}, and {rows.spec} has "
            f"{found.domain} values of shape {found.shape}: give data like those of that run"
        )
    for ours, theirs in zip(_columns(known), _columns(found), strict=True):
        if ours != theirs:
            raise PlausibleError(
                f"the coder of {run.path} knows the column {ours[0]!r}, and {rows.spec} has {theirs[0]!r} there, or "
                "with other levels: give the data of that run, or train a coder on these"
            )


def _columns(schema: Schema) -> list[tuple[object, ...]]:
    return [(column.name, column.levels, column.offset, column.unit) for column in schema.columns or ()]


def _check_takes_vectors(model: str | type) -> None:
    if "real" in model_class(model).domains:
        return
    raise PlausibleError(
        f"{name_of(model)} takes no real vectors, which codes are: train flow-matching, rnade, gan, vae or copula "
        "on them"
    )
