"""An LSTM over an image: many cells a step, along its diagonals or its rows.

    (i, f, o, g) = σ(u_i), σ(u_f), σ(u_o), tanh(u_g),   u = input + Σ_taps U_tap h_neighbour
    c = f·c_neighbour + i·g,   h = o·tanh(c)

The cells of an image stand in the order of the walk, so that those of one step are neighbours in memory. All that does
not depend on the step before is computed for the whole image at once.

Source: van den Oord et al., *Pixel Recurrent Neural Networks*, 2016, eq. 3 and section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["cell", "diagonal", "lstm", "moved", "rows"]


_sigmoid_backward, _tanh_backward = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
"""A slope times σ′ or tanh′, given what σ or tanh was."""

_Span = tuple[int, int]
"""Cells from … up to, in the walk's order."""


@dataclass(frozen=True)
class _Step:
    """Cells that are computed together.

    Attributes:
        cells: which.
        taps: for each weight matrix U_tap which of them, and which neighbours' h they take, one to one.
        carry: which of them take c from a neighbour, and from which.
    """

    cells: _Span
    taps: tuple[tuple[_Span, _Span], ...]
    carry: tuple[_Span, _Span]


@dataclass(frozen=True)
class _Walk:
    """The order in which an image's cells are computed.

    Attributes:
        cells: the place in the flattened image of each cell, (H·W,).
        steps: one after the other.
    """

    cells: Tensor
    steps: Sequence[_Step]


@cache
def diagonal(height: int, width: int) -> _Walk:
    """Diagonal by diagonal, from the top left corner; taps: the pixel to the left, which hands on c, and the one above.

    Source: section 3.2, where the same is written as a map whose rows are shifted.
    """
    begins, rows = [0], []
    for d in range(height + width - 1):
        rows.append((max(0, d - width + 1), min(height - 1, d)))
        begins.append(begins[-1] + rows[-1][1] - rows[-1][0] + 1)
    cells = torch.cat(
        [torch.arange(a, b + 1) * width + d - torch.arange(a, b + 1) for d, (a, b) in enumerate(rows)]
    )

    def tap(d: int, shift: int) -> tuple[_Span, _Span]:
        """The cells (r, …) of diagonal d and those of row r − shift on the diagonal before, where there are both."""
        if d == 0:
            return (0, 0), (0, 0)
        (a, b), (before_a, before_b) = rows[d], rows[d - 1]
        first, last = max(a, before_a + shift), min(b, before_b + shift)
        here = begins[d] + first - a
        there = begins[d - 1] + first - shift - before_a
        count = max(0, last - first + 1)
        return (here, here + count), (there, there + count)

    steps = [
        _Step((begins[d], begins[d + 1]), (tap(d, 0), tap(d, 1)), tap(d, 0))
        for d in range(height + width - 1)
    ]
    return _Walk(cells, steps)


@cache
def rows(height: int, width: int) -> _Walk:
    """Row by row; taps: the pixels above to the left, above, which hands on c, and above to the right.

    Source: section 3.1, with a kernel of 3.
    """

    def tap(r: int, shift: int) -> tuple[_Span, _Span]:
        """The cells (r, c) and (r − 1, c + shift), where there are both."""
        if r == 0:
            return (0, 0), (0, 0)
        first, last = max(0, -shift), width - max(0, shift)
        here, there = r * width, (r - 1) * width
        return (here + first, here + last), (there + first + shift, there + last + shift)

    steps = [
        _Step((r * width, (r + 1) * width), (tap(r, -1), tap(r, 0), tap(r, 1)), tap(r, 0))
        for r in range(height)
    ]
    return _Walk(torch.arange(height * width), steps)


def lstm(
    walk: _Walk, inputs: Sequence[Tensor], into: Tensor, bias: Tensor, weight: Tensor
) -> tuple[Tensor, ...]:
    """h of all cells in each of G directions, (F, H·W, B) each, differentiable in all tensors.

    Args:
        walk: the order of the cells.
        inputs: x of each direction, (I, H·W, B) each.
        into: W, (G, 4F, I): u = W x + b + Σ_taps U_tap h_neighbour.
        bias: b, (G, 4F, 1), or (G, 4F, B): of each example its own.
        weight: U, (G, taps, 4F, F).
    """
    # autocast's inputs may be half
    return _LSTM.apply(walk, into, bias, weight, *(x.to(weight.dtype) for x in inputs))


