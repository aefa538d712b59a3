"""Seeds and counts: numpy's integers pass, anything else is an error that names the argument."""

import numpy as np
import pytest
from torch.distributions import Normal

from plausible.errors import PlausibleError
from plausible.probability import Table, central_limit, gaussian_noise, independent_parameters, monte_carlo
from plausible.theory import descend, mode_dropping

DIE = Table.uniform(x=range(1, 7))
MISTAKES = [
    (lambda: DIE.sample(3, seed=-1), "seed = -1"),
    (lambda: DIE.sample(-1), "sample: n = -1"),
    (lambda: DIE.sample(1.5), "sample: n = 1.5"),
    (lambda: monte_carlo("x", DIE, seed=-1), "seed = -1"),
    (lambda: monte_carlo(lambda x: x, Normal(0.0, 1.0), seed=2**70), "seed = "),
    (lambda: monte_carlo("x", DIE, n=1), "monte_carlo: n = 1;"),
    (lambda: gaussian_noise(np.zeros((2, 2)), 0.1, seed=-1), "seed = -1"),
    (lambda: central_limit(DIE, 1.5), "central_limit: n = 1.5"),
    (lambda: central_limit(DIE, 2, samples=0), "central_limit: samples = 0"),
    (lambda: descend([0.5, 0.5], [0.1, 0.9], steps=1.5), "descend: steps = 1.5"),
    (lambda: mode_dropping(10**400, 1), "mode_dropping: modes"),
    (lambda: mode_dropping(8, 9), "mode_dropping: kept = 9"),
    (lambda: mode_dropping(True, 1), "mode_dropping: modes = True"),
    (lambda: independent_parameters(0), "n = 0"),
]


@pytest.mark.parametrize(("call", "said"), MISTAKES)
def test_mistakes_name_the_argument(call, said):
    with pytest.raises(PlausibleError) as error:
        call()
    assert str(error.value).startswith(said)
    assert "whole number" in str(error.value)


def test_numpys_integers_are_whole_numbers():
    assert mode_dropping(np.int64(8), np.int32(1)) == mode_dropping(8, 1)
    assert len(descend([0.5, 0.5], [0.1, 0.9], steps=np.int64(3)).jsd) == 4
    assert (DIE.sample(np.int64(5), seed=np.int64(2))["x"] == DIE.sample(5, seed=2)["x"]).all()


def test_a_count_that_would_take_minutes_is_refused_at_once():
    with pytest.raises(PlausibleError, match=r"central_limit: n = 100000; .* smaller n"):
        central_limit(DIE, 100_000)
    assert central_limit(DIE, 300).distance < 0.01
