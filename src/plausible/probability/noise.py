"""Add Gaussian noise to images."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from plausible.errors import PlausibleError
from plausible.probability.checks import as_seed

__all__ = ["gaussian_noise"]

_Images = TypeVar("_Images", np.ndarray, Tensor)


def gaussian_noise(
    images: _Images,
    std: float | np.ndarray | Tensor,
    seed: int = 0,
    clip: tuple[float, float] | None = None,
) -> _Images:
    """images + std·ε, with ε ~ N(0, 1) independent for every pixel and channel.

    images: array or tensor of any shape; the result has its type, shape, dtype and device, the input is not changed.
    std: ≥ 0, in the pixels' own units (0.1 on [0, 1] is 25.5 on 0–255): a number, or anything that broadcasts
    against the images, such as (B, 1, 1, 1) for one std per image. seed: the same seed and shape give the same ε.
    clip: (low, high) to clip the result to, which makes extreme pixels less noisy and moves their mean; None: do not
    clip. Noise is sampled and added in float64 and rounded to the images' dtype at the end.

    Whole-number images (uint8) need `clip`, since they cannot hold what lies outside their range; the sum is then
    rounded to the nearest level. Raises `PlausibleError` for that, a negative or non-finite std, a std that does
    not broadcast, and an empty or reversed clip range.
    """
    pixels = _pixels(images)
    if pixels.dtype.kind not in "fui":
        raise PlausibleError(f"images of {pixels.dtype}: give floats or whole numbers (uint8)")
    scale = _scale(std, pixels.shape)
    low, high = _range(clip, pixels.dtype)
    noisy = pixels + scale * np.random.default_rng(as_seed(seed)).standard_normal(pixels.shape)
    noisy = np.clip(noisy, low, high)
    if pixels.dtype.kind in "ui":
        noisy = np.rint(noisy)
    if isinstance(images, Tensor):
        return torch.from_numpy(noisy).to(images.device, images.dtype)  # ty: ignore[invalid-explicit-return]
    return noisy.astype(pixels.dtype)


def _pixels(images: np.ndarray | Tensor) -> np.ndarray:
    if not isinstance(images, Tensor):
        return np.asarray(images)
    tensor = images.detach().cpu()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def _scale(std: float | np.ndarray | Tensor, shape: tuple[int, ...]) -> np.ndarray:
    scale = np.asarray(std.detach().cpu().numpy() if isinstance(std, Tensor) else std, dtype=np.float64)
    if not np.isfinite(scale).all() or (scale < 0).any():
        raise PlausibleError(
            f"std = {std}: the standard deviation of the noise must be finite and at least 0"
        )
    try:
        fits = np.broadcast_shapes(scale.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise PlausibleError(f"std of shape {scale.shape} does not broadcast to images of shape {shape}")
    return scale


def _range(clip: tuple[float, float] | None, dtype: np.dtype) -> tuple[float, float]:
    whole = dtype.kind in "ui"
    if clip is None:
        if whole:
            top = np.iinfo(dtype).max
            raise PlausibleError(
                f"images of {dtype} cannot hold unclipped noise: give clip=(0, {top}), or float images"
            )
        return -np.inf, np.inf
    low, high = clip
    if not low < high:
        raise PlausibleError(f"clip = {clip}: the lower bound must be below the upper one")
    if whole and (low < np.iinfo(dtype).min or high > np.iinfo(dtype).max):
        raise PlausibleError(
            f"clip = {clip}: {dtype} holds {np.iinfo(dtype).min} to {np.iinfo(dtype).max} only"
        )
    return low, high
