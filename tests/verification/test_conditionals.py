"""`verify` on variables of K levels: a random table of conditionals passes, with every mistake it fails, and why."""

import math

import numpy as np
import pytest
import torch
from broken_levels import (
    BetweenLevels,
    BlueFirst,
    Forgets,
    LooksAhead,
    MarkovLevels,
    OffByOne,
    OneLeak,
    Rearranged,
    Reversed,
    RoundsDown,
    Tables,
    Unnormalised,
)
from support import opened, train

from plausible.capabilities import in_place
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.verify import verify
from plausible.verification.conditionals import (
    causality,
    check_beyond,
    draws_of,
    replaced,
    spread_places,
    surprise,
)
from plausible.verification.enumeration import Everything, check
from plausible.verification.subject import NUMBERS, as_levels, at_levels, in_double
from plausible.verification.twins import shrunk, small_levels, structured_rows, twin

SUMS, CAUSAL, SLOPE = "sums to one", "a term ignores later inputs", "∂ term / ∂ later input"
ADDS, SAMPLES = "terms add up to log_prob", "samples follow the density"
BEGINNING, HALF = "completes a beginning of its order", "completes any half"
SURPRISE = "samples as surprising as they should be"
SAME, ONE = "log_conditionals are the terms' own", "log_conditionals sum to one"
EVERY_SHAPE = [((6,), 2), ((1, 2, 3), 3), ((5,), 5), ((3, 1, 2), 3), ((3, 1, 1), 5), ((3, 2, 2), 2)]
BROKEN = [
    (OffByOne, {SUMS, SAMPLES}),
    (LooksAhead, {SUMS, CAUSAL, SLOPE, SAMPLES}),
    (BlueFirst, {CAUSAL, SLOPE, BEGINNING}),
    (Unnormalised, {SUMS, ONE}),
    (RoundsDown, {SAMPLES, BEGINNING}),
    (BetweenLevels, {SAMPLES, BEGINNING}),
    (Rearranged, {SAME}),
    (Reversed, {SAME}),
    (Forgets, {BEGINNING, HALF}),
]


def both(levels):
    return f"{'p(0) + p(1)' if levels == 2 else f'Σ of its {levels} probabilities'} given what comes before"


def failed(findings):
    return {finding.claim for finding in findings if finding.holds is False}


def claimed(findings):
    return {finding.claim for finding in findings if finding.holds is not None}


def small(kind, shape, levels, domain="unit", seed=0):
    torch.manual_seed(seed)
    return Everything.of(in_double(kind(shape, domain, levels=levels)))


# ---------------------------------------------------------------------- enumerated
@pytest.mark.parametrize(("shape", "levels"), EVERY_SHAPE)
def test_a_table_of_levels_holds(shape, levels):
    every = small(MarkovLevels, shape, levels)
    assert len(every.k) == levels ** math.prod(shape)
    found = check(every)
    assert not failed(found)
    assert claimed(found) == {SUMS, ADDS, CAUSAL, SLOPE, both(levels), SAME, ONE, SAMPLES, BEGINNING}
    bare = check(small(Tables, shape, levels))
    assert not failed(bare)
    assert claimed(bare) == claimed(found) - {SAME, ONE}


@pytest.mark.parametrize(("kind", "wrong"), BROKEN)
@pytest.mark.parametrize(("shape", "levels"), [((3, 1, 2), 4), ((3, 1, 1), 5)])
def test_a_broken_one_fails_and_is_told_why(kind, wrong, shape, levels):
    if kind is Rearranged and shape == (3, 1, 1):
        wrong = set()  # of one pixel both orders are the same
    found = failed(check(small(kind, shape, levels)))
    if kind in (OffByOne, LooksAhead):
        assert wrong <= found
        assert (both(levels) in found) == (kind is OffByOne)
    else:
        assert found == wrong | ({both(levels)} if kind is Unnormalised else set()), (
            "nothing else is wrong with it"
        )


def test_the_domain_binary_has_two_levels_and_its_own_words():
    found = check(small(MarkovLevels, (1, 2, 3), 2, "binary"))
    assert not failed(found)
    assert "p(0) + p(1) given what comes before" in claimed(found)


