"""Whether an exact density is one: by enumeration of everything there could be, for at most 4,096 inputs.

D variables of K levels have K^D of them: 12 binary variables, 6 of four levels.

    Σ_x p(x) = 1,   p(x_i | x_<i) ignores x_>i,   samples ~ p,   completions ~ p(rest | given)

The checks use capabilities (`plausible.capabilities`), never a class: Density, and where the model has them
Autoregressive, LevelProbabilities and Completion. What a model does not claim is reported as such, not as a failure.
More variables, and real ones: `plausible.verification.conditionals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Autoregressive, Completion, LevelProbabilities, in_place, require, supports
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.verification.findings import Finding, below, chi2_p_value, largest, likely, near, unclaimed
from plausible.verification.subject import (
    CLOSE,
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

MOST = 4096  # inputs that are enumerated
DRAWS = 50_000  # samples that are counted, and a fifth of it of each completion
FROM_UNIFORM, FROM_INDEPENDENT = 0.5, 0.1  # nats: what a twin's tests need to see anything


# ---------------------------------------------------------------------- everything there could be
@dataclass(frozen=True)
class Everything:
    """All K^D inputs of a model and what it says of them.

    Attributes:
        model: of K levels, K^D ≤ 4,096.
        levels: K.
        k: the level of each variable in each input, (K^D, D), int64, in the model's order; a row's number has them for
            digits, the first variable's the highest.
        logs: log p, (K^D,), float64.
    """

    model: GenerativeModel
    levels: int
    k: Tensor
    logs: Tensor

    @classmethod
    def of(cls, model: GenerativeModel) -> Everything:
        levels = levels_of(model)
        k = torch.cartesian_prod(*[torch.arange(levels)] * size_of(model)).view(-1, size_of(model))
        return cls(model, levels, k, log_prob(model, in_place(model, at_levels(model, k))).double())

    @property
    def x(self) -> Tensor:
        """The inputs themselves, (K^D, D), in the model's order."""
        return at_levels(self.model, self.k)

    def cells(self, x: Tensor) -> np.ndarray | None:
        """How often each row occurs among examples, (K^D,); None where a value is none of the levels."""
        k = as_levels(self.model, ordered(self.model, x))
        if k is None:
            return None
        numbers = (k * self.levels ** torch.arange(k.shape[1] - 1, -1, -1)).sum(1)
        return torch.bincount(numbers, minlength=len(self.k)).numpy()

    def from_uniform(self) -> float:
        """KL(p ‖ uniform), nats."""
        return math.log(len(self.logs)) - _entropy(self.logs.softmax(0))

    def from_independent(self) -> float:
        """KL(p ‖ product of its marginals) = Σ_i H(x_i) − H(x), nats: what the variables tell of each other."""
        p, size = self.logs.softmax(0), self.k.shape[1]
        marginals = [p.view(self.levels**i, self.levels, -1).sum((0, 2)) for i in range(size)]
        return sum(_entropy(marginal) for marginal in marginals) - _entropy(p)


def _entropy(p: Tensor) -> float:
    return float(torch.special.entr(p).sum())


@torch.no_grad()
def grow(model: GenerativeModel) -> Everything:
    """Stir the parameters and scale the weights up until the density is far from uniform.

    And, if it can be, from independent variables: a model that says ½ to everything would pass every test. What is
    counted stays as it is.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    for parameter in parameters:
        parameter.add_(0.3 * torch.randn_like(parameter)).mul_(0.3)  # some start at 0, or far from uniform
    weights, seen = [parameter for parameter in parameters if parameter.dim() > 1] or parameters, None
    for _ in range(40 if weights else 1):
        now = Everything.of(model)
        if now.from_uniform() >= FROM_UNIFORM:
            seen = seen or {name: value.clone() for name, value in model.state_dict().items()}
            if now.from_independent() >= FROM_INDEPENDENT:
                return now
        for weight in weights:
            weight.mul_(1.25)
    if seen is not None:
        model.load_state_dict(seen)
    return Everything.of(model)


# ---------------------------------------------------------------------- the claims
def check(every: Everything) -> list[Finding]:
    """All claims of a small model of K levels. What is drawn comes from torch's global random state."""
    return [normalised(every), *causal(every), *conditional(every), sampled(every), *completed(every)]


def normalised(every: Everything) -> Finding:
    note = f"Σ exp log_prob over all {len(every.k):,} inputs"
    return near("sums to one", float(every.logs.exp().sum()), 1, sum_to(every.model), note)


def causal(every: Everything) -> list[Finding]:
    """The terms add up to log_prob, ignore what comes later, and give all values of a variable 1 between them."""
    model, levels, x = every.model, every.levels, in_place(every.model, every.x)
    if not supports(model, Autoregressive):
        return [unclaimed("causal", "it has no terms in one order")]
    with torch.no_grad():
        terms = log_terms(model, x).double()
    moved, apart = 0.0, 0.0
    for i, term in enumerate(terms.unbind(1)):
        tails = term.view(levels ** (i + 1), -1)
        moved = largest(moved, tails.amax(1) - tails.amin(1))
        apart = largest(apart, term.exp().view(levels**i, levels, -1).sum(1) - 1)
    some = torch.randint(len(x), (32,))
    return [
        below(
            "terms add up to log_prob",
            largest(0.0, terms.sum(1) - every.logs),
            sum_to(model),
            "largest difference, nats",
        ),
        below("a term ignores later inputs", moved, same_to(model), "largest change over all of them, nats"),
        jacobian(model, x[some], range(size_of(model))),
        near(probabilities_claim(model), 1 + apart, 1, sum_to(model), "the farthest from 1"),
    ]


