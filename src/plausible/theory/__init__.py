"""The theory of GANs: Goodfellow et al. (2014), sections 3 and 4, computed numerically. Nats, float64.

p_data, p_g: both tables, both arrays of masses, or both torch distributions. For tables and arrays, results are exact
floats and arrays; for distributions, `Estimate`s and functions. This package imports only `plausible.probability` and
the error class, so it is independent of the networks it is compared with.

The value and its optimum (`value`)
    GLOBAL_OPTIMUM                               −log 4, C(G) where p_g = p_data
    optimal_discriminator(p_data, p_g) · optimal_logit(p_data, p_g) -> array, of Distributions: function
    value(p_data, p_g, discriminator) · value(p_data, p_g, logit=…) -> float, of Distributions: Estimate
    criterion(p_data, p_g) -> float | Estimate   C(G) = V(D*, G)
    criterion_from_jsd(jsd) -> float             −log 4 + 2·JSD
    pointwise_value(y, a, b) · maximiser(a, b) -> array             a·log y + b·log(1 − y), highest at a/(a + b)

The generator's side (`generator`), tables and arrays only
    best_for_discriminator(p_data, p_g) -> float                   sup over D, p_g held fixed
    best_for_generator(p_data, discriminator) -> BestResponse(value, p_g)      inf over p_g, D held fixed
    criterion_gradient(p_data, p_g) -> array     ∂C/∂p_g(x) = log(1 − D*(x))
    convexity_gap(p_data, p_g, other, t) -> float                  ≥ 0
    descend(p_data, p_g, steps=30, rate=1.0) -> Descent(p_g, criterion, jsd, discriminator)     Proposition 2

Closed forms (`closed`)
    mode_dropping(modes, kept) -> ModeDropping(jsd, criterion, kl, reverse_kl, discriminator_kept)
    uniform_shift_jsd(a) -> float                U[0, 1] against U[a, 1 + a]
    saturating_gradient(d) · non_saturating_gradient(d) -> array   ∂/∂logit of G's two objectives: −D, −(1 − D)

p_g of a generator with one-dimensional output (`bins`)
    push_forward(x, edges, weights=None) -> array (..., m)         masses on bins, exact for piecewise linear G

Generative and discriminative (`classifiers`)
    two_classifiers(x, y) -> Classifiers         .generative .discriminative: Linear(weight, bias), .probability(x)
                                                 .prior .means .covariance, .class_model(y) -> MultivariateNormal
"""

from plausible.theory.bins import push_forward
from plausible.theory.classifiers import Classifiers, Linear, two_classifiers
from plausible.theory.closed import (
    ModeDropping,
    mode_dropping,
    non_saturating_gradient,
    saturating_gradient,
    uniform_shift_jsd,
)
from plausible.theory.generator import (
    BestResponse,
    Descent,
    best_for_discriminator,
    best_for_generator,
    convexity_gap,
    criterion_gradient,
    descend,
)
from plausible.theory.value import (
    GLOBAL_OPTIMUM,
    criterion,
    criterion_from_jsd,
    maximiser,
    optimal_discriminator,
    optimal_logit,
    pointwise_value,
    value,
)

__all__ = [
    "GLOBAL_OPTIMUM",
    "BestResponse",
    "Classifiers",
    "Descent",
    "Linear",
    "ModeDropping",
    "best_for_discriminator",
    "best_for_generator",
    "convexity_gap",
    "criterion",
    "criterion_from_jsd",
    "criterion_gradient",
    "descend",
    "maximiser",
    "mode_dropping",
    "non_saturating_gradient",
    "optimal_discriminator",
    "optimal_logit",
    "pointwise_value",
    "push_forward",
    "saturating_gradient",
    "two_classifiers",
    "uniform_shift_jsd",
    "value",
]
