"""The feature network: what it reads, what it learns, and its file in the cache."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from plausible import data
from plausible.errors import PlausibleError
from plausible.metrics import feature_network as module
from plausible.metrics.damage import PICTURE_KINDS, TABLE_KINDS, Range, damage
from plausible.metrics.feature_network import FEATURES, feature_network, features_of, train_feature_network


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def quick(monkeypatch):
    """A training of twenty steps."""
    monkeypatch.setattr(module, "STEPS", (20, 20))


def table(n=200, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def splits(train, valid, test):
    return data.load({"train": train, "valid": valid, "test": test})


def test_it_is_trained_once_and_then_read(quick, cache, monkeypatch):
    rows = data.load("digits")
    first = feature_network(rows)
    (file,) = cache.iterdir()
    assert first.digest == hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(module, "train_feature_network", None)
    again = feature_network(rows)
    x = rows.test.array()
    assert torch.equal(first.features(x), again.features(x))
    assert features_of(rows, rows.test).shape == (len(x), FEATURES)
    assert np.array_equal(features_of(rows, rows.test), first.features(x).numpy())


def test_only_training_rows_are_read(quick):
    """Other valid and test rows give the same weights; other training rows do not."""
    one, same, other = (
        train_feature_network(splits(table(seed=a), table(40, seed=b), table(40, seed=b)))
        for a, b in ((0, 1), (0, 2), (3, 1))
    )
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, same.state_dict()[name]), name
    assert not torch.equal(one.trunk[0].weight, other.trunk[0].weight)


def test_it_leaves_the_random_state_alone(quick):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_feature_network(data.load(table()))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 20, 33), (1, 1, 40), (1, 70, 2), (3, 64, 64), (1,), (5,), (40,)]
)
def test_every_shape_has_features(quick, shape):
    x = np.random.default_rng(0).random((60, *shape)).astype(np.float32)
    found = feature_network(data.load(x)).features(x)
    assert found.shape == (60, FEATURES)
    assert found.dtype == torch.float64
    assert torch.isfinite(found).all()


def test_a_constant_column_is_no_division_by_zero(quick):
    x = table()
    x[:, 1] = 4
    assert torch.isfinite(feature_network(data.load(x)).features(x)).all()


def test_a_damaged_file_is_named(quick, cache):
    rows = data.load(table())
    feature_network(rows)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(PlausibleError, match=rf"{file.name} is damaged .*delete it"):
        feature_network(rows)


def test_a_cache_that_cannot_be_written_is_named(quick, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "file"))
    with pytest.raises(PlausibleError, match="set PLAUSIBLE_CACHE to a folder"):
        feature_network(data.load(table()))


def test_hopeless_rows_are_named(quick):
    network = train_feature_network(data.load(table()))
    with pytest.raises(PlausibleError, match="samples holds NaN"):
        network.features(torch.full((4, 3), torch.nan), "samples")
    with pytest.raises(PlausibleError, match="x has 2 values a row where 3"):
        network.features(torch.zeros(4, 2))


def test_it_learns_classes_damage_and_content():
    """On valid rows of digits, which it has not seen: well above chance in each of its three answers."""
    rows = data.load("digits")
    network = train_feature_network(rows)
    x, y = torch.from_numpy(rows.valid.array()), torch.from_numpy(rows.valid.y)
    hidden = network.hidden(x)
    assert (network.label(hidden).argmax(1) == y).float().mean() > 0.9
    torch.manual_seed(0)
    span = Range(network.scale, x.amin(), x.amax(), "unit")
    for place, kind in enumerate(PICTURE_KINDS):
        if kind not in ("overlay", "average", "patch"):
            seen = damage(x, x, torch.full((len(x),), place), torch.full((len(x),), 0.8), span)
            clean = network.damage_kind(seen_hidden := network.hidden(seen)).argmax(1) == network.kinds
            assert clean.float().mean() < 0.3, kind
            assert network.damage_degree(seen_hidden).mean() > network.damage_degree(hidden).mean()


@pytest.mark.parametrize("domain", ["binary", "unit", "real"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (6,)])
def test_damage_stays_in_the_domain_and_grows_with_its_degree(domain, shape):
    torch.manual_seed(0)
    x = torch.rand(300, *shape).round() if domain == "binary" else torch.rand(300, *shape)
    kinds = PICTURE_KINDS if len(shape) == 3 else TABLE_KINDS
    span = Range(torch.tensor(0.5), torch.tensor(0.0), torch.tensor(1.0), domain)
    for place, name in enumerate(kinds):
        little, much = (
            (damage(x, x.flip(0), torch.full((300,), place), torch.full((300,), degree), span))
            for degree in (0.05, 1.0)
        )
        assert (little - x).square().mean() < (much - x).square().mean(), name
        if domain != "real":
            assert much.min() >= 0
            assert much.max() <= 1
        if domain == "binary":
            assert torch.isin(much, torch.tensor([0.0, 1.0])).all(), name


def test_undamaged_rows_stay_as_they_are():
    x = torch.rand(20, 1, 8, 8)
    span = Range(torch.tensor(0.5), torch.tensor(0.0), torch.tensor(1.0), "unit")
    assert torch.equal(damage(x, x, torch.full((20,), len(PICTURE_KINDS)), torch.ones(20), span), x)
