"""The copula of mixed tables: its density, its shares, what it learns of dependence, and how it fills gaps."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

import plausible
from plausible.data.rows import Rows, StoredRows
from plausible.models.build import build
from plausible.models.table_copula import TableCopula, Walk, line_up
from plausible.sklearn import PlausibleSampler
from plausible.verification.tables import check_table

LEVELS = (4, 0, 0, 2)


def fitted(x, levels, **options):
    x = np.asarray(x, np.float32)
    model = build("copula", x.shape[1:], "mixed", options, levels)
    model.prepare(Rows(StoredRows("given", (x,), x.shape[1:], "mixed"), np.arange(len(x))))
    return model.double()


def table(n=3000, seed=0):
    """Levels in no natural order, two numbers of which one has gaps where the other is high, and a rare level."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) @ np.linalg.cholesky([[1, 0.8, 0.5], [0.8, 1, 0.3], [0.5, 0.3, 1]]).T
    word = np.array([2, 0, 3, 1])[np.digitize(z[:, 0], [-1, 0, 1])]
    x = np.column_stack(
        [word, z[:, 1] * 5 + 100, np.exp(z[:, 2]), z[:, 0] + rng.normal(size=n) > 1.5]
    ).astype(float)
    x[(rng.random(n) < 0.3) & (z[:, 1] > 0.5), 2] = np.nan
    x[rng.random(n) < 0.1, 0] = np.nan
    return x


X = table()


@pytest.fixture(scope="module")
def model():
    return fitted(X, LEVELS)


# ---------------------------------------------------------------------- the density
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("options", [{}, {"ordering": "random", "ordering_seed": 1}])
def test_every_claim_holds_on_a_small_table(whole, options):
    torch.manual_seed(0)
    assert all(finding.holds for finding in check_table("copula", options, whole=whole))


def test_a_wrong_interval_and_wrong_samples_are_found(monkeypatch):
    torch.manual_seed(0)
    latent = TableCopula._latent
    with monkeypatch.context() as changed:
        changed.setattr(
            TableCopula, "_log_slot", lambda self, walk, dim, slot: torch.full(slot.shape, -1.0).double()
        )
        failed = {f.claim for f in check_table("copula", {}, whole=True) if f.holds is False}
        assert {"sums to one", "samples follow the density"} <= failed
    drawn = TableCopula._draw

    def shifted(self, walk, place, *, present):
        self._latent = lambda walk, dim: (latent(self, walk, dim)[0] - 0.3, latent(self, walk, dim)[1])
        try:
            return drawn(self, walk, place, present=present)
        finally:
            del self._latent

    monkeypatch.setattr(TableCopula, "_draw", shifted)
    failed = {f.claim for f in check_table("copula", {}, whole=True) if f.holds is False}
    assert failed >= {"samples follow the density"}


def test_of_numbers_alone_it_is_the_copula_of_numbers():
    x = np.random.default_rng(0).multivariate_normal([0, 5], [[1, 0.8], [0.8, 2]], 500)
    mixed = fitted(x, (0, 0))
    real = build("copula", (2,), "real", {})
    real.prepare(Rows(StoredRows("given", (np.float32(x),), (2,), "real"), np.arange(500)))
    rows = torch.from_numpy(x[:50])
    torch.testing.assert_close(mixed.log_prob(rows), real.double().log_prob(rows), rtol=1e-4, atol=1e-4)


def test_of_rows_with_gaps_the_numbers_that_are_there_have_their_own_normal_distribution():
    """p(x_0, x_1 | x_2 missing) of three normal columns, a third of which is missing at random."""
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([0, 0, 0], [[1, 0.8, 0.6], [0.8, 1, 0.5], [0.6, 0.5, 1]], 5000)
    x[rng.random(5000) < 0.3, 2] = np.nan
    model = fitted(x, (0, 0, 0))
    row = torch.tensor([[1.0, 0.5, torch.nan]], dtype=torch.float64)
    exact = norm.logpdf(1.0) + norm.logpdf(0.5, 0.8, 0.6) + np.log(0.3)
    assert float(model.log_prob(row)) == pytest.approx(exact, abs=0.15)


def test_numbers_come_first_in_the_order():
    ordered = fitted(X, LEVELS, ordering=(3, 2, 0, 1))
    assert ordered.order.tolist() == [2, 1, 3, 0]
    torch.manual_seed(0)
    assert torch.isfinite(ordered.log_prob(torch.from_numpy(X[:20]))).all()


