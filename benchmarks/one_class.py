"""One-class MNIST: a model of one digit alone, and how well its scores tell that digit from the other nine.

    python benchmarks/one_class.py --core-minutes 0.4 --out runs/one-class

One model a digit at its defaults, trained on that digit's training rows; AUROC on all 10,000 test rows, mean over the
ten digits. The model and score to report is named without any other digit: it is the pair that best tells the digit's
own valid rows from altered copies of them that are as sharp as they were: turned, mirrored, or with a patch of another
(as Golan & El-Yaniv, 2018, and Li et al., *CutPaste*, 2021, train classifiers on). Damage that makes pictures noisy or
smooth (`plausible.metrics.damage`) is printed beside it. Beside the models are scores without one, by the nearest
training row and by principal components. Finished models are kept in the folder: the same command goes on where it
stopped.
"""

from __future__ import annotations

import functools
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

import plausible
from plausible.data import Data, load
from plausible.metrics.damage import PICTURE_KINDS, Range, damage
from plausible.metrics.gradients import oriented_gradients
from plausible.metrics.scoring import scorable
from plausible.models.registry import model_class

SCORES_READ = ("log_prob", "bound", "reconstruction", "hog", "features", "typicality")
Rows = tuple[Tensor, dict[str, Tensor], Tensor]
"""Valid rows of the digit, altered copies of them by the kind of alteration, and all test rows."""
ALTERED = ("patch", "turned", "mirrored")
"""Alterations that leave pictures as sharp as they were: what names the model and score."""


def altered(x: Tensor, data: Data, seed: int = 0) -> dict[str, Tensor]:
    """Copies of rows, by what was done to them: each kind of damage, at random degrees, turned, mirrored."""
    turns = {
        "turned": torch.cat([part.rot90(k + 1, (2, 3)) for k, part in enumerate(x.chunk(3))]),
        "mirrored": torch.cat([part.flip(2 + k) for k, part in enumerate(x.chunk(2))]),
    }
    span = Range(x.std(), x.amin(), x.amax(), data.domain)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        degree, others = torch.rand(len(x)).clamp_min(0.02), x[torch.randperm(len(x))[:64]]
        places = {name: torch.full((len(x),), place) for place, name in enumerate(PICTURE_KINDS)}
        return turns | {name: damage(x, others, place, degree, span) for name, place in places.items()}


def rows_of(digit: int, view: str) -> tuple[Data, Rows, np.ndarray]:
    """The data of one digit; what is scored; and which test rows are of that digit."""
    data, whole = load(f"mnist:class={digit}{view}"), load(f"mnist{view}")
    valid, test = torch.from_numpy(data.valid.array()), torch.from_numpy(whole.test.array())
    return data, (valid, altered(valid, data), test), np.isin(whole.test.ids, data.test.ids)


def areas(score: Callable[[Tensor], np.ndarray], rows: Rows, own: np.ndarray) -> dict[str, float]:
    """AUROC against each kind of altered copies, and against the other digits."""
    valid, copies, test = rows
    known = score(valid)
    truth = np.repeat([1, 0], len(valid))
    found = {kind: roc_auc_score(truth, np.concatenate([known, score(x)])) for kind, x in copies.items()}
    return {kind: float(area) for kind, area in found.items()} | {
        "digits": float(roc_auc_score(own, score(test)))
    }


def by_model(name: str, digit: int, seed: int, minutes: float, out: Path) -> dict[str, dict[str, float]]:
    """Score → AUROCs of one model, trained here."""
    kind = model_class(name)
    data, rows, own = rows_of(digit, "" if "unit" in kind.domains else ":binary")
    folder = out / f"{name}-{digit}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    budget: dict[str, Any] = {} if kind.recipe is None else {"core_minutes": minutes}
    run = plausible.train(name, data, out=folder, seed=seed, progress=False, **budget)
    chosen = [by for by in scorable(run.model) if by in SCORES_READ]
    found = {by: areas(lambda x, by=by: np.asarray(run.score(x.numpy(), by=by)), rows, own) for by in chosen}
    shutil.rmtree(folder)
    return found


def without_model(digit: int) -> dict[str, dict[str, float]]:
    """AUROCs of distances to training rows and to their principal components."""
    data, rows, own = rows_of(digit, "")
    train = torch.from_numpy(data.train.array())
    found = {}
    for what, represent in (("pixels", lambda x: x.flatten(1)), ("oriented gradients", oriented_gradients)):
        known = represent(train).numpy()
        nearest = NearestNeighbors(n_neighbors=1).fit(known)
        pca = PCA(32, svd_solver="randomized", random_state=0).fit(known)

        def near(x: Tensor, represent=represent, nearest=nearest) -> np.ndarray:
            return -nearest.kneighbors(represent(x).numpy())[0][:, 0]

        def error(x: Tensor, represent=represent, pca=pca) -> np.ndarray:
            seen = represent(x).numpy()
            return -((seen - pca.inverse_transform(pca.transform(seen))) ** 2).sum(1)

        found[f"nearest row, {what}"] = areas(near, rows, own)
        found[f"PCA-32, {what}"] = areas(error, rows, own)
    return found


def kept(file: Path, make: Callable[[], dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """What the file holds, or what is made and written there."""
    if not file.is_file():
        file.write_text(json.dumps(make()))
    return json.loads(file.read_text())


def main(
    models: tuple[str, ...] = ("independent", "autoencoder", "vae", "aae"),
    seeds: int = 1,
    core_minutes: float = 0.4,
    out: Path = Path("runs/one-class"),
) -> None:
    """Train, measure, and print a line for each model and score.

    Args:
        models: to train.
        seeds: trainings of each model and digit.
        core_minutes: processor time of each training.
        out: where the figures are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[list[dict[str, float]]]] = {}
    cases: list[tuple[str, int, Callable[..., Any]]] = [
        (name, seed, functools.partial(by_model, name, seed=seed, minutes=core_minutes, out=out))
        for name, seed in itertools.product(models, range(seeds))
    ]
    cases.append(("without a model", 0, without_model))
    for name, seed, make in cases:
        each: dict[str, list[dict[str, float]]] = {}
        for digit in range(10):
            print(f"{name}, seed {seed}, {digit} …", flush=True)
            file = out / f"{name.replace(' ', '-')}-{digit}-{seed}.json"
            for by, area in kept(file, functools.partial(make, digit=digit)).items():
                each.setdefault(f"{name}, {by}", []).append(area)
        for what, of_digits in each.items():
            found.setdefault(what, []).append(of_digits)

    def means(what: str, *kinds: str) -> np.ndarray:
        """Of each seed, the mean over the digits and the kinds."""
        return np.array(
            [np.mean([[area[kind] for kind in kinds] for area in digits]) for digits in found[what]]
        )

    named = max(
        (what for what in found if "without" not in what), key=lambda what: means(what, *ALTERED).mean()
    )
    print(f"\nnamed by altered copies of the digit's own valid rows: {named}\n")
    print(f"{'':48} sharp  damaged  digits, lowest and highest mean over seeds; lowest digit")
    for what in sorted(found, key=lambda what: -means(what, "digits").mean()):
        digits = means(what, "digits")
        lowest = min(area["digits"] for of_digits in found[what] for area in of_digits)
        print(
            f"{what:48} {means(what, *ALTERED).mean():.4f} {means(what, *PICTURE_KINDS).mean():.4f}   "
            f"{digits.mean():.4f} ({digits.min():.4f} to {digits.max():.4f}); {lowest:.4f}"
        )


if __name__ == "__main__":
    tyro.cli(main)
