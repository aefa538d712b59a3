"""The autoencoder: PCA's subspace, its noise, the density on its codes and where that is kept."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from support import DOMAINS, differing, opened, play, rows, state_of, tiny, tiny_options, train, trainer_of

from plausible.data import load as load_data
from plausible.data.rows import Rows, StoredRows
from plausible.errors import PlausibleError
from plausible.game import Batch
from plausible.jobs import steps
from plausible.models import autoencoder as module
from plausible.models.build import build
from plausible.models.mixture import FittedMixture
from plausible.recipe import Recipe
from plausible.training import checkpoint
from plausible.training.trainer import Settings, Trainer

RNG = np.random.default_rng(0)


def rows_of(x, domain="real"):
    return Rows(StoredRows("made", (x.astype(np.float32),), x.shape[1:], domain), np.arange(len(x)))


def linear_gaussian(n=1000):
    """x = W z + noise: 2 codes, 6 values, (n, 6)."""
    return RNG.normal(size=(n, 2)) @ RNG.normal(size=(2, 6)) + 0.2 * RNG.normal(size=(n, 6))


def error_of(model, x):
    x = torch.from_numpy(x).float()
    return float(
        (model.scaling.inward(model.reconstruct(x)) - model.scaling.inward(x)).square().sum(1).mean()
    )


def test_a_linear_autoencoder_finds_the_subspace_of_pca():
    x = linear_gaussian()
    torch.manual_seed(0)
    model = build(
        "autoencoder",
        (6,),
        "real",
        {"latent": 2, "encoder": (), "decoder": (), "corruption": 0.0},
    )
    model.prepare(rows_of(x))
    before = error_of(model, x)
    recipe = Recipe(lr=2e-2, lr_decay=1.005)
    play(Trainer(model, rows_of(x), Settings(batch=200), recipe=recipe), 600)
    inside = (x - x.mean(0)) / x.std(0)
    pca = PCA(2).fit(inside)
    best = np.square(inside - pca.inverse_transform(pca.transform(inside))).sum(1).mean()
    assert best < error_of(model, x) < 1.02 * best < before


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_loss_is_minus_the_log_likelihood_of_the_clean_rows(domain):
    model = tiny("autoencoder", "default", *DOMAINS[domain], corruption=0.5)
    model.prepare(rows(domain))
    batch = Batch(torch.from_numpy(rows(domain).array()))
    torch.manual_seed(1)
    found = model.loss(batch).total()
    torch.manual_seed(1)
    x = model.scaling.inward(batch.x)
    z = model.encoder(x + 0.5 * torch.randn_like(x))
    torch.testing.assert_close(found, -model.observation.log_prob(model.decoder(z), x).sum(1).mean())


@pytest.mark.parametrize(
    ("shape", "domain", "expected"),
    [((6,), "real", 0.5), ((6,), "binary", 0.0), ((1, 4, 4), "unit", 0.0), ((1, 4, 4), "real", 0.0)],
)
def test_tables_of_real_values_are_denoised_by_default(shape, domain, expected):
    assert build("autoencoder", shape, domain, {}).corruption == expected
    assert build("autoencoder", shape, domain, {"corruption": 0.25}).corruption == 0.25


def test_the_corruption_has_its_deviation_and_is_not_clipped():
    model, x = tiny("autoencoder", "default", *DOMAINS["binary"], corruption=0.3), torch.ones(40_000, 6)
    noise = model.corrupted(x) - x
    assert float(noise.std()) == pytest.approx(0.3, rel=0.01)
    assert float(noise.mean()) == pytest.approx(0, abs=0.003)
    assert float((x + noise).max()) > 1.5
    clean = tiny("autoencoder", "default", *DOMAINS["binary"])
    assert clean.corrupted(x) is x


def test_codes_reconstructions_and_samples_have_the_datas_shape_and_scale():
    trainer = play(trainer_of("autoencoder", "default", "points", lr=1e-2), 400)
    model, x = trainer.game.eval(), torch.from_numpy(rows("points").array())
    model.finish(rows("points"))
    assert model.encode(x).shape == (len(x), model.latent)
    assert model.decode(torch.zeros(3, model.latent)).shape == (3, 2)
    assert float((model.reconstruct(x) - x).abs().mean()) < 0.5 * float(x.std(0).mean())
    drawn = model.sample(2000)
    assert drawn.shape == (2000, 2)
    assert ((drawn.mean(0) - x.mean(0)).abs() < x.std(0)).all()
    assert set(tiny("autoencoder", "default", *DOMAINS["binary"]).sample(50).unique().tolist()) == {0.0, 1.0}


# ---------------------------------------------------------------------- the density on the codes
def test_the_density_starts_as_a_standard_normal():
    torch.manual_seed(0)
    drawn = FittedMixture(3, 2).sample(40_000)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(2), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), torch.eye(2), atol=0.03, rtol=0)


def test_the_density_is_scikit_learns():
    codes = RNG.normal(size=(500, 3)) * (1, 1e3, 1e-3) + np.repeat([[5, 0, 0], [-5, 7, 0]], 250, 0)
    density = FittedMixture(2, 3)
    density.fit(codes)
    centre, scale = codes.mean(0), codes.std(0)
    expected = GaussianMixture(2, random_state=0).fit((codes - centre) / scale)
    found = density.factors @ density.factors.mT
    np.testing.assert_allclose(density.weights, expected.weights_, rtol=1e-5)
    np.testing.assert_allclose(density.means, centre + scale * expected.means_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, expected.covariances_ * np.outer(scale, scale), rtol=1e-3, atol=1e-8)


def test_draws_follow_the_fitted_density():
    codes = np.concatenate(
        [RNG.normal(size=(300, 2)) * 0.1 + (3, 0), RNG.normal(size=(100, 2)) @ [[1, 1], [0, 1]]]
    )
    density = FittedMixture(2, 2)
    density.fit(codes)
    torch.manual_seed(0)
    drawn = density.sample(40_000).numpy()
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=0.08)
    assert np.mean(np.hypot(drawn[:, 0] - 3, drawn[:, 1]) < 0.3) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(
    "codes", [np.ones((1, 2)), np.ones((40, 2)), np.eye(2), np.array([[1.0, 2], [3, 2], [7, 2]])]
)
def test_few_or_equal_codes_are_fitted_all_the_same(codes):
    density = FittedMixture(10, 2)
    density.fit(codes)
    assert float(density.weights.sum()) == pytest.approx(1)
    drawn = density.sample(500)
    assert bool(drawn.isfinite().all())
    assert (np.abs(drawn.numpy() - codes.mean(0)) < 5 * codes.std(0) + 1e-6).all()


def test_the_density_is_fitted_on_a_bounded_number_of_codes_spread_over_the_rows(monkeypatch):
    monkeypatch.setattr(module, "CODES", 25)
    monkeypatch.setattr(module, "BLOCK", 10)
    model, fitted = tiny("autoencoder", "default", *DOMAINS["image"]), []
    monkeypatch.setattr(model.density, "fit", fitted.append)
    model.finish(rows("image"))
    codes = model.encode(torch.from_numpy(rows("image").array())).numpy()
    places = [int(np.abs(codes - code).sum(1).argmin()) for code in fitted[0]]
    assert len(set(places)) == 25
    assert places == sorted(places)
    assert max(places) > 30


def test_codes_that_are_not_finite_are_an_error():
    with pytest.raises(PlausibleError, match="code is not finite"):
        FittedMixture(2, 2).fit(np.array([[0.0, np.nan], [1, 1]]))
    with pytest.raises(PlausibleError, match="not conditional"):
        tiny("autoencoder", "default", *DOMAINS["image"]).sample(2, y=torch.zeros(2))


# ---------------------------------------------------------------------- finish, in a run
@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_run_keeps_the_density_of_the_weights_it_keeps(ema, tmp_path):
    np.save(tmp_path / "x.npy", rows("image").array())
    run = train(
        "autoencoder", str(tmp_path / "x.npy"), out=tmp_path / "run", epochs=10, batch=8, ema=ema,
        **tiny_options("autoencoder", "default"),
    )  # fmt: skip
    data = load_data(str(tmp_path / "x.npy"))
    for file in (checkpoint.MODEL, checkpoint.AVERAGE)[: 1 if ema is None else 2]:
        model = opened(run).model
        checkpoint.load_weights(model, run.newest_valid().path / file)
        kept = state_of(model)
        assert not torch.equal(kept["density.means"], torch.zeros(10, 4))
        model.finish(data.train)
        assert not differing(kept, state_of(model)), file


def test_finishing_changes_nothing_of_the_training(tmp_path):
    """Runs that save, and so finish, at different ticks end alike; a model without finish is not asked."""
    one, other = (trainer_of("autoencoder", "default", "image", ema=0.9, corruption=0.1) for _ in range(2))
    play(one, 5)
    steps.finish(one, Whole)
    assert one.game.training
    play(one, 8)
    play(other, 13)
    for trainer in (one, other):
        steps.finish(trainer, Whole)
    assert not differing(state_of(one.game), state_of(other.game))
    assert not differing(one.average.state, other.average.state)
    assert "density.means" in differing(state_of(one.game), one.average.state)


class Whole:
    train = rows("image")
