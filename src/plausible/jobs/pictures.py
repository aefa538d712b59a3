"""Draw what a model's code does with the rows it was not trained on, into RUN/pictures/TICK/."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from scipy.stats import norm
from torch import Tensor

from plausible.capabilities import Coder as Coding
from plausible.data import Data, Rows
from plausible.game import GenerativeModel
from plausible.jobs.interpolate import CODES, along, between, on_device_of
from plausible.jobs.loading import applied
from plausible.report.codes import draw_columns, draw_plane, image_of, pairs, plane, stacked
from plausible.report.pictures import grid, png
from plausible.runs import Config, RunFolder, commit

PICTURED = 2000
"""Test rows, at most, whose codes are drawn."""
VALUES = 1 << 23
"""At most so many values of the data are taken for it: of large images fewer rows."""
BLOCK = 500
"""Rows encoded and decoded at a time."""
STEPS = 11
"""Of a walk; odd, so that one step is the mean code, or half-way."""
SIDE, SIDE_PIXELS = 20, 1000
WALKS = 3


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture: what it is called, the image, and what it shows, in words."""

    name: str
    image: Image.Image
    said: str


@dataclass(frozen=True, eq=False)
class Coded:
    """The first test rows, their codes, and what comes back of them: (n, *shape), (n, features), (n, *shape)."""

    x: np.ndarray
    y: np.ndarray | None
    codes: np.ndarray
    back: np.ndarray

    @property
    def n(self) -> int:
        return len(self.x)


