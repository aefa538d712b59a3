"""Hypothesis strategies: joint tables of up to 4 variables, with zeros and tiny probabilities among theirs."""

import itertools
import math

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from plausible.probability import Table

laws = settings(max_examples=60, deadline=None, derandomize=True)

weight = st.one_of(st.floats(1e-3, 1.0), st.sampled_from([0.0, 0.0, 1e-12, 1e-300]))


def probabilities(count):
    """Lists of `count` weights, one of them at least 1e-3, divided by their sum."""
    return (
        st.lists(weight, min_size=count, max_size=count)
        .filter(lambda w: max(w) >= 1e-3)
        .map(lambda w: np.array(w) / sum(w))
    )


@st.composite
def tables(draw, least=1, most=4, outcomes=3):
    sizes = draw(st.lists(st.integers(1, outcomes), min_size=least, max_size=most))
    p = draw(probabilities(math.prod(sizes)))
    names = itertools.islice("abcd", len(sizes))
    return Table({name: range(n) for name, n in zip(names, sizes, strict=True)}, p.reshape(sizes))


@st.composite
def pairs(draw, most=4):
    """Two tables over the same variables and outcomes."""
    first = draw(tables(most=most))
    second = draw(probabilities(first.probabilities.size))
    return first, Table(first.values, second.reshape(first.shape))


@st.composite
def channels(draw, inputs):
    """A stochastic matrix (inputs, 1…4)."""
    outputs = draw(st.integers(1, 4))
    return np.stack([draw(probabilities(outputs)) for _ in range(inputs)])
