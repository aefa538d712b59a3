"""`mixed`: the bins of its numbers, its conditionals one by one, and what it samples and completes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plausible.data import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.models.bins import fit_bins
from plausible.models.mixed import Mixed
from plausible.models.rounding import fit_rounding
from plausible.recipe import Recipe
from plausible.training.optimizers import schedule_of
from plausible.training.trainer import Settings, Trainer

SHAPE, LEVELS = (4,), (3, 0, 0, 2)


def table(n: int) -> np.ndarray:
    """Three levels, whole numbers and real ones with missing cells, two levels."""
    rng = np.random.default_rng(3)
    level, half = rng.integers(0, 3, n), rng.random(n) < 0.4
    x = np.stack([level, rng.integers(18, 60, n) + 20 * half, rng.normal(3 * level), half], 1)
    x[:, :3][rng.random((n, 3)) < 0.1] = np.nan
    return x.astype(np.float32)


def as_rows(x: np.ndarray) -> Rows:
    return Rows(StoredRows("table", (x.astype(np.float32),), x.shape[1:], "mixed"), np.arange(len(x)))


def stirred(x: np.ndarray, levels: tuple[int, ...], seed: int = 0, **options) -> Mixed:
    """A prepared model whose conditionals depend on each other, in float64."""
    torch.manual_seed(seed)
    model = Mixed(x.shape[1:], "mixed", levels, hidden=16, layers=2, **options)
    model.prepare(as_rows(x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return model.double().eval()


@pytest.fixture(scope="module")
def model() -> Mixed:
    return stirred(table(400), LEVELS)


# ---------------------------------------------------------------------- bins
whole = arrays(np.float64, st.integers(2, 300), elements=st.integers(-50, 3000).map(float))
real = arrays(np.float64, st.integers(2, 300), elements=st.floats(-1e3, 1e3, width=32))


@given(st.one_of(whole, real), st.integers(4, 64))
@settings(max_examples=60, deadline=None)
def test_bins_are_disjoint_few_and_hold_every_training_value_once(values, most):
    bins = fit_bins(values.astype(np.float32), most)
    assert 1 <= len(bins.low) <= most
    assert (bins.low <= bins.high).all()
    assert (bins.high[:-1] <= bins.low[1:]).all()
    assert bins.counts.sum() == len(values)


def test_a_value_that_repeats_has_a_bin_of_its_own():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(2000) < 0.3, 0.25, rng.normal(size=2000)).astype(np.float32)
    bins = fit_bins(values, 32)
    (place,) = np.flatnonzero(bins.low == bins.high)
    assert (bins.low[place], bins.counts[place]) == (0.25, (values == 0.25).sum())
    others = np.delete(bins.counts, place)
    assert others.max() < 3 * np.median(others)


def test_whole_numbers_beyond_what_their_range_resolves_still_have_a_step():
    values = np.r_[np.arange(0, 300_001, 1500), 2501].astype(np.float32)
    assert fit_bins(values, 16).step == 1


def test_round_numbers_are_as_frequent_within_bins_as_they_were():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(5000) < 0.7, 50 * rng.integers(1, 200, 5000), rng.integers(1, 10_000, 5000))
    bins = fit_bins(values.astype(np.float32), 16)
    assert bins.rounding is not None
    assert 50 in bins.rounding.units
    free = fit_rounding(*np.unique(rng.integers(1, 10_000, 5000).astype(float), return_counts=True),
                        np.array([0.5]), np.array([9999.5]), 0.0, 1.0)  # fmt: skip
    assert free.shares[:, 0].min() > 0.9
    x = values[:, None].astype(np.float32)
    torch.manual_seed(0)
    made = Mixed((1,), "mixed", (0,), bins=16, hidden=8, layers=1)
    made.prepare(as_rows(x))
    with torch.no_grad():
        made.head.zero_()
    sampled = made.eval().sample(5000).numpy().ravel()
    share, expected = (sampled % 50 == 0).mean(), (values % 50 == 0).mean()
    assert abs(share - expected) < 4 * math.sqrt(2 * expected * (1 - expected) / 5000)


def test_favourite_values_are_as_frequent_within_bins_as_they_were():
    """As the weights of diamonds: a hundredth, with many at .30, .31, .70 … in bins beside others, and round ones."""
    rng = np.random.default_rng(0)
    often = rng.choice([120, 151, 187, 233, 251], 4000)
    values = np.where(rng.random(4000) < 0.25, often, rng.integers(20, 400, 4000)) / 100
    made = Mixed((1,), "mixed", (0,), bins=24, hidden=8, layers=1)
    made.prepare(as_rows(values[:, None]))
    with torch.no_grad():
        made.head.zero_()
    torch.manual_seed(0)
    sampled = made.eval().sample(8000).numpy().ravel()
    for value in (1.2, 1.51, 1.87, 2.33, 2.51):
        real = (np.abs(values - value) < 1e-3).mean()
        assert (np.abs(sampled - value) < 1e-3).mean() == pytest.approx(real, rel=0.25)


def test_bins_of_one_value_do_not_hide_the_favourites_in_the_others():
    """Most rows have one of five values with bins of their own, which say nothing of how the other bins are filled."""
    rng = np.random.default_rng(0)
    rest = np.where(
        rng.random(2000) < 0.5, rng.choice([120, 151, 187, 233], 2000), rng.integers(20, 400, 2000)
    )
    values = np.r_[rng.integers(1, 6, 8000), rest].astype(np.float32)
    rounding = fit_bins(values, 24).rounding
    assert rounding is not None
    assert {120, 151, 187, 233} <= {*rounding.favourites}
    assert 0.4 < rounding.shares[:, -1].max() < 0.8  # half of the rest, and some of the others that repeat


def test_values_that_repeat_by_chance_are_no_favourites():
    values = np.random.default_rng(0).integers(0, 3000, 4000).astype(np.float32)
    rounding = fit_bins(values, 32).rounding
    assert rounding is not None
    assert rounding.shares[:, 0].min() > 0.95


# ---------------------------------------------------------------------- conditionals
def conditional(model: Mixed, row: torch.Tensor, place: int, values: torch.Tensor) -> torch.Tensor:
    """p(x_place = v | the row's other cells) of each value."""
    many, known = row.repeat(len(values), 1), torch.ones(len(values), len(row), dtype=torch.bool)
    many[:, place], known[:, place] = values, False
    with torch.no_grad():
        return model.conditionals(many, known)[:, place].exp()


@pytest.mark.parametrize(
    ("place", "values"),
    [(0, [0, 1, 2, math.nan]), (1, [*range(-1500, 1600), math.nan]), (3, [0, 1])],
    ids=["levels", "whole numbers", "two levels"],
)
def test_the_probabilities_of_a_cell_sum_to_one(model, place, values):
    for row in torch.from_numpy(table(20)).double()[:5]:
        found = conditional(model, row, place, torch.tensor(values, dtype=torch.float64))
        assert float(found.sum()) == pytest.approx(1, abs=1e-6)


def test_a_repeated_value_has_a_probability_and_the_rest_a_density():
    rng = np.random.default_rng(0)
    x = np.stack([np.where(rng.random(500) < 0.3, 0.25, rng.normal(size=500)), rng.normal(size=500)], 1)
    made = stirred(x, (0, 0))
    row = torch.tensor([0.0, 0.7], dtype=torch.float64)
    edges = torch.cat([torch.tensor([-60.0]), made.kinks(0), torch.tensor([60.0])]).double().unique()
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(64))
    half, middle = edges.diff() / 2, (edges[1:] + edges[:-1]) / 2
    density = conditional(made, row, 0, (middle[:, None] + half[:, None] * nodes).flatten())
    mass = float((density.view(len(half), -1) * weights * half[:, None]).sum())
    atom = float(conditional(made, row, 0, torch.tensor([0.25], dtype=torch.float64)))
    assert atom > 0.005
    assert mass + atom == pytest.approx(1, abs=1e-5)


