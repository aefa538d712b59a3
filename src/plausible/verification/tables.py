"""Whether the density of a mixed table is one: on a small table, everything of which can be summed or integrated.

Three columns: three levels with missing cells, numbers with missing cells, two levels. Levels and missing cells are
enumerated, the numbers integrated by Gauss's rule between the places where the density may jump.

    Σ ∫ p(x) = 1,   a term ignores later columns,   samples ~ p,   completions ~ p(rest | given)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Autoregressive, Completion, order_of, require, supports
from plausible.data import Rows, StoredRows
from plausible.game import GenerativeModel
from plausible.models.build import build
from plausible.verification.conditionals import causality
from plausible.verification.findings import Finding, below, chi2_p_value, largest, likely, near, unclaimed
from plausible.verification.subject import blank, in_double, log_prob, log_terms, samples_of
from plausible.verification.twins import shrunk

__all__ = ["Table", "check_table", "table_rows", "table_twin"]

LEVELS = (3, 0, 2)
NUMBER = 1
DRAWS, COMPLETIONS = 20_000, 10_000
INTEGRAL = 1e-5
FROM_INDEPENDENT = 0.02
NOTHING = 1e-6
"""Nats: columns of a model that makes them independent; RARE missing cells are not enumerated."""
STIRRED, TRIES = 0.5, 20
"""Standard deviation of what is added to a twin's parameters, and how often, until its columns depend on each other."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
PARTS = 8
"""Of each panel of real numbers, each with nodes of its own: a density may be much narrower than a panel."""
_FAR = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Ends of panels beyond the outermost jumps, in spreads of the numbers."""


def table_rows(*, whole: bool, rows: int = 400) -> Rows:
    """Rows of the small table, whose numbers are whole, 0 to 5, or real; a fifth of two columns' cells are missing."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, rows).astype(np.float32)
    number = rng.binomial(5, 0.2 + 0.3 * first / 2) if whole else rng.normal(first, 0.5 + first)
    last = (rng.random(rows) < 0.3 + 0.2 * first).astype(np.float32)
    x = np.stack([first, number.astype(np.float32), last], 1)
    x[:, :2][rng.random((rows, 2)) < 0.2] = np.nan
    return Rows(StoredRows("small table", (x,), (3,), "mixed"), np.arange(rows))


def table_twin(name: str | type, options: Mapping[str, Any], *, whole: bool) -> GenerativeModel:
    """A small model of the class and settings, its weights stirred, from torch's global random state."""
    model = build(name, (3,), "mixed", shrunk(name, options), LEVELS)
    model.prepare(table_rows(whole=whole))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(STIRRED * torch.randn_like(parameter))
    return in_double(model)


@dataclass(frozen=True)
class Table:
    """Everything there could be in the small table.

    Attributes:
        model: of it.
        x: (M, 3): every combination of levels, missing cells, and nodes of the numbers.
        weights: (M,): of the nodes.
        cells: (M,), int64: which cell of the χ² test each belongs to: levels, and the panel of the number.
        edges: the panels' ends, ascending.
    """

    model: GenerativeModel
    x: Tensor
    weights: Tensor
    cells: Tensor
    edges: Tensor

    @classmethod
    def of(cls, model: GenerativeModel, *, whole: bool) -> Table:
        edges = _edges(model, whole=whole)
        parts = 1 if whole else PARTS
        low = edges[:-1, None] + edges.diff()[:, None] * torch.arange(parts) / parts
        half = (edges.diff()[:, None] / (2 * parts)).expand(-1, parts).flatten()
        middle = low.flatten() + half
        nodes = (middle[:, None] + half[:, None] * torch.from_numpy(_NODES)).flatten()
        weights = (half[:, None] * torch.from_numpy(_WEIGHTS)).flatten()
        number = torch.cat([nodes, torch.tensor([torch.nan], dtype=torch.float64)])
        first = torch.tensor([0, 1, 2, torch.nan], dtype=torch.float64)
        x = torch.cartesian_prod(first, number, torch.arange(2.0, dtype=torch.float64))
        each = torch.cat([weights, torch.ones(1, dtype=torch.float64)])
        return cls(model, x, each.repeat_interleave(2).repeat(4), _cells(x, edges), edges)

    def shares(self, given: Mapping[int, float] | None = None) -> np.ndarray:
        """The probability of each cell, (cells,), together with given levels, or missing cells, of some columns."""
        keep = torch.ones(len(self.x), dtype=torch.bool)
        for column, value in (given or {}).items():
            cells = self.x[:, column]
            keep &= cells.isnan() if np.isnan(value) else cells == value
        logs = [log_prob(self.model, block.to(self.dtype)).double() for block in self.x[keep].split(5000)]
        found = torch.zeros(self.count, dtype=torch.float64)
        return found.index_add_(0, self.cells[keep], torch.cat(logs).exp() * self.weights[keep]).numpy()

    @property
    def dtype(self) -> torch.dtype:
        return blank(self.model, 0).dtype

    @property
    def count(self) -> int:
        return int(self.cells.max()) + 1

    def counts(self, x: Tensor) -> np.ndarray:
        """How many rows, (n, 3), lie in each cell."""
        return torch.bincount(_cells(x.double(), self.edges), minlength=self.count).numpy()


