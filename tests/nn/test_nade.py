"""NADE's chain: the compiled form against the plain one, and both against what they compute."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from support import without_numba

from plausible.nn import nade, nade_compiled

ACTIVATIONS = ("relu", "sigmoid")
TOLERANCE = {torch.float64: 1e-13, torch.float32: 5e-6}
SIZES = [  # examples, variables, outputs of each, hidden units: below, at and beyond the tiles of the kernels
    (1, 1, 1, 1),
    (5, 7, 1, 3),
    (3, 2, 3, 200),
    (nade_compiled.TASK, nade_compiled.RESTART, 1, nade_compiled.UNITS),
    (2 * nade_compiled.TASK + 5, nade_compiled.RESTART + 1, 2, nade_compiled.UNITS + 1),
    (37, 3 * nade_compiled.RESTART - 1, 1, 70),
]


def chain(size, dtype=torch.float64, *, real=False, seed=0):
    """x, and W, V, b, c drawn from a seed."""
    B, D, each, H = size
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(B, D, generator=random) * 3 if real else (torch.rand(B, D, generator=random) < 0.3)
    weights = [0.3 * torch.randn(*s, generator=random) for s in ((D, H), (D * each, H), (D * each,), (H,))]
    return x.to(dtype), [w.to(dtype) for w in weights]


def with_slopes(form, x, weights, activation):
    """The outputs, and the gradients of a random mean of them."""
    weights = [w.clone().requires_grad_() for w in weights]
    found = form(x, *weights, activation)
    share = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found)
    (found * share).sum().backward()
    return [found.detach(), *(torch.zeros_like(w) if w.grad is None else w.grad for w in weights)]


def close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * max(1.0, float(other.abs().max())))


@pytest.mark.parametrize("real", [False, True], ids=["binary", "real"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_two_forms_agree(size, activation, dtype, real):
    """In float32 both are held against float64."""
    x, weights = chain(size, dtype, real=real)
    exact = with_slopes(nade.plain_outputs, x.double(), [w.double() for w in weights], activation)
    found = with_slopes(nade.outputs, x, weights, activation)
    close([f.double() for f in found], exact, TOLERANCE[dtype])


@pytest.mark.parametrize("form", [nade.outputs, nade.plain_outputs])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(activation, form):
    x, weights = chain((4, 6, 2, 5))
    weights = [w.requires_grad_() for w in weights]
    assert torch.autograd.gradcheck(lambda *w: form(x, *w, activation), weights)


@pytest.mark.parametrize("form", [nade.outputs, nade.plain_outputs])
def test_outputs_are_the_formula_written_out(form):
    x, (W, V, b, c) = chain((3, 5, 2, 4))
    expected = [
        [
            float(V[2 * i + o] @ (c + x[n, :i] @ W[:i]).relu() + b[2 * i + o])
            for i in range(5)
            for o in range(2)
        ]
        for n in range(3)
    ]
    torch.testing.assert_close(form(x, W, V, b, c, "relu"), torch.tensor(expected, dtype=x.dtype))


def test_the_slopes_do_not_drift_over_many_variables():
    """2,000 variables, all of them ones, weights that drive the sums to hundreds and back."""
    x, weights = chain((6, 2000, 1, 20), torch.float32)
    weights[0] += torch.linspace(1, -1, 2000)[:, None]
    x = torch.ones_like(x)
    exact = with_slopes(nade.plain_outputs, x.double(), [w.double() for w in weights], "relu")
    plain = with_slopes(nade.plain_outputs, x, weights, "relu")
    found = with_slopes(nade.outputs, x, weights, "relu")
    for mine, its, truth in zip(found, plain, exact, strict=True):
        off = float((mine.double() - truth).abs().max())
        assert off <= 3 * float((its.double() - truth).abs().max()) + 1e-6 * float(truth.abs().max())


def test_before_the_first_one_the_sums_are_c_to_the_last_bit():
    """With c = 0 they stand on ReLU's kink, where any rounding would make a slope of none."""
    x, weights = chain((20, 90, 1, 40), torch.float32)
    x[:, :75] = 0
    weights[3].zero_()
    found, plain = (with_slopes(form, x, weights, "relu") for form in (nade.outputs, nade.plain_outputs))
    close(found, plain, TOLERANCE[torch.float32])
    assert found[4].any()


