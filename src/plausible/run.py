"""The run: one training with all that can be done with it. `train` and `load` return one; its methods are the verbs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from plausible import jobs
from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.jobs.opened import Opened
from plausible.jobs.verify import Verification
from plausible.progress import print_data, watching
from plausible.report.summary import in_words, summary

__all__ = ["Run", "load", "train"]

Out = str | os.PathLike[str] | None


class Run(Opened):
    """A training and what came of it.

    `repr(run)` says what it is and how far it got; in a notebook it shows samples, curves and figures. Verbs return
    data, in what the training data came in: a DataFrame, an array, a tensor, PIL images; with `out=` they write a file
    instead and return its path.

    Attributes:
        path: the run folder.
        config: everything needed to repeat it.
        schema: what it stores of its data: column names, picture size, labels, domain, ranges.
        model: the torch module.
        tick: how far the model is trained.
    """

    def __repr__(self) -> str:
        return f"<Run {in_words(self.folder)}>"

    def _repr_html_(self) -> str:
        return summary(self.folder)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @property
    def latent(self) -> int:
        """The width of a code: what `decode` takes is (n, latent).

        Raises:
            PlausibleError: the model has no codes.
        """
        found = getattr(self.model, "latent", None)
        if not isinstance(found, int):
            raise PlausibleError(f"{type(self.model).__name__} has no codes: it has no latent space")
        return found

    def stopped(self) -> Mapping[str, Any] | None:
        """Why and where training stopped: tick, reason and perhaps message; None while it goes on, or was killed."""
        return self.folder.stopped()

    def events(self) -> list[dict[str, Any]]:
        """The log of the training: start, ticks, checkpoint, valid, samples, stop."""
        return self.folder.events()

    # ------------------------------------------------------------------ the verbs
    def resume(
        self,
        *,
        epochs: float | None = None,
        minutes: float | None = None,
        data: Any = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as the command line's --set
        progress: bool | Callable[[Any], None] = True,
    ) -> Self:
        """Go on from the newest checkpoint, bit for bit as if the training had never stopped. See `jobs.resume`."""
        with watching(progress) as watch:
            rows = load_data(data) if data is not None else self._in_memory()
            jobs.resume(
                self.folder,
                epochs=epochs,
                minutes=minutes,
                data=rows,
                set=set,
                watch=watch,
                model=self._class,
            )
        self._data = rows or self._data
        self.reread()
        return self

    def _in_memory(self) -> Data | None:
        """The run's data, where they are at hand and no source has them."""
        return self._data if self.config.data.source is None else None

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int = 0,
        label: Any = None,
        as_: str | None = None,
        out: Out = None,
    ) -> Any:
        """n new examples, default 64. See `jobs.sample`."""
        return jobs.sample(self, n, seed=seed, label=label, as_=as_, out=out)

    def score(
        self,
        data: Any,
        *,
        by: str | None = None,
        per_pixel: bool = False,
        samples: int = 50,
        seed: int = 0,
        out: Out = None,
        say: Callable[[str], object] | None = None,
    ) -> Any:
        """How plausible each row is, (n,); higher is more plausible. See `jobs.score`."""
        return jobs.score(
            self, data, by=by, per_pixel=per_pixel, samples=samples, seed=seed, out=out, say=say
        )

    def encode(self, data: Any, *, out: Out = None) -> Any:
        """The code of each row, (n, latent). See `jobs.encode`."""
        return jobs.encode(self, data, out=out)

    def decode(self, z: Any, *, label: Any = None, as_: str | None = None, out: Out = None) -> Any:
        """What is made of codes, (n, latent); a tensor keeps its graph. See `jobs.decode`."""
        return jobs.decode(self, z, label=label, as_=as_, out=out)

    def reconstruct(self, data: Any, *, as_: str | None = None, out: Out = None) -> Any:
        """What comes back of each row through its code. See `jobs.reconstruct`."""
        return jobs.reconstruct(self, data, as_=as_, out=out)

    def features(self, data: Any, *, out: Out = None) -> Any:
        """What the model knows of each row, (n, units). See `jobs.features`."""
        return jobs.features(self, data, out=out)

    def interpolate(
        self,
        a: Any,
        b: Any,
        n: int | None = None,
        *,
        straight: bool = False,
        as_: str | None = None,
        out: Out = None,
    ) -> Any:
        """n examples from a to b, default 12. See `jobs.interpolate`."""
        return jobs.interpolate(self, a, b, n, straight=straight, as_=as_, out=out)

    def traverse(self, n: int | None = None, *, as_: str | None = None, out: Out = None) -> Any:
        """What is decoded along each dimension of the code. See `jobs.traverse`."""
        return jobs.traverse(self, n, as_=as_, out=out)

    def complete(
        self,
        rows: Any,
        n: int | None = None,
        *,
        given: Any = "top",
        seed: int = 0,
        as_: str | None = None,
        out: Out = None,
    ) -> Any:
        """n completions of each of some rows, default 8, given a part of it. See `jobs.complete`."""
        return jobs.complete(self, rows, n, given=given, seed=seed, as_=as_, out=out)

    def sampling_order(self, n: int | None = None, *, seed: int = 0, out: str | os.PathLike[str]) -> Path:
        """Write a picture of samples as they are made, pixel by pixel. See `jobs.sampling_order`."""
        return jobs.sampling_order(self, n, seed=seed, out=out)

    def evaluate(self, data: Any = None, *, metrics: Sequence[str] | None = None) -> dict[str, Any]:
        """Measure the run on its test split. See `jobs.evaluate`."""
        return jobs.evaluate(self, data, metrics=metrics)

    def verify(self, *, seed: int = 0) -> Verification:
        """Prove that the run's density is one. See `jobs.verify`."""
        return jobs.verify(self, seed=seed)

    def report(self) -> Path:
        """Write report.html, one page that opens offline, and return its path."""
        return jobs.report(self.folder)


