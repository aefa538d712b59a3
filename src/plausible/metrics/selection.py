"""What the best state of a training is chosen by: one number on the validation rows, higher is better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from plausible.capabilities import Bound, Density, HeldOutLoss, Reconstruction, require, supports
from plausible.data import Data, Rows
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel, device_of
from plausible.metrics.importance import importance_bound
from plausible.metrics.likelihood import gives_log_prob
from plausible.metrics.registry import Subject
from plausible.metrics.scores import blockwise, subset
from plausible.metrics.scoring import reconstruction_errors

__all__ = ["baseline", "can_judge", "judge"]

ROWS, SEED = 1000, 0
"""At most so many valid rows, chosen at random by the seed, the same ones at each call."""


def can_judge(kind: type) -> bool:
    """Whether the states of a model of this class can be judged: it has a held-out loss, a density, a bound or a
    reconstruction.
    """
    return any(issubclass(kind, capability) for capability in (HeldOutLoss, Density, Bound, Reconstruction))


def judge(model: GenerativeModel, data: Data) -> tuple[str, float] | None:
    """(by what, the number) on at most ROWS validation rows; None where nothing says which of two states is better.

    In this order: minus a held-out loss, where the model has one of its own; mean log p(x); its mean lower bound with
    one sample of the code a row, the same noise at each call, both in nats; minus the mean squared error of the
    reconstruction, summed over the values of a row (of real columns, in units of the training rows' standard
    deviations), of a mixed table mean log p(x | its code). Labels are not used.
    A GAN has none of them.
    """
    if not getattr(model, "judged", True):
        return None
    places = judged_places(data.valid)
    these = f"of {len(places):,} valid rows"

    def each(function: Callable[[Tensor], Tensor]) -> np.ndarray:
        device = device_of(model)
        found = blockwise(lambda x: function(x.to(device)).cpu(), data.valid, SEED, places)
        return np.concatenate([block for _, block in found])

    if supports(model, HeldOutLoss) and model.domain == data.domain:
        loss = each(model.held_out_loss)
        what = getattr(model, "held_out_is", "minus the loss at fixed times and noise")
        return f"{what}, mean {these}", -float(loss.mean(dtype=np.float64))
    if _gives_log_prob(model, data):
        if supports(model, Density):
            return f"mean log p(x) {these}, nats", float(each(model.log_prob).mean(dtype=np.float64))
        x = torch.from_numpy(data.valid.take(places)[0]).to(device_of(model))
        return f"mean ELBO {these}, nats", importance_bound(require(model, Bound), x, 1, SEED).mean
    if supports(model, Reconstruction) and model.domain == data.domain:
        errors = reconstruction_errors(model, lambda: data)
        error = each(lambda x: errors(x).flatten(1).sum(1))
        mixed = f"mean log p(x | its code) {these}, nats"
        what = (
            mixed
            if model.domain == "mixed"
            else f"minus the squared error of the reconstruction, mean {these}"
        )
        return what, -float(error.mean(dtype=np.float64))
    return None


def judged_places(valid: Rows) -> np.ndarray:
    """Which valid rows are judged."""
    return subset(np.arange(len(valid)), ROWS, SEED)


def baseline(model: GenerativeModel, data: Data) -> float | None:
    """What a model of independent values gets where `judge` gives log p(x) or a bound, in nats; else None.

    Binary values: Bernoulli variables with p = (ones + 1)/(rows + 2). Real values: Gaussians with the training rows'
    means and variances.
    """
    if supports(model, HeldOutLoss):
        return None
    if data.domain not in ("binary", "real") or not _gives_log_prob(model, data):
        return None
    train = data.train.array().reshape(len(data.train), -1).astype(np.float64)
    x = data.valid.take(judged_places(data.valid))[0].reshape(-1, train.shape[1]).astype(np.float64)
    if data.domain == "binary":
        p = (train.sum(0) + 1) / (len(train) + 2)
        return float((x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1).mean())
    spread = train.std(0)
    known = spread > 0
    return (
        float(norm.logpdf(x[:, known], train.mean(0)[known], spread[known]).sum(1).mean())
        if known.all()
        else None
    )


def _gives_log_prob(model: GenerativeModel, data: Data) -> bool:
    try:
        gives_log_prob(Subject(model.sample, data, model))
    except PlausibleError:
        return False
    return True