def cell(gates: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
    """h and c of single cells from u, (n, 4F), and the neighbour's c, (n, F)."""
    features = carried.shape[1]
    i, f, o = gates[:, : 3 * features].sigmoid().chunk(3, 1)
    c = torch.addcmul(f * carried, i, gates[:, 3 * features :].tanh())
    return o * c.tanh(), c


def moved(x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Each cell's x taken from another cell, 0 where there is none: (F, H·W, B) → the same.

    Args:
        x: what is moved.
        source: the cell that each cell takes it from, (H·W,); H·W: none.
        target: the cell that each cell's goes to, (H·W,): the other way round.
    """
    return _Moved.apply(x, source, target)


class _Moved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *operands: Any, **_: Any) -> Tensor:
        x, source, target = operands
        ctx.save_for_backward(target)
        return _taken(x, source)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (target,) = ctx.saved_tensors
        return _taken(slopes[0], target), None, None


def _taken(x: Tensor, source: Tensor) -> Tensor:
    found = x.index_select(1, source.clamp_max(x.shape[1] - 1))
    return found.masked_fill_((source == x.shape[1])[:, None], 0)


class _LSTM(torch.autograd.Function):
    """Tensors in here are (G, features, cells·B): the examples of neighbouring cells are neighbours."""

    @staticmethod
    def forward(ctx: Any, *operands: Any, **_: Any) -> tuple[Tensor, ...]:
        walk, into, bias, weight, *inputs = operands
        groups, _, _, features = weight.shape
        cells, batch = inputs[0].shape[1:]
        gates = weight.new_empty(groups, 4 * features, cells, batch)
        gates.copy_(bias.unsqueeze(2))
        gates = gates.flatten(2)
        for direction, x in enumerate(inputs):
            gates[direction].addmm_(into[direction], x.flatten(1))
        h, c = (weight.new_empty(groups, features, cells * batch) for _ in range(2))
        taps = weight.unbind(1)
        i, f, o, g, new_h, new_c = _by_step(walk, batch, *gates.chunk(4, 1), h, c)
        (open_,) = _by_step(walk, batch, gates[:, : 3 * features])
        for n, step in enumerate(walk.steps):
            for tap, (here, there) in zip(taps, step.taps, strict=True):
                if here[1] > here[0]:
                    _at(gates, here, batch).baddbmm_(tap, _at(h, there, batch))
            open_[n].sigmoid_()
            g[n].tanh_()
            torch.mul(i[n], g[n], out=new_c[n])
            here, there = step.carry
            if here[1] > here[0]:
                _at(c, here, batch).addcmul_(_within(f[n], here, step, batch), _at(c, there, batch))
            torch.tanh(new_c[n], out=new_h[n])
            new_h[n].mul_(o[n])
        ctx.walk, ctx.batch = walk, batch
        ctx.save_for_backward(into, bias, weight, gates, h, c, *inputs)
        return h.unflatten(2, (cells, batch)).unbind(0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Any, ...]:
        into, bias, weight, gates, h, c, *inputs = ctx.saved_tensors
        walk, batch = ctx.walk, ctx.batch
        for_h = torch.stack([slope.flatten(1) for slope in slopes])
        for_c, for_u, taps = torch.zeros_like(c), torch.empty_like(gates), weight.unbind(1)
        for_taps = [torch.zeros_like(tap) for tap in taps]
        values = _by_step(walk, batch, *gates.chunk(4, 1), c, for_h, for_c, *for_u.chunk(4, 1))
        steps = zip(walk.steps, *values, strict=True)
        for step, i, f, o, g, now, dh, dc, di, df, do, dg in reversed(list(steps)):
            squashed = now.tanh()
            dc += _tanh_backward(dh * o, squashed)
            _sigmoid_backward.grad_input(dh * squashed, o, grad_input=do)
            _sigmoid_backward.grad_input(dc * g, i, grad_input=di)
            _tanh_backward.grad_input(dc * i, g, grad_input=dg)
            df.zero_()
            here, there = step.carry
            if here[1] > here[0]:
                f, df, dc = (_within(each, here, step, batch) for each in (f, df, dc))
                _sigmoid_backward.grad_input(dc * _at(c, there, batch), f, grad_input=df)
                _at(for_c, there, batch).addcmul_(dc, f)
            for tap, for_tap, (here, there) in zip(taps, for_taps, step.taps, strict=True):
                if here[1] > here[0]:
                    back = _at(for_u, here, batch)
                    _at(for_h, there, batch).baddbmm_(tap.transpose(1, 2), back)
                    for_tap.baddbmm_(back, _at(h, there, batch).transpose(1, 2))
        for_into = torch.stack([u @ x.flatten(1).t() for u, x in zip(for_u, inputs, strict=True)])
        for_x = [(w.t() @ u).unflatten(1, (-1, batch)) for w, u in zip(into, for_u, strict=True)]
        for_bias = for_u.unflatten(2, (-1, batch)).sum(2)
        if bias.shape[2] == 1:
            for_bias = for_bias.sum(2, keepdim=True)
        return None, for_into, for_bias, torch.stack(for_taps, 1), *for_x


def _by_step(walk: _Walk, batch: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Each tensor's part of each step, views."""
    sizes = [(step.cells[1] - step.cells[0]) * batch for step in walk.steps]
    return [tensor.split(sizes, 2) for tensor in tensors]


def _at(x: Tensor, cells: _Span, batch: int) -> Tensor:
    """Some cells of all, a view."""
    return x.narrow(2, cells[0] * batch, (cells[1] - cells[0]) * batch)


def _within(x: Tensor, cells: _Span, step: _Step, batch: int) -> Tensor:
    """Some cells of a step's, a view."""
    return x.narrow(2, (cells[0] - step.cells[0]) * batch, (cells[1] - cells[0]) * batch)
