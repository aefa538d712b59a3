"""The scores by their definitions: nearest features, latent search, typicality; and their table."""

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from support import DOMAINS, HOME, rows, tiny

from plausible.capabilities import Decoder
from plausible.cli.verbs import By
from plausible.data import load
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.latent import LatentSearch
from plausible.metrics.scores import subset
from plausible.metrics.scoring import (
    SCORES,
    How,
    default_score,
    nearness,
    scorable,
    score_rows,
    scorer,
    units,
)
from plausible.models.registry import MODELS

POINTS = load(np.random.default_rng(0).normal(size=(200, 3)) * (1, 10, 1000) + (0, 5, -3))


def small(name):
    return tiny(name, "default", *DOMAINS[HOME[name]])


# ---------------------------------------------------------------------- the table
def test_the_command_line_offers_the_scores_there_are():
    assert get_args(By) == tuple(SCORES)


@pytest.mark.parametrize("name", MODELS)
def test_only_likelihoods_and_reconstructions_are_defaults(name):
    has = scorable(small(name))
    if name == "gan":
        assert has == ["latent", "features", "critic"]
        with pytest.raises(
            PlausibleError, match=r"GAN has no score of its own: ask for --by latent or --by features"
        ):
            default_score(small(name))
    else:
        assert default_score(small(name)) in ("log_prob", "bound", "flow", "reconstruction")
    assert ("latent" in has) == isinstance(small(name), Decoder)
    assert ("typicality" in has) == bool({"log_prob", "bound", "flow"} & set(has))


def test_only_the_critic_does_not_claim_a_direction():
    assert [name for name, score in SCORES.items() if not score.directed] == ["critic"]
    assert "higher is more plausible" not in SCORES["critic"].says


# ---------------------------------------------------------------------- reconstruction
class Halved(GenerativeModel):
    """A model without a scale of its own, whose reconstruction is x/2."""

    def __init__(self):
        super().__init__((3,), "real")

    def reconstruct(self, x):
        return x / 2


def test_an_error_is_measured_in_standard_deviations_of_the_training_rows():
    x, spread = POINTS.test.array(), POINTS.train.array().astype(float).std(0)
    found = score_rows(scorer(Halved(), "reconstruction", How(), lambda: POINTS), POINTS.test)
    np.testing.assert_allclose(found, -np.square(x / 2 / spread).sum(1), rtol=1e-5)


def test_a_model_that_standardises_asks_for_no_rows():
    model = tiny("autoencoder", "default", (3,), "real").eval()
    model.prepare(POINTS.train)
    found = scorer(model, "reconstruction", How(), lambda: pytest.fail("rows were read"))
    x, spread = (
        torch.from_numpy(POINTS.test.array()),
        torch.from_numpy(POINTS.train.array()).double().std(0, correction=0),
    )
    expected = -((x - model.reconstruct(x)) / spread).square().sum(1)
    torch.testing.assert_close(found(x).double(), expected.detach(), rtol=1e-4, atol=1e-5)


def test_a_constant_column_has_the_unit_one():
    with_constant = np.random.default_rng(1).normal(size=(60, 3)) * (2, 5, 0) + (0, 0, 1000)
    data = load(with_constant)
    model = tiny("autoencoder", "default", (3,), "real").eval()
    model.prepare(data.train)
    unit = units(model, lambda: data)
    np.testing.assert_allclose(unit, [*data.train.array().std(0)[:2], 1], rtol=1e-5)
    np.testing.assert_allclose(units(Halved(), lambda: data), unit, rtol=1e-5)


