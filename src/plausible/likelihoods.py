"""Observation models p(x | parameters): what a decoder's outputs say about data. Log-probabilities in nats.

| name | data | raw outputs a value | density |
|---|---|---|---|
| bernoulli | binary, or [0, 1] | a logit | x·l − softplus(l); on grey values a cross-entropy, not a log-probability |
| gaussian | real, or [0, 1] | a mean | N(mean, σ²), one learned σ for all values |
| logistic | [0, 1] in `levels` steps | a mean and a log-scale | mass of a logistic on x's bin, the outer bins open |

The raw outputs stand one block after the other: (B, d) for one output a value, (B, 2·d) for two.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from plausible.errors import PlausibleError

Name = Literal["auto", "bernoulli", "gaussian", "logistic"]


class Likelihood(nn.Module):
    """An observation model.

    Attributes:
        outputs: raw outputs for each value of the data.
        is_density: whether `log_prob` is the logarithm of a probability or density on the data it was made for.
    """

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

    def bias(self, mean: Tensor) -> Tensor:
        """Raw outputs, (outputs·d,), whose mean is this, (d,): where a decoder's last bias may start."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """p(x | l) = sigmoid(l)^x · (1 − sigmoid(l))^(1 − x)."""

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

    least: Tensor

    def __init__(self, deviation: float = 0.1, least: float = 1e-3) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.tensor(math.log(deviation)))
        self.register_buffer("least", torch.tensor(math.log(least)))

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        log_deviation = torch.maximum(self.log_deviation, self.least)
        return (
            -0.5 * ((x - raw) * (-log_deviation).exp()).square() - log_deviation - 0.5 * math.log(2 * math.pi)
        )

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

    outputs = 2

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        if levels < 2:
            raise PlausibleError(f"levels must be 2 or more, not {levels}")
        self.levels = levels

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        mean, log_scale = _halves(raw)
        half, narrow = 0.5 / (self.levels - 1), (-log_scale).exp()
        above, below = (x + half - mean) * narrow, (x - half - mean) * narrow
        # F(a) − F(b) = F(a)·(1 − F(b))·(1 − e^(b−a)), term by term in logarithms
        inner = logsigmoid(above) + logsigmoid(-below) + torch.log(-torch.expm1(below - above))
        lowest, highest = x <= half, x >= 1 - half
        return torch.where(lowest, logsigmoid(above), torch.where(highest, logsigmoid(-below), inner))

    def mean(self, raw: Tensor) -> Tensor:
        return _halves(raw)[0].clamp(0, 1)

    def sample(self, raw: Tensor) -> Tensor:
        mean, log_scale = _halves(raw)
        uniform = torch.rand_like(mean).clamp(1e-7, 1 - 1e-7)
        x = mean + log_scale.exp() * uniform.logit()
        return (x * (self.levels - 1)).round().clamp(0, self.levels - 1) / (self.levels - 1)

    def bias(self, mean: Tensor) -> Tensor:
        return torch.cat([mean, torch.full_like(mean, -1.0)])


def _halves(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log-scales; no scale below e⁻⁷, a tenth of a step of 256."""
    mean, log_scale = raw.chunk(2, dim=-1)
    return mean, log_scale.clamp_min(-7.0)


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
