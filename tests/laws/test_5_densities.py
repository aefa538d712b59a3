"""Law 5: exact densities sum to one, look at nothing later, are what is sampled, and are what completion conditions on.

Over all 2^D inputs of a twin of each model, D = 9; its weights are scaled up until the density is at least ½ nat from
the uniform one, and some way from that of independent variables (tables are counted on rows that see to that): a model
that says ½ to everything would pass every test.
"""

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from support import EVERY_PRESET, tiny

from plausible.data.rows import Rows, Table
from plausible.errors import PlausibleError
from plausible.models.explicit import Explicit, log_bernoulli
from plausible.models.registry import model_class

SHAPE, D, DRAWS = (1, 3, 3), 9, 20_000
MORE = {
    "markov": [{"memory": 3}],
    "made": [
        {"hidden": (8, 8), "masks": 3, "test_masks": 3},
        {"masks": 3, "test_masks": 3, "order_agnostic": True},
        {"connectivity": "strided", "direct": False},
    ],
}
"""model → settings that deserve a twin besides its presets."""
CASES = [
    pytest.param(name, preset, options, id=f"{name}-{preset}" + "".join(f"-{o}" for o in options))
    for name, preset in EVERY_PRESET
    if hasattr(model_class(name), "log_prob") and "binary" in model_class(name).domains
    for options in [{}, *(MORE.get(name, []) if preset == "default" else [])]
]
every_density = pytest.mark.parametrize(("name", "preset", "options"), CASES)
EVERYTHING = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * D).unflatten(1, SHAPE)


def structured_rows():
    """300 rows, mostly ones, in which each variable depends on the two before it."""
    rng = np.random.default_rng(0)
    x = (rng.random((300, D)) < 0.8).astype(np.float32)
    share = np.array([[0.2, 0.9], [0.6, 0.95]])  # of ones after x_{i-2}, x_{i-1}
    for i in range(2, D):
        x[:, i] = rng.random(300) < share[x[:, i - 2].astype(int), x[:, i - 1].astype(int)]
    x = x.reshape(-1, *SHAPE)
    return Rows(Table("structured", (x,), SHAPE, "binary"), np.arange(len(x)))


@cache
def twin(name, preset, **options):
    """A small model far from uniform, in float64, and log p of everything, (2^D,)."""
    model = tiny(name, preset, SHAPE, "binary", ordering="random", ordering_seed=1, **options)
    if not model.turns():
        model.prepare(structured_rows())
    model = model.double().eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # some weights start at 0
        for _ in range(40):
            logs = model.log_prob(EVERYTHING)
            if from_uniform(logs) >= 0.5 and (name == "independent" or from_independent(logs) >= 0.1):
                return model, logs
            for parameter in model.parameters():
                parameter.mul_(1.25)
    raise AssertionError("its density stays all but uniform, whatever its weights")


def from_uniform(logs):
    """KL(p ‖ uniform), nats."""
    return float((logs.exp() * (logs + D * math.log(2))).sum())


def from_independent(logs):
    """KL(p ‖ product of its marginals), nats: what the variables tell of each other."""
    x = EVERYTHING.flatten(1)
    ones = logs.exp() @ x
    return float((logs.exp() * (logs - (x * ones.log() + (1 - x) * (1 - ones).log()).sum(1))).sum())


def p_value(found, expected):
    """Of Pearson's χ² of counts against probabilities; cells expecting fewer than 5 are pooled into one."""
    expected = expected * found.sum()
    large = expected >= 5
    assert not found[expected == 0].any()
    pooled = [np.append(each[large], each[~large].sum()) for each in (found, expected)]
    keep = pooled[1] > 0
    statistic = ((pooled[0] - pooled[1])[keep] ** 2 / pooled[1][keep]).sum()
    return chi2.sf(statistic, keep.sum() - 1) if keep.sum() > 1 else 1.0


