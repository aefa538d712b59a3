"""NADE and RNADE beyond the laws: what they start from, learn, and cost."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from support import recipe_at

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.models.build import build, preset_of
from plausible.models.nade import NADE
from plausible.models.rnade import RNADE
from plausible.recipe import Recipe
from plausible.training.trainer import Settings, Trainer


def rows(x, domain):
    return Rows(StoredRows("made up", (x.astype(np.float32),), x.shape[1:], domain), np.arange(len(x)))


def trained(model, data, ticks, recipe=None, **settings):
    torch.manual_seed(0)
    model.prepare(data)
    trainer = Trainer(model, data, Settings(**settings), recipe=recipe)
    for _ in range(ticks):
        trainer.play()
    return model.eval()


def parity(n, seed=0):
    """Five coins, and a sixth variable that is their parity: nothing linear tells it."""
    x = np.random.default_rng(seed).integers(0, 2, (n, 6))
    x[:, 5] = x[:, :5].sum(1) % 2
    return x


@torch.no_grad()
def test_it_learns_what_no_logistic_regression_can():
    """Half of the one bit that parity holds and a linear model has none of."""
    torch.manual_seed(1)
    with torch.enable_grad():
        recipe = Recipe(lr=0.02, lr_decay=1.001)
        model = trained(NADE((6,), hidden=40), rows(parity(2000), "binary"), 800, recipe, batch=128)
    assert float(model.log_prob(torch.from_numpy(parity(500, 1)).float()).mean()) > -5.5 * math.log(2)
    torch.manual_seed(0)
    drawn = model.sample(1000)
    assert float((drawn[:, :5].sum(1) % 2 == drawn[:, 5]).float().mean()) > 0.7


def test_it_starts_near_the_independent_pixels():
    x = (np.random.default_rng(0).random((400, 30)) < np.linspace(0.02, 0.9, 30)).astype(np.float32)
    torch.manual_seed(0)
    model = NADE((30,), hidden=20)
    model.prepare(rows(x, "binary"))
    with torch.no_grad():
        model.V.zero_()
    share = (x.sum(0) + 1) / 402
    expected = (x * np.log(share) + (1 - x) * np.log(1 - share)).sum(1)
    np.testing.assert_allclose(model.log_prob(torch.from_numpy(x)).detach(), expected, rtol=1e-5)


def test_the_count_of_parameters_is_the_formula_s():
    model = NADE((1, 28, 28))
    assert model.free_parameters == 2 * 784 * 500 + 784 + 500
    assert str(model.free_parameters) in model.formula
    model = RNADE((7,), hidden=11, components=3)
    assert model.free_parameters == 7 * 11 + 3 * 7 * 3 * 12 + 11
    assert str(model.free_parameters) in model.formula


def test_the_paper_s_preset_is_plain_sgd():
    model = build("nade", (9,), "binary", preset_of("nade", "larochelle2011").model)
    recipe = recipe_at("nade", "larochelle2011")
    assert (recipe.optimizer, recipe.settings_at(1)) == ("sgd", {"lr": 0.005, "momentum": 0})
    assert model.activation == "sigmoid"


def test_grey_data_are_an_error_that_says_what_to_do():
    with pytest.raises(PlausibleError, match="binar"):
        build("nade", (9,), "unit", {})


# ------------------------------------------------------------------ RNADE
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_rnade_integrates_to_one_in_the_data_s_own_units(activation):
    torch.manual_seed(0)
    model = RNADE((2,), hidden=9, components=3, activation=activation, ordering=(1, 0)).double()
    centre, scale = np.array([100.0, -3.0]), np.array([5.0, 0.1])
    model.prepare(rows(np.random.default_rng(0).normal(size=(500, 2)) * scale + centre, "real"))
    with torch.no_grad():
        model.W.mul_(2)
        model.V.mul_(2)
    axes = [
        torch.linspace(c - 20 * s, c + 20 * s, 801, dtype=torch.float64)
        for c, s in zip(centre, scale, strict=True)
    ]
    points = torch.cartesian_prod(*axes)
    with torch.no_grad():
        density = model.log_prob(points).exp()
        cell = float((axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0]))
        assert float(density.sum()) * cell == pytest.approx(1, abs=1e-3)
        torch.manual_seed(1)
        drawn = model.sample(40_000)
        given = model.complete(
            torch.tensor([0.0, -3.1], dtype=torch.float64), torch.tensor([False, True]), 40_000
        )
    weight = density / density.sum()
    for column in range(2):  # each marginal's distribution function at its quartiles, within 5 sigma
        order = points[:, column].argsort()
        cumulative = weight[order].cumsum(0)
        for share in (0.25, 0.5, 0.75):
            at = points[order][:, column][int((cumulative < share).sum())]
            exact = float(weight[points[:, column] <= at].sum())
            found = float((drawn[:, column] <= at).double().mean())
            assert abs(found - exact) < 5 * math.sqrt(0.25 / 40_000) + 0.01
    assert (given[:, 1] == -3.1).all()
    near = (points[:, 1] - -3.1).abs() < 0.1 * 20 / 800 + 1e-9
    line, likely = points[near][:, 0], weight[near]
    mean = float((line * likely).sum() / likely.sum())
    spread = float(((line - mean).square() * likely).sum() / likely.sum()) ** 0.5
    assert abs(float(given[:, 0].mean()) - mean) < 6 * spread / 200 + 0.1


def test_rnade_starts_as_standard_normals():
    """Many components side by side, no weights: close to N(mean, deviation²) of the training rows."""
    x = np.random.default_rng(0).normal(size=(2000, 1)) * 3 + 7
    torch.manual_seed(0)
    model = RNADE((1,), components=50)
    model.prepare(rows(x, "real"))
    with torch.no_grad():
        model.V.zero_()
        at = torch.linspace(2, 12, 9)[:, None]
        found = model.log_prob(at)
    expected = norm(x.mean(), x.std()).logpdf(at.numpy().ravel())
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_rnade_learns_a_ring():
    random = np.random.default_rng(0)

    def ring(n):
        angle = random.random(n) * 2 * np.pi
        return np.stack([np.cos(angle), np.sin(angle)], 1) * (1 + 0.05 * random.normal(size=(n, 1)))

    torch.manual_seed(0)
    model = trained(
        RNADE((2,), hidden=30), rows(ring(2000), "real"), 600, Recipe(lr=0.01, lr_decay=1.00002), batch=100
    )
    with torch.no_grad():
        found = float(model.log_prob(torch.from_numpy(ring(1000)).float()).mean())
    true = -math.log(2 * math.pi) - math.log(0.05) - 0.5 * math.log(2 * math.pi * math.e)
    assert true - 0.5 < found < true + 0.15
    torch.manual_seed(0)
    radius = model.sample(1000).norm(dim=1)
    assert float((radius - 1).abs().median()) < 0.12
