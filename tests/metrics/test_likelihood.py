"""Bounds and quadrature against the closed marginal of a linear-Gaussian VAE, which is probabilistic PCA."""

import math

import pytest
import torch
from support import DOMAINS, tiny
from torch import Tensor
from torch.distributions import MultivariateNormal

from plausible import data
from plausible.errors import PlausibleError
from plausible.metrics import Subject, annealing, defaults, importance, ladder, measure, quadrature
from plausible.metrics.annealing import ais, sigmoid_schedule
from plausible.metrics.importance import Scores, importance_bound
from plausible.metrics.quadrature import exact_log_prob
from plausible.models.vae import VAE

ROWS = 12


def linear_gaussian(latent, encoder_is=1.0):
    """u = (x − m)/s ~ N(W z + b, σ²) with W's columns orthogonal; q(z|x) is p(z|x) widened `encoder_is` times.

    Returns the model and log p(x) = log N(u; b, WWᵀ + σ²I) − Σ log s.
    """
    model = VAE((3,), "real", latent=latent, encoder=(), decoder=(), observation="gaussian")
    weight = torch.tensor([[1.2, 0.3], [-0.4, 0.9], [0.0, 0.5]])[:, :latent]
    if latent == 2:
        weight[2, 0] = -(weight[:2, 0] @ weight[:2, 1]) / weight[2, 1]
    bias, deviation = torch.tensor([0.1, -0.2, 0.3]), 0.4
    mean, scale = torch.tensor([100.0, -3.0, 0.5]), torch.tensor([5.0, 0.1, 1.0])
    inner = weight.T @ weight + deviation**2 * torch.eye(latent)
    gain = torch.linalg.solve(inner, weight.T)
    state = {
        "scaling.mean": mean,
        "scaling.deviation": scale,
        "decoder.0.weight": weight,
        "decoder.0.bias": bias,
        "observation.log_deviation": torch.tensor(math.log(deviation)),
        "encoder.0.weight": torch.cat([gain, torch.zeros(latent, 3)]),
        "encoder.0.bias": torch.cat([-gain @ bias, (encoder_is * deviation / inner.diagonal().sqrt()).log()]),
    }
    model.load_state_dict(model.state_dict() | state)
    marginal = MultivariateNormal(bias, weight @ weight.T + deviation**2 * torch.eye(3))
    return model.eval(), lambda x: marginal.log_prob((x - mean) / scale) - scale.log().sum()


def rows(n=ROWS):
    return torch.tensor([100.0, -3.0, 0.5]) + torch.tensor([6.0, 0.1, 1.2]) * torch.randn(
        n, 3, generator=torch.Generator().manual_seed(4)
    )


@pytest.mark.parametrize("latent", [1, 2])
def test_quadrature_is_the_closed_form(latent):
    model, closed = linear_gaussian(latent)
    found = exact_log_prob(model, rows())
    torch.testing.assert_close(found.values.float(), closed(rows()), rtol=0, atol=1e-4)
    assert found.errors.max() < 1e-4
    coarse = exact_log_prob(model, rows(), points=17)
    assert ((coarse.values - closed(rows())).abs() < coarse.errors + 1e-4).all()


@pytest.mark.parametrize("latent", [1, 2])
def test_the_bound_of_the_true_posterior_is_tight_with_one_draw(latent):
    model, closed = linear_gaussian(latent)
    found = importance_bound(model, rows(), 1)
    torch.testing.assert_close(found.values.float(), closed(rows()), rtol=0, atol=1e-4)
    assert (found.n, found.samples) == (ROWS, 1)


@pytest.mark.parametrize("latent", [1, 2])
def test_many_draws_from_a_wide_posterior_come_close(latent):
    model, closed = linear_gaussian(latent, encoder_is=2.0)
    x = rows()
    gap = importance_bound(model, x, 5000).values - closed(x)
    # an importance weight p/q of two normals, q twice as wide, has variance (4/√7)^latent − 1
    error = math.sqrt(((4 / math.sqrt(7)) ** latent - 1) / 5000)
    assert gap.abs().max() < 6 * error
    assert (importance_bound(model, x, 1).values - closed(x)).mean() < gap.mean()


@pytest.mark.parametrize("latent", [1, 2])
def test_annealing_comes_close_within_its_spread_and_from_below(latent):
    model, closed = linear_gaussian(latent, encoder_is=7.0)  # it does not use the encoder
    x, repeats = rows(6), 16
    found = ais(model, x.repeat_interleave(repeats, 0), temperatures=60, steps=5).values.unflatten(
        0, (6, repeats)
    )
    spread = found.std(1)
    gap = found.mean(1) - closed(x)
    assert spread.max() < 0.5
    assert (gap.abs() < 6 * spread / math.sqrt(repeats) + spread.square()).all()


def test_more_temperatures_and_more_chains_are_tighter():
    model, closed = linear_gaussian(2)
    x = rows(4).repeat_interleave(30, 0)
    means = [
        (ais(model, x, chains, temperatures, steps=3).values - closed(x)).mean()
        for chains, temperatures in ((1, 5), (1, 50), (10, 50))
    ]
    assert means[0] < means[1] < means[2] < 0.02


