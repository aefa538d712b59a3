"""A small network of our own whose hidden layer is the space that samples and real rows are compared in.

Distances between pixels reward what the eye rejects: a blurred picture lies nearer to real ones than real ones do to
each other. So a network is trained once for each data set, on its training rows alone, and asked three things:

    which class a row is of                                     (where there are labels of two classes or more)
    which kind of damage was done to it, and to what degree     (half of the rows are damaged, see `damage`)
    what the undamaged row was                                  (its leading principal components)

The answers are linear functions of its features, so the features hold the class, the damage and the content of a row.
Pictures go through three convolutions, tables through a perceptron. Features are standardised by the
training rows, and their tails drawn in, so that a few outliers do not decide a distance.

The weights lie in the user's cache folder (`$PLAUSIBLE_CACHE`), one file a data set, named by the data's hash; every
figure names the weights by the first eight digits of their SHA-256. Figures are comparable where these are equal.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from plausible.data import Data, Rows
from plausible.data.cache import cache_folder
from plausible.errors import PlausibleError
from plausible.metrics._arrays import as_matrix
from plausible.metrics.damage import PICTURE_KINDS, TABLE_KINDS, Range, damage
from plausible.runs.files import write_whole

__all__ = ["FEATURES", "FeatureNetwork", "feature_network", "features_of", "train_feature_network"]

_LOG = logging.getLogger(__name__)
FEATURES = 64
"""Width of the hidden layer that is compared."""
VERSION = 1
"""Of this recipe: part of the file's name, so that a change of it trains anew."""
BATCH, RATE = 128, 2e-3
OTHERS = (128, 1024)
"""At least and at most so many training rows at a time that damage takes values from; about 4 MB of them."""
EPOCHS, STEPS = 40, (200, 600)
"""So many passes over the training rows, but at least and at most so many steps."""
CONTENT = 32
"""Principal components that the network is asked for, at most."""
MOST_ROWS = 50_000
"""Training rows that are looked at, at most: 600 steps see 76,800."""
_BLOCK = 1 << 20  # values of the data in one pass
_OVERSAMPLED = 8  # of the randomised principal components (Halko, Martinsson & Tropp, 2011)
_STANDARD = 10_000  # rows that the features are standardised by


