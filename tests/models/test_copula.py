"""The Gaussian copula against the normal distribution, quadrature, and what its samples should follow."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.special import ndtr
from scipy.stats import kstest, multivariate_normal, spearmanr

import plausible
from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.models.build import build
from plausible.models.marginals import fit_marginal
from plausible.probability.quadrature import quadrature
from plausible.verification.conditionals import check_beyond


def fitted(x, **options):
    x = np.asarray(x, np.float32)
    model = build("copula", x.shape[1:], "real", options)
    model.prepare(Rows(StoredRows("given", (x,), x.shape[1:], "real"), np.arange(len(x))))
    return model.double()


def columns_of_every_kind(n, rng):
    """Normal, skewed, heavy-tailed, of two modes, whole numbers, 0 and 1, half zeros, constant; far from 0 too."""
    return {
        "normal": rng.normal(1e4, 0.5, n),
        "skewed": rng.lognormal(size=n),
        "heavy": rng.standard_t(2, n),
        "two modes": rng.normal(size=n) + 9 * rng.integers(0, 2, n),
        "whole": rng.poisson(3, n),
        "binary": rng.random(n) < 0.2,
        "half zeros": np.where(rng.random(n) < 0.5, 0, rng.normal(size=n)),
        "constant": np.full(n, -2.5),
    }


KINDS = list(columns_of_every_kind(1, np.random.default_rng(0)))


def column(kind, n=600):
    return np.float32(columns_of_every_kind(n, np.random.default_rng(1))[kind])


def gaussian(d):
    mixing = np.random.default_rng(5).normal(size=(d, d))
    return multivariate_normal(np.arange(d) * 10.0, mixing @ mixing.T + 0.3 * np.eye(d))


# ---------------------------------------------------------------------- against the normal distribution
def test_log_p_of_normal_data_approaches_the_true_one():
    truth, gaps = gaussian(4), []
    x = np.float32(truth.rvs(4000, random_state=0))
    for n in (200, 2000, 20_000):
        model = fitted(truth.rvs(n, random_state=1))
        gaps.append(float((torch.from_numpy(truth.logpdf(x)) - model.log_prob(torch.from_numpy(x))).mean()))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0  # KL, nats
    assert gaps[2] < 0.01


def test_the_ordering_changes_the_terms_and_not_the_density():
    x = gaussian(4).rvs(300, random_state=0)
    model, other = fitted(x), fitted(x, ordering="random", ordering_seed=3)
    points = torch.from_numpy(x[:20])
    assert not torch.allclose(model.log_prob_terms(points)[:, 0], other.log_prob_terms(points)[:, 0])
    torch.testing.assert_close(model.log_prob(points), other.log_prob(points))


def test_a_full_shrinkage_is_independence():
    x = gaussian(3).rvs(300, random_state=0)
    alone = sum(fitted(x[:, i : i + 1]).log_prob(torch.from_numpy(x[:, i : i + 1])) for i in range(3))
    torch.testing.assert_close(fitted(x, shrinkage=1.0).log_prob(torch.from_numpy(x)), alone)
    assert float(fitted(x).log_prob(torch.from_numpy(x)).mean() - alone.mean()) > 0.1


def test_correlations_are_those_of_the_scores():
    truth = gaussian(4)
    scale = np.sqrt(np.diag(truth.cov))
    x = np.exp(truth.rvs(20_000, random_state=0) / 10)
    np.testing.assert_allclose(fitted(x).R, truth.cov / np.outer(scale, scale), atol=0.02)


def test_correlations_are_positive_definite_with_few_rows_and_with_copies():
    rng = np.random.default_rng(0)
    few, copies = fitted(rng.normal(size=(10, 30))), fitted(rng.normal(size=(200, 1)).repeat(3, 1))
    assert float(torch.linalg.eigvalsh(few.R)[0]) > 0.05
    assert 1e-5 < float(torch.linalg.eigvalsh(copies.R)[0]) < 1e-2


# ---------------------------------------------------------------------- it is a density
def integral(model, *given):
    """∫ p(given, t) dt by quadrature."""
    i = len(given)
    points = model.kinks(i).tolist()

    def density(t):
        x = torch.cat([torch.tensor(given, dtype=torch.float64).expand(len(t), -1), t[:, None]], 1)
        return model.log_prob(x).exp()

    return float(quadrature(density, -math.inf, math.inf, points))


@pytest.mark.parametrize("kind", KINDS)
def test_one_column_integrates_to_one(kind):
    assert integral(fitted(column(kind)[:, None])) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("kinds", [("normal", "skewed"), ("whole", "heavy"), ("half zeros", "two modes")])
def test_two_columns_integrate_to_one(kinds):
    """∫ p(s, t) dt is the density of the first column alone, which integrates to one."""
    torch.manual_seed(0)
    x = np.stack([column(kind) for kind in kinds], 1)
    x[:, 1] += x[:, 0] * x[:, 1].std() / x[:, 0].std()
    model, first = fitted(x), fitted(x[:, :1])
    assert abs(float(model.R[0, 1])) > 0.3
    knots = first.kinks(0)
    places = torch.cat(
        [knots[:1] - 1, knots[:-1] + knots.diff() * torch.rand(len(knots) - 1), knots[-1:] + 1]
    )
    found = torch.tensor([integral(model, float(place)) for place in places])
    torch.testing.assert_close(found, first.log_prob(places[:, None]).exp().float(), atol=1e-8, rtol=1e-5)
    assert integral(first) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_outliers_have_a_low_finite_log_p(kind):
    x = column(kind)
    model = fitted(x[:, None])
    away = float(x.mean()) + torch.tensor([-1e3, 1e3])[:, None] * max(float(x.std()), 1)
    found = model.log_prob(away)
    assert bool(found.isfinite().all())
    assert float(found.max()) < float(model.log_prob(torch.from_numpy(x[:, None])).min()) - 100


@pytest.mark.parametrize("kind", ["whole", "binary"])
def test_whole_numbers_have_their_shares_for_densities(kind):
    """p(k) is constant on (k − ½, k + ½) and its integral the share of k among the rows, of those that are frequent."""
    x = column(kind, 3000)
    model = fitted(x[:, None])
    values, counts = np.unique(x, return_counts=True)
    often = counts > len(x) / 40
    assert often.sum() >= 2
    for near in (-0.49, 0.0, 0.49):
        p = model.log_prob(torch.from_numpy(values[often, None] + near)).exp()
        np.testing.assert_allclose(p, counts[often] / len(x), rtol=0.02)


def test_a_constant_column_has_the_density_of_its_last_decimal_and_no_correlation():
    x = np.stack([column("normal"), column("constant"), column("skewed")], 1)
    model, rest = fitted(x), fitted(x[:, ::2], shrinkage=1e-4)
    assert model.R[1].tolist() == [0, 1, 0]
    apart = model.log_prob(torch.from_numpy(x)) - rest.log_prob(torch.from_numpy(x[:, ::2]))
    torch.testing.assert_close(apart, torch.full_like(apart, math.log(10)), atol=0.01, rtol=0)


def test_a_value_that_repeats_is_as_high_as_its_bin_is_narrow():
    x = column("half zeros")[:, None]
    narrow, wide = (float(fitted(x, floor=floor).log_prob(torch.zeros(1, 1))) for floor in (1e-3, 1e-1))
    assert narrow - wide == pytest.approx(math.log(100), abs=0.3)


# ---------------------------------------------------------------------- samples
@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_marginals(kind):
    """F of samples is uniform; and samples are distributed as the rows are, counted in bins where values repeat."""
    x = column(kind, 5000)
    model = fitted(x[:, None])
    torch.manual_seed(0)
    found = model.sample(5000)
    assert kstest(ndtr(model.score(found)[0][:, 0].numpy()), "uniform").pvalue > 1e-3
    step = {"whole": 1.0, "binary": 1.0, "half zeros": 0.01, "constant": 0.1}.get(kind)
    drawn = found[:, 0].numpy()
    drawn = np.round(drawn / step) * step if step else drawn
    x = np.round(x / step) * step if step else x
    grid = np.unique(np.concatenate([x, drawn]))
    apart = [np.searchsorted(np.sort(of), grid + 1e-6, side="right") / 5000 for of in (x, drawn)]
    assert np.abs(apart[0] - apart[1]).max() < 0.04  # KS: p = 0.0007


def test_samples_follow_the_correlations_and_take_the_marginals_on():
    truth = gaussian(3).rvs(5000, random_state=0)
    x = np.stack([truth[:, 0], np.exp(truth[:, 1] / 9), np.round(truth[:, 2])], 1)
    torch.manual_seed(0)
    found = fitted(x).sample(5000).numpy()
    found[:, 2] = np.round(found[:, 2])
    np.testing.assert_allclose(spearmanr(found).statistic, spearmanr(x).statistic, atol=0.05)


@pytest.mark.parametrize("given", [[0, 0, 1], [1, 0, 1], [0, 1, 0]])
def test_completions_follow_the_normal_conditional(given):
    """Any part: the mean and covariance of the rest given it, in closed form."""
    truth, given = gaussian(3), torch.tensor(given, dtype=torch.bool)
    model = fitted(truth.rvs(20_000, random_state=0), ordering="random", ordering_seed=1)
    x = torch.from_numpy(truth.mean + np.sqrt(np.diag(truth.cov)))
    torch.manual_seed(0)
    found = model.complete(torch.where(given, x, torch.nan), given, 20_000)
    assert torch.equal(found[:, given], x[given].expand(20_000, -1))
    S, mean = torch.from_numpy(truth.cov), torch.from_numpy(truth.mean)
    weights = torch.linalg.solve(S[given][:, given], S[given][:, ~given])
    spread = S[~given][:, ~given] - S[~given][:, given] @ weights
    apart = found[:, ~given].mean(0) - mean[~given] - (x - mean)[given] @ weights
    assert float((apart / spread.diagonal().sqrt()).abs().max()) < 0.06
    torch.testing.assert_close(found[:, ~given].T.cov().view_as(spread), spread, rtol=0.06, atol=0.06)


def test_nothing_given_is_a_sample_and_everything_given_stays():
    model = fitted(gaussian(3).rvs(300, random_state=0))
    x = torch.from_numpy(gaussian(3).rvs(1, random_state=2))
    assert torch.equal(model.complete(x, torch.ones(3, dtype=torch.bool), 2), x.expand(2, -1))
    torch.manual_seed(0)
    found = model.complete(x, torch.zeros(3, dtype=torch.bool), 5)
    torch.manual_seed(0)
    torch.testing.assert_close(found, model.sample(5))


def test_a_model_of_one_order_names_the_copula_for_parts_that_it_cannot_complete():
    mask = torch.tensor([False, True, True])
    assert fitted(gaussian(3).rvs(50, random_state=0)).complete(torch.ones(3), mask, 2).shape == (2, 3)
    with pytest.raises(PlausibleError, match="conditions on anything: copula"):
        build("rnade", (3,), "real", {}).complete(torch.ones(3), mask, 2)


# ---------------------------------------------------------------------- any table
@settings(max_examples=60, deadline=None)
@given(
    rows=some.integers(1, 80),
    kinds=some.lists(some.sampled_from(KINDS), min_size=1, max_size=5),
    levels=some.integers(1, 30),
    scale=some.sampled_from([1e-6, 1.0, 1e6]),
    knots=some.integers(1, 50),
    seed=some.integers(0, 99),
)
def test_any_table_has_a_density_and_its_inverse(rows, kinds, levels, scale, knots, seed):
    rng = np.random.default_rng(seed)
    made = [columns_of_every_kind(rows, rng)[kind] for kind in kinds]
    made.append(np.round(rng.random(rows) * levels) / levels)
    x = np.float32(np.stack(made, 1) * scale)
    model = fitted(x, knots=knots)
    assert bool((model.x.diff() > 0).all())
    assert bool((model.z.diff() > 0).all())
    assert float(torch.linalg.eigvalsh(model.R)[0]) > 0
    assert bool(model.log_prob(torch.from_numpy(x)).isfinite().all())
    torch.manual_seed(seed)
    z = torch.randn(50, x.shape[1], dtype=torch.float64)
    torch.testing.assert_close(model.score(model.unscore(z))[0], z, atol=1e-4, rtol=1e-4)
    assert bool(model.sample(20).isfinite().all())


def test_a_gap_among_millions_of_rows_has_ends_that_float32_tells_apart():
    x = np.repeat([0.0, 50.0, 51.0], [1_700_000, 299_998, 2])
    marginal = fit_marginal(x, 40, 1e-3)
    gap = np.searchsorted(marginal.x, 10.0)
    assert np.diff(ndtr(marginal.z[gap - 1 : gap + 1])) == pytest.approx(1e-6, rel=0.01)


def test_verify_holds_of_columns_whose_densities_jump():
    """Quadrature finds the jumps by `kinks`; without them it misses some, at this seed."""
    model = fitted(np.stack([column("whole"), column("half zeros"), column("skewed")], 1))
    torch.manual_seed(0)
    found = check_beyond(model)
    assert not [finding for finding in found if not finding.holds]


# ---------------------------------------------------------------------- options and runs
@pytest.mark.parametrize("options", [{"shrinkage": 0}, {"shrinkage": 1.5}, {"floor": 0}, {"knots": 0}])
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(PlausibleError, match=next(iter(options))):
        build("copula", (3,), "real", options)


def test_the_free_parameters_are_correlations_and_knots():
    model = fitted(column("normal")[:, None].repeat(3, 1))
    knots = len(model.kinks(0))
    assert model.free_parameters == 3 + 3 * 2 * knots
    assert model.formula.startswith(f"n(n − 1)/2 + 2·{3 * knots} = {model.free_parameters}")


def test_a_table_is_fitted_scored_and_completed(tmp_path):
    x = np.float32(gaussian(3).rvs(300, random_state=0))
    run = plausible.train("copula", x, out=tmp_path / "run")
    scores = run.score(x)
    assert scores.shape == (300,)
    assert float(run.score(x[:1] + 100)[0]) < float(scores.min())
    np.save(tmp_path / "mask.npy", np.array([0, 1, 1]))
    found = run.complete((0,), 7, given=str(tmp_path / "mask.npy"))
    assert np.ptp(found[..., 1:], axis=-2).max() == 0 < np.ptp(found[..., 0])
