"""The number of free parameters of a distribution, the motivation for autoregressive models.

| what | free parameters |
|---|---|
| Bernoulli | 1 |
| categorical with m outcomes | m − 1: the last follows from the sum |
| one RGB pixel of 256 levels a channel | 256³ − 1 = 16,777,215 |
| n binary pixels, fully dependent | 2ⁿ − 1 |
| n binary pixels, independent | n |
| n binary pixels, first-order Markov | 1 + 2(n − 1) = 2n − 1 |

Each function raises `PlausibleError` for a count below 1 and for anything but a whole number. Results are exact
integers of any size.
"""

from __future__ import annotations

from plausible.probability.checks import as_whole_number

__all__ = [
    "bernoulli_parameters",
    "categorical_parameters",
    "chain_rule_parameters",
    "dependent_parameters",
    "independent_parameters",
    "markov_parameters",
    "rgb_pixel_parameters",
]


def bernoulli_parameters() -> int:
    """1: P(1) = p, and P(0) = 1 − p follows."""
    return categorical_parameters(2)


def categorical_parameters(m: int) -> int:
    """m − 1 for m outcomes: m probabilities, less one for Σ p = 1."""
    return as_whole_number(m, "m", 1) - 1


def rgb_pixel_parameters(levels: int = 256) -> int:
    """levels³ − 1: one pixel's (red, green, blue) is one outcome of levels³. 256 levels: 16,777,215, not 255³."""
    return categorical_parameters(as_whole_number(levels, "levels", 1) ** 3)


def dependent_parameters(n: int, levels: int = 2) -> int:
    """levelsⁿ − 1: n pixels that may all depend on one another are one outcome of levelsⁿ. Binary: 2ⁿ − 1."""
    return categorical_parameters(as_whole_number(levels, "levels", 1) ** as_whole_number(n, "n", 1))


def chain_rule_parameters(n: int, levels: int = 2) -> tuple[int, ...]:
    """The same distribution pixel by pixel, P(xᵢ | x₁ … xᵢ₋₁): (levels − 1)·levelsⁱ⁻¹ numbers for i = 1 … n.

    Binary: 1, 2, 4, …, in all 2ⁿ − 1: the chain rule alone saves nothing, assumptions do.
    """
    k = as_whole_number(levels, "levels", 1)
    return tuple((k - 1) * k**i for i in range(as_whole_number(n, "n", 1)))


def independent_parameters(n: int, levels: int = 2) -> int:
    """n (levels − 1): each pixel its own distribution, none depending on another. Binary: n."""
    return as_whole_number(n, "n", 1) * categorical_parameters(levels)


def markov_parameters(n: int, levels: int = 2) -> int:
    """(levels − 1) + (n − 1)·levels·(levels − 1): P(x₁), then P(xᵢ | xᵢ₋₁) for i = 2 … n. Binary: 2n − 1."""
    free = categorical_parameters(levels)
    return free + (as_whole_number(n, "n", 1) - 1) * levels * free
