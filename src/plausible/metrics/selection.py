"""What a checkpoint is chosen by: one figure on the valid rows, higher is better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data
from plausible.game import GenerativeModel, device_of
from plausible.metrics.categories import Classifying
from plausible.metrics.likelihood import Bounded, Dense, importance_bound
from plausible.metrics.likelihood_metrics import has_likelihood
from plausible.metrics.scores import blockwise

ROWS, SEED = 1000, 0


def judge(model: GenerativeModel, data: Data) -> tuple[str, float] | None:
    """(by what, the figure) on the first valid rows, or None where nothing says which of two checkpoints is better.

    In this order: the share of rows put into the right class, for a model that was shown labels; mean log p(x); its
    mean lower bound with one draw a row, the same noise at each call; both in nats. A GAN, an autoencoder or an
    adversarial autoencoder has none of them: a better reconstruction is not a better sample.
    """
    rows, device = np.arange(min(ROWS, len(data.valid))), device_of(model)
    these = f"of {len(rows):,} valid rows"

    def each(function: Callable[[Tensor], Tensor]) -> np.ndarray:
        found = blockwise(lambda x: function(x.to(device)).cpu(), data.valid, SEED, rows)
        return np.concatenate([block for _, block in found])

    y = data.valid.y
    if isinstance(model, Classifying) and model.labels and y is not None:
        right = each(model.classify).argmax(1) == y[rows]
        return f"share {these} classified right", float(right.mean())
    if not has_likelihood(model, data):
        return None
    if isinstance(model, Dense):
        return f"mean log p(x) {these}, nats", float(each(model.log_prob).mean(dtype=np.float64))
    if isinstance(model, Bounded):
        x = torch.from_numpy(data.valid.take(rows)[0]).to(device)
        return f"mean ELBO {these}, nats", importance_bound(model, x, 1, SEED).mean
    return None
