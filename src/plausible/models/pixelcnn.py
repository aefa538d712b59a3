"""PixelCNN: the density of images by convolutions that see only what comes before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import NonNegativeInt, PositiveInt

from plausible.errors import PlausibleError
from plausible.game import Domain
from plausible.models.pixels import Observation, Pixels
from plausible.models.registry import Preset
from plausible.nn import pixel_cnn
from plausible.recipe import Recipe

__all__ = ["PixelCNN"]


class PixelCNN(Pixels):
    """Gated PixelCNN (van den Oord et al., 2016): log p(x) = Σ_i log p(x_i | x_<i), pixels in raster order, R, G, B.

    A stack of convolutions over the rows above, one along the row, and the sum of what all layers say.

    Args:
        features: F, of each stack.
        layers: Number of gated layers, after the first convolutions of 7 × 7.
        kernel: Kernel size, odd.
        head: Features between the two 1×1 convolutions at the end.
        levels: K: values are k/(K − 1), k = 0 … K − 1; of binary data there are two.
        observation: Observation model: categorical, a number for each level; mixture, of discretised logistics; auto:
            categorical, and of binary data a logit.
        components: Components of such a mixture.
        classes: Number of classes of the labels to condition on; 0: unconditional.

    Raises:
        PlausibleError: the data are no images, or the kernel is even.
    """

    recipe = Recipe(lr=2e-3, lr_decay=1.0001)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "6 layers of 24 features, Adam, averaged weights", training={"batch": 32, "ema": 0.999}
        ),
        "gated": Preset(
            "8 layers of 24 features with windows of 5, 0.20 M weights: for MNIST",
            model={"layers": 8, "kernel": 5, "head": 64},
            recipe={"lr": 3e-3, "lr_decay": 1.0002},
            training={"batch": 16, "ema": 0.999},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        features: PositiveInt = 24,
        layers: PositiveInt = 6,
        kernel: PositiveInt = 3,
        head: PositiveInt = 48,
        levels: PositiveInt = 256,
        observation: Observation = "auto",
        components: PositiveInt = 10,
        classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, levels, observation, components, classes)
        if kernel % 2 == 0:
            raise PlausibleError(
                f"kernel {kernel}: a window has a middle, so give an odd side, such as {kernel + 1}"
            )
        self.network = pixel_cnn.PixelCNN(
            self.shape, features, layers, kernel, head, self.observation.outputs, classes
        )
