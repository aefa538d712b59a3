"""A Gaussian mixture fitted on codes, held in buffers: what an autoencoder, which has no prior, is sampled from."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plausible.errors import PlausibleError

__all__ = ["FittedMixture"]


class FittedMixture(nn.Module):
    """p(z) = Σ_k w_k N(z; μ_k, L_k L_kᵀ); N(0, I) until it is fitted.

    Args:
        components: K, at most; a fit on fewer codes than that uses as many as there are codes.
        latent: Dimensions of z.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, latent))
        self.register_buffer("factors", torch.eye(latent).repeat(components, 1, 1))

    def fit(self, codes: np.ndarray) -> None:
        """Fit by expectation maximisation (scikit-learn, full covariances, seed 0); the same codes give the same fit.

        Each dimension is standardised first, so that the 10⁻⁶ added to the variances is relative to its spread.

        Args:
            codes: (N, latent).

        Raises:
            PlausibleError: a code is not finite.
        """
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        codes = codes.astype(np.float64)
        if not np.isfinite(codes).all():
            raise PlausibleError(
                "a code is not finite: no density can be fitted. Try a smaller learning rate"
            )
        centre, scale = codes.mean(0), codes.std(0)
        inside = (codes - centre) / np.where(scale > 0, scale, 1.0)
        used = min(len(self.weights), len(codes))
        fitted: Any = GaussianMixture(used, random_state=0)
        # k-means' threads add up in the order in which they end: one thread, or the fit is not repeatable
        with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):
            warnings.simplefilter("ignore")  # not converged, or fewer distinct codes than components
            fitted.fit(inside if len(inside) > 1 else np.repeat(inside, 2, 0))
        self._keep(fitted.weights_, centre + scale * fitted.means_, fitted.covariances_, scale)

    def _keep(
        self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, scale: np.ndarray
    ) -> None:
        used = len(weights)
        self.weights.zero_()
        self.weights[:used] = torch.from_numpy(weights)
        self.means[:used] = torch.from_numpy(means)
        self.factors[:used] = torch.from_numpy(scale[:, None] * np.linalg.cholesky(covariances))

    def sample(self, n: int) -> Tensor:
        """n draws, (n, latent), from torch's global random state."""
        part = torch.multinomial(self.weights, n, replacement=True)
        noise = torch.randn(n, self.means.shape[1], 1, device=self.means.device)
        return self.means[part] + (self.factors[part] @ noise).squeeze(2)