def _edges(model: GenerativeModel, *, whole: bool) -> Tensor:
    """Ends of the panels of the numbers: where the density may jump, and beyond."""
    kinks = getattr(model, "kinks", None)
    place = order_of(model).tolist().index(NUMBER)
    found = torch.empty(0) if kinks is None else kinks(place)
    if whole:
        return torch.arange(-80, 81, dtype=torch.float64) - 0.5
    far = torch.tensor(_FAR, dtype=torch.float64) * float((found[-1] - found[0]).clamp_min(1))
    return torch.cat([found.double(), found[0] - far, found[-1] + far]).unique()


def _cells(x: Tensor, edges: Tensor) -> Tensor:
    """The cell of each row, (n,): of the first column, the number's panel, and the last column."""
    first = torch.where(x[:, 0].isnan(), 3.0, x[:, 0].nan_to_num(0)).long()
    panel = torch.searchsorted(edges, x[:, NUMBER].nan_to_num(0).contiguous()).clamp(1, len(edges) - 1)
    panel = torch.where(x[:, NUMBER].isnan(), 0, panel)
    return (first * len(edges) + panel) * 2 + x[:, 2].long()


# ---------------------------------------------------------------------- the claims
def check_table(name: str | type, options: Mapping[str, Any], *, whole: bool) -> list[Finding]:
    """All claims on the small table; what is drawn comes from torch's global random state."""
    for _ in range(TRIES):
        model = table_twin(name, options, whole=whole)
        table = Table.of(model, whole=whole)
        shares = table.shares()
        if _dependence(shares, len(table.edges)) >= FROM_INDEPENDENT:
            break
    claim, apart = "KL from independent columns, nats", _dependence(shares, len(table.edges))
    far = Finding(claim, apart, FROM_INDEPENDENT, np.inf, "closer to independent, the tests could not fail")
    if abs(apart) < NOTHING:
        far = unclaimed(claim, "its columns are independent")
    note = f"Σ over levels, ∫ over numbers: {len(table.x):,} rows"
    p = chi2_p_value(table.counts(samples_of(model, DRAWS)), shares)
    return [
        far,
        near("sums to one", float(shares.sum()), 1, INTEGRAL, note),
        *_chained(model),
        likely("samples follow the density", p, f"p of χ², {DRAWS:,} samples, cells pooled to ≥ 5"),
        _completed(table),
    ]


def _dependence(shares: np.ndarray, panels: int) -> float:
    """KL(p ‖ product of its marginals) of the cells, nats."""
    p = (shares / shares.sum()).reshape(4, panels, 2)
    apart = p.sum((1, 2))[:, None, None] * p.sum((0, 2))[None, :, None] * p.sum((0, 1))
    return float((p[p > 0] * np.log(p[p > 0] / apart[p > 0])).sum())


def _chained(model: GenerativeModel) -> list[Finding]:
    if not supports(model, Autoregressive):
        return [unclaimed("causal", "it has no terms in one order")]
    x = samples_of(model, 64)
    with torch.no_grad():
        apart = largest(0.0, log_terms(model, x).sum(1) - log_prob(model, x))
    return [
        below("terms add up to log_prob", apart, 1e-6, "largest difference, nats"),
        below("a term ignores later inputs", *causality(model, x)),
    ]


def _completed(table: Table) -> Finding:
    """Completions of what begins the model's order, if it is a level, against the enumerated conditional."""
    claim, model = "completes a beginning of its order", table.model
    if not supports(model, Autoregressive) or not supports(model, Completion):
        return unclaimed(claim, "a mean over several orders does not complete by its own conditional")
    begin = [int(place) for place in order_of(model).tolist()]
    known = begin[: begin.index(NUMBER)] or begin[:1]
    least = min(_completion(table, known, value) for value in _given(known))
    return likely(
        claim, least, f"least p of χ², {COMPLETIONS:,} completions each, given {len(known)} of 3 columns"
    )


def _given(known: Sequence[int]) -> list[dict[int, float]]:
    if NUMBER in known:
        return [{NUMBER: float("nan")}]
    values = {0: (0.0, 2.0, float("nan")), 2: (0.0, 1.0, 1.0)}
    return [{column: values[column][i] for column in known} for i in range(3)]


def _completion(table: Table, known: Sequence[int], given: Mapping[int, float]) -> float:
    model = table.model
    x, mask = torch.zeros(3, dtype=table.dtype), torch.zeros(3, dtype=torch.bool)
    for column, value in given.items():
        x[column], mask[column] = value, True
    with torch.no_grad():
        found = require(model, Completion).complete(x, mask, COMPLETIONS)
    expected = table.shares(given)
    return chi2_p_value(table.counts(found), expected / expected.sum())
