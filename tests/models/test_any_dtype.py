"""Whatever takes examples takes them in any dtype: the same numbers give the same answer."""

import numpy as np
import pytest
import torch
from support import DOMAINS, EVERY_CASE, rows, tiny

from plausible.errors import PlausibleError

TAKING = (
    "log_prob",
    "log_prob_terms",
    "log_conditionals",
    "log_prob_bound",
    "log_density_estimate",
    "held_out_loss",
    "encode",
    "reconstruct",
    "features",
    "criticise",
    "classify",
    "posterior",
)
"""Every method of a model whose first argument is examples."""

CASES = [case for case in EVERY_CASE if case[2] in ("binary", "points", "image", "colour")]


def answer(model, method, x):
    torch.manual_seed(0)
    found = getattr(model, method)(x)
    return torch.cat([part.flatten() for part in (found if isinstance(found, tuple) else (found,))])


def methods_of(model):
    return [name for name in TAKING if callable(getattr(model, name, None)) and has_it(model, name)]


def has_it(model, method):
    try:
        answer(model, method, torch.from_numpy(rows(DOMAIN[model.domain, model.shape]).array()[:3]))
    except PlausibleError:  # a mean over orders has no terms, grey values no bound
        return False
    return True


DOMAIN = {(kind, shape): name for name, (shape, kind) in DOMAINS.items()}


def dtypes(domain):
    """dtype → how the same examples are written in it."""
    whole = {torch.float64: lambda x: x.double()}
    if domain == "binary":
        whole |= {
            torch.bool: torch.Tensor.bool,
            torch.uint8: torch.Tensor.byte,
            torch.int64: torch.Tensor.long,
        }
    if domain == "unit":
        whole |= {torch.uint8: lambda x: (x * 255).round().byte()}
    return whole


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_examples_of_any_dtype_mean_the_same(case):
    name, preset, domain = case
    model = tiny(name, preset, *DOMAINS[domain]).eval()
    model.prepare(rows(domain))
    x = torch.from_numpy(rows(domain).array()[:5])
    for method in methods_of(model):
        expected = answer(model, method, x)
        for dtype, written in dtypes(model.domain).items():
            found = answer(model, method, written(x))
            assert found.dtype == expected.dtype, (method, dtype)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4, msg=f"{method} of {dtype}")


def test_what_has_the_right_dtype_is_not_copied():
    model = tiny("nade", "default", *DOMAINS["binary"])
    x = torch.from_numpy(rows("binary").array()[:5])
    assert model.as_examples(x) is x


@pytest.mark.parametrize("wrong", [np.zeros((2, 6), np.float32), torch.zeros(2, 6, dtype=torch.complex64)])
def test_what_is_no_tensor_of_real_numbers_is_refused(wrong):
    with pytest.raises(PlausibleError, match=r"as_tensor|real numbers"):
        tiny("nade", "default", *DOMAINS["binary"]).log_prob(wrong)
