"""The latent form of a model of real vectors: it learns the codes of a trained coder, and samples through its decoder.

Source: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*, 2022.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from plausible.capabilities import Bound, Density, HeldOutLoss, Reconstruction, require, supports
from plausible.data import Rows
from plausible.data.rows import StoredRows
from plausible.errors import PlausibleError
from plausible.game import Batch, Domain, GenerativeModel, Loss, Turn, takes_examples
from plausible.models.coder import Coder
from plausible.models.scaling import Scaling

__all__ = ["Latent"]


class Latent(GenerativeModel):
    """A model of the codes of a coder that is trained already, and the coder.

    The code of x is encode(x), of a VAE the mean of q(z|x), standardised by the training rows' codes. `inner` is
    trained on it; no turn moves the coder. A sample is a code that `inner` samples, decoded. `encode`, `decode` and
    `reconstruct` are the coder's own; `sample_prior` samples codes from `inner`, in the coder's scale.

    Args:
        inner: model of real vectors, as long as the code.
        coder: trained autoencoder, VAE or adversarial autoencoder, without classes.

    Raises:
        PlausibleError: the coder is conditional, or `inner` models something else than real vectors of that length.

    Attributes:
        latent: length of a code.
        standard: the scale of the codes.
    """

    domains: ClassVar[tuple[Domain, ...]] = ("binary", "unit", "real", "mixed")

    def __init__(self, inner: GenerativeModel, coder: Coder) -> None:
        super().__init__(coder.shape, coder.domain)
        if len(coder.classes):
            raise PlausibleError(
                "the coder is told the classes, so that its codes do not say everything: train one without --classes"
            )
        self.latent = coder.latent
        if inner.domain != "real" or inner.shape != (self.latent,):
            raise PlausibleError(
                f"codes are real vectors of {self.latent} values, and this {type(inner).__name__} models "
                f"{inner.domain} values of shape {inner.shape}"
            )
        self.inner, self.coder = inner, coder.requires_grad_(False).eval()
        self.standard = Scaling(inner.shape, "real")
        self.together, self.labels = inner.together, inner.labels

    def train(self, mode: bool = True) -> Latent:
        """As any module's, but for the coder, which stays in evaluation mode."""
        super().train(mode)
        self.coder.eval()
        return self

    @property
    def kernel_in_use(self) -> str | None:
        return self.inner.kernel_in_use

    @property
    def passes(self) -> int:
        """How often a sample goes through the weights, at most."""
        return int(getattr(self.inner, "passes", 1))

    # ------------------------------------------------------------------ training
    def prepare(self, data: Any) -> None:
        """Standardise the training rows' codes; what `inner` prepares, it prepares on them."""
        self.standard.fit(self._rows_of_codes(data, self.coder.encode))
        self.inner.prepare(self._rows_of_codes(data, self._code))

    def finish(self, data: Any) -> None:
        if type(self.inner).finish is not GenerativeModel.finish:
            self.inner.finish(self._rows_of_codes(data, self._code))

    def turns(self) -> Sequence[Turn]:
        """Those of `inner`, on codes."""
        return [replace(turn, loss=functools.partial(self._loss, turn.loss)) for turn in self.inner.turns()]

    def _loss(self, loss: Callable[[Batch], Loss], batch: Batch) -> Loss:
        return loss(self._coded(batch))

    def _coded(self, batch: Batch) -> Batch:
        labelled = None if batch.labelled is None else self._coded(batch.labelled)
        return replace(batch, x=self._code(batch.x), labelled=labelled)

    def _code(self, x: Tensor) -> Tensor:
        """The standardised code, (B, *shape) → (B, latent), whatever the precision of the training."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            return self.standard.inward(self.coder.encode(x))

    def _rows_of_codes(self, data: Any, encode: Callable[[Tensor], Tensor]) -> Rows:
        """The codes of all rows, with their labels."""
        device = self.standard.mean.device
        with torch.no_grad():
            blocks = [encode(torch.from_numpy(block).to(device)).cpu().numpy() for block in data.blocks()]
        stored = StoredRows("codes", (np.concatenate(blocks),), (self.latent,), "real", y=data.y)
        return Rows(stored, np.arange(len(data)))

    # ------------------------------------------------------------------ judging and scoring
    @property
    def judged(self) -> bool:
        """Whether held-out rows tell which of two states of `inner` is better."""
        return any(supports(self.inner, each) for each in (HeldOutLoss, Density, Bound, Reconstruction))

    @property
    def held_out_is(self) -> str:
        """What minus the held-out loss is, in words."""
        if supports(self.inner, HeldOutLoss):
            return "minus the loss at fixed times and noise, of codes"
        if supports(self.inner, Density):
            return "log p(code) in nats"
        if supports(self.inner, Bound):
            return "ELBO of the code in nats"
        return "minus the squared error of the code's reconstruction"

    @takes_examples
    @torch.no_grad()
    def held_out_loss(self, x: Tensor) -> Tensor:
        """What `inner` is judged by, of codes, (B, *shape) → (B,), lower is better.

        Its own held-out loss, else −log p(code), else minus a bound of it, else the squared error of its reconstruction
        of the code.
        """
        z = self._code(x)
        if supports(self.inner, HeldOutLoss):
            return self.inner.held_out_loss(z)
        if supports(self.inner, Density):
            return -self.inner.log_prob(z)
        if supports(self.inner, Bound):
            return -self.inner.log_prob_bound(z, samples=1)
        return (require(self.inner, Reconstruction).reconstruct(z) - z).square().sum(1)

    @property
    def has_code_density(self) -> bool:
        """Whether `inner` has a density of such codes."""
        return supports(self.inner, Density)

    @takes_examples
    @torch.no_grad()
    def log_prob_of_code(self, x: Tensor) -> Tensor:
        """log p(encode(x)), the density of the code and not of x, (B, *shape) → (B,), nats.

        Raises:
            PlausibleError: `inner` has no density.
        """
        return require(self.inner, Density).log_prob(self._code(x)) + self.standard.log_volume()

    # ------------------------------------------------------------------ the jobs
    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None) -> Tensor:
        """Sample n examples, (n, *shape), of the classes y, (n,), if `inner` knows any."""
        z = self.standard.outward(self.inner.sample(n) if y is None else self.inner.sample(n, y=y))
        return self.coder.observed(z)

    @torch.no_grad()
    def sample_prior(self, n: int) -> Tensor:
        """Codes that `inner` samples, (n, latent), from torch's global random state."""
        return self.standard.outward(self.inner.sample(n))

    @takes_examples
    def encode(self, x: Tensor) -> Tensor:
        """The coder's code, (B, *shape) → (B, latent)."""
        return self.coder.encode(x)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """What the coder decodes, (B, latent) → (B, *shape), differentiable in z; it takes no classes."""
        return self.coder.decode(z, y)

    @takes_examples
    def reconstruct(self, x: Tensor) -> Tensor:
        """The coder's reconstruction, (B, *shape) → (B, *shape)."""
        return self.coder.reconstruct(x)

    @takes_examples
    def log_reconstruction(self, x: Tensor) -> Tensor:
        """The coder's log p(x_i | z = encode(x)), (B, *shape) → (B, D), nats."""
        return self.coder.log_reconstruction(x)
