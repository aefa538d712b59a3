"""Closed forms: dropped modes, shifted uniforms, and the generator's gradient under each objective.

Units: nats. Source: Goodfellow et al., Generative Adversarial Nets (2014), section 3; Arjovsky & Bottou, Towards
principled methods for training generative adversarial networks (2017), for the disjoint supports.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from plausible.errors import PlausibleError
from plausible.probability.checks import as_whole_number
from plausible.theory.value import as_unit_interval, criterion_from_jsd

__all__ = [
    "ModeDropping",
    "mode_dropping",
    "non_saturating_gradient",
    "saturating_gradient",
    "uniform_shift_jsd",
]


@dataclass(frozen=True)
class ModeDropping:
    """Uniform data on K modes against a generator uniform on a fraction r of them; nats.

    jsd = ½[r·log(2r/(1 + r)) + (1 − r)·log 2 + log(2/(1 + r))]. criterion = −log 4 + 2·jsd. kl = KL(p_data ‖ p_g): ∞
    when a mode is dropped, else 0. reverse_kl = KL(p_g ‖ p_data) = log(1/r). discriminator_kept: D* on the kept
    modes, r/(1 + r); on the dropped ones it is 1.
    """

    jsd: float
    criterion: float
    kl: float
    reverse_kl: float
    discriminator_kept: float


def mode_dropping(modes: int, kept: int) -> ModeDropping:
    """What dropping modes costs: uniform on `modes` outcomes against uniform on `kept` of them, r = kept/modes.

    The JSD grows slowly (half the modes: 0.2158 of at most 0.6931), while KL(p_data ‖ p_g) is ∞ as soon as one mode is
    lost: GAN training tolerates what maximum likelihood cannot. Raises unless 1 ≤ kept ≤ modes, whole numbers.
    """
    modes = as_whole_number(modes, "mode_dropping: modes", 1, 2**53)
    kept = as_whole_number(kept, "mode_dropping: kept", 1, modes + 1)
    r = kept / modes
    jsd = (r * math.log(2 * r / (1 + r)) + (1 - r) * math.log(2) + math.log(2 / (1 + r))) / 2
    return ModeDropping(
        jsd=jsd,
        criterion=criterion_from_jsd(jsd),
        kl=0.0 if kept == modes else math.inf,
        reverse_kl=math.log(modes / kept),
        discriminator_kept=r / (1 + r),
    )


def uniform_shift_jsd(a: float) -> float:
    """JSD(U[0, 1], U[a, 1 + a]) = |a|·log 2 nats up to |a| = 1, log 2 beyond: disjoint, and flat however far apart.

    Where it is flat its gradient is 0, so a generator there cannot tell in which direction the data are.
    """
    if math.isnan(a):
        raise PlausibleError("uniform_shift_jsd: a is NaN; give the shift as a number")
    return min(abs(a), 1.0) * math.log(2)


def saturating_gradient(d: object) -> np.ndarray:
    """∂/∂l log(1 − D) = −D for D = sigmoid(l), d = D(G(z)) in [0, 1]; any shape.

    The gradient for a G that minimises log(1 − D(G(z))), equation 1. It vanishes where D is sure that x is generated
    (D → 0), which is early in training, when G needs it most. Source: section 3.
    """
    return 0.0 - as_unit_interval(d, "saturating_gradient")


def non_saturating_gradient(d: object) -> np.ndarray:
    """∂/∂l [−log D] = −(1 − D) for D = sigmoid(l), d = D(G(z)) in [0, 1]; any shape.

    The gradient for a G that minimises −log D(G(z)): near −1 where D is sure that x is generated, 0 where D takes x for
    data. Like the other it always increases the logit, and the fixed point is the same. Source: section 3.
    """
    return as_unit_interval(d, "non_saturating_gradient") - 1.0