def counted(x):
    """How often each of EVERYTHING was drawn, (2^D,)."""
    cells = (x.flatten(1).long() * 2 ** torch.arange(D - 1, -1, -1)).sum(1)
    return torch.bincount(cells, minlength=2**D).numpy()


@every_density
def test_it_sums_to_one(name, preset, options):
    _, logs = twin(name, preset, **options)
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert float(logs.std()) > 0.1


@every_density
def test_a_term_ignores_what_comes_later(name, preset, options):
    model, logs = twin(name, preset, **options)
    if not model.one_order:
        with pytest.raises(PlausibleError, match=" to 1, or ask for log_prob"):
            model.log_prob_terms(EVERYTHING)
        return
    with torch.no_grad():
        terms = model.log_prob_terms(EVERYTHING)
        torch.testing.assert_close(terms.sum(1), logs, rtol=0, atol=1e-9)
        for i in range(D):
            flipped = EVERYTHING.flatten(1).clone()
            flipped[:, model.order[i + 1 :]] = 1 - flipped[:, model.order[i + 1 :]]
            after = model.log_prob_terms(flipped.unflatten(1, SHAPE))
            torch.testing.assert_close(after[:, : i + 1], terms[:, : i + 1], rtol=0, atol=1e-9)
            flipped[:, model.order[i]] = 1 - flipped[:, model.order[i]]
            both = terms[:, i].exp() + model.log_prob_terms(flipped.unflatten(1, SHAPE))[:, i].exp()
            torch.testing.assert_close(both, torch.ones_like(both), rtol=0, atol=1e-6)


@every_density
def test_samples_follow_the_density(name, preset, options):
    model, logs = twin(name, preset, **options)
    torch.manual_seed(0)
    x = model.sample(DRAWS)
    assert x.shape == (DRAWS, *SHAPE)
    assert p_value(counted(x), logs.exp().numpy()) > 1e-6


@every_density
@pytest.mark.parametrize("seed", range(4))
def test_completions_follow_the_conditional(name, preset, options, seed):
    """Half the masks are a beginning of the order; the others are random, and only some models take those."""
    model, logs = twin(name, preset, **options)
    if name == "orderless" and (seed % 2 or not model.one_order):
        pytest.skip("completes by another of its densities: tests/models/test_orderless.py")
    random = torch.Generator().manual_seed(seed + 100)
    given = torch.zeros(D, dtype=torch.bool)
    beginning = seed % 2 == 0
    given[model.order[:4] if beginning else torch.randperm(D, generator=random)[:4]] = True
    x = torch.where(given, (torch.rand(D, generator=random) < 0.5).double(), torch.nan).view(SHAPE)
    mask = given.view(SHAPE)
    torch.manual_seed(seed)
    anything = type(model).draw_given is not Explicit.draw_given
    if not (model.one_order and (beginning or anything)):
        with pytest.raises(PlausibleError, match="test_masks to 1" if beginning else "ordering"):
            model.complete(x, mask, 1)
        return
    drawn = model.complete(x, mask, DRAWS // 4)
    agrees = (x == EVERYTHING)[:, mask].all(1)
    assert (drawn[:, mask] == x[mask]).all()
    p = torch.where(agrees, logs.exp(), 0.0)
    assert p_value(counted(drawn), (p / p.sum()).numpy()) > 1e-6


def test_the_tests_can_see_a_wrong_sampler():
    """Probabilities taken for logits, as by a public library's NADE, give a density, but not that of the samples."""
    model, _ = twin("fvsbn", "default")
    torch.manual_seed(0)
    x = model.ordered(EVERYTHING)
    with torch.no_grad():
        share = torch.where(x == 1, model.terms(x).exp(), 1 - model.terms(x).exp())
    wrong = log_bernoulli(share, x).sum(1).exp()
    assert float(wrong.sum()) == pytest.approx(1)
    assert p_value(counted(model.sample(DRAWS)), wrong.numpy()) < 1e-6
