"""Whether an exact density is one where not everything can be enumerated: many variables, or real values.

If each conditional is a distribution of its own variable, whatever came before, and ignores what comes later, their
product sums to one. So the conditionals are looked at, at the model's own samples, and the samples against them:

- levels: E log p(x) = −Σ_i E H(x_i | x_<i) over samples x ~ p, a paired difference of mean 0;
- real: ∫ p(x_i | x_<i) dx_i = 1 by quadrature, and u_i = ∫_{−∞}^{x_i} p(t | x_<i) dt uniform (Rosenblatt, 1952).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from scipy.stats import kstest
from torch import Tensor

from plausible.capabilities import Autoregressive, Completion, LevelProbabilities, in_place, require, supports
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.probability import quadrature
from plausible.verification.enumeration import conditionals, jacobian, keeps
from plausible.verification.findings import Finding, below, largest, likely, near, unclaimed
from plausible.verification.plane import check_plane
from plausible.verification.subject import (
    BLOCK,
    NUMBERS,
    as_levels,
    at_levels,
    blocks,
    levels_of,
    log_conditionals,
    log_prob,
    log_terms,
    ordered,
    probabilities_claim,
    same_to,
    samples_of,
    size_of,
    sum_to,
)

DRAWS = 1000  # samples
FEWEST = 50  # of a model of so many variables and levels that a sample is dear
ROWS = 8  # of them, at which conditionals are looked into
FEW = 4  # of them and of the places, where that takes an evaluation for each of many levels
PLACES = 16  # variables whose conditionals are looked into, at most
CHANGED = 4096  # examples with later variables changed, at most, if these are more than the variables
PAIRS = 200  # examples with one variable changed
STEPS = 5.0  # standard errors
INTEGRAL = 1e-5
BEGINNING, SURPRISE = "completes a beginning of its order", "samples as surprising as they should be"
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
PANELS = 24


def check_beyond(model: GenerativeModel) -> list[Finding]:
    """The claims of a model of levels or real variables, at its own samples, from torch's global random state."""
    if not supports(model, Autoregressive):
        whole = check_plane(model) if model.domain == "real" and size_of(model) == 2 else []
        return [unclaimed("causal", "it has no terms in one order"), *whole]
    x, levels = samples_of(model, draws_of(model)), levels_of(model)
    if levels and as_levels(model, x) is None:
        return [
            near(SURPRISE, math.inf, 0, STEPS, f"a sample has a value that is none of the {levels} levels")
        ]
    few, places = x[:ROWS], spread_places(size_of(model))
    with torch.no_grad():
        apart = largest(0.0, log_terms(model, few).sum(1) - log_prob(model, few))
    findings = [
        below("terms add up to log_prob", apart, sum_to(model) * size_of(model), "largest difference, nats"),
        below("a term ignores later inputs", *causality(model, few)),
        jacobian(model, few, places),
    ]
    if levels:
        shares = conditionals(model, few) if supports(model, LevelProbabilities) else []
        if levels == 2 or not shares:
            shares.insert(0, summed(model, few, places))
        samples = [*shares, entropic(model, x)]
    else:
        samples = [integrated(model, few, places), transformed(model, x, places)]
    return [*findings, *samples, completed(model, size_of(model) // 2)]


def draws_of(model: GenerativeModel) -> int:
    """How many samples: 1,000, but 50 of 784 variables of 256 levels."""
    levels = levels_of(model)
    return max(FEWEST, min(DRAWS, NUMBERS // (size_of(model) * levels))) if levels else DRAWS


def spread_places(size: int) -> list[int]:
    """At most PLACES of the order, spread evenly, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, size - 1, min(size, PLACES))})


# ---------------------------------------------------------------------- conditionals
def causality(model: GenerativeModel, x: Tensor) -> tuple[float, float, str]:
    """The largest change of a term when later variables change; what it must be below; and what was looked at.

    At every place i of the order all later variables change, and the terms up to i must not: a leak of x_j into an
    earlier term shows at place j − 1, whatever j is. That is done for as many of the samples as CHANGED examples allow,
    one at least. A sample may hide a leak (behind a unit that is off), so PAIRS times a random variable of any of the
    samples changes alone, and the terms before it must not.
    """
    size, rows = size_of(model), x[: max(1, min(len(x), CHANGED // size_of(model)))]
    here, other = ordered(model, x), another(model, ordered(model, x))
    places, most = torch.arange(size), 0.0
    for row in range(len(rows)):
        later = places > places[:, None]
        most = largest(most, _moved(model, here[row], other[row], later, places))
    pairs = torch.randint(size, (min(PAIRS, PAIRS * (size - 1)),))
    for row, some in enumerate(pairs.tensor_split(len(x))):
        single = places == some[:, None]
        most = largest(most, _moved(model, here[row], other[row], single, some - 1))
    note = (
        f"largest change, nats: after each of {size} variables of {len(rows)} samples, and of {len(pairs)} variables "
        f"changed one at a time in {len(x)} samples"
    )
    return most, same_to(model), note


def another(model: GenerativeModel, here: Tensor) -> Tensor:
    """Other values of every variable, (B, D): another level, or of real variables another sample's value."""
    if not levels_of(model):
        return here.roll(1, 0)
    k = cast(Tensor, as_levels(model, here))
    return at_levels(model, (k + torch.randint_like(k, 1, levels_of(model))) % levels_of(model))


@torch.no_grad()
def _moved(model: GenerativeModel, here: Tensor, other: Tensor, changed: Tensor, last: Tensor) -> Tensor:
    """How far terms 0 … last[r] of one sample move when its variables changed[r] take other values, (moves,).

    Args:
        here, other: the sample and its other values, (D,), in the model's order.
        changed: which variables change, (rows, D), bool.
        last: the last term that must not move, (rows,); −1: none.
    """
    places, moves = torch.arange(len(here)), [here.new_zeros(0)]
    terms = log_terms(model, in_place(model, here[None]))
    for which, until in zip(changed.split(BLOCK), last.split(BLOCK), strict=True):
        mixed = torch.where(which.to(here.device), other, here)
        apart = log_terms(model, in_place(model, mixed)) - terms
        moves.append(apart[(places <= until[:, None]).to(here.device)])
    return torch.cat(moves)


def summed(model: GenerativeModel, x: Tensor, places: list[int]) -> Finding:
    """The Σ_k p(x_i = k/(K − 1) | x_<i) farthest from 1, by replacing x_i; of more than two levels at few places."""
    if levels_of(model) > 2:
        x, places = x[:FEW], fewer(places)
    here, apart = ordered(model, x), 0.0
    for i in places:
        apart = largest(apart, replaced(model, here, i).exp().sum(1) - 1)
    note = f"the farthest from 1, at {len(places)} variables of {len(x)} samples"
    return near(probabilities_claim(model), 1 + apart, 1, sum_to(model), note)


@torch.no_grad()
def replaced(model: GenerativeModel, x: Tensor, i: int) -> Tensor:
    """log p(x_i = k/(K − 1) | x_<i) of each level, by its term with that in the place of x_i.

    Args:
        x: (B, D), in the model's order.
        i: the place in the order.

    Returns: (B, K), float64, nats.
    """
    levels = levels_of(model)
    values, logs = at_levels(model, torch.arange(levels, device=x.device)), []
    for rows in x.split(max(1, BLOCK // levels)):
        many = rows[:, None].repeat(1, levels, 1)
        many[:, :, i] = values
        examples = in_place(model, many.flatten(0, 1))
        terms = [log_terms(model, block)[:, i] for block in blocks(model, examples)]
        logs.append(torch.cat(terms).view(-1, levels))
    return torch.cat(logs).double()


def fewer(places: list[int]) -> list[int]:
    """Some of the places, where each costs an evaluation for each level."""
    return places[:: math.ceil(len(places) / FEW)]


def integrated(model: GenerativeModel, x: Tensor, places: list[int]) -> Finding:
    """The ∫ p(x_i | x_<i) dx_i farthest from 1, by adaptive quadrature."""
    here = ordered(model, x)
    peaks = here.cpu().double().numpy()
    points = {i: [*peaks[:, i], *kinks_of(model, i)] for i in places}
    totals = [_integral(model, row, i, points[i]) for row in here for i in places]
    note = f"∫ of {len(totals)} conditionals by quadrature, the farthest from 1"
    return near(
        "conditionals integrate to one", max(totals, key=lambda total: abs(total - 1)), 1, INTEGRAL, note
    )


def kinks_of(model: GenerativeModel, i: int) -> list[float]:
    """Where the model says that the density of its i-th variable jumps: no more than where quadrature begins."""
    kinks = getattr(model, "kinks", None)
    return kinks(i).double().tolist() if kinks else []


def _integral(model: GenerativeModel, row: Tensor, i: int, points: Sequence[float]) -> float:
    @torch.no_grad()
    def density(t: Tensor) -> Tensor:
        x = row.repeat(len(t), 1)
        x[:, i] = t
        return log_terms(model, in_place(model, x))[:, i].exp()

    try:
        return float(quadrature(density, -math.inf, math.inf, points))
    except PlausibleError:
        return math.nan


def integral_of_one(model: GenerativeModel) -> Finding:
    """∫ p(x) dx of a model of one real variable."""
    points = [*samples_of(model, 50).flatten().double().tolist(), *kinks_of(model, 0)]
    within = getattr(model, "density_tolerance", 0.0)
    found = quadrature(
        lambda t: log_prob(model, t.view(-1, *model.shape)).exp(),
        -math.inf,
        math.inf,
        points,
        floor=within / 10,
    ).value
    note = "∫ exp log_prob of one variable, by quadrature"
    return near("integrates to one", found, 1, within or INTEGRAL, note)


# ---------------------------------------------------------------------- samples against the conditionals
def entropic(model: GenerativeModel, x: Tensor, known: int = 0) -> Finding:
    """Mean log p of samples against −Σ_i of the entropies of the conditionals they were drawn from, paired.

    Of completions of the first `known` variables of the order, that of the rest given them.
    """
    logs, entropies = surprise(model, x, known)
    apart = logs + entropies
    error = float(apart.std()) / math.sqrt(len(apart))
    steps = float(apart.mean()) / error if error else (0.0 if bool((apart == 0).all()) else math.inf)
    note = (
        f"mean log p {float(logs.mean()):.2f}, −ΣH {-float(entropies.mean()):.2f} nats, ± {error:.2f}; "
        f"{_words(model, x, known)}; difference in standard errors"
    )
    return near(BEGINNING if known else SURPRISE, steps, 0, STEPS, note)


def _words(model: GenerativeModel, x: Tensor, known: int) -> str:
    """How many examples were looked at, and where that is less than usual, why."""
    words = f"{len(x):,} {'completions' if known else 'samples'}"
    if len(x) < DRAWS:
        words += f", no more because of the {size_of(model)} × {levels_of(model)} levels"
    looked = looked_at(model, known)
    if len(looked) < size_of(model) - known:
        words += f"; {len(looked)} variables, for want of log_conditionals"
    return words


def looked_at(model: GenerativeModel, known: int) -> list[int]:
    """The places after the first `known` whose entropies are found: all, or few where each level is to be replaced."""
    size = size_of(model)
    if levels_of(model) == 2 or supports(model, LevelProbabilities):
        return list(range(known, size))
    return [known + place for place in fewer(spread_places(size - known))]


@torch.no_grad()
def surprise(model: GenerativeModel, x: Tensor, known: int = 0) -> tuple[Tensor, Tensor]:
    """Σ_i log p(x_i | x_<i) and Σ_i H(x_i | x_<i) over the places `looked_at`, of each example, (B,) each, nats."""
    places, logs, entropies = looked_at(model, known), [], []
    for block in blocks(model, x):
        terms = log_terms(model, block)[:, places].double()
        logs.append(terms.sum(1))
        entropies.append(_entropies(model, block, terms, places).sum(1))
    return torch.cat(logs), torch.cat(entropies)


def _entropies(model: GenerativeModel, x: Tensor, terms: Tensor, places: list[int]) -> Tensor:
    """H(x_i | x_<i) at the places, (B, places), nats; terms: log p(x_i | x_<i) there."""
    if levels_of(model) == 2:
        p = torch.stack([terms.exp(), -torch.expm1(terms).clamp(max=0)], 2)
    elif supports(model, LevelProbabilities):
        p = log_conditionals(model, x)[:, places].double().exp()
    else:
        p = torch.stack([replaced(model, ordered(model, x), i).exp() for i in places], 1)
    return torch.special.entr(p).sum(2)


def transformed(model: GenerativeModel, x: Tensor, places: list[int]) -> Finding:
    """The least p of Kolmogorov and Smirnov's test that u_i is uniform, over at most 4 variables."""
    some = places[:: max(1, math.ceil(len(places) / 4))]
    least = min(_uniform(model, x[: DRAWS // 2], i) for i in some)
    return likely(
        "samples follow the density", least, f"least p of KS, {DRAWS // 2} samples × {len(some)} variables"
    )


@torch.no_grad()
def _uniform(model: GenerativeModel, x: Tensor, i: int) -> float:
    """p of the KS test of u_i = ∫_{−∞}^{x_i} p(t | x_<i) dt = ∫_0^1 p(x_i − s·v/(1 − v)) s/(1 − v)² dv."""
    here = ordered(model, x)
    spread = float(here[:, i].std().clamp_min(1e-6))
    kinks = torch.tensor(kinks_of(model, i)).to(here)
    u = []
    for rows in here.split(max(1, BLOCK * PANELS // (PANELS + len(kinks)))):
        v, weights = _nodes_below(rows[:, i], spread, kinks)
        many = rows[:, None].repeat(1, v.shape[1], 1)
        many[:, :, i] -= spread * v / (1 - v)
        p = log_terms(model, in_place(model, many.flatten(0, 1)))[:, i].exp().view_as(v)
        u.append((p * weights * spread / (1 - v) ** 2).sum(1))
    values = torch.cat(u).double().cpu().numpy()
    return float(kstest(values, "uniform").pvalue) if np.isfinite(values).all() else 0.0


def _nodes_below(x: Tensor, spread: float, kinks: Tensor) -> tuple[Tensor, Tensor]:
    """Places v in (0, 1) and weights of Gauss's rule, (B, nodes) each, on PANELS panels that end at the kinks too."""
    away = (x[:, None] - kinks).clamp_min(0)
    even = torch.linspace(0, 1, PANELS + 1).to(x).expand(len(x), -1)
    edges = torch.cat([even, away / (spread + away)], 1).sort(1).values
    half = edges.diff(dim=1)[:, :, None] / 2
    nodes, weights = torch.from_numpy(_NODES).to(x), torch.from_numpy(_WEIGHTS).to(x)
    return (edges[:, :-1, None] + half * (nodes + 1)).flatten(1), (half * weights).flatten(1)


def completed(model: GenerativeModel, known: int) -> Finding:
    """Completions of the first `known` variables of a sample: of levels by entropies, of real values the next."""
    if not supports(model, Completion) or not 0 < known < size_of(model):
        return unclaimed(BEGINNING, "it has no complete" if known else "one variable")
    x, mask = samples_of(model, 1)[0], in_place(model, torch.arange(size_of(model))[None] < known)[0]
    try:
        with torch.no_grad():
            found = require(model, Completion).complete(
                torch.where(mask, x, torch.nan), mask, draws_of(model)
            )
    except PlausibleError as error:
        return unclaimed(BEGINNING, str(error).partition(":")[0])
    kept = keeps(model, found, x, mask)
    if levels_of(model):
        if kept and as_levels(model, found) is not None:
            return entropic(model, found, known)
        wrong = "a value is none of the levels" if kept else "given values change"
        return near(BEGINNING, math.inf, 0, STEPS, wrong)
    p = _uniform(model, found, known) if kept else 0.0
    return likely(BEGINNING, p, f"p of KS, the next variable of {len(found):,} completions")