class FeatureNetwork(nn.Module):
    """Rows, (B, *shape), to features, (B, FEATURES), and from there to the three answers.

    Args:
        shape: of a row.
        classes: number of classes; 0 for no labels.

    Attributes:
        digest: the first eight digits of the SHA-256 of the file with its weights; "" before there is one.
    """

    mean: Tensor
    scale: Tensor
    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.shape, self.digest = tuple(shape), ""
        picture = len(self.shape) == 3
        self.kinds = len(PICTURE_KINDS if picture else TABLE_KINDS)
        self.content_size = min(CONTENT, math.prod(self.shape))
        per_column = (self.shape[0],) if not picture else (self.shape[0], 1, 1)
        self.register_buffer("mean", torch.zeros(per_column))
        self.register_buffer("scale", torch.ones(per_column))
        self.register_buffer("feature_mean", torch.zeros(FEATURES))
        self.register_buffer("feature_scale", torch.ones(FEATURES))
        self.trunk = _convolutions(self.shape) if picture else _perceptron(self.shape[0])
        self.damage_kind = nn.Linear(FEATURES, self.kinds + 1)
        self.damage_degree = nn.Linear(FEATURES, 1)
        self.content = nn.Linear(FEATURES, self.content_size)
        self.label = nn.Linear(FEATURES, classes) if classes else None

    def hidden(self, x: Tensor) -> Tensor:
        """The hidden layer before it is standardised, (B, FEATURES)."""
        return self.trunk((x - self.mean) / self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Standardised features, (B, FEATURES): asinh((hidden − mean)/deviation)."""
        return ((self.hidden(x) - self.feature_mean) / self.feature_scale).asinh()

    def features(self, x: Tensor | np.ndarray, name: str = "x") -> Tensor:
        """Features of all rows, (n, *shape) → (n, FEATURES), float64, in blocks of rows.

        Raises:
            PlausibleError: NaN, no rows, or rows of another shape; it calls them `name`.
        """
        rows = as_matrix(name, x, width=math.prod(self.shape)).float().unflatten(1, self.shape)
        return _blockwise(self, rows).double()


def _convolutions(shape: tuple[int, ...]) -> nn.Sequential:
    """The first convolution takes either side to 16 or fewer; two more halve it each."""
    channels, height, width = shape
    down, across = math.ceil(height / 16), math.ceil(width / 16)
    sizes = [height // down, width // across]
    layers: list[nn.Module] = [
        nn.Conv2d(channels, 32, (down + 2, across + 2), (down, across), padding=1),
        nn.ReLU(),
    ]
    for inputs in (32, 64):
        layers += [nn.Conv2d(inputs, 64, 3, 2, padding=1), nn.ReLU()]
        sizes = [(size + 1) // 2 for size in sizes]
    head = [nn.Flatten(), nn.Linear(64 * math.prod(sizes), 128), nn.ReLU(), nn.Linear(128, FEATURES)]
    return nn.Sequential(*layers, *head)


def _perceptron(columns: int) -> nn.Sequential:
    hidden = [nn.Linear(columns, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(256, FEATURES))


def feature_network(data: Data) -> FeatureNetwork:
    """The network of a data set: read from the cache, or trained once (about a minute) and written there.

    Raises:
        PlausibleError: the cache cannot be written, or the file is damaged; the message names it.
    """
    file = cache_folder() / "features" / f"{data.hash[:32]}-{VERSION}.safetensors"
    if not file.is_file():
        _LOG.info(
            "%s: training the features that samples are judged on, once, for up to a minute …", data.spec
        )
        _write(file, train_feature_network(data))
    return _read(file, data.shape)


def features_of(data: Data, rows: Rows | Tensor | np.ndarray) -> np.ndarray:
    """Features of rows by the network of a data set, (n, FEATURES), float64.

    Args:
        data: whose network.
        rows: some of its rows, or samples in its domain, (n, *shape).

    Raises:
        PlausibleError: as `feature_network`, and for rows that are NaN or of another shape.
    """
    return feature_network(data).features(rows.array() if isinstance(rows, Rows) else rows, "rows").numpy()


def _write(file: Path, network: FeatureNetwork) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, save(network.state_dict()))
    except (OSError, PlausibleError) as error:
        raise PlausibleError(
            f"the feature network cannot be kept in {file.parent} ({error}): "
            "set PLAUSIBLE_CACHE to a folder that can be written"
        ) from error


def _read(file: Path, shape: tuple[int, ...]) -> FeatureNetwork:
    try:
        content = file.read_bytes()
        weights = load(content)
        network = FeatureNetwork(shape, len(weights["label.bias"]) if "label.bias" in weights else 0)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise PlausibleError(f"{file} is damaged ({reason}): delete it, and it will be made again") from error
    network.digest = hashlib.sha256(content).hexdigest()[:8]
    return network.eval().requires_grad_(False)


def train_feature_network(data: Data, seed: int = 0) -> FeatureNetwork:
    """Train the network on the training rows, by Adam, BATCH rows a step, half of them damaged.

    Loss, all in nats or units of the standardised target, with equal weights:

        cross-entropy of the class (undamaged rows) + cross-entropy of the kind of damage
        + squared error of its degree + mean squared error of the clean row's principal components

    Args:
        data: only `data.train` is read.
        seed: random seed; torch's random state is restored.
    """
    rows = np.random.default_rng(seed).permutation(len(data.train))[:MOST_ROWS]
    x, y = (None if part is None else torch.from_numpy(part) for part in data.train.take(np.sort(rows)))
    if x is None or not len(x):
        raise PlausibleError(f"data {data.spec}: there are no training rows to train the feature network on")
    classes = int(y.max()) + 1 if y is not None and len(torch.unique(y)) > 1 else 0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        network = FeatureNetwork(data.shape, classes)
        _standardise(network, x)
        span = _range(network, x, data)
        target = _content(x, network)
        _fit(network, x, y if classes else None, target, span)
    network.eval().requires_grad_(False)
    found = _blockwise(network.hidden, x[:_STANDARD])
    network.feature_mean.copy_(found.mean(0))
    network.feature_scale.copy_(found.std(0, correction=0).clamp_min(1e-6))
    return network


def _standardise(network: FeatureNetwork, x: Tensor) -> None:
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    scale, mean = torch.std_mean(x, axes, correction=0)
    network.mean.copy_(mean.view_as(network.mean))
    network.scale.copy_(scale.where(scale > 0, torch.ones_like(scale)).view_as(network.scale))


def _range(network: FeatureNetwork, x: Tensor, data: Data) -> Range:
    low, high = (x.amin(0), x.amax(0)) if x.ndim == 2 else (x.amin(), x.amax())
    return Range(network.scale, low, high, data.domain)


def _content(x: Tensor, network: FeatureNetwork) -> Tensor:
    """The first `content_size` principal components of standardised rows, each scaled to deviation 1, (n, k)."""
    flat = ((x - network.mean) / network.scale).flatten(1)
    flat = flat - flat.mean(0)
    size = min(network.content_size + _OVERSAMPLED, *flat.shape)
    _, _, vectors = torch.svd_lowrank(flat, size, niter=2)
    found = flat @ vectors[:, : network.content_size]
    found = found / found.std(0, correction=0).clamp_min(1e-6)
    return nn.functional.pad(found, (0, network.content_size - found.shape[1]))  # fewer rows than components


def _fit(network: FeatureNetwork, x: Tensor, y: Tensor | None, target: Tensor, span: Range) -> None:
    steps = min(max(EPOCHS * len(x) // BATCH, STEPS[0]), STEPS[1])
    others = min(max(_BLOCK // x[0].numel(), OTHERS[0]), OTHERS[1])
    optimizer = torch.optim.Adam(network.parameters(), RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        rows = torch.randint(len(x), (BATCH,))
        kind = torch.randint(network.kinds, (BATCH,))
        kind[: BATCH // 2] = network.kinds
        degree = torch.rand(BATCH).clamp_min(0.02)
        seen = damage(x[rows], x[torch.randint(len(x), (others,))], kind, degree, span)
        features = network.hidden(seen)
        loss = cross_entropy(network.damage_kind(features), kind)
        damaged = (kind < network.kinds).float()
        loss = loss + (damaged * (network.damage_degree(features)[:, 0] - degree).square()).mean()
        loss = loss + mse_loss(network.content(features), target[rows])
        if y is not None and network.label is not None:
            loss = loss + cross_entropy(network.label(features[: BATCH // 2]), y[rows[: BATCH // 2]])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


def _blockwise(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([function(part) for part in x.split(max(1, _BLOCK // x[0].numel()))])