def test_distances_are_those_of_the_definition():
    every = small(MarkovLevels, (4,), 3)
    p = every.logs.exp().view(3, 3, 3, 3)
    apart = 1.0
    for i in range(4):
        others = [j for j in range(4) if j != i]
        apart = apart * p.sum(others).view([3 if j == i else 1 for j in range(4)])
    assert every.from_independent() == pytest.approx(float((p * (p / apart).log()).sum()))
    assert every.from_uniform() == pytest.approx(float((p * (p * 81).log()).sum()))
    assert every.from_independent() > 0.1


def test_levels_are_numbers_of_the_models_order_and_nothing_between():
    every = small(MarkovLevels, (2, 1, 2), 3)  # in its order: x[0, 0, 0], x[1, 0, 0], x[0, 0, 1], x[1, 0, 1]
    x = torch.tensor([[[[0.0, 0.5]], [[1.0, 0.0]]]], dtype=torch.float64)
    assert every.cells(x).nonzero()[0].tolist() == [0 * 27 + 2 * 9 + 1 * 3 + 0]
    for wrong in (x + 0.01, x - 1, x + 1, x * math.nan, x * math.inf):
        assert every.cells(wrong) is None
    thirds = torch.tensor([[1, 2, 3, 0]]) / 3
    model = in_double(MarkovLevels((4,), levels=4))
    assert thirds.dtype == torch.float32
    assert as_levels(model, thirds.double()).tolist() == [[1, 2, 3, 0]]
    assert as_levels(model, at_levels(model, torch.arange(4))).tolist() == [0, 1, 2, 3]


# ---------------------------------------------------------------------- many variables
def large(kind, shape, levels, seed=0):
    torch.manual_seed(seed)
    return in_double(kind(shape, levels=levels))


@pytest.mark.parametrize(("shape", "levels"), [((1, 6, 6), 5), ((3, 4, 4), 16), ((40,), 2)])
def test_conditionals_of_many_variables_hold(shape, levels):
    torch.manual_seed(1)
    found = check_beyond(large(MarkovLevels, shape, levels))
    assert not failed(found)
    sums = {both(2)} if levels == 2 else set()
    assert claimed(found) == {ADDS, CAUSAL, SLOPE, SAME, ONE, SURPRISE, BEGINNING} | sums
    bare = check_beyond(large(Tables, shape, levels))
    assert not failed(bare)
    assert claimed(bare) == {ADDS, CAUSAL, SLOPE, both(levels), SURPRISE, BEGINNING}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (OffByOne, {SURPRISE, BEGINNING}),
        (LooksAhead, {CAUSAL, SLOPE, SURPRISE, BEGINNING}),
        (BlueFirst, {CAUSAL, SLOPE}),
        (Unnormalised, {ONE}),
        (RoundsDown, {SURPRISE, BEGINNING}),
        (BetweenLevels, {SURPRISE}),
        (Rearranged, {SAME}),
        (Reversed, {SAME}),
        (Forgets, set()),
    ],
)
def test_mistakes_among_many_variables_are_found(kind, wrong):
    found = failed(check_beyond(large(kind, (3, 4, 4), 6)))
    assert wrong <= found
    if kind not in (OffByOne, LooksAhead, Unnormalised):
        assert found <= wrong | {BEGINNING}


def leaking(at, source, size=500, gate=None):
    torch.manual_seed(3)
    kind = type("Leak", (OneLeak,), {"at": at, "source": source, "gate": gate})
    return in_double(kind((size,), levels=3))


def moved(model, seed=0):
    torch.manual_seed(seed)
    return causality(model, model.sample(8))


@pytest.mark.parametrize(
    ("at", "source"),
    [
        (101, 102),
        (0, 1),
        (498, 499),
        (0, 499),
        *np.sort(np.random.default_rng(0).permutation(500).reshape(-1, 2)[:12]),
    ],
)
def test_one_leak_among_500_variables_is_found_wherever_it_is(at, source):
    most, bound, note = moved(leaking(int(at), int(source)))
    assert most > 1e-3 > bound
    assert "after each of 500 variables of 8 samples" in note