def test_binary_values_have_no_other_unit():
    model = tiny("autoencoder", "default", (5,), "binary").eval()
    x = (torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    found = scorer(model, "reconstruction", How(), lambda: pytest.fail("rows were read"))(x)
    torch.testing.assert_close(found, -(x - model.reconstruct(x)).square().sum(1).detach())


# ---------------------------------------------------------------------- features
def test_features_are_distances_to_the_nearest_training_rows(monkeypatch):
    x = torch.from_numpy(POINTS.test.array())
    found = nearness(lambda x: torch.stack([x[:, 0], x[:, 1] * x[:, 2]], 1), POINTS.train)(x).numpy()

    def features(x):
        return np.stack([x[:, 0], x[:, 1] * x[:, 2]], 1).astype(float)

    known = features(POINTS.train.array())
    mean, deviation = known.mean(0), known.std(0)
    apart = cdist((features(x.numpy()) - mean) / deviation, (known - mean) / deviation)
    np.testing.assert_allclose(found, -np.sort(apart, 1)[:, :5].mean(1), rtol=1e-5)


def test_few_training_rows_are_kept_and_fewer_than_neighbours_are_all(monkeypatch):
    monkeypatch.setattr("plausible.metrics.scoring.KNOWN_ROWS", 20)
    x = torch.from_numpy(POINTS.test.array())
    kept = POINTS.train.take(subset(np.arange(len(POINTS.train)), 20, 7))[0].astype(float)
    apart = cdist((x.numpy() - kept.mean(0)) / kept.std(0), (kept - kept.mean(0)) / kept.std(0))
    found = nearness(lambda x: x, POINTS.train, 7)(x)
    np.testing.assert_allclose(found, -np.sort(apart, 1)[:, :5].mean(1), rtol=1e-4)
    few = load(
        {"train": POINTS.train.array()[:3], "valid": POINTS.valid.array(), "test": POINTS.test.array()}
    )
    assert nearness(lambda x: x, few.train)(x).isfinite().all()


def test_features_that_overflow_are_infinitely_far_and_not_of_training_rows():
    score = nearness(lambda x: x * 1e30, POINTS.train)
    far = score(torch.tensor([[0.0, 0, 0], [1e38, 0, 0], [np.nan, 0, 0]]))
    assert far[0].isfinite()
    assert far[1:].tolist() == [-np.inf, -np.inf]
    with pytest.raises(PlausibleError, match="features of a training row are not finite"):
        nearness(lambda x: x / 0, POINTS.train)


# ---------------------------------------------------------------------- latent search
class Linear(GenerativeModel):
    """decode(z) = A z: the smallest error is that of least squares."""

    latent = 2

    def __init__(self, shape=(5,), domain="real"):
        super().__init__(shape, domain)
        self.A = torch.nn.Parameter(torch.randn(5, 2, generator=torch.Generator().manual_seed(0)))

    def decode(self, z, y=None):
        return z @ self.A.T


class WithPrior(Linear):
    def sample_prior(self, n):
        return torch.rand(n, 2) * 2 - 1


class TwoClasses(WithPrior):
    """Of class 1 the decoder is shifted by 3; the classes are no part of z."""

    classes = (0, 1)

    def decode(self, z, y=None):
        return super().decode(z) + 3 * y[:, None]


def least_squares(A, x):
    """‖x − A z‖² at its smallest, (n,)."""
    z = np.linalg.lstsq(A, x.T, rcond=None)[0]
    return np.square(x.T - A @ z).sum(0)


@pytest.fixture
def x():
    return torch.randn(20, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scaled", [False, True])
def test_the_search_finds_the_least_squares(x, scaled):
    model, scale = Linear(), torch.tensor([0.5, 1, 2, 4, 8.0]) if scaled else None
    s = np.ones(5) if scale is None else scale.numpy()
    expected = least_squares(model.A.detach().numpy() / s[:, None], x.numpy() / s)
    found = LatentSearch(model, steps=400, scale=scale).errors(x)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    assert (LatentSearch(model, steps=20, scale=scale).errors(x) >= found).all()


def test_more_starts_and_more_steps_are_never_worse(x):
    model = tiny("gan", "default", (5,), "real").eval()
    of = [LatentSearch(model, starts, steps).errors(x) for starts, steps in ((1, 5), (1, 50), (4, 50))]
    assert (of[0] >= of[1]).all()
    assert (of[1] >= of[2]).all()
    assert (of[0] > of[2]).any()


def test_the_code_stays_where_the_prior_is(x):
    """The prior is on a square: a row beyond its image is as far from it as constrained least squares says."""
    from scipy.optimize import lsq_linear

    model = WithPrior()
    A = model.A.detach().double().numpy()
    expected = [2 * lsq_linear(A, row, (-1, 1)).cost for row in (9 * x).double().numpy()]
    np.testing.assert_allclose(LatentSearch(model, steps=300).errors(9 * x), expected, rtol=2e-3)


def test_a_conditional_model_is_searched_under_each_class(x):
    model = TwoClasses()
    decoded = model.decode(torch.tensor([[0.2, -0.3], [0.5, 0.1]]), torch.tensor([0, 1])).detach()
    assert (LatentSearch(model, starts=1, steps=300).errors(decoded) < 1e-3).all()
    alone = WithPrior()
    assert LatentSearch(alone, starts=1, steps=300).errors(decoded)[1] > 1


def test_a_rows_error_does_not_depend_on_the_others(x, monkeypatch):
    model = tiny("gan", "default", (5,), "real").eval()
    whole = LatentSearch(model, steps=10).errors(x)
    torch.testing.assert_close(LatentSearch(model, steps=10).errors(x[7:9]), whole[7:9])
    monkeypatch.setattr("plausible.metrics.latent.CODES", 1)
    torch.testing.assert_close(LatentSearch(model, steps=10).errors(x), whole)


def test_a_model_with_a_code_is_at_least_as_near_as_its_reconstruction():
    model = tiny("autoencoder", "default", (5,), "unit").eval()
    x = torch.rand(30, 5, generator=torch.Generator().manual_seed(2))
    reconstruction = (x - model.reconstruct(x)).square().sum(1)
    found = LatentSearch(model, steps=30).errors(x)
    assert (found <= reconstruction + 1e-6).all()
    assert (found < reconstruction - 1e-3).any()


def test_the_search_keeps_torchs_randomness_and_the_weights_gradients(x):
    model = tiny("gan", "default", (5,), "real").eval()
    before = torch.get_rng_state()
    with torch.no_grad():
        LatentSearch(model, steps=3).errors(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_decoder_without_gradient_is_a_clear_error(x):
    class Detached(Linear):
        def decode(self, z, y=None):
            return super().decode(z).detach()

    with pytest.raises(PlausibleError, match=r"--by latent needs a decode .*Detached's is not"):
        LatentSearch(Detached()).errors(x)
    with pytest.raises(PlausibleError, match="has no decoder"):
        LatentSearch(small("nade")).errors(x)


def test_a_row_beyond_float32_is_infinitely_far():
    found = LatentSearch(WithPrior(), steps=3).errors(torch.tensor([[1e38] * 5, [0.1] * 5]))
    assert found[0] == torch.inf
    assert found[1].isfinite()


def test_the_columns_of_a_table_count_in_their_own_deviations():
    model = tiny("gan", "default", (3,), "real")
    model.prepare(POINTS.train)
    score = scorer(model.eval(), "latent", How(steps=5), lambda: POINTS)
    deviations = torch.from_numpy(POINTS.train.array().std(0))
    x = torch.from_numpy(POINTS.test.array())
    torch.testing.assert_close(
        score(x), -LatentSearch(model, 3, 5, deviations).errors(x), rtol=1e-4, atol=1e-5
    )


# ---------------------------------------------------------------------- typicality
class Ink(GenerativeModel):
    def log_prob(self, x):
        return x.flatten(1).sum(1)


def test_typicality_is_the_distance_to_the_mean_of_the_valid_rows():
    score = scorer(Ink((3,), "real"), "typicality", How(), lambda: POINTS)
    x, valid = POINTS.test.array(), POINTS.valid.array()
    expected = -np.abs(x.sum(1) - valid.sum(1).mean())
    np.testing.assert_allclose(score_rows(score, POINTS.test), expected, rtol=1e-4, atol=1e-3)


def test_the_typicality_of_a_bound_is_of_the_same_k():
    model = tiny("vae", "default", (6,), "binary")
    data = load(rows("binary").array())
    how = How(samples=3)
    of = [
        score_rows(scorer(model, by, how, lambda: data), split)
        for by, split in (("typicality", data.test), ("bound", data.test), ("bound", data.valid))
    ]
    np.testing.assert_allclose(of[0], -np.abs(of[1] - of[2].mean()), rtol=1e-5, atol=1e-5)


def test_a_model_without_what_a_score_needs_is_a_clear_error():
    for by, name in (
        ("latent", "nade"),
        ("features", "vae"),
        ("typicality", "autoencoder"),
        ("critic", "vae"),
    ):
        with pytest.raises(PlausibleError, match="has no "):
            scorer(small(name), by, How(), lambda: POINTS)
