"""rnade on columns of whole numbers: exact masses, no spikes, samples that follow, and old models."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from plausible.data.rows import Rows, StoredRows
from plausible.likelihoods import log_between
from plausible.models.build import build
from plausible.verification.conditionals import check_beyond


def table(n=400):
    """Whole numbers, halves that depend on them, real values, a constant."""
    rng = np.random.default_rng(0)
    whole = rng.poisson(4, n)
    return np.column_stack(
        [whole, np.rint(whole + rng.normal(size=n)) / 2, rng.normal(whole, 1), np.full(n, 7.25)]
    )


X = np.float32(table())


def small(**options):
    torch.manual_seed(0)
    model = build("rnade", (4,), "real", {"hidden": 8, "components": 3, **options})
    model.prepare(Rows(StoredRows("given", (X,), (4,), "real"), np.arange(len(X))))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double()


def test_steps_are_found_on_the_training_rows():
    model = small()
    np.testing.assert_allclose(model.step, [1, 0.5, 0, 0.01])
    assert small(floor=0.3).step[1] > 0  # a step of .5 of a column with deviation 1.1
    assert small(floor=1.0).step[1] == 0


@pytest.mark.parametrize(
    "options", [{}, {"ordering": "random", "ordering_seed": 2}, {"activation": "sigmoid"}]
)
def test_the_masses_of_a_column_with_a_step_sum_to_one(options):
    model = small(**options)
    for place, step in ((0, 1.0), (1, 0.5)):
        at = int((model.order == place).nonzero())
        values = torch.arange(-400, 401).double() * step
        rows = torch.from_numpy(X[5:6]).double().repeat(len(values), 1)
        rows[:, place] = values
        p = model.log_prob_terms(rows)[:, at].exp().detach() * step
        assert float(p.sum()) == pytest.approx(1, abs=1e-9)
        assert float(p.max()) <= 1


def test_a_mass_is_the_mixtures():
    """Of the first column by hand, from the biases alone, which nothing comes before."""
    model = small(activation="sigmoid")
    h = torch.sigmoid(model.c)
    raw = (h @ model.V.unflatten(0, (4, -1))[0].t() + model.b.unflatten(0, (4, -1))[0]).detach().numpy()
    weight = np.exp(raw[:3]) / np.exp(raw[:3]).sum()
    mean, deviation = float(model.scaling.mean[0]), float(model.scaling.deviation[0])
    centre, spread = mean + deviation * raw[3:6], deviation * np.exp(np.maximum(raw[6:], np.log(1e-3)))
    k = X[:20, 0]
    mass = (
        weight * (norm.cdf(k[:, None] + 0.5, centre, spread) - norm.cdf(k[:, None] - 0.5, centre, spread))
    ).sum(1)
    np.testing.assert_allclose(
        model.log_prob_terms(torch.from_numpy(X[:20]))[:, 0].exp().detach(), mass, rtol=1e-5
    )


def test_every_claim_of_verify_holds_with_steps():
    torch.manual_seed(0)
    model = small()
    found = {finding.claim: finding for finding in check_beyond(model)}
    for claim in ("terms add up to log_prob", "a term ignores later inputs", "samples follow the density"):
        assert found[claim].holds, found[claim]
    assert all(finding.holds is not False for claim, finding in found.items() if "integrate" not in claim)


def test_the_density_is_constant_within_a_step_and_samples_spread_over_it():
    model = small()
    rows = torch.from_numpy(X[:10]).double()
    moved = rows.clone()
    moved[:, 0] += 0.4
    moved[:, 1] -= 0.2
    torch.testing.assert_close(model.log_prob(moved), model.log_prob(rows))
    torch.manual_seed(0)
    off = model.sample(4000)[:, 0]
    off = off - off.round()
    assert float(off.std()) == pytest.approx(12**-0.5, rel=0.05)


def test_training_puts_no_spikes_on_whole_numbers():
    model = small().float()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    rows = torch.from_numpy(X)
    for _ in range(300):
        optimizer.zero_grad()
        loss = -model.terms(model.ordered(rows)).sum(1).mean()
        loss.backward()
        optimizer.step()
    first = model.log_prob_terms(rows)[:, 0].detach()
    assert float(first.max()) <= 0  # a probability
    assert torch.isfinite(loss)
    far = rows[:5].clone()
    far[:, 0] = 1e5
    assert torch.isfinite(model.log_prob(far)).all()


def test_a_model_without_steps_still_loads():
    model = small().float()
    state = {name: value for name, value in model.state_dict().items() if name not in ("start", "step")}
    before = small().float()
    before.load_state_dict(state)
    assert (before.step == 0).all()
    assert not torch.equal(before.log_prob(torch.from_numpy(X[:5])), model.log_prob(torch.from_numpy(X[:5])))


def test_the_log_of_a_difference_is_exact_in_both_tails():
    a = torch.tensor([-40.0, -1.0, 0.0, 30.0, 5.0, -torch.inf, 2.0], dtype=torch.float64)
    b = torch.tensor([-39.0, 2.0, 1e-9, 31.0, torch.inf, torch.inf, 2.0], dtype=torch.float64)
    found = log_between(a, b)
    exact = [
        norm.logsf(39),
        np.log(norm.cdf(2) - norm.cdf(-1)),
        norm.logpdf(0) + np.log(1e-9),
        norm.logsf(30),
    ]
    np.testing.assert_allclose(found[:4], exact, rtol=1e-6)
    assert float(found[4]) == pytest.approx(norm.logsf(5))
    assert float(found[5]) == 0
    assert float(found[6]) == -np.inf
