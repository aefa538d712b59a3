"""Samples beside the training rows nearest to them: what a model that copies its training rows makes visible."""

from __future__ import annotations

import math

import numpy as np

from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.jobs.pictures.registry import Made, PictureSubject, picture
from plausible.metrics import Subject
from plausible.metrics.memorisation import VALUES, enough_rows, space_for
from plausible.metrics.nearest import blocks_of, nearest
from plausible.metrics.needs import images
from plausible.report.images import grid

__all__ = ["show_neighbours"]

SAMPLES, SHOWN, NEIGHBOURS = 100, 10, 4


def generates(subject: Subject) -> None:
    """The model makes samples."""
    if not isinstance(subject.model, GenerativeModel):
        raise PlausibleError("it needs a generative model, which makes samples")


@picture("neighbours", "Samples and their nearest training rows", needs=(images, enough_rows, generates))
def show_neighbours(subject: PictureSubject) -> Made:
    """The samples that are closest to a training row, each with its nearest training rows."""
    data, space = subject.data, space_for(subject)
    samples = subject.sample(SAMPLES)
    searched = np.arange(min(len(data.train), max(1, VALUES // math.prod(data.shape))))
    distances, places = nearest(space(samples), blocks_of(data.train, searched, space), NEIGHBOURS)
    closest = distances[:, 0].argsort(stable=True)[:SHOWN]
    rows = data.train.take(places[closest].flatten().numpy())[0].reshape(len(closest), -1, *data.shape)
    beside = np.concatenate([samples[closest].numpy()[:, None], rows], axis=1)
    caption = (
        f"Left in each row a sample, then the training rows nearest to it, nearest first, of {len(searched):,}: the "
        f"{len(closest)} of {SAMPLES} samples that are closest to a training row. Pairs that are equal, or almost, are "
        "copies; rows that differ in stroke or shape are not. `plausible evaluate` counts the copies."
    )
    return grid(beside.reshape(-1, *data.shape), beside.shape[1], like=rows.reshape(-1, *data.shape)), caption
