"""Discrete distributions and joint tables over named variables, and the rules that connect them.

    marginal      P(x)      = Σ_y P(x, y)                    conditional   P(x | y) = P(x, y) / P(y)
    chain rule    P(x, y)   = P(x | y) P(y)                  Bayes         P(x | y) = P(y | x) P(x) / P(y)

    die = Table.uniform(die=range(1, 7))
    coin = Table.of("coin", {"H": 0.5, "T": 0.5})
    both = die * coin                                        # independent: P(die, coin) = P(die) P(coin)
    print(both.condition(coin="H").expectation("die"))       # 3.5
    weather = Table({"weather": ["sun", "rain"], "sales": [0, 1, 2]}, [[.1, .2, .3], [.2, .1, .1]])
    print(weather.conditional("sales", given="weather"))

Source: Goodfellow, Bengio & Courville, Deep Learning (2016), chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability import moments, printing
from plausible.probability.checks import (
    as_float64,
    as_names,
    as_probabilities,
    as_seed,
    as_values,
    as_whole_number,
    outcome_index,
)
from plausible.probability.independence import Independence, measure_dependence

__all__ = ["Conditional", "Table", "bayes"]

_Function = str | Callable[..., object]  # a variable's name, or a function whose parameters are variables


class Table:
    """A joint distribution P(x₁, …, x_k) of k ≥ 1 discrete named variables.

    values: variable → its outcomes (any hashable: numbers, strings, tuples), in the order of the axes.
    probabilities: array-like (n₁, …, n_k), nᵢ the number of outcomes of variable i; each ≥ 0, the sum 1. Kept as
    read-only float64, divided by their sum when that is within 1e-6 of 1.

    Raises `PlausibleError` for a wrong shape, a negative or non-finite entry, an outcome given twice, and for a
    sum that is not 1 (shown).
    """

    def __init__(self, values: Mapping[str, Iterable[Hashable]], probabilities: object) -> None:
        self.values: dict[str, tuple[Hashable, ...]] = as_values(values)
        array = as_probabilities(probabilities, f"table over {', '.join(self.values)}")
        shape = tuple(len(outcomes) for outcomes in self.values.values())
        if array.shape != shape:
            wanted = ", ".join(f"{name}: {n}" for name, n in zip(self.values, shape, strict=True))
            raise PlausibleError(
                f"table over {', '.join(self.values)}: probabilities of shape {array.shape}, but the variables have "
                f"{shape} outcomes ({wanted}); one axis per variable, in their order"
            )
        array.flags.writeable = False
        self.probabilities: np.ndarray = array

    @classmethod
    def of(cls, name: str, probabilities: Mapping[Hashable, float]) -> Table:
        """One variable from outcome → probability: `Table.of("coin", {"H": 0.5, "T": 0.5})`."""
        return cls({name: probabilities.keys()}, list(probabilities.values()))

    @classmethod
    def uniform(cls, **values: Iterable[Hashable]) -> Table:
        """Every combination equally likely, P = 1/(n₁ ⋯ n_k): `Table.uniform(die=range(1, 7), coin="HT")`."""
        listed = as_values(values)
        shape = [len(outcomes) for outcomes in listed.values()]
        return cls(listed, np.full(shape, 1 / np.prod(shape)))

    @classmethod
    def frequencies(cls, columns: Mapping[str, Iterable[Hashable]]) -> Table:
        """Relative frequencies of rows: P(x) = (rows equal to x) / n, the maximum-likelihood table.

        columns: variable → its n values, one per row, as `sample` returns them. Outcomes are those that occur,
        sorted if possible. Raises for columns of different lengths and for no rows.
        """
        listed = {name: [_plain(value) for value in column] for name, column in columns.items()}
        lengths = {name: len(column) for name, column in listed.items()}
        if len(set(lengths.values())) != 1 or not all(lengths.values()):
            raise PlausibleError(
                f"frequencies: columns need the same number of rows, at least one; got {lengths}"
            )
        values = as_values({name: moments.ordered(column) for name, column in listed.items()})
        counts = np.zeros([len(outcomes) for outcomes in values.values()])
        places = [{value: i for i, value in enumerate(outcomes)} for outcomes in values.values()]
        indices = [
            [place[value] for value in column] for place, column in zip(places, listed.values(), strict=True)
        ]
        np.add.at(counts, tuple(np.array(index) for index in indices), 1)
        return cls(values, counts / counts.sum())

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, in the order of the axes."""
        return tuple(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of outcomes of each variable."""
        return self.probabilities.shape

    def __mul__(self, other: Table) -> Table:
        """The joint distribution of independent variables: P(x, y) = P(x) P(y). The tables may not share a variable."""
        if not isinstance(other, Table):
            return NotImplemented
        both = [name for name in self.names if name in other.names]
        if both:
            raise PlausibleError(
                f"both tables have a variable {both[0]!r}: independent variables need different names"
            )
        return Table(self.values | other.values, np.multiply.outer(self.probabilities, other.probabilities))

    def probability(self, /, **event: Hashable) -> float:
        """P(event), summed over the variables not named: `both.probability(die=6)` is P(die = 6)."""
        as_names(event, self.names, "probability")
        return float(self.probabilities[self._where(event)].sum())

    def marginal(self, *names: str) -> Table:
        """P(names) = Σ over all other variables of P. The axes are in the order of `names`."""
        kept = as_names(names, self.names, "marginal")
        if not kept:
            raise PlausibleError(f"marginal: name at least one variable of {', '.join(self.names)}")
        others = tuple(i for i, name in enumerate(self.names) if name not in kept)
        order = [name for name in self.names if name in kept]
        summed = self.probabilities.sum(axis=others)
        return Table(
            {name: self.values[name] for name in kept}, summed.transpose([order.index(name) for name in kept])
        )

    def condition(self, /, **event: Hashable) -> Table:
        """P(the other variables | event) = P(others, event) / P(event); raises when P(event) = 0."""
        names = as_names(event, self.names, "condition")
        rest = {name: outcomes for name, outcomes in self.values.items() if name not in names}
        if not rest:
            raise PlausibleError(
                f"condition: all of {', '.join(self.names)} are fixed; use probability(…) for a number"
            )
        part = self.probabilities[self._where(event)]
        if part.sum() == 0:
            shown = ", ".join(f"{name}={value!r}" for name, value in event.items())
            raise PlausibleError(f"condition: P({shown}) = 0, so nothing can be conditioned on it")
        return Table(rest, part / part.sum())

    def conditional(self, *names: str, given: str | Sequence[str]) -> Conditional:
        """P(names | given) for every outcome of `given` at once; rows whose condition has P = 0 are NaN.

        Variables that are neither in `names` nor in `given` are marginalised first.
        """
        targets = as_names(names, self.names, "conditional")
        conditions = as_names(given, self.names, "conditional, given")
        joint = self.marginal(*as_names((*conditions, *targets), self.names, "conditional"))
        weight = joint.probabilities.sum(axis=tuple(range(len(conditions), len(joint.names))), keepdims=True)
        rows = np.divide(joint.probabilities, weight, out=np.full(joint.shape, np.nan), where=weight > 0)
        return Conditional(
            {n: self.values[n] for n in targets}, {n: self.values[n] for n in conditions}, rows
        )

    def function(self, name: str, f: _Function) -> Table:
        """The distribution of y = f(x), called `name`: P(y) = Σ_{x: f(x) = y} P(x).

        `two.function("total", lambda first, second: first + second)`; f's parameters are variables of the table
        (`**row` takes all). Impossible x are left out, so f is never called on them.
        """
        outcomes = moments.evaluate(self.values, self.probabilities, f, object)
        mass: dict[Hashable, float] = {}
        for index in zip(*np.nonzero(self.probabilities), strict=True):
            value = _plain(outcomes[index])
            mass[value] = mass.get(value, 0.0) + float(self.probabilities[index])
        values = moments.ordered(mass)
        return Table({name: values}, [mass[value] for value in values])

    def expectation(self, f: _Function) -> float:
        """E[f(x)] = Σ_x P(x) f(x). f: a variable's name, or a function of variables, as in `function`.

        A fair die: `die.expectation("die")` is 3.5. The probability of an event is the expectation of its
        indicator: `die.expectation(lambda die: die > 4)` is 1/3. Terms with P(x) = 0 are 0, even where f is ∞.
        """
        return moments.mean(self.probabilities, self._evaluate(f))

    def variance(self, f: _Function) -> float:
        """Var[f] = E[(f − E f)²] ≥ 0. A fair die: 35/12."""
        return self.covariance(f, f)

    def covariance(self, f: _Function, g: _Function) -> float:
        """Cov[f, g] = E[(f − E f)(g − E g)]; 0 if the two are independent, but not only then."""
        return moments.covariance(self.probabilities, self._evaluate(f), self._evaluate(g))

    def independence(
        self, first: str | Sequence[str], second: str | Sequence[str], given: str | Sequence[str] = ()
    ) -> Independence:
        """Whether first ⊥ second | given, and the largest violation max |P(x, y|z) − P(x|z) P(y|z)| with its place.

        `first`, `second`, `given`: a variable or several; no variable may be in two of them. Conditions z with
        P(z) = 0 are left out. See `Independence`.
        """
        groups = [as_names(names, self.names, "independence") for names in (first, second, given)]
        if not groups[0] or not groups[1]:
            raise PlausibleError("independence: name at least one variable on either side")
        joint = self.marginal(*as_names([n for group in groups for n in group], self.names, "independence"))
        return measure_dependence(joint.values, joint.probabilities, groups)

    def sample(self, n: int, seed: int = 0) -> dict[str, np.ndarray]:
        """n independent samples: variable → array (n,) of outcomes. The same seed gives the same samples."""
        rng = np.random.default_rng(as_seed(seed))
        flat = rng.choice(
            self.probabilities.size, size=as_whole_number(n, "sample: n", 0), p=self.probabilities.ravel()
        )
        places = np.unravel_index(flat, self.shape)
        return {
            name: _column(self.values[name])[place] for name, place in zip(self.names, places, strict=True)
        }

    def _evaluate(self, f: _Function) -> np.ndarray:
        """f of every outcome, an array of the table's shape."""
        return moments.evaluate(self.values, self.probabilities, f, float)

    def _where(self, event: Mapping[str, Hashable]) -> tuple[int | slice, ...]:
        return tuple(
            outcome_index(self.values, name, event[name]) if name in event else slice(None)
            for name in self.names
        )

    def __str__(self) -> str:
        return printing.as_text(*printing.table_grid(self.values, self.probabilities))

    def __repr__(self) -> str:
        return f"Table({', '.join(f'{name}: {len(self.values[name])}' for name in self.names)})"

    def _repr_html_(self) -> str:
        return printing.as_html(*printing.table_grid(self.values, self.probabilities))


class Conditional:
    """P(targets | given): a family of distributions over the targets, one for every outcome of the given variables.

    targets, given: variable → outcomes. probabilities: array-like (*given's outcomes, *targets' outcomes); for each
    outcome of `given` the entries are ≥ 0 and sum to 1, or are all NaN where the condition is impossible.

    `Conditional({"test": "+-"}, {"ill": [True, False]}, [[.99, .01], [.05, .95]])` is P(test | ill).
    Raises `PlausibleError` for shapes that do not fit and rows that do not sum to 1 (shown).
    """

    def __init__(
        self,
        targets: Mapping[str, Iterable[Hashable]],
        given: Mapping[str, Iterable[Hashable]],
        probabilities: object,
    ) -> None:
        self.targets: dict[str, tuple[Hashable, ...]] = as_values(targets)
        self.given: dict[str, tuple[Hashable, ...]] = as_values(given)
        title = f"P({', '.join(self.targets)} | {', '.join(self.given)})"
        array = as_float64(probabilities, title)
        shape = tuple(len(outcomes) for outcomes in (*self.given.values(), *self.targets.values()))
        if set(self.targets) & set(self.given) or array.shape != shape:
            raise PlausibleError(
                f"{title}: probabilities of shape {array.shape} for {shape} outcomes; the given variables' axes come "
                "first, then the targets', and no variable is on both sides"
            )
        rows = array.reshape(int(np.prod(shape[: len(self.given)])), -1)
        for place, row in enumerate(rows):
            if not np.isnan(row).all():
                rows[place] = as_probabilities(row, f"{title}, row {place}")
        array = rows.reshape(shape)
        array.flags.writeable = False
        self.probabilities: np.ndarray = array

    def at(self, /, **event: Hashable) -> Table:
        """P(targets | given = event), one row as a table; every given variable must be named."""
        names = as_names(event, self.given, "at")
        if len(names) != len(self.given):
            missing = ", ".join(name for name in self.given if name not in names)
            raise PlausibleError(f"at: {missing} not fixed; fix all of {', '.join(self.given)}")
        row = self.probabilities[tuple(outcome_index(self.given, name, event[name]) for name in self.given)]
        if np.isnan(row).any():
            shown = ", ".join(f"{name}={value!r}" for name, value in event.items())
            raise PlausibleError(f"at: P({shown}) = 0, so there is no distribution under it")
        return Table(self.targets, row)

    def joint(self, prior: Table) -> Table:
        """The chain rule: P(x, y) = P(x) P(y | x), with x the variables of `prior` and y the targets.

        `prior` needs every given variable, with the same outcomes. Of variables it has beside them, the targets
        are conditionally independent: P(w, x, y) = P(w, x) P(y | x), as in a Markov chain. Raises where the prior
        gives weight to a condition whose row is NaN. Total probability: `.joint(prior).marginal("y")`.
        """
        as_names(self.given, prior.names, "joint")
        fresh = [name for name in self.targets if name in prior.names]
        if fresh:
            raise PlausibleError(
                f"joint: {fresh[0]!r} is a target and in the prior; a variable has one distribution"
            )
        rest = [name for name in prior.names if name not in self.given]
        weight = prior.marginal(*rest, *self.given).probabilities
        for axis, name in enumerate(self.given, start=len(rest)):
            weight = weight.take(_places(prior.values[name], self.given[name], name), axis=axis)
        weight = weight.reshape(weight.shape + (1,) * len(self.targets))
        if (np.isnan(self.probabilities) & (weight > 0)).any():
            raise PlausibleError(
                "joint: the prior gives weight to a condition whose row is NaN; define that row"
            )
        values = {name: prior.values[name] for name in rest} | self.given | self.targets
        return Table(values, weight * np.nan_to_num(self.probabilities)).marginal(*prior.names, *self.targets)

    def __str__(self) -> str:
        return printing.as_text(*printing.conditional_grid(self.targets, self.given, self.probabilities))

    def __repr__(self) -> str:
        return f"Conditional({', '.join(self.targets)} | {', '.join(self.given)})"

    def _repr_html_(self) -> str:
        return printing.as_html(*printing.conditional_grid(self.targets, self.given, self.probabilities))


def bayes(prior: Table, likelihood: Conditional) -> Conditional:
    """The posterior P(x | y) = P(y | x) P(x) / Σ_x' P(y | x') P(x'), for every y at once.

    prior P(x); likelihood P(y | x). Rows of y that cannot occur are NaN. Generative classification is this with
    x the class: `bayes(classes, models).at(y=…)`.
    """
    return likelihood.joint(prior).conditional(*prior.names, given=tuple(likelihood.targets))


def _places(have: Sequence[Hashable], want: Sequence[Hashable], name: str) -> list[int]:
    """The index of each of `want` in `have`; different sets of outcomes are an error."""
    if set(have) != set(want):
        odd = sorted(set(have) ^ set(want), key=repr)[0]
        raise PlausibleError(
            f"joint: {name!r} has the outcome {odd!r} on one side only; give both the same outcomes"
        )
    return [have.index(value) for value in want]


def _plain(value: Hashable) -> Hashable:
    """A NumPy scalar as a Python number or string, so that tables print and compare as expected."""
    return value.item() if isinstance(value, np.generic) else value


def _column(outcomes: tuple[Hashable, ...]) -> np.ndarray:
    """Outcomes as an array (n,): of numbers, strings or booleans if all are of one type, otherwise of objects."""
    kinds = {type(value) for value in outcomes}
    if len(kinds) == 1 and kinds <= {int, float, str, bool}:
        return np.array(outcomes)
    column = np.empty(len(outcomes), dtype=object)
    column[:] = outcomes
    return column
