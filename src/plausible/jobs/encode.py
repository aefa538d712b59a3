"""From rows to what represents them — codes, features — and from codes back to rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.game import device_of
from plausible.jobs.loading import applied, checked_out, lacking
from plausible.jobs.opened import Opened
from plausible.metrics.representation import Encoding, representation
from plausible.metrics.scores import blockwise
from plausible.report.writers import SAMPLE_WRITERS, write_array, write_blocks

__all__ = ["decode", "encode", "features", "reconstruct"]

BLOCK = 500


@runtime_checkable
class Decoding(Protocol):
    """A model that makes an example of a code."""

    latent: int

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, latent) → (B, *shape), differentiable in z."""
        ...


@runtime_checkable
class Reconstructing(Protocol):
    """A model that says what comes back of a row."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """(B, *shape) → the same, through the code."""
        ...


def encode(run: Opened, data: Any, *, out: str | os.PathLike[str] | None = None) -> Any:
    """The code of each row, (n, latent), float32: what `decode` turns back.

    Args:
        run: whose model encodes.
        data: anything that `train` takes.
        out: FILE.npy: write the codes there, block by block, instead.

    Raises:
        PlausibleError: a model without codes, unfit data, or a file that cannot be written.
    """
    if not isinstance(run.model, Encoding):
        ways = ["ask for its features"] if representation(run.model) is not None else []
        raise lacking(run.model, "code", "encode", ways=ways)
    return _represent(run, run.model.encode, data, out)


def features(run: Opened, data: Any, *, out: str | os.PathLike[str] | None = None) -> Any:
    """What the model knows of each row, (n, units), float32: a discriminator's last layer, else the code.

    Args:
        run: whose model says it.
        data: anything that `train` takes.
        out: FILE.npy: write the features there, block by block, instead.

    Raises:
        PlausibleError: a model that has neither, unfit data, or a file that cannot be written.
    """
    found = representation(run.model)
    if found is None:
        raise lacking(run.model, "features", "features", "encode")
    return _represent(run, found, data, out)


def _represent(
    run: Opened, function: Callable[[Tensor], Tensor], data: Any, out: str | os.PathLike[str] | None
) -> Any:
    path = None if out is None else checked_out(out, (".npy",))
    rows = run.rows(data)
    blocks = (block for _, block in blockwise(lambda x: function(x).flatten(1), rows, 0))
    if path is None:
        return run.numbers(np.concatenate(list(blocks)), data)
    return write_array(blocks, len(rows), path)


def decode(
    run: Opened,
    z: Any,
    *,
    label: Any = None,
    as_: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Any:
    """What is made of codes, (n, latent): E[x|z], or a GAN's G(z).

    Args:
        run: whose model decodes.
        z: codes, an array, or FILE.npy. A tensor keeps its graph, and what comes back is a tensor, (n, *shape), in the
            values that the model sees.
        label: of a conditional model: the classes of the codes, in turn.
        as_: what the examples are given back in; default what the training data came in.
        out: FILE.png, .npy, .npz or .csv: write them there instead.

    Raises:
        PlausibleError: a model without a decoder, codes of another width, or a file that cannot be written.
    """
    model = run.model
    if not isinstance(model, Decoding):
        raise lacking(model, "decoder of codes", "decode")
    path = None if out is None else checked_out(out, SAMPLE_WRITERS)
    codes = codes_of(z, model.latent)
    y = None
    if label is not None:
        classes = torch.tensor(run.classes(label))
        y = classes.repeat(-(-len(codes) // len(classes)))[: len(codes)]
    if isinstance(z, Tensor) and path is None and as_ is None:
        return model.decode(codes.to(device_of(model)), y)
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
        PlausibleError: they cannot be read, are no numbers, or have another width.
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
    """What comes back of each row through its code: decode(encode(x)).

    Args:
        run: whose model reconstructs.
        data: anything that `train` takes.
        as_: what the rows are given back in; default what they came in.
        out: FILE.png, .npy, .npz or .csv: write them there instead.

    Raises:
        PlausibleError: a model that does not reconstruct, unfit data, or a file that cannot be written.
    """
    model = run.model
    if not isinstance(model, Reconstructing):
        raise lacking(model, "reconstruction", "reconstruct")
    path = None if out is None else checked_out(out, SAMPLE_WRITERS)
    rows = run.rows(data)
    blocks = (block for _, block in blockwise(model.reconstruct, rows, 0))
    if path is None:
        return run.give(np.concatenate(list(blocks)), rows, as_)
    return write_blocks(blocks, len(rows), run.schema, path)
