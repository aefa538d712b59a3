"""`verify` tells densities from what only looks like one: every model of the registry passes, broken ones fail."""

import math

import numpy as np
import pytest
import torch
from broken_nades import Careless, Forgetful, OffByOne
from scipy.stats import chisquare
from support import tiny, train

from plausible.errors import PlausibleError
from plausible.jobs.verify import Verification, verify
from plausible.models.build import options_of
from plausible.models.nade import NADE
from plausible.models.registry import MODELS
from plausible.models.rnade import RNADE
from plausible.verification.conditionals import check_beyond, spread_places, surprise
from plausible.verification.enumeration import Everything, check
from plausible.verification.findings import Finding, chi2_p_value, label
from plausible.verification.subject import in_double
from plausible.verification.twins import real_twin, shrunk, small_shape, twin

DENSE = [name for name, line in MODELS.items() if "density" in line.capabilities]
SUMS, CAUSAL, BOTH = "sums to one", "a term ignores later inputs", "p(0) + p(1) given what comes before"
SLOPE, ADDS, SAMPLES = "∂ term / ∂ later input", "terms add up to log_prob", "samples follow the density"
BEGINNING, HALF = "completes a beginning of its order", "completes any half"
SURPRISE = "samples as surprising as they should be"


def failed(findings):
    return {finding.claim for finding in findings if finding.holds is False}


def claimed(findings):
    return {finding.claim for finding in findings if finding.holds is not None}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if "levels" in options_of(name) else ()) for name in DENSE],
)
def test_every_density_of_the_registry_holds(name):
    found = verify(name)
    assert found.holds, failed(found.findings)
    assert {SAMPLES, CAUSAL, SLOPE, BEGINNING} <= claimed(found.findings) | (
        {SLOPE} if name in ("table", "mixed") else set()  # of levels there is no slope
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ProbabilitiesAsLogits", {SAMPLES, BEGINNING}),
        ("OffByOne", {SUMS, BOTH, SAMPLES}),
        ("LooksAhead", {SUMS, CAUSAL, SLOPE, SAMPLES}),
        ("Forgetful", {SAMPLES, BEGINNING}),
        ("Careless", {BEGINNING, HALF}),
        ("Unnormalised", {SUMS, ADDS}),
    ],
)
def test_a_broken_one_fails_and_is_told_why(name, wrong):
    found = verify(f"broken_nades:{name}")
    assert not found.holds
    assert wrong <= failed(found.findings)
    right = {SUMS, CAUSAL, SLOPE, BOTH, ADDS} - failed(found.findings)
    if name in ("ProbabilitiesAsLogits", "Forgetful", "Careless"):
        assert right == {SUMS, CAUSAL, SLOPE, BOTH, ADDS}, "nothing else is wrong with it"


def test_a_users_own_model_is_held_to_what_it_has():
    found = verify("broken_nades:Chain")
    assert found.holds
    assert claimed(found.findings) == {"KL from uniform, nats", SUMS, SAMPLES}
    assert {finding.note for finding in found.findings if finding.holds is None} == {
        "it has no terms in one order",
        "it has no complete",
    }


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_what_has_no_density_is_told_what_has(name):
    with pytest.raises(PlausibleError, match=r"no density.*log_prob.*nade"):
        verify(name)


def test_a_mean_over_orders_claims_neither_terms_nor_completions():
    torch.manual_seed(0)
    for name, options in [
        ("orderless", {"orders": 3}),
        ("made", {"masks": 3, "test_masks": 3, "order_agnostic": True}),
    ]:
        found = check(twin(name, (6,), options))
        assert not failed(found)
        assert claimed(found) == {SUMS, SAMPLES}
    assert HALF not in claimed(check(twin("orderless", (6,), {})))


def test_the_same_seed_finds_the_same():
    first, again, other = (verify("fvsbn", seed=seed).findings for seed in (0, 0, 1))
    assert list(first) == list(again)
    assert list(first) != list(other)


def test_it_leaves_torchs_randomness_alone():
    before = torch.random.get_rng_state()
    verify("independent")
    assert torch.equal(torch.random.get_rng_state(), before)


# ---------------------------------------------------------------------- runs
@pytest.mark.parametrize(("shape", "about"), [((1, 2, 5), {"run"}), ((1, 4, 5), {"run", "twin of 1×3×4"})])
def test_a_run_is_verified_itself_and_by_a_twin_if_it_is_large(tmp_path, shape, about):
    x = (np.random.default_rng(0).random((200, *shape)) < 0.3).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    order = tuple(reversed(range(math.prod(shape))))
    run = train("nade", str(tmp_path / "x.npy"), out=tmp_path / "run", epochs=1, hidden=20, ordering=order)
    before = sorted(path.name for path in run.path.rglob("*"))
    found = verify(run.path)
    assert found.holds, failed(found.findings)
    assert {finding.about for finding in found.findings} == about
    assert (SURPRISE in claimed(found.findings)) == (len(about) > 1)
    assert sorted(path.name for path in run.path.rglob("*")) == before


def test_a_run_of_real_values(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(5, 2, (200, 3)).astype(np.float32))
    run = train("rnade", str(tmp_path / "x.npy"), out=tmp_path / "run", epochs=1, hidden=8, components=3)
    found = verify(run.path)
    assert found.holds, failed(found.findings)
    assert {finding.about for finding in found.findings} == {"run", "twin of 1", "twin of 2"}