def test_whole_numbers_have_the_density_of_their_cell(model):
    """p(40.4) is p(40): in every term, so that the joint density is that of the number plus uniform noise."""
    x = torch.from_numpy(table(30)).double()
    near = x.clone()
    near[:, 1] += 0.4
    with torch.no_grad():
        assert torch.allclose(model.log_prob(x), model.log_prob(near))


def test_a_missing_cell_where_none_was_missing_is_unknown(model):
    x = torch.from_numpy(table(8)).double()
    x[:, 3] = math.nan
    with torch.no_grad():
        terms = model.chain(x, model.orders[0])
        both = torch.stack([x, x])
        both[0, :, 3], both[1, :, 3] = 0, 1
        whole = torch.stack([model.chain(part, model.orders[0])[:, :3].sum(1) for part in both])
    assert (terms[:, 3] == 0).all()
    assert torch.allclose(terms[:, :3].sum(1), whole[0])
    assert torch.allclose(whole[0], whole[1])


def test_the_density_is_the_mean_over_its_orderings_and_the_loss_estimates_one(model):
    x = torch.from_numpy(table(10)).double()
    with torch.no_grad():
        each = torch.stack([model.chain(x, order).sum(1) for order in model.orders])
        assert torch.allclose(model.log_prob(x), each.exp().mean(0).log())
    with pytest.raises(PlausibleError, match="set orders to 1"):
        model.log_prob_terms(x)


