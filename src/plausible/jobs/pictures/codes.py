"""What a model's code does with rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy.stats import norm

from plausible.capabilities import Coder, Reconstruction, require
from plausible.data import Data
from plausible.jobs.interpolate import CODES, along, between, on_device_of
from plausible.jobs.loading import applied
from plausible.jobs.pictures.registry import Made, PictureSubject, picture
from plausible.metrics.needs import images
from plausible.report.codes import pair_images, plot_columns, plot_plane, project_codes, stack_images
from plausible.report.images import grid

__all__ = ["CodedRows", "coded_rows"]

ROWS = 2000
"""Test rows, at most, whose codes are shown."""
VALUES = 1 << 23
"""At most so many values of the data are used: of large images fewer rows."""
BLOCK = 500
"""Rows encoded and decoded at a time."""
STEPS = 11
"""Of a walk; odd, so that one step is the mean code, or half-way."""
SIDE, SIDE_PIXELS = 20, 1000
WALKS = 3


@dataclass(frozen=True, eq=False)
class CodedRows:
    """The first test rows, their codes, and their reconstructions: (n, *shape), (n, features), (n, *shape)."""

    x: np.ndarray
    y: np.ndarray | None
    codes: np.ndarray
    reconstructed: np.ndarray

    @property
    def n(self) -> int:
        return len(self.x)


def coded_rows(subject: PictureSubject) -> CodedRows:
    """Encode and reconstruct the first test rows."""
    rows = subject.data.test
    n = min(len(rows), ROWS, max(2, VALUES // int(np.prod(rows.shape))))
    x, y = rows.take(np.arange(n))
    encode, reconstruct = (
        require(subject.model, Coder).encode,
        require(subject.model, Reconstruction).reconstruct,
    )
    codes, reconstructed = [], []
    for block in on_device_of(subject.model, x).split(BLOCK):
        codes.append(applied(encode, block).flatten(1))
        reconstructed.append(applied(reconstruct, block).cpu())
    return CodedRows(x, y, torch.cat(codes).cpu().double().numpy(), torch.cat(reconstructed).numpy())


def prior_deviation(subject: PictureSubject) -> float | None:
    """s, where the model's prior of codes is N(0, s²·I): its options say so; else None."""
    options = subject.options
    return float(options.get("prior_deviation", 1.0)) if options.get("prior") == "normal" else None


@picture("reconstructions", "Reconstructions", needs=(Coder, Reconstruction))
def show_reconstructions(subject: PictureSubject) -> Made | None:
    """Originals beside their reconstructions."""
    coded, data = subject.shared(coded_rows), subject.data
    if data.domain == "mixed":
        return _of_mixed(coded, data)
    error = float(np.square(coded.x - coded.reconstructed).mean())
    constant = float(np.square(coded.x - coded.x.mean(0)).mean())
    errors = (
        f"Mean squared error over the first {coded.n:,} test rows: {error:.3g} a value; of their mean in place of "
        f"each, {constant:.3g}."
    )
    if coded.x.ndim != 4:
        names = data.columns or [f"column {i}" for i in range(coded.x.shape[1])]
        first = f"the first {min(len(names), 8)} of {len(names)} columns" if len(names) > 8 else "each column"
        caption = (
            f"The reconstruction of {coded.n:,} test rows against the rows themselves, for {first}; on the dashed line "
            "nothing is lost. R² is the share of a column's variance that is reconstructed; below 0 its mean alone is "
            f"nearer. {errors}"
        )
        return plot_columns(coded.x, coded.reconstructed, names), caption
    image, shown = pair_images(coded.x, coded.reconstructed)
    means = ": the probabilities that it gives" if data.domain == "binary" else ""
    caption = (
        f"The first {shown} test rows, each above its reconstruction by the decoder{means}. The model was not trained "
        f"on these rows, and they are the same in every picture of this run. {errors}"
    )
    return image, caption


def _of_mixed(coded: CodedRows, data: Data) -> Made | None:
    """The columns of numbers as points, those of levels as shares in words."""
    columns, levels = data.schema.columns or (), data.schema.levels
    numbers = [i for i, count in enumerate(levels) if not count]
    whole = np.isfinite(coded.x[:, numbers] + coded.reconstructed[:, numbers]).all(1)
    if not numbers or np.count_nonzero(whole) < 2:
        return None
    right = ", ".join(
        f"{columns[i].name} {np.mean(coded.x[there, i] == coded.reconstructed[there, i]):.0%}"
        for i, count in enumerate(levels)
        if count and (there := ~np.isnan(coded.x[:, i])).any()
    )
    caption = (
        f"The reconstruction of the {np.count_nonzero(whole):,} of {coded.n:,} test rows that miss no number against "
        "the rows themselves, for the columns of numbers (the first 8); on the dashed line nothing is lost. R² is the "
        "share of a column's variance that is reconstructed; below 0 its mean alone is nearer."
    )
    caption += f" Reconstructed with the right level: {right}." if right else ""
    values = (x[whole][:, numbers] for x in (coded.x, coded.reconstructed))
    return plot_columns(*values, [columns[i].name for i in numbers]), caption


