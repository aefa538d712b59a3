"""Encode rows to codes or features, and decode codes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Code, Decoder, Features, Reconstruction, require, supports
from plausible.errors import PlausibleError
from plausible.game import device_of
from plausible.jobs.loading import applied, checked_out
from plausible.jobs.opened import Opened
from plausible.metrics.representation import representation
from plausible.metrics.scores import blockwise
from plausible.report.writers import SAMPLE_WRITERS, write_array, write_blocks, write_named

__all__ = ["decode", "encode", "features", "reconstruct"]

BLOCK = 500


def encode(run: Opened, data: Any, *, out: str | os.PathLike[str] | None = None) -> Any:
    """Encode each row: its code, (n, latent), float32, which `decode` takes.

    Args:
        run: the run whose model encodes.
        data: anything that `train` takes.
        out: write to FILE.npy instead, in blocks, or to FILE.csv: row, counted from 0; the file or the index of the
            row where there is one; z0, z1, ….

    Raises:
        PlausibleError: a model without codes, unfit data, or a file that cannot be written.
    """
    instead = ["use `features`"] if supports(run.model, Features) else []
    return _represent(run, require(run.model, Code, instead=instead).encode, data, out)


def features(run: Opened, data: Any, *, out: str | os.PathLike[str] | None = None) -> Any:
    """Features of each row, (n, units), float32: a discriminator's last hidden layer, or the code.

    Args:
        run: the run whose model is used.
        data: anything that `train` takes.
        out: write to FILE.npy or FILE.csv instead, as `encode` does.

    Raises:
        PlausibleError: a model that has neither, unfit data, or a file that cannot be written.
    """
    return _represent(run, representation(run.model), data, out)


def _represent(
    run: Opened, function: Callable[[Tensor], Tensor], data: Any, out: str | os.PathLike[str] | None
) -> Any:
    path = None if out is None else checked_out(out, (".npy", ".csv"))
    rows = run.rows(data)
    blocks = (block for _, block in blockwise(lambda x: function(x).flatten(1), rows, 0))
    if path is None:
        return run.numbers(np.concatenate(list(blocks)), data)
    if path.suffix == ".csv":
        return write_named(blocks, rows, path)
    return write_array(blocks, len(rows), path)


def decode(
    run: Opened,
    z: Any,
    *,
    label: Any = None,
    as_: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Any:
    """Decode codes, (n, latent), to examples: E[x|z], or a GAN's G(z).

    Args:
        run: the run whose model decodes.
        z: codes: an array, or FILE.npy. A tensor keeps its graph, and the result is then a tensor, (n, *shape), in the
            model's own scale.
        label: classes of the codes in turn (conditional models only).
        as_: container of the result. Default: that of the training data.
        out: write to this file instead: .png, .npy, .npz or .csv.

    Raises:
        PlausibleError: a model without a decoder, codes of another width, or a file that cannot be written.
    """
    model = require(run.model, Decoder)
    path = None if out is None else checked_out(out, SAMPLE_WRITERS)
    codes = codes_of(z, model.latent)
    y = None
    if label is not None:
        classes = torch.tensor(run.classes(label))
        y = classes.repeat(-(-len(codes) // len(classes)))[: len(codes)]
    if isinstance(z, Tensor) and path is None and as_ is None:
        return model.decode(codes.to(device_of(run.model)), y)
    blocks = (
        applied(lambda z, at=start: model.decode(z, None if y is None else y[at : at + BLOCK]), block).cpu()
        for start, block in zip(range(0, len(codes), BLOCK), codes.detach().split(BLOCK), strict=True)
    )
    if path is None:
        return run.give(torch.cat(list(blocks)), as_=as_)
    return write_blocks((block.numpy() for block in blocks), len(codes), run.schema, path)


def codes_of(z: Any, latent: int) -> Tensor:
    """Codes, (n, latent), float32; a tensor keeps its graph.

    Raises:
        PlausibleError: they cannot be read, are not numbers, or have another width.
    """
    if isinstance(z, str | os.PathLike):
        try:
            z = np.load(z, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PlausibleError(f"the codes {z} could not be read: {error}") from error
    try:
        codes = z if isinstance(z, Tensor) else torch.from_numpy(np.array(z, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise PlausibleError(f"codes must be numbers, (n, {latent}): {error}") from error
    if codes.dim() != 2 or codes.shape[1] != latent or not len(codes):
        raise PlausibleError(f"codes must be of shape (n, {latent}), not {tuple(codes.shape)}")
    return codes.float()


def reconstruct(
    run: Opened, data: Any, *, as_: str | None = None, out: str | os.PathLike[str] | None = None
) -> Any:
    """Reconstruct each row: decode(encode(x)).

    Args:
        run: the run whose model reconstructs.
        data: anything that `train` takes.
        as_: container of the result. Default: that of the data.
        out: write to this file instead: .png, .npy, .npz or .csv.

    Raises:
        PlausibleError: a model that does not reconstruct, unfit data, or a file that cannot be written.
    """
    model = require(run.model, Reconstruction)
    path = None if out is None else checked_out(out, SAMPLE_WRITERS)
    rows = run.rows(data)
    blocks = (block for _, block in blockwise(model.reconstruct, rows, 0))
    if path is None:
        return run.give(np.concatenate(list(blocks)), rows, as_)
    return write_blocks(blocks, len(rows), run.schema, path)
