"""What a checkpoint is chosen by: one figure on the valid rows, higher is better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from plausible.data import Data
from plausible.evaluation.categories import Classifying
from plausible.evaluation.likelihood import Bounded, Dense
from plausible.evaluation.likelihood_metrics import has_likelihood
from plausible.game import GenerativeModel

ROWS, BLOCK = 1000, 250
SEED = 0


def judge(model: GenerativeModel, data: Data) -> tuple[str, float] | None:
    """(by what, the figure) on the first valid rows, or None where nothing says which of two checkpoints is better.

    In this order: the share of rows put into the right class, for a model that was shown labels; mean log p(x); its
    mean lower bound with one draw a row, the same noise at each call; both in nats. A GAN, an autoencoder or an
    adversarial autoencoder has none of them: a better reconstruction is not a better sample.
    """
    rows = np.arange(min(ROWS, len(data.valid)))
    x, y = data.valid.take(rows)
    blocks = torch.from_numpy(x).split(BLOCK)
    device = next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))

    def mean(of: Callable[[Tensor], Tensor]) -> float:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(SEED)
            return float(torch.cat([of(block.to(device)).double().cpu() for block in blocks]).mean())

    if isinstance(model, Classifying) and model.labels and y is not None:
        right = torch.from_numpy(y)
        found = torch.cat([model.classify(block.to(device)).argmax(1).cpu() for block in blocks])
        return f"share of {len(rows):,} valid rows classified right", float((found == right).double().mean())
    if not has_likelihood(model, data):
        return None
    if isinstance(model, Dense):
        return f"mean log p(x) of {len(rows):,} valid rows, nats", mean(model.log_prob)
    if isinstance(model, Bounded):
        return f"mean ELBO of {len(rows):,} valid rows, nats", mean(lambda x: model.log_prob_bound(x, 1))
    return None
