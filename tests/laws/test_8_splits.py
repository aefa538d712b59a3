"""Law 8: each number reads only the split it may: train for fitting, valid for choosing, test for the final figure.

The splits record the ids of the rows that are read. A new metric declares what it reads (`@metric(…, reads=…)`), and a
subject that it fits must stand in SUBJECTS, or this fails. What a declared split is read *for* is checked by changing
its rows: a choice must follow the valid rows and no others.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from support import CLASSES, DOMAINS, EVERY_PRESET, fits, of_training, saved, tiny, tiny_options, train

from plausible.capabilities import Density, supports
from plausible.data import Data, Rows, load
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs import steps
from plausible.likelihoods import Categorical
from plausible.metrics import METRICS, Subject, ladder, likelihood, measure
from plausible.metrics.importance import LowerBound
from plausible.metrics.scoring import How, scorable, scorer
from plausible.metrics.selection import judge
from plausible.models.registry import MODELS


# ---------------------------------------------------------------------- rows that record who reads them
class Tagged(Rows):
    """One split, which records the ids of the rows that are read."""

    def __init__(self, rows: Rows, split: str, log: dict[str, set[int]]) -> None:
        vars(self).update(vars(rows))
        self.split, self.log = split, log

    def read(self, ids: np.ndarray) -> None:
        self.log.setdefault(self.split, set()).update(ids.tolist())

    def take(self, rows, *, seed=0):
        self.read(self.ids[rows])
        return super().take(rows, seed=seed)

    @property
    def y(self):
        found = super().y
        if found is not None:
            self.read(self.ids)
        return found


def tagged(data: Data) -> tuple[Data, dict[str, set[int]]]:
    """The data, and the ids of the rows read so far, by split."""
    log: dict[str, set[int]] = {}
    splits = {name: Tagged(getattr(data, name), name, log) for name in ("train", "valid", "test", "rows")}
    return replace(data, **splits), log


def changed(data: Data, split: str, x: np.ndarray) -> Data:
    """The data with other rows in one split; labels stay."""
    parts = {name: getattr(data, name) for name in ("train", "valid", "test")}
    values = {name: (rows.array(), rows.y) for name, rows in parts.items()}
    other = load({**values, split: (x.astype(np.float32), values[split][1])}, view=f"domain={data.domain}")
    return replace(data, **{split: getattr(other, split)})


def test_the_tags_tell_who_is_read():
    data, log = tagged(load("digits"))
    assert log == {}
    data.valid.take(np.arange(3))
    next(data.test.blocks(7))
    assert log == {"valid": set(data.valid.ids[:3].tolist()), "test": set(data.test.ids[:7].tolist())}
    assert data.train.y is not None
    assert log["train"] == set(data.train.ids.tolist())


# ---------------------------------------------------------------------- metrics
@cache
def model_of(name: str, spec: str, **options) -> GenerativeModel:
    data = read(spec)
    made = tiny(name, "default", data.shape, data.domain, **options)
    made.prepare(data.train)
    return made.eval()


TABLE = "table with named columns"
SUBJECTS = (
    ("vae", "digits:binary", {}),
    ("made", "digits:binary", {}),
    ("gan", "digits", {}),
    ("vae", "digits:class=3", {}),
    ("gan", "ring", {}),
    ("categorical-aae", "digits", {"labels": 0}),
    ("categorical-aae", "digits", {"labels": CLASSES}),
    ("gan", TABLE, {}),
)


@cache
def read(spec: str) -> Data:
    """The data of a subject."""
    if spec != TABLE:
        return load(spec)
    x = np.random.default_rng(0).normal(size=(300, 3))
    return load(pd.DataFrame(x, columns=["a", "b", "c"]))


def subject_for(metric: str, split: str = "test") -> tuple[Subject, dict[str, set[int]]]:
    """The first subject that the metric fits, and what is read of its data."""
    for name, spec, options in SUBJECTS:
        model = model_of(name, spec, **options)
        data, log = tagged(read(spec))
        subject = Subject(lambda n, model=model: sampled(model, n), data, model, split=split)
        try:
            METRICS[metric].check(subject)
        except PlausibleError:
            continue
        return subject, log
    pytest.fail(f"no subject here fits the metric {metric}: add one to SUBJECTS")


def sampled(model: GenerativeModel, n: int) -> torch.Tensor:
    torch.manual_seed(1)
    return model.sample(n)


@pytest.fixture
def quick(monkeypatch):
    """The estimates that take minutes take seconds: which rows they read stays the same."""
    monkeypatch.setattr(ladder, "TEMPERATURES", 2)
    monkeypatch.setattr(ladder, "IMPORTANCE_SAMPLES", (1, 2, 3))
    monkeypatch.setattr(likelihood, "MANY", 20)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.usefixtures("quick")
def test_a_metric_reads_the_splits_that_it_declares_and_no_other(metric):
    subject, log = subject_for(metric)
    assert measure(subject, [metric])
    assert set(log) == set(METRICS[metric].reads)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.usefixtures("quick")
def test_with_split_valid_no_test_row_is_read_and_nothing_says_test_row(metric):
    if "valid" in METRICS[metric].reads:
        subject, log = subject_for(metric)
        subject = Subject(subject.sample, subject.data, subject.model, split="valid")
        with pytest.raises(PlausibleError, match=f"--metrics {metric}: .*valid rows.*--split test"):
            measure(subject, [metric])
        assert not METRICS[metric].is_default(subject)
        return
    subject, log = subject_for(metric, "valid")
    for result in measure(subject, [metric]):
        assert not any("test row" in text for text in (result.name, result.note, *result.details))
    reads = METRICS[metric].reads
    assert set(log) == {"valid" if split == "test" else split for split in reads}


def noise(rows: Rows) -> np.ndarray:
    return np.random.default_rng(5).random((len(rows), *rows.shape)).round()


def settings_of(metric: str, data: Data, setting: str) -> list[float]:
    """A setting that the metric chose, of each of its results."""
    model = model_of("categorical-aae" if metric == "clustering" else "vae", "digits:binary")
    if metric == "parzen":  # samples that are data with noise, so that σ has something to choose between
        x = torch.from_numpy(load("digits:binary").train.array())
        sample = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
        return [result.details[setting] for result in measure(Subject(lambda n: sample, data), [metric])]
    return [result.details[setting] for result in measure(Subject(model.sample, data, model), [metric])]


@pytest.mark.parametrize(("metric", "setting"), [("parzen", "sigma"), ("probe", "C")])
def test_what_is_chosen_follows_the_valid_rows_and_never_the_test_rows(metric, setting):
    data = load("digits:binary")
    usual = settings_of(metric, data, setting)
    assert settings_of(metric, changed(data, "test", noise(data.test)), setting) == usual
    easy = data.train.array()[: len(data.valid)] if metric == "probe" else noise(data.valid)
    moved = changed(data, "valid", easy)
    if metric == "probe":  # right labels for these rows, so that the largest C fits them best
        y = data.train.y[: len(data.valid)]
        parts = {
            "train": (data.train.array(), data.train.y),
            "valid": (easy, y),
            "test": (data.test.array(), data.test.y),
        }
        moved = replace(data, valid=load(parts, view="domain=binary").valid)
    assert settings_of(metric, moved, setting) != usual


def test_real_rows_of_fidelity_are_test_rows():
    """Samples that are the test rows are in the middle of the real rows; the training rows are others."""
    data = load("digits")
    of = {
        name: {
            r.name: r.value for r in measure(Subject(lambda n, x=x: torch.from_numpy(x), data), ["fidelity"])
        }
        for name, x in (("test", data.test.array()), ("train", data.train.array()[:180]))
    }
    assert of["test"]["coverage"] == of["test"]["precision"] == of["test"]["recall"] == 1
    assert of["test"]["1-NN accuracy"] < 0.1 < of["train"]["1-NN accuracy"], "the nearest row is the copy"


# ---------------------------------------------------------------------- figures of all rows, and their units
def test_iwae5000_is_of_all_test_rows_with_5000_samples_each(monkeypatch):
    asked = []

    def bound(model, x, samples, seed):
        asked.append((len(x), samples))
        return LowerBound(-x.double().flatten(1).sum(1), samples)

    monkeypatch.setattr(likelihood, "importance_bound", bound)
    subject, log = subject_for("iwae5000")
    results = measure(subject, ["iwae5000"])
    whole = load(subject.data.spec).test
    assert asked == [(len(whole), 5000)]
    assert log["test"] == set(whole.ids.tolist())
    assert {result.details["rows"] for result in results} == {len(whole)}
    assert results[0].value == pytest.approx(-whole.array().reshape(len(whole), -1).sum(1).mean(), rel=1e-6)


def test_an_exact_density_is_of_all_test_rows():
    data, log = tagged(load("digits:binary"))
    measure(Subject(lambda n: torch.zeros(n), data, model_of("made", "digits:binary")), ["likelihood"])
    assert log["test"] == set(data.test.ids.tolist())


class Flat(GenerativeModel):
    """log p(x) = −c + x_0: a number whose bits per dimension are known."""

    def log_prob(self, x):
        return x.flatten(1)[:, 0] - 7.0


@pytest.mark.parametrize("shape", [(5,), (1, 4, 6), (3, 4, 6)])
def test_bits_per_dimension_are_nats_by_the_number_of_values(shape):
    rng = np.random.default_rng(0)
    x = rng.random((60, *shape)).astype(np.float32)
    if len(shape) == 3:
        x = np.moveaxis(x, 1, -1)
    data = load(x, view="domain=unit")
    assert data.shape == shape
    first = data.test.array().reshape(len(data.test), -1)[:, 0].astype(float) - 7
    nats, bits = measure(Subject(lambda n: torch.zeros(n), data, Flat(shape, "unit")), ["likelihood"])
    assert nats.value == pytest.approx(first.mean(), rel=1e-6)
    assert bits.value == pytest.approx(-first.mean() / (math.prod(shape) * math.log(2)), rel=1e-6)
    error = first.std(ddof=1) / math.sqrt(len(first))
    assert nats.spread == pytest.approx(error, rel=1e-5)
    assert bits.spread == pytest.approx(error / (math.prod(shape) * math.log(2)), rel=1e-5)


@pytest.mark.parametrize("levels", [2, 100, 256])
def test_a_categorical_of_many_levels_is_a_probability_of_each(levels):
    torch.manual_seed(0)
    categorical, raw = Categorical(levels).double(), torch.randn(1, levels * 3, dtype=torch.float64)
    x = (torch.arange(levels, dtype=torch.float64) / (levels - 1))[:, None].expand(-1, 3)
    logs = categorical.log_prob(raw.expand(levels, -1), x)
    torch.testing.assert_close(logs, raw.view(levels, 3).log_softmax(0))
    torch.testing.assert_close(logs.exp().sum(0), torch.ones(3, dtype=torch.float64))
    rounded = categorical.log_prob(
        raw.expand(levels, -1), x.float().double()
    )  # levels as float32 data hold them
    torch.testing.assert_close(rounded, logs)
    drawn = (categorical.sample(raw.expand(40_000, -1)) * (levels - 1)).round().long()
    found = torch.stack([torch.bincount(column, minlength=levels) for column in drawn.T], 1) / 40_000
    assert float((found - logs.exp()).abs().max()) < 5 * 0.5 / 200


# ---------------------------------------------------------------------- selection, training, scores
FIRST = [
    (name, preset, next(domain for domain in DOMAINS if fits(name, preset, domain)))
    for name, preset in EVERY_PRESET
]
"""Every preset, on the first domain that it takes."""


@pytest.mark.parametrize(("name", "preset", "domain"), FIRST)
def test_the_checkpoint_is_chosen_on_valid_rows_alone(tmp_path, name, preset, domain):
    data, log = tagged(load(saved(tmp_path, domain)))
    model = tiny(name, preset, data.shape, data.domain).eval()
    model.prepare(load(saved(tmp_path, domain)).train)
    worth = judge(model, data)
    assert set(log) <= {"valid"}
    if supports(model, Density):
        assert worth is not None
    if worth is not None:
        assert log["valid"] <= set(data.valid.ids.tolist())


@pytest.mark.parametrize(("name", "preset", "domain"), FIRST)
def test_training_reads_training_rows_alone(tmp_path, monkeypatch, name, preset, domain):
    """prepare, the minibatches, the few labels and finish; judgements and what follows a checkpoint are left out."""
    monkeypatch.setattr(steps, "after_checkpoint", lambda *_, **__: None)
    monkeypatch.setattr(steps, "at_end", lambda *_, **__: None)
    monkeypatch.setattr(steps, "judge_state", lambda *_, **__: None)
    monkeypatch.setattr(steps, "watch_state", lambda *_, **__: None)
    data, log = tagged(load(saved(tmp_path, domain)))
    log.clear()
    options = tiny_options(name, preset) | ({"epochs": 1, "batch": 16} if name in TRAINED else {})
    if options.get("labels"):
        options["labels"] = CLASSES
    train(name, data, preset=of_training(preset), out=tmp_path / "run", **options)
    assert set(log) == {"train"}
    assert log["train"] == set(data.train.ids.tolist())


TRAINED = {name for name in MODELS if name not in ("independent", "markov", "table", "copula")}


@pytest.mark.parametrize("name", MODELS)
def test_a_score_reads_the_splits_of_its_kind(tmp_path, name):
    domain = next(domain for domain in DOMAINS if fits(name, "default", domain))
    data, log = tagged(load(saved(tmp_path, domain)))
    model = tiny(name, "default", data.shape, data.domain).eval()
    model.prepare(load(saved(tmp_path, domain)).train)
    x = torch.from_numpy(load(saved(tmp_path, domain)).test.array())
    for by in scorable(model):
        log.clear()
        with torch.no_grad():
            scorer(model, by, How(2, 1, 1), lambda: data)(x)
        reads = {"features": {"train"}, "typicality": {"valid"}}.get(by, set())
        assert set(log) == (reads | ({"train"} if by == "latent" and data.domain == "real" else set())), by


# ---------------------------------------------------------------------- the prior that samples come from
def codes_of_samples(model: GenerativeModel, n: int) -> torch.Tensor:
    """The codes that `sample` hands to the generator or the decoder, (n, latent and classes)."""
    network, seen = getattr(model, "generator", None) or model.decoder, []
    handle = network.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    torch.manual_seed(4)
    model.sample(n)
    handle.remove()
    return torch.cat(seen).double()


def moments_of_mixture(weights, means, covariances):
    """E z and E zzᵀ of a mixture, (d,) and (d, d)."""
    second = covariances + means[:, :, None] * means[:, None]
    return weights @ means, torch.einsum("k,kij->ij", weights, second)


def expected_moments(model) -> tuple[torch.Tensor, torch.Tensor]:
    """E z and E zzᵀ of the model's prior by its definition, of the latent dimensions, float64."""
    d = model.latent
    mean, second = torch.zeros(d).double(), torch.eye(d).double()
    if hasattr(model, "density"):
        parts = model.density
        return moments_of_mixture(
            parts.weights.double(), parts.means.double(), (parts.factors @ parts.factors.mT).double()
        )
    prior = getattr(model, "prior", None)
    if isinstance(prior, torch.nn.Module) and hasattr(prior, "logits"):
        weights = prior.logits.double().softmax(-1)
        if weights.dim() == 2:
            weights = model.classes.log_share.double().exp() @ weights
        covariances = torch.diag_embed((2 * prior.log_deviations.double()).exp())
        return moments_of_mixture(weights, prior.means.double(), covariances)
    scale = getattr(model, "prior_deviation", 1.0)
    second = second * scale**2
    if prior == "mixture":
        second[:2, :2] = torch.eye(2) * scale**2 * (1.4**2 + 0.5**2 + 0.1**2) / 2
    if categories := getattr(model, "categories", 0):
        mean[:categories] = 1 / categories
        second[:categories, :categories] = torch.eye(categories) / categories
    return mean, second