@pytest.mark.parametrize("temperatures", [1, 2, 1000])
def test_the_schedule_is_the_sigmoid_from_0_to_1(temperatures):
    betas = sigmoid_schedule(temperatures)
    assert (len(betas), betas[0], betas[-1]) == (temperatures + 1, 0, 1)
    assert betas == sorted(set(betas))
    assert betas[temperatures // 2] == pytest.approx(0.5) or temperatures == 1


def test_seeds_repeat_and_leave_no_trace():
    model, x = tiny("vae", "default", *DOMAINS["binary"]), torch.ones(5, 6)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for figure in (lambda seed: importance_bound(model, x, 7, seed), lambda seed: ais(model, x, 2, 5, seed)):
        assert torch.equal(figure(1).values, figure(1).values)
        assert not torch.equal(figure(1).values, figure(2).values)
    exact_log_prob(tiny("vae", "default", *DOMAINS["binary"], latent=1), x)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_blocks_bound_the_memory_and_change_figures_by_draws_alone(monkeypatch):
    model, _ = linear_gaussian(2, encoder_is=1.5)
    x = rows(30)
    whole = [importance_bound(model, x, 50), ais(model, x, 8, 30), exact_log_prob(model, x[:2], points=33)]
    decoded = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(len(inputs[0])))
    monkeypatch.setattr(annealing, "BLOCK", 64)
    monkeypatch.setattr(quadrature, "BLOCK", 64)
    parts = [ais(model, x, 8, 30), exact_log_prob(model, x[:2], points=33)]
    assert max(decoded) <= 64
    monkeypatch.setattr(importance, "ROWS", 7)
    monkeypatch.setattr(annealing, "ROWS", 7)
    for one, other in zip(whole, [importance_bound(model, x, 50), *parts], strict=True):
        assert len(one.values) == len(other.values)
        assert abs(one.mean - other.mean) < 0.1
    assert torch.equal(parts[1].values, whole[2].values)


def test_the_first_rows_do_not_depend_on_how_many_follow():
    model = linear_gaussian(2, encoder_is=1.5)[0]
    few, many = (importance_bound(model, rows(130)[:n], 5).values for n in (100, 130))
    assert torch.equal(few, many[:100])


def test_bits_and_errors():
    scores = Scores(torch.tensor([-10.0, -20.0, -30.0], dtype=torch.float64))
    assert scores.bits_per_dimension(4) == pytest.approx(20 / (4 * math.log(2)))
    assert (scores.mean, scores.n) == (-20, 3)
    assert scores.standard_error == pytest.approx(10 / math.sqrt(3))
    assert math.isnan(Scores(torch.zeros(1)).standard_error)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model, x: exact_log_prob(model, x), ["1 or 2", "4"]),
        (lambda model, x: exact_log_prob(small(), x, points=10), ["points", "10"]),
        (lambda model, x: ais(model, x, chains=0), ["chains", "0"]),
        (lambda model, x: ais(model, x, temperatures=0), ["temperatures", "0"]),
        (lambda model, x: ais(model, x, steps=0), ["steps", "0"]),
        (lambda model, x: importance_bound(model, x, 0), ["samples", "0"]),
    ],
)
def test_what_cannot_be_done_is_said(call, words):
    with pytest.raises(PlausibleError) as error:
        call(tiny("vae", "default", *DOMAINS["binary"]), torch.ones(2, 6))
    assert all(word in str(error.value) for word in words)


def small():
    return tiny("vae", "default", *DOMAINS["binary"], latent=1)


# ---------------------------------------------------------------------- the metrics
DIGITS = data.load("digits:binary")


def measured(model, names, rows=DIGITS):
    return {result.name: result for result in measure(subject(model, rows), names)}


def subject(model, rows=DIGITS):
    def sample(n) -> Tensor:
        torch.manual_seed(0)
        return model.sample(n)

    return Subject(sample, rows, model)


def test_the_default_bound_says_what_it_is():
    model = tiny("vae", "default", DIGITS.shape, "binary")
    found = measured(model, ["likelihood"])
    nats, bits = found["log-likelihood bound"], found["bits per dimension"]
    expected = importance_bound(model, torch.from_numpy(DIGITS.test.array()), 50, seed=1)
    assert (nats.value, nats.spread) == pytest.approx((expected.mean, expected.standard_error))
    assert bits.value == pytest.approx(-nats.value / (64 * math.log(2)))
    assert all(word in nats.note for word in ("lower bound", "k = 50", f"{len(DIGITS.test):,}"))
    assert "likelihood" in defaults(subject(model))


def test_the_ladder_has_all_its_rungs(monkeypatch):
    monkeypatch.setattr(ladder, "TEMPERATURES", 20)
    monkeypatch.setattr(ladder, "ROWS", 10)
    found = measured(tiny("vae", "default", DIGITS.shape, "binary", latent=2), ["ladder"])
    assert list(found) == ["IWAE-1", "IWAE-50", "IWAE-5000", "AIS", "exact", "Parzen"]
    assert {metric.details["rows"] for metric in found.values()} == {10}
    assert found["IWAE-5000"].value == pytest.approx(found["exact"].value, abs=0.05)
    assert "no likelihood of this model" in found["Parzen"].note
    ring = data.load("ring")
    found = measured(tiny("vae", "default", ring.shape, "real"), ["ladder"], ring)
    assert list(found) == ["IWAE-1", "IWAE-50", "IWAE-5000", "AIS"]


@pytest.mark.parametrize("metric", ["likelihood", "ladder"])
@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("gan", {}, ["GAN", "log_prob_bound", "vae", "fidelity"]),
        ("vae", {"observation": "bernoulli"}, ["Bernoulli", ":binary"]),
        ("vae", {"domain": "binary"}, ["binary", "unit"]),
    ],
)
def test_a_model_without_a_likelihood_of_the_data_is_refused(metric, model, options, words):
    digits = data.load("digits")
    domain = options.get("domain", "unit")
    game = tiny(model, "default", digits.shape, domain, **{k: v for k, v in options.items() if k != "domain"})
    with pytest.raises(PlausibleError) as error:
        measured(game, [metric], digits)
    assert all(word in str(error.value) for word in words)
    assert "likelihood" not in defaults(subject(game, digits))