def test_what_training_rows_never_have_is_improbable_and_tells_nothing(model):
    rows = torch.from_numpy(X[np.isfinite(X).all(1)][:5])
    gone = rows.clone()
    gone[:, 1] = torch.nan
    terms, changed = (model.log_prob_terms(each)[:, model.order.argsort()] for each in (rows, gone))
    assert (changed[:, 1] < -13).all()  # RARE
    assert torch.isfinite(changed).all()
    odd = rows.clone()
    odd[:, 0] = 7
    assert (model.log_prob(odd) == -torch.inf).all()
    torch.testing.assert_close(model.log_prob_terms(odd)[:, 0], terms[:, 1])


# ---------------------------------------------------------------------- samples
def test_samples_have_the_shares_and_the_dependence_of_the_rows(model):
    torch.manual_seed(0)
    made = model.sample(20_000).numpy()
    for column, codes in ((0, (0, 1, 2, 3)), (3, (0, 1))):
        for code in codes:
            assert (made[:, column] == code).mean() == pytest.approx((X[:, column] == code).mean(), abs=0.015)
    np.testing.assert_allclose(np.isnan(made).mean(0), np.isnan(X).mean(0), atol=0.012)
    for rows in (X, made):
        high = [rows[rows[:, 0] == code, 1].mean() for code in (2, 0, 3, 1)]
        assert np.all(np.diff(high) > 2)  # as the words were made
        assert np.isnan(rows[rows[:, 1] > 105, 2]).mean() > np.isnan(rows[rows[:, 1] < 100, 2]).mean() + 0.1


def test_the_order_of_the_levels_is_that_which_tells_most(model):
    first = model.table.ends[0, :4, 0].argsort().tolist()
    assert first in ([2, 0, 3, 1], [1, 3, 0, 2])
    codes = np.array([0, 1, 2, 0, 1, 2] * 20)
    s = np.column_stack([codes, np.array([1.0, -1, 0])[codes]]) + 0.01 * np.random.default_rng(0).normal(
        size=(120, 2)
    )
    found = line_up(s, {0: codes}, 4)[0].tolist()
    assert found in ([1, 2, 0, 3], [0, 2, 1, 3])


def test_a_walk_conditions_as_a_normal_distribution_does():
    a = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3))).double()
    C = a @ a.t() + 0.1 * torch.eye(5)
    C = C / C.diagonal().sqrt()[:, None] / C.diagonal().sqrt()
    scores = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 4))).double()
    scores[::2, 1] = torch.nan
    walk = Walk(C, 7)
    for i in range(4):
        walk.see(i, scores[:, i])
    mean, spread = walk.next(4)
    for row in range(7):
        there = (~scores[row].isnan()).nonzero()[:, 0]
        weights = torch.linalg.solve(C[there][:, there], C[there, 4])
        assert float(mean[row]) == pytest.approx(float(weights @ scores[row, there]))
        assert float(spread[row] ** 2) == pytest.approx(float(1 - weights @ C[there, 4]), abs=1e-5)


# ---------------------------------------------------------------------- gaps
def test_gaps_are_filled_given_the_cells_of_their_row(model):
    x = torch.from_numpy(X[:600])
    known = torch.from_numpy(np.random.default_rng(1).random(x.shape) < 0.6) & ~x.isnan()
    torch.manual_seed(0)
    found = model.fill(x, known, present=True)
    assert torch.equal(found[known], x[known])
    assert not found.isnan().any()
    low, high = (x[:, 1].ge(105), x[:, 1].le(95))
    only = torch.tensor([False, True, False, False]).expand(x.shape)
    filled = model.fill(x, only, present=True)
    assert float((filled[low, 0] == 1).double().mean()) > float((filled[high, 0] == 1).double().mean()) + 0.2


def test_a_run_samples_scores_and_fills_a_frame(tmp_path):
    words = np.array(["d", "a", "c", "b"], object)
    frame = pd.DataFrame(
        {
            "word": [None if np.isnan(k) else words[int(k)] for k in X[:500, 0]],
            "number": X[:500, 1],
            "gaps": X[:500, 2].round(2),
            "flag": X[:500, 3] == 1,
        }
    )
    run = plausible.train("copula", frame, out=tmp_path / "run", progress=False, show=False)
    assert np.isfinite(run.score(frame)).all()
    assert list(run.sample(20).columns) == list(frame.columns)
    assert not run.complete(frame).isna().any(axis=None)
    found = run.verify()
    assert all(finding.holds is not False for finding in found.findings)
    filled = PlausibleSampler(random_state=0).fit(frame).impute(frame)
    assert not filled.isna().any(axis=None)