WITH_CODES = [case for case in FIRST if case[0] in ("gan", "vae", "autoencoder", "aae", "categorical-aae")]


@pytest.mark.parametrize(("name", "preset", "domain"), WITH_CODES)
@torch.no_grad()
def test_samples_come_from_the_prior_with_its_moments(tmp_path, name, preset, domain):
    n = 20_000
    data = load(saved(tmp_path, domain))
    model = tiny(name, preset, data.shape, data.domain)
    model.prepare(data.train)
    model.eval().finish(data.train)
    if hasattr(model, "density"):
        model.density.means.zero_()  # fitted on few rows: next to its means the deviations would not show
    mean, second = expected_moments(model)
    draws = {"sample": codes_of_samples(model, n)[:, : model.latent]}
    if hasattr(model, "sample_prior"):
        torch.manual_seed(5)
        draws["sample_prior"] = model.sample_prior(n).double()
    for what, z in draws.items():
        assert z.shape == (n, model.latent), what
        product = z[:, :, None] * z[:, None]
        error = z.std(0) / math.sqrt(n)
        assert (((z.mean(0) - mean).abs()) < 5.5 * error + 1e-9).all(), what
        error = product.std(0) / math.sqrt(n)
        assert (((product.mean(0) - second).abs()) < 5.5 * error + 1e-9).all(), what
        if getattr(model, "noise", None) == "uniform":
            assert 1.7 < float(z.abs().max()) <= 3**0.5


@torch.no_grad()
def test_the_density_of_the_prior_is_that_of_its_samples():
    """E log p(z) over draws is minus the entropy of N(0, I), d/2·log 2πe."""
    model = tiny("vae", "default", (6,), "binary", prior="normal")
    torch.manual_seed(0)
    logs = model.log_prior(model.sample_prior(20_000)).double()
    entropy = model.latent / 2 * math.log(2 * math.pi * math.e)
    assert float(logs.mean()) == pytest.approx(-entropy, abs=5 * float(logs.std()) / math.sqrt(20_000))
