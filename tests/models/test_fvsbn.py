"""FVSBN: its likelihood is convex, so training must find what logistic regressions find one by one."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support import play, recipe_at, tiny

from plausible.data.rows import Rows, StoredRows
from plausible.game import Batch
from plausible.models.fvsbn import FVSBN
from plausible.training.trainer import Settings, Trainer

D, N = 5, 400


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(1)
    x = (rng.random((N, D)) < 0.5).astype(np.float32)
    for i in range(2, D):
        logit = 2 * x[:, i - 1] - 1.5 * x[:, i - 2]
        x[:, i] = rng.random(N) < 1 / (1 + np.exp(-logit))
    return x


def rows(x):
    return Rows(StoredRows("chain", (x,), (D,), "binary"), np.arange(len(x)))


def trained(x, ticks, *, l2, **recipe):
    model = FVSBN((D,), "binary", l2=l2)
    model.prepare(rows(x))
    how = recipe_at("fvsbn", "default", **recipe)
    return play(Trainer(model, rows(x), Settings(batch=N), recipe=how), ticks).game


@pytest.mark.parametrize("l2", [0.0, 0.02])
def test_training_finds_the_logistic_regressions(x, l2):
    model = trained(x, 1500, lr=0.05, lr_decay=1.003, l2=l2)
    for i in range(1, D):
        # scikit-learn's penalty is ½‖w‖² against C times the sum over rows
        how = {"C": 1 / (2 * N * l2)} if l2 else {"C": np.inf}
        found = LogisticRegression(**how, tol=1e-9, max_iter=2000).fit(x[:, :i], x[:, i])
        np.testing.assert_allclose(model.weight.detach()[i, :i], found.coef_[0], atol=2e-3)
        assert float(model.bias[i].detach()) == pytest.approx(found.intercept_[0], abs=2e-3)
    assert float(model.bias[0].detach()) == pytest.approx(
        float(torch.logit(torch.tensor(x[:, 0].mean()))), abs=2e-3
    )
    assert not model.weight.detach().triu().any(), "what the density ignores stays at 0"


def test_it_starts_at_the_independent_pixels(x):
    model = FVSBN((D,), "binary", ordering="random")
    model.prepare(rows(x))
    p = (torch.from_numpy(x.sum(0)) + 1) / (N + 2)
    expected = torch.where(torch.from_numpy(x) == 1, p, 1 - p).log().sum(1)
    torch.testing.assert_close(model.log_prob(torch.from_numpy(x)), expected)


def test_the_loss_is_nats_an_example_and_the_penalty_its_own_term(x):
    model = trained(x, 20, lr=0.05, l2=0.3)
    batch = Batch(torch.from_numpy(x), tick=1)
    loss = model.loss(batch)
    torch.testing.assert_close(loss.terms["nll"], -model.log_prob(batch.x))
    assert float(loss.terms["l2"].detach()) == pytest.approx(
        0.3 * float(model.weight.detach().square().sum())
    )
    assert list(tiny("fvsbn", "default", (D,), "binary").loss(batch).terms) == ["nll"]
