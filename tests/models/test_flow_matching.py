"""Flow matching by its definition: with the velocity field of a Gaussian everything has a closed form."""

import math

import numpy as np
import pytest
import torch
from support import play, rows, tiny, trainer_of
from torch.distributions import Independent, Normal

from plausible.capabilities import Autoregressive, Coder, Density, DensityEstimate, HeldOutLoss, supports
from plausible.data import load
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.jobs.sampling import sample_model
from plausible.metrics.scoring import SCORES, default_score, scorable
from plausible.metrics.selection import baseline, can_judge, judge
from plausible.metrics.watching import samples_needed
from plausible.models.flow_matching import EXACT, FlowMatching, FlowRecipe
from plausible.training.trainer import Settings, Trainer

MEAN, DEVIATION = torch.tensor([0.3, -0.5]), torch.tensor([0.4, 1.5])


def of_gaussian(shape=(2,), domain="real", mean=MEAN, deviation=DEVIATION, **options):
    """A model whose network is E[x − z | x_t] of x ~ N(mean, deviation²) in the network's scale; class 1 is shifted."""
    model = FlowMatching(shape, domain, **options).double().eval()

    def told(x, t, y):
        centre = mean.double() + (y[:, 1:2] if y.shape[1] else 0)
        t, spread = t[:, None], deviation.double()
        gain = (t * spread**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * spread**2)
        return centre + gain * (x - t * centre)

    model._told = told
    return model


def gaussian(mean=MEAN, deviation=DEVIATION):
    return Independent(Normal(mean.double(), deviation.double()), 1)


def points(n=6, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)).double()


# ---------------------------------------------------------------------- the equation
def test_the_density_is_the_gaussians():
    x = points()
    torch.testing.assert_close(of_gaussian().log_prob(x), gaussian().log_prob(x), rtol=0, atol=1e-5)


def test_the_data_are_standardised_and_the_density_is_of_the_data():
    model = of_gaussian()
    model.scaling.mean.copy_(torch.tensor([100.0, -7.0]))
    model.scaling.deviation.copy_(torch.tensor([5.0, 0.01]))
    unit = model.scaling.deviation
    x = points() * unit + model.scaling.mean
    expected = gaussian(MEAN * unit + model.scaling.mean, DEVIATION * unit).log_prob(x)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=0, atol=1e-5)


def test_an_estimate_of_a_field_without_mixed_slopes_is_exact_but_for_its_steps():
    """Of a unit picture too, whose values from 0 to 1 the network sees from −1 to 1."""
    mean, deviation = torch.linspace(-0.5, 0.5, 16), torch.linspace(0.2, 0.6, 16)
    model = of_gaussian((1, 4, 4), "unit", mean, deviation)
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    expected = gaussian((mean + 1) / 2, deviation / 2).log_prob(x.flatten(1))
    found = model.log_density_estimate(x, steps=400)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)
    few = model.log_density_estimate(x)
    assert 0.01 < (few - expected).abs().max() < 3
    torch.testing.assert_close(model.log_density_estimate(x, probes=7), few)


def test_an_estimate_is_unbiased_over_signs(monkeypatch):
    """Of a field that mixes two values, over the two signs that there are: equal, and opposite."""
    model = of_gaussian(steps=400)
    inner, turn = model._told, torch.tensor([[0.5, 0.8], [0.3, -0.2]]).double()
    model._told = lambda x, t, y: inner(x, t, y) + x @ turn
    x, found = points(), []
    for signs in ([0, 0], [0, 1]):
        monkeypatch.setattr(torch, "randint", lambda *_, s=signs, **__: torch.tensor([[s]]))
        found.append(model.log_density_estimate(x))
    monkeypatch.undo()
    assert (found[0] - found[1]).abs().min() > 1
    torch.testing.assert_close((found[0] + found[1]) / 2, model.log_prob(x), rtol=0, atol=1e-2)


def test_samples_are_the_gaussians_and_follow_the_seed():
    model = of_gaussian()
    x = sample_model(model, 20_000, seed=1).double()
    assert torch.equal(x[:1000], sample_model(model, 1000, seed=1).double())
    assert ((x.mean(0) - MEAN).abs() < 5 * DEVIATION / 20_000**0.5).all()
    assert ((x.std(0) / DEVIATION - 1).abs() < 5 / (2 * 20_000) ** 0.5).all()