@picture("plane", "Where the codes lie", needs=(Coder, Reconstruction), beside=True)
def show_plane(subject: PictureSubject) -> Made | None:
    """The codes as points in a plane."""
    coded, data, deviation = subject.shared(coded_rows), subject.data, prior_deviation(subject)
    finite = np.isfinite(coded.codes.sum(1))
    if np.count_nonzero(finite) < 2:
        return None
    found = project_codes(coded.codes[finite])
    lost = coded.n - int(finite.sum())
    title = f"Codes of {finite.sum():,} test rows" + (f" ({lost:,} more are not finite)" if lost else "")
    y = None if coded.y is None else coded.y[finite]
    caption = f"{title}; {found.description}. "
    if y is not None:
        caption += "Colours are the data's labels, shown here whether or not the model was given them. "
    caption += "A code is what `encode` gives: nothing is random, and of a VAE it is the mean of q(z|x). "
    if coded.codes.shape[1] > 2:
        caption += "A projection: what overlaps here may lie apart in the other dimensions. "
    if deviation is not None and found.origin is not None:
        caption += "The circles hold 50% and 95% of the prior. "
    if len(data.shape) != 3:
        caption += (
            "What lies between the codes is a table here: `plausible traverse RUN --out traversal.csv`."
        )
    return plot_plane(found, title, y, data.labels, deviation), caption.strip()


@picture("manifold", "Images over the plane of codes", needs=(Coder, Reconstruction, images), beside=True)
def show_manifold(subject: PictureSubject) -> Made | None:
    """What is decoded over a plane of codes, by the prior's quantiles."""
    coded, deviation = subject.shared(coded_rows), prior_deviation(subject)
    if deviation is None or coded.codes.shape[1] != 2:
        return None
    side = max(5, min(SIDE, SIDE_PIXELS // max(coded.x.shape[2:])))
    quantiles = deviation * norm.ppf((np.arange(side) + 0.5) / side)
    across, down = np.meshgrid(quantiles, quantiles[::-1])
    z = torch.from_numpy(np.column_stack([across.ravel(), down.ravel()]).astype(np.float32))
    decoded = applied(require(subject.model, Coder).decode, on_device_of(subject.model, z)).cpu().numpy()
    caption = (
        f"What is decoded at {side} × {side} codes, z₁ from left to right and z₂ upwards, spaced by the prior's "
        f"quantiles ({0.5 / side:.1%} to {1 - 0.5 / side:.1%}): every image stands for an equal share of the prior "
        "(Kingma & Welling 2014, figure 4)."
    )
    return grid(decoded, side, like=coded.x), caption


@picture("traversal", "One dimension at a time", needs=(Coder, Reconstruction, images))
def show_traversal(subject: PictureSubject) -> Made:
    """What is decoded along each dimension of the code."""
    coded, data = subject.shared(coded_rows), subject.data
    walks = along(cast(Coder, subject.model), data, STEPS)
    total, rows = coded.codes.shape[1], min(CODES, len(data.train))
    which = f"the {len(walks)} widest of {total}" if len(walks) < total else f"each of {total}"
    caption = (
        f"A row for {which} code dimensions, the widest first: it goes from −3 to 3 standard deviations (of the codes "
        f"of {rows:,} training rows) with the others at their means; the middle column is the mean code. Where nothing "
        "changes along a row, the decoder ignores that dimension. The ends may lie where no row's code does."
    )
    return grid(walks.flatten(0, 1).numpy(), STEPS, like=coded.x), caption


@picture("interpolations", "Between two rows", needs=(Coder, Reconstruction, images))
def show_interpolations(subject: PictureSubject) -> Made:
    """Between test rows, along the line and along the sphere."""
    coded, model = subject.shared(coded_rows), cast(Coder, subject.model)
    ends = [(a, a + 1) for a in range(0, min(2 * WALKS, coded.n - 1), 2)]
    bands = []
    for a, b in ends:
        ways = [between(model, subject.data, a, b, STEPS, straight=straight)[0] for straight in (True, False)]
        bands.append(grid(torch.cat(ways).numpy(), STEPS, like=coded.x))
    caption = (
        f"Between the codes of test rows {', '.join(f'{a} and {b}' for a, b in ends)}, counted from 0: above along the "
        "line, beneath along the sphere. The ends are the reconstructions of the two rows."
    )
    return stack_images(bands), caption