def test_a_leak_that_the_first_samples_hide_is_found_in_the_others(monkeypatch):
    model = leaking(5, 7, size=12, gate=0)
    x = model.sample(8)
    x[:, 0] = 0
    x[0, 0] = 1  # its gate is closed
    monkeypatch.setattr("plausible.verification.conditionals.CHANGED", 12)
    monkeypatch.setattr("plausible.verification.conditionals.PAIRS", 0)
    assert causality(model, x)[0] == 0
    monkeypatch.setattr("plausible.verification.conditionals.PAIRS", 200)
    assert causality(model, x)[0] > 1e-3


@pytest.mark.parametrize(("shape", "levels"), [((500,), 2), ((1,), 3), ((3, 4, 4), 6)])
def test_a_causal_model_moves_no_term(shape, levels):
    most, bound, _ = moved(large(MarkovLevels, shape, levels))
    assert most < bound


def test_real_variables_leak_into_earlier_terms_too():
    class Real(GenerativeModel):
        """x_i ~ N(x_{i−1}/2, 1); term 40 looks at x_41."""

        def log_prob_terms(self, x):
            means = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1] / 2], 1)
            means = means + 0.1 * x[:, [41]] * (torch.arange(300) == 40)
            return -0.5 * (x - means).square()

        def log_prob(self, x):
            return self.log_prob_terms(x).sum(1)

    x = torch.randn(8, 300, generator=torch.Generator().manual_seed(0))
    assert causality(Real((300,), "real"), x)[0] > 1e-3


def test_more_variables_than_examples_are_still_looked_at_one_by_one():
    most, bound, note = moved(leaking(4321, 4322, size=5000))
    assert most > bound
    assert "after each of 5000 variables of 1 samples" in note


def test_probabilities_by_replacing_are_the_models_own():
    model = large(MarkovLevels, (3, 2, 2), 7)
    x = model.sample(30)
    with torch.no_grad():
        for i in (0, 5, 11):
            torch.testing.assert_close(replaced(model, model.ordered(x), i), model.log_conditionals(x)[:, i])


def test_an_unnormalised_one_without_log_conditionals_is_found_by_replacing():
    class Bare(Tables):
        def logs(self, seen):
            return super().logs(seen) + math.log(1.01)

    assert not hasattr(Bare, "log_conditionals")
    bare = large(Bare, (1, 5, 5), 6)
    assert both(6) in failed(check_beyond(bare))


@pytest.mark.parametrize("kind", [MarkovLevels, Tables])
def test_the_entropies_are_those_of_the_enumerated_density(kind):
    every = small(kind, (3, 1, 2), 3)
    logs, entropies = surprise(every.model, every.model.sample(5000))
    if kind is Tables:  # at four of the six variables
        places = [0, 2, 4]
        p = every.logs.exp()
        with torch.no_grad():
            terms = every.model.terms(every.x)[:, places].sum(1)
    else:
        p, terms = every.logs.exp(), every.logs
    entropy = -float((p * terms).sum())
    error = float((p * (terms + entropy).square()).sum().sqrt()) / math.sqrt(5000)
    assert abs(float(logs.mean()) + entropy) < 5 * error
    assert abs(float(entropies.mean()) - entropy) < 5 * error


def test_photographs_are_looked_at_a_few_at_a_time():
    seen = []

    class Watched(MarkovLevels):
        def log_conditionals(self, x):
            seen.append(len(x))
            return super().log_conditionals(x)

        def sample(self, n, *, y=None):
            k = torch.randint(self.levels, (n, *self.shape))
            return k / (self.levels - 1)

    model = large(Watched, (1, 28, 28), 256)
    assert draws_of(model) == 50
    assert draws_of(large(MarkovLevels, (1, 8, 8), 17)) == 1000
    logs, entropies = surprise(model, model.sample(50).double())
    assert len(logs) == len(entropies) == sum(seen) == 50
    assert max(seen) * 784 * 256 <= NUMBERS


def test_fewer_samples_are_said():
    found = {finding.claim: finding for finding in check_beyond(large(MarkovLevels, (1, 4, 4), 512))}
    assert found[SURPRISE].holds
    assert "512 samples, no more because of the 16 × 512 levels" in found[SURPRISE].note


