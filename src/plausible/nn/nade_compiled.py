"""The compiled form of `plausible.nn.nade`, for processors: numba's, loaded when it is first needed.

*Forward*: a tile of examples at a time, its sums a and hidden units h in the first-level cache, walks all variables.
h changes only where x_i ≠ 0, so only there is it computed anew.

*Backward*: some hidden units of all examples at a time, for given ∂/∂s nothing leads from one hidden unit to another.
Block by block of RESTART variables, four examples at a time walk the variables back and undo the sums,
a_i = a_{i+1} − x_i·W_i, instead of having stored D of them; h stands still from one x_i ≠ 0 to the next, so two outputs
are dealt with at once there, and the slope ∂/∂a is settled only at its end. Rounding does not build up: each block
begins at the a that the forward walk had.

Tiles and groups of hidden units are tasks; nothing is summed over tasks, so the result is the same, bit for bit, for
any number of threads (`torch.get_num_threads()`). The threads are Python's own: the kernels let go of the
interpreter's lock.

The loops index arrays, and take no rows out of them: numba counts references to a row with atomic instructions, which
cost as much as the row's arithmetic.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from math import exp
from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import overload
from torch import Tensor
from torch.nn.functional import pad

TILE = 8
"""Examples of a forward tile; a multiple of 4."""
TASK = 16
"""Examples of a forward task."""
UNITS = 256
"""Hidden units of a backward task."""
RESTART = 112
"""Variables from one stored sum to the next."""

_FAST = {
    "reassoc",
    "contract",
    "nsz",
    "arcp",
}  # sums in any order, a·b + c in one; NaN and ∞ stay what they are


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """numba's compilation, kept on disk: beside this file, else in the user's cache, else not at all."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return njit(**options)(function)


inlined = njit(forceinline=True, nogil=True, fastmath=_FAST, error_model="numpy")
"""For the parts that kernels are made of."""


