"""Data sets that need no file: scikit-learn's digits and two mixtures of Gaussians in the plane."""

from __future__ import annotations

import numpy as np

from plausible.data.raw import Raw

__all__ = ["MIXTURES", "digits", "grid", "ring"]

_POINTS = 100_000


def digits(name: str) -> Raw:
    """1,797 digits of 43 people, 8 × 8, levels 0 … 16 divided by 16.

    Source: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI 1998, as packed with
    scikit-learn.
    """
    from sklearn.datasets import load_digits

    images, y = load_digits(return_X_y=True)
    x = images.astype(np.uint8).reshape(-1, 1, 8, 8)
    return Raw.of(name, x, y=y.astype(np.int64), labels=_numerals(10), domain="unit", scale=16.0)


def _on_a_circle() -> np.ndarray:
    angle = np.arange(8) * (2 * np.pi / 8)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _on_a_grid() -> np.ndarray:
    line = np.arange(-4.0, 5.0, 2.0)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


MIXTURES: dict[str, tuple[np.ndarray, float]] = {"ring": (_on_a_circle(), 0.01), "grid": (_on_a_grid(), 0.05)}
"""Name → the centres, (modes, 2), and σ."""


def ring(name: str) -> Raw:
    """Eight Gaussians, σ = 0.01, evenly on the unit circle (Metz et al., "Unrolled GANs", 2017)."""
    return _mixture(name, *MIXTURES["ring"])


def grid(name: str) -> Raw:
    """Twenty-five Gaussians, σ = 0.05, at {-4, -2, 0, 2, 4}²."""
    return _mixture(name, *MIXTURES["grid"])


def _mixture(name: str, centres: np.ndarray, sigma: float) -> Raw:
    """Points around centres, (modes, 2), each mode equally likely; random seed 0."""
    rng = np.random.default_rng(0)
    y = rng.integers(len(centres), size=_POINTS)
    x = centres[y] + sigma * rng.standard_normal((_POINTS, 2))
    return Raw.of(name, x.astype(np.float32), y=y, labels=_numerals(len(centres)), domain="real")


def _numerals(n: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(n))
