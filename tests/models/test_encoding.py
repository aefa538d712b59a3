"""Mixed tables as networks see them: the encoding is undone exactly, and p(row | raw) is the product it says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, log_expit, log_softmax
from scipy.stats import norm
from support import LEVELS, rows, same

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.models.build import build
from plausible.models.encoding import UNSEEN, TableEncoding, TableLikelihood

TABLE = rows("table")
FILLED = 0, 2
"""Columns of TABLE without missing cells: the first is of numbers, the other of levels."""


@pytest.fixture
def table(float64):
    """(encoding, likelihood, mean of the encoded rows), fitted to TABLE, in float64."""
    encoding = TableEncoding(LEVELS)
    mean = encoding.fit(TABLE)
    likelihood = TableLikelihood(encoding)
    with torch.no_grad():
        likelihood.log_deviation.uniform_(-1, 1)
    return encoding, likelihood, mean


def raw_outputs(encoding, n, seed=0):
    return torch.randn(n, *encoding.seen, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------- there and back
@st.composite
def tables(draw):
    levels = draw(st.lists(st.sampled_from([0, 0, 1, 2, 3, 7]), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(2, 30))
    x = np.stack([rng.integers(0, k, n) if k else rng.normal(3, 10, n) for k in levels], 1).astype(float)
    x[rng.random(x.shape) < draw(st.sampled_from([0, 0.3]))] = np.nan
    return tuple(levels), x.astype(np.float32)


@given(tables())
@settings(max_examples=60, deadline=None)
def test_training_rows_come_back(given_table):
    levels, x = given_table
    encoding = TableEncoding(levels)
    encoding.fit(Rows(StoredRows("x", (x,), x.shape[1:], "mixed"), np.arange(len(x))))
    seen = encoding.inward(torch.from_numpy(x))
    assert tuple(seen.shape[1:]) == encoding.seen
    assert not seen.isnan().any()
    back = encoding.outward(seen).numpy()
    np.testing.assert_array_equal(np.isnan(back), np.isnan(x))
    np.testing.assert_allclose(back, x, rtol=1e-5, atol=1e-5)


def test_numbers_are_standardised_by_the_cells_that_are_there(table):
    encoding, _, _ = table
    x = TABLE.array().astype(float)
    seen = encoding.inward(torch.from_numpy(x)).numpy()
    for i, group in enumerate(encoding.groups):
        if not LEVELS[i]:
            there = ~np.isnan(x[:, i])
            expected = (x[there, i] - x[there, i].mean()) / x[there, i].std()
            np.testing.assert_allclose(seen[there, group.start], expected, atol=1e-9)
            assert (seen[~there, group.start] == 0).all()
            np.testing.assert_array_equal(seen[:, group.start + 1], ~there)


# ---------------------------------------------------------------------- the density
def test_the_likelihood_is_the_product_it_says(table):
    encoding, likelihood, _ = table
    x, raw = torch.from_numpy(TABLE.array()).double(), raw_outputs(encoding, len(TABLE))
    found = likelihood.log_prob(raw, encoding.inward(x)).detach().numpy()
    x, raw, deviation = x.numpy(), raw.numpy(), likelihood.log_deviation.detach().exp().numpy()
    for i, (count, group) in enumerate(zip(LEVELS, encoding.groups, strict=True)):
        part = raw[:, group]
        gaps = np.isnan(x[:, i])
        if count:
            k = np.where(gaps, count, x[:, i]).astype(int)
            logits = part if i not in FILLED else part[:, :count]
            expected = log_softmax(logits, 1)[np.arange(len(x)), k] + (
                np.log1p(-UNSEEN) if i in FILLED else 0
            )
        else:
            mean, scale = encoding.mean[i].item(), encoding.deviation[i].item()
            density = norm.logpdf(x[:, i], mean + scale * part[:, 0], scale * deviation[i])
            there = np.log1p(-UNSEEN) if i in FILLED else log_expit(-part[:, 1])
            expected = np.where(gaps, log_expit(part[:, 1]), there + density)
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-6)


def test_each_column_sums_to_one(table):
    encoding, likelihood, _ = table
    raw = raw_outputs(encoding, 1, seed=3)

    def p(i, value):
        x = torch.from_numpy(TABLE.array()[:1]).double()
        x[0, i] = value
        return likelihood.log_prob(raw, encoding.inward(x))[0, i].exp().item()

    for i, count in enumerate(LEVELS):
        if count:
            total = sum(p(i, k) for k in [*range(count), np.nan])
        else:
            width = 40 * encoding.deviation[i].item()
            middle = encoding.mean[i].item()
            total = p(i, np.nan) + quad(lambda v, i=i: p(i, v), middle - width, middle + width, limit=200)[0]
        assert total == pytest.approx(1, abs=1e-6)


def test_samples_follow_it_and_keep_to_what_training_rows_have(table):
    encoding, likelihood, _ = table
    raw = raw_outputs(encoding, 1, seed=5)
    torch.manual_seed(0)
    n = 20_000
    with torch.no_grad():
        x = encoding.outward(likelihood.sample(raw.expand(n, -1))).numpy()
        mean = encoding.outward(likelihood.mean(raw))[0].numpy()
    for i, (count, group) in enumerate(zip(LEVELS, encoding.groups, strict=True)):
        gaps = np.isnan(x[:, i])
        part = raw[0, group].numpy()
        if i in FILLED:
            assert not gaps.any()
        if count:
            p = np.exp(log_softmax(part if i not in FILLED else part[:count]))
            for k in range(count):
                share = (x[:, i] == k).mean()
                assert abs(share - p[k]) < 5 * np.sqrt(p[k] * (1 - p[k]) / n)
            assert np.isnan(mean[i]) if p.argmax() == count else mean[i] == p.argmax()
        else:
            wanted = 0.0 if i in FILLED else expit(part[1])
            assert abs(gaps.mean() - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / n)
            expected = encoding.mean[i].item() + encoding.deviation[i].item() * part[0]
            spread = encoding.deviation[i].item() * likelihood.log_deviation[i].exp().item()
            assert x[~gaps, i].mean() == pytest.approx(expected, abs=5 * spread / np.sqrt((~gaps).sum()))
            assert x[~gaps, i].std() == pytest.approx(spread, rel=0.05)


def test_the_bias_starts_at_the_training_rows_shares(table):
    _, likelihood, mean = table
    found = likelihood.mean(likelihood.bias(mean)[None])[0].detach()
    torch.testing.assert_close(found, mean, atol=2e-6, rtol=1e-5)


# ---------------------------------------------------------------------- a generator's outputs
def test_soft_outputs_are_distributions_with_a_gradient(table):
    encoding, _, _ = table
    raw = raw_outputs(encoding, 4000).mul(0).requires_grad_()
    torch.manual_seed(0)
    soft = encoding.soft(raw, 0.2)
    (soft - 1).square().sum().backward()
    assert raw.grad.abs().sum(0).count_nonzero() == len(raw.grad[0]) - len(
        FILLED
    )  # what is never seen has none
    for i, (count, group) in enumerate(zip(LEVELS, encoding.groups, strict=True)):
        part = soft[:, group].detach()
        if count:
            torch.testing.assert_close(part.sum(1), torch.ones(len(part)))
            k = count + (i not in FILLED)
            assert part[:, :k].argmax(1).bincount(minlength=k).div(len(part)).numpy() == pytest.approx(
                1 / k, abs=0.05
            )
        elif i in FILLED:
            assert (part[:, 1] == 0).all()
        else:
            assert (part[:, 1] > 0.5).double().mean() == pytest.approx(0.5, abs=0.05)


# ---------------------------------------------------------------------- the models
@pytest.mark.parametrize("name", ["vae", "autoencoder", "aae"])
def test_an_observation_for_numbers_alone_is_refused(name):
    with pytest.raises(PlausibleError, match="each column of this table has one of its own: leave it out"):
        build(name, (4,), "mixed", {"observation": "gaussian"}, LEVELS)


def test_an_output_for_one_kind_of_values_is_refused():
    with pytest.raises(PlausibleError, match="output=tanh is for values of one kind"):
        build("gan", (4,), "mixed", {"output": "tanh"}, LEVELS)


@pytest.mark.parametrize("name", ["vae", "autoencoder", "aae", "gan"])
def test_decoding_the_same_code_twice_gives_the_same_row(name):
    torch.manual_seed(0)
    model = build(name, (4,), "mixed", {}, LEVELS).eval()
    model.prepare(TABLE)
    z = torch.randn(5, model.latent)
    with torch.no_grad():
        assert same(model.decode(z), model.decode(z))