# ------------------------------------------------------------------ what PyTorch sees
def room(x: Tensor, W: Tensor) -> Tensor:
    """Where the forward walk leaves every RESTART-th sum, and the last, for the backward one: (⌈D/RESTART⌉, B, H)."""
    return W.new_empty(-(-W.shape[0] // RESTART), x.shape[0], W.shape[1])


def forward(
    x: Tensor,
    W: Tensor,
    V: Tensor,
    b: Tensor,
    c: Tensor,
    relu: bool,
    *,
    states: Tensor | None = None,
    uniform: Tensor | None = None,
    known: int = 0,
) -> Tensor:
    """s, (B, D·O), as `nade.outputs`.

    Args:
        states: from `room`; written.
        uniform: (B, D); with it, variables from `known` on are drawn and written into x, which must be contiguous.
    """
    found = W.new_empty(x.shape[0], V.shape[0])
    arrays = [_numpy(t) for t in (x, W, V, b, c)]
    kept = _numpy(W.new_empty(0, 0, 0) if states is None else states)
    drawn = _numpy(W.new_empty(0, 0) if uniform is None else uniform)
    rows = x.shape[0]

    def task(n: int) -> None:
        _forward(*arrays, relu, kept, drawn, known, _numpy(found), n * TASK, min(rows, (n + 1) * TASK))

    _play(task, -(-rows // TASK))
    return found


def backward(
    x: Tensor, W: Tensor, V: Tensor, c: Tensor, slope: Tensor, states: Tensor, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """∂/∂W, ∂/∂V, ∂/∂c from slope = ∂/∂s, (B, D·O), and what the forward walk left in `states`."""
    found = torch.empty_like(W), torch.empty_like(V), W.new_empty(W.shape[1])
    slopes = pad(slope.detach(), (0, 0, 0, -x.shape[0] % 4)).t().contiguous()
    arrays = [_numpy(t) for t in (W, V, c, slopes, states)]
    gradients = [_numpy(t) for t in found]
    changes = _changes(_numpy(x))

    def task(n: int) -> None:
        _backward(*changes, *arrays, relu, *gradients, n * UNITS)

    _play(task, -(-W.shape[1] // UNITS))
    return found


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


# ------------------------------------------------------------------ threads
_pools: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()
os.register_at_fork(after_in_child=_pools.clear)  # a child has none of its parent's threads


def _play(task: Callable[[int], None], tasks: int) -> None:
    """Run task(0) … task(tasks − 1), whoever is free taking the next."""
    helpers = min(torch.get_num_threads(), tasks) - 1
    numbers = itertools.count()

    def work() -> None:
        while (number := next(numbers)) < tasks:
            task(number)

    if helpers <= 0:
        return work()
    with _lock:
        if helpers not in _pools:
            _pools[helpers] = ThreadPoolExecutor(helpers, thread_name_prefix="nade")
        pool = _pools[helpers]
    others = [pool.submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        wait(others)
    for other in others:
        other.result()


# ------------------------------------------------------------------ kernels
def _sigmoid(z):
    """1/(1 + exp(−z))."""
    raise NotImplementedError("for compiled code only")


@overload(_sigmoid, inline="always")
def _sigmoid_of(z):
    if z == types.float32:
        return _sigmoid_float32
    return lambda z: 1 / (1 + exp(-z))


def _sigmoid_float32(z):
    """½ + ½·tanh(z/2) by a quotient of polynomials that vectorises, within 2e-7. Source: Eigen's tanh for float."""
    y = min(max(np.float32(0.5) * z, np.float32(-7.905311)), np.float32(7.905311))
    q = y * y
    p = np.float32(-2.76076847742355e-16)
    p = p * q + np.float32(2.00018790482477e-13)
    p = p * q + np.float32(-8.60467152213735e-11)
    p = p * q + np.float32(5.12229709037114e-08)
    p = p * q + np.float32(1.48572235717979e-05)
    p = p * q + np.float32(6.37261928875436e-04)
    p = p * q + np.float32(4.89352455891786e-03)
    r = np.float32(1.19825839466702e-06)
    r = r * q + np.float32(1.18534705686654e-04)
    r = r * q + np.float32(2.26843463243900e-03)
    r = r * q + np.float32(4.89352518554385e-03)
    return np.float32(0.5) + np.float32(0.5) * (y * p / r)


@inlined
def _copy(source, target, left):
    """Into target, from column `left` on: faster than assigning a slice, which numba does not vectorise."""
    part = target[:, left : left + source.shape[1]]
    for i in range(source.shape[0]):
        for k in range(source.shape[1]):
            part[i, k] = source[i, k]


@inlined
def _activate(a, left, h, t, units, relu):
    """h_t = act(a_t), with a_t from column `left` on."""
    if relu:
        for k in range(units):
            h[t, k] = max(a[t, left + k], a.dtype.type(0))
    else:
        for k in range(units):
            h[t, k] = _sigmoid(a[t, left + k])


@inlined
def _outputs(h, V, b, o, out, rows):
    """Output o of a tile, four examples at a time."""
    zero = V.dtype.type(0)
    for t in range(0, TILE, 4):
        s0, s1, s2, s3 = zero, zero, zero, zero
        for k in range(V.shape[1]):
            v = V[o, k]
            s0 += v * h[t, k]
            s1 += v * h[t + 1, k]
            s2 += v * h[t + 2, k]
            s3 += v * h[t + 3, k]
        for n, s in enumerate((s0, s1, s2, s3)):
            if t + n < rows:
                out[t + n, o] = s + b[o]


@compiled
def _forward(x, W, V, b, c, relu, states, uniform, known, found, start, stop):
    """Examples start … stop − 1."""
    D, H = W.shape
    each = V.shape[0] // D
    a, h = np.empty((TILE, H), W.dtype), np.empty((TILE, H), W.dtype)
    for first in range(start, stop, TILE):
        rows = min(TILE, stop - first)
        out, seen = found[first : first + rows], x[first : first + rows]
        for t in range(TILE):
            a[t] = c
            _activate(a, 0, h, t, H, relu)
        for i in range(D):
            for o in range(i * each, i * each + each):
                _outputs(h, V, b, o, out, rows)
            if uniform.size and i >= known:
                for t in range(rows):
                    seen[t, i] = uniform[first + t, i] < 1 / (1 + exp(-out[t, i]))
            for t in range(rows):
                if seen[t, i] != 0:
                    for k in range(H):
                        a[t, k] += seen[t, i] * W[i, k]
                    _activate(a, 0, h, t, H, relu)
            if states.size and _stored(i, D):
                _copy(a[:rows], states[i // RESTART, first : first + rows], 0)


@inlined
def _stored(i, D):
    """Whether the sum after variable i is one of `states`."""
    return (i + 1) % RESTART == 0 or i == D - 1


@compiled
def _changes(x):
    """Where x ≠ 0, by fours of examples, and in them by variables.

    Returns: begins, (fours·D + 1,); which example of its four; what value; each example's first, (B,), D if none.
    """
    B, D = x.shape
    fours = -(-B // 4)
    begins = np.empty(fours * D + 1, np.int64)
    which = np.empty(B * D, np.int64)
    value = np.empty(B * D, x.dtype)
    earliest = np.full(B, D)
    count = 0
    for four in range(fours):
        for i in range(D):
            begins[four * D + i] = count
            for n in range(4 * four, min(B, 4 * four + 4)):
                if x[n, i] != 0:
                    which[count] = n - 4 * four
                    value[count] = x[n, i]
                    earliest[n] = min(i, earliest[n])
                    count += 1
    begins[fours * D] = count
    return begins, which[:count], value[:count], earliest


@inlined
def _settled(g, h, t, k, relu):
    """∂/∂a of one hidden unit: what later variables say, and what the outputs since its last change say, u·act′(a)."""
    u, y = h[t, UNITS + k], h[t, k]
    if relu:
        return g[t, UNITS + k] + (u if y > 0 else h.dtype.type(0))
    return g[t, UNITS + k] + u * y * (h.dtype.type(1) - y)


@inlined
def _undo(w, i, x, g, h, t, relu):
    """Over a_{i+1} = a_i + x·W_i, backwards, in example t."""
    for k in range(UNITS):
        slope = _settled(g, h, t, k, relu)
        g[t, UNITS + k] = slope
        h[t, UNITS + k] = 0
        w[i, UNITS + k] += x * slope
        g[t, k] -= x * w[i, k]


@inlined
def _through(v, o, fours, four, d0, d1, d2, d3):
    """The slopes d of output o in four examples go to V_o and, by u, towards the hidden units."""
    two, fourth, six = 2 * UNITS, 4 * UNITS, 6 * UNITS
    for k in range(UNITS):
        weight = v[o, k]
        v[o, UNITS + k] += (d0 * fours[four, k] + d1 * fours[four, two + k]) + (
            d2 * fours[four, fourth + k] + d3 * fours[four, six + k]
        )
        fours[four, UNITS + k] += d0 * weight
        fours[four, UNITS + two + k] += d1 * weight
        fours[four, UNITS + fourth + k] += d2 * weight
        fours[four, UNITS + six + k] += d3 * weight


@inlined
def _through_two(v, o, fours, four, d0, d1, d2, d3, e0, e1, e2, e3):
    """Those of output o, d, and of the one before it, e, at once: h and u are loaded once for both."""
    two, fourth, six = 2 * UNITS, 4 * UNITS, 6 * UNITS
    p = o - 1
    for k in range(UNITS):
        d, e = v[o, k], v[p, k]
        h0, h1 = fours[four, k], fours[four, two + k]
        h2, h3 = fours[four, fourth + k], fours[four, six + k]
        v[o, UNITS + k] += (d0 * h0 + d1 * h1) + (d2 * h2 + d3 * h3)
        v[p, UNITS + k] += (e0 * h0 + e1 * h1) + (e2 * h2 + e3 * h3)
        fours[four, UNITS + k] += d0 * d + e0 * e
        fours[four, UNITS + two + k] += d1 * d + e1 * e
        fours[four, UNITS + fourth + k] += d2 * d + e2 * e
        fours[four, UNITS + six + k] += d3 * d + e3 * e


@inlined
def _run(v, start, stop, fours, four, slope):
    """Outputs start … stop − 1, between which nothing changes, in four examples."""
    n, o = 4 * four, stop - 1
    while o > start:
        d0, d1, d2, d3 = slope[o, n], slope[o, n + 1], slope[o, n + 2], slope[o, n + 3]
        e0, e1, e2, e3 = slope[o - 1, n], slope[o - 1, n + 1], slope[o - 1, n + 2], slope[o - 1, n + 3]
        _through_two(v, o, fours, four, d0, d1, d2, d3, e0, e1, e2, e3)
        o -= 2
    if o == start:
        _through(v, o, fours, four, slope[o, n], slope[o, n + 1], slope[o, n + 2], slope[o, n + 3])


@compiled
def _backward(begins, which, value, earliest, W, V, c, slopes, states, relu, for_W, for_V, for_c, start):
    """Hidden units start … start + UNITS − 1 of all examples; units that are missing at the end are zeros.

    Each row of w and v holds the weights of a variable or output and, right of them, their gradients; each of g an
    example's a and, right of it, its ∂/∂a; each of h its h and, right of it, u = Σ slope·V since it last changed. Four
    examples make a row of `fours`, which is h by another name.
    """
    D, B = W.shape[0], states.shape[1]
    each, units = V.shape[0] // D, min(UNITS, W.shape[1] - start)
    w, v = np.zeros((D, 2 * UNITS), W.dtype), np.zeros((D * each, 2 * UNITS), W.dtype)
    _copy(W[:, start : start + units], w, 0)
    _copy(V[:, start : start + units], v, 0)
    fours, g = np.zeros((-(-B // 4), 8 * UNITS), W.dtype), np.zeros((B, 2 * UNITS), W.dtype)
    h = fours.reshape(-1, 2 * UNITS)
    for block in range((D - 1) // RESTART, -1, -1):
        for four in range(len(fours)):
            first, begin = 4 * four, four * D
            for t in range(first, min(B, first + 4)):
                for k in range(units):
                    g[t, k] = states[block, t, start + k]
                _activate(g, 0, h, t, UNITS, relu)
            i = min(D, (block + 1) * RESTART) - 1
            while i >= block * RESTART:
                for e in range(begins[begin + i], begins[begin + i + 1]):
                    t = first + which[e]
                    _undo(w, i, value[e], g, h, t, relu)
                    if earliest[t] == i:
                        g[t, :units] = c[start : start + units]
                    _activate(g, 0, h, t, UNITS, relu)
                bottom = i
                while bottom > block * RESTART and begins[begin + bottom - 1] == begins[begin + bottom]:
                    bottom -= 1
                _run(v, bottom * each, (i + 1) * each, fours, four, slopes)
                i = bottom - 1
    total = np.zeros(UNITS, W.dtype)
    for t in range(B):
        for k in range(UNITS):
            total[k] += _settled(g, h, t, k, relu)
    _copy(w[:, UNITS : UNITS + units], for_W, start)
    _copy(v[:, UNITS : UNITS + units], for_V, start)
    for_c[start : start + units] = total[:units]
