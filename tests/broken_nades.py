"""NADEs with the mistakes that people make, and one of a user's own without any: `plausible verify` must tell."""

import torch
from torch.nn.functional import logsigmoid

from plausible.game import GenerativeModel
from plausible.models.explicit import log_bernoulli
from plausible.models.nade import NADE
from plausible.nn import nade


class ProbabilitiesAsLogits(NADE):
    """As a public library's: a density, but not that of the samples."""

    def terms(self, x):
        return log_bernoulli(nade.outputs(x, self.W, self.V, self.b, self.c, self.activation).sigmoid(), x)


class OffByOne(NADE):
    """x_i's own value has reached the hidden layer before x_i is judged."""

    ahead = 0

    def terms(self, x):
        a = self.c + (x[:, :, None] * self.W).cumsum(1).roll(-self.ahead, 1)
        return log_bernoulli((torch.relu(a) * self.V).sum(2) + self.b, x)


class LooksAhead(OffByOne):
    """And the value of the variable after it."""

    ahead = 1


class Forgetful(NADE):
    """Its sampler lets one variable tell the later ones nothing."""

    def sample_rest(self, x, known):
        W = self.W.clone()
        W[2] = 0
        return nade.sample_rest(x, known, W, self.V, self.b, self.c, self.activation)


class Careless(NADE):
    """It completes by drawing everything anew, and puts the given values in place afterwards."""

    def sample_given(self, x, given):
        return torch.where(given, x, self.sample_rest(x, 0))


class Unnormalised(NADE):
    """A sum of terms that forgets the last one."""

    def log_prob(self, x):
        return self.log_prob_terms(x)[:, :-1].sum(1)


class Chain(GenerativeModel):
    """x_i follows x_{i−1}: nothing but log_prob and sample, and it computes in float32 alone.

    Args:
        weight: how closely.
    """

    def __init__(self, shape, domain="binary", *, weight: float = 1.5):
        super().__init__(shape, domain)
        self.weight = weight

    def turns(self):
        return ()

    def log_prob(self, x):
        x = x.flatten(1)
        before = torch.cat([torch.zeros(len(x), 1), x[:, :-1]], 1)
        return logsigmoid((2 * x - 1) * self.weight * (2 * before - 1)).sum(1)

    def sample(self, n, *, y=None):
        x, before = torch.empty(n, *self.shape).flatten(1), torch.zeros(n)
        for i in range(x.shape[1]):
            before = x[:, i] = torch.bernoulli(torch.sigmoid(self.weight * (2 * before - 1)))
        return x.unflatten(1, self.shape)
