"""MADE: what its masks let through, and what the mean over masks is."""

import pytest
import torch
from support import rows, tiny

from plausible.data import load
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.models.build import build
from plausible.models.explicit import log_bernoulli
from plausible.models.made import MADE, PRIOR
from plausible.recipe import Recipe
from plausible.training.optimizers import optimizer_of

D = 6
SETTINGS = [
    {},
    {"hidden": (20, 15)},
    {"hidden": (20, 15), "masks": 4, "test_masks": 4},
    {"hidden": (20,), "masks": 4, "order_agnostic": True, "mask_seed": 3},
    {"hidden": (20, 15), "connectivity": "strided"},
    {"hidden": (9,), "masks": 3, "order_agnostic": True, "connectivity": "strided"},
]
every_setting = pytest.mark.parametrize("options", SETTINGS, ids=str)


def everything():
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * D)


@every_setting
@pytest.mark.parametrize("direct", [True, False])
def test_paths_lead_to_an_output_from_all_before_it_and_from_nothing_else(options, direct):
    model = MADE((D,), "binary", **{"hidden": (60,)} | options, direct=direct)
    for mask in range(model.masks):
        *layers, direct_one = (opened.double() for opened in model.opened(mask))
        paths = torch.linalg.multi_dot(layers[::-1]) + direct * direct_one
        before = model.rank(mask)[:, None] > model.rank(mask)
        assert not (paths > 0)[~before].any()
        assert torch.equal(direct_one.bool(), before)
        if direct or options.get("connectivity") == "strided" or options == {}:
            assert torch.equal(paths > 0, before)


@every_setting
def test_every_unit_sees_something_and_some_output_sees_it(options):
    model = MADE((D,), "binary", **{"hidden": (60,)} | options)
    for mask in range(model.masks):
        first, *_, outputs = list(model.opened(mask))[:-1]
        assert first.any(1).all()
        assert outputs.any(0).all()
        for opened in list(model.opened(mask))[:-2]:
            assert opened.any(1).all()


def test_the_first_mask_keeps_the_models_order_and_the_others_have_their_own():
    model = MADE((1, 3, 3), "binary", masks=5, order_agnostic=True, ordering="spiral")
    assert torch.equal(model.rank(0), torch.arange(9))
    assert len({tuple(model.rank(mask).tolist()) for mask in range(5)}) == 5
    one = MADE((1, 3, 3), "binary", masks=5)
    assert all(torch.equal(one.rank(mask), torch.arange(9)) for mask in range(5))
    assert len({tuple(one.degrees(mask)[0].tolist()) for mask in range(5)}) == 5


def test_masks_follow_from_their_seed_alone():
    torch.manual_seed(1)
    one, other, third = (MADE((D,), "binary", masks=3, mask_seed=seed) for seed in (7, 7, 8))
    assert torch.equal(one.degrees0, other.degrees0)
    assert not torch.equal(one.degrees0, third.degrees0)


def test_masks_take_turns():
    model = tiny("made", "default", (D,), "binary", masks=3)
    x, _ = rows("binary").take(range(16))
    x = torch.from_numpy(x)
    for tick in range(1, 8):
        loss = model.loss(Batch(x, tick=tick)).total()
        expected = -log_bernoulli(model.logits(x, (tick - 1) % 3), x).sum(1).mean()
        torch.testing.assert_close(loss, expected)
        model.zero_grad()
        loss.backward()
        for layer, opened in zip(model.linears, model.opened((tick - 1) % 3), strict=False):
            assert not layer.weight.grad[~opened].any()
    first, second = (model.loss(Batch(x, tick=tick)).total().detach() for tick in (1, 2))
    assert float(first) != float(second)


@pytest.mark.parametrize("order_agnostic", [True, False])
def test_the_density_is_the_mean_over_the_masks(order_agnostic):
    model = tiny("made", "default", (D,), "binary", masks=4, test_masks=3, order_agnostic=order_agnostic)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        x = everything()
        each = torch.stack([log_bernoulli(model.logits(x, k), x).sum(1).exp() for k in range(3)])
        torch.testing.assert_close(model.log_prob(x), each.mean(0).log(), rtol=1e-5, atol=1e-5)
        assert float((each[0] - each[1]).abs().max()) > 1e-3


def test_what_is_counted_is_what_the_density_depends_on():
    """Positive weights keep every ReLU alive: then a weight that is open has a slope, and a closed one has none."""
    model = MADE((D,), "binary", hidden=(11,), masks=3, test_masks=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand_like(parameter) * 0.3)
    x = everything()
    (model.log_prob(x) * torch.randn(len(x))).sum().backward()
    slopes = sum(int((parameter.grad != 0).sum()) for parameter in model.parameters())
    assert slopes == model.free_parameters
    assert model.formula.endswith(f"= {slopes} (n = {D})")
    full = build("made", (D,), "binary", {"hidden": (11,), "connectivity": "strided", "direct": False})
    degrees = full.degrees0[0]
    assert full.free_parameters == 11 + D + int(degrees.sum()) + int((D - degrees).sum())


def test_one_variable_is_a_coin():
    model = MADE((1,), "binary", hidden=(4,))
    logs = model.log_prob(torch.tensor([[0.0], [1.0]])).detach()
    assert float(logs.exp().sum()) == pytest.approx(1)
    assert model.sample(3).shape == (3, 1)


def test_adagrad_moves_as_it_should():
    (turn,) = MADE((D,), "binary").turns()
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = optimizer_of(turn, Recipe(optimizer="adagrad", lr=0.25), [parameter])
    total = torch.zeros(2)
    for gradient in (torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5])):
        parameter.grad = gradient
        before = parameter.detach().clone()
        optimizer.step()
        total += gradient.square()
        torch.testing.assert_close(parameter.detach(), before - 0.25 * gradient / total.sqrt())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"masks": 2, "test_masks": 3}, "test_masks 3"),
        ({"masks": 2, "connectivity": "strided"}, "all the same"),
        ({"hidden": ()}, "fvsbn"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, named):
    with pytest.raises(PlausibleError, match=named):
        build("made", (D,), "binary", options)


def test_masks_of_several_orders_have_no_terms_and_complete_nothing():
    model = tiny("made", "default", (D,), "binary", masks=2, test_masks=2, order_agnostic=True)
    with pytest.raises(PlausibleError, match="test_masks to 1"):
        model.log_prob_terms(everything())
    with pytest.raises(PlausibleError, match="test_masks to 1"):
        model.complete(torch.zeros(D), torch.arange(D) < 2, 1)
    assert model.log_prob(everything()).isfinite().all()


def test_the_default_penalty_leaves_the_direct_weights_free():
    data = load("digits:binary")
    default, asked = (
        build("made", data.shape, "binary", {"hidden": (8,)} | more) for more in ({}, {"l2": 0.01})
    )
    for model in (default, asked):
        model.prepare(data.train)
        with torch.no_grad():
            model.direct.fill_(1.0)
    layers = sum(linear.weight.square().sum() for linear in default.linears)
    torch.testing.assert_close(default.penalty()["l2"], PRIOR / len(data.train) * layers)
    layers = sum(linear.weight.square().sum() for linear in asked.linears)
    torch.testing.assert_close(asked.penalty()["l2"], 0.01 * (layers + asked.direct.numel()))
