"""Adaptive integration over an interval or the whole line, vectorised.

SciPy's `quad` calls the integrand one point at a time, which takes about 50 µs per point for a torch density; this one
evaluates all points of a round at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError

__all__ = ["Quadrature", "quadrature"]

_Integrand = Callable[[Tensor], Tensor]

_RELATIVE = 1e-13  # of ∫|f|: an interval that agrees with its two halves to this is accepted
_ACCEPTED = 1e-8  # a larger relative error is an exception
_ROUNDS, _INTERVALS = 52, 20_000  # bisections of an interval, and intervals at a time
_NARROW = 1e-13  # below this relative width, the points of an interval would round to its ends
_GRADES = 12  # the first round goes as near as 2⁻¹² of an interval to each of its ends
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Quadrature:
    """value ≈ ∫ f; error: the estimated absolute error, usually far too large; evaluations: points of f evaluated."""

    value: float
    error: float
    evaluations: int

    def __float__(self) -> float:
        return self.value


def quadrature(
    f: _Integrand, low: float, high: float, points: Iterable[float] = (), *, floor: float = 0.0
) -> Quadrature:
    """∫ f(x) dx from low to high, either of which may be infinite, to about 1e-10 relative to ∫|f|.

    f: float64 tensor (m,) → tensor or array (m,). points: where f has kinks, jumps or narrow peaks. Pass them, since
    a peak between the points of the first round is missed (`landmarks` finds them for distributions). f is never
    evaluated at low, high or points themselves. floor: an absolute error that is small enough, for integrands that may
    be rounding error alone, such as p·(log p − log q) for equal p and q.

    Method: 16-point Gauss–Legendre on every interval against its two halves, bisecting where they disagree, the
    first intervals shrinking towards low, high and points;
    x = c + s·t/(1 − t²) maps the whole line to (−1, 1), x = low + s·t/(1 − t) a half-line to (0, 1), with c and s
    the centre and spread of the points. An integrand that is +∞ (−∞) at some x gives +∞ (−∞).

    Raises `PlausibleError` for low ≥ high, an integrand that is NaN, and one that does not converge (it may be
    infinite, or oscillate).
    """
    if math.isnan(low) or math.isnan(high) or not low < high:
        raise PlausibleError(f"quadrature from {low} to {high}: the lower limit must be below the upper one")
    inner = sorted({float(x) for x in points if low < x < high and math.isfinite(x)})
    if math.isinf(low) and not math.isinf(high):
        return quadrature(lambda x: f(-x), -high, math.inf, [-x for x in inner], floor=floor)
    g, edges = _on_finite_interval(f, low, high, inner)
    return _adaptive(g, np.array(edges), floor)


def _on_finite_interval(
    f: _Integrand, low: float, high: float, points: list[float]
) -> tuple[Callable[[np.ndarray], np.ndarray], list[float]]:
    """The integrand in t, dx/dt included, and the interval's edges and points in t."""
    if math.isinf(low):
        centre = points[len(points) // 2] if points else 0.0
        scale = (points[-1] - points[0]) / 2 if len(points) > 1 else 1.0

        def line(t: np.ndarray) -> np.ndarray:
            gap = (1 - t) * (1 + t)
            return _call(f, centre + scale * t / gap) * scale * (1 + t * t) / gap**2

        scaled = [(x - centre) / scale for x in points]
        return line, [-1.0, *(2 * y / (1 + math.sqrt(1 + 4 * y * y)) for y in scaled), 0.0, 1.0]
    if math.isinf(high):
        scale = points[-1] - low if points else 1.0

        def half_line(t: np.ndarray) -> np.ndarray:
            return _call(f, low + scale * t / (1 - t)) * scale / (1 - t) ** 2

        return half_line, [0.0, *((x - low) / (x - low + scale) for x in points), 1.0]
    return lambda x: _call(f, x), [low, *points, high]


def _call(f: _Integrand, x: np.ndarray) -> np.ndarray:
    result = f(torch.from_numpy(x))
    y = (
        result.detach().cpu().double().numpy()
        if isinstance(result, Tensor)
        else np.asarray(result, dtype=float)
    )
    if y.shape != x.shape:
        raise PlausibleError(
            f"quadrature: the integrand gave shape {y.shape} for points of shape {x.shape}; give one"
        )
    if np.isnan(y).any():
        raise PlausibleError(f"quadrature: the integrand is NaN at x = {x[np.isnan(y)][0]:.6g}")
    return y


def _gauss(
    g: Callable[[np.ndarray], np.ndarray], a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """∫ g and ∫ |g| by 16 points on each of the intervals (a, b)."""
    half = (b - a) / 2
    values = g(((a + b)[:, None] / 2 + half[:, None] * _NODES).ravel()).reshape(len(a), -1)
    return values @ _WEIGHTS * half, np.abs(values) @ _WEIGHTS * half


def _infinite(parts: np.ndarray, evaluations: int) -> Quadrature:
    if np.isposinf(parts).any() and np.isneginf(parts).any():
        raise PlausibleError("quadrature: the integrand is +∞ in one place and −∞ in another: no integral")
    return Quadrature(math.inf if np.isposinf(parts).any() else -math.inf, 0.0, evaluations)


def _graded(edges: np.ndarray) -> np.ndarray:
    """The edges, and points between them whose distance to an edge halves, so that mass near an edge is found."""
    steps = 2.0 ** -np.arange(1, _GRADES + 1)
    width = np.diff(edges)[:, None]
    return np.unique(
        np.concatenate(
            [edges, (edges[:-1, None] + width * steps).ravel(), (edges[1:, None] - width * steps).ravel()]
        )
    )


def _adaptive(g: Callable[[np.ndarray], np.ndarray], edges: np.ndarray, floor: float) -> Quadrature:
    edges = _graded(np.unique(edges))
    a, b = edges[:-1], edges[1:]
    whole, size = _gauss(g, a, b)
    value, error, absolute, evaluations = 0.0, 0.0, 0.0, len(a) * 16
    for _ in range(_ROUNDS):
        if np.isinf(whole).any():
            return _infinite(whole, evaluations)
        middle = (a + b) / 2
        a, b = np.stack([a, middle], 1).ravel(), np.stack([middle, b], 1).ravel()
        parts, size = _gauss(g, a, b)
        evaluations += len(a) * 16
        gap = np.abs(whole - parts.reshape(-1, 2).sum(axis=1))
        narrow = b[1::2] - a[::2] <= _NARROW * np.maximum(np.abs(a[::2]), np.abs(b[1::2]))
        done = (gap <= max(_RELATIVE * (absolute + size.sum()), floor / _INTERVALS)) | narrow
        kept = np.repeat(done, 2)
        value, absolute, error = (
            value + parts[kept].sum(),
            absolute + size[kept].sum(),
            error + gap[done].sum(),
        )
        a, b, whole = a[~kept], b[~kept], parts[~kept]
        if not len(a) or len(a) > _INTERVALS:
            break
    value, error = float(value + whole.sum()), float(error + (gap[~done].sum() if len(a) else 0.0))
    if not error <= max(_ACCEPTED * (absolute + float(np.abs(whole).sum())), floor, 1e-308):
        raise PlausibleError(
            f"quadrature: {value:.6g} ± {error:.1g} after {evaluations} evaluations does not converge; the integral "
            "may be infinite, or give the integrand's kinks and peaks as `points`"
        )
    return Quadrature(value, error, evaluations)