@pytest.mark.parametrize("known", [0, 4, 70])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_draws_are_the_plain_ones(activation, known):
    x, weights = chain((50, 70, 1, 33))
    torch.manual_seed(3)
    found = nade.sample_rest(x, known, *weights, activation)
    torch.manual_seed(3)
    uniform = torch.rand_like(x)
    expected = nade.plain_draw(x.clone(), uniform, known, *weights, activation)
    assert torch.equal(found, expected)
    assert torch.equal(found[:, :known], x[:, :known])
    p = torch.sigmoid(nade.outputs(found, *weights, activation))[:, known:]
    assert torch.equal(found[:, known:] == 1, uniform[:, known:] < p)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_threads_change_no_bit(activation):
    x, weights = chain((75, 90, 1, 300), torch.float32)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append([with_slopes(nade.outputs, x, weights, activation) for _ in range(3)])
    finally:
        torch.set_num_threads(before)
    for again in (each for one in found for each in one):
        assert all(torch.equal(a, b) for a, b in zip(again, found[0][0], strict=True))


def test_an_example_has_the_same_outputs_in_any_batch():
    x, weights = chain((41, 30, 1, 50), torch.float32)
    whole = nade.outputs(x, *weights, "relu")
    assert torch.equal(torch.cat([nade.outputs(part, *weights, "relu") for part in x.split(7)]), whole)


def test_no_examples_give_no_outputs_and_no_slopes():
    found = with_slopes(nade.outputs, *chain((0, 5, 2, 3)), "relu")
    assert found[0].shape == (0, 10)
    assert all(not slope.any() for slope in found[1:])


def test_slopes_of_the_inputs_come_from_the_plain_form():
    x, weights = chain((3, 6, 1, 4), real=True)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(nade.outputs(x, *weights, "sigmoid")[:, 4].sum(), x)
    assert slope[:, :4].abs().min() > 0
    assert not slope[:, 4:].any()


def test_without_numba_the_plain_form_takes_over(monkeypatch):
    x, weights = chain((3, 6, 1, 4))
    expected = nade.outputs(x, *weights, "relu")
    assert nade.kernel(weights[0]) == "numba"
    with without_numba(monkeypatch):
        with pytest.warns(RuntimeWarning, match=r"pip install 'plausible\[fast\]'"):
            found = nade.outputs(x, *weights, "relu")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nade.sample_rest(x, 0, *weights, "relu")  # said once
            assert nade.kernel(weights[0]) == "torch"
    torch.testing.assert_close(found, expected)


def test_other_devices_and_precisions_take_the_plain_form():
    assert nade.kernel(torch.empty(2, 3, device="meta")) == "torch"
    assert nade.kernel(torch.empty(2, 3, dtype=torch.bfloat16)) == "torch"


def test_float32_sigmoid_is_within_its_promise():
    z = np.linspace(-40, 40, 20_001, dtype=np.float32)
    found = np.array([nade_compiled._sigmoid_float32(each) for each in z], np.float64)
    with np.errstate(over="ignore"):
        assert abs(found - 1 / (1 + np.exp(-z.astype(np.float64)))).max() < 2e-7
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_child_of_fork_has_threads_of_its_own():
    """And numba is loaded when it is first needed, not before."""
    code = """
import os, sys, torch, plausible.models.nade
assert "numba" not in sys.modules
torch.set_num_threads(2)
x, w = torch.ones(40, 5), [torch.ones(5, 300), torch.ones(5, 300), torch.ones(5), torch.ones(300)]
expected = plausible.models.nade.nade.outputs(x, *w, "relu")
child = os.fork()
if child == 0:
    same = torch.equal(plausible.models.nade.nade.outputs(x, *w, "relu"), expected)
    os._exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100, env=os.environ)
