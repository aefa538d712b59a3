"""Whether an exact density is one where nothing can be enumerated: many variables, or real values.

If each conditional is a distribution of its own variable, whatever came before, and ignores what comes later, their
product sums to one. So the conditionals are looked at, at the model's own samples, and the samples against them:

- binary: E log p(x) = −Σ_i E H(x_i | x_<i) over samples x ~ p, a paired difference of mean 0;
- real: ∫ p(x_i | x_<i) dx_i = 1 by quadrature, and u_i = ∫_{−∞}^{x_i} p(t | x_<i) dt uniform (Rosenblatt, 1952).
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch
from scipy.stats import kstest
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.evaluation.verify import (
    Finding,
    below,
    drawn,
    has_terms,
    jacobian,
    likely,
    log_prob,
    log_terms,
    near,
    order_of,
    same_to,
    size_of,
    sum_to,
    unclaimed,
    unordered,
    worst,
)
from plausible.game import GenerativeModel
from plausible.probability.quadrature import quadrature

DRAWS = 1000  # samples
ROWS = 8  # of them, at which conditionals are looked into
PLACES = 16  # variables whose conditionals are looked into, at most
STEPS = 5.0  # standard errors
BLOCK = 100  # rows at a time
INTEGRAL = 1e-5
BEGINNING = "completes a beginning of its order"
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
PANELS = 24


def check_beyond(model: GenerativeModel) -> list[Finding]:
    """The claims of a model of binary or real variables, at its own samples, from torch's global random state."""
    if not has_terms(model):
        return [unclaimed("causal", "it has no terms in one order")]
    x = drawn(model, DRAWS)
    few, places = x[:ROWS], spread_places(size_of(model))
    with torch.no_grad():
        apart = worst(0.0, log_terms(model, few).sum(1) - log_prob(model, few))
    findings = [
        below("terms add up to log_prob", apart, sum_to(model) * size_of(model), "largest difference, nats"),
        below(
            "a term ignores later inputs", _moved(model, few, places), same_to(model), "largest change, nats"
        ),
        jacobian(model, few, places),
    ]
    if model.domain == "binary":
        both = near(
            "p(0) + p(1) given what comes before",
            1 + _both(model, few, places),
            1,
            sum_to(model),
            "farthest from 1",
        )
        return [*findings, both, entropic(model, x), completed(model, size_of(model) // 2)]
    return [
        *findings,
        integrated(model, few, places),
        transformed(model, x, places),
        completed(model, size_of(model) // 2),
    ]


def spread_places(size: int) -> list[int]:
    """At most PLACES of the order, spread evenly, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, size - 1, min(size, PLACES))})


# ---------------------------------------------------------------------- conditionals
@torch.no_grad()
def _moved(model: GenerativeModel, x: Tensor, places: list[int]) -> float:
    """The largest change of a term when what comes later is flipped; of real values, taken from another sample."""
    ordered, terms, most = _ordered(model, x), log_terms(model, x), 0.0
    other = 1 - ordered if model.domain == "binary" else ordered.roll(1, 0)
    for i in places:
        changed = torch.cat([ordered[:, : i + 1], other[:, i + 1 :]], 1)
        most = worst(most, (log_terms(model, unordered(model, changed)) - terms)[:, : i + 1])
    return most


@torch.no_grad()
def _both(model: GenerativeModel, x: Tensor, places: list[int]) -> float:
    """The largest |p(0 | x_<i) + p(1 | x_<i) − 1|."""
    ordered, terms, most = _ordered(model, x), log_terms(model, x), 0.0
    for i in places:
        other = ordered.clone()
        other[:, i] = 1 - other[:, i]
        both = terms[:, i].exp() + log_terms(model, unordered(model, other))[:, i].exp()
        most = worst(most, both - 1)
    return most


def integrated(model: GenerativeModel, x: Tensor, places: list[int]) -> Finding:
    """The ∫ p(x_i | x_<i) dx_i farthest from 1, by adaptive quadrature."""
    ordered = _ordered(model, x)
    peaks = ordered.cpu().double().numpy()
    totals = [_integral(model, row, i, peaks[:, i]) for row in ordered for i in places]
    note = f"∫ of {len(totals)} conditionals by quadrature, the farthest from 1"
    return near(
        "conditionals integrate to one", max(totals, key=lambda total: abs(total - 1)), 1, INTEGRAL, note
    )


def _integral(model: GenerativeModel, row: Tensor, i: int, points: np.ndarray) -> float:
    @torch.no_grad()
    def density(t: Tensor) -> Tensor:
        x = row.repeat(len(t), 1)
        x[:, i] = t
        return log_terms(model, unordered(model, x))[:, i].exp()

    try:
        return float(quadrature(density, -math.inf, math.inf, points))
    except PlausibleError:
        return math.nan


def integral_of_one(model: GenerativeModel) -> Finding:
    """∫ p(x) dx of a model of one real variable."""
    points = drawn(model, 50).flatten().double().tolist()
    found = quadrature(
        lambda t: log_prob(model, t.view(-1, *model.shape)).exp(), -math.inf, math.inf, points
    ).value
    return near("integrates to one", found, 1, INTEGRAL, "∫ exp log_prob of one variable, by quadrature")


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
        f"{len(x):,} {'completions' if known else 'samples'}; difference in standard errors"
    )
    return near(BEGINNING if known else "samples as surprising as they should be", steps, 0, STEPS, note)


@torch.no_grad()
def surprise(model: GenerativeModel, x: Tensor, known: int = 0) -> tuple[Tensor, Tensor]:
    """log p(x) and Σ_i H(x_i | x_<i) of each binary example, (B,) each, nats; both of all i but the first `known`."""
    logs, entropies = [], []
    for block in x.split(BLOCK):
        terms = log_terms(model, block)[:, known:].double()
        p, other = terms.exp(), -torch.expm1(terms).clamp(max=0)
        logs.append(terms.sum(1))
        entropies.append((torch.special.entr(p) + torch.special.entr(other)).sum(1))
    return torch.cat(logs), torch.cat(entropies)


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
    ordered = _ordered(model, x)
    spread = float(ordered[:, i].std().clamp_min(1e-6))
    edges = np.arange(PANELS)[:, None] / PANELS
    v = torch.from_numpy((edges + (_NODES + 1) / (2 * PANELS)).ravel()).to(ordered)
    weights = torch.from_numpy(np.tile(_WEIGHTS / (2 * PANELS), PANELS)).to(ordered)
    u = []
    for rows in ordered.split(BLOCK):
        many = rows[:, None].repeat(1, len(v), 1)
        many[:, :, i] -= spread * v / (1 - v)
        p = log_terms(model, unordered(model, many.flatten(0, 1)))[:, i].exp().view(len(rows), -1)
        u.append((p * weights * spread / (1 - v) ** 2).sum(1))
    values = torch.cat(u).double().cpu().numpy()
    return float(kstest(values, "uniform").pvalue) if np.isfinite(values).all() else 0.0


def completed(model: GenerativeModel, known: int) -> Finding:
    """Completions of the first `known` variables of a sample: of binary values by entropies, of real ones the next."""
    if not hasattr(model, "complete") or not 0 < known < size_of(model):
        return unclaimed(BEGINNING, "it has no complete" if known else "one variable")
    x, mask = drawn(model, 1)[0], unordered(model, torch.arange(size_of(model))[None] < known)[0]
    try:
        with torch.no_grad():
            found = cast(Any, model).complete(torch.where(mask, x, torch.nan), mask, DRAWS)
    except PlausibleError as error:
        return unclaimed(BEGINNING, str(error).partition(":")[0])
    kept = bool((found[:, mask] == x[mask]).all())
    if model.domain == "binary":
        return (
            entropic(model, found, known)
            if kept
            else near(BEGINNING, math.inf, 0, STEPS, "given values change")
        )
    p = _uniform(model, found, known) if kept else 0.0
    return likely(BEGINNING, p, f"p of KS, the next variable of {DRAWS:,} completions")


def _ordered(model: GenerativeModel, x: Tensor) -> Tensor:
    return x.flatten(1)[:, order_of(model)]
