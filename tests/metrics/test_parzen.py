"""The Parzen window against its definition, its closed forms, and the GAN paper's protocol."""

import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from torch.utils._python_dispatch import TorchDispatchMode

from plausible.errors import PlausibleError
from plausible.metrics import parzen as module
from plausible.metrics.parzen import NOTE, SIGMAS, Parzen, parzen, parzen_log_likelihood


def rows(n, d, seed=0, low=0.0, high=1.0):
    return low + (high - low) * torch.rand(n, d, generator=torch.Generator().manual_seed(seed))


def definition(samples, x, sigma):
    """log 1/n Σ N(x; s, σ² I), from differences, in float64, by numpy and scipy."""
    samples, x = np.asarray(samples, dtype=np.float64), np.asarray(x, dtype=np.float64)
    squares = np.stack([((row - samples) ** 2).sum(1) for row in x])
    constant = np.log(len(samples)) + x.shape[1] * np.log(sigma * np.sqrt(2 * np.pi))
    return logsumexp(-squares / (2 * sigma**2), axis=1) - constant


def worst(samples, x, sigma, **options):
    ours = parzen_log_likelihood(samples, x, sigma, **options)
    assert ours.dtype == torch.float64
    return np.abs(ours.numpy() - definition(samples, x, sigma)).max()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    m=st.integers(1, 20),
    d=st.integers(1, 800),
    sigma=st.floats(0.05, 5),
    offset=st.sampled_from([0.0, 7.0, -300.0]),
    spread=st.floats(0.01, 10),
    seed=st.integers(0, 10**6),
)
def test_equals_the_definition(n, m, d, sigma, offset, spread, seed):
    samples = rows(n, d, seed, offset, offset + spread)
    x = rows(m, d, seed + 1, offset, offset + spread)
    relative = 1e-12 * np.abs(definition(samples, x, sigma)).max()
    assert worst(samples, x, sigma) < 1e-3 + relative
    assert worst(samples, x, sigma, dtype=torch.float64) < 1e-9 + relative


@pytest.mark.parametrize("d", [2, 784, 3072])
@pytest.mark.parametrize("sigma", [0.1, 0.1668, 1.0])
@pytest.mark.parametrize("case", ["clusters", "shifted clusters", "outlier", "flat", "nearly flat"])
def test_float32_survives_what_cancels(case, d, sigma):
    """Where ‖x‖² + ‖s‖² − 2 x·s fails: far clusters, a mean dragged away, roundings all of one sign, copies."""
    levels = torch.linspace(0.1, 0.9, 40)[:, None]
    samples = {
        "clusters": rows(40, d, 1) * 0.01 + torch.tensor([-1.0, 1.0]).repeat(20)[:, None],
        "shifted clusters": rows(40, d, 1) * 0.01 + torch.tensor([99.0, 101.0]).repeat(20)[:, None],
        "outlier": torch.cat([rows(39, d, 2), torch.full((1, d), 1e4)]),
        "flat": levels.expand(40, d),
        "nearly flat": levels + 0.05 * rows(40, d, 1),
    }[case]
    x = torch.cat([samples[:7], samples[7:14] + 0.01 * rows(7, d, 3)])
    assert worst(samples, x, sigma) < 1e-3 + 1e-12 * np.abs(definition(samples, x, sigma)).max()


def test_doubtful_rows_really_need_float64(monkeypatch):
    """Without the second pass the tolerance is broken: the guard is not idle."""
    samples = torch.cat([rows(39, 784, 2), torch.full((1, 784), 1e4)])
    monkeypatch.setattr(module, "TOLERANCE", math.inf)
    assert worst(samples, samples[:9], 0.1) > 1
    monkeypatch.setattr(module, "TOLERANCE", 1e-3)
    assert worst(samples, samples[:9], 0.1) < 1e-3


def test_float32_overflow_is_computed_in_float64():
    samples, x = torch.full((3, 2), 1e25), torch.full((2, 2), -1e25)
    assert worst(samples, x, 1e25) < 1e-9