def test_surprises_are_minus_log_p_given_all_others(model):
    x = torch.from_numpy(table(6)).double()
    with torch.no_grad():
        found = model.surprises(x)
    for row, cells in zip(x, found, strict=True):
        for place in range(4):
            expected = -conditional(model, row, place, row[place : place + 1]).log()
            assert float(cells[place]) == pytest.approx(float(expected), abs=1e-9)


# ---------------------------------------------------------------------- samples
def test_samples_are_levels_whole_numbers_and_new_real_numbers(model):
    torch.manual_seed(0)
    x, seen = model.sample(500), table(400)
    assert set(x[:, 0].nan_to_num(9).tolist()) <= {0, 1, 2, 9}
    assert set(x[:, 3].tolist()) <= {0, 1}
    numbers = x[:, 1][~x[:, 1].isnan()]
    assert torch.equal(numbers, numbers.round())
    real = x[:, 2][~x[:, 2].isnan()].float().numpy()
    assert not np.isin(real, seen[:, 2]).any()
    assert x.isnan().any(0).tolist() == [True, True, True, False]


def test_fill_keeps_what_is_known_and_fills_the_rest_of_each_row(model):
    x = torch.from_numpy(table(200)).double()
    torch.manual_seed(0)
    filled = model.fill(x, ~x.isnan(), present=True)
    assert not filled.isnan().any()
    assert torch.equal(filled[~x.isnan()], x[~x.isnan()])


def test_an_untrained_model_is_that_of_independent_columns():
    x = table(400)
    torch.manual_seed(0)
    made = Mixed(SHAPE, "mixed", LEVELS)
    made.prepare(as_rows(x))
    with torch.no_grad():
        made.head.zero_()
        p = made.eval().surprises(torch.tensor([[2.0, 30.0, 0.0, 1.0]])).neg().exp()[0]
    assert float(p[0]) == pytest.approx((x[:, 0] == 2).mean(), abs=0.01)
    assert float(p[3]) == pytest.approx((x[:, 3] == 1).mean(), abs=0.01)


def test_training_finds_what_depends_on_what():
    torch.manual_seed(0)
    model = Mixed(SHAPE, "mixed", LEVELS, hidden=32)
    model.prepare(as_rows(table(400)))
    trainer = Trainer(model, as_rows(table(400)), Settings(batch=128), recipe=Recipe(lr=5e-3))
    start = np.mean([float(trainer.play()["likelihood/nll"]) for _ in range(10)])
    end = np.mean([float(trainer.play()["likelihood/nll"]) for _ in range(150)][-30:])
    assert end < start - 0.5


def test_the_learning_rate_falls_along_half_a_cosine_of_a_length_that_follows_from_the_rows():
    model = Mixed(SHAPE, "mixed", LEVELS, hidden=8)
    model.prepare(as_rows(table(400)))
    (turn,) = model.turns()
    at = schedule_of(turn, model.recipe)
    assert at is not None
    assert int(model.horizon) == 320
    assert [round(at(tick)["lr"] / model.recipe.lr, 3) for tick in (1, 161, 321, 900)] == [
        1,
        0.51,
        0.02,
        0.02,
    ]


# ---------------------------------------------------------------------- refusals
def test_levels_must_be_given_for_each_column():
    with pytest.raises(PlausibleError, match="levels are given for 2 columns of 4"):
        Mixed(SHAPE, "mixed", (2, 0))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [(0, 3, "column 0 .* codes 0 to 2"), (3, 0.5, "column 3"), (1, math.inf, "infinite")],
)
def test_cells_that_cannot_be_are_refused(model, place, value, says):
    x = torch.from_numpy(table(3)).double().nan_to_num(0)
    x[1, place] = value
    with pytest.raises(PlausibleError, match=says):
        model.log_prob(x)


def test_a_column_without_any_value_is_always_missing():
    x = table(60)
    x[:, 2] = np.nan
    made = stirred(x, LEVELS)
    torch.manual_seed(0)
    sampled = made.sample(300)[:, 2]
    assert sampled.isnan().float().mean() > 0.98
    assert torch.isfinite(made.log_prob(torch.from_numpy(x).double())).all()