# ---------------------------------------------------------------------- twins, names, runs
def test_a_name_is_verified_on_zeros_and_ones_on_grey_and_on_colour():
    found = verify("broken_levels:MarkovLevels")
    assert found.holds, failed(found.findings)
    assert [*dict.fromkeys(finding.about for finding in found.findings)] == [
        "twin of 1×3×4",
        "twin of 1×2×3, 4 levels",
        "twin of 3×2×2, 2 levels",
        "twin of 3×1×2, 4 levels",
    ]


def test_a_wrong_order_of_the_channels_is_found_on_colour_alone():
    found = verify("broken_levels:BlueFirst").findings
    wrong = {(finding.about, finding.claim) for finding in found if finding.holds is False}
    assert {claim for _, claim in wrong} <= {CAUSAL, SLOPE, BEGINNING}
    assert {about for about, claim in wrong if claim == CAUSAL} == {
        "twin of 3×2×2, 2 levels",
        "twin of 3×1×2, 4 levels",
    }


@pytest.mark.parametrize(
    ("shape", "about"),
    [
        ((1, 2, 2), {"run"}),
        ((3, 3, 3), {"run", "twin of 3×2×2, 2 levels", "twin of 3×1×2, 4 levels"}),
    ],
)
def test_a_run_is_verified_itself_and_by_twins_if_it_is_large(tmp_path, shape, about):
    k = np.random.default_rng(0).integers(0, 8, (100, *shape))
    np.save(tmp_path / "x.npy", (k / 7).astype(np.float32))
    run = train("broken_levels:MarkovLevels", str(tmp_path / "x.npy"), out=tmp_path / "run", levels=8)
    found = verify(opened(run, model="broken_levels:MarkovLevels"))
    assert found.holds, failed(found.findings)
    assert {finding.about for finding in found.findings} == about


def test_unit_values_without_levels_are_refused():
    with pytest.raises(PlausibleError, match="unit values of a given number of levels"):
        verify("broken_levels:NoLevels")


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((1, 28, 28), [((1, 2, 3), 4)]),
        ((3, 32, 32), [((3, 2, 2), 2), ((3, 1, 2), 4)]),
        ((2, 9, 9), [((2, 2, 2), 2), ((2, 1, 2), 4)]),
        ((7, 9, 9), [((3, 2, 2), 2), ((3, 1, 2), 4)]),
        ((64,), [((6,), 4)]),
        ((3, 1, 2), [((3, 1, 2), 4)]),
    ],
)
def test_a_twin_of_levels_is_small(shape, found):
    assert small_levels(shape) == found
    assert all(levels ** math.prod(sides) <= 4096 for sides, levels in found)


def test_kernels_stay_odd_and_small_numbers_stay():
    assert shrunk("broken_levels:MarkovLevels", {"kernel": 7})["kernel"] == 7
    assert shrunk("broken_levels:MarkovLevels", {"kernel": 31})["kernel"] == 15


def test_a_twin_has_few_classes_and_rows_of_each():
    assert shrunk("pixelcnn", {"classes": 10})["classes"] == 3
    assert shrunk("pixelcnn", {})["classes"] == 0
    assert np.bincount(structured_rows((4,), classes=3).y).min() > 500
    assert set(structured_rows((4,), classes=1).y) == set(structured_rows((4,)).y) == {0}


def test_structured_rows_are_levels_that_depend_on_each_other():
    for levels in (2, 4, 256):
        rows = structured_rows((3, 1, 2), "unit", levels)
        x = rows.array().reshape(3000, -1)
        k = np.rint(x * (levels - 1))
        np.testing.assert_array_equal(x, (k / (levels - 1)).astype(np.float32))
        if levels <= 4:
            assert all(len(np.unique(column)) == levels for column in k.T)
        assert all(np.corrcoef(x[:, i], x[:, i - 1])[0, 1] > 0.1 for i in range(2, 6))


def test_a_twin_of_levels_is_far_from_uniform_and_from_independent():
    torch.manual_seed(0)
    every = twin("broken_levels:MarkovLevels", (3, 1, 2), {}, 4)
    assert every.model.levels == every.levels == 4
    assert every.from_uniform() >= 0.5
    assert every.from_independent() >= 0.1
    assert in_place(every.model, every.x).shape == (4096, 3, 1, 2)
    assert spread_places(6) == list(range(6))
