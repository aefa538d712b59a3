"""The linear probe: codes that say it all, codes that say nothing, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import one_hot

from plausible import data
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics import Subject, defaults, measure, representation
from plausible.metrics.representation import linear_probe

RNG = np.random.default_rng(0)
MIX = torch.from_numpy(RNG.normal(size=(10, 10)).astype(np.float32))


class Coded(GenerativeModel):
    """Codes by a function of x."""

    def __init__(self, encode, shape=(1, 8, 8), domain="unit"):
        super().__init__(shape, domain)
        self.encode = encode


def looked_up(x):
    """The label of each of the digits by its pixels, through an invertible linear map."""
    rows = data.load("digits").rows
    table = {row.tobytes(): int(y) for row, y in zip(rows.array(), rows.y, strict=True)}
    return one_hot(torch.tensor([table[row.numpy().tobytes()] for row in x]), 10).float() @ MIX


def probed(encode, spec="digits", **model):
    found = measure(subject(spec, Coded(encode, **model)), ["probe"])
    return {result.name: result for result in found}


def subject(spec, model):
    return Subject(lambda n: torch.zeros(n), data.load(spec), model)


@pytest.fixture(scope="module")
def perfect():
    return probed(looked_up)


def test_codes_that_are_a_linear_map_of_the_labels_get_all(perfect):
    metric = perfect["probe accuracy"]
    assert (metric.value, metric.spread, metric.details["features"]) == (1.0, 0.0, 10)
    assert (metric.details["training rows"], metric.details["test rows"]) == (1437, 180)


def test_the_raw_probe_is_logistic_regression_on_pixels(perfect):
    digits, metric = data.load("digits"), perfect["raw-value probe"]
    scaler = StandardScaler().fit(digits.train.array().reshape(-1, 64))
    train, test = (scaler.transform(rows.array().reshape(-1, 64)) for rows in (digits.train, digits.test))
    fitted = LogisticRegression(C=metric.details["C"], max_iter=2000).fit(train, digits.train.y)
    assert metric.value == pytest.approx(fitted.score(test, digits.test.y), abs=1.01 / 180)
    assert metric.spread == pytest.approx(np.sqrt(metric.value * (1 - metric.value) / 180))
    assert metric.details["features"] == 64


def test_codes_of_noise_get_chance():
    y = RNG.integers(0, 4, 3000)
    x = RNG.normal(size=(3000, 5))
    found = linear_probe((x[:1500], y[:1500]), (x[1500:2000], y[1500:2000]), (x[2000:], y[2000:]))
    assert found.accuracy == pytest.approx(0.25, abs=6 * np.sqrt(0.25 * 0.75 / 1000))
    assert found.standard_error == pytest.approx(np.sqrt(found.accuracy * (1 - found.accuracy) / 1000))


def test_scale_and_place_of_a_code_do_not_matter():
    y = RNG.integers(0, 3, 600)
    x = RNG.normal(size=(600, 4)) + y[:, None]
    moved = x * [1e-3, 1, 1e3, 7] + [5, -100, 0, 3]
    cut = (slice(300), slice(300, 400), slice(400, 600))
    one, other = (linear_probe(*((z[part], y[part]) for part in cut)) for z in (x, moved))
    assert one == other
    assert one.accuracy > 0.6


def test_the_penalty_is_chosen_by_the_validation_rows():
    """One column tells and 200 are noise: a strong penalty is better than a weak one."""
    y = RNG.integers(0, 2, 1200)
    x = np.c_[y * 2.0 - 1 + RNG.normal(size=1200), RNG.normal(size=(1200, 200))]
    train, valid = (x[:200], y[:200]), (x[200:], y[200:])
    tried = {}
    scaler = StandardScaler().fit(train[0])
    for c in representation.PENALTIES:
        fitted = LogisticRegression(C=c, max_iter=500).fit(scaler.transform(train[0]), train[1])
        tried[c] = fitted.score(scaler.transform(valid[0]), valid[1])
    found = linear_probe(train, valid, valid)
    assert tried[found.c] == max(tried.values())
    assert len(set(tried.values())) > 1


def test_many_values_are_fewer_rows(monkeypatch):
    monkeypatch.setattr(representation, "VALUES", 64 * 100)
    found = probed(lambda x: x.flatten(1)[:, 20:40])
    assert found["probe accuracy"].details["training rows"] == 100
    assert found["raw-value probe"].details["test rows"] == 100
    assert found == probed(lambda x: x.flatten(1)[:, 20:40])


def test_the_majority_class_is_beside_it(perfect):
    digits = data.load("digits")
    usual = np.bincount(digits.train.y).argmax()
    assert perfect["probe accuracy"].details["majority class"] == pytest.approx(
        (digits.test.y == usual).mean()
    )


@pytest.mark.parametrize(
    ("spec", "model", "said"),
    [
        (
            "digits",
            GenerativeModel((1, 8, 8), "unit"),
            r"no code \(encode\).*fidelity.*autoencoder",
        ),
        ("digits", None, r"samples alone"),
        ("digits:class=3", Coded(torch.flatten), r"2 classes, and digits:class=3 has 1"),
        ("digits", Coded(torch.flatten, domain="binary"), r"digits:binary"),
    ],
)
def test_what_cannot_be_probed_is_a_clear_error_and_no_default(spec, model, said):
    with pytest.raises(PlausibleError, match=said):
        measure(subject(spec, model), ["probe"])
    assert "probe" not in defaults(subject(spec, model))


def test_data_without_labels_and_broken_codes_are_named(tmp_path):
    np.save(tmp_path / "x.npy", RNG.normal(size=(40, 3)))
    with pytest.raises(PlausibleError, match=r"needs labels, and .*x\.npy has none.*\.npz with x and y"):
        probed(lambda x: x, str(tmp_path / "x.npy"), shape=(3,), domain="real")
    with pytest.raises(PlausibleError, match="NaN"):
        probed(lambda x: x.flatten(1) * torch.nan)


def test_it_is_a_default_where_there_are_a_few_classes(tmp_path):
    model = Coded(torch.flatten, (3,), "real")
    for classes, default in ((5, True), (100, False)):
        path = tmp_path / f"{classes}.npz"
        np.savez(path, x=RNG.normal(size=(400, 3)), y=np.arange(400) % classes)
        assert ("probe" in defaults(subject(str(path), model))) is default
