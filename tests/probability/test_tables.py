"""Tables: the rules of probability as laws over random tables, the notes' examples, and the errors."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_tables import channels, laws, probabilities, tables

from plausible.errors import PlausibleError
from plausible.probability import Conditional, Table, bayes

die = Table.uniform(die=range(1, 7))
coin = Table.of("coin", {"H": 0.5, "T": 0.5})
weather = Table({"weather": ["sun", "rain"], "sales": [0, 1, 2]}, [[0.1, 0.2, 0.3], [0.2, 0.1, 0.1]])


def test_die():
    assert die.expectation("die") == pytest.approx(3.5, abs=1e-12)
    assert die.variance("die") == pytest.approx(35 / 12, abs=1e-12)
    two = Table.uniform(first=range(1, 7), second=range(1, 7))
    total = two.function("total", lambda first, second: first + second)
    assert two.expectation(lambda first, second: first + second) == pytest.approx(7, abs=1e-12)
    assert total.expectation("total") == pytest.approx(7, abs=1e-12)
    assert total.variance("total") == pytest.approx(35 / 6, abs=1e-12)
    assert total.values["total"] == tuple(range(2, 13))
    assert total.probability(total=7) == pytest.approx(6 / 36, abs=1e-15)


def test_weather_by_hand():
    assert weather.marginal("weather").probabilities == pytest.approx([0.6, 0.4], abs=1e-15)
    assert weather.marginal("sales").probabilities == pytest.approx([0.3, 0.3, 0.4], abs=1e-15)
    assert weather.condition(weather="rain").probabilities == pytest.approx([0.5, 0.25, 0.25], abs=1e-15)
    by_weather = weather.conditional("sales", given="weather")
    assert by_weather.probabilities[0] == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=1e-15)
    assert by_weather.at(weather="sun").expectation("sales") == pytest.approx(4 / 3, abs=1e-12)
    assert weather.probability(weather="sun", sales=2) == pytest.approx(0.3, abs=1e-15)
    assert weather.expectation(lambda weather: weather == "sun") == pytest.approx(0.6, abs=1e-15)
    # Cov(1[sun], sales) = E[1[sun]·sales] − P(sun)·E[sales] = .8 − .6·1.1
    assert weather.covariance(lambda weather: weather == "sun", "sales") == pytest.approx(0.14, abs=1e-12)


def test_marginal_takes_the_order_asked_for():
    turned = weather.marginal("sales", "weather")
    assert turned.names == ("sales", "weather")
    np.testing.assert_allclose(turned.probabilities, weather.probabilities.T, rtol=1e-15)


def test_bayes_by_hand():
    prior = Table.of("ill", {True: 0.01, False: 0.99})
    test = Conditional({"test": "+-"}, {"ill": [False, True]}, [[0.05, 0.95], [0.99, 0.01]])  # other order
    posterior = bayes(prior, test)
    assert posterior.at(test="+").probability(ill=True) == pytest.approx(
        0.0099 / (0.0099 + 0.0495), abs=1e-15
    )
    assert posterior.at(test="-").probability(ill=True) == pytest.approx(
        0.0001 / (0.0001 + 0.9405), abs=1e-15
    )


@laws
@given(tables(least=2))
def test_chain_rule_and_total_probability(table):
    first, *rest = table.names
    conditional = table.conditional(*rest, given=first)
    rebuilt = conditional.joint(table.marginal(first))
    np.testing.assert_allclose(rebuilt.marginal(*table.names).probabilities, table.probabilities, atol=1e-15)
    total = sum(
        p * conditional.at(**{first: value}).marginal(rest[0]).probabilities
        for value, p in zip(table.values[first], table.marginal(first).probabilities, strict=True)
        if p > 0
    )
    np.testing.assert_allclose(total, table.marginal(rest[0]).probabilities, atol=1e-15)


@laws
@given(tables())
def test_chain_rule_one_variable_at_a_time(table):
    joint = table.marginal(table.names[0])
    for i, name in enumerate(table.names[1:], start=1):
        joint = table.conditional(name, given=table.names[:i]).joint(joint)
    np.testing.assert_allclose(joint.probabilities, table.probabilities, atol=1e-15)


@laws
@given(tables(least=2, most=2))
def test_bayes(table):
    a, b = table.marginal("a"), table.marginal("b")
    posterior = bayes(a, table.conditional("b", given="a"))
    direct = table.conditional("a", given="b")
    np.testing.assert_allclose(posterior.probabilities, direct.probabilities, atol=1e-12)
    for j, value in enumerate(table.values["b"]):
        if b.probabilities[j] == 0:
            assert np.isnan(posterior.probabilities[j]).all()
        else:  # the formula itself
            likelihood = [table.probability(a=x, b=value) for x in table.values["a"]]
            assert posterior.at(b=value).probabilities == pytest.approx(
                np.array(likelihood) / sum(likelihood)
            )


@laws
@given(tables(), st.floats(-3, 3), st.floats(-3, 3), st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_expectation_is_linear_and_variance_not_negative(table, alpha, beta, slopes):
    def f(**row):
        return sum(s * row[name] for s, name in zip(slopes, row, strict=False))

    def g(**row):
        return math.prod(row.values()) + row["a"] ** 2

    both = table.expectation(lambda **row: alpha * f(**row) + beta * g(**row))
    assert both == pytest.approx(alpha * table.expectation(f) + beta * table.expectation(g), abs=1e-10)
    assert table.variance(f) >= 0
    variance = table.expectation(lambda **row: f(**row) ** 2) - table.expectation(f) ** 2
    assert table.variance(f) == pytest.approx(variance, abs=1e-9)
    cov = table.expectation(lambda **row: f(**row) * g(**row)) - table.expectation(f) * table.expectation(g)
    assert table.covariance(f, g) == pytest.approx(cov, abs=1e-9)
    assert table.covariance(f, g) == table.covariance(g, f)


@laws
@given(st.data())
def test_built_in_independence_is_found(data):
    p, q = data.draw(probabilities(3)), data.draw(probabilities(2))
    table = Table({"x": range(3)}, p) * Table({"y": range(2)}, q)
    found = table.independence("x", "y")
    assert found
    assert found.violation <= 1e-12
    assert abs(table.covariance("x", "y")) <= 1e-12


@laws
@given(st.data())
def test_built_in_conditional_independence_is_found_and_a_breach_measured(data):
    z = Table({"z": range(3)}, data.draw(probabilities(3)))
    x = Conditional({"x": range(2)}, {"z": range(3)}, [data.draw(probabilities(2)) for _ in range(3)])
    channel = data.draw(channels(3))
    y = Conditional({"y": range(channel.shape[1])}, {"z": range(3)}, channel)
    table = y.joint(x.joint(z))
    assert table.names == ("z", "x", "y")
    assert table.independence("x", "y", given="z")

    # move mass between the corners of one z: the reported violation is the largest, by brute force
    broken = table.probabilities.copy()
    k = int(z.probabilities.argmax())
    shift = min(broken[k, 0, 0], broken[k, 1, -1]) / 2
    if channel.shape[1] == 1 or shift < 1e-9:
        return
    broken[k, 0, 0] -= shift
    broken[k, 1, -1] -= shift
    broken[k, 0, -1] += shift
    broken[k, 1, 0] += shift
    table = Table(table.values, broken)
    found = table.independence("x", "y", given="z")
    worst = {}
    for row in itertools.product(*table.values.values()):
        at = dict(zip(table.names, row, strict=True))
        if table.probability(z=at["z"]) > 0:
            given_z = table.condition(z=at["z"])
            apart = given_z.probability(x=at["x"]) * given_z.probability(y=at["y"])
            worst[row] = abs(given_z.probability(x=at["x"], y=at["y"]) - apart)
    assert not found
    assert found.violation == pytest.approx(max(worst.values()), abs=1e-14)
    assert worst[tuple(found.where[name] for name in table.names)] == pytest.approx(
        found.violation, abs=1e-14
    )


def test_dependence_that_only_the_condition_removes():
    """x and y copy z with 10 % errors: dependent, independent given z; xor the other way round."""
    z = Table.of("z", {0: 0.5, 1: 0.5})
    noisy = [[0.9, 0.1], [0.1, 0.9]]
    x, y = (Conditional({name: (0, 1)}, {"z": (0, 1)}, noisy) for name in "xy")
    table = y.joint(x.joint(z))
    assert not table.independence("x", "y")
    assert table.independence("x", "y").violation == pytest.approx(0.41 - 0.25, abs=1e-12)
    assert table.independence("x", "y", given="z")
    xor = Table.uniform(x=(0, 1), y=(0, 1)).marginal("x", "y")
    gate = Conditional({"z": (0, 1)}, {"x": (0, 1), "y": (0, 1)}, [[[1, 0], [0, 1]], [[0, 1], [1, 0]]])
    table = gate.joint(xor)
    assert table.independence("x", "y")
    assert table.independence("x", "z")
    assert table.independence("x", "y", given="z").violation == pytest.approx(0.25, abs=1e-15)
    assert not table.independence(["x", "y"], "z")


def test_sampling_follows_the_table():
    n = 60_000
    columns = weather.sample(n, seed=3)
    again, other = weather.sample(n, seed=3), weather.sample(n, seed=4)
    assert all((columns[name] == again[name]).all() for name in columns)
    assert (columns["sales"] != other["sales"]).any()
    seen = Table.frequencies(columns).marginal(*weather.names)
    # columns' outcomes are sorted: rain before sun
    expected = weather.probabilities[::-1]
    chi2 = n * ((seen.probabilities - expected) ** 2 / expected).sum()
    assert chi2 < 36.5  # 5 degrees of freedom: p = 7.5e-7
    assert weather.sample(0)["sales"].shape == (0,)


def test_impossible_outcomes_are_never_drawn_nor_handed_to_a_function():
    table = Table.of("x", {0: 0.0, 1: 0.25, 2: 0.75})
    assert set(table.sample(1_000)["x"].tolist()) == {1, 2}
    assert table.expectation(lambda x: 1 / x) == pytest.approx(0.625, abs=1e-15)
    assert table.function("y", lambda x: 1 // x).values["y"] == (0, 1)


def test_frequencies_count():
    table = Table.frequencies({"a": [1, 2, 2, 1], "b": ["u", "u", "v", "u"]})
    np.testing.assert_array_equal(table.probabilities, [[0.5, 0.0], [0.25, 0.25]])


def test_printed_aligned_in_the_terminal_and_escaped_in_a_notebook():
    table = Table.of("동전", {"앞": 0.99999, "<b>": 1e-5})
    assert str(table).splitlines() == ["동전        P", "────  ───────", "앞     1.0000", "<b>   1.0e-05"]
    assert "&lt;b&gt;" in table._repr_html_()
    assert "<b>" not in table._repr_html_()
    lines = str(weather).splitlines()
    assert lines[0].split() == ["weather", "sales=0", "1", "2", "sum"]
    assert lines[-1].split() == ["sum", "0.3000", "0.3000", "0.4000", "1.0000"]
    assert len({len(line) for line in lines}) == 1
    assert "nan" in str(Table.of("a", {0: 1.0, 1: 0.0}).__mul__(coin).conditional("coin", given="a"))
    big = str(Table.uniform(x=range(100), y=range(30)))
    assert "… 60 more" in big
    assert "… 18 more" in big
    assert len(big.splitlines()) == 44


def test_float32_sums_pass_and_are_made_exact():
    p = torch.softmax(torch.linspace(-3, 3, 1000), 0)  # float32: sums to 1 within 1e-7
    table = Table({"x": range(1000)}, p)
    assert table.probabilities.dtype == np.float64
    assert table.probabilities.sum() == pytest.approx(1, abs=1e-14)
    with pytest.raises(ValueError, match="read-only"):
        table.probabilities[0] = 1


def nested(p=0.5):
    return Conditional({"y": (0, 1)}, {"x": (0, 1)}, [[p, 1 - p], [math.nan, math.nan]])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Table.of("x", {0: 0.5, 1: 0.4}), "sum to 0.9, not to 1"),
        (lambda: Table({"x": range(2)}, [3, 4]), "sum to 7.*counts"),
        (lambda: Table.of("x", {0: -0.1, 1: 1.1}), r"\[0\] is -0.1; none may be negative"),
        (lambda: Table.of("x", {0: math.nan, 1: 1.0}), "nan among the probabilities"),
        (lambda: Table({"x": range(3)}, [0.5, 0.5]), r"shape \(2,\).*x: 3"),
        (lambda: Table({"x": [1, 1]}, [0.5, 0.5]), "outcome 1 occurs twice"),
        (lambda: Table({"x": [[1], [2]]}, [0.5, 0.5]), "hashable"),
        (lambda: Table({"x": []}, []), "no outcomes"),
        (lambda: Table({}, 1.0), "at least one variable"),
        (lambda: Table({"my die": range(2)}, [0.5, 0.5]), "identifier"),
        (lambda: Table({"x": range(2)}, ["a", "b"]), "not an array of numbers"),
        (lambda: die * die, "both tables have a variable 'die'"),
        (lambda: die.marginal("dye"), "no variable 'dye'; there are 'die'"),
        (lambda: die.marginal(), "at least one"),
        (lambda: (die * coin).condition(coin="edge"), "'coin' has no outcome 'edge'; it has 'H', 'T'"),
        (lambda: die.condition(die=1), "use probability"),
        (lambda: (Table.of("a", {0: 0.0, 1: 1.0}) * coin).condition(a=0), r"P\(a=0\) = 0"),
        (lambda: (die * coin).conditional("die", given="die"), "named twice"),
        (lambda: coin.expectation("coin"), "'H', not a number.*lambda coin"),
        (lambda: die.expectation(lambda dye: dye), "no variable 'dye'"),
        (lambda: die.expectation(lambda: 1), "no parameter"),
        (lambda: die.expectation(lambda die: None), "None, not a number"),
        (lambda: die.sample(-1), "n = -1"),
        (lambda: Table.frequencies({"a": [1], "b": []}), "same number of rows"),
        (lambda: (die * coin).independence("die", "die"), "named twice"),
        (lambda: (die * coin).independence("die", ()), "either side"),
        (lambda: Conditional({"y": (0, 1)}, {"x": (0,)}, [[0.5, 0.6]]), "row 0.*sum to 1.1"),
        (lambda: Conditional({"x": (0, 1)}, {"x": (0,)}, [[0.5, 0.5]]), "both sides"),
        (lambda: nested().at(x=1), r"P\(x=1\) = 0"),
        (lambda: nested().at(), "x not fixed"),
        (lambda: nested().joint(Table.uniform(x=(0, 1))), "row is NaN"),
        (lambda: nested().joint(Table.uniform(x=(0, 2))), "'x' has the outcome 1 on one side only"),
        (lambda: nested().joint(Table.uniform(x=(0, 1), y=(0, 1))), "'y' is a target"),
        (lambda: nested().joint(coin), "no variable 'x'"),
    ],
)
def test_errors_name_the_culprit(make, says):
    with pytest.raises(PlausibleError, match=says):
        make()


def test_an_impossible_row_costs_nothing_under_a_prior_that_rules_it_out():
    joint = nested(0.25).joint(Table.of("x", {0: 1.0, 1: 0.0}))
    np.testing.assert_array_equal(joint.probabilities, [[0.25, 0.75], [0, 0]])
