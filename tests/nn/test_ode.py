"""Solvers against closed forms, and divergences against traces."""

import itertools
import math

import pytest
import torch

from plausible.nn.ode import EVALUATIONS, SOLVERS, divergence, solve, times_of

ORDERS = {"euler": 1, "heun": 2, "rk4": 4}


def error(solver, steps, *, back=False):
    """Of x(1) = 3·exp(sin 1), the solution of x' = x·cos t with x(0) = 3; or of x(0) from it."""
    ends = [torch.tensor([[value]], dtype=torch.float64) for value in (3.0, 3 * math.exp(math.sin(1)))]
    start, end = reversed(ends) if back else ends
    times = times_of(steps)[::-1] if back else times_of(steps)
    return float((solve(lambda x, t: x * math.cos(t), start, times, solver) - end).abs())


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_an_error_falls_with_the_order_of_the_solver(solver, back):
    ratio = error(solver, 20, back=back) / error(solver, 40, back=back)
    assert ratio == pytest.approx(2 ** ORDERS[solver], rel=0.1)


def test_times_rise_to_the_end_in_equal_or_shorter_steps():
    assert times_of(4) == [0, 0.25, 0.5, 0.75, 1]
    assert times_of(2, 2.0) == [0, 0.75, 1]
    assert times_of(1, 1.5) == [0, 1]


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_evaluations_of_a_step_are_counted(solver):
    seen = []
    solve(lambda x, t: seen.append(t) or x, torch.ones(1, 1), times_of(5), solver)
    assert len(seen) == 5 * EVALUATIONS[solver]
    assert 0 <= min(seen) <= max(seen) <= 1


def test_unit_vectors_give_the_divergence():
    torch.manual_seed(0)
    x, a = torch.randn(4, 3).double(), torch.randn(3, 3).double()
    v, found = divergence(lambda x: (x @ a.T).sin(), x, torch.eye(3).double()[:, None])
    torch.testing.assert_close(v, (x @ a.T).sin())
    torch.testing.assert_close(found, ((x @ a.T).cos() * a.diagonal()).sum(1))
    assert not v.requires_grad
    assert not found.requires_grad


def test_random_signs_give_it_on_average_over_all_of_them():
    torch.manual_seed(0)
    x, a = torch.randn(2, 3).double(), torch.randn(3, 3).double()
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3))).double()
    found = torch.stack([divergence(lambda x: x @ a.T, x, signs.view(1, 1, 3))[1] for signs in every])
    torch.testing.assert_close(found.mean(0), a.trace().expand(2))
    assert found.std(0).min() > 0.1, "one of them alone is an estimate"
