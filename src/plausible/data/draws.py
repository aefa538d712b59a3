"""Random numbers that belong to a row: the same however the rows are batched, and stored nowhere.

Row i of seed s owns the SplitMix64 stream whose state is mix(mix(s) + γ(i+1)) (Steele, Lea & Flood, 2014,
"Fast splittable pseudorandom number generators"). So a binarized image is the same in `rows`, in `test` and
in any order, and data larger than memory need no second copy.
"""

from __future__ import annotations

import numpy as np

GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
FIXED = 0
NAME = "splitmix64"


def _mix(words: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer, in place, uint64."""
    scratch = words >> np.uint64(30)
    words ^= scratch
    words *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(words, np.uint64(27), out=scratch)
    words ^= scratch
    words *= np.uint64(0x94D049BB133111EB)
    np.right_shift(words, np.uint64(31), out=scratch)
    words ^= scratch
    return words


def fresh(seed: int) -> int:
    """The stream number of a caller's seed: never that of the one fixed draw."""
    return 2 * seed + 1


def uniform(stream: int, ids: np.ndarray, size: int) -> np.ndarray:
    """Multiples of 2⁻²⁴ in [0, 1), (len(ids), size), float32: functions of (stream, id, position) alone."""
    start = _mix(np.array([stream & MASK], np.uint64))
    keys = _mix(start + np.uint64(GAMMA) * (ids.astype(np.uint64) + np.uint64(1)))
    steps = np.uint64(GAMMA) * np.arange(1, (size + 1) // 2 + 1, dtype=np.uint64)
    words = _mix(keys[:, None] + steps[None, :]).view(np.uint32)  # two numbers a word
    words >>= np.uint32(8)
    return np.multiply(words[:, :size], np.float32(2.0**-24), dtype=np.float32)


def binarize(x: np.ndarray, stream: int, ids: np.ndarray) -> None:
    """Replace x, (B, *shape) in [0, 1], by 1 with probability x and else by 0, in place."""
    draw = uniform(stream, ids, int(np.prod(x.shape[1:])))
    np.less(draw.reshape(x.shape), x, out=x, casting="unsafe")
