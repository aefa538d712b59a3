"""What the players play for, against the formulas of the papers in float64."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plausible.models.objectives import OBJECTIVES, Logits, gradient_penalty

VALUES = [-80.0, -8.0, -1.5, 0.0, 0.3, 8.0, 80.0]


def logits(real, fake):
    """Logits that take these values, whatever the data."""
    real, fake = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (real, fake))
    scores = iter((fake, real))
    return Logits(lambda _: next(scores), lambda: real, fake), real, fake


def terms(objective, player, real, fake):
    d, real, fake = logits(real, fake)
    return OBJECTIVES[objective](player, d), real, fake


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


MODERATE = [-8.0, -1.5, 0.0, 0.3, 8.0]


@pytest.mark.parametrize("objective", ["minimax", "non-saturating", "authors-code"])
def test_the_discriminator_lowers_minus_the_value(objective):
    found, _, _ = terms(objective, "discriminator", MODERATE, MODERATE[::-1])
    weight = 0.5 if objective == "authors-code" else 1.0
    real = [-weight * math.log(sigmoid(x)) for x in MODERATE]
    fake = [-weight * math.log(1 - sigmoid(x)) for x in MODERATE[::-1]]
    assert found["real"].tolist() == pytest.approx(real, rel=1e-9)
    assert found["fake"].tolist() == pytest.approx(fake, rel=1e-9)


@pytest.mark.parametrize(
    ("objective", "formula"),
    [
        ("minimax", lambda x: math.log(1 - sigmoid(x))),
        ("non-saturating", lambda x: -math.log(sigmoid(x))),
        ("authors-code", lambda x: -math.log(sigmoid(x))),
    ],
)
def test_the_generator_lowers_its_formula(objective, formula):
    (term,) = terms(objective, "generator", MODERATE, MODERATE)[0].values()
    assert term.tolist() == pytest.approx([formula(x) for x in MODERATE], rel=1e-9)


def test_the_relativistic_players_lower_opposite_sides_of_one_difference():
    for player, sign in (("discriminator", 1), ("generator", -1)):
        found, _, _ = terms("relativistic", player, MODERATE, [0.0, 1.0, -2.0, 3.0, -8.0])
        differences = [a - b for a, b in zip(MODERATE, [0.0, 1.0, -2.0, 3.0, -8.0], strict=True)]
        assert found["pair"].tolist() == pytest.approx([-math.log(sigmoid(sign * x)) for x in differences])


SLOPES = {  # of the generator's term in the fake's logit, by hand
    "minimax": lambda x: -sigmoid(x),
    "non-saturating": lambda x: -(1 - sigmoid(x)),
    "authors-code": lambda x: -(1 - sigmoid(x)),
    "relativistic": lambda x: -(1 - sigmoid(x)),  # against a real logit of 0
}


@pytest.mark.parametrize("objective", SLOPES)
@given(x=st.floats(-30, 30))
def test_the_generators_slope_is_the_papers(objective, x):
    found, _, fake = terms(objective, "generator", [0.0], [x])
    (slope,) = torch.autograd.grad(sum(t.sum() for t in found.values()), fake)
    assert float(slope) == pytest.approx(SLOPES[objective](x), rel=1e-8, abs=1e-8)  # softplus is x past 20


def test_far_behind_the_minimax_slope_is_weaker_by_d_over_1_minus_d():
    slopes = {}
    for objective in ("minimax", "non-saturating"):
        found, _, fake = terms(objective, "generator", [0.0], [-8.0])
        (slopes[objective],) = torch.autograd.grad(next(iter(found.values())).sum(), fake)
    d = sigmoid(-8.0)
    assert float(slopes["minimax"] / slopes["non-saturating"]) == pytest.approx(d / (1 - d), rel=1e-9)
    assert d / (1 - d) < 4e-4


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_have_finite_values_and_slopes_of_the_right_sign(objective, player, dtype):
    real, fake = (torch.tensor([80.0, -80.0, 0.0], dtype=dtype, requires_grad=True) for _ in range(2))
    scores = iter((fake, real))
    found = OBJECTIVES[objective](player, Logits(lambda _: next(scores), lambda: real, fake))
    slopes = torch.autograd.grad(
        sum(t.sum() for t in found.values()), (real, fake), allow_unused=True, materialize_grads=True
    )
    assert all(t.isfinite().all() for t in (*found.values(), *slopes))
    upward = slopes[1] if player == "discriminator" else -slopes[1]
    assert (upward >= 0).all()  # D pushes the fakes' logits down, G pushes them up
    assert (slopes[0] <= 0).all() or player == "generator"


def test_extreme_logits_keep_the_whole_loss():
    found, _, _ = terms("minimax", "discriminator", [-80.0], [80.0])
    assert [found["real"].item(), found["fake"].item()] == [80.0, 80.0]


def test_the_real_logits_are_computed_only_when_asked_for():
    calls = []

    def score(x):
        calls.append(len(x))
        return x[:, 0]

    for objective in ("minimax", "non-saturating", "authors-code"):
        OBJECTIVES[objective]("generator", Logits(score, lambda: torch.zeros(3, 1), torch.zeros(2, 1)))
    assert calls == [2, 2, 2]
    OBJECTIVES["relativistic"]("generator", Logits(score, lambda: torch.zeros(2, 1), torch.zeros(2, 1)))
    assert calls == [2] * 5


def test_both_in_one_pass_are_not_mixed_up():
    real, fake = torch.full((3, 1), 7.0), torch.full((2, 1), -7.0)
    d = Logits(lambda x: x[:, 0], lambda: real, fake, both=True)
    assert (d.real.tolist(), d.fake.tolist()) == ([7.0] * 3, [-7.0] * 2)


def test_a_linear_discriminators_penalty_is_its_squared_weight(float64):
    w = torch.randn(6)
    x = torch.randn(4, 2, 3).requires_grad_()
    assert torch.allclose(gradient_penalty(x.flatten(1) @ w, x), w.square().sum().expand(4))


def test_the_penalty_is_the_squared_slope_by_finite_differences(float64):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    x = torch.randn(4, 3).requires_grad_()
    found = gradient_penalty(net(x).squeeze(1), x)
    h = 1e-6
    slopes = [(net(x + h * e) - net(x - h * e)).squeeze(1) / (2 * h) for e in torch.eye(3)]
    assert torch.allclose(found, torch.stack(slopes).square().sum(0), atol=1e-8)


def test_the_penalty_has_a_gradient_of_its_own(float64):
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    x = torch.zeros(5, 2, requires_grad=True)
    gradient_penalty(x @ w, x).mean().backward()
    assert torch.allclose(w.grad, 2 * w.detach())  # d‖w‖²/dw