def large(kind, *, scale=4.0):
    """40 variables: none of this is enumerated."""
    torch.manual_seed(0)
    model = kind((40,), hidden=16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return in_double(model)


class Flat(NADE):
    """Draws what it likes."""

    def sample_rest(self, x, known):
        return torch.cat([x[:, :known], torch.full_like(x[:, known:], 0.5).bernoulli()], 1)


def test_the_entropies_of_many_variables_find_a_wrong_sampler():
    assert not failed(check_beyond(large(NADE)))
    assert failed(check_beyond(large(OffByOne))) >= {BOTH}

    assert failed(check_beyond(large(Flat))) == {SURPRISE, BEGINNING}
    assert failed(check_beyond(large(Careless))) == {BEGINNING}


def test_the_entropies_are_those_of_the_enumerated_density():
    torch.manual_seed(0)
    every = twin("nade", (8,), {})
    logs, entropies = surprise(every.model, every.model.sample(20_000))
    p = every.logs.exp()
    entropy = -float((p * every.logs).sum())
    error = float((p * (every.logs + entropy).square()).sum().sqrt()) / math.sqrt(20_000)
    assert abs(float(logs.mean()) + entropy) < 5 * error
    assert abs(float(entropies.mean()) - entropy) < 5 * error


class WrongScale(RNADE):
    """Forgets that the data were standardised: no density of the data."""

    def terms(self, x):
        return super().terms(x) + self._scale()[1].log()


class TooWide(RNADE):
    """Draws half as wide again."""

    def sample_rest(self, x, known):
        drawn = super().sample_rest(x, known)
        mean = self._scale()[0]
        return torch.cat([drawn[:, :known], (mean + 1.5 * (drawn - mean))[:, known:]], 1)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(WrongScale, {"conditionals integrate to one", SAMPLES, BEGINNING}), (TooWide, {SAMPLES, BEGINNING})],
)
def test_real_values_of_another_scale_are_found(kind, wrong):
    torch.manual_seed(0)
    right = real_twin("rnade", (2,), {})
    model = kind((2,), hidden=16).double()
    model.load_state_dict(right.state_dict())
    assert failed(check_beyond(model)) == wrong


# ---------------------------------------------------------------------- the parts
def test_p_values_are_scipys_where_no_cell_is_small():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(20, 5.0))
    found = rng.multinomial(5000, p)
    assert chi2_p_value(found, p) == pytest.approx(chisquare(found, p * 5000).pvalue)
    assert chi2_p_value(rng.permutation(found), p) < 1e-6


def test_p_values_of_a_true_density_are_uniform_though_most_cells_are_small():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(4096, 0.02))
    values = np.array([chi2_p_value(rng.multinomial(5000, p), p) for _ in range(400)])
    assert np.abs(np.quantile(values, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.13


def test_what_cannot_be_is_never_plausible():
    assert chi2_p_value(np.array([10, 1]), np.array([1.0, 0.0])) == 0
    assert chi2_p_value(None, np.array([0.5, 0.5])) == 0
    assert chi2_p_value(np.array([10, 10]), np.array([math.nan, 0.5])) == 0
    assert chi2_p_value(np.array([10, 0]), np.array([1.0, 0.0])) == 1


def test_a_value_that_is_no_number_fails_and_what_is_not_claimed_does_not():
    assert Finding("c", math.nan, 0, 1).holds is False
    none = Finding("c", None, 0, 1)
    assert Verification("m", label("x", [none])).holds
    assert Finding("c", math.nan, -math.inf, 1).as_json() == {
        "about": "", "claim": "c", "value": "nan", "bound": "≤ 1", "holds": False, "note": "",
    }  # fmt: skip


def test_cells_are_counted_in_the_models_order():
    every = Everything.of(in_double(tiny("nade", "default", (4,), "binary", ordering=(2, 0, 3, 1))))
    x = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]])  # the second, and twice the first variable
    assert every.cells(x)[[0b0100, 0b1000]].tolist() == [1, 2]
    assert every.cells(x + 0.5) is None


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((784,), (10,)),
        ((1, 28, 28), (1, 3, 4)),
        ((3, 32, 32), (3, 2, 2)),
        ((5,), (5,)),
        ((1, 2, 2), (1, 2, 2)),
    ],
)
def test_a_twin_is_small(shape, small):
    assert small_shape(shape) == small


def test_a_twins_options_are_those_of_the_run_but_narrow():
    options = {"hidden": (8000, 8000), "masks": 32, "test_masks": 32, "mask_seed": 77, "ordering": [2, 1, 0]}
    found = shrunk("made", options)
    assert (found["hidden"], found["masks"], found["mask_seed"]) == ((16, 16), 16, 77)
    assert (found["ordering"], found["direct"]) == ("random", True)


def test_places_are_spread_over_the_order():
    assert spread_places(3) == [0, 1, 2]
    assert (spread_places(784)[0], spread_places(784)[-1], len(spread_places(784))) == (0, 783, 16)


def test_a_forgetful_sampler_is_caught_by_other_seeds_too():
    for seed in range(1, 4):
        assert SAMPLES in failed(verify(f"{Forgetful.__module__}:Forgetful", seed=seed).findings)
