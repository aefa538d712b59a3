"""Every score of every model that claims "higher is more plausible" ranks held-out rows above wild ones."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.datasets import load_wine
from sklearn.metrics import roc_auc_score
from support import opened, train

from plausible.data import load
from plausible.metrics.scoring import SCORES, How, scorable, score_rows, scorer
from plausible.models.build import options_of
from plausible.models.registry import MODELS, model_class

WIDE = {
    "generator": (64, 64),
    "discriminator": (64, 64),
    "encoder": (64,),
    "decoder": (64,),
    "hidden": 40,
    "latent": 6,
}
EPOCHS = {"wine": 30, "digits": 8, "digits:binary": 8, "bits": 8}
HOW = How(samples=10, starts=3, steps=60)
IMAGES_ONLY = ("pixelrnn", "pixelcnn")


@cache
def data_of(kind):
    if kind == "wine":
        return load(load_wine().data)
    if kind == "bits":  # eight copies of one bit, each wrong in one row of twenty
        rng = np.random.default_rng(0)
        return load(((rng.random((600, 1)) < 0.5) ^ (rng.random((600, 8)) < 0.05)).astype(np.uint8))
    return load(kind)


def wild_rows(kind):
    """name → rows, (200, *shape): noise in the data's range and, of real values, values far outside of it."""
    data, rng = data_of(kind), np.random.default_rng(1)
    shape = (200, *data.shape)
    if data.domain == "binary":
        return {"noise": (rng.random(shape) < 0.5).astype(np.float32)}
    if data.domain == "unit":
        return {"noise": rng.random(shape, np.float32)}
    ordinary = data.train.take(rng.integers(0, len(data.train), 200))[0]
    one = ordinary.copy()
    one[np.arange(200), rng.integers(0, 13, 200)] = 1e9
    middle, deviation = ordinary.mean(0), ordinary.std(0)
    noise = middle + 100 * deviation * rng.normal(size=shape)
    away = middle + np.sign(noise - middle) * 1e6 * deviation
    return {"one value 1e9": one, "all values 1e6 deviations away": away, "noise": noise}


def kinds_of(name):
    domains = model_class(name).domains
    if name == "table":
        return ["bits"]
    kinds = {"real": "wine", "unit": "digits", "binary": "digits:binary"}
    if name in IMAGES_ONLY:
        return ["digits:binary"]
    return [kind for domain, kind in kinds.items() if domain in domains][:2]


ALWAYS = ("fvsbn", "vae", "autoencoder", "gan")
"""A model for each kind of score; the others, and their second data sets, in `make test-all`."""
CASES = [
    pytest.param(
        name,
        kind,
        marks=() if (name in ALWAYS and place == 0) or not model_class(name).recipe else pytest.mark.slow,
    )
    for name in MODELS
    for place, kind in enumerate(kinds_of(name))
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(model, data) → a run, trained a little, once."""
    folder = tmp_path_factory.mktemp("directions")

    @cache
    def run(name, kind):
        options = {option: value for option, value in WIDE.items() if option in options_of(name)}
        if isinstance(options_of(name).get("hidden", (0, 0))[1], tuple):
            options["hidden"] = (40,)
        if name in IMAGES_ONLY:
            options = {"hidden": 8} if "hidden" in options else {}
        if name == "gan":
            options["preset"] = "default"
        batch = {} if not model_class(name).recipe else {"batch": 32, "epochs": EPOCHS[kind]}
        if name in IMAGES_ONLY:
            batch["epochs"] = 1
        path = folder / f"{name}-{kind.replace(':', '-')}"
        return opened(train(name, data_of(kind), out=path, **options, **batch))

    return run


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_held_out_rows_score_above_wild_ones(trained, name, kind):
    data, model = data_of(kind), trained(name, kind).model
    directed = [by for by in scorable(model) if SCORES[by].directed]
    assert directed
    for by in directed:
        score = scorer(model, by, HOW, lambda: data)
        held_out = np.nan_to_num(score_rows(score, data.test), nan=-np.inf)
        for what, x in wild_rows(kind).items():
            with torch.no_grad():
                wild = score(torch.from_numpy(x.astype(np.float32))).numpy()
            wild = np.nan_to_num(wild, nan=-np.inf)
            area = roc_auc_score(
                np.repeat([1, 0], [len(held_out), len(wild)]), rankdata(np.concatenate([held_out, wild]))
            )
            print(f"{name} {kind} {by}, {what}: AUROC {area:.3f}")
            assert area > (0.8 if name == "table" else 0.95), (by, what)