@runtime_checkable
class Picturable(Coding, Protocol):
    """A model with a code that says what comes back of a row."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """(B, *shape) → the same, through the code."""
        ...


def write_pictures(run: RunFolder, model: GenerativeModel, data: Data, tick: int) -> Path | None:
    """Draw the code of a model that encodes and decodes into RUN/pictures/TICK/: all pictures or none.

    The rows are the first of the test split, so that pictures of two ticks compare. Nothing is drawn for any other
    model, for data that are not the run's own, and where there are fewer than two test rows.

    Args:
        run: the run folder.
        model: in evaluation mode.
        data: what to take rows from.
        tick: how far the model is trained.

    Returns: the folder, or None.

    Raises:
        PlausibleError: it cannot be written; nothing is left behind.
    """
    config = run.config()
    own = data.hash == config.data.hash and len(data.test) > 1
    if not isinstance(model, Picturable) or not own:
        return None
    folder = run.path / "pictures" / f"{tick:09d}"
    with commit(folder) as writing:
        for drawn in _drawings(model, data, _prior_deviation(config)):
            info = {"kind": drawn.name, "tick": str(tick), "Description": drawn.said}
            (writing / f"{drawn.name}.png").write_bytes(png(drawn.image, info))
    return folder


def _drawings(model: Picturable, data: Data, deviation: float | None) -> Iterator[Drawn]:
    coded = _code(model, data.test)
    images = len(data.shape) == 3
    yield _reconstructions(coded, data)
    finite = np.isfinite(coded.codes.sum(1))
    if np.count_nonzero(finite) > 1:
        yield _plane(coded, finite, data, deviation)
    if images and deviation is not None and coded.codes.shape[1] == 2:
        yield _manifold(model, coded, deviation)
    if images:
        yield _traversal(model, data, coded)
        yield _interpolations(model, data, coded)


def _code(model: Picturable, rows: Rows) -> Coded:
    """Encode and decode the first rows of a split."""
    n = min(len(rows), PICTURED, max(2, VALUES // int(np.prod(rows.shape))))
    x, y = rows.take(np.arange(n))
    codes, back = [], []
    for block in on_device_of(model, x).split(BLOCK):
        codes.append(applied(model.encode, block).flatten(1))
        back.append(applied(model.reconstruct, block).cpu())
    return Coded(x, y, torch.cat(codes).cpu().double().numpy(), torch.cat(back).numpy())


def _reconstructions(coded: Coded, data: Data) -> Drawn:
    """Originals beside what comes back of them."""
    error = float(np.square(coded.x - coded.back).mean())
    constant = float(np.square(coded.x - coded.x.mean(0)).mean())
    figures = (
        f"Mean squared error over the first {coded.n:,} test rows: {error:.3g} a value; of their mean in place of "
        f"each, {constant:.3g}."
    )
    if coded.x.ndim != 4:
        names = data.columns or [f"column {i}" for i in range(coded.x.shape[1])]
        first = f"the first {min(len(names), 8)} of {len(names)} columns" if len(names) > 8 else "each column"
        said = (
            f"What came back of {coded.n:,} test rows against what went in, for {first}; on the dashed line nothing is "
            f"lost. R² is the share of a column's variance that comes back; below 0 its mean alone is nearer. {figures}"
        )
        return Drawn("reconstructions", image_of(draw_columns(coded.x, coded.back, names)), said)
    image, shown = pairs(coded.x, coded.back)
    means = ": the probabilities that it gives" if data.domain == "binary" else ""
    said = (
        f"The first {shown} test rows, each above what the decoder makes of its code{means}. These rows were not "
        f"trained on, and are the same in every picture of this run. {figures}"
    )
    return Drawn("reconstructions", image, said)


def _plane(coded: Coded, finite: np.ndarray, data: Data, deviation: float | None) -> Drawn:
    """Where the codes lie."""
    found = plane(coded.codes[finite])
    lost = coded.n - int(finite.sum())
    title = f"Codes of {finite.sum():,} test rows" + (f" ({lost:,} more are not finite)" if lost else "")
    y = None if coded.y is None else coded.y[finite]
    said = f"{title}; {found.said}. "
    if y is not None:
        said += "Colours are the data's labels, shown here whether or not the model was given them. "
    said += (
        "A code is what `encode` gives: nothing is drawn at random, and of a VAE it is the mean of q(z|x). "
    )
    if coded.codes.shape[1] > 2:
        said += "A projection: what overlaps here may lie apart in the other dimensions. "
    if deviation is not None and found.origin is not None:
        said += "The circles hold 50% and 95% of the prior that samples are drawn from. "
    figure = draw_plane(found, title, y, data.labels, deviation)
    return Drawn("plane", image_of(figure), said.strip())


def _manifold(model: Coding, coded: Coded, deviation: float) -> Drawn:
    """What is decoded over a plane of codes, by the prior's quantiles."""
    side = max(5, min(SIDE, SIDE_PIXELS // max(coded.x.shape[2:])))
    quantiles = deviation * norm.ppf((np.arange(side) + 0.5) / side)
    across, down = np.meshgrid(quantiles, quantiles[::-1])
    z = torch.from_numpy(np.column_stack([across.ravel(), down.ravel()]).astype(np.float32))
    decoded = applied(model.decode, on_device_of(model, z)).cpu().numpy()
    said = (
        f"What is decoded at {side} × {side} codes, z₁ from left to right and z₂ upwards, spaced by the prior's "
        f"quantiles ({0.5 / side:.1%} to {1 - 0.5 / side:.1%}): every image stands for an equal share of the prior "
        "(Kingma & Welling 2014, figure 4)."
    )
    return Drawn("manifold", grid(decoded, side, like=coded.x), said)


def _traversal(model: Coding, data: Data, coded: Coded) -> Drawn:
    """One dimension at a time."""
    walks = along(model, data, STEPS)
    total, rows = coded.codes.shape[1], min(CODES, len(data.train))
    which = f"the {len(walks)} widest of {total}" if len(walks) < total else f"each of {total}"
    said = (
        f"A row for {which} code dimensions, the widest first: it goes from −3 to 3 standard deviations (of the codes "
        f"of {rows:,} training rows) while the others rest at their means; the middle column is the mean code. Where "
        "nothing changes along a row, the decoder makes nothing of that dimension. The ends may lie where no row's "
        "code does."
    )
    return Drawn("traversal", grid(walks.flatten(0, 1).numpy(), STEPS, like=coded.x), said)


def _interpolations(model: Coding, data: Data, coded: Coded) -> Drawn:
    """Between test rows, along the line and along the sphere."""
    ends = [(a, a + 1) for a in range(0, min(2 * WALKS, coded.n - 1), 2)]
    bands = []
    for a, b in ends:
        ways = [between(model, data, a, b, STEPS, straight=straight)[0] for straight in (True, False)]
        bands.append(grid(torch.cat(ways).numpy(), STEPS, like=coded.x))
    said = (
        f"Between the codes of test rows {', '.join(f'{a} and {b}' for a, b in ends)}, counted from 0: above along the "
        "line, beneath along the sphere. The ends are what comes back of the two rows."
    )
    return Drawn("interpolations", stacked(bands), said)


def _prior_deviation(config: Config) -> float | None:
    """s, where the run's model draws its codes from N(0, s²·I): it says so by its options; else None."""
    options = config.options_at()
    return float(options.get("prior_deviation", 1.0)) if options.get("prior") == "normal" else None
