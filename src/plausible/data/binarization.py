"""Binarization: replace values in [0, 1] by 0 or 1, with random numbers that depend on the row alone.

Row i of seed s has its own SplitMix64 stream, with state mix(mix(s) + γ(i+1)) (Steele, Lea & Flood, 2014,
"Fast splittable pseudorandom number generators"). A binarized image is therefore the same in `rows`, in `test`, in
any order and in any batch, and data larger than memory need no second copy.
"""

from __future__ import annotations

import numpy as np

__all__ = ["FIXED_STREAM", "GENERATOR", "binarize", "stream_of_seed", "uniform"]

_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
FIXED_STREAM = 0
GENERATOR = "splitmix64"


def _mix(words: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer, in place; words are uint64."""
    scratch = words >> np.uint64(30)
    words ^= scratch
    words *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(words, np.uint64(27), out=scratch)
    words ^= scratch
    words *= np.uint64(0x94D049BB133111EB)
    np.right_shift(words, np.uint64(31), out=scratch)
    words ^= scratch
    return words


def stream_of_seed(seed: int) -> int:
    """The stream of a random seed; it is never `FIXED_STREAM`."""
    return 2 * seed + 1


def uniform(stream: int, ids: np.ndarray, size: int) -> np.ndarray:
    """Uniform numbers in [0, 1), multiples of 2⁻²⁴, (len(ids), size), float32.

    Each is a function of (stream, id, position) alone.
    """
    start = _mix(np.array([stream & _MASK], np.uint64))
    keys = _mix(start + np.uint64(_GAMMA) * (ids.astype(np.uint64) + np.uint64(1)))
    steps = np.uint64(_GAMMA) * np.arange(1, (size + 1) // 2 + 1, dtype=np.uint64)
    words = _mix(keys[:, None] + steps[None, :]).view(np.uint32)  # two numbers a word
    words >>= np.uint32(8)
    return np.multiply(words[:, :size], np.float32(2.0**-24), dtype=np.float32)


def binarize(x: np.ndarray, stream: int, ids: np.ndarray) -> None:
    """Replace each value of x, (B, *shape) in [0, 1], by 1 with probability x and by 0 otherwise, in place."""
    u = uniform(stream, ids, int(np.prod(x.shape[1:])))
    np.less(u.reshape(x.shape), x, out=x, casting="unsafe")
