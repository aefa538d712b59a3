"""What a generator makes of its noise, and how its discriminator tells samples from data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from plausible.capabilities import Code, Critic, Decoder, Prior, require, supports
from plausible.errors import PlausibleError
from plausible.jobs import code_paths
from plausible.jobs.interpolate import on_device_of
from plausible.jobs.loading import applied
from plausible.jobs.pictures.registry import Made, PictureSubject, picture
from plausible.metrics import Subject
from plausible.metrics.needs import images
from plausible.report.densities import plot_scores
from plausible.report.images import grid

__all__ = ["show_critic", "show_walks"]

WALKS, STEPS = 6, 11
SEED = 1
ROWS = 1000
"""Rows of each kind, at most, whose scores are shown."""


def has_no_encoder(subject: Subject) -> None:
    """The model's noise is not inferred from rows, so that walks begin at samples of the prior."""
    if supports(subject.model, Code):
        raise PlausibleError("the model encodes rows, so walks go between their codes")


@picture("walks", "Walks through the noise", needs=(Prior, Decoder, images, has_no_encoder))
def show_walks(subject: PictureSubject) -> Made:
    """What the generator makes on the way between samples of its prior."""
    model = subject.model
    prior, decoder = require(model, Prior), require(model, Decoder)
    ends = applied(lambda _: prior.sample_prior(WALKS + 1), on_device_of(model, torch.zeros(1)), SEED).cpu()
    z = torch.cat([code_paths.slerp(a, b, STEPS) for a, b in pairwise(ends)])
    decoded = applied(decoder.decode, on_device_of(model, z)).cpu().numpy()
    like = subject.data.test.take(np.arange(min(ROWS, len(subject.data.test))))[0]
    caption = (
        f"{WALKS + 1} samples of the prior of z, and {STEPS - 2} steps between each and the next, along the sphere: "
        "each row ends where the next begins. Smooth changes through plausible images speak against a generator that "
        "has memorised single rows; rows that all look alike speak for one that has collapsed."
    )
    return grid(decoded, STEPS, like=like), caption


@picture("critic", "The discriminator's scores", needs=(Critic,))
def show_critic(subject: PictureSubject) -> Made | None:
    """The discriminator's logits of training rows, test rows and samples."""
    critic, data = require(subject.model, Critic), subject.data
    n = min(ROWS, len(data.test))
    kinds = {
        "training rows": data.train.take(np.arange(min(n, len(data.train))))[0],
        "test rows": data.test.take(np.arange(n))[0],
        "samples": subject.sample(n).numpy(),
    }
    logits = {}
    for name, x in kinds.items():
        found = applied(critic.criticise, on_device_of(subject.model, x)).cpu().double().numpy()
        logits[name] = found[np.isfinite(found)]
    if any(len(found) < 2 for found in logits.values()):
        return None
    train, test, made = (f"{logits[name].mean():.3g}".replace("-", "−") for name in logits)
    caption = (
        f"D's logit of {n:,} rows of each kind; means: training rows {train}, test rows {test}, samples {made}. Where "
        "samples lie apart from rows, D still tells them apart, and the generator has something to learn; where test "
        "rows lie between training rows and samples, D has overfitted to the training rows. A logit is no density, "
        "and that of a relativistic objective has an arbitrary offset."
    )
    return plot_scores(logits, "logit of D(x)"), caption
