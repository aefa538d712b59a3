"""Ways through a space of codes."""

import pytest
import torch

from plausible.jobs.code_paths import linear, slerp, traversal


def pair(features=6, seed=0):
    a, b = torch.randn(2, features, generator=torch.Generator().manual_seed(seed))
    return a, b


@pytest.mark.parametrize("way", [linear, slerp])
def test_the_ends_are_exact(way):
    a, b = pair()
    path = way(a, b, 9)
    assert path.shape == (9, 6)
    assert path.dtype == a.dtype
    assert torch.equal(path[0], a)
    assert torch.equal(path[-1], b)


@pytest.mark.parametrize("features", [2, 6, 50])
def test_slerp_stays_on_the_sphere_and_moves_by_equal_angles(features):
    a, b = pair(features, seed=features)
    a, b = 3 * a / a.norm(), 3 * b / b.norm()
    path = slerp(a, b, 12)
    torch.testing.assert_close(path.norm(dim=1), torch.full((12,), 3.0))
    steps = (path[1:] - path[:-1]).norm(dim=1)
    torch.testing.assert_close(steps, steps[:1].expand(11))
    assert (linear(a, b, 12)[1:-1].norm(dim=1) < 3).all()


def test_slerp_in_the_plane_is_the_quarter_circle():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    torch.testing.assert_close(slerp(a, b, 3)[1], torch.tensor([0.5, 0.5]).sqrt())


@pytest.mark.parametrize("factor", [1.0, -1.0, 2.0, -0.5, 0.0, 1 + 1e-6, -1 - 1e-6])
def test_codes_on_one_line_with_the_origin_are_joined_linearly(factor):
    a, _ = pair()
    path = slerp(a, factor * a, 7)
    assert torch.isfinite(path).all()
    torch.testing.assert_close(path, linear(a, factor * a, 7))


def test_a_code_of_zeros_is_no_trouble():
    zero = torch.zeros(3)
    assert torch.equal(slerp(zero, zero, 4), torch.zeros(4, 3))


def test_nearly_parallel_codes_lose_no_digits():
    a, b = pair(2)
    path = slerp(a, a + 1e-5 * b, 5)
    torch.testing.assert_close(path, linear(a, a + 1e-5 * b, 5), rtol=0, atol=1e-6)


def test_a_traversal_moves_one_dimension_at_a_time_the_widest_first():
    generator = torch.Generator().manual_seed(1)
    codes = torch.randn(500, 4, generator=generator) * torch.tensor([0.1, 5.0, 1.0, 2.0]) + 7
    walks = traversal(codes, 5, dimensions=3)
    assert walks.shape == (3, 5, 4)
    mean, deviation = codes.mean(0), codes.std(0)
    for walk, dimension in zip(walks, (1, 3, 2), strict=True):
        others = [other for other in range(4) if other != dimension]
        torch.testing.assert_close(walk[:, others], mean[others].expand(5, 3))
        expected = mean[dimension] + deviation[dimension] * torch.tensor([-3, -1.5, 0, 1.5, 3])
        torch.testing.assert_close(walk[:, dimension], expected)


def test_a_traversal_of_few_dimensions_takes_them_all():
    assert traversal(torch.randn(20, 2), 4).shape == (2, 4, 2)
