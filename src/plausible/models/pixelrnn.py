"""PixelRNN: the density of images by LSTMs that walk over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import NonNegativeInt, PositiveInt

from plausible.game import Domain
from plausible.models.pixels import Observation, Pixels
from plausible.models.registry import Preset
from plausible.nn import pixel_rnn
from plausible.recipe import Recipe

__all__ = ["PixelRNN"]


class PixelRNN(Pixels):
    """PixelRNN (van den Oord et al., 2016): log p(x) = Σ_i log p(x_i | x_<i), in raster order, R, then G, then B.

    Layers of LSTMs, each with a way round it: a diagonal BiLSTM sees all that is before its pixel, but at times the
    last pixel of the row above; a row LSTM a triangle above it.

    Args:
        layer: Kind of LSTM: diagonal or row.
        hidden: F, units of an LSTM (in each direction); 2F features go from layer to layer.
        layers: Number of LSTM layers, after the first convolution of 7 × 7.
        head: Features between the two 1×1 convolutions at the end.
        levels: K: values are k/(K − 1), k = 0 … K − 1; of binary data there are two.
        observation: Observation model: categorical, a number for each level; mixture, of discretised logistics; auto:
            categorical, and of binary data a logit.
        components: Components of such a mixture.
        classes: Number of classes of the labels to condition on; 0: unconditional.

    Raises:
        PlausibleError: the data are no images.
    """

    recipe = Recipe(lr=4e-3, lr_decay=1.0001)
    presets: ClassVar[Mapping[str, Preset]] = {
        "default": Preset(
            "3 diagonal layers of 16, Adam, averaged weights", training={"batch": 64, "ema": 0.999}
        ),
        "oord2016": Preset(
            "7 diagonal layers of 16, batches of 16: the paper's for MNIST; Adam 3e-3 for its RMSProp",
            model={"layers": 7},
            recipe={"lr": 3e-3, "lr_decay": 1.0002},
            training={"batch": 16, "ema": 0.999},
        ),
        "row": Preset(
            "7 row layers of 16",
            model={"layer": "row", "layers": 7},
            training={"batch": 64, "ema": 0.999},
        ),
    }

    def __init__(
        self,
        shape: Sequence[int],
        domain: Domain = "binary",
        *,
        layer: pixel_rnn.Layer = "diagonal",
        hidden: PositiveInt = 16,
        layers: PositiveInt = 3,
        head: PositiveInt = 32,
        levels: PositiveInt = 256,
        observation: Observation = "auto",
        components: PositiveInt = 10,
        classes: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, domain, levels, observation, components, classes)
        self.network = pixel_rnn.PixelRNN(
            self.shape, layer, hidden, layers, head, self.observation.outputs, classes
        )
