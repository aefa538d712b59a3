"""A density of values k/(K − 1) by a random table, and what it becomes by the mistakes that people make."""

import math

import torch
from pydantic import PositiveInt
from torch import nn

from plausible.models.explicit import Explicit


class Tables(Explicit):
    """p(x_i = k | x_<i) ∝ exp(A[k', k] + x_{i−1} b[k]), k' the level of x_{i−1}; of the first variable, x_0 = 0.

    Args:
        levels: K, of unit data.
    """

    domains = ("binary", "unit")

    def __init__(self, shape, domain="unit", *, levels: PositiveInt = 256, kernel: PositiveInt = 7):
        super().__init__(shape, domain)
        self.levels = 2 if domain == "binary" else levels
        self.A = nn.Parameter(torch.randn(self.levels, self.levels))
        self.b = nn.Parameter(torch.randn(self.levels))
        assert kernel % 2, "a twin keeps it odd"

    def before(self, x):
        """What each variable looks at, (B, D) → (B, D)."""
        return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)

    def k(self, x):
        return (x.detach() * (self.levels - 1)).round().long()

    def logs(self, seen):
        """What a variable's levels have for log p, given what it looks at, (…) → (…, K)."""
        return (self.A[self.k(seen)] + seen[..., None] * self.b).log_softmax(-1)

    def conditionals(self, x):
        """log p(x_i = k | x_<i), (B, D) → (B, D, K)."""
        return self.logs(self.before(x))

    def terms(self, x):
        return self.conditionals(x).gather(2, self.k(x)[:, :, None]).squeeze(2)

    def sample_rest(self, x, known):
        return self.walked(x, range(known, self.size))

    def walked(self, x, places):
        x = x.clone()
        for i in places:
            p = self.logs(self.before(x)[:, i]).exp()
            x[:, i] = torch.multinomial(p, 1).squeeze(1).to(x) / (self.levels - 1)
        return x


class MarkovLevels(Tables):
    """And says the probabilities of all levels."""

    def log_conditionals(self, x):
        return self.conditionals(self.ordered(x))


class OffByOne(MarkovLevels):
    """A term looks at its own variable."""

    def before(self, x):
        return x


class LooksAhead(MarkovLevels):
    """A term looks at the variable after its own as well."""

    def before(self, x):
        return (super().before(x) + torch.cat([x[:, 1:], torch.zeros_like(x[:, :1])], 1)) / 2


class OneLeak(MarkovLevels):
    """The term of variable `at` looks at one later variable, `source`; with a `gate` only where that variable is 0."""

    at, source, gate = 101, 102, None

    def before(self, x):
        seen = super().before(x).clone()
        leak = (seen[:, self.at] + x[:, self.source]) / 2
        if self.gate is not None:
            leak = torch.where(x[:, self.gate] == 0, leak, seen[:, self.at])
        seen[:, self.at] = leak
        return seen


class BlueFirst(MarkovLevels):
    """A density, but R's term looks at G and B of its own pixel, though the order says that R comes first."""

    @property
    def path(self):
        """The places in the order as they are really walked."""
        channels = self.shape[0] if len(self.shape) == 3 else 1
        return torch.arange(self.size).view(-1, channels).flip(1).flatten()

    def conditionals(self, x):
        found = super().conditionals(x[:, self.path])
        return found[:, self.path.argsort()]

    def sample_rest(self, x, known):
        path = self.path
        return self.walked(x[:, path], (path >= known).nonzero().flatten().tolist())[:, path.argsort()]


class Unnormalised(MarkovLevels):
    """The K probabilities sum to 1.01."""

    def logs(self, seen):
        return super().logs(seen) + math.log(1.01)


class RoundsDown(MarkovLevels):
    """A sampler that takes K bins of [0, 1] for the levels, and then the level below."""

    def sample_rest(self, x, known):
        k = self.k(super().sample_rest(x, known))
        found = (((k + 0.5) / self.levels) * (self.levels - 1)).floor() / (self.levels - 1)
        return torch.cat([x[:, :known], found[:, known:].to(x)], 1)


class BetweenLevels(MarkovLevels):
    """A sampler that gives k/K."""

    def sample_rest(self, x, known):
        drawn = super().sample_rest(x, known)
        return torch.cat([x[:, :known], drawn[:, known:] * (1 - 1 / self.levels)], 1)


class Rearranged(MarkovLevels):
    """Its log_conditionals stand in the data's order: all red values, all green ones, all blue ones."""

    def log_conditionals(self, x):
        return super().log_conditionals(x)[:, self.order.argsort()]


class Reversed(MarkovLevels):
    """Its log_conditionals say the probabilities from white to black."""

    def log_conditionals(self, x):
        return super().log_conditionals(x).flip(2)


class Forgets(Tables):
    """It completes by drawing everything anew, and puts the given values in place afterwards."""

    def sample_given(self, x, given):
        return torch.where(given, x, self.sample_rest(x, 0))


class NoLevels(Explicit):
    """A density of [0, 1] without levels: x is uniform."""

    domains = ("unit",)

    def __init__(self, shape, domain="unit"):
        super().__init__(shape, domain)

    def terms(self, x):
        return torch.zeros_like(x)

    def sample_rest(self, x, known):
        return torch.cat([x[:, :known], torch.rand_like(x[:, known:])], 1)
