"""What the best checkpoint is chosen by: one number on the validation rows, higher is better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Bound, Classifier, Density, require, supports
from plausible.data import Data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel, device_of
from plausible.metrics.importance import importance_bound
from plausible.metrics.likelihood import gives_log_prob
from plausible.metrics.registry import Subject
from plausible.metrics.scores import blockwise

__all__ = ["judge"]

ROWS, SEED = 1000, 0


def judge(model: GenerativeModel, data: Data) -> tuple[str, float] | None:
    """(by what, the number) on the first validation rows; None where nothing says which of two checkpoints is better.

    In this order: the share of rows classified right, for a model trained with labels; mean log p(x); its mean lower
    bound with one sample of the code a row, the same noise at each call; both in nats. A GAN, an autoencoder or an
    adversarial autoencoder has none of them: a better reconstruction is not a better sample.
    """
    rows, device = np.arange(min(ROWS, len(data.valid))), device_of(model)
    these = f"of {len(rows):,} valid rows"

    def each(function: Callable[[Tensor], Tensor]) -> np.ndarray:
        found = blockwise(lambda x: function(x.to(device)).cpu(), data.valid, SEED, rows)
        return np.concatenate([block for _, block in found])

    y = data.valid.y
    if supports(model, Classifier) and model.labels and y is not None:
        right = each(model.classify).argmax(1) == y[rows]
        return f"share {these} classified right", float(right.mean())
    try:
        gives_log_prob(Subject(model.sample, data, model))
    except PlausibleError:
        return None
    if supports(model, Density):
        return f"mean log p(x) {these}, nats", float(each(model.log_prob).mean(dtype=np.float64))
    x = torch.from_numpy(data.valid.take(rows)[0]).to(device)
    return f"mean ELBO {these}, nats", importance_bound(require(model, Bound), x, 1, SEED).mean
