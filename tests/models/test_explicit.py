"""The counted models against closed forms, and what all exact densities share."""

import math

import numpy as np
import pytest
import torch
from support import DOMAINS, opened, tiny, train

from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.models.build import build
from plausible.models.explicit import Explicit, log_bernoulli
from plausible.models.registry import MODELS, model_class

NAMES = [
    name
    for name in MODELS
    if issubclass(model_class(name), Explicit) and {"binary"} == {*model_class(name).domains} - {"mixed"}
]
D = 6


def data(x):
    x = np.asarray(x, np.float32)
    return Rows(StoredRows("given", (x,), x.shape[1:], "binary"), np.arange(len(x)))


def random_rows(n=500, d=D, seed=0):
    """Rows in which each variable mostly repeats the one before it."""
    rng = np.random.default_rng(seed)
    x = (rng.random((n, d)) < 0.4).astype(np.float32)
    for i in range(1, d):
        x[:, i] = np.where(rng.random(n) < 0.7, x[:, i - 1], x[:, i])
    return x


def fitted(name, x, **options):
    model = build(name, x.shape[1:], "binary", options)
    model.prepare(data(x))
    return model.double()


def everything(d=D):
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * d)


# ---------------------------------------------------------------------- counting
def test_independent_is_the_product_of_the_means():
    x = random_rows()
    model = fitted("independent", x, smoothing=0.5)
    p = torch.from_numpy((x.sum(0, dtype=np.float64) + 0.5) / (len(x) + 1))
    expected = torch.where(everything() == 1, p, 1 - p).prod(1).log()
    torch.testing.assert_close(model.log_prob(everything()), expected, rtol=0, atol=1e-6)


def test_counting_without_much_smoothing_is_the_largest_likelihood():
    """log p of the rows themselves is −N times the entropy of what was counted: joint, or of the marginals."""
    x = random_rows()
    cells = np.unique(x, axis=0, return_counts=True)[1] / len(x)
    joint = -(cells * np.log(cells)).sum()
    p = x.mean(0, dtype=np.float64)
    single = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    rows = torch.from_numpy(x).double()
    for name, options, entropy in (
        ("table", {}, joint),
        ("markov", {"memory": D - 1}, joint),
        ("independent", {}, single),
    ):
        model = fitted(name, x, smoothing=1e-9, **options)
        assert float(model.log_prob(rows).mean()) == pytest.approx(-entropy, abs=1e-5), name


@pytest.mark.parametrize("memory", [1, 2, 3])
@pytest.mark.parametrize("ordering", ["raster", "random"])
def test_markov_counts_each_context(memory, ordering):
    x = random_rows()
    model = fitted("markov", x, memory=memory, ordering=ordering, smoothing=2.0)
    order = model.order.numpy()
    seen, asked = x[:, order], everything().numpy()
    terms = model.log_prob_terms(torch.from_numpy(asked))[:, :]
    for row, found in zip(asked[:, order], terms.numpy(), strict=True):
        for i in range(D):
            context = slice(max(0, i - memory), i)
            alike = seen[(seen[:, context] == row[context]).all(1), i]
            p = ((alike == row[i]).sum() + 2) / (len(alike) + 4)
            assert found[i] == pytest.approx(math.log(p), abs=1e-6)


def test_rows_come_in_blocks(monkeypatch):
    """Whatever the blocks, the counts are those of all rows."""
    x = random_rows(2500)
    for name in ("independent", "markov", "table"):
        whole = fitted(name, x)
        halves = build(name, (D,), "binary", {})

        class Halves:
            def blocks(self):
                yield from np.split(x, [7, 1300])

        halves.prepare(Halves())
        torch.testing.assert_close(whole.log_prob(everything()), halves.double().log_prob(everything()))


def test_a_grown_memory_walks_from_independence_to_the_full_table():
    x = random_rows(4000, seed=3)
    test = torch.from_numpy(random_rows(4000, seed=4)).double()
    chain, table, alone = (fitted(name, x) for name in ("markov", "table", "independent"))
    assert float(chain.log_prob(test).mean()) > float(alone.log_prob(test).mean()) + 0.5
    torch.testing.assert_close(
        fitted("markov", x, memory=99, smoothing=1e-9).log_prob(everything()).exp(),
        fitted("table", x, smoothing=1e-9).log_prob(everything()).exp(),
        rtol=0,
        atol=1e-6,
    )
    assert float(table.log_prob(test).mean()) == pytest.approx(float(chain.log_prob(test).mean()), abs=0.02)


# ---------------------------------------------------------------------- how many numbers
def test_the_notes_counts():
    n = 6
    free = {
        "independent": n,
        "markov": 1 + 2 * (n - 1),
        "table": 2**n - 1,
        "fvsbn": n * (n + 1) // 2,
    }
    for name, count in free.items():
        model = build(name, (n,), "binary", {})
        assert model.free_parameters == count, name
        assert f"= {count}" in model.formula
    assert build("markov", (1, 28, 28), "binary", {}).free_parameters == 1 + 2 * 783
    for memory in range(1, n):
        count = build("markov", (n,), "binary", {"memory": memory}).free_parameters
        assert count == 2**memory - 1 + 2**memory * (n - memory)
    assert count == free["table"]


