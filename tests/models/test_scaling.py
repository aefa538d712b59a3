"""Real values are standardised by the training rows; what is constant there is only centred."""

import numpy as np
import pytest
import torch

from plausible.data import load
from plausible.metrics.selection import judge
from plausible.models.build import build
from plausible.models.scaling import Scaling

WITH_CONSTANTS = np.random.default_rng(0).normal(size=(200, 4)) * (1, 1e-3, 0, 0) + (0, 50, 0, 0.3)


def test_columns_are_standardised():
    data = load(WITH_CONSTANTS)
    scaling = Scaling((4,), "real")
    scaling.fit(data.train)
    x = data.train.array()
    found = scaling.inward(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-2)
    np.testing.assert_allclose(found.std(0), [1, 1, 0, 0], rtol=1e-2, atol=1e-6)
    np.testing.assert_allclose(scaling.outward(torch.from_numpy(found)).numpy(), x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, -1e6, 1e-5])
def test_a_constant_column_is_only_centred(value):
    train = WITH_CONSTANTS[:, [0, 2]] + (0, value)
    scaling = Scaling((2,), "real")
    scaling.fit(load(train).train)
    row = torch.tensor([[0.0, value + 1]])
    assert scaling.inward(row)[0, 1].item() == pytest.approx(1, rel=0.1)


def test_a_value_in_a_column_that_was_constant_does_not_decide_alone():
    """It was divided by 1e-6: one such valid row, and no state of a training was better than the untrained one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 1)) * (1, 1, 0) + (0, 0, 0.5)
    valid = x[:20].copy()
    valid[0, 2] = 1.5
    data = load({"train": x[20:], "valid": valid, "test": valid})
    model = build("autoencoder", (3,), "real", {"encoder": (8,), "decoder": (8,), "latent": 1})
    model.prepare(data.train)
    assert -100 < judge(model.eval(), data)[1] < -0.1


def test_a_state_is_judged_in_deviations_of_the_training_rows():
    """Those of the valid rows would make a column that hardly varies there outweigh the others."""
    x = np.random.default_rng(0).normal(size=(120, 2))
    valid = x[:20] * (1, 1e-3)
    data = load({"train": x[20:], "valid": valid, "test": valid})
    model = build("autoencoder", (2,), "real", {"encoder": (8,), "decoder": (8,), "latent": 1})
    model.prepare(data.train)
    rows = torch.from_numpy(data.valid.array())
    spread = torch.from_numpy(data.train.array()).std(0, correction=0)
    expected = -((rows - model.eval().reconstruct(rows)) / spread).square().sum(1).mean().item()
    assert judge(model, data)[1] == pytest.approx(expected, rel=1e-4)