def jacobian(model: GenerativeModel, x: Tensor, places: Sequence[int]) -> Finding:
    """max |∂ log p(x_i | x_<i) / ∂x_j| over j > i, for i in places."""
    claim = "∂ term / ∂ later input"
    x = x.clone().requires_grad_()
    with torch.enable_grad():
        terms = log_terms(model, x)
    if not terms.requires_grad:
        return unclaimed(claim, "its terms are not differentiable in x")
    most, through = 0.0, False
    for i in places:
        (slope,) = torch.autograd.grad(terms[:, i].sum(), x, retain_graph=True, allow_unused=True)
        through |= slope is not None
        if slope is not None and i + 1 < size_of(model):
            most = largest(most, ordered(model, slope)[:, i + 1 :])
    if not through:
        return unclaimed(claim, "its terms are not differentiable in x")
    return below(claim, most, same_to(model), f"largest of {len(x)} inputs")


def conditional(every: Everything) -> list[Finding]:
    """The probabilities of all levels, where the model offers them: they are the terms', and sum to one."""
    if not supports(every.model, LevelProbabilities) or not supports(every.model, Autoregressive):
        return []
    return conditionals(every.model, in_place(every.model, every.x))


@torch.no_grad()
def conditionals(model: GenerativeModel, x: Tensor) -> list[Finding]:
    """The same at examples of levels, (B, *shape)."""
    apart, off = 0.0, 0.0
    for block in blocks(model, x):
        logs, k = log_conditionals(model, block).double(), as_levels(model, ordered(model, block))
        seen = logs.gather(2, cast(Tensor, k)[:, :, None]).squeeze(2)
        apart, off = largest(apart, seen - log_terms(model, block)), largest(off, logs.exp().sum(2) - 1)
    note = f"largest difference at {len(x):,} inputs, nats"
    return [
        below("log_conditionals are the terms' own", apart, sum_to(model), note),
        near("log_conditionals sum to one", 1 + off, 1, sum_to(model), "the farthest from 1"),
    ]


def sampled(every: Everything) -> Finding:
    x = torch.cat([samples_of(every.model, DRAWS // 5) for _ in range(5)])
    p = chi2_p_value(every.cells(x), every.logs.softmax(0).numpy())
    return likely("samples follow the density", p, f"p of χ², {DRAWS:,} samples, cells pooled to ≥ 5")


def completed(every: Everything) -> list[Finding]:
    """Completions of beginnings of the order, and of any half of the variables, against the enumerated conditional."""
    size = size_of(every.model)
    beginnings = [torch.arange(size) < known for known in {size // 4, size // 2, 3 * size // 4} - {0, size}]
    halves = [torch.rand(size).argsort() < size // 2 for _ in range(3 if size > 1 else 0)]
    return [
        _completed(every, "completes a beginning of its order", beginnings, ""),
        _completed(every, "completes any half", halves, getattr(every.model, "completes_apart", "")),
    ]


def _completed(every: Everything, claim: str, masks: Sequence[Tensor], apart: str) -> Finding:
    """The least p of χ² over the masks, (D,) bool in the model's order; apart: why the model does not claim it."""
    if not supports(every.model, Completion):
        return unclaimed(claim, "it has no complete")
    if not getattr(every.model, "one_order", True):
        return unclaimed(claim, "a mean over several orders does not complete by its own conditional")
    if apart or not masks:
        return unclaimed(claim, apart or "one variable")
    try:
        least = min(_completion(every, given) for given in masks)
    except PlausibleError as error:
        return unclaimed(claim, str(error).partition(":")[0])
    return likely(claim, least, f"least p of χ², {len(masks)} masks, {DRAWS // 5:,} completions each")


def _completion(every: Everything, given: Tensor) -> float:
    model = every.model
    k = torch.randint(every.levels, given.shape)
    x = in_place(model, torch.where(given, at_levels(model, k), torch.nan)[None])[0]
    mask = in_place(model, given[None])[0]
    with torch.no_grad():
        found = require(model, Completion).complete(x, mask, DRAWS // 5)
    if not keeps(model, found, x, mask):
        return 0.0
    agrees = (every.k == k)[:, given].all(1)
    return chi2_p_value(every.cells(found), every.logs.masked_fill(~agrees, -torch.inf).softmax(0).numpy())


def keeps(model: GenerativeModel, found: Tensor, x: Tensor, mask: Tensor) -> bool:
    """Whether completions, (n, *shape), agree with x where it is given."""
    within = CLOSE if levels_of(model) > 2 else 0.0
    return bool(((found[:, mask] - x[mask]).abs() <= within).all())