def train(
    model: str | type | None = None,
    data: Any = None,
    *,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    like: Run | str | os.PathLike[str] | None = None,
    weights: bool = False,
    progress: bool | Callable[[Any], None] = True,
    **options: Any,
) -> Run:
    """Train a model and leave a run folder.

    Args:
        model: a name that `plausible models` lists, or a class made from `plausible.game.GenerativeModel`.
        data: a SPEC (see `plausible datasets`), a path, an array, a tensor, a map-style Dataset, a pandas, polars or
            pyarrow table, a list of PIL images, or a dict of these named train, valid and test; default digits.
        y: the rows' labels, (n,).
        target: the column that holds the labels.
        view: how to see the data, as in a SPEC: "binary", "class=3", "domain=unit".
        like: a run to repeat: what is not given here is as it was there.
        weights: start from the weights of `like`.
        progress: show progress; or a function that is called with it.
        options: training options (preset, epochs, minutes, batch, shards, seed, out, ema, clip, precision, keep; see
            `jobs.train`) and the model's own (`plausible train MODEL --help`).

    Raises:
        PlausibleError: bad input (nothing is written then), a full disk, or a diverged training.
        KeyboardInterrupt: Ctrl-C, after saving.
    """
    with watching(progress) as watch:
        if data is None and like is None:
            data = "digits"
        if data is None and isinstance(like, Run):
            data = like._in_memory()
        rows = None if data is None else load_data(data, y=y, target=target, view=view)
        folder = jobs.train(
            model,
            rows,
            like=like,
            weights=weights,
            watch=watch,
            say=print_data if progress is True else None,
            **options,
        )
    return Run(folder.path, model=model if _is_own(model) else None, data=rows)


def _is_own(model: str | type | None) -> bool:
    """Whether the model is not part of plausible, and was named here by the user."""
    return isinstance(model, type) or (model is not None and ":" in model)


def load(run: Run | str | os.PathLike[str], *, at: int | None = None, model: type | str | None = None) -> Run:
    """Open a run folder.

    Args:
        run: the folder.
        at: the tick of a checkpoint; default the best on the valid rows, else the newest.
        model: the class of a model that is not part of plausible, or its "module:Class". A run never imports code that
            it names itself.

    Raises:
        PlausibleError: this is no run, or its configuration is damaged.
    """
    if isinstance(run, Run) and at is None and model is None:
        return run
    return Run(os.fspath(run), at=at, model=model, data=run._data if isinstance(run, Run) else None)