@given(d=st.integers(1, 300), sigma=st.floats(0.05, 3), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_one_sample_is_a_gaussian(d, sigma, seed):
    sample, x = rows(1, d, seed), rows(5, d, seed + 1)
    normal = torch.distributions.Normal(sample.double(), sigma).log_prob(x.double()).sum(1)
    torch.testing.assert_close(parzen_log_likelihood(sample, x, sigma), normal, rtol=1e-9, atol=1e-3)


def test_integrates_to_one():
    samples, step = torch.tensor([[0.0], [0.7], [3.0]]), 1e-2
    grid = torch.arange(-5, 8, step, dtype=torch.float64)[:, None]
    total = parzen_log_likelihood(samples, grid, 0.4, dtype=torch.float64).exp().sum() * step
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_the_order_and_repetition_of_samples_do_not_matter():
    samples, x = rows(50, 30), rows(9, 30, 1)
    shuffled = samples[torch.randperm(50, generator=torch.Generator().manual_seed(3))]
    expected = parzen_log_likelihood(samples, x, 0.2)
    torch.testing.assert_close(parzen_log_likelihood(shuffled, x, 0.2), expected, rtol=0, atol=1e-4)
    repeated = parzen_log_likelihood(torch.cat([samples, samples]), x, 0.2)
    torch.testing.assert_close(repeated, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("working_set", [1, 2**12, 2**15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_block_size_does_not_matter(monkeypatch, working_set, dtype):
    samples, x = rows(103, 40), rows(37, 40, 1)
    expected = parzen_log_likelihood(samples, x, 0.1, dtype)
    assert module._block(40, dtype) > 103
    monkeypatch.setattr(module, "WORKING_SET", working_set)
    assert module._block(40, dtype) < 103
    torch.testing.assert_close(parzen_log_likelihood(samples, x, 0.1, dtype), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("shift", [1.0, -1000.0])
def test_a_common_shift_does_not_matter(shift):
    samples, x = rows(60, 784).double(), rows(9, 784, 1).double()
    moved = parzen_log_likelihood(samples + shift, x + shift, 0.1668)
    torch.testing.assert_close(moved, parzen_log_likelihood(samples, x, 0.1668), rtol=0, atol=1e-3)


@pytest.mark.parametrize("d", [1, 10, 784])
def test_pixels_from_minus_one_to_one_cost_d_log_two(d):
    samples, x = rows(60, d), rows(9, d, 1)
    wide = parzen_log_likelihood(2 * samples - 1, 2 * x - 1, 2 * 0.1668, dtype=torch.float64)
    unit = parzen_log_likelihood(samples, x, 0.1668, dtype=torch.float64)
    torch.testing.assert_close(
        wide - unit, torch.full((9,), -d * math.log(2), dtype=torch.float64), atol=1e-3, rtol=0
    )
    assert 784 * math.log(2) == pytest.approx(543.43, abs=5e-3)


def test_images_and_numpy_are_flattened_and_left_alone():
    samples, x = rows(12, 16), rows(5, 16, 1)
    expected = parzen_log_likelihood(samples, x, 0.3)
    assert torch.equal(parzen_log_likelihood(samples.view(12, 1, 4, 4), x.view(5, 1, 4, 4), 0.3), expected)
    for dtype in (np.float32, np.float64):
        arrays = samples.numpy().astype(dtype), x.numpy().astype(dtype)
        copies = arrays[0].copy(), arrays[1].copy()
        for compute in (torch.float32, torch.float64):
            found = parzen_log_likelihood(*arrays, 0.3, compute)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
        assert all(np.array_equal(a, b) for a, b in zip(arrays, copies, strict=True))
    frozen = samples.numpy().copy()
    frozen.flags.writeable = False
    assert torch.equal(parzen_log_likelihood(frozen, x, 0.3), expected)
    bits = (samples > 0.5), (x > 0.5)
    assert torch.equal(
        parzen_log_likelihood(*bits, 0.3), parzen_log_likelihood(*(b.float() for b in bits), 0.3)
    )


def test_the_protocol():
    """σ by the mean on valid, then mean and standard error of test: redone with numpy as the authors' script does."""
    samples, valid, test = rows(200, 20), rows(30, 20, 1), rows(50, 20, 2)
    means = [definition(samples, valid, sigma).mean() for sigma in np.logspace(-1, 0, 10)]
    sigma = np.logspace(-1, 0, 10)[np.argmax(means)]
    scores = definition(samples, test, sigma)
    found = parzen(samples, valid, test)
    assert found.sigma == sigma
    assert found.sigmas == SIGMAS == tuple(np.logspace(-1, 0, 10))
    assert not found.sigma_at_edge
    assert (found.samples, found.valid, found.test) == (200, 30, 50)
    assert found.mean == pytest.approx(scores.mean(), abs=1e-4)
    assert found.standard_error == pytest.approx(scores.std() / np.sqrt(50), abs=1e-4)
    np.testing.assert_allclose(found.per_example.numpy(), scores, atol=1e-3)


def test_sigma_at_the_edge_shows():
    samples, valid, test = rows(200, 20), rows(30, 20, 1), rows(50, 20, 2)
    inner = parzen(samples, valid, test).sigma
    assert parzen(samples, valid, test, sigmas=[inner, 1.0]).sigma_at_edge
    assert not parzen(samples, valid, test, sigmas=[inner]).sigma_at_edge  # given, not chosen
    assert parzen(samples + 50, valid, test).sigma_at_edge  # hopeless samples


def test_the_grid_shares_its_distances(monkeypatch):
    calls = []
    inner = module._squares_less_own_norm
    monkeypatch.setattr(
        module, "_squares_less_own_norm", lambda *a: calls.append(tuple(a[3].shape)) or inner(*a)
    )
    parzen(rows(50, 8), rows(7, 8, 1), rows(5, 8, 2), dtype=torch.float64)
    assert calls == [(7, 50), (5, 50)]


class Largest(TorchDispatchMode):
    """Remembers the largest storage any operation returned."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("sigma", [0.5, 1e-3])  # the second sends every row to float64
def test_memory_is_bounded(monkeypatch, sigma):
    samples, x = rows(4000, 16), rows(3000, 16, 1)
    monkeypatch.setattr(module, "WORKING_SET", 2**20)
    with Largest() as largest:
        parzen_log_likelihood(samples, x, sigma)
    assert largest.bytes <= 2**20  # inputs are 256 kB, a slice 1 MiB at most; the distances would take 48 MB


@given(d=st.integers(1, 20_000), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_the_blocks_fit_the_working_set(d, dtype):
    block = module._block(d, dtype)
    assert dtype.itemsize * (2 * block * d + 2 * block**2) <= module.WORKING_SET
    assert dtype.itemsize * (2 * (block + 1) * d + 2 * (block + 1) ** 2) > module.WORKING_SET
    assert module.WORKING_SET < 64 * 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": torch.empty(0, 4)}, "samples has shape"),
        ({"x": torch.empty(0, 4)}, "x has shape"),
        ({"x": torch.rand(3, 5)}, "x has 5 values a row where 4"),
        ({"x": torch.tensor([[0.0] * 4, [0, math.nan, 0, 0]])}, "x holds NaN or infinity, first in row 1"),
        ({"samples": torch.full((2, 4), math.inf)}, "samples holds NaN"),
        ({"samples": [[1.0]]}, "samples is a list"),
        ({"x": np.array([["a"] * 4])}, "x has dtype"),
        ({"x": torch.zeros(2, 4, dtype=torch.complex64)}, "x is complex"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"sigma": -1.0}, "sigma must be positive"),
        ({"sigma": math.nan}, "sigma must be positive"),
        ({"sigma": math.inf}, "sigma must be positive"),
        ({"dtype": torch.float16}, "dtype must be"),
        ({"sigma": 1e-200}, "overflows"),
    ],
)
def test_hopeless_input_is_named(change, message):
    arguments = {"samples": torch.rand(6, 4), "x": torch.rand(3, 4), "sigma": 0.2} | change
    with pytest.raises(PlausibleError, match=message):
        parzen_log_likelihood(**arguments)


def test_hopeless_protocol_input_is_named():
    good = torch.rand(6, 4)
    with pytest.raises(PlausibleError, match="valid has shape"):
        parzen(good, good[:0], good)
    with pytest.raises(PlausibleError, match="test holds NaN"):
        parzen(good, good, good * math.nan)
    with pytest.raises(PlausibleError, match="sigma must be"):
        parzen(good, good, good, sigmas=[])


def test_the_note_warns():
    assert "Theis" in NOTE
    assert "never alone" in NOTE


def mnist(name):
    path = Path(os.environ["PLAUSIBLE_DATA"]) / "mnist" / f"{name}-images-idx3-ubyte.gz"
    with gzip.open(path) as file:
        return torch.tensor(np.frombuffer(file.read(), np.uint8)[16:].reshape(-1, 784)).float() / 255


@pytest.mark.slow
@pytest.mark.skipif("PLAUSIBLE_DATA" not in os.environ, reason="needs $PLAUSIBLE_DATA/mnist")
def test_ten_thousand_real_images():
    """REFERENCES §1: 242.50 ± 2.12 at σ = .1668. The first 10,000 training images give 241.19 ± 2.13, same σ."""
    train, test = mnist("train"), mnist("t10k")
    found = parzen(train[:10_000], train[50_000:51_000], test)
    assert isinstance(found, Parzen)
    assert found.sigma == pytest.approx(0.1668, abs=1e-4)
    assert found.mean == pytest.approx(241.193, abs=2e-3)
    assert found.standard_error == pytest.approx(2.130, abs=2e-3)
    assert abs(found.mean - 242.50) < 2.12
    exact = parzen_log_likelihood(train[:10_000], test, found.sigma, torch.float64)
    assert (found.per_example - exact).abs().max() < 1e-3
