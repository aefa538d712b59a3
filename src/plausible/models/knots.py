"""Distribution functions of columns through knots, in the buffers of a module."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from plausible.likelihoods import HALF_LOG_TWO_PI
from plausible.models.marginals import fit_marginal

__all__ = ["HasKnots", "Knots"]


class HasKnots(nn.Module):
    """A module with the distribution functions F_i of D columns, see `fit_marginal`.

    Attributes:
        x: (D, K): knots of each column, in its units, ascending; the first and the last stand in the tails.
        z: (D, K): the scores Φ⁻¹(F_i(x)) there.
        flat: (D, K − 1), bool: whether the density is constant between two knots; otherwise z is linear.
        used: (D,), int64: how many knots are of use; the others continue the upper tail.
    """

    x: Tensor
    z: Tensor
    flat: Tensor
    used: Tensor

    def add_knots(self, columns: int, knots: int, floor: float) -> None:
        """Make the buffers, for that many columns; `knots` and `floor` are those of `fit_marginal`."""
        self.knots, self.floor = knots, floor
        start = torch.arange(3 * knots + 4.0).expand(columns, -1)
        self.register_buffer("x", start.clone())
        self.register_buffer("z", start.clone())
        self.register_buffer("flat", torch.zeros(columns, start.shape[1] - 1, dtype=torch.bool))
        self.register_buffer("used", torch.full((columns,), 2))

    def fit_column(self, i: int, values: np.ndarray) -> None:
        """Fit the knots of the i-th column to its values, (n,)."""
        marginal = fit_marginal(values.astype(np.float64), self.knots, self.floor)
        x, z, flat = marginal.padded(self.x.shape[1])
        self.x[i], self.z[i], self.flat[i] = (torch.from_numpy(part) for part in (x, z, flat))
        self.used[i] = len(marginal.x)

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z_i = Φ⁻¹(F_i(x_i)) and log dz_i/dx_i of rows, (B, D) → (B, D) each, float64."""
        x = x.double()
        piece = torch.searchsorted(self.x[:, 1:-1].double().contiguous(), x.t().contiguous(), right=True).t()
        flat, x0, x1, z0, z1 = self._piece(piece)
        linear = z0 + (x - x0) / (x1 - x0) * (z1 - z0)
        slope = (z1 - z0).log() - (x1 - x0).log()
        u0, u1 = torch.special.ndtr(z0), torch.special.ndtr(z1)
        share = ((x - x0) / (x1 - x0)).clamp(0, 1)
        even = torch.special.ndtri(torch.lerp(u0, u1, torch.where(flat, share, 0.5)))
        steep = (u1 - u0).log() - (x1 - x0).log() + 0.5 * even.square() + HALF_LOG_TWO_PI
        return torch.where(flat, even, linear), torch.where(flat, steep, slope)

    def unscore(self, z: Tensor) -> Tensor:
        """The inverse, x_i = F_i⁻¹(Φ(z_i)), (B, D) → (B, D), float64."""
        piece = torch.searchsorted(self.z[:, 1:-1].double().contiguous(), z.t().contiguous(), right=True).t()
        flat, x0, x1, z0, z1 = self._piece(piece)
        u0, u1 = torch.special.ndtr(z0), torch.special.ndtr(z1)
        share = torch.where(
            flat, ((torch.special.ndtr(z) - u0) / (u1 - u0)).clamp(0, 1), (z - z0) / (z1 - z0)
        )
        return x0 + share * (x1 - x0)

    def _piece(self, piece: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of the piece that each value lies in: whether it is flat, and x and z at its ends; (B, D) each."""
        columns = torch.arange(len(self.x), device=piece.device)
        x0, x1 = (self.x[columns, at].double() for at in (piece, piece + 1))
        z0, z1 = (self.z[columns, at].double() for at in (piece, piece + 1))
        return self.flat[columns, piece], x0, x1, z0, z1

    def jumps(self, column: int) -> Tensor:
        """The knots of a column, where its density may jump, (knots,), ascending."""
        return self.x[column, : self.used[column]]


class Knots(HasKnots):
    """Independent columns of numbers.

    Args:
        columns: how many.
        knots, floor: see `fit_marginal`.
    """

    def __init__(self, columns: int, knots: int = 40, floor: float = 1e-3) -> None:
        super().__init__()
        self.add_knots(columns, knots, floor)
        self.register_load_state_dict_pre_hook(_as_knots)

    def log_prob(self, x: Tensor) -> Tensor:
        """log F_i'(x_i) of each value, (B, D) → (B, D), nats."""
        z, slope = self.score(x)
        return (slope - 0.5 * z.square() - HALF_LOG_TWO_PI).to(x)

    def sample(self, n: int) -> Tensor:
        """n rows, (n, D), float64, from torch's global random state."""
        return self.unscore(torch.randn(n, len(self.x), dtype=torch.float64, device=self.x.device))


def _as_knots(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    """Weights of an earlier version, a copula's, have an order and correlations of their own, which are not used."""
    for name in ("R", "order"):
        state.pop(prefix + name, None)