def test_codes_are_the_noise_and_back():
    model = of_gaussian()
    x = points()
    torch.testing.assert_close(model.encode(x), (x - MEAN) / DEVIATION, rtol=0, atol=1e-4)
    torch.testing.assert_close(model.decode(model.encode(x)), x, rtol=0, atol=1e-4)
    z = points(seed=1).requires_grad_()
    (slope,) = torch.autograd.grad(model.decode(z).sum(), z)
    torch.testing.assert_close(slope, DEVIATION.double().expand(6, 2), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_more_steps_come_nearer(solver, order):
    def error(steps):
        model = of_gaussian(steps=steps, solver=solver)
        return float((model.decode(points()) - (points() * DEVIATION + MEAN)).abs().max())

    assert error(20) / error(40) == pytest.approx(2**order, rel=0.25)


def test_steps_and_solver_can_be_given_with_each_sample():
    model = of_gaussian()
    torch.manual_seed(0)
    rough = model.sample(4, steps=3, solver="euler")
    other = of_gaussian(steps=3, solver="euler")
    torch.manual_seed(0)
    assert torch.equal(rough, other.sample(4))
    with pytest.raises(PlausibleError, match="steps must be at least 1, not 0"):
        model.sample(4, steps=0)


def test_a_clean_sample_ends_at_the_mean_of_the_data_given_the_point_before():
    model = of_gaussian(clean=True, steps=4, solver="rk4")
    model.bend = 1.0
    torch.manual_seed(0)
    x = model.sample(5)
    torch.manual_seed(0)
    z = model.sample_prior(5)
    before = 0.75 * MEAN + (0.25**2 + (0.75 * DEVIATION.double()) ** 2).sqrt() * z  # at t = 3/4
    gain = 0.75 * DEVIATION.double() ** 2 / (0.25**2 + (0.75 * DEVIATION.double()) ** 2)
    torch.testing.assert_close(x, MEAN + gain * (before - 0.75 * MEAN), rtol=0, atol=1e-3)
    assert FlowMatching((1, 4, 4), "unit").clean
    assert not FlowMatching((4,)).clean


# ---------------------------------------------------------------------- classes
def told(**options):
    model = of_gaussian(classes=2, **options)
    model.classes.log_share.copy_(torch.tensor([0.75, 0.25]).log())
    return model


def test_a_density_is_summed_over_the_classes():
    x, shifted = points(), gaussian(MEAN + 1)
    expected = torch.logaddexp(gaussian().log_prob(x) + math.log(0.75), shifted.log_prob(x) + math.log(0.25))
    torch.testing.assert_close(told().log_prob(x), expected, rtol=0, atol=1e-5)


def test_samples_are_of_their_class():
    y = torch.arange(2).repeat(10_000)
    x = sample_model(told(), 20_000, seed=0, y=y)
    for k in (0, 1):
        assert ((x[y == k].mean(0) - MEAN - k).abs() < 5 * DEVIATION / 100).all()


def test_guidance_goes_beyond_the_class():
    x, y = points(), torch.tensor([[0.0, 1.0]]).double().expand(6, 2)
    for guidance in (0.0, 1.0, 2.5):
        model = told(guidance=guidance)
        free, of_class = (
            model._told(x, x.new_full((6,), 0.3), 0 * y),
            model._told(x, x.new_full((6,), 0.3), y),
        )
        torch.testing.assert_close(model.velocity(x, 0.3, y), free + guidance * (of_class - free))


def test_labels_are_left_out_for_a_share_of_the_rows():
    seen, model = [], tiny("flow-matching", "default", (2,), "real", classes=3, unlabelled=0.25)
    model._told = lambda x, t, y: seen.append(y) or 0 * x
    torch.manual_seed(0)
    y = torch.arange(3).repeat(1000)
    model.loss(Batch(torch.zeros(3000, 2), y))
    none = seen[0].sum(1) == 0
    assert abs(float(none.float().mean()) - 0.25) < 5 * (0.25 * 0.75 / 3000) ** 0.5
    assert torch.equal(seen[0][~none].argmax(1), y[~none])


# ---------------------------------------------------------------------- the regression
@pytest.mark.parametrize("times", ["uniform", "logit-normal"])
def test_paths_are_straight_and_times_are_spread_evenly(times):
    model, seen = FlowMatching((2,), times=times), []
    model._told = lambda x, t, y: seen.append((x, t)) or 0 * x
    torch.manual_seed(0)
    data = torch.full((4000, 2), 3.0)
    matching = model.loss(Batch(data)).terms["matching"]
    x, t = seen[0]
    u = t if times == "uniform" else torch.special.ndtr(t.logit())
    assert torch.equal(
        (u.sort().values * 4000 - 1e-3).floor().clamp(0, 3999).unique(), torch.arange(4000.0)
    ) or ((u.sort().values - (torch.arange(4000) + 0.5) / 4000).abs().max() < 1e-3)
    z = (x - t[:, None] * data) / (1 - t[:, None])
    inside = t < 0.9
    assert abs(float(z[inside].mean())) < 0.1
    assert abs(float(z[inside].std()) - 1) < 0.1
    torch.testing.assert_close(matching[inside], (data - z).square().mean(1)[inside], rtol=1e-3, atol=1e-3)


def test_pictures_have_more_times_in_the_middle():
    assert FlowMatching((1, 8, 8), "unit").times == "logit-normal"
    assert FlowMatching((8,)).times == "uniform"


def test_a_held_out_loss_is_the_loss_and_the_same_at_each_call():
    model = trainer_of("flow-matching", "default", "points").game.eval()
    x = torch.from_numpy(rows("points").array()).repeat(50, 1)
    before = torch.random.get_rng_state()
    found = model.held_out_loss(x)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(found, model.held_out_loss(x))
    torch.manual_seed(0)
    once = model.loss(Batch(x)).terms["matching"].detach()
    error = (found.var() / len(x) + once.var() / len(x)).sqrt()
    assert abs(float(found.mean() - once.mean())) < 5 * error


def test_the_learning_rate_rises_stays_and_falls():
    recipe = FlowRecipe(lr=2.0, rise=10, steady=100)
    assert [recipe.lr_at(tick) for tick in (1, 5, 10, 50, 100, 400)] == pytest.approx([0.2, 1, 2, 2, 2, 1])


def test_it_learns_a_gaussian():
    rng = np.random.default_rng(0)
    data = load(rng.normal(size=(1000, 2)) @ np.array([[2.0, 1.5], [0.0, 0.5]]) + (10, -3))
    model = FlowMatching((2,), hidden=32, layers=1)
    model.prepare(data.train)
    trainer = Trainer(model, data.train, Settings(batch=256, ema=0.99))
    play(trainer, 400)
    model.load_state_dict(trainer.average.state)
    model.eval()
    x = data.train.array().astype(float)
    true = gaussian_of(x).log_prob(torch.from_numpy(data.test.array()).double()).mean()
    found = model.log_prob(torch.from_numpy(data.test.array())).double().mean()
    assert abs(float(found - true)) < 0.15
    torch.testing.assert_close(
        sample_model(model, 4000).double().T.cov(), torch.from_numpy(np.cov(x.T)), rtol=0.15, atol=0.1
    )


def gaussian_of(x):
    mean, covariance = torch.from_numpy(x.mean(0)), torch.from_numpy(np.cov(x.T))
    return torch.distributions.MultivariateNormal(mean, covariance)


# ---------------------------------------------------------------------- what it claims
def test_only_real_rows_of_few_values_have_a_density():
    for shape, domain, has in [
        ((EXACT,), "real", True),
        ((EXACT + 1,), "real", False),
        ((2,), "unit", False),
    ]:
        model = FlowMatching(shape, domain, hidden=8, layers=1)
        assert supports(model, Density) == model.has_density == has
        assert supports(model, DensityEstimate)
        assert supports(model, Coder)
        assert not supports(model, Autoregressive)
        assert default_score(model) == ("log_prob" if has else "flow")
        assert "typicality" in scorable(model)
        if not has:
            with pytest.raises(PlausibleError, match=r"at most 64 values.*score --by flow"):
                model.log_prob(torch.zeros(2, *shape))
    assert "neither exact nor a bound" in SCORES["flow"].says


def test_a_state_is_judged_by_the_held_out_loss_and_not_held_against_nats():
    data = load(np.random.default_rng(0).normal(size=(400, 2)))
    model = FlowMatching((2,), hidden=8, layers=1)
    model.prepare(data.train)
    by, value = judge(model, data)
    assert "loss at fixed times and noise" in by
    x = torch.from_numpy(data.valid.array())
    assert value == pytest.approx(-float(model.held_out_loss(x).mean()), rel=1e-5)
    assert can_judge(FlowMatching)
    assert supports(model, HeldOutLoss)
    assert baseline(model, data) is None


def test_samples_that_take_long_are_not_watched():
    """12 Heun steps of a U-Net at 4 × 4 places; rows of a table are watched."""
    photo = load(np.random.default_rng(0).integers(0, 256, (2000, 3, 32, 32)).astype(np.uint8))
    model = FlowMatching((3, 32, 32), "unit")
    assert model.passes == 12 * 2 * 16
    assert samples_needed(model, photo) == 0
    table = load(np.random.default_rng(0).normal(size=(400, 2)))
    assert FlowMatching((2,)).passes == 32 * 4
    assert samples_needed(FlowMatching((2,)), table) > 0


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 19, 20), (1, 2, 3)])
def test_samples_of_pictures_stay_within_their_range(shape):
    x = sample_model(tiny("flow-matching", "default", shape, "unit").eval(), 3)
    assert x.shape == (3, *shape)
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1


def test_a_network_without_levels_is_refused():
    with pytest.raises(PlausibleError, match="give a number for each level"):
        FlowMatching((1, 8, 8), "unit", channels=())


def test_numbers_that_are_not_real_are_refused():
    for domain in ("binary", "mixed"):
        with pytest.raises(PlausibleError, match=f"models unit or real values, not {domain}"):
            FlowMatching((2,), domain)
