"""What a picture is, the one table of those there are, and their files.

A picture is a function of a `PictureSubject` that returns an image (or a matplotlib figure) and a caption. Its
decorator declares what it needs and how it stands in the report:

    @picture("filters", "First-layer filters", needs=(MyModel, images))
    def filters(subject):
        return grid(...), "Each square is one unit's weights."

The files carry title, caption and place as text, so the report shows them without knowing who made them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure
from PIL import Image

from plausible.data import Data
from plausible.game import GenerativeModel
from plausible.jobs.sampling import sample_model
from plausible.metrics import Subject
from plausible.metrics.registry import Need, meets
from plausible.plotting import to_image
from plausible.report.images import png
from plausible.runs import RunFolder, commit

__all__ = ["PICTURES", "PictureSubject", "RegisteredPicture", "picture", "write_pictures"]

Shared = TypeVar("Shared")


class PictureSubject(Subject):
    """What pictures show: a model, its data, and its samples.

    Args:
        model: in evaluation mode.
        data: the data that it was trained on.
        options: the model's options in force.

    `sample(n)` gives n samples, the same at each call.
    """

    model: GenerativeModel

    def __init__(self, model: GenerativeModel, data: Data, options: Mapping[str, Any]) -> None:
        super().__init__(lambda n: sample_model(model, n, seed=1), data, model)
        self.options = options
        self._shared: dict[Callable[..., Any], Any] = {}

    def shared(self, function: Callable[[PictureSubject], Shared]) -> Shared:
        """function(self), computed once for all pictures."""
        if function not in self._shared:
            self._shared[function] = function(self)
        return self._shared[function]


Made = tuple[Image.Image | Figure, str]
"""An image, and the caption that says what it shows."""


@dataclass(frozen=True, eq=False)
class RegisteredPicture:
    """A registered picture; see `picture` for the attributes."""

    name: str
    title: str
    make: Callable[[PictureSubject], Made | None]
    needs: tuple[Need, ...]
    beside: bool


PICTURES: dict[str, RegisteredPicture] = {}
"""Name → picture, in the order in which they stand in the report."""


def picture(
    name: str, title: str, *, needs: Sequence[Need] = (), beside: bool = False
) -> Callable[[Callable[[PictureSubject], Made | None]], Callable[[PictureSubject], Made | None]]:
    """Register a picture: a decorator of a function of a `PictureSubject` that returns (image, caption), or None.

    Args:
        name: of its file, RUN/pictures/TICK/NAME.png. A registered name is replaced.
        title: above it in the report.
        needs: capabilities of the model (protocols of `plausible.capabilities`, or a class of your own), and checks
            such as those of `plausible.metrics.needs`. Where one is not met, there is no such picture.
        beside: it may stand beside another in the report; else it takes the page's width.

    The function must be deterministic: a resumed run writes the same files as an uninterrupted one.
    """

    def register(
        make: Callable[[PictureSubject], Made | None],
    ) -> Callable[[PictureSubject], Made | None]:
        PICTURES[name] = RegisteredPicture(name, title, make, tuple(needs), beside)
        return make

    return register


def write_pictures(run: RunFolder, model: GenerativeModel, data: Data, tick: int) -> Path | None:
    """Write every picture that fits the model and its data into RUN/pictures/TICK/: all of them or none.

    Pictures of rows use the first of the test split, so that pictures of two ticks compare. There are none of data that
    are not the run's own, and where there are fewer than two test rows.

    Args:
        run: the run folder.
        model: in evaluation mode.
        data: with its splits.
        tick: how far the model is trained.

    Returns: the folder; None where no picture fits.

    Raises:
        PlausibleError: it cannot be written; nothing is left behind.
    """
    config = run.config()
    if data.hash != config.data.hash or len(data.test) < 2:
        return None
    subject = PictureSubject(model, data, config.options_at())
    fitting = [each for each in PICTURES.values() if meets(subject, each.needs)]
    if not fitting:
        return None
    folder = run.path / "pictures" / f"{tick:09d}"
    with commit(folder) as writing:
        for place, each in enumerate(fitting):
            made = each.make(subject)
            if made is not None:
                (writing / f"{each.name}.png").write_bytes(_png(each, place, tick, *made))
    return folder


def _png(
    picture: RegisteredPicture, place: int, tick: int, image: Image.Image | Figure, caption: str
) -> bytes:
    info = {"kind": picture.name, "tick": str(tick), "Title": picture.title, "Description": caption}
    info |= {"Place": f"{place:03d}", "Beside": "yes" if picture.beside else "no"}
    return png(to_image(image) if isinstance(image, Figure) else image, info)
