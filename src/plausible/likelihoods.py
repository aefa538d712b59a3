"""Observation models p(x | parameters): what a decoder's outputs say about data. Log-probabilities in nats.

| name | data | raw outputs a value | density |
|---|---|---|---|
| bernoulli | binary, or [0, 1] | a logit | x·l − softplus(l); on grey values a cross-entropy, not a log-probability |
| gaussian | real, or [0, 1] | a mean | N(mean, σ²), one learned σ for all values |
| logistic | [0, 1] in `levels` steps | a mean and a log-scale | mass of a logistic on x's bin, the outer bins open |
| categorical | [0, 1] in `levels` steps | a logit for each level | softmax: a number of its own for each level |
| logistic mixture | [0, 1] in `levels` steps | K logits, means and log-scales | Σ_k π_k of logistics' masses |

The raw outputs stand one block after the other: (B, d) for one output a value, (B, 2·d) for two.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from plausible.errors import PlausibleError

__all__ = [
    "HALF_LOG_TWO_PI",
    "Bernoulli",
    "Categorical",
    "Gaussian",
    "Likelihood",
    "Logistic",
    "LogisticMixture",
    "Name",
    "likelihood",
    "log_between",
]


Name = Literal["auto", "bernoulli", "gaussian", "logistic"]
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
"""The constant of a Gaussian log-density, nats a dimension."""


class Likelihood(nn.Module):
    """An observation model.

    Attributes:
        outputs: raw outputs for each value of the data.
        is_density: whether `log_prob` is the logarithm of a probability or density on the data it was made for.
        name: in words.
    """

    name: str = ""
    outputs: int = 1
    is_density: bool = True

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """log p(x_i | raw) of each value, (B, d), nats."""
        raise NotImplementedError

    def mean(self, raw: Tensor) -> Tensor:
        """E[x | raw], (B, d)."""
        raise NotImplementedError

    def sample(self, raw: Tensor) -> Tensor:
        """x ~ p(x | raw), (B, d), from torch's global random state."""
        raise NotImplementedError

    def log_levels(self, raw: Tensor, levels: int) -> Tensor:
        """log p(x_i = k/(levels − 1) | raw) of every level, (B, d, levels), nats."""
        values, d = torch.arange(levels).to(raw) / (levels - 1), raw.shape[1] // self.outputs
        return torch.stack([self.log_prob(raw, k.expand(len(raw), d)) for k in values], 2)

    def bias(self, mean: Tensor) -> Tensor:
        """Raw outputs, (outputs·d,), whose mean is this, (d,): where a decoder's last bias may start."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """p(x | l) = sigmoid(l)^x · (1 − sigmoid(l))^(1 − x)."""

    name = "Bernoulli"

    def __init__(self, *, binary: bool = True) -> None:
        super().__init__()
        self.is_density = binary

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        return x * raw - softplus(raw)

    def mean(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()

    def sample(self, raw: Tensor) -> Tensor:
        return torch.bernoulli(raw.sigmoid())

    def bias(self, mean: Tensor) -> Tensor:
        return mean.clamp(1e-3, 1 - 1e-3).logit()


class Gaussian(Likelihood):
    """p(x | m) = N(x; m, σ²), with one learned σ = exp(log_deviation) for all values.

    Args:
        deviation: where σ starts. Small, so that the code is worth its price from the first tick: a VAE that starts at
            σ = 0.3 on MNIST loses its code within 40 ticks (KL 0), and never finds it again.
        least: σ never falls below this: constant values would drive it, and the likelihood, to the end of the floats.
    """

    name = "Gaussian"
    least: Tensor

    def __init__(self, deviation: float = 0.1, least: float = 1e-3) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.tensor(math.log(deviation)))
        self.register_buffer("least", torch.tensor(math.log(least)))

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        log_deviation = torch.maximum(self.log_deviation, self.least)
        return -0.5 * ((x - raw) * (-log_deviation).exp()).square() - log_deviation - HALF_LOG_TWO_PI

    def mean(self, raw: Tensor) -> Tensor:
        return raw

    def sample(self, raw: Tensor) -> Tensor:
        return raw + torch.maximum(self.log_deviation, self.least).exp() * torch.randn_like(raw)

    def bias(self, mean: Tensor) -> Tensor:
        return mean


class Logistic(Likelihood):
    """Discretised logistic: P(x) = F(x + ½ step) − F(x − ½ step), F the cdf of a logistic; the outer bins reach to ±∞.

    Source: Kingma et al., *Improved Variational Inference with Inverse Autoregressive Flow*, 2016, eq. 14 (appendix);
    Salimans et al., *PixelCNN++*, 2017, section 2.1.

    Args:
        levels: how many values there are, at k/(levels − 1).
    """

    name = "discretised logistic"
    outputs = 2

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        self.levels = _checked(levels)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        return _log_mass(*_halves(raw), x, self.levels)

    def mean(self, raw: Tensor) -> Tensor:
        return _halves(raw)[0].clamp(0, 1)

    def sample(self, raw: Tensor) -> Tensor:
        return _draw_logistic(*_halves(raw), self.levels)

    def bias(self, mean: Tensor) -> Tensor:
        return torch.cat([mean, torch.full_like(mean, -1.0)])


class LogisticMixture(Likelihood):
    """Mixture of K discretised logistics: P(x) = Σ_k π_k (F_k(x + ½ step) − F_k(x − ½ step)).

    Source: Salimans et al., *PixelCNN++*, 2017, section 2.1.

    Args:
        levels: how many values there are, at k/(levels − 1).
        components: K.
    """

    name = "mixture of discretised logistics"

    def __init__(self, levels: int = 256, components: int = 10) -> None:
        super().__init__()
        self.levels, self.outputs = _checked(levels), 3 * components

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        weights, means, log_scales = self._parts(raw)
        return (weights + _log_mass(means, log_scales, x.unsqueeze(-2), self.levels)).logsumexp(-2)

    def sample(self, raw: Tensor) -> Tensor:
        weights, means, log_scales = self._parts(raw)
        part = _pick(weights.exp().transpose(-2, -1)).unsqueeze(-2)
        return _draw_logistic(
            means.gather(-2, part)[..., 0, :], log_scales.gather(-2, part)[..., 0, :], self.levels
        )

    def _parts(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log π, means and log-scales, (B, K, d) each; a raw 0 is the middle of [0, 1], and a tenth wide."""
        weights, means, log_scales = raw.unflatten(-1, (3, self.outputs // 3, -1)).unbind(-3)
        return weights.log_softmax(-2), means + 0.5, (log_scales + _LOG_TENTH).clamp_min(_LEAST_LOG_SCALE)


class Categorical(Likelihood):
    """A probability of its own for each of the levels: P(x = k/(levels − 1)) = softmax(raw)_k.

    Source: van den Oord et al., *Pixel Recurrent Neural Networks*, 2016, section 2.2.

    Args:
        levels: how many.
    """

    name = "categorical"

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        self.levels = self.outputs = _checked(levels)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        level = (x * (self.levels - 1)).round().long()
        return self._logs(raw).gather(-2, level.unsqueeze(-2)).squeeze(-2)

    def sample(self, raw: Tensor) -> Tensor:
        return _pick(self._logs(raw).exp().transpose(-2, -1)).to(raw) / (self.levels - 1)

    def log_levels(self, raw: Tensor, levels: int) -> Tensor:
        return self._logs(raw).transpose(-2, -1)

    def _logs(self, raw: Tensor) -> Tensor:
        return raw.unflatten(-1, (self.levels, -1)).log_softmax(-2)


_LOG_TENTH = math.log(0.1)
_LEAST_LOG_SCALE = -7.0
"""A tenth of a step of 256."""


def _log_mass(mean: Tensor, log_scale: Tensor, x: Tensor, levels: int) -> Tensor:
    """log of the mass that a logistic has on x's bin, elementwise, nats."""
    half, narrow = 0.5 / (levels - 1), (-log_scale).exp()
    above, below = (x + half - mean) * narrow, (x - half - mean) * narrow
    # F(a) − F(b) = F(a)·(1 − F(b))·(1 − e^(b−a)), term by term in logarithms
    inner = logsigmoid(above) + logsigmoid(-below) + torch.log(-torch.expm1(below - above))
    lowest, highest = x <= half, x >= 1 - half
    return torch.where(lowest, logsigmoid(above), torch.where(highest, logsigmoid(-below), inner))


def log_between(a: Tensor, b: Tensor) -> Tensor:
    """log(Φ(b) − Φ(a)) of a standard normal variable, elementwise, a ≤ b; exact in both tails, −∞ where a = b."""
    upper = a + b > 0
    low, high = torch.where(upper, -b, a), torch.where(upper, -a, b)
    top, bottom = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    apart = (bottom - top).clamp_max(-torch.finfo(a.dtype).eps)  # a difference that rounding lost is not 0
    return torch.where(a < b, top + torch.log(-torch.expm1(apart)), -torch.inf)


def _draw_logistic(mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """x of the bins of logistics, elementwise, from torch's global random state."""
    uniform = torch.rand_like(mean).clamp(1e-7, 1 - 1e-7)
    x = mean + log_scale.exp() * uniform.logit()
    return (x * (levels - 1)).round().clamp(0, levels - 1) / (levels - 1)


def _pick(p: Tensor) -> Tensor:
    """k with probability p_k, (…, K) → (…,), from torch's global random state."""
    return torch.multinomial(p.flatten(0, -2), 1).view(p.shape[:-1])


def _checked(levels: int) -> int:
    if levels < 2:
        raise PlausibleError(f"levels must be 2 or more, not {levels}")
    return levels


def _halves(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log-scales."""
    mean, log_scale = raw.chunk(2, dim=-1)
    return mean, log_scale.clamp_min(_LEAST_LOG_SCALE)


def likelihood(name: Name, domain: str, *, levels: int = 256) -> Likelihood:
    """An observation model by its name; "auto": Bernoulli for binary data, else Gaussian.

    Raises:
        PlausibleError: the model does not fit the data's domain.
    """
    fits = {"binary": ("bernoulli",), "unit": ("bernoulli", "gaussian", "logistic"), "real": ("gaussian",)}[
        domain
    ]
    chosen = ("bernoulli" if domain == "binary" else "gaussian") if name == "auto" else name
    if chosen not in fits:
        raise PlausibleError(
            f"observation {chosen!r} does not fit {domain} values: choose {' or '.join(fits)}, or binarize the data "
            "with the view :binary"
        )
    if chosen == "bernoulli":
        return Bernoulli(binary=domain == "binary")
    if chosen == "gaussian":
        return Gaussian(0.1 if domain == "unit" else 1.0)
    return Logistic(levels)
