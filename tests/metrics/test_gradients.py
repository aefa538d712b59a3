"""Histograms of oriented gradients, against a direct computation and by what they should and should not see."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from plausible.data import load
from plausible.errors import PlausibleError
from plausible.game import GenerativeModel
from plausible.metrics.gradients import DIRECTIONS, oriented_gradients
from plausible.metrics.scoring import How, scorable, scorer

DIGITS = torch.from_numpy(load("digits").train.array()[:20])


def directly(picture, deviation, cell):
    """h of one grey picture, (height, width), by SciPy."""

    def blurred(x, by):
        return gaussian_filter(x, by, mode="constant", radius=int(np.ceil(3 * by)))

    smooth = np.pad(blurred(picture, deviation), 1)
    # beyond the picture itself there is no edge to be seen: the outermost differences are 0
    across, down = np.zeros(picture.shape), np.zeros(picture.shape)
    across[:, 1:-1] = (smooth[1:-1, 3:-1] - smooth[1:-1, 1:-3]) / 2
    down[1:-1] = (smooth[3:-1, 1:-1] - smooth[1:-3, 1:-1]) / 2
    strength, angle = np.hypot(across, down), np.arctan2(down, across)
    maps = []
    for k in range(DIRECTIONS):
        weight = np.maximum(0, np.cos(angle - 2 * np.pi * k / DIRECTIONS)) ** 4
        maps.append(blurred(strength * weight, 0.75 * cell)[::cell, ::cell].ravel())
    found = np.concatenate(maps)
    return found / np.linalg.norm(found)


@pytest.mark.parametrize(("side", "deviation", "cell"), [(8, 0.5, 2), (28, 1.0, 2), (40, 40 / 28, 3)])
def test_the_formula(side, deviation, cell):
    pictures = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(0)).double()
    found = oriented_gradients(pictures)
    for one, picture in zip(found.numpy(), pictures[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(one, directly(picture, deviation, cell), atol=1e-12)


def test_brightness_does_not_count_and_a_blank_picture_is_zero():
    torch.testing.assert_close(oriented_gradients(DIGITS), oriented_gradients(DIGITS * 0.5))
    assert not oriented_gradients(torch.zeros(1, 1, 8, 8)).any()


def test_of_several_channels_the_strongest_counts():
    colour = torch.zeros(20, 3, 8, 8)
    colour[:, 1:2] = DIGITS
    torch.testing.assert_close(oriented_gradients(colour), oriented_gradients(DIGITS))


def test_a_shift_is_forgiven_and_a_turn_is_not():
    pictures = torch.zeros(20, 1, 28, 28)
    pictures[:, :, 6:22, 6:22] = torch.nn.functional.interpolate(DIGITS, 16)

    def apart(other, represent):
        return (represent(pictures) - represent(other)).square().flatten(1).sum(1)

    shifted, turned = pictures.roll(1, 3), pictures.rot90(1, (2, 3))
    ratios = {}
    for name, represent in (("pixels", lambda x: x), ("gradients", oriented_gradients)):
        ratios[name] = float((apart(shifted, represent) / apart(turned, represent)).mean())
    assert ratios["gradients"] < 0.5 * ratios["pixels"]


# ---------------------------------------------------------------------- the score
class Halved(GenerativeModel):
    """x → x/2, with the left half turned blank."""

    def reconstruct(self, x):
        return x / 2 * (torch.arange(x.shape[-1]) >= x.shape[-1] // 2)


def test_the_score_is_minus_the_squared_distance_to_the_reconstruction():
    model = Halved((1, 8, 8), "unit")
    found = scorer(model, "hog", How(), lambda: pytest.fail("rows were read"))(DIGITS)
    h = [oriented_gradients(x).numpy() for x in (DIGITS, model.reconstruct(DIGITS))]
    np.testing.assert_allclose(found.numpy(), -((h[0] - h[1]) ** 2).sum(1), rtol=1e-5)


def test_tables_have_none():
    model = Halved((5,), "real")
    assert "hog" not in scorable(model)
    with pytest.raises(PlausibleError, match="compares pictures, and rows are of 5 values"):
        scorer(model, "hog", How(), lambda: pytest.fail("rows were read"))
