"""Entropy, KL, JSD, mutual information of tables and arrays: closed forms, and the laws over random tables."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from random_tables import channels, laws, pairs, probabilities, tables

from plausible.errors import PlausibleError
from plausible.probability import (
    Table,
    aligned,
    conditional_entropy,
    cross_entropy,
    entropy,
    jsd,
    kl,
    mutual_information,
    surprisal,
)

FAIR = np.full(6, 1 / 6)
LOADED = np.array([0.1] * 5 + [0.5])
SIX = np.array([0.0] * 5 + [1])


def test_dice():
    assert jsd(FAIR, LOADED) == pytest.approx(0.0646599736, abs=5e-11)
    assert jsd(FAIR, SIX) == pytest.approx(0.4539126616, abs=5e-11)
    assert pytest.approx([0.625] * 5 + [0.25], abs=1e-15) == FAIR / (FAIR + LOADED)
    assert entropy(FAIR) == pytest.approx(math.log(6), abs=1e-15)
    assert entropy(FAIR, base=2) == pytest.approx(math.log2(6), abs=1e-15)
    assert kl(FAIR, LOADED) == pytest.approx(5 / 6 * math.log(10 / 6) + math.log(2 / 6) / 6, abs=1e-15)
    assert kl(SIX, FAIR) == pytest.approx(math.log(6), abs=1e-15)


@pytest.mark.parametrize(("r", "value"), [(1 / 8, 0.4969291266), (1 / 2, 0.2157615543), (1.0, 0.0)])
def test_mode_dropping(r, value):
    """Uniform on K modes against uniform on a fraction r of them (REFERENCES §7)."""
    modes = 64
    kept = int(r * modes)
    closed = 0.5 * (r * math.log(2 * r / (1 + r)) + (1 - r) * math.log(2) + math.log(2 / (1 + r)))
    measured = jsd(np.full(modes, 1 / modes), np.array([1 / kept] * kept + [0] * (modes - kept)))
    assert measured == pytest.approx(closed, abs=1e-12)
    assert measured == pytest.approx(value, abs=5e-11)


def test_surprisal():
    np.testing.assert_array_equal(surprisal([1.0, 0.5, 0.0], base=2), [0, 1, math.inf])
    assert math.copysign(1, surprisal(1.0)) == 1  # 0, not −0
    with pytest.raises(PlausibleError, match="between 0 and 1"):
        surprisal([1.5])


def test_missing_support_is_infinite_and_an_unused_outcome_is_not():
    assert kl([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert cross_entropy([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(math.log(2), abs=1e-15)
    assert kl([1 - 1e-300, 1e-300], [1.0, 0.0]) == math.inf
    assert kl([1.0, 0.0], [1.0, 0.0]) == 0
    assert jsd([1.0, 0.0], [0.0, 1.0]) == math.log(2)
    assert jsd([1.0, 0.0], [0.0, 1.0], base=2) == 1


def test_kl_of_near_neighbours_keeps_its_digits():
    """KL ≈ ½ Σ (q − p)²/p = 2 d² for d = 1e-10 on a fair coin; Σ p log(p/q) in float64 gives 0 or −1e-17."""
    d = 2.0**-33
    assert kl([0.5, 0.5], [0.5 + d, 0.5 - d]) == pytest.approx(2 * d * d, rel=1e-6)


def test_tables_are_compared_by_outcome_not_by_place():
    p = Table.of("x", {"a": 0.2, "b": 0.8})
    assert kl(p, Table.of("x", {"b": 0.8, "a": 0.2})) == 0
    short, long = Table.uniform(x=range(5)), Table.uniform(x=range(6))
    assert kl(long, short) == math.inf
    assert kl(short, long) == pytest.approx(math.log(6 / 5), abs=1e-15)
    joint = Table({"x": (0, 1), "y": (0, 1, 2)}, [[0.1, 0.2, 0.3], [0.2, 0.1, 0.1]])
    assert kl(joint, joint.marginal("y", "x")) == 0
    first, second = aligned(short, long)
    assert first.shape == second.shape == (6,)
    assert first[5] == 0


@laws
@given(pairs())
def test_divergences_of_random_tables(pair):
    p, q = pair
    forward, both = kl(p, q), jsd(p, q)
    assert forward >= 0
    assert 0 <= both <= math.log(2)
    assert both == jsd(q, p)
    missing = bool(((p.probabilities > 0) & (q.probabilities == 0)).any())
    assert math.isinf(forward) == missing == math.isinf(cross_entropy(p, q))
    if not missing:
        assert cross_entropy(p, q) == pytest.approx(entropy(p) + forward, rel=1e-12, abs=1e-12)
        shown = p.probabilities[p.probabilities > 0]
        plain = (shown * (np.log(shown) - np.log(q.probabilities[p.probabilities > 0]))).sum()
        assert forward == pytest.approx(plain, rel=1e-9, abs=1e-12)
    assert kl(p, q, base=2) * math.log(2) == pytest.approx(forward)
    assert 0 <= entropy(p) <= math.log(p.probabilities.size) + 1e-12


@laws
@given(pairs())
def test_divergences_vanish_only_at_equality(pair):
    p, q = pair
    assert kl(p, p) == jsd(p, p) == 0
    assume(np.abs(p.probabilities - q.probabilities).max() > 1e-9)
    assert kl(p, q) > 0
    assert jsd(p, q) > 0


@laws
@given(st.data())
def test_jsd_is_log_2_for_disjoint_and_its_root_obeys_the_triangle(data):
    p, q, r = (data.draw(probabilities(4)) for _ in range(3))
    zeros = np.zeros(4)
    assert jsd(np.concatenate([p, zeros]), np.concatenate([zeros, q])) == pytest.approx(
        math.log(2), abs=1e-15
    )
    assert math.sqrt(jsd(p, r)) <= math.sqrt(jsd(p, q)) + math.sqrt(jsd(q, r)) + 1e-7


@laws
@given(st.data())
def test_data_processing_inequality(data):
    """No channel, and no function, makes two distributions easier to tell apart."""
    p, q = data.draw(probabilities(4)), data.draw(probabilities(4))
    channel = data.draw(channels(4))
    assert jsd(p @ channel, q @ channel) <= jsd(p, q) + 1e-12
    smallest = (
        q[q > 0].min() * channel[channel > 0].min()
    )  # where it underflows, q @ channel loses its support
    if math.isfinite(kl(p, q)) and smallest > 1e-300:
        assert kl(p @ channel, q @ channel) <= kl(p, q) + 1e-12
    first, second = Table({"x": range(4)}, p), Table({"x": range(4)}, q)
    pushed = [table.function("y", lambda x: x // 2) for table in (first, second)]
    assert jsd(*pushed) <= jsd(first, second) + 1e-12


@laws
@given(tables(least=2))
def test_entropies_of_random_tables(table):
    a, *rest = table.names
    joint, own = entropy(table), entropy(table.marginal(a))
    left = conditional_entropy(table, rest, given=a)
    assert joint == pytest.approx(own + left, abs=1e-12)  # the chain rule
    assert left <= entropy(table.marginal(*rest)) + 1e-12  # knowing never hurts
    shared = mutual_information(table, a, rest)
    assert shared >= 0
    assert shared == pytest.approx(own + entropy(table.marginal(*rest)) - joint, abs=1e-12)
    assert shared == pytest.approx(mutual_information(table, rest, a), abs=1e-12)
    if len(rest) > 1:
        conditional = mutual_information(table, a, rest[0], given=rest[1:])
        direct = conditional_entropy(table, a, rest[1:]) - conditional_entropy(table, a, rest)
        assert conditional >= 0
        assert conditional == pytest.approx(direct, abs=1e-12)


def test_mutual_information_of_a_noisy_copy_in_bits():
    """A binary symmetric channel with 10 % errors: 1 − H₂(0.1) bits."""
    table = Table({"x": (0, 1), "y": (0, 1)}, [[0.45, 0.05], [0.05, 0.45]])
    closed = 1 + 0.1 * math.log2(0.1) + 0.9 * math.log2(0.9)
    assert mutual_information(table, "x", "y", base=2) == pytest.approx(closed, abs=1e-12)
    assert conditional_entropy(table, "y", "x", base=2) == pytest.approx(1 - closed, abs=1e-12)
    rare = Table({"x": (0, 1), "y": (0, 1)}, [[1, 0], [0, 1e-300]])  # P(x) P(y) = 1e-600 underflows
    assert mutual_information(rare, "x", "y") == pytest.approx(0, abs=1e-290)
    separate = table.marginal("x") * table.marginal("y")
    assert mutual_information(separate, "x", "y") == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kl([0.5, 0.5], [1.0]), r"shapes \(2,\) and \(1,\)"),
        (lambda: kl([0.5, 0.4], [0.5, 0.5]), "sum to 0.9"),
        (lambda: kl(Table.uniform(x="ab"), Table.uniform(y="ab")), "unlike variables, x and y"),
        (lambda: kl(Table.uniform(x="ab"), [0.5, 0.5]), "a table and an array"),
        (lambda: entropy([0.5, 0.5], base=1), "above 1"),
        (lambda: kl([0.5, 0.5], torch.distributions.Normal(0.0, 1.0)), "list and Normal"),
    ],
)
def test_errors(make, says):
    with pytest.raises(PlausibleError, match=says):
        make()
