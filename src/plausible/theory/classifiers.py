"""Generative and discriminative classification: model each class and apply Bayes' rule, or model the boundary alone.

    generative       p(x | y) = N(x; μ_y, Σ), P(y)  →  P(y | x) by Bayes        can also make an x for a given y
    discriminative   P(y = 1 | x) = sigmoid(w·x + b), fitted directly            knows nothing of how x looks

With one Σ for both classes Bayes' rule gives sigmoid(w·x + b) as well, w = Σ⁻¹(μ₁ − μ₀): the same family, two fits.
Source: Ng & Jordan, On discriminative vs. generative classifiers (2001); Bishop (2006), §4.2 and §4.3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit
from torch.distributions import MultivariateNormal

from plausible.errors import PlausibleError
from plausible.probability.checks import as_float64

__all__ = ["Classifiers", "Linear", "two_classifiers"]

_PENALTY = 1e-6
"""Weight of ½‖w‖², on standardised x, added to the summed log loss; keeps w finite for separable classes."""


@dataclass(frozen=True, eq=False)
class Linear:
    """P(y = 1 | x) = sigmoid(weight·x + bias); weight (d,), bias in nats of log-odds."""

    weight: np.ndarray
    bias: float

    def probability(self, x: object) -> np.ndarray:
        """P(y = 1 | x), (n,), of x (n, d)."""
        rows = as_float64(x, "probability, x")
        if rows.ndim != 2 or rows.shape[1] != len(self.weight):
            raise PlausibleError(f"probability: x of shape {rows.shape}; give (n, {len(self.weight)})")
        return expit(rows @ self.weight + self.bias)


@dataclass(frozen=True, eq=False)
class Classifiers:
    """Both fits, and the generative one's model: prior P(y = 1), means (2, d), covariance (d, d), shared."""

    generative: Linear
    discriminative: Linear
    prior: float
    means: np.ndarray
    covariance: np.ndarray

    def class_model(self, y: int) -> MultivariateNormal:
        """p(x | y) = N(μ_y, Σ) in float64, which can be sampled; the discriminative model has none. y: 0 or 1."""
        if y not in (0, 1):
            raise PlausibleError(f"class_model: y = {y!r}; there are the classes 0 and 1")
        return MultivariateNormal(torch.from_numpy(self.means[y]), torch.from_numpy(self.covariance))


def two_classifiers(x: object, y: object) -> Classifiers:
    """Fit P(y | x) generatively and discriminatively to the same rows, both by maximum likelihood.

    x: (n, d) finite numbers; y: (n,) zeros and ones, both present.
    Generative: P(y = 1) = n₁/n, μ_y the class means, Σ = 1/n Σᵢ (xᵢ − μ_{yᵢ})(xᵢ − μ_{yᵢ})ᵀ, and by Bayes' rule

        weight = Σ⁻¹(μ₁ − μ₀),   bias = log(n₁/n₀) − ½(μ₁ + μ₀)·weight

    (linear discriminant analysis). Discriminative: logistic regression, the lowest mean −log P(yᵢ | xᵢ), with a
    penalty of 1e-6 that only matters to classes which a plane separates. No linear model has a lower log loss on
    these rows; the generative one needs fewer of them when its Gaussians are true.

    Raises for shapes that do not fit, a class without rows, and columns that depend on one another (Σ singular).
    """
    rows, ones = _checked(x, y)
    prior = float(ones.mean())
    means = np.stack([rows[~ones].mean(axis=0), rows[ones].mean(axis=0)])
    spread = rows - means[ones.astype(int)]
    covariance = spread.T @ spread / len(rows)
    scale = np.sqrt(np.diag(covariance))
    unit = np.where(scale > 0, scale, 1)
    correlation = covariance / np.outer(unit, unit)
    if not (scale > 0).all() or np.linalg.cond(correlation) > 1e12:
        raise PlausibleError(
            "two_classifiers: within the classes the columns of x depend on one another, or one is constant, so Σ has "
            "no inverse; leave columns out, or give more rows"
        )
    weight = np.linalg.solve(correlation, (means[1] - means[0]) / scale) / scale
    bias = math.log(prior / (1 - prior)) - float((means[1] + means[0]) @ weight) / 2
    return Classifiers(Linear(weight, bias), _logistic(rows, ones), prior, means, covariance)


def _logistic(rows: np.ndarray, ones: np.ndarray) -> Linear:
    """Logistic regression by Newton's method, on standardised columns, so that units do not matter."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    fit = LogisticRegression(C=1 / _PENALTY, solver="newton-cholesky", tol=1e-8, max_iter=200)
    fit.fit((rows - centre) / scale, ones)
    weight = fit.coef_[0] / scale
    return Linear(weight, float(fit.intercept_[0] - weight @ centre))


def _checked(x: object, y: object) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = as_float64(x, "two_classifiers, x"), as_float64(y, "two_classifiers, y")
    if rows.ndim != 2 or not rows.shape[1] or labels.shape != rows.shape[:1] or not np.isfinite(rows).all():
        raise PlausibleError(
            f"two_classifiers: x of shape {rows.shape}, y of shape {labels.shape}; give finite x (n, d) and y (n,)"
        )
    if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) != 2:
        raise PlausibleError("two_classifiers: y must hold zeros and ones, some of each")
    return rows, labels == 1