# ---------------------------------------------------------------------- drawing
@pytest.mark.parametrize("name", ["markov", "table", "fvsbn", "made"])
@pytest.mark.parametrize("known", [0, 3])
def test_the_fast_draw_is_the_plain_one_bit_for_bit(name, known):
    """The same random numbers give the same examples as D evaluations of all terms."""
    model = tiny(name, "default", (D,), "binary", ordering="random").double()
    model.prepare(data(random_rows()))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
        x = (torch.rand(200, D) < 0.5).double()
        torch.manual_seed(0)
        found = model.sample_rest(x, known)
        torch.manual_seed(0)
        expected = Explicit.sample_rest(model, x, known)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_order_and_back(name):
    model = build(name, (1, 2, 3), "binary", {"ordering": (5, 3, 1, 0, 2, 4)})
    x = torch.arange(12.0).view(2, 1, 2, 3)
    assert model.ordered(x)[0].tolist() == [5, 3, 1, 0, 2, 4]
    assert torch.equal(model.unordered(model.ordered(x)), x)


def test_bernoulli_terms_are_exact_in_both_tails():
    logits = torch.tensor([-200.0, -30.0, 0.0, 30.0, 200.0])
    zeros, ones = (log_bernoulli(logits, torch.full_like(logits, value)) for value in (0.0, 1.0))
    assert ones.tolist() == pytest.approx([-200, -30, -math.log(2), -math.exp(-30), 0])
    assert zeros.tolist() == pytest.approx(ones.flip(0).tolist())


# ---------------------------------------------------------------------- what cannot be
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_binary_is_refused(name, tmp_path):
    with pytest.raises(PlausibleError, match=r"binary( or mixed)? values, not unit.*digits:binary"):
        train(name, "digits", out=tmp_path / "run", epochs=1)
    assert not list(tmp_path.iterdir())
    model = tiny(name, "default", *DOMAINS["binary"])
    for wrong, named in ((torch.full((2, 6), 0.5), ":binary"), (torch.zeros(2, 7), r"\(7,\)")):
        with pytest.raises(PlausibleError, match=named):
            model.log_prob(wrong)
    with pytest.raises(PlausibleError, match=":binary"):
        model.log_prob(torch.tensor([[0, 1, torch.nan, 0, 0, 0]]))
    with pytest.raises(PlausibleError, match="not conditional"):
        model.sample(2, y=torch.zeros(2))


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, math.inf, -math.inf, math.nan, 1e-30])
def test_no_probability_of_what_is_neither_0_nor_1(value):
    x = torch.zeros(2, 1, 2, 3)
    x[1, 0, 1, 2] = value
    with pytest.raises(PlausibleError, match=":binary"):
        build("independent", (1, 2, 3), "binary", {}).log_prob(x)


@pytest.mark.parametrize("name", NAMES)
def test_a_completion_that_makes_no_sense_is_refused(name):
    model = tiny(name, "default", *DOMAINS["binary"])
    x, mask = torch.zeros(6), torch.arange(6) < 2
    for wrong, named in (
        ((x, mask, 0), "n must be at least 1"),
        ((x, mask[:5], 1), r"mask must be \(6,\)"),
        ((x, mask.float(), 1), "bool"),
        ((torch.zeros(5), mask, 1), r"\(5,\)"),
        ((x + 0.5, mask, 1), ":binary"),
    ):
        with pytest.raises(PlausibleError, match=named):
            model.complete(*wrong)
    assert model.complete(torch.full((6,), torch.nan), mask & False, 3).shape == (3, 6)


def test_tables_that_would_not_fit_are_refused():
    with pytest.raises(PlausibleError, match=r"2\^21 − 1.*20.*markov"):
        build("table", (21,), "binary", {})
    with pytest.raises(PlausibleError, match=r"2\^25 contexts.*--memory 16 or less"):
        build("markov", (1, 28, 28), "binary", {"memory": 25})


# ---------------------------------------------------------------------- as jobs
@pytest.mark.filterwarnings("ignore:log p.x. of a picture")
def test_a_counted_run_ends_at_once_and_does_all_that_a_trained_one_does(tmp_path):
    run = train("independent", "digits:binary", out=tmp_path / "run")
    assert run.stopped()["reason"] == "finished"
    assert [point.tick for point in run.checkpoints()] == [0]
    assert run.report_file.exists()
    with pytest.raises(PlausibleError, match="nothing to train"):
        opened(run).resume(progress=False, epochs=3)
    model = opened(run).model
    scores = np.load(opened(run).score("digits:binary", out=tmp_path / "s.npy"))
    assert scores.shape == (1797,)
    found = {metric["name"]: metric for metric in opened(run).evaluate()["metrics"]}
    nats, bits = found["log-likelihood"], found["bits per dimension"]
    from plausible.data import load

    test = load("digits:binary").test.array()
    exact = model.log_prob(torch.from_numpy(test))
    assert nats["value"] == pytest.approx(float(exact.mean()), rel=1e-6)
    assert nats["spread"] == pytest.approx(float(exact.std()) / math.sqrt(len(test)), rel=1e-4)
    assert bits["value"] == pytest.approx(-nats["value"] / (64 * math.log(2)))
    with pytest.raises(PlausibleError, match="exactly: take --metrics likelihood"):
        opened(run).evaluate(metrics=["ladder"])
